//! What systems cost.

use std::path::Path;

use esparsa::{FieldKind, Index, Result};

use super::folder::Folder;
use super::plan::{Plan, SystemPlan};
use super::step::StepId;
use super::vectors;
use crate::escape::escaped;
use crate::progress::duration;
use crate::size::{Size, counted, grouped};
use crate::timings::Timings;

/// What a system costs on a collection; `None` for what it does not need or was not measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cost {
    /// Of the model, on the first collection.
    pub training_seconds: Option<f64>,
    pub indexing_seconds: Option<f64>,
    pub index_bytes: Option<u64>,
    /// Of the command that found the results of all test queries.
    pub results_seconds: Option<f64>,
    /// Of one query.
    pub latency: Option<Latency>,
    /// Mean active terms of a document's sparse vector.
    pub document_terms: Option<f64>,
    /// Mean active terms of a query's sparse vector.
    pub query_terms: Option<f64>,
    /// The peak while queries were answered.
    pub memory_bytes: Option<u64>,
}

/// Milliseconds from a query to its results.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Latency {
    pub mean_ms: f64,
    pub p99_ms: f64,
}

const NOTE: &str = "The time of training is that of all models that the system's own is made of or chosen from. Times of training, indexing and all results are those of the steps, with models that are opened and \
    indexes that are read. Systems share an index where they can; a re-ranking reads the texts of the index of words, and \
    a fusion the results of others, whose cost is not counted again. A query is timed from its text to its results, one \
    query after another, models on all CPUs and searches on one: the mean and the 99th percentile of 100 searches and 20 \
    re-rankings, and for a system of several parts their sum. Memory is the peak while they were timed, mapped files \
    included.";

/// The costs of all systems on each collection.
///
/// # Errors
///
/// What reading the folder gives.
pub(super) fn costs(plan: &Plan, folder: &Folder, collections: usize) -> Result<Vec<Vec<Cost>>> {
    let of_collection = |collection: usize| {
        let systems = plan.systems.iter();
        systems
            .map(|system| cost(plan, folder, system, collection))
            .collect()
    };
    (0..collections).map(of_collection).collect()
}

fn cost(plan: &Plan, folder: &Folder, system: &SystemPlan, collection: usize) -> Result<Cost> {
    let done = |step: Option<usize>| step.map(|step| folder.done(&plan.steps[step])).transpose();
    let index = done(system.indexes.get(collection).copied())?;
    let query_terms = match system.query_vectors.get(collection) {
        Some(step) => vectors::mean_terms(&folder.output(&plan.steps[*step]))?,
        None => None,
    };
    let mut training_seconds = None;
    for step in &system.training {
        let seconds = folder.done(&plan.steps[*step])?.seconds;
        training_seconds = Some(training_seconds.unwrap_or_default() + seconds);
    }
    let document_terms = match (
        system.query_vectors.is_empty(),
        system.indexes.get(collection),
    ) {
        (false, Some(index)) => document_terms(&folder.output(&plan.steps[*index]))?,
        _ => None,
    };
    let timings = system.timings.get(collection).map(Vec::as_slice);
    let (latency, memory_bytes) = latency(plan, folder, timings.unwrap_or_default())?;
    Ok(Cost {
        training_seconds,
        latency,
        memory_bytes,
        document_terms,
        // Of systems that are never timed, other steps are a part of it.
        indexing_seconds: index
            .as_ref()
            .filter(|_| latency.is_some())
            .map(|done| done.seconds),
        index_bytes: index.map(|done| done.bytes),
        results_seconds: done(system.runs.get(collection).copied())?.map(|done| done.seconds),
        query_terms,
    })
}

/// The time of a query whose parts were timed, and the peak of the memory.
fn latency(
    plan: &Plan,
    folder: &Folder,
    timings: &[StepId],
) -> Result<(Option<Latency>, Option<u64>)> {
    let (mut latency, mut memory): (Option<Latency>, _) = (None, None);
    for step in timings.iter().map(|step| &plan.steps[*step]) {
        let part: Timings = folder.read(step)?;
        let before = latency.unwrap_or_default();
        latency = Some(Latency {
            mean_ms: before.mean_ms + part.mean_ms,
            p99_ms: before.p99_ms + part.p99_ms,
        });
        memory = folder.done(step)?.memory.max(memory);
    }
    Ok((latency, memory))
}

/// The mean number of terms of a document's sparse vector.
fn document_terms(index: &Path) -> Result<Option<f64>> {
    let snapshot = Index::open(index)?.snapshot()?;
    let mut fields = snapshot.schema().fields().iter();
    let field = fields.find(|field| field.options.kind() == FieldKind::Sparse);
    let totals = field.map(|field| snapshot.totals(field.number));
    let totals = totals.filter(|totals| totals.documents > 0);
    Ok(totals.map(|totals| totals.postings as f64 / totals.documents as f64))
}

