//! Sections of indexes, each behind the bytes that its target reads first.

use std::path::Path;

use esparsa::internals::format::block::{self, BEFORE_FIRST};
use esparsa::internals::format::dictionary::{TermEntry, TermPositions, TermPostings};
use esparsa::internals::format::range_list::RangeListEncoder;
use esparsa::internals::segment::{FieldReader, SegmentReader};
use esparsa::{Column, ColumnType, FieldOptions, Index, Schema, Snapshot, Sparse, Text};

use super::Seeds;
use crate::walk;

/// Terms of a field that give a seed.
const TERMS: usize = 12;

pub fn all() -> Vec<Seeds> {
    let snapshots = snapshots();
    let mut all = vec![
        ("block", blocks()),
        ("range_list", range_lists()),
        ("container", containers()),
        ("manifest", manifests()),
    ];
    let schemas = snapshots.iter().map(|snapshot| snapshot.schema().encode());
    all.push((
        "schema",
        schemas.chain(small_schemas().map(|s| s.encode())).collect(),
    ));
    for snapshot in &snapshots {
        for segment in snapshot.segments() {
            let reader = &segment.reader;
            all.extend(of_segment(reader));
            for (number, field) in reader.fields() {
                let options = &snapshot.schema().field_numbered(*number).unwrap().options;
                let seeds = of_field(reader, *number, field, options);
                all.extend(seeds.into_iter().map(|(target, seed)| (target, vec![seed])));
            }
        }
    }
    merged(all)
}

/// All seeds of a target together, so that their files get different names.
fn merged(all: Vec<Seeds>) -> Vec<Seeds> {
    let mut by_target = std::collections::BTreeMap::<&'static str, Vec<Vec<u8>>>::new();
    for (target, seeds) in all {
        by_target.entry(target).or_default().extend(seeds);
    }
    by_target.into_iter().collect()
}

fn golden(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("format-spec")
        .join(name)
}

fn snapshots() -> Vec<Snapshot> {
    let opened = ["golden", "golden-positions"].map(|name| {
        let index = Index::open(golden(name)).unwrap();
        index.snapshot().unwrap()
    });
    let small = walk::open(&walk::build(40, 12)).unwrap();
    opened.into_iter().chain([small]).collect()
}

fn blocks() -> Vec<Vec<u8>> {
    let one = |count: u32, step: u32, value: u32| {
        let documents: Vec<u32> = (0..count).map(|number| 3 + number * step).collect();
        let values: Vec<u32> = (0..count).map(|number| 1 + number * value % 900).collect();
        let mut bytes = vec![(count - 1) as u8];
        block::encode(BEFORE_FIRST, &documents, &values, &mut bytes);
        bytes
    };
    vec![
        one(1, 1, 0),
        one(7, 100, 3),
        one(128, 1, 0),
        one(128, 9, 1),
        one(128, 70_000, 77),
    ]
}

fn range_lists() -> Vec<Vec<u8>> {
    let one = |count: u32, step: u32| {
        let documents: Vec<u32> = (0..count).map(|number| number * step).collect();
        let impacts: Vec<u32> = (0..count).map(|number| 1 + number * 37 % 255).collect();
        let of_segment = (count * step + 1).min(9_999);
        let mut bytes = (of_segment as u16).to_le_bytes().to_vec();
        bytes.extend((count as u16).to_le_bytes());
        bytes.extend([0, 0]);
        let encoded =
            RangeListEncoder::default().encode(&documents, &impacts, of_segment, &mut bytes);
        encoded.unwrap();
        bytes
    };
    vec![
        one(1, 1),
        one(20, 3),
        one(300, 2),
        one(600, 16),
        one(9_000, 1),
    ]
}

