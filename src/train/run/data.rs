//! What a run learns from, and what it is evaluated on, opened and checked.

use std::path::Path;
use std::sync::Arc;

use super::TrainKind;
use super::mining::Miner;
use super::start::threads;
use crate::error::{Error, Result};
use crate::eval::{BeirFolder, Run};
use crate::executor::CancelToken;
use crate::train::data::{
    Bm25Mining, Collection, CollectionExamples, CorpusExamples, ExampleOptions, IdTriplets, Margin,
    Negatives, ParallelTexts, Ranks, Source, TeacherScores, TextTriplets, Texts, mine_bm25,
    read_ids,
};
use crate::train::evaluation::{Development, NamedText, choose};
use crate::train::options::TrainOptions;

/// Documents whose tokens are counted, and on which a head is fitted.
const COUNTED: usize = 20_000;
/// Documents that a cross-encoder or late interaction re-ranks in an evaluation.
const CANDIDATES: usize = 20;

/// What a run learns from, and what it is evaluated on.
pub(super) struct Data {
    pub source: Arc<dyn Source>,
    pub development: Option<Development>,
    /// Mines negatives in the run, if they are to be.
    pub miner: Option<Miner>,
    /// Some documents.
    pub sample: Vec<Arc<str>>,
    /// What the person who trains should know of the data.
    pub warnings: Vec<String>,
}

impl Data {
    pub fn open(kind: TrainKind, options: &TrainOptions, cancel: &CancelToken) -> Result<Self> {
        if kind == TrainKind::Align {
            return Self::of_parallel(options);
        }
        let Some(collection) = &options.collection else {
            return Self::of_triplets(options);
        };
        if kind == TrainKind::Mlm {
            return Self::of_corpus(collection);
        }
        let opened = Arc::new(Collection::open(collection, &options.split)?);
        let teacher = match &options.teacher_run {
            Some(path) => {
                let name = path.display().to_string();
                Some(TeacherScores::from_run(&opened, &Run::open(path)?, &name)?)
            }
            None => None,
        };
        let negatives = negatives(&opened, teacher.as_ref(), options, cancel)?;
        let examples = ExampleOptions {
            negatives: negatives.as_ref(),
            count: options.negatives,
            teacher: teacher.as_ref(),
        };
        let source = CollectionExamples::new(Arc::clone(&opened), examples)?;
        let mut warnings = Vec::new();
        for (count, what) in [
            (
                source.queries_left_out(),
                "training queries are left out: the teacher scored no relevant document of theirs",
            ),
            (
                source.short_of_negatives(),
                "training queries have fewer negatives than were asked for",
            ),
        ] {
            if count > 0 {
                warnings.push(format!("{count} of {} {what}", opened.len()));
            }
        }
        let development = development(kind, options, opened.queries(), opened.corpus())?;
        let sample = sample_of(opened.corpus())?;
        let miner = match options.mine_every {
            0 => None,
            _ => Some(Miner::new(opened, teacher, options)?),
        };
        Ok(Self {
            warnings,
            development,
            miner,
            sample,
            source: Arc::new(source),
        })
    }

    /// The documents of a collection alone.
    fn of_corpus(collection: &Path) -> Result<Self> {
        let corpus = Arc::new(Texts::open(collection.join("corpus.jsonl"))?);
        Ok(Self {
            sample: sample_of(&corpus)?,
            source: Arc::new(CorpusExamples::new(corpus)?),
            development: None,
            miner: None,
            warnings: Vec::new(),
        })
    }

    /// Parallel texts; with a collection its development part is evaluated.
    fn of_parallel(options: &TrainOptions) -> Result<Self> {
        let source = Arc::new(parallel(options)?);
        let every = source.len().div_ceil(COUNTED as u64).max(1);
        let numbers = (0..source.len()).step_by(every as usize);
        let sample = numbers
            .map(|number| {
                let [_, text] = source.pair(number)?;
                Ok(text.text)
            })
            .collect::<Result<_>>()?;
        let development = match &options.collection {
            Some(folder) => {
                let queries = Texts::open(folder.join("queries.jsonl"))?;
                let corpus = Texts::open(BeirFolder::open(folder)?.corpus_path())?;
                development(TrainKind::Align, options, &queries, &corpus)?
            }
            None => None,
        };
        Ok(Self {
            source,
            development,
            miner: None,
            sample,
            warnings: Vec::new(),
        })
    }

    /// Triplets; without a collection there is no evaluation.
    fn of_triplets(options: &TrainOptions) -> Result<Self> {
        let Some(triplets) = &options.triplets else {
            return Err(Error::invalid(
                "expected a collection or triplets to train on, found none",
            ));
        };
        let scratch = options.output.join("scratch");
        let source: Arc<dyn Source> = match (&options.queries, &options.documents) {
            (None, None) => {
                let found = TextTriplets::open(triplets, &scratch)?;
                Arc::new(found.with_negatives(options.negatives))
            }
            (Some(queries), Some(documents)) => {
                let [queries, documents] = [queries, documents].map(Texts::open);
                let (queries, documents) = (Arc::new(queries?), Arc::new(documents?));
                let found = IdTriplets::open(triplets, queries, documents, &scratch)?;
                Arc::new(found.with_negatives(options.negatives))
            }
            _ => {
                return Err(Error::invalid(
                    "triplets of ids: expected queries and documents, found one of the two",
                ));
            }
        };
        let every = source.len().div_ceil(COUNTED as u64).max(1);
        let mut sample = Vec::new();
        for number in (0..source.len()).step_by(every as usize) {
            let example = source.example(number, 0, options.seed)?;
            let documents = example.candidates.into_iter();
            sample.extend(documents.map(|candidate| candidate.document.text));
        }
        Ok(Self {
            source,
            development: None,
            miner: None,
            sample,
            warnings: Vec::new(),
        })
    }
}

