//! Every algorithm returns the same documents with bit-equal scores, on random indexes.
//!
//! Each case draws an index (documents, segments, deletes, merges), a query and k, and compares:
//! the exhaustive search with a scorer written out here from the documents, and the other
//! algorithms with the exhaustive one, half of them on several threads. Queries that ask for all
//! terms are compared with what is left of the exhaustive search when documents that lack one are
//! taken out. Sparse weights are of one magnitude in some commits and of another in others, a few
//! among them far above or below; merging the segments changes no score. `ESPARSA_ORACLE_CASES`
//! sets the number of cases, `ESPARSA_ORACLE_SEED` the first seed; a failure names its seed.

use std::collections::{BTreeMap, BTreeSet};

use esparsa::internals::format::lengths;
use esparsa::{
    Algorithm, Bm25, Document, Index, MergePolicy, Query, Schema, SearchOptions, Sparse,
    SparseLayout, Text, WriterOptions,
};

use crate::random::{Random, check_seeds};

const CASES: u64 = 3_000;

impl Random {
    /// Small numbers are likelier: the words of a vocabulary, or sizes.
    fn skewed(&mut self, end: u64) -> u64 {
        let (a, b) = (self.below(end), self.below(end));
        let c = self.below(end);
        a.min(b).min(c)
    }
}

#[derive(Clone)]
struct Row {
    id: u64,
    words: Vec<u64>,
    vector: BTreeMap<u64, f32>,
    /// The commit it was written for.
    commit: usize,
}

struct Case {
    index: Index,
    /// To which weights are clamped.
    max_weight: Option<f32>,
    /// The max weight of the documents of each commit.
    max_of_commits: Vec<f32>,
    /// The live documents.
    live: BTreeMap<u64, Row>,
    /// Every document that is in a segment, deleted or not: statistics count them.
    written: Option<Vec<Row>>,
    vocabulary: u64,
}

/// The max weight that the schema expects, or sets.
const MAX_WEIGHT: f32 = 3.0;
/// Of weights, from commit to commit.
const MAGNITUDES: [f32; 8] = [1.0, 1.0, 1.0, 1.0, 1.0, 0.03, 9.0, 700.0];

fn row(
    random: &mut Random,
    (ids, vocabulary, longest): (u64, u64, u64),
    (commit, magnitude): (usize, f32),
) -> Row {
    let words = (0..random.skewed(longest + 1)).map(|_| random.skewed(vocabulary));
    let words: Vec<u64> = words.collect();
    let terms = random.skewed(longest + 1);
    let mut vector = BTreeMap::new();
    for _ in 0..terms {
        let unusual = match random.below(100) {
            0 => 1e-5,
            1 => 5e-3,
            2 => 6.0,
            _ => 1.0,
        };
        let weight = random.below(400) as f32 / 100.0 * magnitude * unusual;
        vector.insert(random.skewed(vocabulary), weight);
    }
    Row {
        id: random.below(ids),
        words,
        vector,
        commit,
    }
}

fn to_document(row: &Row) -> Document {
    let words: Vec<String> = row.words.iter().map(|word| format!("w{word}")).collect();
    Document::new(format!("d{}", row.id))
        .with_text("text", words.join(" "))
        .with_sparse(
            "sparse",
            row.vector.iter().map(|(t, w)| (format!("t{t}"), *w)),
        )
}

