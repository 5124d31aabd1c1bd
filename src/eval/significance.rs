//! Significance tests: paired values of two runs, Student's t test, and a correction for multiple
//! tests.

use std::collections::HashMap;

use super::evaluate::Report;
use super::metric::Metric;
use super::student::two_sided_p;
use crate::error::{Error, Result};

/// Differences between two runs in one metric, one for each query: second run minus first run.
#[derive(Clone, Debug, PartialEq)]
pub struct PairedValues {
    differences: Vec<f64>,
}

impl PairedValues {
    /// Pairs values that are in the same order of queries.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the lengths differ, if there are no values, and if a value is not
    /// finite.
    pub fn new(first: &[f64], second: &[f64]) -> Result<Self> {
        if first.len() != second.len() {
            return Err(Error::invalid(format!(
                "expected the same number of values in both runs, found {} and {}",
                first.len(),
                second.len()
            )));
        }
        if first.is_empty() {
            return Err(Error::invalid(
                "expected values of at least one query, found none",
            ));
        }
        let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| b - a).collect();
        if let Some(index) = differences.iter().position(|value| !value.is_finite()) {
            return Err(Error::invalid(format!(
                "expected finite values, found {} and {} at position {}",
                first[index],
                second[index],
                index + 1
            )));
        }
        Ok(Self { differences })
    }

    /// Pairs the values of a metric by query id; queries in only one of the reports are skipped.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if a report lacks the metric, or if they share no query.
    pub fn from_reports(first: &Report, second: &Report, metric: &Metric) -> Result<Self> {
        let missing = || {
            Error::invalid(format!(
                "expected {metric} in both reports, found it missing"
            ))
        };
        let values = first.values(metric).ok_or_else(missing)?;
        let by_query: HashMap<&str, f64> = first
            .queries()
            .iter()
            .map(String::as_str)
            .zip(values.iter().copied())
            .collect();
        let others = second.values(metric).ok_or_else(missing)?;
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for (query, &other) in second.queries().iter().zip(others) {
            if let Some(&value) = by_query.get(query.as_str()) {
                a.push(value);
                b.push(other);
            }
        }
        Self::new(&a, &b)
    }

    /// The differences, one for each query; never empty.
    pub fn differences(&self) -> &[f64] {
        &self.differences
    }

    /// Mean of the differences: positive if the second run is better.
    pub fn mean_difference(&self) -> f64 {
        self.differences.iter().sum::<f64>() / self.differences.len() as f64
    }
}

/// Result of [`paired_t_test`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct TTest {
    /// Mean difference divided by its standard error; infinite if all differences are equal.
    pub statistic: f64,
    /// Number of queries minus one.
    pub degrees_of_freedom: usize,
    /// Two-sided p-value.
    pub p_value: f64,
}

/// Student's t test for paired values, two-sided.
///
/// If all differences are equal, their variance is 0. The p-value is then 1 if they are all 0, and
/// 0 otherwise.
///
/// ```
/// use esparsa::eval::{PairedValues, paired_t_test};
///
/// let pairs = PairedValues::new(&[0.1, 0.5, 0.2, 0.4], &[0.3, 0.6, 0.5, 0.4])?;
/// let test = paired_t_test(&pairs)?;
/// assert!((test.p_value - 0.1027).abs() < 1e-4);
/// # Ok::<(), esparsa::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::InvalidInput`] if there are fewer than two queries.
pub fn paired_t_test(pairs: &PairedValues) -> Result<TTest> {
    let count = pairs.differences.len();
    if count < 2 {
        return Err(Error::invalid(
            "expected at least two queries for a t test, found one",
        ));
    }
    let degrees_of_freedom = count - 1;
    let mean = pairs.mean_difference();
    let squares = pairs.differences.iter().map(|value| (value - mean).powi(2));
    let variance = squares.sum::<f64>() / degrees_of_freedom as f64;
    let statistic = if mean == 0.0 {
        0.0
    } else {
        mean / (variance / count as f64).sqrt()
    };
    Ok(TTest {
        statistic,
        degrees_of_freedom,
        p_value: two_sided_p(statistic, degrees_of_freedom as f64),
    })
}

