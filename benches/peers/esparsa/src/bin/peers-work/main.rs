//! Makes folders of work: generated, or a collection in BEIR's layout.

mod beir;
mod ciff;
mod forms;
mod random;
mod sparse;
mod spelling;
mod statistics;
mod stream;
mod text;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use peers::Result;
use peers::work::{Kind, Work, push_vector};

const USAGE: &str = "\
peers-work sparse --documents N --queries Q [--seed S] [--threads T] --out WORK [--statistics]
peers-work text   --documents N --queries Q [--seed S] [--threads T] --out WORK [--statistics]
peers-work beir FOLDER --language NAME --out WORK [--statistics]
peers-work forms TEXTS --queries Q [--seed S] --out WORK
peers-work ciff WORK            writes documents.ciff, in the order of order.bin if it is there
peers-work statistics WORK      prints the statistics of a work";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    match command.as_str() {
        "sparse" | "text" => {
            let options = Options::parse(arguments)?;
            options.make(|out| match command.as_str() {
                "sparse" => make_sparse(&options, out),
                _ => make_text(&options, out),
            })
        }
        "beir" => {
            let folder = PathBuf::from(arguments.next().ok_or(USAGE)?);
            let options = Options::parse(arguments)?;
            options.make(|out| beir::make(&folder, &options.language, out))
        }
        "forms" => {
            let texts = PathBuf::from(arguments.next().ok_or(USAGE)?);
            let options = Options::parse(arguments)?;
            options.make(|out| forms::make(&texts, options.queries, options.seed, out))
        }
        "ciff" => ciff::write(&Work::open(Path::new(&arguments.next().ok_or(USAGE)?))?),
        "statistics" => statistics::print(&Work::open(Path::new(&arguments.next().ok_or(USAGE)?))?),
        _ => Err(USAGE.into()),
    }
}

struct Options {
    documents: u32,
    queries: u32,
    seed: u64,
    threads: usize,
    language: String,
    out: Option<PathBuf>,
    statistics: bool,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            documents: 100_000,
            queries: 1_000,
            seed: 1,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            language: "english".to_owned(),
            out: None,
            statistics: false,
        };
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(USAGE);
            match name.as_str() {
                "--documents" => options.documents = value()?.parse()?,
                "--queries" => options.queries = value()?.parse()?,
                "--seed" => options.seed = value()?.parse()?,
                "--threads" => options.threads = value()?.parse::<usize>()?.max(1),
                "--language" => options.language = value()?,
                "--out" => options.out = Some(PathBuf::from(value()?)),
                "--statistics" => options.statistics = true,
                _ => return Err(USAGE.into()),
            }
        }
        if options.documents == 0 {
            return Err("expected at least one document".into());
        }
        Ok(options)
    }

    /// Makes a work in its folder, which counts once `work.json` is there.
    fn make(&self, make: impl FnOnce(&Path) -> Result<Work>) -> Result<()> {
        let out = self.out.as_deref().ok_or(USAGE)?;
        if out.exists() {
            if !out.join("work.json").is_file() && out.read_dir()?.next().is_some() {
                let message =
                    "holds something that is no work; remove it, or choose another folder";
                return Err(format!("{} {message}", out.display()).into());
            }
            fs::remove_dir_all(out)?;
        }
        fs::create_dir_all(out)?;
        let work = make(out)?;
        work.save()?;
        if self.statistics {
            statistics::print(&work)?;
        }
        Ok(())
    }

    fn work(&self, kind: Kind, name: &str, out: &Path, terms: u64, postings: u64) -> Work {
        Work {
            folder: out.to_path_buf(),
            kind,
            name: name.to_owned(),
            documents: self.documents,
            queries: self.queries,
            terms,
            postings,
            seed: Some(self.seed),
        }
    }
}

fn make_sparse(options: &Options, out: &Path) -> Result<Work> {
    let (kind, documents) = (Kind::Sparse, options.documents as usize);
    let generator = sparse::Generator::new(documents, options.seed);
    let mut queries = Vec::new();
    let mut draft = sparse::Draft::new();
    for number in 0..options.queries {
        push_vector(&generator.query(number as usize, &mut draft), &mut queries);
    }
    fs::write(out.join(kind.queries_file()), queries)?;
    let postings = stream::write_records(
        &out.join(kind.documents_file()),
        documents,
        options.threads,
        || (sparse::Draft::new(), 0),
        |(draft, postings), number, bytes| {
            let vector = generator.document(number, draft);
            *postings += vector.len() as u64;
            push_vector(&vector, bytes);
        },
    )?;
    let postings = postings.iter().map(|(_, postings)| postings).sum();
    Ok(options.work(kind, "splade-like", out, sparse::TERMS as u64, postings))
}

/// What a thread keeps while it makes texts.
struct Texts {
    words: Vec<u32>,
    /// One bit for each rank that occurred.
    occurred: Vec<u64>,
    postings: u64,
}

fn make_text(options: &Options, out: &Path) -> Result<Work> {
    let (kind, documents) = (Kind::Text, options.documents as usize);
    let generator = text::Generator::new(documents, options.seed);
    let (mut queries, mut words) = (Vec::new(), Vec::new());
    for number in 0..options.queries {
        generator.query(number as usize, &mut words);
        push_line(&words, &mut queries);
    }
    fs::write(out.join(kind.queries_file()), queries)?;
    let texts = stream::write_records(
        &out.join(kind.documents_file()),
        documents,
        options.threads,
        || Texts {
            words: Vec::new(),
            occurred: vec![0; text::RANKS as usize / 64],
            postings: 0,
        },
        |texts, number, bytes| {
            generator.document(number, &mut texts.words);
            push_line(&texts.words, bytes);
            texts.words.sort_unstable();
            texts.words.dedup();
            texts.postings += texts.words.len() as u64;
            for rank in &texts.words {
                texts.occurred[*rank as usize / 64] |= 1 << (rank % 64);
            }
        },
    )?;
    let occurred = (0..text::RANKS as usize / 64).map(|place| {
        texts
            .iter()
            .fold(0, |all, texts| all | texts.occurred[place])
    });
    let terms = occurred.map(|bits| u64::from(bits.count_ones())).sum();
    let postings = texts.iter().map(|texts| texts.postings).sum();
    Ok(options.work(kind, "passages", out, terms, postings))
}

fn push_line(words: &[u32], bytes: &mut Vec<u8>) {
    for (place, rank) in words.iter().enumerate() {
        if place > 0 {
            bytes.push(b' ');
        }
        spelling::push_word(*rank, bytes);
    }
    bytes.push(b'\n');
}
