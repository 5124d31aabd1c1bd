//! One query on several threads finds what it finds on one, bit for bit.
//!
//! Beside the random cases of `oracle`, which are small: an index with a segment of several groups
//! of ranges, one where all documents are equal, and damaged ones.

use std::sync::Arc;

use esparsa::store::{Directory, Memory};
use esparsa::{
    Algorithm, Document, Error, Index, IndexOptions, MergePolicy, Query, Schema, SearchOptions,
    Snapshot, Sparse, SparseLayout, Text, WriterOptions,
};

fn schema(layout: SparseLayout) -> Schema {
    Schema::builder()
        .text("text", Text::new())
        .sparse("sparse", Sparse::new().layout(layout))
        .build()
        .unwrap()
}

fn unmerged() -> WriterOptions {
    WriterOptions::new().merge_policy(MergePolicy::never())
}

/// Words and weights that repeat with different periods, so that many documents are equal.
fn document(number: u64) -> Document {
    let words = [
        number % 3,
        3 + number % 7,
        10 + number % 50,
        60 + number % 400,
    ];
    let text = words.map(|word| format!("w{word}")).join(" ");
    let weight = |word: u64| ((number / 11 + word) % 29 + 1) as f32 / 10.0;
    let vector = words.map(|word| (format!("t{word}"), weight(word)));
    Document::new(format!("d{number}"))
        .with_text("text", text)
        .with_sparse("sparse", vector)
}

/// Segments of these many documents, of which every ninth is deleted.
fn index_of(layout: SparseLayout, segments: &[u64]) -> Snapshot {
    let index = Index::in_memory(schema(layout)).unwrap();
    let mut writer = index.writer_with(unmerged()).unwrap();
    let mut number = 0;
    for documents in segments {
        for _ in 0..*documents {
            writer.add(document(number)).unwrap();
            number += 1;
        }
        writer.commit().unwrap();
    }
    for deleted in (4..number).step_by(9) {
        writer.delete(&format!("d{deleted}")).unwrap();
    }
    writer.commit().unwrap();
    let snapshot = index.snapshot().unwrap();
    assert_eq!(snapshot.segments().len(), segments.len());
    snapshot
}

fn queries() -> [Query; 5] {
    [
        Query::text("text", "w0 w5 w5 w20 w77 w78 w61 w9"),
        Query::sparse(
            "sparse",
            [("t1", 0.4), ("t4", 2.0), ("t30", 1.5), ("t100", 2.9)],
        ),
        Query::sparse("sparse", [("t0", 1.0)]),
        Query::text("text", "w0 w5 w20").with_all_terms(),
        Query::sparse("sparse", [("t1", 0.4), ("t4", 2.0)]).with_all_terms(),
    ]
}

#[test]
fn threads_change_nothing_that_is_found() {
    for layout in [SparseLayout::Ranges, SparseLayout::Tiers] {
        // The first has six groups of ranges.
        let snapshot = index_of(layout, &[22_000, 3, 4_200, 900]);
        for query in &queries() {
            for k in [1, 10, 100, 3_000] {
                let options = SearchOptions::new(k);
                let one = snapshot.search_with(query, &options).unwrap();
                let with_threads = |threads| options.clone().threads(threads);
                for (threads, documents) in [(2, 4_096), (3, 1_000), (8, 9_000)] {
                    let shared = with_threads(threads).part_documents(documents);
                    let mut several = vec![with_threads(threads), shared.clone()];
                    let algorithms = snapshot.algorithms(query).unwrap().into_iter();
                    several.extend(algorithms.map(|algorithm| shared.clone().algorithm(algorithm)));
                    for options in several {
                        let found = snapshot.search_with(query, &options).unwrap();
                        assert_eq!(found.hits, one.hits, "{query:?} with {options:?}");
                        assert_eq!(found.statistics.postings, one.statistics.postings);
                        let algorithms = one.statistics.algorithms.len();
                        assert_eq!(found.statistics.algorithms.len(), algorithms);
                    }
                }
            }
        }
    }
}

