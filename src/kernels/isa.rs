//! Which instruction set the kernels use; the only place that asks the CPU.

use once_cell::race::OnceNonZeroUsize;
use std::num::NonZeroUsize;

/// An instruction set that kernels are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    #[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    Portable,
    #[cfg(target_arch = "x86_64")]
    Sse2,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

/// All of them, the best last.
const ALL: &[Isa] = &[
    #[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    Isa::Portable,
    #[cfg(target_arch = "x86_64")]
    Isa::Sse2,
    #[cfg(target_arch = "x86_64")]
    Isa::Avx2,
    #[cfg(target_arch = "x86_64")]
    Isa::Avx512,
    #[cfg(target_arch = "aarch64")]
    Isa::Neon,
];

impl Isa {
    /// What every CPU of this architecture has.
    pub(crate) const BASELINE: Isa = {
        #[cfg(target_arch = "x86_64")]
        let baseline = Isa::Sse2;
        #[cfg(not(target_arch = "x86_64"))]
        let baseline = ALL[ALL.len() - 1];
        baseline
    };

    /// Whether this CPU, under this operating system, has it.
    pub(crate) fn is_available(self) -> bool {
        match self {
            #[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
            Isa::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Sse2 => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                Isa::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
            }
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => true,
        }
    }

    /// The best that this CPU has.
    pub(crate) fn best() -> Self {
        static BEST: OnceNonZeroUsize = OnceNonZeroUsize::new();
        let index = BEST.get_or_init(|| {
            let best = ALL.iter().rposition(|isa| isa.is_available()).unwrap_or(0);
            NonZeroUsize::new(best + 1).unwrap_or(NonZeroUsize::MIN)
        });
        ALL[index.get() - 1]
    }

    /// All that this CPU has.
    #[cfg(test)]
    pub(crate) fn available() -> impl Iterator<Item = Isa> {
        ALL.iter().copied().filter(|isa| isa.is_available())
    }

    /// How the version string names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
            Isa::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Isa::Sse2 => "sse2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2, fma",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => "neon",
        }
    }
}
