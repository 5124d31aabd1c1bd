//! Lines about a run (temporary).
use esparsa::Result;
use esparsa::train::{Event, Watcher};

pub(super) struct Lines;

impl Lines {
    pub(super) fn new() -> Self {
        Self
    }
}

impl Watcher for Lines {
    fn on(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Step(step) if step.step % 20 == 0 || step.step < 4 => {
                crate::output::message(&format!(
                    "step {} epoch {:.3} loss {:.4} ({:.4}) acc {:.3} q {:.1} d {:.1} norm {:.2} lr {:.2e} {:.0} tok/s {:.0} s left {:.0} s",
                    step.step,
                    step.epoch,
                    step.loss,
                    step.ranking_loss,
                    step.accuracy,
                    step.queries.unwrap_or_default().active_terms,
                    step.documents.unwrap_or_default().active_terms,
                    step.gradient_norm,
                    step.learning_rate,
                    step.tokens_per_second,
                    step.seconds,
                    step.seconds_left
                ));
            }
            Event::Step(_) => {}
            event => crate::output::message(&format!("{event:?}")),
        }
        Ok(())
    }
}
