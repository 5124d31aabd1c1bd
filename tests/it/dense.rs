//! Dense search finds what the chapter says, bit for bit, on random indexes.
//!
//! Each case draws an index (dimensions, element, metric, documents of which some lack the vector,
//! segments, deletes, merges in another order), a query and k, and compares every hit with scores
//! written out here from the documents, as `format-spec/dense.md` defines them.
//! `ESPARSA_ORACLE_CASES` sets the number of cases, `ESPARSA_ORACLE_SEED` the first seed; a failure
//! names its seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use esparsa::store::Memory;
use esparsa::{
    Dense, DenseElement, DenseMetric, DocAddress, Document, Error, Index, IndexOptions,
    MergePolicy, Query, Schema, SearchOptions, Snapshot, Sparse, Text, WriterOptions,
};
use half::f16;

use crate::random::{Random, check_seeds};

const CASES: u64 = 3_000;

/// What all vectors of a case have in common.
#[derive(Clone, Copy, Debug)]
struct Shape {
    dimensions: usize,
    element: DenseElement,
    metric: DenseMetric,
    /// Few different numbers make many equal scores.
    coarse: bool,
}

impl Shape {
    fn draw(random: &mut Random) -> Self {
        let tails = [1, 2, 7, 15, 16, 17, 31, 33, 63, 64, 65, 100, 128, 130, 384];
        Self {
            dimensions: random.pick(&tails),
            element: random.pick(&[DenseElement::F32, DenseElement::F16, DenseElement::I8]),
            metric: random.pick(&[DenseMetric::InnerProduct, DenseMetric::Cosine]),
            coarse: random.chance(2),
        }
    }

    fn vector(self, random: &mut Random) -> Vec<f32> {
        let size = random.pick(&[1e-20, 0.01, 1.0, 1.0, 30.0]);
        let mut vector: Vec<f32> = (0..self.dimensions)
            .map(|_| match self.coarse {
                true => random.below(3) as f32 - 1.0,
                false => (random.below(2_000_001) as f32 / 1e6 - 1.0) * size,
            })
            .collect();
        if self.metric == DenseMetric::Cosine && vector.iter().all(|number| *number == 0.0) {
            vector[0] = -0.5;
        }
        vector
    }

    /// As it is searched under the metric.
    fn prepared(self, vector: &[f32]) -> Vec<f32> {
        if self.metric == DenseMetric::InnerProduct {
            return vector.to_vec();
        }
        let squares = vector.iter().map(|number| f64::from(*number).powi(2));
        let norm = squares.sum::<f64>().sqrt();
        let numbers = vector.iter().map(|number| f64::from(*number) / norm);
        numbers.map(|number| number as f32).collect()
    }

    /// The score as the chapter defines it.
    fn score(self, vector: &[f32], query: &[f32]) -> f32 {
        let (vector, query) = (self.prepared(vector), self.prepared(query));
        let score = match self.element {
            DenseElement::F32 => product(&vector, &query),
            DenseElement::F16 => {
                let halves = vector.iter().map(|n| f16::from_f32(*n).to_f32());
                product(&halves.collect::<Vec<_>>(), &query)
            }
            DenseElement::I8 => levels_product(&vector, &query),
            other => panic!("the chapter defines no such dtype: {other:?}"),
        };
        score + 0.0
    }
}

/// Sixteen sums with fused multiply-add, and the tree.
fn product(vector: &[f32], query: &[f32]) -> f32 {
    let mut s = [0f32; 16];
    for (i, (x, q)) in vector.iter().zip(query).enumerate() {
        s[i % 16] = x.mul_add(*q, s[i % 16]);
    }
    for l in 0..8 {
        s[l] += s[l + 8];
    }
    for l in 0..4 {
        s[l] += s[l + 4];
    }
    for l in 0..2 {
        s[l] += s[l + 2];
    }
    s[0] + s[1]
}

fn max_magnitude(vector: &[f32]) -> f64 {
    let sizes = vector.iter().map(|number| f64::from(number.abs()));
    sizes.fold(0.0, f64::max)
}

fn levels_product(vector: &[f32], query: &[f32]) -> f32 {
    let (a, m) = (max_magnitude(vector), max_magnitude(query));
    if a == 0.0 || m == 0.0 {
        return 0.0;
    }
    let levels = vector
        .iter()
        .map(|x| (f64::from(*x) * 127.0 / a).round() as i64);
    let t = query.iter().map(|q| f64::from(q.abs())).sum::<f64>() / m;
    let n = query.len().next_multiple_of(64) as f64;
    let g = ((16_777_215.0 - n / 2.0) / t).min(32_767.0).floor();
    let weights = query.iter().map(|q| (f64::from(*q) / m * g).round() as i64);
    let sum: i64 = levels.zip(weights).map(|(level, w)| level * w).sum();
    let (scale, unit) = ((a / 127.0) as f32, (m / g) as f32);
    i32::try_from(sum).unwrap() as f32 * (scale * unit)
}

