//! Lengths are checked without products and sums that wrap.

use super::*;

/// What a call panics with.
pub(in crate::kernels) fn panic_of(call: impl FnOnce()) -> String {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).expect_err("must panic");
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// Sizes whose products or sums are 0 beyond the address space are refused where lengths are checked.
#[test]
fn sizes_that_wrap_are_refused() {
    const HALF: usize = 1 << (usize::BITS - 1);
    let elements = Elements { values: &[1.0; 4], inputs: &[0, 1], outputs: &[0, 2], run: 2 };
    for kernels in all_kernels() {
        let matrix = pack(kernels, Format::F32, elements, |_| 0.0);
        let rows = |offset, stride| Rows { offset, stride };
        let product = |x, y, rows, residual| Product {
            x,
            run_stride: 2,
            y,
            rows,
            residual,
            activation: Activation::None,
        };
        for product in [
            product(rows(0, HALF), rows(4, 2), 3, None),
            product(rows(0, 2), rows(8, HALF), 3, None),
            product(rows(0, 2), rows(8, 2), 3, Some(rows(0, HALF))),
            product(rows(0, 2), rows(usize::MAX, 2), 3, None),
        ] {
            let said = panic_of(|| multiply(kernels, &matrix, &mut [&mut Pad::new(64)], product, None));
            assert_eq!(said, "rows end beyond the address space", "{kernels:?} {product:?}");
        }
        // a ring of 0 values, if its size wraps
        let heads = Heads { queries: 4, keys: 4, dim: 4 };
        for kept in [Kept::F32, Kept::Int16] {
            let (capacity, row) = (HALF, [0.0; 16]);
            let said = panic_of(|| kernels.remember(kept, heads, capacity, 0, &row, &row, &mut [], &mut []));
            assert_eq!(said, "rings are too small", "{kernels:?}");
            let queries = Queries { position: 0, count: 1, capacity, context: 1, stride: 16, out_stride: 16 };
            let said =
                panic_of(|| kernels.attend(kept, heads, queries, &row, &[], &[], &mut [], &mut [0.0; 16]));
            assert_eq!(said, "rings are too small", "{kernels:?}");
        }
        assert_eq!(kernels.ring_rows(usize::MAX), usize::MAX);
    }
}
