//! What is behind an opaque pointer: a tag that tells the kind, a flag that tells of a panic.

use super::buffer::{Refusal, place};
use super::status::{Failure, MIMI_ERR_OUT_OF_MEMORY};
use std::alloc::{Layout, alloc};
use std::ptr::{self, NonNull};

/// A Rust value that C holds by an opaque pointer.
pub(super) trait Kind: Sized {
    /// The type that the header declares.
    type Opaque;
    /// Its name there.
    const NAME: &'static str;
    /// The first four bytes of a live handle.
    const TAG: u32;
}

/// The tag of a handle that was freed.
const FREED: u32 = u32::from_le_bytes(*b"free");

#[repr(C)]
struct Handle<T> {
    tag: u32,
    poisoned: bool,
    value: T,
}

/// Runs `make` and gives its value to C through `*out`, which is NULL on failure.
///
/// # Safety
/// `out` is NULL, misaligned or valid for a write.
pub(super) unsafe fn create<T: Kind, E: Into<Failure>>(
    out: *mut *mut T::Opaque,
    make: impl FnOnce() -> Result<T, E>,
) -> Result<(), Failure> {
    let out = place("out", out)?;
    // SAFETY: `place` refused NULL and misaligned; the rest is this function's contract.
    unsafe { out.write(ptr::null_mut()) };
    let handle = boxed(make().map_err(Into::into)?)?;
    // SAFETY: as above.
    unsafe { out.write(handle) };
    Ok(())
}

/// A new handle. C owns it until [`free`].
pub(super) fn boxed<T: Kind>(value: T) -> Result<*mut T::Opaque, Failure> {
    let layout = Layout::new::<Handle<T>>();
    // SAFETY: a handle has a tag, and so a size.
    let handle = unsafe { alloc(layout) }.cast::<Handle<T>>();
    if handle.is_null() {
        // `Box::new` would end the process
        let message = format_args!("out of memory: {} bytes for a {}", layout.size(), T::NAME);
        return Err(Failure::new(MIMI_ERR_OUT_OF_MEMORY, message));
    }
    // SAFETY: new memory of this layout.
    unsafe { handle.write(Handle { tag: T::TAG, poisoned: false, value }) };
    Ok(handle.cast())
}

/// The value, for reading.
///
/// # Safety
/// `pointer` is NULL, misaligned, or a handle of any kind that lives through `'a` and that nobody
/// resets or frees meanwhile. What lies in a cell may change.
#[inline]
pub(super) unsafe fn shared<'a, T: Kind>(pointer: *const T::Opaque) -> Result<&'a T, Refusal> {
    // SAFETY: this function's contract.
    let handle = unsafe { checked::<T>(pointer)?.as_ref() };
    if handle.poisoned { Err(Refusal::Poisoned(T::NAME)) } else { Ok(&handle.value) }
}

/// Runs `f` on the value. Should `f` panic, the handle is poisoned.
///
/// # Safety
/// `pointer` is NULL, misaligned, or a handle of any kind that nobody else uses meanwhile.
#[inline]
pub(super) unsafe fn exclusive<T: Kind, R>(
    pointer: *mut T::Opaque,
    f: impl FnOnce(&mut T) -> R,
) -> Result<R, Refusal> {
    // SAFETY: this function's contract.
    unsafe {
        shared::<T>(pointer)?;
        recover(pointer, f)
    }
}

/// As [`exclusive`], but takes a poisoned handle, which is sound again when `f` returns.
///
/// # Safety
/// As for [`exclusive`].
#[inline]
pub(super) unsafe fn recover<T: Kind, R>(
    pointer: *mut T::Opaque,
    f: impl FnOnce(&mut T) -> R,
) -> Result<R, Refusal> {
    // SAFETY: this function's contract.
    let handle = unsafe { checked::<T>(pointer)?.as_mut() };
    handle.poisoned = true;
    let result = f(&mut handle.value);
    handle.poisoned = false;
    Ok(result)
}