struct Case {
    shape: Shape,
    index: Index,
    /// The live documents; some have no vector.
    live: BTreeMap<String, Option<Vec<f32>>>,
}

fn build(random: &mut Random) -> Case {
    let shape = Shape::draw(random);
    let documents = match random.below(40) {
        0 => 600 + random.below(2_000),
        _ => random.below(70),
    };
    let schema = Schema::builder()
        .dense(
            "dense",
            Dense::new(shape.dimensions)
                .element(shape.element)
                .metric(shape.metric),
        )
        // Their terms give merges another order of documents.
        .sparse("sparse", Sparse::new())
        .build()
        .unwrap();
    let index = Index::in_memory(schema).unwrap();
    let mut writer = index
        .writer_with(
            WriterOptions::new()
                .merge_policy(MergePolicy::never())
                .reorder_from(random.chance(2).then_some(20))
                .threads(1 + random.below(2) as usize),
        )
        .unwrap();
    let ids = random.pick(&[documents / 2 + 1, documents * 50 + 1]);
    let (commit_every, lack) = (
        1 + random.below(documents + 1),
        random.pick(&[2, 1_000_000]),
    );
    let mut live = BTreeMap::new();
    for _ in 0..documents {
        let id = format!("d{}", random.below(ids));
        let vector = (!random.chance(lack)).then(|| shape.vector(random));
        let terms = (0..6).map(|_| (format!("t{}", random.below(12)), 1.0));
        let mut document =
            Document::new(id.as_str()).with_sparse("sparse", terms.collect::<Vec<_>>());
        if let Some(vector) = &vector {
            document = document.with_dense("dense", vector.as_slice());
        }
        writer.add(document).unwrap();
        live.insert(id, vector);
        if random.chance(commit_every) {
            writer.commit().unwrap();
        }
        if random.chance(20) {
            let id = format!("d{}", random.below(ids));
            writer.delete(&id).unwrap();
            live.remove(&id);
        }
    }
    if random.chance(2) {
        writer.merge_to(1 + random.below(3) as usize).unwrap();
    }
    writer.commit().unwrap();
    Case { shape, index, live }
}

/// Every live document with a vector, the best first.
fn expected(case: &Case, snapshot: &Snapshot, query: &[f32]) -> Vec<(f32, DocAddress, String)> {
    let with_vector = case
        .live
        .iter()
        .filter_map(|(id, vector)| Some((id, vector.as_ref()?)));
    let scored = with_vector.map(|(id, vector)| {
        let address = snapshot.find(id).unwrap().unwrap();
        (case.shape.score(vector, query), address, id.clone())
    });
    let mut scored: Vec<_> = scored.collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scored
}

fn check(seed: u64) {
    let mut random = Random(seed);
    let case = build(&mut random);
    let snapshot = case.index.snapshot().unwrap();
    for segment in snapshot.segments() {
        esparsa::internals::segment::verify(&segment.reader).unwrap();
    }
    let vector = case.shape.vector(&mut random);
    let expected = expected(&case, &snapshot, &vector);
    let query = Query::dense("dense", vector);
    for _ in 0..3 {
        let k = match random.below(3) {
            0 => 1 + random.below(20) as usize,
            1 => 1 + random.below(200) as usize,
            _ => 1 + random.below(5_000) as usize,
        };
        let mut options = SearchOptions::new(k);
        if random.chance(2) {
            options = options.threads(2 + random.below(3) as usize);
            options = options.part_documents(1 + random.below(500) as u32);
        }
        let result = snapshot.search_with(&query, &options).unwrap();
        let found: Vec<_> = result
            .hits
            .iter()
            .map(|hit| (hit.score.to_bits(), hit.address, hit.id().unwrap()))
            .collect();
        let best = expected.iter().take(k);
        let best: Vec<_> = best
            .map(|(score, address, id)| (score.to_bits(), *address, id.clone()))
            .collect();
        assert_eq!(found, best, "seed {seed}, k {k}: {:?}", case.shape);
        let batch = snapshot
            .search_batch(&[query.clone(), query.clone()], &options, 2)
            .unwrap();
        assert_eq!(batch[1].hits, result.hits, "seed {seed}");
        let rows = snapshot.segments().iter().filter_map(|s| s.reader.dense(0));
        let rows: u64 = rows.map(|vectors| u64::from(vectors.rows())).sum();
        assert_eq!(
            (
                result.statistics.postings,
                result.statistics.postings_scored
            ),
            (rows, rows)
        );
    }
    for (id, vector) in case.live.iter().take(3) {
        let explanation = snapshot.explain(&query, id, 10).unwrap().unwrap();
        let score = expected
            .iter()
            .find(|(_, _, of)| of == id)
            .map_or(0.0, |(score, ..)| *score);
        assert_eq!(explanation.score.to_bits(), score.to_bits(), "seed {seed}");
        let says = if vector.is_some() {
            "vectors are scored"
        } else {
            "no vector"
        };
        assert!(
            explanation.to_string().contains(says) || expected.is_empty(),
            "{explanation}"
        );
    }
}

