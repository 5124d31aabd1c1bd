//! The distance of a sparse vector from a teacher's.

use super::Loss;
use crate::backend::SparseVector;

/// The mean squared difference of the weights of two vectors over the terms that either has (arXiv
/// 2510.00671), and the gradient of each weight of `vector`. A term that only the target has adds to
/// the loss alone: its logit is not above 0, where the activation is flat.
pub fn alignment(vector: &SparseVector, target: &SparseVector) -> Loss {
    let mut loss = Loss {
        value: 0.0,
        gradient: Vec::with_capacity(vector.len()),
    };
    let square = |weight: f32| f64::from(weight) * f64::from(weight);
    let mut rest = target.iter().copied().peekable();
    let mut terms = 0;
    for (term, weight) in vector {
        while let Some((_, missing)) = rest.next_if(|(other, _)| other < term) {
            loss.value += square(missing);
            terms += 1;
        }
        let aim = rest.next_if(|(other, _)| other == term);
        let difference = f64::from(*weight) - aim.map_or(0.0, |(_, weight)| f64::from(weight));
        loss.value += difference * difference;
        loss.gradient.push(2.0 * difference);
        terms += 1;
    }
    for (_, missing) in rest {
        loss.value += square(missing);
        terms += 1;
    }
    let terms = f64::from(terms.max(1));
    loss.value /= terms;
    loss.gradient.iter_mut().for_each(|slope| *slope /= terms);
    loss
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_of_either_vector_count_once() {
        let found = alignment(
            &vec![(1, 1.0), (4, 2.0)],
            &vec![(0, 3.0), (4, 0.5), (9, 1.0)],
        );
        // Terms 0, 1, 4 and 9.
        assert_eq!(found.value, (9.0 + 1.0 + 2.25 + 1.0) / 4.0);
        assert_eq!(found.gradient, [0.5, 0.75]);
        let same = vec![(3, 0.5)];
        assert_eq!(alignment(&same, &same).value, 0.0);
        assert_eq!(alignment(&Vec::new(), &Vec::new()).value, 0.0);
    }

    #[test]
    fn the_gradient_is_the_slope() {
        let target = vec![(0, 1.5), (2, 0.25), (7, 1.0)];
        let vector = vec![(0, 0.5), (2, 2.0), (5, 0.75)];
        let found = alignment(&vector, &target);
        for place in 0..vector.len() {
            let at = |step: f32| {
                let mut moved = vector.clone();
                moved[place].1 += step;
                alignment(&moved, &target).value
            };
            let expected = (at(0.125) - at(-0.125)) / 0.25;
            assert!((found.gradient[place] - expected).abs() < 1e-9, "{place}");
        }
    }
}
