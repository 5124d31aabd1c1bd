//! The report in Markdown.

use std::fmt::Write;

use esparsa::Result;

use super::config::Config;
use super::folder::Folder;
use super::plan::Plan;
use super::results::{Results, Value};
use crate::progress::duration;
use crate::size::{counted, grouped};

/// The report of a study whose steps are done.
///
/// # Errors
///
/// What reading the folder gives.
pub(super) fn markdown(
    config: &Config,
    plan: &Plan,
    folder: &Folder,
    results: &Results,
) -> Result<String> {
    let title = config.study.title.as_deref().unwrap_or("Study");
    let mut text = format!("# {title}\n");
    text += &effectiveness(config, results);
    text += &choices(plan, folder)?;
    text += &costs(config, plan, folder)?;
    Ok(text)
}

/// A row of a table.
fn row(cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<String> = cells.into_iter().collect();
    format!("| {} |\n", cells.join(" | "))
}

fn head(cells: Vec<String>) -> String {
    let rule = cells.iter().enumerate();
    let rule = rule.map(|(place, _)| if place == 0 { "---" } else { "---:" }.to_owned());
    let rule = row(rule.collect::<Vec<_>>());
    row(cells) + &rule
}

fn effectiveness(config: &Config, results: &Results) -> String {
    let systems = config.study.systems.get_ref();
    let baseline = systems[results.baseline].name.get_ref();
    let mut text = String::new();
    for (collection, found) in config
        .study
        .collections
        .get_ref()
        .iter()
        .zip(&results.collections)
    {
        let queries = counted(found.queries as u64, "test query");
        let name = collection.name.get_ref();
        let _ = write!(text, "\n## {name}: {}\n\n", queries);
        let metrics = results.metrics.iter().map(ToString::to_string);
        text += &head(
            std::iter::once("system".to_owned())
                .chain(metrics)
                .collect(),
        );
        for (system, values) in systems.iter().zip(&found.values) {
            let cells = values.iter().map(cell);
            let name = system.name.get_ref().clone();
            text += &row(std::iter::once(name).chain(cells));
        }
    }
    let _ = write!(
        text,
        "\nMeans over queries, with the 95 % interval of the bootstrap. Marks compare with {baseline}, by a paired \
         randomization test, two-sided, corrected by Holm's method for all tests on the collection: \\* p < .05, \
         \\*\\* p < .01. Few queries cannot show small differences, however many there are.\n"
    );
    text
}

fn cell(value: &Value) -> String {
    let mark = match value.p_value {
        Some(p_value) if p_value < 0.01 => "\\*\\*",
        Some(p_value) if p_value < 0.05 => "\\*",
        _ => "",
    };
    let (low, high) = value.interval;
    let p_value = value
        .p_value
        .map_or(String::new(), |p_value| format!(", p {p_value:.4}"));
    format!("{:.4}{mark} [{low:.3}, {high:.3}]{p_value}", value.mean)
}

fn choices(plan: &Plan, folder: &Folder) -> Result<String> {
    let mut text = String::new();
    for (name, choice) in &plan.choices {
        let choice = folder.choice(&plan.steps[*choice])?;
        if text.is_empty() {
            let _ = write!(
                text,
                "\n## Parameters, chosen by {} on the development queries\n\n",
                choice.metric
            );
            text += &head(
                [
                    "system or model",
                    "chosen",
                    "its mean",
                    "lowest mean",
                    "candidates",
                ]
                .map(String::from)
                .to_vec(),
            );
        }
        let means = choice.means.iter().map(|(_, mean)| *mean);
        let best = means.clone().fold(f64::MIN, f64::max);
        let lowest = means.fold(f64::MAX, f64::min);
        text += &row([
            name.clone(),
            choice.label,
            format!("{best:.4}"),
            format!("{lowest:.4}"),
            choice.means.len().to_string(),
        ]);
    }
    Ok(text)
}

fn costs(config: &Config, plan: &Plan, folder: &Folder) -> Result<String> {
    let mut text = String::from("\n## Cost\n\n");
    let heads = ["system", "training", "index", "index bytes", "results"];
    text += &head(heads.map(String::from).to_vec());
    for (system, planned) in config.study.systems.get_ref().iter().zip(&plan.systems) {
        let seconds = |steps: &[usize]| -> Result<f64> {
            let mut sum = 0.0;
            for step in steps {
                sum += folder.done(&plan.steps[*step])?.seconds;
            }
            Ok(sum)
        };
        let mut bytes = 0;
        for step in &planned.indexes {
            bytes += folder.done(&plan.steps[*step])?.bytes;
        }
        let shown = |seconds: f64, steps: &[usize]| match steps {
            [] => "-".to_owned(),
            _ => duration(seconds),
        };
        text += &row([
            system.name.get_ref().clone(),
            shown(seconds(&planned.training)?, &planned.training),
            shown(seconds(&planned.indexes)?, &planned.indexes),
            match &planned.indexes[..] {
                [] => "-".to_owned(),
                _ => grouped(bytes),
            },
            shown(seconds(&planned.runs)?, &planned.runs),
        ]);
    }
    text += "\nTimes are those of the steps, on all collections together, with models that are opened and indexes that are \
             read; systems share an index where they can.\n";
    Ok(text)
}