/// Corrects the p-values of multiple tests by the method of Holm and Bonferroni.
///
/// Returns the corrected values in the given order. Calling those below a level such as 0.05
/// significant bounds the probability of any false positive among all tests by that level.
///
/// ```
/// use esparsa::eval::holm_bonferroni;
///
/// assert_eq!(holm_bonferroni(&[0.25, 0.125, 0.0625])?, [0.25, 0.25, 0.1875]);
/// # Ok::<(), esparsa::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::InvalidInput`] for a p-value that is not between 0 and 1.
pub fn holm_bonferroni(p_values: &[f64]) -> Result<Vec<f64>> {
    if let Some(p) = p_values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(Error::invalid(format!(
            "expected p-values from 0 to 1, found {p}"
        )));
    }
    let mut ascending: Vec<usize> = (0..p_values.len()).collect();
    ascending.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut corrected = vec![0.0; p_values.len()];
    // A corrected value is at least that of every lower p-value, so the order of tests is kept.
    let mut max: f64 = 0.0;
    for (rank, &index) in ascending.iter().enumerate() {
        let tests_left = (p_values.len() - rank) as f64;
        max = max.max(p_values[index] * tests_left).min(1.0);
        corrected[index] = max;
    }
    Ok(corrected)
}

#[cfg(test)]
mod tests {
    use super::super::randomization::SplitMix64;
    use super::super::{EvaluateOptions, MissingQueries, Qrels, Run, evaluate};
    use super::*;

    fn pairs(differences: &[f64]) -> PairedValues {
        PairedValues::new(&vec![0.0; differences.len()], differences).unwrap()
    }

    #[test]
    fn equal_differences_have_a_p_value_of_0_or_1() {
        let same = pairs(&[0.0; 80]);
        assert_eq!(paired_t_test(&same).unwrap().p_value, 1.0);
        let shifted = paired_t_test(&pairs(&[0.5; 4])).unwrap();
        assert_eq!(shifted.statistic, f64::INFINITY);
        assert_eq!(shifted.p_value, 0.0);
    }

    #[test]
    fn reports_are_paired_by_query() {
        let qrels = Qrels::read("1 0 a 1\n2 0 a 1\n3 0 a 1\n".as_bytes(), "q").unwrap();
        let metrics = Metric::parse_list("mrr").unwrap();
        let options = EvaluateOptions::new().missing(MissingQueries::Skip);
        let report = |text: &str| {
            let run = Run::read(text.as_bytes(), "r").unwrap();
            evaluate(&qrels, &run, &metrics, options).unwrap()
        };
        let first = report("1 Q0 b 1 2 t\n1 Q0 a 1 1 t\n2 Q0 a 1 1 t\n");
        let second = report("1 Q0 a 1 1 t\n3 Q0 a 1 1 t\n");
        let pairs = PairedValues::from_reports(&first, &second, &metrics[0]).unwrap();
        assert_eq!(pairs.differences(), [0.5]);
        assert!(PairedValues::from_reports(&first, &second, &"map".parse().unwrap()).is_err());
        let third = report("3 Q0 a 1 1 t\n");
        assert!(PairedValues::from_reports(&first, &third, &metrics[0]).is_err());
    }

    #[test]
    fn invalid_input_is_rejected() {
        assert!(PairedValues::new(&[1.0], &[]).is_err());
        assert!(PairedValues::new(&[], &[]).is_err());
        assert!(PairedValues::new(&[1.0], &[f64::NAN]).is_err());
        assert!(paired_t_test(&pairs(&[0.5])).is_err());
        assert!(holm_bonferroni(&[0.5, 1.5]).is_err());
        assert!(holm_bonferroni(&[f64::NAN]).is_err());
    }

    #[test]
    fn holm_bonferroni_accepts_what_its_step_down_rule_accepts() {
        for seed in 0..200 {
            let mut random = SplitMix64::new(seed);
            let p_values: Vec<f64> = (0..6).map(|_| 0.2 * random.uniform().powi(2)).collect();
            let corrected = holm_bonferroni(&p_values).unwrap();
            for level in [0.01, 0.05, 0.1, 0.3] {
                // Holm: in ascending order of p, reject while p * (remaining tests) <= level.
                let mut rejected = vec![false; 6];
                let mut order: Vec<usize> = (0..6).collect();
                order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
                for (rank, &index) in order.iter().enumerate() {
                    if p_values[index] * (6 - rank) as f64 > level {
                        break;
                    }
                    rejected[index] = true;
                }
                let accepted: Vec<bool> = corrected.iter().map(|&p| p <= level).collect();
                assert_eq!(accepted, rejected, "{p_values:?} {level}");
            }
        }
        assert!(holm_bonferroni(&[]).unwrap().is_empty());
    }
}
