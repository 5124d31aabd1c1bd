//! What the Rust reader sees of an index, in the words of `format-spec/reader.py`.

use std::path::Path;
use std::sync::Arc;

use esparsa::Index;
use esparsa::Value as ColumnValue;
use esparsa::internals::format::block::{BLOCK_POSTINGS, DecodedBlock};
use esparsa::internals::format::block_list::{BlockEntry, BlockList};
use esparsa::internals::format::bounds::Bound;
use esparsa::internals::format::column::ColumnValues;
use esparsa::internals::format::dense::DenseVectors;
use esparsa::internals::format::dictionary::TermEntry;
use esparsa::internals::format::manifest::Manifest;
use esparsa::internals::format::positions::PositionList;
use esparsa::internals::format::range_list::{GROUP_RANGES, NOTED_RANKS, RangeList};
use esparsa::internals::format::sparse_postings::{SparseList, Tier};
use esparsa::internals::format::{
    ColumnType, Container, DenseElement, DenseMetric, FieldOptions, FileKind, Schema, SparseLayout,
    SparseTerms, Verify, lengths,
};
use esparsa::internals::index::SnapshotSegment;
use esparsa::internals::segment::{FieldReader, SegmentReader, SparseField, TextField};
use serde_json::{Value, json};

/// Verifies the index in a folder and gives its contents.
pub fn dump(folder: &Path) -> Value {
    let index = Index::open(folder).unwrap();
    let snapshot = index.snapshot().unwrap();
    let name = format!("manifest-{:010}", snapshot.commit());
    let mut files = serde_json::Map::new();
    let container = open(folder, &name, FileKind::Manifest);
    let manifest = Manifest::read(&container, snapshot.commit()).unwrap();
    files.insert(name, file(&container));
    let mut segments = Vec::new();
    for segment in snapshot.segments() {
        esparsa::internals::segment::verify(&segment.reader).unwrap();
        let container = segment.reader.container();
        files.insert(container.file().to_owned(), file(container));
        if let Some(deletes) = &segment.entry.deletes {
            let name = format!("deletes-{:010}", deletes.number);
            let container = open(folder, &name, FileKind::Deletes);
            files.insert(name, file(&container));
        }
        segments.push(segment_contents(segment, snapshot.schema()));
    }
    json!({ "files": files, "manifest": manifest_contents(&manifest), "segments": segments })
}

fn open(folder: &Path, name: &str, kind: FileKind) -> Container {
    let bytes = Arc::new(std::fs::read(folder.join(name)).unwrap());
    Container::open(bytes, name, kind, Verify::AtOpen).unwrap()
}

/// Only called when every checksum was verified.
fn file(container: &Container) -> Value {
    let sections = container.sections().map(|(name, field, length)| {
        json!({ "name": name, "field": field, "length": length, "checksums": "right" })
    });
    let stamp = container.stamp();
    json!({
        "length": stamp.length,
        "fingerprint": stamp.fingerprint,
        "required": container.capabilities().required,
        "optional": container.capabilities().optional,
        "sections": sections.collect::<Vec<_>>(),
    })
}

