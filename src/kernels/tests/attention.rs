//! Attention against its formula.

use super::{all_kernels, noise};
use crate::kernels::{Heads, Kept, Queries};

const KEPT: [Kept; 2] = [Kept::F32, Kept::Int16];

/// A row's heads as they are kept, by the definition.
fn kept_row(kept: Kept, heads: Heads, row: &[f32]) -> Vec<f32> {
    let rounded = |head: &[f32]| {
        let scale = head.iter().fold(0.0f32, |max, x| max.max(x.abs())) / 32767.0;
        head.iter().map(|x| (x * (1.0 / scale)).round_ties_even() * scale).collect::<Vec<_>>()
    };
    match kept {
        Kept::F32 => row.to_vec(),
        Kept::Int16 => row.chunks(heads.dim).flat_map(rounded).collect(),
    }
}

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
    for (kernels, kept) in all_kernels().flat_map(|kernels| KEPT.map(|kept| (kernels, kept))) {
        for (position, count, context) in
            [(0, 1, 9), (0, 5, 3), (0, 4, 1), (2, 4, 100), (20, 3, 14), (95, 2, 7), (47, 11, 9)]
        {
            let capacity = kernels.ring_rows(context + count - 1);
            let mut noise = noise((context + count) as u64);
            let mut row = |len: usize| (0..len).map(|_| 2.0 * noise()).collect::<Vec<f32>>();
            let ring = kept.len(heads, capacity);
            let (mut keys, mut values) = (vec![0.0; ring], vec![0.0; ring]);
            for at in 0..capacity {
                let (key, value) = (row(heads.key_width()), row(heads.key_width()));
                kernels.remember(kept, heads, capacity, at, &key, &value, &mut keys, &mut values);
            }
            let (q, mut out) = (row(count * stride), row(count * out_stride));
            let mut scores = vec![0.0; Queries::scores(count, capacity, context)];
            let mut expected = out.clone();
            let queries = Queries { position, count, capacity, context, stride, out_stride };
            for index in 0..count {
                let one = Queries { position: position + index as u64, count: 1, ..queries };
                let (q, out) = (&q[index * stride..][..width], &mut expected[index * out_stride..][..width]);
                kernels.attend(kept, heads, one, q, &keys, &values, &mut scores, out);
            }
            kernels.attend(kept, heads, queries, &q, &keys, &values, &mut scores, &mut out);
            assert_eq!(out, expected, "{kernels:?} {kept:?}");
        }
    }
}

#[test]
fn attention_is_its_formula_wherever_the_ring_begins() {
    let shapes = [(4, 4, 8), (4, 2, 8), (8, 8, 64), (3, 1, 6), (2, 2, 2), (2, 1, 94)];
    for (kernels, kept) in all_kernels().flat_map(|kernels| KEPT.map(|kept| (kernels, kept))) {
        for (queries, keys, dim) in shapes {
            let heads = Heads { queries, keys, dim };
            let width = heads.key_width();
            for (capacity, count) in [(1, 1), (7, 3), (7, 7), (251, 250)] {
                let capacity = kernels.ring_rows(capacity);
                let mut noise = noise((capacity + dim) as u64);
                let mut row = |len: usize| (0..len).map(|_| 2.0 * noise()).collect::<Vec<f32>>();
                let q = row(heads.query_width());
                let (key_rows, value_rows) = (row(count * width), row(count * width));
                let as_kept = |rows: &[f32]| -> Vec<f32> {
                    rows.chunks(width).flat_map(|row| kept_row(kept, heads, row)).collect()
                };
                let expected = naive_attention(heads, &q, &as_kept(&key_rows), &as_kept(&value_rows));
                // sums of integers before they are scaled are larger
                let tolerance = if kept == Kept::F32 { 1e-5 } else { 3e-5 };
                let mut first: Option<Vec<f32>> = None;
                // The same keys in the same order, beginning elsewhere in the ring, beside other rows.
                for oldest in [0, capacity / 2, capacity - 1] {
                    let len = kept.len(heads, capacity);
                    let mut ring = (row(len), row(len));
                    for (age, (key, value)) in
                        key_rows.chunks(width).zip(value_rows.chunks(width)).enumerate()
                    {
                        let at = (oldest + age) % capacity;
                        kernels.remember(kept, heads, capacity, at, key, value, &mut ring.0, &mut ring.1);
                    }
                    let position = (oldest + count - 1) as u64;
                    let (stride, out_stride) = (q.len(), q.len());
                    let queries =
                        Queries { position, count: 1, capacity, context: count, stride, out_stride };
                    let (mut scores, mut out) = (vec![0.0; capacity + count], vec![0.0; q.len()]);
                    kernels.attend(kept, heads, queries, &q, &ring.0, &ring.1, &mut scores, &mut out);
                    for (found, expected) in out.iter().zip(&expected) {
                        assert!(
                            (f64::from(*found) - expected).abs() < tolerance,
                            "{kernels:?}: {found} is not {expected}"
                        );
                    }
                    assert_eq!(*first.get_or_insert(out.clone()), out);
                }
            }
        }
    }
}