fn build(random: &mut Random) -> Case {
    let documents = match random.below(200) {
        0 => 4_000 + random.below(6_000),
        1..=8 => 300 + random.below(1_500),
        _ => random.below(80),
    };
    let (vocabulary, longest) = (2 + random.below(60), 1 + random.below(25));
    let ids = if random.chance(3) {
        documents / 2 + 1
    } else {
        documents * 50 + 1
    };
    let layout = match random.below(4) {
        0 => SparseLayout::Tiers,
        _ => SparseLayout::Ranges,
    };
    let mut sparse = Sparse::new().expected_max(MAX_WEIGHT).layout(layout);
    let max_weight = random.chance(4).then_some(MAX_WEIGHT);
    if let Some(max_weight) = max_weight {
        sparse = sparse.max_weight(max_weight);
    }
    let schema = Schema::builder()
        .text("text", Text::new())
        .sparse("sparse", sparse);
    let index = Index::in_memory(schema.build().unwrap()).unwrap();
    let mut writer = index
        .writer_with(
            WriterOptions::new()
                .merge_policy(MergePolicy::never())
                .reorder_from(random.chance(2).then_some(20))
                .threads(1 + random.below(2) as usize),
        )
        .unwrap();
    let commit_every = 1 + random.below(documents + 1);
    let mut live = BTreeMap::new();
    let mut any_gone = false;
    let draw_magnitude = |random: &mut Random| MAGNITUDES[random.below(8) as usize];
    let mut magnitude = draw_magnitude(random);
    let mut max_of_commits = vec![MAX_WEIGHT];
    for _ in 0..documents {
        let commit = max_of_commits.len() - 1;
        let sizes = (ids, vocabulary, longest);
        let row = row(random, sizes, (commit, magnitude));
        let mut weights = row.vector.values().copied();
        max_of_commits[commit] = weights.by_ref().fold(max_of_commits[commit], f32::max);
        writer.add(to_document(&row)).unwrap();
        any_gone |= live.insert(row.id, row).is_some();
        if random.chance(commit_every) {
            writer.commit().unwrap();
            magnitude = draw_magnitude(random);
            max_of_commits.push(MAX_WEIGHT);
        }
        if random.chance(30) {
            let id = random.below(ids);
            writer.delete(&format!("d{id}")).unwrap();
            any_gone |= live.remove(&id).is_some();
        }
    }
    if random.chance(4) {
        let segments = 1 + random.below(3) as usize;
        writer.merge_to(segments).unwrap();
        any_gone &= segments > 1;
    }
    writer.commit().unwrap();
    let written = (!any_gone).then(|| live.values().cloned().collect());
    Case {
        index,
        max_weight,
        max_of_commits,
        live,
        written,
        vocabulary,
    }
}

/// BM25 as the design gives it, from the documents; scores differ from the engine's in rounding
/// only.
fn naive_bm25(case: &Case, words: &[u64], bm25: Bm25) -> Option<BTreeMap<u64, f64>> {
    let written = case.written.as_ref()?;
    let count = written.iter().filter(|row| !row.words.is_empty()).count() as f64;
    let total: usize = written.iter().map(|row| row.words.len()).sum();
    let average = total as f64 / count.max(1.0);
    let (k1, b) = (f64::from(bm25.k1), f64::from(bm25.b));
    let mut scores = BTreeMap::new();
    for word in words {
        let has = |row: &&Row| row.words.contains(word);
        let df = written.iter().filter(has).count() as f64;
        let idf = (1.0 + (count - df + 0.5) / (df + 0.5)).ln();
        for row in written.iter().filter(has) {
            let tf = row.words.iter().filter(|w| *w == word).count() as f64;
            let length = f64::from(lengths::decode(lengths::encode(row.words.len() as u32)));
            let norm = k1 * (1.0 - b + b * length / average);
            *scores.entry(row.id).or_insert(0.0) += idf * tf / (tf + norm);
        }
    }
    Some(scores)
}

/// Scores, and how far quantization may put them off: a part of each weight, a step of its
/// segment's scale, and what the integers of the query cannot tell beside the largest contribution
/// there may be.
fn naive_dot_product(case: &Case, query: &BTreeMap<u64, f32>) -> BTreeMap<u64, (f64, f64)> {
    let mut scores = BTreeMap::new();
    let max = query
        .values()
        .fold(0.0, |max: f32, weight| max.max(*weight));
    let max_contribution = f64::from(max * 24.0 * MAGNITUDES[7]);
    for row in case.live.values() {
        let step = f64::from(2.0 * case.max_of_commits[row.commit] / 255.0);
        let shared = query.iter().filter_map(|(term, weight)| {
            let in_document = row.vector.get(term).filter(|w| **w > 0.0)?;
            let in_document = f64::from(in_document.min(case.max_weight.unwrap_or(f32::MAX)));
            (*weight > 0.0).then(|| {
                let error = f64::from(*weight) * (in_document / 200.0 + step);
                (
                    f64::from(*weight) * in_document,
                    error + max_contribution / 20_000.0,
                )
            })
        });
        let products: Vec<(f64, f64)> = shared.collect();
        if !products.is_empty() {
            let sum = |(score, error): (f64, f64), (s, e): &(f64, f64)| (score + s, error + e);
            scores.insert(row.id, products.iter().fold((0.0, 0.0), sum));
        }
    }
    scores
}

fn compare_with_naive(found: &esparsa::Hits, expected: &BTreeMap<u64, (f64, f64)>, seed: u64) {
    for hit in found {
        let id: u64 = hit.id().unwrap()[1..].parse().unwrap();
        let score = expected.get(&id).copied();
        let (score, error) =
            score.unwrap_or_else(|| panic!("seed {seed}: {id} should not be found"));
        let off = (score - f64::from(hit.score)).abs();
        assert!(
            off <= error,
            "seed {seed}: {id} scores {} instead of {score}",
            hit.score
        );
    }
}

