//! The instruction sets, and the choice of the best that the CPU has.

use super::table::{self, Table};
use once_cell::race::OnceNonZeroUsize;
use std::num::NonZeroUsize;

/// An instruction set that kernels are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstructionSet {
    #[cfg(any(
        test,
        not(any(
            target_arch = "x86_64",
            target_arch = "aarch64",
            all(target_arch = "wasm32", target_feature = "simd128")
        ))
    ))]
    Portable,
    #[cfg(target_arch = "x86_64")]
    Sse2,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128,
}

/// The kernels of each, in the order of [`InstructionSet`]. The best is last.
static TABLES: &[&Table] = &[
    #[cfg(any(
        test,
        not(any(
            target_arch = "x86_64",
            target_arch = "aarch64",
            all(target_arch = "wasm32", target_feature = "simd128")
        ))
    ))]
    &table::PORTABLE,
    #[cfg(target_arch = "x86_64")]
    &table::SSE2,
    #[cfg(target_arch = "x86_64")]
    &table::AVX2,
    #[cfg(target_arch = "x86_64")]
    &table::AVX512,
    #[cfg(target_arch = "x86_64")]
    &table::AVX512_VNNI,
    #[cfg(target_arch = "aarch64")]
    &table::NEON,
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    &table::SIMD128,
];

impl InstructionSet {
    /// The one that every CPU of this architecture has.
    #[cfg(target_arch = "x86_64")]
    pub(crate) const BASELINE: InstructionSet = InstructionSet::Sse2;
    #[cfg(target_arch = "aarch64")]
    pub(crate) const BASELINE: InstructionSet = InstructionSet::Neon;
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    pub(crate) const BASELINE: InstructionSet = InstructionSet::Simd128;
    #[cfg(not(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        all(target_arch = "wasm32", target_feature = "simd128")
    )))]
    pub(crate) const BASELINE: InstructionSet = InstructionSet::Portable;

    /// Its kernels.
    pub(super) fn table(self) -> &'static Table {
        TABLES[self as usize]
    }

    /// The best that this CPU has.
    pub(crate) fn best() -> Self {
        static BEST: OnceNonZeroUsize = OnceNonZeroUsize::new();
        let index = BEST.get_or_init(|| {
            let best = TABLES.iter().rposition(|table| (table.is_available)()).unwrap_or(0);
            NonZeroUsize::new(best + 1).unwrap_or(NonZeroUsize::MIN)
        });
        TABLES[index.get() - 1].isa
    }

    /// The best that this CPU has and whose panels have `width` outputs.
    pub(crate) fn with_panels(width: usize) -> Option<Self> {
        let fits = |table: &&&Table| (table.is_available)() && table.panel_width == width;
        TABLES.iter().rev().find(fits).map(|table| table.isa)
    }

    /// All that this CPU has.
    #[cfg(test)]
    pub(crate) fn available() -> impl Iterator<Item = InstructionSet> {
        TABLES.iter().filter(|table| (table.is_available)()).map(|table| table.isa)
    }

    /// Its name in the version string.
    pub(crate) fn name(self) -> &'static str {
        self.table().name
    }
}
