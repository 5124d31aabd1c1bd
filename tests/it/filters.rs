//! Filtered searches return what is left of the unfiltered ones when the documents that the filter
//! rejects are taken out, bit for bit, on random indexes.
//!
//! The slow evaluator is the exhaustive search for all documents, which `oracle` and `dense`
//! compare with scores written out from the documents; the filter is applied to its result here. A
//! case is a filter and a k; it is searched by every algorithm and by the planner's choice, half of
//! the time on several threads. Indexes (several segments, deletes, a field of every kind) and
//! queries are shared by many cases. Some filters reject exactly the best documents, so that bounds
//! or seeds that count rejected documents are found out.
//!
//! A million cases by hand:
//!
//! ```text
//! ESPARSA_FILTER_CASES=1000000 cargo test --release --test it -- filters:: --nocapture
//! ```
//!
//! `ESPARSA_FILTER_SEED` is the first index's seed; a failure names its own.

use esparsa::internals::doc_set::DocSet;
use esparsa::{
    Algorithm, Dense, DocAddress, Document, Error, Index, MergePolicy, Query, Schema,
    SearchOptions, Snapshot, Sparse, SparseLayout, Text, WriterOptions,
};

use crate::random::Random;

const CASES: u64 = 10_000;
/// Cases of one index, over all of its queries.
const CASES_PER_INDEX: u64 = 200;
/// Cases of one query.
const CASES_PER_QUERY: u64 = 10;
const DIMENSIONS: usize = 9;
/// More than any index has.
const ALL: usize = 20_000;

fn schema() -> Schema {
    let schema = Schema::builder()
        .text("text", Text::new())
        .sparse("ranges", Sparse::new())
        .sparse("tiers", Sparse::new().layout(SparseLayout::Tiers))
        .dense("dense", Dense::new(DIMENSIONS));
    schema.build().unwrap()
}

/// A document with words and weights of few different values, so that many scores are equal.
fn document(random: &mut Random, id: u64, vocabulary: u64) -> Document {
    let word = |random: &mut Random| random.below(vocabulary).min(random.below(vocabulary));
    let words = 1 + random.below(12);
    let words: Vec<String> = (0..words).map(|_| format!("w{}", word(random))).collect();
    let terms = 1 + random.below(12);
    let vector: std::collections::BTreeMap<_, _> = (0..terms)
        .map(|_| (format!("t{}", word(random)), random.below(40) as f32 / 10.0))
        .collect();
    let components = (0..DIMENSIONS).map(|_| random.below(5) as f32 - 2.0);
    let components: Vec<f32> = components.collect();
    let document = Document::new(format!("d{id}"))
        .with_text("text", words.join(" "))
        .with_sparse("ranges", vector.clone())
        .with_sparse("tiers", vector);
    match random.chance(9) {
        true => document,
        false => document.with_dense("dense", components),
    }
}

/// A random index, and the number of words in it.
pub fn build(random: &mut Random) -> (Snapshot, u64) {
    let documents = match random.below(12) {
        0 => 3_000 + random.below(6_000),
        1..=5 => 200 + random.below(1_500),
        _ => random.below(120),
    };
    let vocabulary = 2 + random.below(40);
    let index = Index::in_memory(schema()).unwrap();
    let mut writer = index
        .writer_with(
            WriterOptions::new()
                .merge_policy(MergePolicy::never())
                .reorder_from(random.chance(2).then_some(20))
                .threads(1),
        )
        .unwrap();
    let commit_every = 1 + documents / (1 + random.below(4));
    // Few deletes, or most of the documents.
    let delete_one_of = [2, 7, 50, 1_000_000][random.below(4) as usize];
    let mut deleted = Vec::new();
    for id in 0..documents {
        writer.add(document(random, id, vocabulary)).unwrap();
        if random.chance(delete_one_of) {
            deleted.push(id);
        }
        if id % commit_every == commit_every - 1 {
            writer.commit().unwrap();
        }
    }
    writer.commit().unwrap();
    for id in deleted {
        writer.delete(&format!("d{id}")).unwrap();
    }
    writer.commit().unwrap();
    (index.snapshot().unwrap(), vocabulary)
}