#[test]
fn equal_documents_are_found_in_the_order_of_their_addresses() {
    for layout in [SparseLayout::Ranges, SparseLayout::Tiers] {
        let index = Index::in_memory(schema(layout)).unwrap();
        let mut writer = index.writer_with(unmerged()).unwrap();
        for number in 0..12_000 {
            let document = Document::new(format!("d{number}"))
                .with_text("text", "all the same")
                .with_sparse("sparse", [("same", 1.0)]);
            writer.add(document).unwrap();
            if [300, 9_000, 9_001].contains(&number) {
                writer.commit().unwrap();
            }
        }
        for number in [0, 1, 17, 301, 9_001] {
            writer.delete(&format!("d{number}")).unwrap();
        }
        writer.commit().unwrap();
        let snapshot = index.snapshot().unwrap();
        let all = snapshot
            .segments()
            .iter()
            .zip(0..)
            .flat_map(|(segment, place)| {
                let live = (0..segment.reader.documents()).filter(|d| segment.is_live(*d));
                live.map(move |document| (place, document))
            });
        let all: Vec<(u32, u32)> = all.collect();
        assert_eq!(all.len(), 12_000 - 5);
        for query in [
            Query::text("text", "same"),
            Query::sparse("sparse", [("same", 2.0)]),
        ] {
            for k in [1, 10, 299, 9_500, 20_000] {
                for (threads, documents) in [(2, 4_096), (4, 64)] {
                    for algorithm in snapshot.algorithms(&query).unwrap() {
                        let options = SearchOptions::new(k).algorithm(algorithm);
                        let options = options.threads(threads).part_documents(documents);
                        let found = snapshot.search_with(&query, &options).unwrap().hits;
                        let addresses = found.iter().map(|hit| hit.address);
                        let found = addresses.map(|at| (at.segment, at.document));
                        assert!(found.eq(all.iter().copied().take(k)), "{options:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn damage_is_reported_as_by_one_thread() {
    let memory = Memory::new();
    let directory: Arc<dyn Directory> = Arc::new(memory.clone());
    let index = Index::create_in(
        directory.clone(),
        schema(SparseLayout::Ranges),
        IndexOptions::new(),
    )
    .unwrap();
    let mut writer = index.writer_with(unmerged()).unwrap();
    for number in 0..9_000 {
        writer.add(document(number)).unwrap();
    }
    writer.commit().unwrap();
    drop(writer);
    let names = directory.list().unwrap();
    let name = names
        .iter()
        .find(|name| name.starts_with("segment"))
        .unwrap();
    let whole = memory.bytes(name).unwrap().to_vec();
    let mut reported = 0;
    for at in (64..whole.len()).step_by(whole.len() / 60) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        memory.overwrite(name, damaged);
        // What was read is remembered as checked, so every search gets its own snapshot.
        let ask = |query: &Query, threads: usize| {
            let opened = Index::open_in(directory.clone(), IndexOptions::new());
            let snapshot = opened.and_then(|index| index.snapshot())?;
            let options = SearchOptions::new(20).algorithm(Algorithm::Exhaustive);
            let options = options.threads(threads).part_documents(2_000);
            let found = snapshot.search_with(query, &options)?;
            Ok(found.hits.scored().to_vec())
        };
        for query in &queries() {
            match (ask(query, 1), ask(query, 3)) {
                (Ok(one), Ok(several)) => assert_eq!(one, several),
                (Err(one), Err(several)) => {
                    assert!(matches!(several, Error::Corrupt { .. }), "{several}");
                    assert_eq!(one.to_string(), several.to_string());
                    reported += 1;
                }
                (one, several) => panic!("{one:?} on one thread, {several:?} on three"),
            }
        }
    }
    assert!(reported > 5, "{reported}");
}

#[test]
fn a_number_of_threads_that_makes_no_sense_is_refused() {
    let snapshot = index_of(SparseLayout::Ranges, &[5]);
    let ask = |threads| {
        let options = SearchOptions::new(1).threads(threads);
        snapshot.search_with(&Query::text("text", "w0"), &options)
    };
    let error = ask(0).unwrap_err();
    assert!(matches!(error, Error::InvalidInput { .. }), "{error:?}");
    assert!(error.to_string().contains("ask for 1"), "{error}");
    let error = ask(1_025).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Limit {
                found: 1_025,
                limit: 1_024,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(ask(1_024).unwrap().hits, ask(1).unwrap().hits);
}
