//! What a training run tells while it goes on.
//!
//! Comes in: events. Goes out: a log and a page in the folder of the run. Nothing here changes a run.
//!
//! | file | concept |
//! | --- | --- |
//! | `event` | what happens in a run, as data |
//! | `log` | the log, JSON Lines |
//! | `curve` | a value over steps, in bounded memory |
//! | `history` | the state of a run and its curves |
//! | `page` | the page of curves |
//! | `folder` | log and page together |

mod curve;
mod event;
mod folder;
mod history;
mod log;
mod page;

pub use event::{
    EvaluationRecord, Event, RunRecord, ShownText, SparsityRecord, StepRecord, Watcher,
};
pub use folder::{FolderWatcher, LOG_FILE, PAGE_FILE};
#[cfg(any(test, feature = "internals"))]
pub use history::History;
pub use log::{Entry, Log, read_log};
pub use page::Page;
