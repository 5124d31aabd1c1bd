//! A snapshot of some segments: with the others it finds what the whole finds.

use esparsa::{
    Column, Document, Hits, Index, Query, Schema, SearchOptions, Snapshot, Sparse, Text,
};

use crate::random::Random;

fn snapshot(random: &mut Random) -> Snapshot {
    let schema = Schema::builder()
        .text("text", Text::new())
        .sparse("splade", Sparse::new())
        .column("year", Column::i64())
        .build()
        .unwrap();
    let index = Index::in_memory(schema).unwrap();
    let mut writer = index.writer().unwrap();
    for number in 0..600_u64 {
        let words: Vec<String> = (0..10).map(|_| format!("w{}", random.below(30))).collect();
        let term = format!("w{}", random.below(30));
        let document = Document::new(number.to_string())
            .with_text("text", words.join(" "))
            .with_sparse("splade", [(term, random.below(100) as f32 / 10.0 + 0.1)])
            .with("year", random.below(50) as i64);
        writer.add(document).unwrap();
        if random.chance(100) {
            writer.commit().unwrap();
        }
    }
    for number in (0..600).step_by(13) {
        writer.delete(&number.to_string()).unwrap();
    }
    writer.commit().unwrap();
    index.snapshot().unwrap()
}

fn found(hits: &Hits) -> Vec<(u32, u32, u32)> {
    let place = |address: esparsa::DocAddress| (address.segment, address.document);
    let hits = hits.iter().map(|hit| {
        let (segment, document) = place(hit.address);
        // Scores are above 0, so their bits are in their order.
        (u32::MAX - hit.score.to_bits(), segment, document)
    });
    hits.collect()
}

#[test]
fn hits_of_parts_are_merged_to_the_hits_of_the_whole() {
    for seed in 1..20 {
        let mut random = Random(seed);
        let whole = snapshot(&mut random);
        let count = whole.segment_count();
        let owners: Vec<u64> = (0..count).map(|_| random.below(3)).collect();
        let part = |owner: u64| {
            let own = (0..count).filter(|segment| owners[*segment] == owner);
            whole.only_segments(own).unwrap()
        };
        let parts: Vec<Snapshot> = (0..3).map(part).collect();
        let words = Query::text("text", "w1 w2 w3");
        for query in [
            words.clone(),
            words.clone().with_filter(Query::range("year", 10..30)),
            words.with_all_terms(),
            Query::sparse("splade", [("w1", 1.0), ("w7", 0.3)]),
            Query::phrase("text", "w1"),
        ] {
            for threads in [1, 3] {
                let options = SearchOptions::new(20).threads(threads).part_documents(64);
                let search =
                    |snapshot: &Snapshot| snapshot.search_with(&query, &options).unwrap().hits;
                let mut merged: Vec<_> = parts.iter().flat_map(|p| found(&search(p))).collect();
                merged.sort_unstable();
                merged.truncate(20);
                assert_eq!(merged, found(&search(&whole)), "seed {seed}: {query:?}");
            }
            let counts = parts.iter().map(|part| part.count(&query).unwrap());
            assert_eq!(counts.sum::<u64>(), whole.count(&query).unwrap());
        }
        let documents: u64 = parts.iter().map(Snapshot::documents).sum();
        assert_eq!(documents, whole.documents());
        assert!(whole.only_segments([count]).is_err());
    }
}
