//! Millions of files that lie, each with right checksums: none may panic, take long, or take memory.
//!
//! A section of a file of a small index is changed, or the table of its sections, and every checksum
//! is made right. Then the index is opened, verified, searched, merged and loaded on. A seed is a
//! case; one case runs at a time, so that the memory that the process has taken is that of the case.
//!
//! ```sh
//! cargo test --release --test resealed                              # 4,000 cases
//! cargo test --release --test resealed -- --cases 5000000 --first 1 # more; one process for each core
//! cargo test --release --test resealed -- --cases 1 --first 4711    # one of them
//! ```

// What both have in common, of which the tests of `it` use more.
#[allow(dead_code)]
#[path = "../it/hostile/change.rs"]
mod change;
#[allow(dead_code)]
#[path = "../it/lies.rs"]
mod lies;
#[allow(dead_code)]
#[path = "../it/random/generator.rs"]
mod random;
#[path = "../it/reseal.rs"]
mod reseal;
#[allow(dead_code)]
#[path = "../it/walk/mod.rs"]
mod walk;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use esparsa::internals::format::container::FileStamp;
use esparsa::store::{Directory, Memory};
use peak_alloc::PeakAlloc;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use change::change;
use lies::{Sections, read_everything, sections, use_everything, with_file, with_sections};
use random::Random;
use reseal::reseal;
use walk::{Question, build, open, questions};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const CASES: u64 = 4_000;
/// What a case may take; the index has some tens of kilobytes.
const MAX_BYTES: usize = 64 << 20;
const MAX_TIME: Duration = Duration::from_secs(1);
/// Every sixth case is merged and loaded on too.
const USED_STEP: u64 = 6;
/// The seed of the case that is running.
static SEED: AtomicU64 = AtomicU64::new(0);
/// Questions that are asked in a case.
const ASKED: usize = 12;

/// An index to change, with the sections of each file and the questions to ask.
struct Base {
    index: Memory,
    files: Vec<(String, Sections)>,
    questions: Vec<Question>,
}

impl Base {
    fn new(documents: u32) -> Self {
        let index = build(documents, 12);
        let questions = questions(&open(&index).expect("an index"));
        let names = index.list().expect("names");
        let files = names.into_iter().map(|name| {
            let sections = sections(&index, &name);
            (name, sections)
        });
        Self {
            files: files.collect(),
            questions: questions
                .into_iter()
                .map(|(question, _)| question)
                .collect(),
            index,
        }
    }

    /// An index with one file that lies, and what was done to it.
    fn lie(&self, changes: &mut Changes) -> (Memory, String) {
        let place = changes.random.below(self.files.len() as u64);
        let (name, sections) = &self.files[place as usize];
        if changes.random.chance(12) {
            let mut bytes = self.index.bytes(name).expect("a file").to_vec();
            change_frame(&mut bytes, changes);
            let stamp = stamp_of(&bytes);
            return (
                with_file(&self.index, name, (bytes, stamp)),
                format!("{name}, frame"),
            );
        }
        let mut sections = sections.clone();
        let place = changes.random.below(sections.len() as u64);
        let (section, field, bytes) = &mut sections[place as usize];
        let what = format!("{name}, section {section} of field {field:?}");
        changes.apply(bytes);
        (with_sections(&self.index, name, &sections), what)
    }

    fn run(&self, seed: u64) -> Result<(), String> {
        let mut changes = Changes::new(seed);
        let (index, what) = self.lie(&mut changes);
        let random = &mut changes.random;
        let first = random.below(self.questions.len() as u64) as usize;
        let asked = self
            .questions
            .iter()
            .cycle()
            .skip(first)
            .step_by(1 + random.below(7) as usize);
        let asked: Vec<Question> = asked.take(ASKED).cloned().collect();
        MEMORY.reset_peak_usage();
        let (before, start) = (MEMORY.current_usage(), Instant::now());
        // Merging and loading on takes longer than all else together.
        let outcome = catch_unwind(AssertUnwindSafe(|| match seed.is_multiple_of(USED_STEP) {
            true => use_everything(&index, &asked),
            false => read_everything(&index, &asked),
        }));
        let (time, bytes) = (start.elapsed(), MEMORY.peak_usage().saturating_sub(before));
        let wrong = |message: String| Err(format!("{what}: {message}"));
        match outcome {
            Err(_) => wrong("it panicked".into()),
            Ok(_) if time > MAX_TIME => wrong(format!("it took {time:?}")),
            Ok(_) if bytes > MAX_BYTES => wrong(format!("it took {} MiB", bytes >> 20)),
            Ok(_) => Ok(()),
        }
    }
}

