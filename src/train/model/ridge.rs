//! Ridge regression of the embeddings of tokens on their hidden states.

/// Added to the diagonal of the regression, in shares of its mean.
const RIDGE: f64 = 1e-3;

/// The map (inner × hidden) for which map · state is nearest to the embedding of the state's token, by
/// weighted squares.
pub fn regression(
    states: &[f32],
    hidden: usize,
    ids: &[u32],
    weights: &[f64],
    embeddings: &[f32],
    inner: usize,
) -> Vec<f32> {
    let mut squares = vec![0.0f64; hidden * hidden];
    let mut products = vec![0.0f64; hidden * inner];
    let states = states.chunks_exact(hidden.max(1));
    for ((state, id), weight) in states.zip(ids).zip(weights) {
        let target = &embeddings[*id as usize * inner..][..inner];
        for (row, value) in state.iter().enumerate() {
            let value = weight * f64::from(*value);
            let sums = &mut squares[row * hidden..][..=row];
            for (sum, other) in sums.iter_mut().zip(state) {
                *sum += value * f64::from(*other);
            }
            let sums = &mut products[row * inner..][..inner];
            for (sum, other) in sums.iter_mut().zip(target) {
                *sum += value * f64::from(*other);
            }
        }
    }
    let trace: f64 = (0..hidden)
        .map(|place| squares[place * hidden + place])
        .sum();
    for place in 0..hidden {
        squares[place * hidden + place] += RIDGE * trace / hidden as f64;
    }
    solve(&mut squares, &mut products, hidden, inner);
    let mut map = vec![0.0; inner * hidden];
    for row in 0..hidden {
        for column in 0..inner {
            map[column * hidden + row] = products[row * inner + column] as f32;
        }
    }
    map
}

/// Solves A · X = B for a symmetric positive definite A (n × n, of which the lower triangle is read)
/// by Cholesky's factorization; X takes the place of B (n × m).
fn solve(a: &mut [f64], b: &mut [f64], n: usize, m: usize) {
    for row in 0..n {
        for column in 0..=row {
            let mut sum = a[row * n + column];
            for k in 0..column {
                sum -= a[row * n + k] * a[column * n + k];
            }
            a[row * n + column] = match row == column {
                true => sum.max(f64::MIN_POSITIVE).sqrt(),
                false => sum / a[column * n + column],
            };
        }
    }
    // L · Y = B, then Lᵀ · X = Y.
    for row in 0..n {
        let (done, rest) = b.split_at_mut(row * m);
        for k in 0..row {
            let factor = a[row * n + k];
            for (value, other) in rest[..m].iter_mut().zip(&done[k * m..][..m]) {
                *value -= factor * other;
            }
        }
        rest[..m]
            .iter_mut()
            .for_each(|value| *value /= a[row * n + row]);
    }
    for row in (0..n).rev() {
        let (rest, done) = b.split_at_mut((row + 1) * m);
        let rest = &mut rest[row * m..];
        for k in row + 1..n {
            let factor = a[k * n + row];
            for (value, other) in rest.iter_mut().zip(&done[(k - row - 1) * m..][..m]) {
                *value -= factor * other;
            }
        }
        rest.iter_mut().for_each(|value| *value /= a[row * n + row]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_are_solved() {
        let a = [4.0, 0.0, 0.0, 2.0, 5.0, 0.0, 1.0, 3.0, 6.0];
        let full = |row: usize, column: usize| a[row.max(column) * 3 + row.min(column)];
        let x = [1.0, -2.0, 0.5, 3.0, -1.0, 4.0];
        let mut b = vec![0.0; 6];
        for row in 0..3 {
            for column in 0..2 {
                b[row * 2 + column] = (0..3).map(|k| full(row, k) * x[k * 2 + column]).sum();
            }
        }
        solve(&mut a.to_vec(), &mut b, 3, 2);
        for (found, expected) in b.iter().zip(x) {
            assert!((found - expected).abs() < 1e-9);
        }
    }

    /// States that are a linear map of their tokens' embeddings give the inverse map, whatever the
    /// weights are.
    #[test]
    fn the_inverse_of_a_map_is_found() {
        let embeddings = [1.0f32, 0.0, 0.0, 1.0, 2.0, -1.0, -1.0, 3.0];
        let forward = [2.0f32, 1.0, 0.0, 4.0];
        let ids = [0u32, 1, 2, 3, 1, 1];
        let states: Vec<f32> = ids
            .iter()
            .flat_map(|id| {
                let e = &embeddings[*id as usize * 2..][..2];
                [0, 1].map(|row| forward[row * 2] * e[0] + forward[row * 2 + 1] * e[1])
            })
            .collect();
        let weights = [1.0, 0.5, 2.0, 1.0, 0.25, 0.25];
        let map = regression(&states, 2, &ids, &weights, &embeddings, 2);
        for (found, expected) in map.iter().zip([0.5f32, -0.125, 0.0, 0.25]) {
            assert!((found - expected).abs() < 5e-3, "{map:?}");
        }
    }
}
