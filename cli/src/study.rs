//! `esparsa study`: which system answers the queries of which collection best.
//!
//! What comes in: a configuration in TOML, which names collections, systems and metrics. What goes
//! out: a report, as Markdown and as a page, and a folder with the output of every step. A step is a
//! command of this program, or a few lines of arithmetic on runs; nothing here indexes, searches or
//! trains.
//!
//! | file | concept |
//! | --- | --- |
//! | `config` | what a configuration says |
//! | `check` | what makes a configuration wrong, with the line |
//! | `plan` | from a configuration to steps |
//! | `step` | one step, and the hash of all that it depends on |
//! | `folder` | the outputs of steps, and which are complete |
//! | `memory` | the most memory that a step had |
//! | `choose` | the candidate that is best on the development queries |
//! | `sample` | a random sample of queries |
//! | `repeat` | sparse vectors as texts |
//! | `floor` | runs that no system should be below |
//! | `interval` | confidence intervals of means |
//! | `results` | metrics and tests of all systems |
//! | `cost` | what systems cost |
//! | `notes` | what the numbers say, in words |
//! | `wins` | queries that a system answers better or worse than the baseline |
//! | `vectors` | sparse vectors of queries |
//! | `report` | the report in Markdown |
//! | `page` | the report as a page |

mod check;
mod choose;
mod config;
mod cost;
mod floor;
mod folder;
mod interval;
mod memory;
mod notes;
mod page;
mod plan;
mod repeat;
mod report;
mod results;
mod sample;
mod step;
mod vectors;
mod wins;

use std::path::PathBuf;

use esparsa::{Error, Result};

use crate::output;
use crate::size::counted;
use config::Config;
use folder::Folder;
use plan::Plan;
use results::Results;

const EXAMPLES: &str = "\
Example of a configuration:
  title = \"English packages\"
  metrics = [\"ndcg@10\", \"recall@100\"]

  [[collections]]
  name = \"packages\"
  path = \"${COLLECTIONS}/debian-en\"
  language = \"en\"

  [[systems]]
  name = \"bm25\"
  kind = \"bm25\"
  k1 = [0.6, 0.9, 1.2]
  b = [0.3, 0.75]

  [[systems]]
  name = \"re-ranked\"
  kind = \"rerank\"
  of = [\"bm25\"]
  model = \"models/ms-marco-MiniLM-L6-v2\"";

/// Compare systems on collections: train, index, search, re-rank, fuse and evaluate.
///
/// Every step's output is kept under a hash of all that it depends on, so a study that is started
/// again does only what has changed or was not finished.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Study {
    /// The configuration.
    #[arg(value_name = "CONFIG.toml")]
    config: PathBuf,
    /// Folder for the outputs of steps and the reports [default: the configuration's name without
    /// `.toml`].
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print the steps, and which are done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Number of threads for indexing, searching and re-ranking [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
}

impl Study {
    /// Runs the study.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a configuration that is wrong, before any work begins, and what
    /// the steps give.
    pub fn run(self) -> Result<()> {
        let config = Config::read(&self.config)?;
        check::check(&config)?;
        let path = self
            .folder
            .unwrap_or_else(|| self.config.with_extension(""));
        if path == self.config || path.as_os_str().is_empty() {
            let message = "expected a configuration whose name ends with .toml, or --folder";
            return Err(Error::invalid(message));
        }
        let path = std::path::absolute(&path).map_err(|source| Error::io(&path, "find", source))?;
        check::check_folder(&config, &path)?;
        let is_of_study = path.join("steps").is_dir() || path.join("lock").is_file();
        let mut entries = std::fs::read_dir(&path).into_iter().flatten();
        if !is_of_study && entries.next().is_some() {
            return Err(Error::invalid(format!(
                "expected a folder of a study or an empty one, found other files in {}",
                path.display()
            )));
        }
        let plan = Plan::new(&config, self.threads)?;
        if self.dry_run {
            return print_steps(&plan, &Folder::new(&path));
        }
        let folder = Folder::open(&path)?;
        let done = plan
            .steps
            .iter()
            .filter(|step| folder.is_done(step))
            .count();
        output::message(&format!(
            "{}, {done} of them done",
            counted(plan.steps.len() as u64, "step")
        ));
        for (place, step) in plan.steps.iter().enumerate() {
            if !folder.is_done(step) {
                output::message(&format!(
                    "[{}/{}] {}",
                    place + 1,
                    plan.steps.len(),
                    step.name
                ));
                folder.run(step, &plan)?;
            }
        }
        let results = Results::new(&config, &plan, &folder)?;
        write_reports(&config, &plan, &folder, &results)
    }
}

fn write_reports(config: &Config, plan: &Plan, folder: &Folder, results: &Results) -> Result<()> {
    let costs = cost::costs(plan, folder, results.collections.len())?;
    let study = page::Study {
        config,
        plan,
        folder,
        results,
        costs: &costs,
    };
    let markdown = report::markdown(config, plan, folder, results, &costs)?;
    for (name, text) in [
        ("report.md", markdown),
        ("report.html", page::page(&study)?),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).map_err(|source| Error::io(&path, "write", source))?;
        output::message(&format!("wrote {}", path.display()));
    }
    Ok(())
}

fn print_steps(plan: &Plan, folder: &Folder) -> Result<()> {
    for step in &plan.steps {
        let state = if folder.is_done(step) {
            "done"
        } else {
            "to do"
        };
        output::print(format!("{state:5}  {}  {}", step.hash, step.name))?;
    }
    Ok(())
}
