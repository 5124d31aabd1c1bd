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
use std::time::{Duration, Instant};

use esparsa::internals::format::container::FileStamp;
use esparsa::store::{Directory, Memory};
use peak_alloc::PeakAlloc;

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
/// One in so many cases is merged and loaded on too.
const USED_ONCE_IN: u64 = 6;
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
    fn lie(&self, random: &mut Random) -> (Memory, String) {
        let (name, sections) = &self.files[random.below(self.files.len() as u64) as usize];
        if random.chance(12) {
            let mut bytes = self.index.bytes(name).expect("a file").to_vec();
            change_frame(&mut bytes, random);
            let stamp = stamp_of(&bytes);
            return (
                with_file(&self.index, name, (bytes, stamp)),
                format!("{name}, frame"),
            );
        }
        let mut sections = sections.clone();
        let place = random.below(sections.len() as u64) as usize;
        let (section, field, bytes) = &mut sections[place];
        let what = format!("{name}, section {section} of field {field:?}");
        for _ in 0..1 + random.below(3) {
            change(bytes, random);
        }
        (with_sections(&self.index, name, &sections), what)
    }

    fn run(&self, seed: u64) -> Result<(), String> {
        let mut random = Random(seed);
        let (index, what) = self.lie(&mut random);
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
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            match seed.is_multiple_of(USED_ONCE_IN) {
                true => use_everything(&index, &asked),
                false => read_everything(&index, &asked),
            }
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

/// Numbers at which things change.
fn edge(random: &mut Random) -> u64 {
    let edges = [
        0,
        1,
        127,
        128,
        255,
        0xFFFF,
        0x7FFF_FFFF,
        0x8000_0000,
        0xFFFF_FFFE,
        0xFFFF_FFFF,
        1 << 32,
        1 << 63,
        u64::MAX - 7,
        u64::MAX,
    ];
    match random.below(3) {
        0 => random.below(70_000),
        1 => random.next(),
        _ => random.pick(&edges),
    }
}

/// A place in so many bytes, most often near an end: heads and footers are there.
fn place(length: usize, random: &mut Random) -> usize {
    let near = random.below(48) as usize;
    let place = match random.below(4) {
        0 => near,
        1 => length.saturating_sub(near + 1),
        _ => random.below(length.max(1) as u64) as usize,
    };
    place.min(length.saturating_sub(1))
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(with) {
        *to = *from;
    }
}

/// One change of the bytes of a section.
fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    let (at, length) = (place(bytes.len(), random), bytes.len());
    let end = length.min(at + 1 + random.below(24) as usize);
    match random.below(12) {
        0..=2 => bytes
            .iter_mut()
            .skip(at)
            .take(1)
            .for_each(|b| *b ^= 1 << random.below(8)),
        3..=4 => overwrite(bytes, at, &[random.pick(&[0, 1, 0x7F, 0x80, 0xFF])]),
        5..=6 => overwrite(bytes, at, &(edge(random) as u32).to_le_bytes()),
        7 => overwrite(bytes, at, &edge(random).to_le_bytes()),
        // A piece from elsewhere in the section.
        8 => {
            let piece = bytes.get(at..end).unwrap_or_default().to_vec();
            let to = place(length, random);
            overwrite(bytes, to, &piece);
        }
        9 => drop(bytes.drain(at.min(length)..end.min(length))),
        10 => {
            let piece = bytes.get(at..end).unwrap_or_default().to_vec();
            drop(bytes.splice(at..at, piece));
        }
        _ if random.chance(2) => bytes.truncate(at),
        _ => bytes.resize(
            length + 1 + random.below(70) as usize,
            random.pick(&[0, 0xFF]),
        ),
    }
}

/// Changes the table of the sections, the header or the trailer.
fn change_frame(bytes: &mut Vec<u8>, random: &mut Random) {
    const TRAILER_BYTES: usize = 64;
    const ENTRY_BYTES: usize = 48;
    let trailer = bytes.len() - TRAILER_BYTES;
    let table = bytes[trailer..trailer + 8]
        .try_into()
        .map_or(0, u64::from_le_bytes) as usize;
    let entries = (trailer - table) / ENTRY_BYTES;
    for _ in 0..1 + random.below(3) {
        let entry =
            |random: &mut Random| table + random.below(entries as u64) as usize * ENTRY_BYTES;
        match random.below(8) {
            // A number of an entry: the field, the flags, where the section is.
            0..=3 => {
                let at = entry(random) + random.pick(&[16, 20, 24, 32, 40]);
                overwrite(bytes, at, &edge(random).to_le_bytes());
            }
            // Another section's entry in its place.
            4..=5 => {
                let from = entry(random);
                let copied = bytes[from..from + ENTRY_BYTES].to_vec();
                let to = entry(random);
                overwrite(bytes, to, &copied);
            }
            6 => overwrite(bytes, random.below(60) as usize, &[random.next() as u8]),
            _ => overwrite(
                bytes,
                trailer + random.below(60) as usize,
                &[random.next() as u8],
            ),
        }
    }
    if random.chance(8) {
        bytes.truncate(random.below(bytes.len() as u64) as usize);
    }
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
            let seed = SEED.load(std::sync::atomic::Ordering::Relaxed);
            if seed == before {
                eprintln!("seed {seed}: it does not end");
                std::process::abort();
            }
            before = seed;
        }
    });
}

/// The seed that is being run.
static SEED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

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
        SEED.store(seed, std::sync::atomic::Ordering::Relaxed);
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
