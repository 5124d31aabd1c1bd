//! Flipped bits and cut files: an error, or the answer of the undamaged index, never anything else.
//!
//! A small index is damaged in memory, in one place at a time, and then asked everything: ids,
//! stored documents, lengths, postings and searches. What a checksum covers must be reported when it
//! is verified; what none covers, the padding between sections, must not matter.

use std::ops::Range;
use std::sync::Arc;

use crate::walk::{
    Question, ask, build, open, questions, schema, scrambled, searches_with, writer,
};
use esparsa::store::{Directory, Memory};
use esparsa::{Document, Error, Index, IndexOptions, Query, Snapshot};

/// Documents of the first segment, enough for lists of several blocks, tiers and ranges.
const DOCUMENTS: u32 = 400;
/// Enough for stored documents of more than one chunk of 64 KiB.
const STORED_BYTES: usize = 250;

struct Undamaged {
    memory: Memory,
    questions: Vec<(Question, u64)>,
}

impl Undamaged {
    fn new() -> Self {
        let memory = build(DOCUMENTS, STORED_BYTES);
        let questions = questions(&open(&memory).unwrap());
        assert!(questions.len() > 100);
        Self { memory, questions }
    }

    fn names(&self) -> Vec<String> {
        self.memory.list().unwrap()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        self.memory.bytes(name).unwrap().to_vec()
    }

    /// Opens the index with `bytes` in place of a file, and asks everything. Returns the first error, if
    /// any, of opening and of verifying.
    fn check_damaged(&self, name: &str, bytes: Vec<u8>, damage: &str) -> Option<Error> {
        let before = self.memory.bytes(name).unwrap();
        self.memory.overwrite(name, bytes);
        let opened = open(&self.memory);
        self.memory.overwrite(name, before.to_vec());
        let snapshot = match opened {
            Ok(snapshot) => snapshot,
            Err(error) => return Some(error),
        };
        for (question, expected) in &self.questions {
            match ask(&snapshot, question) {
                Err(error) => assert_reports_damage(&error, damage),
                Ok(answer) => assert_eq!(answer, *expected, "{name}, {damage}: {question:?}"),
            }
        }
        verify(&snapshot).err()
    }
}

fn assert_reports_damage(error: &Error, damage: &str) {
    let damaged = matches!(error, Error::Corrupt { .. });
    assert!(damaged, "{damage}: {error}");
}

fn verify(snapshot: &Snapshot) -> Result<(), Error> {
    let segments = snapshot.segments();
    segments
        .iter()
        .try_for_each(|segment| esparsa::internals::segment::verify(&segment.reader))
}

fn number(bytes: &[u8], at: usize) -> usize {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize
}

/// The parts of a file that a checksum covers, read as `format-spec/container.md` says.
fn covered(file: &[u8]) -> Vec<Range<usize>> {
    let trailer = file.len() - 64;
    let table = number(file, trailer);
    let mut covered = vec![0..64, table..trailer, trailer..file.len()];
    for entry in file[table..trailer].chunks(48) {
        let (offset, length) = (number(entry, 24), number(entry, 32));
        let checksums = number(entry, 40);
        covered.push(offset..offset + length);
        covered.push(checksums..checksums + 4 * length.div_ceil(65_536));
    }
    covered
}

/// Flips every bit of bytes at equal distances in each part of a file, `per_part` of them or all.
fn flip_bits(undamaged: &Undamaged, name: &str, per_part: usize) -> usize {
    let bytes = undamaged.bytes(name);
    let mut flips = 0;
    for part in covered(&bytes) {
        for at in part.clone().step_by(part.len().div_ceil(per_part).max(1)) {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                let damage = format!("bit {bit} of byte {at}");
                let error = undamaged.check_damaged(name, damaged, &damage);
                assert!(error.is_some(), "{name}: {damage} was not found");
                flips += 1;
            }
        }
    }
    flips
}

#[test]
fn flipped_bits_of_segments_are_found_and_change_no_answer() {
    let undamaged = Undamaged::new();
    let mut flips = 0;
    for name in undamaged.names() {
        if name.starts_with("segment") {
            flips += flip_bits(&undamaged, &name, 4);
        }
    }
    assert!(flips > 500, "{flips}");
}

#[test]
fn flipped_bits_of_manifests_and_deletes_are_found() {
    let undamaged = Undamaged::new();
    let mut flips = 0;
    for name in undamaged.names() {
        if !name.starts_with("segment") {
            flips += flip_bits(&undamaged, &name, usize::MAX);
        }
    }
    assert!(flips > 4_000, "{flips}");
}