#[test]
fn hits_are_those_of_the_chapters_definition() {
    check_seeds(CASES, check);
}

fn three_dimensions() -> Schema {
    schema_of(Dense::new(3))
}

fn schema_of(options: Dense) -> Schema {
    Schema::builder().dense("dense", options).build().unwrap()
}

#[test]
fn queries_that_do_not_fit_the_field_are_refused() {
    let schema = Schema::builder()
        .dense("dense", Dense::new(3))
        .dense("cosine", Dense::new(2).cosine())
        .text("text", Text::new().analyzer("en"));
    let index = Index::in_memory(schema.build().unwrap()).unwrap();
    let snapshot = index.snapshot().unwrap();
    assert!(
        snapshot
            .search(&Query::dense("dense", [0.0; 3]), 1)
            .unwrap()
            .is_empty()
    );
    for (field, vector) in [
        ("dense", vec![1.0; 2]),
        ("dense", Vec::new()),
        ("dense", vec![1.0, f32::NAN, 0.0]),
        ("dense", vec![1.0, f32::NEG_INFINITY, 0.0]),
        ("dense", vec![1e18; 3]),
        ("cosine", vec![0.0, -0.0]),
        ("text", vec![1.0; 3]),
        ("nowhere", vec![1.0; 3]),
    ] {
        let error = snapshot
            .search(&Query::dense(field, vector), 1)
            .unwrap_err();
        assert!(matches!(error, Error::InvalidInput { .. }), "{error}");
        assert!(error.to_string().contains(field), "{error}");
    }
    let words = snapshot.search(&Query::text("dense", "lava"), 1);
    assert!(words.is_err());
}

#[test]
fn a_document_that_does_not_fit_is_refused_and_the_rest_goes_on() {
    let index = Index::in_memory(three_dimensions()).unwrap();
    let mut writer = index.writer().unwrap();
    writer
        .add(Document::new("a").with_dense("dense", [1.0, 2.0, 3.0]))
        .unwrap();
    let error = writer
        .add(Document::new("b").with_dense("dense", [1.0]))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("document `b`: expected a vector of 3 numbers, found 1"),
        "{error}"
    );
    writer.add(Document::new("c")).unwrap();
    assert_eq!(writer.commit().unwrap().documents, 2);
    let hits = index
        .snapshot()
        .unwrap()
        .search(&Query::dense("dense", [0.0, 0.0, -1.0]), 10)
        .unwrap();
    assert_eq!(hits.ids().unwrap(), ["a"]);
    assert_eq!(hits.first().unwrap().score, -3.0);
}

#[test]
fn a_replaced_document_has_its_new_vector() {
    let index = Index::in_memory(three_dimensions()).unwrap();
    let mut writer = index.writer().unwrap();
    for (round, number) in [1.0, 2.0, 3.0].into_iter().enumerate() {
        let document = Document::new("a").with_dense("dense", [number, 0.0, 0.0]);
        writer.add(document).unwrap();
        // Once within a batch, once across segments.
        if round > 0 {
            writer.commit().unwrap();
        }
    }
    let search = || {
        index
            .snapshot()
            .unwrap()
            .search(&Query::dense("dense", [1.0; 3]), 10)
            .unwrap()
    };
    assert_eq!(
        search().iter().map(|hit| hit.score).collect::<Vec<_>>(),
        [3.0]
    );
    writer.merge_to(1).unwrap();
    writer.commit().unwrap();
    assert_eq!(search().first().unwrap().score, 3.0);
    writer.add(Document::new("a")).unwrap();
    writer.commit().unwrap();
    assert!(search().is_empty());
}

