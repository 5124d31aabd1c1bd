//! Effectiveness on eight real collections, compared with Lucene's.
//!
//! Runs when `ESPARSA_COLLECTIONS` names a folder with the collections in BEIR's layout.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Instant;

use esparsa::eval::{BeirFolder, EvaluateOptions, Metric, Run, ScoredDocument, Table, evaluate};
use esparsa::{Bm25, Document, Index, Query, Schema, SearchOptions, Snapshot, Text, WriterOptions};
use serde_json::Value;

/// The two settings measured.
const SETTINGS: [Bm25; 2] = [Bm25 { k1: 0.9, b: 0.4 }, Bm25 { k1: 0.82, b: 0.68 }];
/// Maximum difference by which a measure may be below Lucene's.
const MARGIN: f64 = 0.005;

struct Collection {
    name: &'static str,
    analyzer: &'static str,
    /// nDCG@10 and R@1000 of Lucene 10 (Anserini 1.7.1), for each of [`SETTINGS`].
    lucene: [[f64; 2]; 2],
    /// Minimum nDCG@10 at k1 = 0.82, b = 0.68, where it is above Lucene's; 0 elsewhere.
    min_ndcg: f64,
}

#[rustfmt::skip]
const COLLECTIONS: [Collection; 8] = [
    Collection { name: "cacm", analyzer: "en", lucene: [[0.4897, 0.9311], [0.4976, 0.9302]], min_ndcg: 0.0 },
    Collection { name: "cranfield", analyzer: "en", lucene: [[0.3510, 0.9518], [0.3590, 0.9523]], min_ndcg: 0.0 },
    Collection { name: "faquad", analyzer: "pt", lucene: [[0.8965, 0.9989], [0.9000, 0.9989]], min_ndcg: 0.0 },
    Collection { name: "squad-pt", analyzer: "pt", lucene: [[0.8031, 0.9875], [0.8053, 0.9875]], min_ndcg: 0.0 },
    Collection { name: "korquad", analyzer: "ko", lucene: [[0.9532, 0.9995], [0.9551, 0.9995]], min_ndcg: 0.9602 },
    Collection { name: "debian-en", analyzer: "en", lucene: [[0.6942, 0.9616], [0.6986, 0.9633]], min_ndcg: 0.0 },
    Collection { name: "debian-pt", analyzer: "pt", lucene: [[0.7434, 0.9830], [0.7543, 0.9830]], min_ndcg: 0.0 },
    Collection { name: "debian-ko", analyzer: "ko", lucene: [[0.7133, 0.9817], [0.7175, 0.9817]], min_ndcg: 0.7830 },
];

#[test]
fn no_collection_is_ranked_worse_than_by_lucene() {
    let Some(root) = std::env::var_os("ESPARSA_COLLECTIONS") else {
        println!("skipped: ESPARSA_COLLECTIONS does not name a folder of collections");
        return;
    };
    let headers = [
        "collection k1/b",
        "ndcg@10",
        "Lucene",
        "recall@1000",
        "Lucene",
    ];
    let mut table = Table::new(headers);
    let mut failures = Vec::new();
    for collection in &COLLECTIONS {
        let started = Instant::now();
        let folder = BeirFolder::open(Path::new(&root).join(collection.name)).unwrap();
        let snapshot = index(&folder, collection.analyzer);
        for (bm25, lucene) in SETTINGS.into_iter().zip(collection.lucene) {
            let found = measure(&folder, &snapshot, bm25);
            let name = format!("{} {}/{}", collection.name, bm25.k1, bm25.b);
            table.push(&name, [found[0], lucene[0], found[1], lucene[1]]);
            for (found, lucene) in found.into_iter().zip(lucene) {
                if found < lucene - MARGIN {
                    failures.push(format!("{name}: {found:.4} is below Lucene's {lucene:.4}"));
                }
            }
            if bm25 == SETTINGS[1] && found[0] < collection.min_ndcg {
                let min_ndcg = collection.min_ndcg;
                failures.push(format!("{name}: {:.4} is below {min_ndcg:.4}", found[0]));
            }
        }
        println!(
            "{}: {:.1} s",
            collection.name,
            started.elapsed().as_secs_f64()
        );
    }
    println!("{table}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn threads() -> usize {
    available_parallelism().map_or(1, usize::from)
}

fn index(folder: &BeirFolder, analyzer: &str) -> Snapshot {
    let schema = Schema::builder()
        .text("text", Text::new().analyzer(analyzer))
        .build()
        .unwrap();
    let index = Index::in_memory(schema).unwrap();
    let options = WriterOptions::new().threads(threads());
    let mut writer = index.writer_with(options).unwrap();
    let corpus = File::open(folder.corpus_path()).unwrap();
    for line in BufReader::new(corpus).lines() {
        let record: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let part = |key: &str| record[key].as_str().unwrap_or_default();
        let contents = format!("{} {}", part("title"), part("text"));
        writer
            .add(Document::new(part("_id")).with_text("text", contents))
            .unwrap();
    }
    writer.commit().unwrap();
    index.snapshot().unwrap()
}

/// nDCG@10 and R@1000 on the queries that have judgements in the split `test`.
fn measure(folder: &BeirFolder, snapshot: &Snapshot, bm25: Bm25) -> [f64; 2] {
    let qrels = folder.qrels("test").unwrap();
    let queries = folder.queries_of(&qrels).unwrap();
    assert_eq!(queries.len(), qrels.len(), "judged queries have a text");
    let asked = queries.iter().map(|query| {
        let text = query.text.as_deref().unwrap();
        Query::text("text", text).with_bm25(bm25)
    });
    let asked: Vec<Query> = asked.collect();
    let options = SearchOptions::new(1000);
    let results = snapshot.search_batch(&asked, &options, threads()).unwrap();
    let mut run = Run::new();
    for (query, result) in queries.iter().zip(results) {
        let hits = result.hits.iter().map(|hit| ScoredDocument {
            document: hit.id().unwrap(),
            score: hit.score.into(),
        });
        run.insert(&query.id, hits.collect()).unwrap();
    }
    let metrics = Metric::parse_list("ndcg@10,recall@1000").unwrap();
    let report = evaluate(&qrels, &run, &metrics, EvaluateOptions::default()).unwrap();
    [report.means()[0], report.means()[1]]
}