/// A segment whose lists are longer than a chunk of 64 KiB, so that tables and postings of a list are verified at
/// different times.
fn with_long_lists() -> Undamaged {
    let memory = Memory::new();
    let options = IndexOptions::new();
    let index = Index::create_in(Arc::new(memory.clone()), schema(), options).unwrap();
    let mut writer = writer(&index);
    for number in 0..40_000u32 {
        let weight = |step: u64| (1 + (scrambled(u64::from(number)) >> step) % 250) as f32 / 128.0;
        let terms = (0..6).filter(|term| (number / 100 + term) % 3 > 0);
        let vector: Vec<_> = terms
            .map(|term| (format!("t{term}"), weight(8 * u64::from(term) % 32)))
            .collect();
        let document = Document::new(format!("id{number:05}")).with_stored("source", "");
        writer.add(document.with_sparse("sparse", vector)).unwrap();
    }
    writer.commit().unwrap();
    let snapshot = open(&memory).unwrap();
    let query =
        |terms: &[&'static str]| Query::sparse("sparse", terms.iter().map(|term| (*term, 1.0)));
    let queries = [
        query(&["t0", "t1", "t4"]),
        query(&["t5"]),
        query(&["t2", "t3"]).with_all_terms(),
    ];
    let searches = queries.iter().flat_map(|q| searches_with(&snapshot, q));
    let mut questions: Vec<Question> = searches.collect();
    questions.push(Question::AllPostings(0, 1));
    let questions = questions.into_iter().map(|question| {
        let answer = ask(&snapshot, &question).unwrap();
        (question, answer)
    });
    Undamaged {
        memory,
        questions: questions.collect(),
    }
}

#[test]
fn flipped_bits_far_inside_a_list_are_found_when_they_are_read() {
    let undamaged = with_long_lists();
    let bytes = undamaged.bytes("segment-0000000001");
    let long = covered(&bytes)
        .into_iter()
        .filter(|part| part.len() > 2 * 65_536);
    let [impacts] = &long.collect::<Vec<_>>()[..] else {
        panic!("expected one section of several chunks, that of the lists");
    };
    let mut answered = 0;
    for at in impacts.clone().step_by(impacts.len() / 40) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        undamaged
            .memory
            .overwrite("segment-0000000001", damaged.clone());
        let snapshot = open(&undamaged.memory).unwrap();
        let asked = undamaged
            .questions
            .iter()
            .map(|(question, _)| ask(&snapshot, question));
        answered += asked.filter(Result::is_ok).count();
        undamaged
            .memory
            .overwrite("segment-0000000001", bytes.clone());
        let damage = format!("byte {at}");
        let error = undamaged.check_damaged("segment-0000000001", damaged, &damage);
        assert_reports_damage(&error.expect(&damage), &damage);
    }
    // Searches that touch none of the damage are answered.
    assert!(answered > 40, "{answered}");
}

#[test]
fn a_byte_that_is_not_zero_between_the_parts_of_a_file_is_found() {
    let undamaged = Undamaged::new();
    let mut padding = 0;
    for name in undamaged.names() {
        let bytes = undamaged.bytes(&name);
        let covered = covered(&bytes);
        let between = |at: &usize| !covered.iter().any(|part| part.contains(at));
        for at in (0..bytes.len()).filter(between).step_by(4) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xFF;
            let error = undamaged.check_damaged(&name, damaged, "padding");
            assert!(error.is_some(), "{name}, byte {at}");
            padding += 1;
        }
    }
    assert!(padding > 50, "{padding}");
}

#[test]
fn cut_and_lengthened_files_are_found_when_they_are_opened() {
    let undamaged = Undamaged::new();
    for name in undamaged.names() {
        let bytes = undamaged.bytes(&name);
        let step = bytes.len().div_ceil(1_000);
        let last = bytes.len().saturating_sub(200)..bytes.len();
        for length in (0..bytes.len()).step_by(step).chain(last) {
            let damage = format!("cut to {length} bytes");
            let cut = bytes[..length].to_vec();
            let error = undamaged.check_damaged(&name, cut, &damage);
            assert_reports_damage(&error.expect(&damage), &damage);
        }
        for more in [1, 8, 64, 4_096] {
            let damage = format!("{more} bytes too many");
            let long = [bytes.clone(), vec![0; more]].concat();
            let error = undamaged.check_damaged(&name, long, &damage);
            assert_reports_damage(&error.expect(&damage), &damage);
        }
    }
}

#[test]
fn a_missing_file_is_an_error() {
    let undamaged = Undamaged::new();
    for name in undamaged.names() {
        let bytes = undamaged.bytes(&name);
        undamaged.memory.remove(&name).unwrap();
        let error = open(&undamaged.memory).unwrap_err().to_string();
        let manifest = name.starts_with("manifest") && error.contains("is not an index");
        assert!(manifest || error.contains(&name), "{error}");
        undamaged.memory.overwrite(&name, bytes);
    }
}

#[test]
fn a_whole_file_in_the_place_of_another_is_found() {
    let undamaged = Undamaged::new();
    let names = undamaged.names();
    for name in &names {
        for other in names.iter().filter(|other| *other != name) {
            let damage = format!("holds {other}");
            let bytes = undamaged.bytes(other);
            let error = undamaged.check_damaged(name, bytes, &damage);
            assert_reports_damage(&error.expect(&damage), &damage);
        }
    }
}

#[test]
fn a_damaged_manifest_is_reported_and_gives_way_only_when_asked_to() {
    let undamaged = Undamaged::new();
    let newest = undamaged.names().into_iter().find(|n| n.starts_with("man"));
    let mut bytes = undamaged.bytes(&newest.unwrap());
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    undamaged.memory.overwrite("manifest-0000000099", bytes);
    let error = open(&undamaged.memory).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    let directory = Arc::new(undamaged.memory.clone());
    let options = IndexOptions::new().accept_older_commit();
    let snapshot = Index::open_in(directory, options)
        .unwrap()
        .snapshot()
        .unwrap();
    for (question, expected) in &undamaged.questions {
        assert_eq!(ask(&snapshot, question).unwrap(), *expected, "{question:?}");
    }
}