#[test]
fn ties_go_to_the_lower_address() {
    let index = Index::in_memory(three_dimensions()).unwrap();
    let mut writer = index.writer().unwrap();
    for number in 0..300 {
        // Scores of 0 of both signs are the same.
        let sign = if number % 2 == 0 { -1.0 } else { 1.0 };
        let document = Document::new(format!("{number:03}"));
        writer
            .add(document.with_dense("dense", [sign * 1e-30, 0.0, 0.0]))
            .unwrap();
        if number % 100 == 99 {
            writer.commit().unwrap();
        }
    }
    let snapshot = index.snapshot().unwrap();
    for k in [1, 10, 150, 300] {
        let hits = snapshot
            .search(&Query::dense("dense", [1e-30, 0.0, 0.0]), k)
            .unwrap();
        let ids = hits.ids().unwrap();
        let expected: Vec<String> = (0..k).map(|number| format!("{number:03}")).collect();
        assert_eq!(ids, expected);
        assert!(hits.iter().all(|hit| hit.score.to_bits() == 0));
    }
}

#[test]
fn the_same_documents_give_the_same_bytes_whatever_the_threads() {
    let files = |threads: usize| {
        let folder = tempfile::tempdir().unwrap();
        let schema = schema_of(Dense::new(3).element(DenseElement::I8));
        let index = Index::create(folder.path(), schema).unwrap();
        let options = WriterOptions::new().threads(threads);
        let mut writer = index.writer_with(options).unwrap();
        let mut random = Random(7);
        for number in 0..40_000 {
            let vector = [0; 3].map(|_| random.below(1_000) as f32 - 500.0);
            let document = Document::new(format!("{number}"));
            writer.add(document.with_dense("dense", vector)).unwrap();
        }
        writer.commit().unwrap();
        let names = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().path());
        let segments = names.filter(|path| path.to_string_lossy().contains("segment-"));
        segments
            .map(|path| {
                (
                    path.file_name().unwrap().to_owned(),
                    std::fs::read(path).unwrap(),
                )
            })
            .collect::<BTreeMap<_, _>>()
    };
    assert!(files(1) == files(3));
}

#[test]
fn the_models_of_fields_are_kept_with_the_index() {
    let model = esparsa::ModelIdentity {
        name: "mini".into(),
        fingerprint: u128::MAX - 3,
    };
    let schema = schema_of(Dense::new(3).model(model.clone()));
    let folder = tempfile::tempdir().unwrap();
    Index::create(folder.path(), schema).unwrap();
    let index = Index::open(folder.path()).unwrap();
    let mut writer = index.writer().unwrap();
    writer
        .add(Document::new("a").with_dense("dense", [1.0; 3]))
        .unwrap();
    writer.commit().unwrap();
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(index.schema().model_of("dense"), Some(&model));
    assert_eq!(
        index.snapshot().unwrap().schema().model_of("dense"),
        Some(&model)
    );
    // Vectors of another model are not mixed in.
    let other = tempfile::tempdir().unwrap();
    Index::create(other.path(), three_dimensions()).unwrap();
    assert!(writer.attach(other.path()).is_err());
}

#[test]
fn a_flipped_bit_far_inside_is_named_by_searches_and_merges() {
    let memory = Memory::new();
    let schema = Schema::builder()
        .dense("dense", Dense::new(384))
        .build()
        .unwrap();
    let index = Index::create_in(Arc::new(memory.clone()), schema, IndexOptions::new()).unwrap();
    let mut writer = index.writer().unwrap();
    let mut random = Random(3);
    for number in 0..200 {
        let vector: Vec<f32> = (0..384).map(|_| random.below(100) as f32).collect();
        writer
            .add(Document::new(format!("{number}")).with_dense("dense", vector))
            .unwrap();
    }
    writer.commit().unwrap();
    drop(writer);
    let name = "segment-0000000001";
    let mut bytes = memory.bytes(name).unwrap().to_vec();
    // Rows are the first section, of 300 KiB.
    bytes[64 + 200_000] ^= 4;
    memory.overwrite(name, bytes);
    let index = Index::open_in(Arc::new(memory), IndexOptions::new()).unwrap();
    let snapshot = index.snapshot().unwrap();
    for threads in [1, 2] {
        let options = SearchOptions::new(5).threads(threads).part_documents(50);
        let query = Query::dense("dense", vec![1.0; 384]);
        let error = snapshot.search_with(&query, &options).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        let place = format!("{name}: section vectors, offset 196608");
        assert!(error.to_string().contains(&place), "{error}");
    }
    let mut writer = index.writer().unwrap();
    writer.delete("3").unwrap();
    assert!(writer.merge_to(1).is_err());
}
