//! Negatives that the model in training finds: its hits that are not relevant.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::data::{filtered, ranks};
use crate::error::{Error, Result};
use crate::eval::Qrels;
use crate::executor::CancelToken;
use crate::neural::Hardware;
use crate::train::data::{
    Collection, CollectionExamples, ExampleOptions, Negatives, Source, TeacherScores, Texts,
};
use crate::train::evaluation::{Development, NamedText};
use crate::train::options::TrainOptions;

/// The folder of mined negatives in the output.
const FOLDER: &str = "mined";

/// What negatives are mined from.
pub(super) struct Miner {
    collection: Arc<Collection>,
    teacher: Option<TeacherScores>,
    options: TrainOptions,
    search: Development,
}

impl Miner {
    /// Reads the queries that are trained on and the documents that are searched.
    pub(super) fn new(
        collection: Arc<Collection>,
        teacher: Option<TeacherScores>,
        options: &TrainOptions,
    ) -> Result<Self> {
        let documents = collection.sample(options.mine_documents).into_iter();
        let documents = named(collection.corpus(), documents)?;
        let queries = named(collection.queries(), collection.judged_queries())?;
        // Nothing is evaluated: the metric is not used.
        let search = Development::new(queries, documents, Qrels::new(), &options.metric)?;
        Ok(Self {
            collection,
            teacher,
            options: options.clone(),
            search,
        })
    }

    /// Mines with the model in a folder, and keeps the negatives in the output as those of a step.
    ///
    /// # Errors
    ///
    /// Those of encoding and searching; [`Error::Cancelled`]; [`Error::InvalidInput`] if the model finds
    /// no document that is not relevant.
    pub(super) fn mine(
        &self,
        folder: &Path,
        hardware: Hardware,
        step: u64,
        cancel: &CancelToken,
    ) -> Result<Arc<dyn Source>> {
        let ranks = ranks(&self.options);
        let run = self.search.results(folder, hardware, ranks.to, cancel)?;
        let found = Negatives::from_run(&self.collection, &run, "the model's results", ranks)?;
        let found = filtered(
            found,
            &self.collection,
            self.teacher.as_ref(),
            &self.options,
        )?;
        let source = self.source(&found)?;
        write(&path_of(&self.options.output, step), &found)?;
        Ok(source)
    }

    /// The examples with the negatives that were mined after a step.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and [`Error::InvalidInput`] for a file that is damaged or of other data.
    pub(super) fn read(&self, step: u64) -> Result<Arc<dyn Source>> {
        let path = path_of(&self.options.output, step);
        let file = File::open(&path).map_err(|source| Error::io(&path, "open", source))?;
        let negatives = serde_json::from_reader(BufReader::new(file)).map_err(|error| {
            Error::invalid(format!("expected mined negatives, found {error}"))
                .at_line(path.display().to_string(), 0)
        })?;
        self.source(&negatives)
    }

    fn source(&self, negatives: &Negatives) -> Result<Arc<dyn Source>> {
        let examples = ExampleOptions {
            negatives: Some(negatives),
            count: self.options.negatives,
            teacher: self.teacher.as_ref(),
        };
        let source = CollectionExamples::new(Arc::clone(&self.collection), examples)?;
        Ok(Arc::new(source))
    }
}

/// Removes the negatives that no run goes on from: those before the step of the last checkpoint's.
pub(super) fn remove_before(output: &Path, step: u64) -> Result<()> {
    let folder = output.join(FOLDER);
    let Ok(entries) = fs::read_dir(&folder) else {
        return Ok(());
    };
    let kept = path_of(output, step);
    for entry in entries.flatten() {
        // Names have a fixed number of digits, so they are in the order of steps.
        if entry.path() < kept {
            fs::remove_file(entry.path())
                .map_err(|source| Error::io(entry.path(), "remove", source))?;
        }
    }
    Ok(())
}

fn path_of(output: &Path, step: u64) -> PathBuf {
    output.join(FOLDER).join(format!("step-{step:010}.json"))
}

/// Writes a file that appears complete or not at all.
fn write(path: &Path, negatives: &Negatives) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|source| Error::io(folder, "create", source))?;
    let scratch = path.with_extension("part");
    let failed = |source| Error::io(&scratch, "write", source);
    let mut file = BufWriter::new(File::create(&scratch).map_err(failed)?);
    serde_json::to_writer(&mut file, negatives).map_err(|error| failed(error.into()))?;
    file.flush().map_err(failed)?;
    file.get_ref().sync_all().map_err(failed)?;
    fs::rename(&scratch, path).map_err(|source| Error::io(path, "rename", source))
}

fn named(texts: &Texts, numbers: impl Iterator<Item = u32>) -> Result<Vec<NamedText>> {
    let entry = |number| {
        let (id, text) = texts.entry(number)?;
        Ok(NamedText {
            id,
            text: text.text.to_string(),
        })
    };
    numbers.map(entry).collect()
}