fn manifest_contents(manifest: &Manifest) -> Value {
    let fields = manifest.schema.fields().iter().map(|field| {
        let mut found = match &field.options {
            FieldOptions::Text(text) => {
                let (k1, b) = (text.bm25.k1.to_bits(), text.bm25.b.to_bits());
                let (analyzer, revision) = (&text.analyzer, text.revision);
                let mut found = json!({
                    "kind": "text", "analyzer": analyzer, "revision": revision, "k1_bits": k1, "b_bits": b
                });
                if text.positions {
                    found["positions"] = true.into();
                }
                found
            }
            FieldOptions::Sparse(sparse) => {
                let terms = match sparse.terms {
                    SparseTerms::Strings => "strings",
                    SparseTerms::Numbers => "numbers",
                    other => panic!("the golden index has no such terms: {other:?}"),
                };
                let layout = match sparse.layout {
                    SparseLayout::Ranges => "ranges",
                    SparseLayout::Tiers => "tiers",
                    other => panic!("the golden index has no such layout: {other:?}"),
                };
                let (bits, clamps) = (sparse.scale.to_bits(), sparse.clamps);
                json!({
                    "kind": "sparse",
                    "scale_bits": bits,
                    "terms": terms,
                    "layout": layout,
                    "clamps": clamps,
                })
            }
            FieldOptions::Stored(_) => json!({ "kind": "stored" }),
            FieldOptions::Dense(dense) => {
                let element = match dense.element {
                    DenseElement::F32 => "f32",
                    DenseElement::F16 => "f16",
                    DenseElement::I8 => "i8",
                    other => panic!("the golden index has no such dtype: {other:?}"),
                };
                let metric = match dense.metric {
                    DenseMetric::InnerProduct => "inner-product",
                    DenseMetric::Cosine => "cosine",
                    other => panic!("the golden index has no such metric: {other:?}"),
                };
                let dimensions = dense.dimensions;
                json!({ "kind": "dense", "dimensions": dimensions, "element": element, "metric": metric })
            }
            FieldOptions::Column(column) => {
                let name = column.column_type.name();
                json!({ "kind": "column", "type": name, "several": column.several })
            }
            other => panic!("the golden index has no such field: {other:?}"),
        };
        found["number"] = field.number.into();
        found["name"] = field.name.as_str().into();
        let model = field.options.model().map(|model| {
            let fingerprint = format!("{:032x}", model.fingerprint);
            json!({ "name": model.name, "fingerprint": fingerprint })
        });
        found["model"] = model.into();
        assert!(field.unknown.is_empty());
        found["unknown"] = json!([]);
        found
    });
    let segments = manifest.segments.iter().map(|segment| {
        let deletes = segment.deletes.as_ref();
        json!({
            "file": segment.number,
            "length": segment.stamp.length,
            "fingerprint": segment.stamp.fingerprint,
            "documents": segment.documents,
            "deletes": deletes.map_or(0, |d| d.number),
            "deletes_length": deletes.map_or(0, |d| d.stamp.length),
            "deletes_fingerprint": deletes.map_or(0, |d| d.stamp.fingerprint),
            "deleted": deletes.map_or(0, |d| d.deleted),
        })
    });
    let calibrations = manifest.calibrations.iter().map(|calibration| {
        let points = calibration.points.iter().map(|point| {
            let shares = [point.share, point.slack, point.recall, point.microseconds];
            json!({ "k": point.k, "bits": shares.map(f32::to_bits) })
        });
        json!({
            "field": calibration.field,
            "documents": calibration.documents,
            "queries": calibration.queries,
            "points": points.collect::<Vec<_>>(),
        })
    });
    json!({
        "calibrations": calibrations.collect::<Vec<_>>(),
        "commit": manifest.commit,
        "next_file": manifest.next_file,
        "schema": fields.collect::<Vec<_>>(),
        "segments": segments.collect::<Vec<_>>(),
    })
}

fn segment_contents(segment: &SnapshotSegment, schema: &Schema) -> Value {
    let reader = &segment.reader;
    let documents = 0..reader.documents();
    let ids: Vec<String> = documents
        .clone()
        .map(|d| reader.ids().id(d).unwrap())
        .collect();
    let deleted: Vec<u32> = documents.clone().filter(|d| !segment.is_live(*d)).collect();
    let stored = reader.stored().map(|stored| {
        let blocks = (0..stored.blocks()).scan(0, |first, number| {
            let block = stored.block(number).unwrap();
            let found = json!({ "first": *first, "raw": block.raw_length, "compressed": block.frame.len() });
            *first += block.documents;
            Some(found)
        });
        let blocks: Vec<Value> = blocks.collect();
        let documents = documents.map(|d| printable(stored.document(d).unwrap()));
        json!({ "blocks": blocks, "documents": documents.collect::<Vec<_>>() })
    });
    json!({
        "file": reader.container().file(),
        "documents": reader.documents(),
        "reordered": reader.is_reordered(),
        "fields": reader.fields().iter().filter_map(|(n, f)| field(reader, *n, f, schema)).collect::<Vec<_>>(),
        "ids": ids,
        "stored": stored,
        "deleted": deleted,
    })
}

fn printable(bytes: Vec<u8>) -> Value {
    match String::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(error) => {
            let hex = error.as_bytes().iter().map(|byte| format!("{byte:02x}"));
            json!({ "hex": hex.collect::<String>() })
        }
    }
}