/// What the numbers mean, and on what machine they were found, for both reports.
pub(super) fn note() -> String {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpu_name(&info).map_or(String::new(), |name| format!(" ({})", escaped(&name)));
    format!(
        "{NOTE} The machine has {}{name}.",
        counted(cpus as u64, "CPU")
    )
}

/// The name of a CPU, which on virtual machines says little, and its widest vector instructions.
fn cpu_name(info: &str) -> Option<String> {
    const WIDEST: [(&str, &str); 4] = [
        ("amx_bf16", "AMX"),
        ("avx512_bf16", "AVX-512 with bf16"),
        ("avx512f", "AVX-512"),
        ("avx2", "AVX2"),
    ];
    let value = |key| {
        let mut lines = info.lines();
        lines.find_map(|line| Some(line.strip_prefix(key)?.split_once(": ")?.1))
    };
    let name = value("model name")?.trim();
    let flags: Vec<&str> = value("flags").unwrap_or_default().split(' ').collect();
    let mut widest = WIDEST.iter();
    let widest = widest.find(|(flag, _)| flags.contains(flag));
    Some(widest.map_or(name.into(), |(_, instructions)| {
        format!("{name}, {instructions}")
    }))
}

/// The heads of the columns that some system has, and the cells of each system.
pub(super) fn table(costs: &[Cost]) -> (Vec<&'static str>, Vec<Vec<String>>) {
    type Column = (&'static str, fn(&Cost) -> Option<String>);
    const COLUMNS: [Column; 9] = [
        ("training", |cost| cost.training_seconds.map(seconds)),
        ("indexing", |cost| cost.indexing_seconds.map(seconds)),
        ("index size", |cost| {
            Some(Size(cost.index_bytes?).to_string())
        }),
        ("all results", |cost| cost.results_seconds.map(seconds)),
        ("mean of a query", |cost| {
            Some(milliseconds(cost.latency?.mean_ms))
        }),
        ("99th percentile", |cost| {
            Some(milliseconds(cost.latency?.p99_ms))
        }),
        ("terms of a document", |cost| cost.document_terms.map(terms)),
        ("terms of a query", |cost| cost.query_terms.map(terms)),
        ("memory", |cost| Some(Size(cost.memory_bytes?).to_string())),
    ];
    let shown: Vec<Column> = COLUMNS
        .into_iter()
        .filter(|(_, cell)| costs.iter().any(|cost| cell(cost).is_some()))
        .collect();
    let row = |cost: &Cost| {
        let cells = shown.iter().map(|(_, cell)| cell(cost));
        cells
            .map(|cell| cell.unwrap_or_else(|| "–".into()))
            .collect()
    };
    let rows = costs.iter().map(row).collect();
    (shown.iter().map(|(head, _)| *head).collect(), rows)
}

/// A duration with two or three digits that count.
fn seconds(seconds: f64) -> String {
    match seconds {
        ..0.9995 => milliseconds(1_000.0 * seconds),
        ..59.95 => format!("{seconds:.1} s"),
        _ => duration(seconds),
    }
}

fn milliseconds(milliseconds: f64) -> String {
    match milliseconds {
        ..9.995 => format!("{milliseconds:.2} ms"),
        ..99.95 => format!("{milliseconds:.1} ms"),
        _ => format!("{} ms", grouped(milliseconds.round() as u64)),
    }
}

fn terms(mean: f64) -> String {
    match mean {
        ..999.95 => format!("{mean:.1}"),
        _ => grouped(mean.round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_times_have_their_digits() {
        for (value, expected) in [
            (0.0, "0.00 ms"),
            (0.001_234, "1.23 ms"),
            (0.4567, "457 ms"),
            (0.9996, "1.0 s"),
            (12.34, "12.3 s"),
            (59.96, "1 min 0 s"),
            (3_725.0, "1 h 2 min"),
        ] {
            assert_eq!(seconds(value), expected);
        }
    }

    #[test]
    fn a_cpu_is_named_with_its_widest_instructions() {
        let info = |flags: &str| {
            format!("processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu {flags} sse\n")
        };
        let name = |flags| cpu_name(&info(flags)).unwrap();
        assert_eq!(name("avx2"), "AMD EPYC, AVX2");
        let zen4 = "avx2 avx512f avx512_bf16";
        assert_eq!(name(zen4), "AMD EPYC, AVX-512 with bf16");
        assert_eq!(name("sse4_2"), "AMD EPYC");
        assert_eq!(cpu_name(""), None);
    }

    #[test]
    fn what_no_system_has_is_left_out() {
        let cost = Cost {
            index_bytes: Some(1_500),
            latency: Some(Latency {
                mean_ms: 1.5,
                p99_ms: 12.25,
            }),
            ..Cost::default()
        };
        let (heads, rows) = table(&[cost, Cost::default()]);
        assert_eq!(heads, ["index size", "mean of a query", "99th percentile"]);
        assert_eq!(rows, [["1.5 kB", "1.50 ms", "12.2 ms"], ["–", "–", "–"]]);
        let (heads, rows) = table(&[Cost::default()]);
        assert!(heads.is_empty() && rows == [Vec::<String>::new()]);
    }
}
