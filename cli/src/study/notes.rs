//! What the numbers say, in words, for both reports.
//!
//! Names of systems, collections and metrics are letters, digits and a few marks, as the check of the
//! configuration says: they need no escapes.

use super::config::{Config, Kind, System};
use super::plan::RERANKED;
use super::results::{CollectionResults, Results};

/// Below this a difference is called significant.
const SIGNIFICANT: f64 = 0.05;

fn name(system: &System) -> &str {
    system.name.get_ref()
}

/// A p value as it is written, such as `p = .012`.
pub(super) fn p_value(value: f64) -> String {
    match value {
        ..0.001 => "p < .001".to_owned(),
        0.9995.. => "p = 1".to_owned(),
        _ => format!("p = {}", format!("{value:.3}").trim_start_matches('0')),
    }
}

/// Stars for a p value.
pub(super) fn stars(value: Option<f64>) -> &'static str {
    match value {
        Some(value) if value < 0.01 => "**",
        Some(value) if value < SIGNIFICANT => "*",
        _ => "",
    }
}

/// Which system is best by the first metric, by how much, and whether that is significant.
pub(super) fn verdict(config: &Config, results: &Results, found: &CollectionResults) -> String {
    let systems = config.study.systems.get_ref();
    let metric = results.metrics.first().map(ToString::to_string);
    let metric = metric.unwrap_or_default();
    let baseline = name(&systems[results.baseline]);
    let of_baseline = found.values[results.baseline].first();
    let baseline_mean = of_baseline.map_or(0.0, |value| value.mean);
    let real = || {
        let all = systems.iter().zip(&found.values).enumerate();
        let first =
            all.filter_map(|(place, (system, values))| Some((place, system, values.first()?)));
        first.filter(|(_, system, _)| !system.kind.is_floor())
    };
    let best = real()
        .map(|(_, _, value)| value.mean)
        .fold(f64::MIN, f64::max);
    let leaders: Vec<_> = real().filter(|(_, _, value)| value.mean == best).collect();
    let Some((_, first, value)) = leaders.first() else {
        return format!("No system is compared by {metric}: all are floors.");
    };
    let others = real()
        .filter(|(place, _, _)| *place != results.baseline)
        .count();
    if leaders
        .iter()
        .any(|(place, _, _)| *place == results.baseline)
    {
        return match others {
            0 => format!("{baseline} is the only system: {metric} is {best:.4}."),
            _ => format!("No system is above the baseline {baseline} by {metric} ({best:.4})."),
        };
    }
    let names: Vec<&str> = leaders.iter().map(|(_, system, _)| name(system)).collect();
    let who = match names.len() {
        1 => format!("{} is best", name(first)),
        _ => format!("{} are best, with the same mean,", names.join(" and ")),
    };
    let judged = match value.p_value {
        Some(p) if p < SIGNIFICANT => format!("the difference is significant ({})", p_value(p)),
        Some(p) => format!(
            "the difference is not significant ({}): these queries do not show that it is better",
            p_value(p)
        ),
        None => "the difference was not tested".to_owned(),
    };
    format!(
        "{who} by {metric}: {best:.4}, {:+.4} from the baseline {baseline} ({baseline_mean:.4}); {judged}.",
        best - baseline_mean
    )
}

/// Systems that a floor is above, each with the metric.
pub(super) fn below_floors(
    config: &Config,
    results: &Results,
    found: &CollectionResults,
) -> Vec<String> {
    let systems = config.study.systems.get_ref();
    let mut notes = Vec::new();
    for (place, system) in systems.iter().enumerate() {
        for (number, metric) in results.metrics.iter().enumerate() {
            if let Some(floor) = floor_above(config, found, place, number) {
                notes.push(format!(
                    "{} is below the floor {} by {metric} ({:.4} and {:.4}): {} do better.",
                    name(system),
                    name(&systems[floor]),
                    found.values[place][number].mean,
                    found.values[floor][number].mean,
                    what_floor(&systems[floor]),
                ));
            }
        }
    }
    notes
}

/// The results of a floor.
fn what_floor(floor: &System) -> String {
    let of = source(floor).unwrap_or("another system");
    match floor.kind {
        Kind::Shuffled => format!("the results of {of} in random order"),
        Kind::Constant => format!("the results of {of} in the order of their names"),
        _ => "random documents".to_owned(),
    }
}

/// The name of the system that a floor is made from.
fn source(floor: &System) -> Option<&str> {
    let of = floor.of.as_ref()?.get_ref();
    of.first().map(|name| name.get_ref().as_str())
}

/// The highest floor that is above a system by a metric.
pub(super) fn floor_above(
    config: &Config,
    found: &CollectionResults,
    place: usize,
    metric: usize,
) -> Option<usize> {
    let systems = config.study.systems.get_ref();
    if systems[place].kind.is_floor() {
        return None;
    }
    let mean = |place: usize| found.values[place][metric].mean;
    // A metric that the order of results does not change, as recall at their number, has no floor
    // in the same results in another order.
    let is_floor = |floor: &usize| {
        let of = source(&systems[*floor]);
        let of = systems.iter().position(|s| Some(name(s)) == of);
        systems[*floor].kind.is_floor()
            && (systems[*floor].kind == Kind::Random
                || of.is_none_or(|of| mean(of) != mean(*floor)))
    };
    let above = (0..systems.len())
        .filter(is_floor)
        .filter(|floor| mean(*floor) > mean(place));
    above.max_by(|one, other| mean(*one).total_cmp(&mean(*other)))
}

/// Metrics that look at more results than a re-ranking returns.
pub(super) fn beyond_top(config: &Config, results: &Results) -> Vec<String> {
    let systems = config.study.systems.get_ref().iter();
    let reranked = systems.filter(|system| system.kind == Kind::Rerank);
    let notes = reranked.filter_map(|system| {
        let top = system.top.as_ref().map_or(RERANKED, |top| *top.get_ref());
        let is_beyond = |cutoff: Option<usize>| cutoff.is_some_and(|cutoff| cutoff > top);
        let metrics = results.metrics.iter();
        let beyond = metrics.filter(|metric| is_beyond(metric.cutoff()));
        let names: Vec<String> = beyond.map(ToString::to_string).collect();
        (!names.is_empty()).then(|| {
            format!(
                "{} returns the {top} documents that it re-ranks: no others count for {}.",
                name(system),
                names.join(", ")
            )
        })
    });
    notes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_are_short() {
        for (value, expected) in [
            (0.0, "p < .001"),
            (0.0123, "p = .012"),
            (0.5, "p = .500"),
            (0.9999, "p = 1"),
        ] {
            assert_eq!(p_value(value), expected);
        }
        assert_eq!(
            [Some(0.001), Some(0.04), Some(0.05), None].map(stars),
            ["**", "*", "", ""]
        );
    }
}