fn field(
    segment: &SegmentReader,
    number: u32,
    reader: &FieldReader,
    schema: &Schema,
) -> Option<Value> {
    let statistics = segment.info().field(number).unwrap();
    let mut found = match reader {
        FieldReader::Text(text) => {
            let codes = text.lengths.all().unwrap();
            let lengths: Vec<u32> = codes.iter().map(|code| lengths::decode(*code)).collect();
            json!({ "kind": "text", "lengths": lengths, "listed": text_terms(segment, text) })
        }
        FieldReader::Sparse(sparse) => {
            let options = &schema
                .fields()
                .iter()
                .find(|f| f.number == number)
                .unwrap()
                .options;
            let numbered = matches!(
                options,
                FieldOptions::Sparse(sparse) if sparse.terms == SparseTerms::Numbers
            );
            json!({ "kind": "sparse", "listed": sparse_terms(segment, sparse, numbered) })
        }
        FieldReader::Dense(vectors) => dense(vectors),
        FieldReader::Column(values) => column(segment, values),
        // Printed beside the fields.
        FieldReader::Stored(_) => return None,
        other => panic!("the golden index has no such field: {other:?}"),
    };
    found["field"] = statistics.field.into();
    found["terms"] = statistics.terms.into();
    found["postings"] = statistics.postings.into();
    found["total"] = statistics.total.into();
    found["skipped"] = statistics.skipped.into();
    found["documents"] = statistics.documents.into();
    found["rounded_up"] = statistics.rounded_up.into();
    found["base"] = statistics.base.into();
    found["has_parts"] = u8::from(statistics.has_parts).into();
    found["codec"] = statistics.codec.into();
    Some(found)
}

/// Numbers as they are kept: levels, or the bits of floating-point numbers.
fn dense(vectors: &DenseVectors) -> Value {
    let shape = vectors.shape();
    let bytes = shape.element.bytes();
    let row = |row: u32| {
        let kept = vectors.row_bytes(row, 1).unwrap();
        let kept = kept.chunks(bytes).take(shape.dimensions as usize);
        let numbers = kept.map(|kept| match *kept {
            [level] => json!(level.cast_signed()),
            [a, b] => json!(u16::from_le_bytes([a, b])),
            [a, b, c, d] => json!(u32::from_le_bytes([a, b, c, d])),
            _ => panic!("a number has {bytes} bytes"),
        });
        numbers.collect::<Vec<_>>()
    };
    let rows = 0..vectors.rows();
    let documents = rows.clone().map(|row| vectors.document(row).unwrap());
    let mut found = json!({
        "kind": "dense",
        "vector_documents": documents.collect::<Vec<_>>(),
        "vectors": rows.map(row).collect::<Vec<_>>(),
    });
    if shape.element == DenseElement::I8 {
        let mut scales = vec![0.0; vectors.rows() as usize];
        vectors.copy_scales(0, &mut scales).unwrap();
        let bits: Vec<u32> = scales.into_iter().map(f32::to_bits).collect();
        found["scale_bits"] = bits.into();
    }
    found
}

/// How many documents in a row have the same values, and these.
fn column(segment: &SegmentReader, column: &ColumnValues) -> Value {
    let mut runs: Vec<(u32, Vec<Value>)> = Vec::new();
    for document in 0..segment.documents() {
        let values = column.values(document).unwrap();
        let values: Vec<Value> = values.into_iter().map(column_value).collect();
        match runs.last_mut() {
            Some((count, last)) if *last == values => *count += 1,
            _ => runs.push((1, values)),
        }
    }
    let name = match column.column_type() {
        ColumnType::F64 => "value_bits",
        _ => "values",
    };
    json!({ "kind": "column", name: runs })
}

/// A value as JSON; of a floating-point number its bits, of a date its milliseconds.
fn column_value(value: ColumnValue) -> Value {
    match value {
        ColumnValue::I64(number) | ColumnValue::Date(number) => number.into(),
        ColumnValue::U64(number) => number.into(),
        ColumnValue::F64(number) => number.to_bits().into(),
        ColumnValue::Bool(flag) => flag.into(),
        ColumnValue::Keyword(keyword) => keyword.into(),
        other => panic!("the golden index has no such value: {other:?}"),
    }
}

fn text_terms(segment: &SegmentReader, field: &TextField) -> Vec<Value> {
    let mut terms = Vec::new();
    let mut iter = field.terms.iter();
    while let Some(entry) = iter.next_term().unwrap() {
        let list = field.list(segment.documents(), &entry).unwrap();
        let (documents, values) = postings(&list.blocks);
        let frequencies: Vec<u32> = values.iter().map(|value| value + 1).collect();
        let term = std::str::from_utf8(iter.key()).unwrap();
        let mut found = json!({
            "term": term,
            "df": entry.document_frequency,
            "documents": documents,
            "frequencies": frequencies,
        });
        if let Some(of_term) = field.positions(&entry).unwrap() {
            found["positions"] = positions(&of_term, &values);
        }
        if let Some(bounds) = list.bounds {
            let table = list.blocks.table().iter();
            let blocks = table.map(|e| json!([e.last_document(), e.end(), pairs(e.bounds())]));
            found["bounds"] = pairs(bounds);
            found["blocks"] = blocks.collect();
        }
        terms.push(found);
    }
    terms
}

