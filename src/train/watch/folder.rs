//! The log and the page of a run in the folder that it writes.

use std::path::Path;

use super::history::History;
use super::{Event, Log, Page, Watcher, read_log};
use crate::error::Result;

/// Name of the log in the folder of a run.
pub const LOG_FILE: &str = "train.jsonl";
/// Name of the page in the folder of a run.
pub const PAGE_FILE: &str = "train.html";

/// Writes log and page of a run.
#[derive(Debug)]
pub struct FolderWatcher {
    log: Log,
    page: Page,
}

impl FolderWatcher {
    /// For a run that begins: earlier files of these names are replaced.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io).
    pub fn create(folder: &Path) -> Result<Self> {
        Ok(Self {
            log: Log::create(&folder.join(LOG_FILE))?,
            page: Page::new(&folder.join(PAGE_FILE), History::default()),
        })
    }

    /// For a run that goes on after `step`, the step of its checkpoint: what came later is cut from the
    /// log, and the page shows what the log has.
    ///
    /// # Errors
    ///
    /// Those of [`Log::resume`] and [`read_log`].
    pub fn resume(folder: &Path, step: u64) -> Result<Self> {
        let path = folder.join(LOG_FILE);
        let log = Log::resume(&path, step)?;
        let mut history = History::default();
        read_log(&path, |entry| history.on(&entry.event()))?;
        Ok(Self {
            log,
            page: Page::new(&folder.join(PAGE_FILE), history),
        })
    }
}

impl Watcher for FolderWatcher {
    fn on(&mut self, event: &Event<'_>) -> Result<()> {
        self.log.on(event)?;
        self.page.on(event)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::train::{RunRecord, StepRecord};

    #[test]
    fn a_resumed_run_has_the_page_of_the_whole_run() {
        let folder = tempfile::tempdir().unwrap();
        let run = |resumed_at| RunRecord {
            steps: 4,
            resumed_at,
            ..RunRecord::default()
        };
        let step = |step| StepRecord {
            step,
            loss: 4.0 / step as f64,
            ..StepRecord::default()
        };
        let page = || {
            let text = fs::read_to_string(folder.path().join(PAGE_FILE)).unwrap();
            // All but the time of drawing.
            text.lines()
                .filter(|line| !line.contains("drawn"))
                .collect::<String>()
        };
        let end = Event::Finished {
            step: 4,
            reason: "all steps are done",
        };
        let mut whole = FolderWatcher::create(folder.path()).unwrap();
        whole.on(&Event::Started(&run(0))).unwrap();
        (1..=4).for_each(|number| whole.on(&Event::Step(&step(number))).unwrap());
        whole.on(&end).unwrap();
        let expected = page();
        let mut resumed = FolderWatcher::resume(folder.path(), 2).unwrap();
        resumed.on(&Event::Started(&run(2))).unwrap();
        assert!(page() != expected);
        (3..=4).for_each(|number| resumed.on(&Event::Step(&step(number))).unwrap());
        resumed.on(&end).unwrap();
        assert_eq!(page(), expected);
    }
}
