//! Brute-force nearest neighbor search: every vector is scored.

/// The `k` vectors with the largest inner product for each query, in descending order; the lower
/// row wins a tie.
pub(super) fn nearest(
    queries: &[f32],
    vectors: &[f32],
    columns: usize,
    k: usize,
) -> Vec<Vec<(u32, f32)>> {
    let of_query = |query: &[f32]| {
        let rows = (0_u32..).zip(vectors.chunks_exact(columns.max(1)));
        let mut scored: Vec<_> = rows
            .map(|(number, vector)| {
                let products = query.iter().zip(vector).map(|(a, b)| f64::from(a * b));
                (number, products.sum::<f64>() as f32)
            })
            .collect();
        // Stable, so that equal products stay in row order.
        scored.sort_by(|a, b| b.1.total_cmp(&a.1));
        scored.truncate(k);
        scored
    };
    queries.chunks_exact(columns.max(1)).map(of_query).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn largest_products_come_first_and_ties_go_to_the_lower_row() {
        let vectors = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 3.0, 3.0];
        let found = nearest(&[1.0, 0.0, 0.0, 2.0], &vectors, 2, 3);
        assert_eq!(found[0], [(3, 3.0), (0, 1.0), (2, 1.0)]);
        assert_eq!(found[1], [(3, 6.0), (1, 2.0), (0, 0.0)]);
        assert_eq!(nearest(&[1.0], &[], 1, 3), [vec![]]);
    }
}