/// The texts of an alignment: first what the teacher reads, then its translation.
fn parallel(options: &TrainOptions) -> Result<ParallelTexts> {
    let texts = |path: &Path| match path.is_dir() {
        true => Texts::open(BeirFolder::open(path)?.corpus_path()),
        false => Texts::open(path),
    };
    match (
        &options.parallel,
        &options.parallel_documents,
        &options.documents,
    ) {
        (Some(pairs), None, None) => ParallelTexts::open(pairs),
        (None, Some(of_teacher), Some(of_student)) => {
            let only = options.parallel_ids.as_deref().map(read_ids).transpose()?;
            let (first, second) = (texts(of_teacher)?, texts(of_student)?);
            ParallelTexts::of_files(Arc::new(first), Arc::new(second), only.as_ref())
        }
        _ => Err(Error::invalid(
            "an alignment: expected either `parallel` or both `documents` and `parallel-documents`, found other parallel texts",
        )),
    }
}

/// The negatives of a collection, if there are to be any.
fn negatives(
    collection: &Collection,
    teacher: Option<&TeacherScores>,
    options: &TrainOptions,
    cancel: &CancelToken,
) -> Result<Option<Negatives>> {
    let ranks = ranks(options);
    let found = match (&options.negatives_run, options.negatives) {
        (_, 0) => return Ok(None),
        (Some(path), _) => {
            let name = path.display().to_string();
            Negatives::from_run(collection, &Run::open(path)?, &name, ranks)?
        }
        (None, _) => {
            let mining = Bm25Mining {
                analyzer: language(options).to_owned(),
                ranks,
                threads: threads(options),
                ..Bm25Mining::default()
            };
            mine_bm25(collection, &mining, cancel)?
        }
    };
    filtered(found, collection, teacher, options).map(Some)
}

/// The ranks that are negatives.
pub(super) fn ranks(options: &TrainOptions) -> Ranks {
    Ranks {
        from: options.negatives_from,
        to: options.negatives_to,
    }
}

/// Without the negatives that a teacher scores too close to the relevant documents.
pub(super) fn filtered(
    found: Negatives,
    collection: &Collection,
    teacher: Option<&TeacherScores>,
    options: &TrainOptions,
) -> Result<Negatives> {
    let margin = match (options.teacher_margin, options.teacher_margin_fraction) {
        (None, None) => return Ok(found),
        (Some(difference), None) => Margin::Absolute(difference),
        (None, Some(fraction)) => Margin::Fraction(fraction),
        _ => {
            return Err(Error::invalid(
                "expected teacher-margin or teacher-margin-fraction, found both",
            ));
        }
    };
    match teacher {
        Some(teacher) => found.filter_by_margin(collection, teacher, margin),
        None => Err(Error::invalid(
            "teacher-margin: expected a teacher's run, found none",
        )),
    }
}

/// What models are evaluated on, unless no queries are wanted.
fn development(
    kind: TrainKind,
    options: &TrainOptions,
    queries: &Texts,
    corpus: &Texts,
) -> Result<Option<Development>> {
    let (Some(folder), true) = (&options.collection, options.development_queries > 0) else {
        return Ok(None);
    };
    let qrels = BeirFolder::open(folder)?.qrels(&options.development)?;
    let (queries, documents, qrels) = choose(
        &qrels,
        &named(queries)?,
        options.development_queries,
        &named(corpus)?,
        options.development_documents,
    );
    let found = Development::new(queries, documents, qrels, &options.metric)?;
    Ok(Some(match kind {
        TrainKind::Cross => found.with_candidates(language(options), CANDIDATES)?,
        _ if options.late_interaction => found.with_candidates(language(options), CANDIDATES)?,
        _ => found,
    }))
}

fn language(options: &TrainOptions) -> &str {
    options.language.as_deref().unwrap_or("simple")
}

/// Some texts of a file.
fn sample_of(texts: &Texts) -> Result<Vec<Arc<str>>> {
    let every = (texts.len() as usize).div_ceil(COUNTED).max(1);
    let numbers = (0..texts.len()).step_by(every);
    numbers.map(|number| Ok(texts.text(number)?.text)).collect()
}

fn named(texts: &Texts) -> Result<Vec<NamedText>> {
    let numbers = 0..texts.len();
    numbers
        .map(|number| {
            let (id, text) = texts.entry(number)?;
            Ok(NamedText {
                id,
                text: text.text.to_string(),
            })
        })
        .collect()
}