fn containers() -> Vec<Vec<u8>> {
    let files = [
        (0, "golden-positions/segment-0000000003"),
        (0, "golden-positions/segment-0000000004"),
        (1, "golden/deletes-0000000003"),
        (2, "golden/manifest-0000000005"),
        (2, "golden-positions/manifest-0000000004"),
    ];
    let files = files.into_iter().map(|(kind, name)| {
        let bytes = std::fs::read(golden(name)).unwrap();
        [&[kind], &bytes[..]].concat()
    });
    files.collect()
}

/// Schemas that are short enough for one byte to say their length.
fn small_schemas() -> [Schema; 4] {
    let text = Schema::builder().text("t", Text::new().positions());
    let sparse = Schema::builder().sparse("s", Sparse::new().max_weight(3.0));
    let column = Schema::builder().column("c", Column::keyword().several());
    let stored = Schema::builder().stored("d");
    [text, sparse, column, stored].map(|builder| builder.build().unwrap())
}

fn manifests() -> Vec<Vec<u8>> {
    let mut segment = [1u64, 4_096, 77, 0, 0, 0, 0, 0];
    segment[2] |= 12 << 32;
    let segment: Vec<u8> = segment.into_iter().flat_map(u64::to_le_bytes).collect();
    let calibration: Vec<u8> = [1_000u64, 10]
        .into_iter()
        .flat_map(u64::to_le_bytes)
        .collect();
    let point = [0.5f32, 0.9, 0.95, 120.0].map(f32::to_le_bytes).concat();
    let calibration = [&calibration[..], &10u32.to_le_bytes(), &point].concat();
    let seeds = small_schemas().map(|schema| {
        let schema = schema.encode();
        let commit: Vec<u8> = [3u64, 9].into_iter().flat_map(u64::to_le_bytes).collect();
        let head = [schema.len() as u8];
        [&head, &commit[..], &schema, &segment, &calibration].concat()
    });
    seeds.into_iter().collect()
}

fn section(reader: &SegmentReader, name: &str, field: Option<u32>) -> Vec<u8> {
    let section = reader.container().find(name, field);
    section.map_or_else(Vec::new, |section| section.all().unwrap().to_vec())
}

fn of_segment(reader: &SegmentReader) -> Vec<Seeds> {
    let part = |name: &str| section(reader, name, None);
    let ids = part("ids");
    let ids = [
        &(ids.len() as u16).to_le_bytes(),
        &ids[..],
        &part("id-order"),
    ]
    .concat();
    let documents = reader.documents() as u16;
    let words = usize::from(documents).div_ceil(64);
    let head = [u32::from(documents).to_le_bytes(), 1u32.to_le_bytes()].concat();
    let deleted = [
        &documents.to_le_bytes(),
        &head[..],
        &[4],
        &vec![0; 8 * words - 1],
    ]
    .concat();
    let index = part("stored-index");
    let stored = [&[(index.len() / 16) as u8], &index[..], &part("stored")].concat();
    vec![
        ("ids", vec![ids]),
        ("deletes", vec![deleted]),
        ("stored", vec![stored]),
        ("segment_info", vec![part("info")]),
    ]
}