/// The positions of each posting; `values` are those of all postings.
fn positions(of_term: &PositionList<'_>, values: &[u32]) -> Value {
    let mut reader = of_term.reader();
    let mut all = Vec::new();
    for (block, values) in values.chunks(BLOCK_POSTINGS).enumerate() {
        for posting in 0..values.len() {
            let mut found = Vec::new();
            reader.read(block, values, posting, &mut found).unwrap();
            all.push(found);
        }
    }
    all.into()
}

fn pairs(bounds: &[Bound]) -> Value {
    bounds
        .iter()
        .map(|b| json!([b.frequency, b.length]))
        .collect()
}

fn sparse_terms(segment: &SegmentReader, field: &SparseField, numbered: bool) -> Vec<Value> {
    let mut terms = Vec::new();
    let mut iter = field.terms.iter();
    while let Some(entry) = iter.next_term().unwrap() {
        let term: Value = if numbered {
            u32::from_be_bytes(iter.key().try_into().unwrap()).into()
        } else {
            std::str::from_utf8(iter.key()).unwrap().into()
        };
        let mut lists = Vec::new();
        let visit = |exponent, list: SparseList<'_>| {
            let listed = match list {
                SparseList::Tiers(tiers) => {
                    let tiers: Vec<Value> = tiers.iter().map(|t| tier(t, &entry)).collect();
                    json!({ "tiers": tiers })
                }
                SparseList::Ranges(list) => range_list(&list),
            };
            lists.push((exponent, listed));
        };
        field.open(segment.documents(), &entry, visit).unwrap();
        let in_parts = lists.iter().any(|(exponent, _)| *exponent != field.base);
        let mut found = if in_parts {
            let parts = lists.into_iter().map(|(exponent, mut listed)| {
                listed["exponent"] = exponent.into();
                listed
            });
            json!({ "parts": parts.collect::<Vec<_>>() })
        } else {
            lists.pop().unwrap().1
        };
        found["term"] = term;
        found["df"] = entry.document_frequency.into();
        terms.push(found);
    }
    terms
}

fn range_list(list: &RangeList<'_>) -> Value {
    let groups = list.groups().iter();
    let ranges = (0..GROUP_RANGES * list.groups().len() as u32).filter_map(|number| {
        let postings = list.postings(list.find(number)?).unwrap();
        Some(json!([number, postings.len()]))
    });
    let (mut documents, mut impacts) = (Vec::new(), Vec::new());
    list.for_each(|document, impact| {
        documents.push(document);
        impacts.push(impact);
    })
    .unwrap();
    json!({
        "noted": NOTED_RANKS.map(|rank| list.impact_at_rank(rank)),
        "groups": groups.map(|g| json!([g.present(), g.first()])).collect::<Vec<_>>(),
        "max": list.max_impacts(),
        "ranges": ranges.collect::<Vec<_>>(),
        "documents": documents,
        "impacts": impacts,
    })
}

fn tier(tier: &Tier<'_>, entry: &TermEntry) -> Value {
    let (documents, values) = postings(&tier.blocks);
    let impacts: Vec<u8> = values.iter().map(|value| tier.impact(*value)).collect();
    // A single posting notes no max impact.
    if entry.document_frequency > 1 {
        assert_eq!(impacts.iter().max(), Some(&tier.max_impact));
    }
    let mut found = json!({
        "max": impacts.iter().max(),
        "min": impacts.iter().min(),
        "documents": documents,
        "impacts": impacts,
    });
    let table = tier.blocks.table().iter();
    let blocks = table.map(|e| json!([e.last_document(), e.end(), e.max_impact()]));
    let blocks: Vec<Value> = blocks.collect();
    if !blocks.is_empty() {
        found["blocks"] = blocks.into();
    }
    found
}

fn postings<E: BlockEntry>(blocks: &BlockList<'_, E>) -> (Vec<u32>, Vec<u32>) {
    let (mut documents, mut values) = (Vec::new(), Vec::new());
    let mut block = DecodedBlock::default();
    for index in 0..blocks.block_count() {
        blocks.decode(index, &mut block).unwrap();
        documents.extend_from_slice(block.documents());
        values.extend_from_slice(block.values());
    }
    (documents, values)
}
