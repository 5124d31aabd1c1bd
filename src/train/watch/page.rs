//! A page of curves that is drawn while a run goes on.
//!
//! One HTML file, which any browser opens from the disk: charts as SVG, a table of evaluations, and
//! the terms of some documents. It loads itself again until the run has ended.
//!
//! | file | concept |
//! | --- | --- |
//! | `html` | the page |
//! | `charts` | which charts it has |
//! | `plot` | a chart as SVG |
//! | `axis` | ranges, ticks and their labels |
//! | `text` | numbers, durations and dates |

mod axis;
mod charts;
mod html;
mod plot;
mod text;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::history::History;
use super::{Event, Watcher};
use crate::error::{Error, Result};

/// Time between two drawings; evaluations and warnings are drawn at once.
const BETWEEN_DRAWINGS: Duration = Duration::from_secs(5);

/// Draws the page of a run.
#[derive(Debug)]
pub struct Page {
    path: PathBuf,
    history: History,
    last_drawn: Option<Instant>,
}

impl Page {
    /// A page at `path`, of a run with this history; [`History::default`] for one that begins.
    pub fn new(path: &Path, history: History) -> Self {
        Self {
            path: path.to_path_buf(),
            history,
            last_drawn: None,
        }
    }

    /// Writes the page under another name, and renames it: a browser never sees half a page.
    fn draw(&mut self) -> Result<()> {
        self.last_drawn = Some(Instant::now());
        let page = html::page(&self.history).map_err(|error| {
            Error::invalid(format!(
                "expected curves that can be drawn, found others: {error}"
            ))
        })?;
        let mut partial = OsString::from(&self.path);
        partial.push(".partial");
        fs::write(&partial, page).map_err(|source| Error::io(&partial, "write", source))?;
        fs::rename(&partial, &self.path)
            .map_err(|source| Error::io(&self.path, "rename a file to", source))
    }
}

impl Watcher for Page {
    fn on(&mut self, event: &Event<'_>) -> Result<()> {
        self.history.on(event);
        match event {
            Event::Started(_) | Event::Finished { .. } => self.draw(),
            // A run does not end because a page could not be replaced once, as where another program
            // has it open; the next drawing may succeed, and the last one must.
            Event::Evaluated(_) | Event::Warning(_) => {
                let _ = self.draw();
                Ok(())
            }
            Event::Step(_) | Event::Saved { .. } => {
                let is_due = |drawn: Instant| drawn.elapsed() >= BETWEEN_DRAWINGS;
                if self.last_drawn.is_none_or(is_due) {
                    let _ = self.draw();
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{RunRecord, StepRecord};

    #[test]
    fn a_page_is_whole_and_drawn_seldom() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.html");
        let mut page = Page::new(&path, History::default());
        let read = || fs::read_to_string(&path).unwrap();
        page.on(&Event::Started(&RunRecord {
            steps: 10,
            ..RunRecord::default()
        }))
        .unwrap();
        let first = read();
        assert!(first.contains("Starting") && first.ends_with("</html>\n"));
        let record = StepRecord {
            step: 1,
            ..StepRecord::default()
        };
        page.on(&Event::Step(&record)).unwrap();
        assert_eq!(read(), first);
        page.last_drawn = Instant::now().checked_sub(BETWEEN_DRAWINGS);
        page.on(&Event::Step(&StepRecord { step: 2, ..record }))
            .unwrap();
        assert!(read().contains("step 2 of 10"));
        let reason = "all steps are done";
        page.on(&Event::Finished { step: 10, reason }).unwrap();
        let last = read();
        assert!(last.contains("all steps are done") && !last.contains("http-equiv"));
        let names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["train.html"]);
    }

    #[test]
    fn a_page_that_cannot_be_written_ends_a_run_at_its_start_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none").join("train.html");
        let mut page = Page::new(&path, History::default());
        assert!(page.on(&Event::Started(&RunRecord::default())).is_err());
        page.on(&Event::Warning("slow")).unwrap();
    }
}
