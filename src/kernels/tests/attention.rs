//! Attention against its formula.

use super::{all_kernels, noise};
use crate::kernels::{Heads, Queries};

/// Keys and values are rows by age.
fn naive_attention(heads: Heads, q: &[f32], keys: &[f32], values: &[f32]) -> Vec<f64> {
    let width = heads.key_width();
    let rows = keys.len() / width;
    let mut out = Vec::new();
    for head in 0..heads.queries {
        let offset = head / (heads.queries / heads.keys) * heads.dim;
        let at = |m: &[f32], row: usize, i: usize| f64::from(m[row * width + offset + i]);
        let scores: Vec<f64> = (0..rows)
            .map(|row| (0..heads.dim).map(|i| f64::from(q[head * heads.dim + i]) * at(keys, row, i)).sum())
            .collect();
        let max = scores.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        let sum: f64 = scores.iter().map(|s| (s - max).exp()).sum();
        for i in 0..heads.dim {
            out.push((0..rows).map(|row| (scores[row] - max).exp() / sum * at(values, row, i)).sum());
        }
    }
    out
}

/// Windows that grow and windows that move, in rings with no row to spare.
#[test]
fn queries_of_one_call_have_the_same_bits_as_one_by_one() {
    let heads = Heads { queries: 4, keys: 2, dim: 10 };
    let width = heads.query_width();
    let (stride, out_stride) = (width + 3, width + 5);
    for kernels in all_kernels() {
        for (position, count, context) in [(0, 1, 9), (0, 5, 3), (2, 4, 100), (20, 3, 14), (95, 2, 7)] {
            let capacity = kernels.ring_rows(context + count - 1);
            let mut noise = noise((context + count) as u64);
            let mut row = |len: usize| (0..len).map(|_| 2.0 * noise()).collect::<Vec<f32>>();
            let (keys, values) = (row(capacity * heads.key_width()), row(capacity * heads.key_width()));
            let (q, mut out) = (row(count * stride), row(count * out_stride));
            let mut scores = vec![0.0; capacity + context];
            let mut expected = out.clone();
            let queries = Queries { position, count, capacity, context, stride, out_stride };
            for index in 0..count {
                let one = Queries { position: position + index as u64, count: 1, ..queries };
                let (q, out) = (&q[index * stride..][..width], &mut expected[index * out_stride..][..width]);
                kernels.attend(heads, one, q, &keys, &values, &mut scores, out);
            }
            kernels.attend(heads, queries, &q, &keys, &values, &mut scores, &mut out);
            assert_eq!(out, expected, "{kernels:?}");
        }
    }
}

#[test]
fn attention_is_its_formula_wherever_the_ring_begins() {
    let shapes = [(4, 4, 8), (4, 2, 8), (8, 8, 64), (3, 1, 6), (2, 2, 2), (2, 1, 94)];
    for kernels in all_kernels() {
        for (queries, keys, dim) in shapes {
            let heads = Heads { queries, keys, dim };
            let width = heads.key_width();
            for (capacity, count) in [(1, 1), (7, 3), (7, 7), (251, 250)] {
                let capacity = kernels.ring_rows(capacity);
                let mut noise = noise((capacity + dim) as u64);
                let mut row = |len: usize| (0..len).map(|_| 2.0 * noise()).collect::<Vec<f32>>();
                let q = row(heads.query_width());
                let (key_rows, value_rows) = (row(count * width), row(count * width));
                let expected = naive_attention(heads, &q, &key_rows, &value_rows);
                let mut first: Option<Vec<f32>> = None;
                // The same keys in the same order, beginning elsewhere in the ring, beside other rows.
                for oldest in [0, capacity / 2, capacity - 1] {
                    let mut ring = (row(capacity * width), row(capacity * width));
                    for (age, (key, value)) in
                        key_rows.chunks(width).zip(value_rows.chunks(width)).enumerate()
                    {
                        let at = (oldest + age) % capacity;
                        kernels.remember(heads, capacity, at, key, value, &mut ring.0, &mut ring.1);
                    }
                    let position = (oldest + count - 1) as u64;
                    let (stride, out_stride) = (q.len(), q.len());
                    let queries =
                        Queries { position, count: 1, capacity, context: count, stride, out_stride };
                    let (mut scores, mut out) = (vec![0.0; capacity + count], vec![0.0; q.len()]);
                    kernels.attend(heads, queries, &q, &ring.0, &ring.1, &mut scores, &mut out);
                    for (found, expected) in out.iter().zip(&expected) {
                        assert!(
                            (f64::from(*found) - expected).abs() < 1e-5,
                            "{kernels:?}: {found} is not {expected}"
                        );
                    }
                    assert_eq!(*first.get_or_insert(out.clone()), out);
                }
            }
        }
    }
}
