//! The report in Markdown.

use std::fmt::Write;

use esparsa::Result;

use super::choose::HEADS;
use super::config::Config;
use super::cost::{self, Cost};
use super::folder::Folder;
use super::notes;
use super::plan::Plan;
use super::results::{Results, Value};
use crate::escape::escaped;
use crate::size::counted;

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
    costs: &[Vec<Cost>],
) -> Result<String> {
    let title = config.study.title.as_deref().unwrap_or("Study");
    let mut text = format!("# {}\n", escaped(title));
    text += &effectiveness(config, results);
    text += &choices(plan, folder)?;
    text += &cost_tables(config, costs);
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
        let queries = counted(found.queries.len() as u64, "test query");
        let name = collection.name.get_ref();
        let verdict = notes::verdict(config, results, found);
        let _ = write!(text, "\n## {name}: {queries}\n\n{verdict}\n\n");
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
        let beyond = notes::beyond_top(config, results);
        for note in notes::below_floors(config, results, found)
            .iter()
            .chain(&beyond)
        {
            let _ = write!(text, "\n{note}\n");
        }
    }
    let _ = write!(
        text,
        "\nMeans over queries, with the 95 % interval of the bootstrap. Marks compare with {baseline}, by a paired \
         randomization test, two-sided, corrected by Holm's method for all tests on the collection: \\* p < .05, \
         \\*\\* p < .01. Floors are not tested. Few queries cannot show small differences, however many there are.\n"
    );
    text
}

fn cell(value: &Value) -> String {
    let mark = notes::stars(value.p_value).replace('*', "\\*");
    let (low, high) = value.interval;
    let p_value = value.p_value.map_or(String::new(), |p_value| {
        format!(", {}", notes::p_value(p_value))
    });
    format!("{:.4}{mark} [{low:.3}, {high:.3}]{p_value}", value.mean)
}

fn choices(plan: &Plan, folder: &Folder) -> Result<String> {
    let mut text = String::new();
    for (name, choice) in &plan.choices {
        let choice = folder.choice(&plan.steps[*choice])?;
        if text.is_empty() {
            text += "\n## Parameters, chosen on the development queries\n\n";
            text += &head(HEADS.map(String::from).to_vec());
        }
        text += &row(std::iter::once(name.clone()).chain(choice.cells()));
    }
    Ok(text)
}

fn cost_tables(config: &Config, costs: &[Vec<Cost>]) -> String {
    let mut text = String::from("\n## Cost\n");
    for (collection, costs) in config.study.collections.get_ref().iter().zip(costs) {
        let (heads, rows) = cost::table(costs);
        let _ = write!(text, "\n### {}\n\n", collection.name.get_ref());
        let heads = std::iter::once("system").chain(heads);
        text += &head(heads.map(String::from).collect());
        for (system, cells) in config.study.systems.get_ref().iter().zip(rows) {
            text += &row(std::iter::once(system.name.get_ref().clone()).chain(cells));
        }
    }
    let _ = write!(text, "\n{}\n", cost::note());
    text
}
