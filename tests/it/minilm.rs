//! A real model, MiniLM-L6, on a real collection: bf16 against f32, and what dense search adds to
//! BM25.
//!
//! Runs when `ESPARSA_MINILM` names the model's folder (`tests/neural/fetch_minilm` downloads it)
//! and `ESPARSA_COLLECTIONS` a folder of collections. Of the small English one, cacm, the documents
//! that are judged are taken, and some more; measurements of whole ones are in `benches/README.md`.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use esparsa::eval::{BeirFolder, EvaluateOptions, Metric, Run, ScoredDocument, evaluate};
use esparsa::internals::backend::{Cpu, CpuOptions, Precision};
use esparsa::neural::DenseEncoder;
use esparsa::rank::{Fusion, Normalization};
use esparsa::{Dense, Document, Hit, Index, Query, Schema, Snapshot, Text};
use serde_json::Value;

/// Each document whose number is a multiple of this is indexed, judged or not.
const EVERY: usize = 16;
/// Hits of each search that is fused.
const DEPTH: usize = 1_000;

#[test]
fn bf16_finds_what_f32_finds_and_vectors_add_to_words() {
    let folder = |variable| std::env::var_os(variable).map(PathBuf::from);
    let (Some(model), Some(root)) = (folder("ESPARSA_MINILM"), folder("ESPARSA_COLLECTIONS"))
    else {
        println!("skipped: ESPARSA_MINILM and ESPARSA_COLLECTIONS do not name folders");
        return;
    };
    let collection = BeirFolder::open(root.join("cacm")).unwrap();
    let qrels = collection.qrels("test").unwrap();
    let judged = qrels.queries().filter_map(|query| qrels.judgments(query));
    let judged: HashSet<&str> = judged.flatten().map(|(id, _)| id.as_str()).collect();
    let mut documents = documents(collection.corpus_path());
    let mut place = 0;
    documents.retain(|(id, _)| {
        place += 1;
        place % EVERY == 0 || judged.contains(id.as_str())
    });
    let queries = collection.queries_of(&qrels).unwrap().into_iter();
    let queries: Vec<_> = queries
        .map(|query| (query.id, query.text.unwrap()))
        .collect();

    let exact = vectors(&model, Precision::F32, &documents, &queries);
    let rounded = vectors(&model, Precision::Bf16, &documents, &queries);
    let least = min_cosine(&exact, &rounded);
    println!("least cosine of bf16 with f32: {least:.6}");
    assert!(least >= 0.9995, "cosine {least}");

    let exact_index = index(&documents, &exact.documents);
    let rounded_index = index(&documents, &rounded.documents);
    let (mut shared, mut all) = (0, 0);
    let mut runs = [Run::new(), Run::new(), Run::new()];
    for (place, (id, text)) in queries.iter().enumerate() {
        let dense = exact_index
            .search(&Query::dense("vector", &exact.queries[place][..]), DEPTH)
            .unwrap();
        let of_rounded = rounded_index
            .search(&Query::dense("vector", &rounded.queries[place][..]), 10)
            .unwrap();
        all += of_rounded.len();
        let first: Vec<_> = dense.ids().unwrap().into_iter().take(10).collect();
        let of_rounded = of_rounded.ids().unwrap();
        shared += of_rounded.iter().filter(|id| first.contains(id)).count();
        let words = exact_index
            .search(&Query::text("text", text), DEPTH)
            .unwrap();
        let fused = Fusion::weighted_sum(Normalization::ZScore)
            .fuse_hits(&[&words, &dense])
            .unwrap();
        for (run, hits) in runs.iter_mut().zip([words, dense, fused]) {
            run.insert(id, hits.iter().map(scored).collect()).unwrap();
        }
    }
    let overlap = shared as f64 / all as f64;
    println!("of the first 10 by f32, by bf16: {overlap:.4}");
    assert!(overlap >= 0.98, "overlap {overlap}");

    let metrics = Metric::parse_list("ndcg@10").unwrap();
    let [words, dense, fused] = runs.map(|run| {
        let report = evaluate(&qrels, &run, &metrics, EvaluateOptions::default()).unwrap();
        report.mean(&metrics[0]).unwrap()
    });
    println!("nDCG@10: words {words:.4}, dense {dense:.4}, fused {fused:.4}");
    assert!((dense - 0.6088).abs() < 0.003, "dense: {dense}");
    assert!(
        fused > words + 0.07 && fused > dense + 0.07,
        "fused: {fused}"
    );
}

struct Vectors {
    documents: Vec<Vec<f32>>,
    queries: Vec<Vec<f32>>,
}

fn vectors(
    model: &Path,
    precision: Precision,
    documents: &[(String, String)],
    queries: &[(String, String)],
) -> Vectors {
    let threads = available_parallelism().map_or(1, usize::from);
    let backend = Cpu::new(CpuOptions { threads, precision }).unwrap();
    let encoder = DenseEncoder::open(model, backend).unwrap();
    Vectors {
        documents: encoder.encode_documents(&texts(documents)).unwrap(),
        queries: encoder.encode_queries(&texts(queries)).unwrap(),
    }
}

fn texts(named: &[(String, String)]) -> Vec<&str> {
    named.iter().map(|(_, text)| text.as_str()).collect()
}

/// The min cosine of any vector with its counterpart; both are of length 1.
fn min_cosine(exact: &Vectors, rounded: &Vectors) -> f32 {
    let cosines = |a: &[Vec<f32>], b: &[Vec<f32>]| {
        let product =
            |(a, b): (&Vec<f32>, &Vec<f32>)| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        a.iter().zip(b).map(product).fold(1.0_f32, f32::min)
    };
    cosines(&exact.documents, &rounded.documents).min(cosines(&exact.queries, &rounded.queries))
}

fn documents(corpus: PathBuf) -> Vec<(String, String)> {
    let mut documents: Vec<(String, String)> = Vec::new();
    for line in BufReader::new(File::open(corpus).unwrap()).lines() {
        let record: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let part = |key: &str| record[key].as_str().unwrap_or_default();
        // cacm has an id twice: as in an index, the later one counts.
        documents.retain(|(id, _)| id != part("_id"));
        let text = format!("{} {}", part("title"), part("text"));
        documents.push((part("_id").to_owned(), text));
    }
    documents
}

fn index(documents: &[(String, String)], vectors: &[Vec<f32>]) -> Snapshot {
    let dimensions = vectors[0].len();
    let schema = Schema::builder()
        .text("text", Text::new().analyzer("en"))
        .dense("vector", Dense::new(dimensions).cosine())
        .build()
        .unwrap();
    let index = Index::in_memory(schema).unwrap();
    let mut writer = index.writer().unwrap();
    for ((id, text), vector) in documents.iter().zip(vectors) {
        let document = Document::new(id)
            .with_text("text", text)
            .with_dense("vector", &vector[..]);
        writer.add(document).unwrap();
    }
    writer.commit().unwrap();
    index.snapshot().unwrap()
}

fn scored(hit: Hit<'_>) -> ScoredDocument {
    ScoredDocument {
        document: hit.id().unwrap(),
        score: hit.score.into(),
    }
}
