//! A hybrid search: words find what is called the same, a model finds what means the same, and one
//! request fuses both, under one filter.
//!
//! ```text
//! cargo run --release --features neural --example hybrid -- MODEL
//! ```
//!
//! MODEL is the folder of a bi-encoder as sentence-transformers publishes it, such as
//! `all-MiniLM-L6-v2`. Without it the program uses a tiny model of the tests, which knows nothing.

use esparsa::neural::{Cpu, CpuOptions, DenseEncoder};
use esparsa::rank::{Fusion, Hybrid, Normalization};
use esparsa::{Column, Dense, Document, Index, Query, Result, Schema, Text};

/// Id, text and year.
const PASSAGES: [(&str, &str, i64); 8] = [
    (
        "etna",
        "Etna is an active volcano on the east coast of Sicily.",
        2021,
    ),
    (
        "lava",
        "Molten rock flows down the mountain and buries vineyards.",
        2018,
    ),
    (
        "vesuvius",
        "Vesuvius destroyed Pompeii in the year 79.",
        2015,
    ),
    (
        "bees",
        "Bees dance to tell each other where flowers are.",
        2019,
    ),
    (
        "honey",
        "Insects turn nectar into food for the winter.",
        2022,
    ),
    ("po", "The Po is the longest river of Italy.", 2017),
    ("wine", "Grapes are harvested in autumn and pressed.", 2020),
    (
        "sicily",
        "The island is famous for its oranges and pastries.",
        2023,
    ),
];

fn main() -> Result<()> {
    let model = std::env::args().nth(1);
    let folder = model.as_deref().unwrap_or("tests/neural/models/st-mean");
    let encoder = DenseEncoder::open(folder, Cpu::new(CpuOptions::default())?)?;

    let schema = Schema::builder()
        .text("text", Text::new().analyzer("english"))
        .dense("meaning", Dense::new(encoder.dimensions()).cosine())
        .column("year", Column::i64())
        .stored("source")
        .build()?;
    let index = Index::in_memory(schema)?;
    let mut writer = index.writer()?;
    // Texts are encoded together: that is much faster than one by one.
    let texts = PASSAGES.map(|(_, text, _)| text);
    let vectors = encoder.encode_documents(&texts)?;
    for ((id, text, year), vector) in PASSAGES.into_iter().zip(vectors) {
        let document = Document::new(id).with_text("text", text);
        writer.add(document.with_dense("meaning", vector).with("year", year))?;
    }
    writer.commit()?;

    let snapshot = index.snapshot()?;
    for words in ["volcanoes of Sicily", "insects that make honey", "eruption"] {
        println!("{words}");
        let vector = encoder.encode_queries(&[words])?.remove(0);
        let hybrid = Hybrid::new(Fusion::weighted_sum(Normalization::MinMax))
            .query(Query::text("text", words), 0.5)
            .query(Query::dense("meaning", vector), 1.0)
            // Filters hold for both queries, and cost each of them less than a search without.
            .filter(Query::range("year", 2016..));
        for hit in &hybrid.search(&snapshot, 3)? {
            println!("  {:.3}  {}", hit.score, hit.id()?);
        }
    }
    Ok(())
}
