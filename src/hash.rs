//! The hash by which both ends of a line see that every code arrived, in order.

use xxhash_rust::xxh64::Xxh64;

/// XXH64 with seed 0 of the codes as little-endian 32-bit words, without its lowest bit.
#[derive(Clone)]
pub(crate) struct CodesHash(Xxh64);

impl CodesHash {
    pub(crate) fn new() -> Self {
        Self(Xxh64::new(0))
    }

    pub(crate) fn update(&mut self, codes: &[u32]) {
        for code in codes {
            self.0.update(&code.to_le_bytes());
        }
    }

    pub(crate) fn digest(&self) -> i64 {
        (self.0.digest() >> 1) as i64
    }
}