/// A random query of one field.
pub fn query(random: &mut Random, vocabulary: u64) -> Query {
    let terms = 1 + random.below(8);
    let terms: Vec<u64> = (0..terms).map(|_| random.below(vocabulary + 1)).collect();
    let kind = random.below(4);
    let query = match kind {
        0 => {
            let words: Vec<String> = terms.iter().map(|term| format!("w{term}")).collect();
            Query::text("text", words.join(" "))
        }
        1 | 2 => {
            let field = if kind == 1 { "ranges" } else { "tiers" };
            let weight = |random: &mut Random| 0.1 + random.below(20) as f32 / 10.0;
            Query::sparse(
                field,
                terms.iter().map(|t| (format!("t{t}"), weight(random))),
            )
        }
        _ => {
            let components = (0..DIMENSIONS).map(|_| random.below(7) as f32 - 3.0);
            return Query::dense("dense", components.collect::<Vec<_>>());
        }
    };
    match random.chance(4) {
        true => query.with_all_terms(),
        false => query,
    }
}

/// Sets of documents of each segment, to be filled.
fn empty(snapshot: &Snapshot) -> Vec<DocSet> {
    let segments = snapshot.segments().iter();
    segments
        .map(|s| DocSet::empty(s.reader.documents()))
        .collect()
}

fn filter(random: &mut Random, snapshot: &Snapshot, best: &[(DocAddress, f32)]) -> Vec<DocSet> {
    let mut filter = empty(snapshot);
    let accept_all = |filter: &mut Vec<DocSet>| {
        for set in filter {
            *set = set.complement();
        }
    };
    match random.below(5) {
        // Rejects the best documents, and nothing else.
        0 => {
            let rejected = random.below(best.len() as u64 + 1).min(random.below(3_000));
            for (address, _) in &best[..rejected as usize] {
                filter[address.segment as usize].insert(address.document);
            }
            accept_all(&mut filter);
        }
        // Accepts few documents, wherever they are.
        1 => {
            for _ in 0..random.below(12) {
                if let Some(set) = filter.get_mut(random.below(5) as usize)
                    && set.documents() > 0
                {
                    set.insert(random.below(u64::from(set.documents())) as u32);
                }
            }
        }
        // Accepts one range of documents of each segment.
        2 => {
            for set in &mut filter {
                let end = u64::from(set.documents()) + 1;
                let (a, b) = (random.below(end) as u32, random.below(end) as u32);
                (a.min(b)..a.max(b)).for_each(|document| {
                    set.insert(document);
                });
            }
        }
        // Accepts any share of the documents, deleted ones too.
        _ => {
            let share = [1, 10, 50, 90, 99, 100][random.below(6) as usize];
            for set in &mut filter {
                for document in 0..set.documents() {
                    if random.below(100) < share {
                        set.insert(document);
                    }
                }
            }
        }
    }
    filter
}

fn is_accepted(filter: &[DocSet], address: DocAddress) -> bool {
    filter[address.segment as usize].contains(address.document)
}

/// One query on an index, with several filters.
fn check_query(random: &mut Random, snapshot: &Snapshot, query: &Query, cases: u64, seed: u64) {
    let exhaustive = SearchOptions::new(ALL).algorithm(Algorithm::Exhaustive);
    let all = snapshot.search_with(query, &exhaustive).unwrap().hits;
    let algorithms = snapshot.algorithms(query).unwrap();
    let algorithms: Vec<_> = [None]
        .into_iter()
        .chain(algorithms.into_iter().map(Some))
        .collect();
    for _ in 0..cases {
        let sets = filter(random, snapshot, all.scored());
        let filter = snapshot.filter(sets.clone()).unwrap();
        let k = match random.below(3) {
            0 => 1 + random.below(10) as usize,
            1 => 1 + random.below(100) as usize,
            _ => 1 + random.below(2_000) as usize,
        };
        let accepted = all.scored().iter().filter(|hit| is_accepted(&sets, hit.0));
        let expected: Vec<(DocAddress, u32)> = accepted
            .take(k)
            .map(|(a, score)| (*a, score.to_bits()))
            .collect();
        for algorithm in &algorithms {
            let mut options = SearchOptions::new(k).with_filter(filter.clone());
            if let Some(algorithm) = algorithm {
                options = options.algorithm(*algorithm);
            }
            if random.chance(4) {
                options = options.threads(2 + random.below(3) as usize);
                options = options.part_documents(1 + random.below(2_000) as u32);
            }
            let found = snapshot.search_with(query, &options).unwrap().hits;
            let found = found
                .scored()
                .iter()
                .map(|(a, score)| (*a, score.to_bits()));
            assert!(
                found.eq(expected.iter().copied()),
                "seed {seed}: {query:?} with k = {k}, {algorithm:?}, {} of {} hits accepted",
                expected.len(),
                all.len()
            );
        }
    }
}