/// The numbers in the ids of hits.
fn numbers_of(hits: &esparsa::Hits) -> BTreeSet<u64> {
    let ids = hits.ids().unwrap();
    ids.iter().map(|id| id[1..].parse().unwrap()).collect()
}

/// On how many threads a case's queries are searched, and how finely segments are cut for them.
struct Threads {
    random: Random,
    threads: usize,
    part_documents: u32,
}

impl Threads {
    fn new(seed: u64, documents: u64) -> Self {
        // Numbers of its own, so that cases stay what they are.
        let mut random = Random(!seed);
        let parts = 1 + random.below(12);
        Self {
            threads: 2 + random.below(3) as usize,
            part_documents: u32::try_from(documents / parts).unwrap() + 1,
            random,
        }
    }

    fn draw(&mut self, options: SearchOptions) -> SearchOptions {
        if self.random.chance(2) {
            return options;
        }
        let options = options.threads(self.threads);
        options.part_documents(self.part_documents)
    }
}

/// Asks for all of a few terms.
fn check_all_terms(
    case: &Case,
    (words, vector, bm25): (&[u64], &BTreeMap<u64, f32>, Bm25),
    k: usize,
    threads: &mut Threads,
    seed: u64,
) {
    let few = 1 + threads.random.below(4) as usize;
    let words = &words[..words.len().min(few)];
    let skipped = threads.random.below(vector.len() as u64) as usize;
    let vector = vector.iter().cycle().skip(skipped);
    let vector: BTreeMap<u64, f32> = vector.take(few).map(|(t, w)| (*t, *w)).collect();
    let text: Vec<String> = words.iter().map(|word| format!("w{word}")).collect();
    let has_words = |row: &Row| words.iter().all(|word| row.words.contains(word));
    let has_terms = |row: &Row| {
        let mut asked = vector.iter().filter(|(_, weight)| **weight > 0.0);
        asked.all(|(term, _)| row.vector.get(term).is_some_and(|weight| *weight > 0.0))
    };
    let weights = vector.iter().map(|(t, w)| (format!("t{t}"), *w));
    type HasAll<'a> = &'a dyn Fn(&Row) -> bool;
    let queries: [(Query, HasAll<'_>); 2] = [
        (
            Query::text("text", text.join(" ")).with_bm25(bm25),
            &has_words,
        ),
        (Query::sparse("sparse", weights), &has_terms),
    ];
    let snapshot = case.index.snapshot().unwrap();
    for (any, has_all) in queries {
        let has_all = |id: &str| has_all(&case.live[&id[1..].parse().unwrap()]);
        let options = SearchOptions::new(20_000).algorithm(Algorithm::Exhaustive);
        let found = snapshot.search_with(&any, &options).unwrap().hits;
        let query = any.clone().with_all_terms();
        if let Some(hit) = found.first() {
            let id = hit.id().unwrap();
            let explanation = snapshot.explain(&query, &id, k).unwrap().unwrap();
            let score = if has_all(&id) { hit.score } else { 0.0 };
            assert_eq!(explanation.score.to_bits(), score.to_bits(), "seed {seed}");
            assert_eq!(explanation.missing.is_empty(), has_all(&id), "seed {seed}");
        }
        let expected = found.iter().filter(|hit| has_all(&hit.id().unwrap()));
        let expected: Vec<_> = expected.take(k).collect();
        let algorithms = snapshot.algorithms(&query).unwrap();
        assert_eq!(algorithms, [Algorithm::Exhaustive, Algorithm::Conjunction]);
        for algorithm in algorithms {
            let options = threads.draw(SearchOptions::new(k).algorithm(algorithm));
            let hits = snapshot.search_with(&query, &options).unwrap().hits;
            assert!(
                hits.iter().eq(expected.iter().copied()),
                "seed {seed}: {query:?} with {options:?}"
            );
        }
        let options = threads.draw(SearchOptions::new(k));
        let found = snapshot.search_with(&query, &options).unwrap();
        assert!(
            found.hits.iter().eq(expected),
            "seed {seed}: {query:?} with {options:?}"
        );
        let mut algorithms = found.statistics.algorithms.iter();
        assert!(
            algorithms.all(|used| *used == Algorithm::Conjunction),
            "seed {seed}"
        );
    }
}

fn check(seed: u64) {
    let mut random = Random(seed);
    let case = build(&mut random);
    let snapshot = case.index.snapshot().unwrap();
    assert_eq!(snapshot.documents(), case.live.len() as u64, "seed {seed}");
    let k = match random.below(4) {
        0 => 1,
        1 => 1 + random.below(20) as usize,
        2 => 10,
        _ => 1 + random.below(2_000) as usize,
    };
    let length = 1 + random.skewed(12);
    let words: Vec<u64> = (0..length)
        .map(|_| random.skewed(case.vocabulary + 2))
        .collect();
    let bm25 = Bm25 {
        k1: [0.0, 0.82, 0.9, 3.0][random.below(4) as usize],
        b: [0.0, 0.4, 0.68, 1.0][random.below(4) as usize],
    };
    let vector: BTreeMap<u64, f32> = (0..length * 2)
        .map(|_| {
            (
                random.skewed(case.vocabulary + 2),
                random.below(300) as f32 / 100.0,
            )
        })
        .collect();
    let text: Vec<String> = words.iter().map(|word| format!("w{word}")).collect();
    let queries = [
        Query::text("text", text.join(" ")).with_bm25(bm25),
        Query::sparse("sparse", vector.iter().map(|(t, w)| (format!("t{t}"), *w))),
    ];
    let mut threads = Threads::new(seed, snapshot.documents());
    for query in &queries {
        let search = |options: &SearchOptions| snapshot.search_with(query, options).unwrap().hits;
        let exhaustive = search(&SearchOptions::new(k).algorithm(Algorithm::Exhaustive));
        let sorted = exhaustive.scored().windows(2).all(|pair| {
            let [(before, high), (after, low)] = [pair[0], pair[1]];
            high > low || (high == low && before < after)
        });
        assert!(sorted, "seed {seed}: hits are not in order");
        for algorithm in snapshot.algorithms(query).unwrap() {
            let options = threads.draw(SearchOptions::new(k).algorithm(algorithm));
            let found = search(&options);
            assert_eq!(found, exhaustive, "seed {seed}: {query:?} with {options:?}");
        }
        let options = threads.draw(SearchOptions::new(k));
        let found = search(&options);
        assert_eq!(
            found, exhaustive,
            "seed {seed}: planner's choice, {options:?}"
        );
        if let Some(hit) = exhaustive.first() {
            let id = hit.id().unwrap();
            let explanation = snapshot.explain(query, &id, k).unwrap().unwrap();
            assert_eq!(
                explanation.score.to_bits(),
                hit.score.to_bits(),
                "seed {seed}"
            );
            for term in &explanation.terms {
                assert!(
                    term.contribution <= term.block_bound || term.value == 0,
                    "seed {seed}"
                );
                assert!(term.contribution <= term.list_bound, "seed {seed}");
            }
        }
    }
    check_all_terms(&case, (&words, &vector, bm25), k, &mut threads, seed);
    let all = |query| snapshot.search(query, 20_000).unwrap();
    if let Some(expected) = naive_bm25(&case, &words, bm25) {
        let found = all(&queries[0]);
        let with_error = |(id, score): (&u64, &f64)| (*id, (*score, 1e-4 * score.max(1.0)));
        let expected: BTreeMap<u64, (f64, f64)> = expected.iter().map(with_error).collect();
        compare_with_naive(&found, &expected, seed);
        let ids = numbers_of(&found);
        assert_eq!(ids, expected.keys().copied().collect(), "seed {seed}");
    }
    let expected = naive_dot_product(&case, &vector);
    let found = all(&queries[1]);
    compare_with_naive(&found, &expected, seed);
    let ids = numbers_of(&found);
    assert_eq!(ids, expected.keys().copied().collect(), "seed {seed}");
    if case.written.is_some() && seed.is_multiple_of(4) {
        let by_id = |hits: esparsa::Hits| -> BTreeMap<String, u32> {
            let scores = hits.iter();
            let scores = scores.map(|hit| (hit.id().unwrap(), hit.score.to_bits()));
            scores.collect()
        };
        let mut writer = case.index.writer().unwrap();
        writer.merge_to(1).unwrap();
        writer.commit().unwrap();
        let merged = case.index.snapshot().unwrap();
        let merged = merged.search(&queries[1], 20_000).unwrap();
        assert_eq!(
            by_id(merged),
            by_id(found),
            "seed {seed}: merging changes scores"
        );
    }
}

#[test]
fn all_algorithms_equal_the_exhaustive_one() {
    check_seeds(CASES, check);
}
