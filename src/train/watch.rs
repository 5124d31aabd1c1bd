//! What a training run tells while it goes on.
//!
//! | file | concept |
//! | --- | --- |
//! | `event` | what happens in a run, as data |

mod event;

pub use event::{
    EvaluationRecord, Event, RunRecord, ShownText, SparsityRecord, StepRecord, Watcher,
};