fn check(seed: u64, cases: u64) {
    let mut random = Random(seed);
    let (snapshot, vocabulary) = build(&mut random);
    let mut left = cases;
    while left > 0 {
        let cases = left.min(CASES_PER_QUERY);
        let query = query(&mut random, vocabulary);
        check_query(&mut random, &snapshot, &query, cases, seed);
        left -= cases;
    }
}

#[test]
fn filtered_searches_equal_the_slow_evaluator() {
    let number = |name: &str, default| std::env::var(name).map_or(default, |v| v.parse().unwrap());
    let cases: u64 = number("ESPARSA_FILTER_CASES", CASES);
    let first: u64 = number("ESPARSA_FILTER_SEED", 1);
    let indexes = cases.div_ceil(CASES_PER_INDEX);
    let next = std::sync::atomic::AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if index >= indexes {
                        return;
                    }
                    let done = index * CASES_PER_INDEX;
                    check(first + index, CASES_PER_INDEX.min(cases - done));
                }
            });
        }
    });
    println!("{cases} cases on {indexes} indexes, seeds from {first}");
}

#[test]
fn sets_that_do_not_fit_the_segments_make_no_filter() {
    let (snapshot, _) = build(&mut Random(3));
    let mut sets = empty(&snapshot);
    let search = |filter| {
        let options = SearchOptions::new(1).with_filter(filter);
        snapshot.search_with(&Query::text("text", "w0"), &options)
    };
    let filter = snapshot.filter(sets.clone()).unwrap();
    assert!(search(filter).unwrap().hits.is_empty());
    sets.push(DocSet::empty(1));
    let refused = snapshot.filter(sets.clone()).unwrap_err();
    assert!(matches!(refused, Error::InvalidInput { .. }), "{refused}");
    sets.truncate(1);
    sets[0] = DocSet::full(sets[0].documents() + 1);
    assert!(snapshot.filter(sets).is_err());
}

#[test]
fn a_filter_is_refused_once_a_merge_has_rewritten_its_segments() {
    let index = Index::in_memory(schema()).unwrap();
    let mut writer = index.writer().unwrap();
    let mut random = Random(5);
    for id in 0..40 {
        writer.add(document(&mut random, id, 10)).unwrap();
    }
    writer.commit().unwrap();
    let before = index.snapshot().unwrap();
    let filter = before
        .filter(empty(&before).iter().map(DocSet::complement).collect())
        .unwrap();
    let search = |snapshot: &Snapshot| {
        let options = SearchOptions::new(50).with_filter(filter.clone());
        snapshot.search_with(&Query::text("text", "w0 w1 w2 w3"), &options)
    };
    let found = search(&before).unwrap().hits.len();
    assert!(found > 0);

    // Deletes leave the segment as it is, so the filter still holds.
    writer.delete("d7").unwrap();
    writer.commit().unwrap();
    assert!(search(&index.snapshot().unwrap()).is_ok());

    // As many documents as before, in a segment of another name.
    writer.add(document(&mut random, 7, 10)).unwrap();
    writer.commit().unwrap();
    writer.merge_to(1).unwrap();
    let after = index.snapshot().unwrap();
    assert_eq!(after.documents(), 40);
    let refused = search(&after).unwrap_err();
    assert!(matches!(refused, Error::InvalidInput { .. }), "{refused}");
    let options = SearchOptions::new(50).with_filter(filter.clone());
    let filtered = Query::text("text", "w0").with_filter(Query::all());
    let refused = after.search_with(&filtered, &options).unwrap_err();
    assert!(matches!(refused, Error::InvalidInput { .. }), "{refused}");
    assert_eq!(search(&before).unwrap().hits.len(), found);
}