type Seed = (&'static str, Vec<u8>);

fn of_field(
    reader: &SegmentReader,
    number: u32,
    field: &FieldReader,
    options: &FieldOptions,
) -> Vec<Seed> {
    let part = |name: &str| section(reader, name, Some(number));
    match (field, options) {
        (FieldReader::Text(_), _) => {
            let (postings, positions) = (part("postings"), part("positions"));
            let lists = entries(field).into_iter().flat_map(|entry| {
                let text = text_postings(&entry, &postings);
                [
                    Some(("text_postings", text)),
                    of_positions(&entry, &positions),
                ]
            });
            let dictionary = ("dictionary", part("terms"));
            lists.flatten().chain([dictionary]).collect()
        }
        (FieldReader::Sparse(_), _) => {
            let impacts = part("impacts");
            let lists = entries(field).into_iter();
            lists
                .filter_map(|entry| sparse_postings(&entry, &impacts))
                .collect()
        }
        (FieldReader::Dense(vectors), FieldOptions::Dense(dense)) => {
            let element = ["F32", "F16", "I8"];
            let kind = format!("{:?}", dense.element);
            let kind = element.iter().position(|name| *name == kind).unwrap();
            let head = [dense.dimensions as u8 - 1, kind as u8];
            let rows = [reader.documents() as u8, vectors.rows() as u8];
            let (rows_of, scales) = (part("vectors"), part("vector-scales"));
            let cuts = [rows_of.len(), rows_of.len() + scales.len()];
            let cuts = cuts.map(|cut| (cut as u16).to_le_bytes()).concat();
            let sections = [rows_of, scales, part("vector-documents")].concat();
            vec![("dense", [&head[..], &rows, &cuts, &sections].concat())]
        }
        (_, FieldOptions::Column(column)) => vec![("column", of_column(reader, column, &part))],
        _ => Vec::new(),
    }
}

fn of_column(reader: &SegmentReader, column: &Column, part: &dyn Fn(&str) -> Vec<u8>) -> Vec<u8> {
    let kind = ColumnType::ALL
        .iter()
        .position(|kind| *kind == column.column_type);
    let documents = reader.documents().to_le_bytes();
    let names = [
        "column-values",
        "column-documents",
        "column-starts",
        "column-keywords",
    ];
    let sections = names.map(part);
    let (mut cuts, mut end) = (Vec::new(), 0);
    for section in &sections[..3] {
        end += section.len();
        cuts.extend((end as u16).to_le_bytes());
    }
    let head = [&[kind.unwrap() as u8], &documents[..3]].concat();
    [&head[..], &cuts, &sections.concat()].concat()
}

/// The entries of some terms.
fn entries(field: &FieldReader) -> Vec<TermEntry> {
    let mut terms = field.terms().expect("terms").iter();
    let mut found = Vec::new();
    while let Some(entry) = terms.next_term().unwrap() {
        found.push(entry);
    }
    // Lists of all lengths, the longest among them.
    found.sort_by_key(|entry| std::cmp::Reverse(entry.document_frequency));
    let step = found.len().div_ceil(TERMS).max(1);
    found.into_iter().step_by(step).collect()
}

fn bytes_of(section: &[u8], offset: u64, length: u64) -> Vec<u8> {
    section[offset as usize..(offset + length) as usize].to_vec()
}

fn text_postings(entry: &TermEntry, postings: &[u8]) -> Vec<u8> {
    let count = entry.document_frequency.to_le_bytes();
    match entry.postings {
        TermPostings::Single { document, value } => [document.to_le_bytes(), value.to_le_bytes()]
            .concat()
            .into_iter()
            .chain([0])
            .collect(),
        TermPostings::List { offset, length } => {
            let list = bytes_of(postings, offset, length);
            [&(length as u32).to_le_bytes()[..], &count, &[1], &list].concat()
        }
    }
}

fn sparse_postings(entry: &TermEntry, impacts: &[u8]) -> Option<Seed> {
    let TermPostings::List { offset, length } = entry.postings else {
        return None;
    };
    let count = entry.document_frequency as u16;
    let head = [count.to_le_bytes(), (length as u16).to_le_bytes()].concat();
    let list = bytes_of(impacts, offset, length);
    Some(("sparse_postings", [&head[..], &[0, 0], &list].concat()))
}

fn of_positions(entry: &TermEntry, positions: &[u8]) -> Option<Seed> {
    let TermPositions::List { offset, length } = entry.positions else {
        return None;
    };
    let count = (entry.document_frequency as u16).to_le_bytes();
    let length_of = (length as u16).to_le_bytes();
    let list = bytes_of(positions, offset, length);
    Some((
        "positions",
        [&count[..], &[0], &length_of, &[0, 0, 0], &list].concat(),
    ))
}