/// Runs `f` on the values of several handles of a kind, `get(0)` to `get(count − 1)`, while no other
/// call can be made on any of them. Should `f` panic, all are poisoned. [`Refusal::Repeated`] if one
/// stands there twice.
///
/// # Safety
/// As for [`exclusive`], for each pointer.
#[inline]
pub(super) unsafe fn exclusive_many<T: Kind, R>(
    count: usize,
    get: impl Fn(usize) -> *mut T::Opaque,
    f: impl FnOnce(&dyn Fn(usize) -> NonNull<T>) -> R,
) -> Result<R, Refusal> {
    // SAFETY: this function's contract.
    let handle = |i: usize| unsafe { checked::<T>(get(i)) };
    // SAFETY: `checked` found a live handle of this kind; nobody else uses it, and no reference to its
    // flag or value lives on.
    let poison = |handle: NonNull<Handle<T>>, poisoned: bool| unsafe {
        std::mem::replace(&mut (*handle.as_ptr()).poisoned, poisoned)
    };
    for i in 0..count {
        // SAFETY: this function's contract.
        unsafe { shared::<T>(get(i))? };
    }
    let release = |count: usize| {
        for handle in (0..count).filter_map(|i| handle(i).ok()) {
            poison(handle, false);
        }
    };
    for i in 0..count {
        // None was poisoned above: one that is now stood there before.
        if poison(handle(i)?, true) {
            release(i);
            return Err(Refusal::Repeated(T::NAME));
        }
    }
    let value = |i: usize| match handle(i) {
        // SAFETY: a field of a live handle.
        Ok(handle) => unsafe { NonNull::new_unchecked(&raw mut (*handle.as_ptr()).value) },
        Err(_) => unreachable!("checked above"),
    };
    let result = f(&value);
    release(count);
    Ok(result)
}

/// Drops a handle. Does nothing for NULL and for what is not a handle of this kind.
///
/// # Safety
/// As for [`exclusive`]; the pointer is dead afterwards.
pub(super) unsafe fn free<T: Kind>(pointer: *mut T::Opaque) {
    // SAFETY: this function's contract.
    if let Ok(mut handle) = unsafe { checked::<T>(pointer) } {
        // SAFETY: `checked` found a live handle of this kind, so it came from `boxed`, whose memory is what a
        // `Box` would have. The write is for a caller's later bug, and volatile because nothing here reads it.
        unsafe {
            ptr::write_volatile(&mut handle.as_mut().tag, FREED);
            drop(Box::from_raw(handle.as_ptr()));
        }
    }
}

/// # Safety
/// `pointer` is NULL, misaligned, or a handle of any kind.
#[inline]
unsafe fn checked<T: Kind>(pointer: *const T::Opaque) -> Result<NonNull<Handle<T>>, Refusal> {
    let handle = place(T::NAME, pointer.cast_mut().cast::<Handle<T>>())?;
    // SAFETY: neither NULL nor misaligned, hence a handle, and every kind begins with its tag.
    // Only the tag is read, by its own address, because the rest may be of another type.
    let tag = unsafe { (&raw const (*handle.as_ptr()).tag).read() };
    if tag == T::TAG { Ok(handle) } else { Err(Refusal::WrongHandle(T::NAME)) }
}

#[cfg(test)]
mod tests {
    use super::super::guard::guard_rt;
    use super::super::status::*;
    use super::*;
    use std::panic::resume_unwind;

    pub(crate) struct Opaque;

    impl Kind for u64 {
        type Opaque = Opaque;
        const NAME: &'static str = "counter";
        const TAG: u32 = 1;
    }

    impl Kind for u32 {
        type Opaque = Opaque;
        const NAME: &'static str = "other";
        const TAG: u32 = 2;
    }

    #[test]
    fn a_panic_poisons_until_recovery() {
        let handle = boxed(5u64).unwrap();
        // SAFETY: the handle is alive and used by this thread alone.
        unsafe {
            let bug = guard_rt(|| {
                exclusive(handle, |n: &mut u64| {
                    *n += 1;
                    resume_unwind(Box::new("injected"))
                })?
            });
            assert_eq!(bug, MIMI_ERR_PANIC);
            assert_eq!(shared::<u64>(handle).map_err(mimi_status::from), Err(MIMI_ERR_STATE));
            assert_eq!(exclusive(handle, |_: &mut u64| ()).map_err(mimi_status::from), Err(MIMI_ERR_STATE));
            assert_eq!(recover(handle, |n: &mut u64| *n = 0).map_err(mimi_status::from), Ok(()));
            assert_eq!(shared::<u64>(handle).map_err(mimi_status::from), Ok(&0));
            free::<u64>(handle);
        }
    }

    #[test]
    fn a_poisoned_handle_can_be_freed() {
        let handle = boxed(5u64).unwrap();
        // SAFETY: the handle is alive and used by this thread alone.
        unsafe {
            guard_rt(|| exclusive(handle, |_: &mut u64| resume_unwind(Box::new("injected")))?);
            free::<u64>(handle);
        }
    }

    #[test]
    fn kinds_are_told_apart() {
        let handle = boxed(5u64).unwrap();
        // SAFETY: the handle is alive and used by this thread alone.
        unsafe {
            assert_eq!(shared::<u32>(handle).map_err(mimi_status::from), Err(MIMI_ERR_STATE));
            free::<u32>(handle);
            assert_eq!(shared::<u64>(handle).map_err(mimi_status::from), Ok(&5));
            free::<u64>(handle);
        }
    }
}
