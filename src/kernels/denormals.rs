//! The floating-point mode of the engine. Denormal numbers count as zero, because they are up to a hundred times slower
//! than others on some processors, and a decaying signal is full of them. Rounding is to nearest and no exception
//! traps, in any mode of the host. Afterwards the caller's mode and status flags are restored.

/// Flushes denormals to zero until dropped. The rest of the mode is the default.
pub(crate) struct FlushDenormals {
    callers: mode::State,
}

impl FlushDenormals {
    #[inline]
    pub(crate) fn new() -> Self {
        let callers = mode::get();
        mode::enter();
        Self { callers }
    }
}

impl Drop for FlushDenormals {
    #[inline]
    fn drop(&mut self) {
        mode::set(&self.callers);
    }
}

/// MXCSR: modes and status flags of SSE. Rust computes with SSE on x86 of either width.
#[cfg(all(any(target_arch = "x86_64", target_feature = "sse2"), not(miri)))]
mod sse {
    /// FTZ (bit 15) and DAZ (bit 6), to nearest, all exceptions masked (bits 7 to 12), no flag.
    pub(super) const FLUSH: u32 = 1 << 15 | 1 << 6 | 0x3f << 7;

    #[inline]
    pub(super) fn get() -> u32 {
        let mut mxcsr = 0u32;
        // SAFETY: stores MXCSR, four bytes, to a local.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr, options(nostack, preserves_flags)) };
        mxcsr
    }

    #[inline]
    pub(super) fn set(mxcsr: u32) {
        // SAFETY: loads MXCSR from a local; the value is FLUSH or came from `get`, so that no reserved bit is set.
        unsafe {
            std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr, options(nostack, preserves_flags))
        };
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod mode {
    use super::sse;

    pub(super) type State = u32;

    #[inline]
    pub(super) fn get() -> State {
        sse::get()
    }

    #[inline]
    pub(super) fn enter() {
        sse::set(sse::FLUSH);
    }

    #[inline]
    pub(super) fn set(state: &State) {
        sse::set(*state);
    }
}

/// On 32 bits the x87 unit is also in use: functions return values in it, and the C library computes with it.
#[cfg(all(target_arch = "x86", target_feature = "sse2", not(miri)))]
mod mode {
    use super::sse;

    /// The environment of the x87 unit: modes, status flags, and the state of its registers.
    type Environment = [u32; 7];

    pub(super) struct State {
        mxcsr: u32,
        x87: Environment,
    }

    #[inline]
    pub(super) fn get() -> State {
        let mut x87 = [0; 7];
        // SAFETY: stores 28 bytes to a local, and masks all exceptions of the unit. The clobbers make sure that no
        // register is in use.
        unsafe {
            std::arch::asm!("fnstenv [{}]", in(reg) &raw mut x87,
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _, options(nostack))
        };
        State { mxcsr: sse::get(), x87 }
    }

    #[inline]
    pub(super) fn enter() {
        sse::set(sse::FLUSH);
        // SAFETY: no flag, and the default mode: to nearest, 64 bits of precision, all exceptions masked. The clobbers
        // make sure that no register is in use.
        unsafe {
            std::arch::asm!("fninit",
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _, options(nostack))
        };
    }

    #[inline]
    pub(super) fn set(state: &State) {
        sse::set(state.mxcsr);
        // SAFETY: loads the environment that `get` stored, with no register in use. The clobbers make sure that none is
        // in use here.
        unsafe {
            std::arch::asm!("fldenv [{}]", in(reg) &raw const state.x87,
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _, options(nostack))
        };
    }
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
mod mode {
    /// FPCR: FZ (bit 24), to nearest, no exception trapped.
    const FLUSH: u64 = 1 << 24;

    /// Modes and status flags.
    pub(super) struct State {
        fpcr: u64,
        fpsr: u64,
    }

    #[inline]
    pub(super) fn get() -> State {
        let (fpcr, fpsr): (u64, u64);
        // SAFETY: reads two registers.
        unsafe {
            std::arch::asm!("mrs {}, fpcr", "mrs {}, fpsr", out(reg) fpcr, out(reg) fpsr,
                options(nostack, preserves_flags))
        };
        State { fpcr, fpsr }
    }

    #[inline]
    pub(super) fn enter() {
        // SAFETY: a mode that every such CPU has.
        unsafe { std::arch::asm!("msr fpcr, {}", in(reg) FLUSH, options(nostack, preserves_flags)) };
    }

    #[inline]
    pub(super) fn set(state: &State) {
        // SAFETY: the values came from `get`.
        unsafe {
            std::arch::asm!("msr fpsr, {}", "msr fpcr, {}", in(reg) state.fpsr, in(reg) state.fpcr,
                options(nostack, preserves_flags))
        };
    }
}

/// Elsewhere the mode stays. So it does under Miri, which has no inline assembly.
#[cfg(any(
    miri,
    not(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        all(target_arch = "x86", target_feature = "sse2")
    ))
))]
mod mode {
    pub(super) struct State;

    pub(super) fn get() -> State {
        State
    }

    pub(super) fn enter() {}

    pub(super) fn set(_: &State) {}
}

#[cfg(all(
    test,
    any(target_arch = "x86_64", target_arch = "aarch64", all(target_arch = "x86", target_feature = "sse2")),
    not(miri)
))]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn the_callers_mode_comes_back() {
        let tiny = black_box(f32::MIN_POSITIVE);
        {
            let _flush = FlushDenormals::new();
            assert_eq!(black_box(tiny / black_box(2.0)), 0.0);
        }
        assert_ne!(black_box(tiny / black_box(2.0)), 0.0);
    }

    #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
    #[test]
    fn no_flag_is_left_behind() {
        let before = sse::get();
        {
            let _flush = FlushDenormals::new();
            assert!(black_box(black_box(0.0f32) / black_box(0.0)).is_nan());
        }
        assert_eq!(sse::get(), before);
    }
}
