//! Bytes as changes of the files of a small index, whose checksums are then made right. What opens
//! is verified, searched and read.

#[path = "../common/edit.rs"]
mod edit;
#[path = "../common/input.rs"]
#[allow(dead_code)]
mod input;
#[path = "../../it/reseal.rs"]
mod reseal;

use std::sync::{Arc, OnceLock};

use esparsa::executor::Inline;
use esparsa::internals::format::container::FileStamp;
use esparsa::internals::format::manifest::{Manifest, deletes_file, manifest_file, segment_file};
use esparsa::internals::format::{Container, FileKind, Verify};
use esparsa::store::{Directory, Memory};
use esparsa::{
    Column, Dense, DenseElement, Document, Facet, Index, IndexOptions, MergePolicy, Query, Schema,
    SearchOptions, Snapshot, Sort, Sparse, SparseLayout, Text, Value, WriterOptions,
};

use edit::File;
use input::Input;

/// Documents of the segments.
const DOCUMENTS: [u32; 2] = [30, 6];

struct Base {
    files: Vec<File>,
    manifest: Manifest,
}

fn schema() -> Schema {
    let builder = Schema::builder()
        .text("text", Text::new().positions())
        .sparse("ranges", Sparse::new().expected_max(2.0))
        .sparse(
            "tiers",
            Sparse::new().expected_max(2.0).layout(SparseLayout::Tiers),
        )
        .dense("dense", Dense::new(3).element(DenseElement::I8))
        .column("number", Column::i64().several())
        .column("real", Column::f64())
        .column("day", Column::date())
        .column("tag", Column::keyword().several())
        .stored("source");
    builder.build().unwrap()
}

fn document(number: u32) -> Document {
    let share = number as f32 / 40.0;
    let text = format!("all w{} w{} once{number}", number % 5, number % 3);
    let weights = [
        ("all".to_owned(), 0.1 + share),
        (format!("s{}", number % 4), 1.5),
    ];
    let mut document = Document::new(format!("d{number}"))
        .with_text("text", text)
        .with_sparse("ranges", weights.clone())
        .with_sparse("tiers", weights)
        .with_stored("source", format!("{{\"number\":{number}}}"));
    if !number.is_multiple_of(4) {
        document = document
            .with_dense("dense", [share, 1.0 - share, -share])
            .with("number", i64::from(number % 7))
            .with("number", 1_000 - i64::from(number))
            .with("real", f64::from(number) / 3.0)
            .with("day", Value::Date(i64::from(number) * 86_400_000))
            .with("tag", format!("tag{}", number % 6));
    }
    document
}

impl Base {
    fn get() -> &'static Self {
        static BASE: OnceLock<Base> = OnceLock::new();
        BASE.get_or_init(Self::build)
    }

    fn build() -> Self {
        let memory = Memory::new();
        let index = Index::create_in(Arc::new(memory.clone()), schema(), IndexOptions::new());
        let index = index.unwrap();
        let options = WriterOptions::new().merge_policy(MergePolicy::never());
        let mut writer = index.writer_with(options).unwrap();
        let mut numbers = 0..;
        for documents in DOCUMENTS {
            for number in numbers.by_ref().take(documents as usize) {
                writer.add(document(number)).unwrap();
            }
            writer.commit().unwrap();
        }
        for number in [3, 4, 17] {
            writer.delete(&format!("d{number}")).unwrap();
        }
        writer.commit().unwrap();
        let commit = index.snapshot().unwrap().commit();
        drop(writer);
        let newest = manifest_file(commit);
        let names = memory.list().unwrap().into_iter();
        let names = names.filter(|name| !name.starts_with("manifest-") || *name == newest);
        let file = |name: String| File {
            bytes: memory.bytes(&name).unwrap().to_vec(),
            name,
            is_changed: false,
            is_sealed: true,
        };
        let files: Vec<File> = names.map(file).collect();
        let bytes = memory.bytes(&newest).unwrap();
        let container = Container::open(bytes, &newest, FileKind::Manifest, Verify::AtOpen);
        let manifest = Manifest::read(&container.unwrap(), commit).unwrap();
        Self { files, manifest }
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

/// The manifest that names the files as they are.
fn manifest_of(base: &Base, files: &[File]) -> Vec<u8> {
    let mut manifest = base.manifest.clone();
    let stamp = |name: String| {
        let file = files.iter().find(|file| file.name == name);
        stamp_of(&file.expect("a file of the index").bytes)
    };
    for segment in &mut manifest.segments {
        segment.stamp = stamp(segment_file(segment.number));
        if let Some(deletes) = &mut segment.deletes {
            deletes.stamp = stamp(deletes_file(deletes.number));
        }
    }
    manifest.write(Vec::new()).unwrap().0
}

pub fn run(bytes: &[u8]) {
    let base = Base::get();
    let mut files = base.files.clone();
    edit::apply(&mut files, &mut Input(bytes));
    for file in files
        .iter_mut()
        .filter(|file| file.is_changed && file.is_sealed)
    {
        // Where the table of the sections leads nowhere, the checksums stay wrong.
        let _ = reseal::reseal(&mut file.bytes);
    }
    let newest = manifest_file(base.manifest.commit);
    let named = manifest_of(base, &files);
    let memory = Memory::new();
    for file in files {
        let is_named_anew = file.name == newest && !file.is_changed;
        memory.overwrite(
            &file.name,
            if is_named_anew {
                named.clone()
            } else {
                file.bytes
            },
        );
    }
    let options = IndexOptions::new().executor(Arc::new(Inline));
    let index = Index::open_in(Arc::new(memory), options);
    if let Ok(snapshot) = index.and_then(|index| index.snapshot()) {
        read(&snapshot);
    }
}

fn queries() -> [Query; 10] {
    [
        Query::text("text", "all w1 once5"),
        Query::text("text", "all w2").with_all_terms(),
        Query::phrase("text", "w1 w2"),
        Query::prefix("text", "once1"),
        Query::sparse("ranges", [("all", 1.0), ("s1", 0.5)]),
        Query::sparse("tiers", [("all", 1.0), ("s1", 0.5)]),
        Query::dense("dense", [1.0, 0.5, 0.0]),
        Query::range("number", 2..900),
        Query::range("real", 1.5..7.0),
        Query::term("tag", "tag3"),
    ]
}

fn read(snapshot: &Snapshot) {
    for segment in 0..snapshot.segment_count() {
        let _ = snapshot.verify_segment(segment);
    }
    for query in queries() {
        for algorithm in snapshot.algorithms(&query).unwrap_or_default() {
            let _ = snapshot.search_with(&query, &SearchOptions::new(4).algorithm(algorithm));
        }
        if let Ok(hits) = snapshot.search(&query, 8) {
            hits.iter().for_each(|hit| drop((hit.id(), hit.stored())));
        }
        let _ = snapshot.count(&query);
    }
    for column in ["number", "day", "tag"] {
        let _ = snapshot.facets(&Query::all(), &[Facet::values(column, 5)]);
        let options = SearchOptions::new(5).sort(Sort::descending(column));
        let _ = snapshot.search_with(&Query::all(), &options);
    }
    for id in ["d5", "d17", "nowhere"] {
        let _ = snapshot.get(id);
    }
    let _ = snapshot.complete("text", "on", 5);
}
