//! The kernels at the sizes of published models, and whether every kernel was reached.

use std::time::Instant;

use esparsa::internals::backend::conformance::wide::{self, GROUPS, Scale};
use esparsa::internals::backend::{Cuda, Device};
use serde_json::{Value, json};

use crate::checks::TOLERANCE;
use crate::failures::{Collector, go_on_in_new_process};
use crate::{Options, Result, print};

/// True if everything is as expected.
pub fn run(options: &Options) -> Result<bool> {
    let start = Instant::now();
    let (cuda, log) = Cuda::inspected(0)?;
    let mut collector = Collector::new("wide", &cuda, &log);
    let mut next = options.from;
    while let Some(group) = GROUPS.get(next) {
        next += 1;
        let (before, group_start) = (collector.count, Instant::now());
        let ended = wide::check(&cuda, TOLERANCE, Scale::Full, *group, &mut collector);
        print(json!({
            "what": "group",
            "group": format!("{group:?}"),
            "failures": collector.count - before,
            "seconds": group_start.elapsed().as_secs_f64(),
        }));
        if collector.is_lost {
            break;
        }
        ended?;
    }
    let is_whole = options.from == 0 && !collector.is_lost;
    let missed = match is_whole {
        true => log.missed(cuda.uses_wgmma()),
        false => Vec::new(),
    };
    if !missed.is_empty() {
        collector.add("coverage", &missed.join(", "), "reached by no case");
    }
    let counts = log.counts();
    let launches = counts.iter().filter(|(_, property, _)| property.is_empty());
    let launches: serde_json::Map<String, Value> = launches
        .map(|(kernel, _, count)| ((*kernel).to_owned(), json!(count)))
        .collect();
    print(json!({
        "what": "wide",
        "backend": cuda.name(),
        "failures": collector.count,
        "launches": launches,
        "missed": missed,
        "seconds": start.elapsed().as_secs_f64(),
    }));
    let has_passed = collector.count == 0;
    let is_lost = collector.is_lost;
    drop((collector, cuda));
    if is_lost && next < GROUPS.len() {
        go_on_in_new_process(next)?;
    }
    Ok(has_passed)
}
