//! Candidates for parameters, of which the best on the development queries are taken.

use std::collections::BTreeMap;

use esparsa::train::TrainOptions;
use esparsa::{Error, Result};
use toml::Spanned;

use crate::study::config::{Kind, System};

/// Weights of two systems, unless a fusion says others.
const WEIGHTS: [[f64; 2]; 9] = [
    [0.1, 0.9],
    [0.2, 0.8],
    [0.3, 0.7],
    [0.4, 0.6],
    [0.5, 0.5],
    [0.6, 0.4],
    [0.7, 0.3],
    [0.8, 0.2],
    [0.9, 0.1],
];

/// The candidates for the parameters of a system: what they are, and their arguments.
pub(in crate::study) fn candidates(system: &System) -> Vec<(String, Vec<String>)> {
    fn list<T: Clone>(list: &Option<Spanned<Vec<T>>>) -> Vec<Option<T>> {
        match list {
            None => vec![None],
            Some(list) => list.get_ref().iter().cloned().map(Some).collect(),
        }
    }
    let method = system
        .method
        .as_ref()
        .map(|method| method.get_ref().as_str());
    let is_sum = system.kind == Kind::Fuse && method != Some("rrf");
    let weights = match (&system.weights, &system.of) {
        (None, Some(of)) if is_sum && of.get_ref().len() == 2 => {
            WEIGHTS.iter().map(|pair| Some(pair.to_vec())).collect()
        }
        (weights, _) => list(weights),
    };
    let mut candidates = vec![(Vec::new(), Vec::new())];
    if is_sum {
        candidates[0]
            .1
            .extend(["--method".to_owned(), "weighted-sum".to_owned()]);
    } else if system.kind == Kind::Fuse {
        candidates[0]
            .1
            .extend(["--method".to_owned(), "rrf".to_owned()]);
    }
    let texts = |numbers: &Option<Spanned<Vec<f32>>>| {
        let numbers = list(numbers).into_iter();
        numbers
            .map(|number| number.map(|number| number.to_string()))
            .collect::<Vec<_>>()
    };
    let normalizations = list(&system.normalization).into_iter();
    let normalizations = normalizations.map(|name| name.map(|name| name.get_ref().clone()));
    let weights = weights.into_iter().map(|weights| {
        let weights = weights?;
        let weights: Vec<String> = weights.iter().map(f64::to_string).collect();
        Some(weights.join(","))
    });
    let options = [
        ("k1", texts(&system.k1)),
        ("b", texts(&system.b)),
        ("normalization", normalizations.collect()),
        ("weights", weights.collect()),
    ];
    for (option, values) in options {
        let longer = candidates.iter().flat_map(|(label, arguments)| {
            values.iter().map(move |value| {
                let (mut label, mut arguments) = (label.clone(), arguments.clone());
                if let Some(value) = value {
                    label.push(format!("{option} {value}"));
                    arguments.extend([format!("--{option}"), value.clone()]);
                }
                (label, arguments)
            })
        });
        candidates = longer.collect();
    }
    let named = candidates.into_iter();
    named
        .map(|(label, arguments)| (label.join(", "), arguments))
        .collect()
}

/// The candidates for the options of a training: what they are, and all options.
///
/// # Errors
///
/// [`Error::InvalidInput`] for a key that is no option, or a value of another type.
pub(in crate::study) fn grid(
    options: &TrainOptions,
    grid: &BTreeMap<String, Vec<toml::Value>>,
) -> Result<Vec<(String, TrainOptions)>> {
    let invalid = |error: &dyn std::fmt::Display| Error::invalid(error.to_string());
    let table = toml::Table::try_from(options).map_err(|error| invalid(&error))?;
    let mut candidates = vec![(Vec::new(), table)];
    for (key, values) in grid {
        let longer = candidates.iter().flat_map(|(label, table)| {
            values.iter().map(move |value| {
                let (mut label, mut table) = (label.clone(), table.clone());
                label.push(format!("{key} {value}"));
                table.insert(key.clone(), value.clone());
                (label, table)
            })
        });
        candidates = longer.collect();
    }
    let with_options = candidates.into_iter().map(|(label, table)| {
        let options = table.try_into().map_err(|error| invalid(&error))?;
        Ok((label.join(", "), options))
    });
    with_options.collect()
}
