//! Denormal numbers are up to a hundred times slower than others on some processors, and a decaying
//! signal is full of them. While the engine runs they count as zero. It also rounds to nearest and traps
//! nothing, whatever its host does; the caller's mode comes back afterwards.

/// Flushes denormals to zero until dropped, in an otherwise default mode.
pub(crate) struct FlushDenormals {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    callers_mode: u64,
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod mode {
    /// MXCSR: FTZ (bit 15) and DAZ (bit 6), to nearest, all exceptions masked (bits 7 to 12).
    pub(super) const FLUSH: u64 = 1 << 15 | 1 << 6 | 0x3f << 7;

    pub(super) fn get() -> u64 {
        let mut mxcsr = 0u32;
        // SAFETY: stores MXCSR, four bytes, to a local.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr, options(nostack, preserves_flags)) };
        u64::from(mxcsr)
    }

    pub(super) fn set(mode: u64) {
        let mxcsr = mode as u32;
        // SAFETY: loads MXCSR from a local; the value is FLUSH or came from `get`, so that no reserved bit is set.
        unsafe {
            std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr, options(nostack, preserves_flags))
        };
    }
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
mod mode {
    /// FPCR: FZ (bit 24), to nearest, no exception trapped.
    pub(super) const FLUSH: u64 = 1 << 24;

    pub(super) fn get() -> u64 {
        let fpcr: u64;
        // SAFETY: reads a register.
        unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) fpcr, options(nomem, nostack, preserves_flags)) };
        fpcr
    }

    pub(super) fn set(mode: u64) {
        // SAFETY: the value is FLUSH or came from `get`.
        unsafe { std::arch::asm!("msr fpcr, {}", in(reg) mode, options(nomem, nostack, preserves_flags)) };
    }
}

/// Miri has no inline assembly; without the flush only time is lost.
#[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), miri))]
mod mode {
    pub(super) const FLUSH: u64 = 0;

    pub(super) fn get() -> u64 {
        0
    }

    pub(super) fn set(_: u64) {}
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
impl FlushDenormals {
    pub(crate) fn new() -> Self {
        let callers_mode = mode::get();
        mode::set(mode::FLUSH);
        Self { callers_mode }
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
impl Drop for FlushDenormals {
    fn drop(&mut self) {
        mode::set(self.callers_mode);
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
impl FlushDenormals {
    pub(crate) fn new() -> Self {
        Self {}
    }
}

#[cfg(all(test, target_arch = "x86_64", not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn the_callers_mode_comes_back() {
        let before = mode::get();
        let tiny = std::hint::black_box(f32::MIN_POSITIVE);
        {
            let _flush = FlushDenormals::new();
            assert_eq!(std::hint::black_box(tiny / std::hint::black_box(2.0)), 0.0);
        }
        assert_eq!(mode::get() & !0x3f, before & !0x3f, "all but the sticky exception flags");
        assert_ne!(std::hint::black_box(tiny / std::hint::black_box(2.0)), 0.0);
    }
}