/// The changes of a seed.
struct Changes {
    random: Random,
    runner: TestRunner,
}

impl Changes {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let mut bytes = [0; 32];
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&random.next().to_le_bytes());
        }
        let source = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self {
            random,
            runner: TestRunner::new_with_rng(Config::default(), source),
        }
    }

    /// Changes bytes one to three times.
    fn apply(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..1 + self.random.below(3) {
            let change = change().new_tree(&mut self.runner);
            change.expect("a change").current().apply(bytes);
        }
    }
}

/// Length and fingerprint as the end of a file says.
fn stamp_of(bytes: &[u8]) -> FileStamp {
    let trailer = bytes.len().saturating_sub(64);
    let fingerprint = bytes.get(trailer + 24..trailer + 28);
    let fingerprint = fingerprint.and_then(|bytes| bytes.try_into().ok());
    FileStamp {
        length: bytes.len() as u64,
        fingerprint: fingerprint.map_or(0, u32::from_le_bytes),
    }
}

/// Changes the table of the sections, the trailer with it, or the header.
fn change_frame(bytes: &mut Vec<u8>, changes: &mut Changes) {
    const TRAILER_BYTES: usize = 64;
    const ENTRY_BYTES: usize = 48;
    let trailer = bytes.len() - TRAILER_BYTES;
    let table = bytes[trailer..trailer + 8].try_into();
    let table = table.map_or(0, u64::from_le_bytes) as usize;
    let entries = ((trailer - table) / ENTRY_BYTES) as u64;
    let random = &mut changes.random;
    let entry = |random: &mut Random| table + random.below(entries) as usize * ENTRY_BYTES;
    let part = match random.below(6) {
        // One section's entry in the place of another's.
        0 => {
            let (from, to) = (entry(random), entry(random));
            bytes.copy_within(from..from + ENTRY_BYTES, to);
            to..to + ENTRY_BYTES
        }
        1 => 0..60,
        2 => trailer..trailer + 60,
        3 => table..bytes.len(),
        _ => {
            let entry = entry(random);
            entry..entry + ENTRY_BYTES
        }
    };
    let mut changed = bytes[part.clone()].to_vec();
    changes.apply(&mut changed);
    bytes.splice(part, changed);
    // Where the table leads nowhere, the checksums stay wrong.
    let _ = reseal(bytes);
}

fn options() -> Result<(u64, u64), String> {
    let (mut first, mut cases) = (1, CASES);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number = match argument.as_str() {
            "--first" => &mut first,
            "--cases" => &mut cases,
            // What `cargo test` passes to the harness of other tests means nothing here.
            _ => continue,
        };
        let value = arguments.next().unwrap_or_default();
        let parsed = value.replace('_', "").parse();
        *number =
            parsed.map_err(|_| format!("expected a number after {argument}, found `{value}`"))?;
    }
    Ok((first, cases))
}

/// Ends the process when a case does not end.
fn watch() {
    std::thread::spawn(|| {
        let mut before = 0;
        loop {
            std::thread::sleep(20 * MAX_TIME);
            let seed = SEED.load(Ordering::Relaxed);
            if seed == before {
                eprintln!("seed {seed}: it does not end");
                std::process::abort();
            }
            before = seed;
        }
    });
}

fn main() -> ExitCode {
    let (first, cases) = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let bases = [Base::new(40), Base::new(300)];
    watch();
    let start = Instant::now();
    for seed in first..first + cases {
        SEED.store(seed, Ordering::Relaxed);
        // Most of the shapes are in the small one, whose cases take a fraction of the time.
        let base = &bases[usize::from(seed.is_multiple_of(8))];
        if let Err(message) = base.run(seed) {
            eprintln!("seed {seed}: {message}");
            eprintln!(
                "repeat it: cargo test --release --test resealed -- --first {seed} --cases 1"
            );
            return ExitCode::FAILURE;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let rate = cases as f64 / seconds;
    println!("resealed: {cases} cases from seed {first}, {seconds:.1} s, {rate:.0} a second");
    ExitCode::SUCCESS
}
