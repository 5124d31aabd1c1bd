//! Conditions and filtered queries find what a plain evaluator over documents finds, on random
//! indexes and random trees.
//!
//! An index has a column of each type, some with several values, a text field, and fields of
//! vectors; several segments, deletes, documents in another order. A case is a random tree of
//! conditions: it is counted, searched as a query of its own, and as the filter of a query of words
//! or of a vector by every algorithm, half of the time on several threads. `ESPARSA_ORACLE_CASES`
//! sets the number of indexes, of [`CASES`] trees each.

pub mod documents;
pub mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use esparsa::{
    ColumnType, DocAddress, Document, Error, Facet, FacetResult, Index, Interval, MergePolicy,
    Query, SearchOptions, Snapshot, Sort, Value, WriterOptions,
};

use self::documents::{COLUMNS, Doc, WORDS, build, schema, value};
use self::tree::{Tree, compare, tree};
use crate::random::{Random, check_seeds};

/// Indexes in CI.
const INDEXES: u64 = 120;
/// Trees of an index.
const CASES: u64 = 40;
fn ids(snapshot: &Snapshot, query: &Query, options: &SearchOptions) -> Vec<(String, u32)> {
    let hits = snapshot.search_with(query, options).unwrap().hits;
    let ids = hits.ids().unwrap().into_iter();
    ids.zip(hits.scored())
        .map(|(id, (_, score))| (id, score.to_bits()))
        .collect()
}

fn scored(random: &mut Random) -> Query {
    let words = 1 + random.below(4);
    let words: Vec<u64> = (0..words).map(|_| random.below(WORDS)).collect();
    match random.below(4) {
        0 => Query::dense("dense", [1.0, -0.5, random.below(3) as f32]),
        1 => Query::sparse(
            "sparse",
            words.iter().map(|w| (format!("t{w}"), 0.5 + *w as f32)),
        ),
        kind => {
            let words: Vec<String> = words.iter().map(|word| format!("w{word}")).collect();
            let query = Query::text("text", words.join(" "));
            if kind == 2 {
                query
            } else {
                query.with_all_terms()
            }
        }
    }
}

fn check(seed: u64) {
    let mut random = Random(seed);
    let (snapshot, docs) = build(&mut random);
    for case in 0..CASES {
        let tree = tree(&mut random, 2);
        let query = tree.query();
        let what = || format!("seed {seed}, case {case}: {query:?}");
        let expected: BTreeSet<&str> = docs
            .iter()
            .filter(|doc| tree.matches(doc))
            .map(|doc| doc.id.as_str())
            .collect();
        let mut options = SearchOptions::new(5_000);
        if random.chance(2) {
            options = options
                .threads(3)
                .part_documents(1 + random.below(40) as u32);
        }
        assert_eq!(
            snapshot.count(&query).unwrap(),
            expected.len() as u64,
            "{}",
            what()
        );

        let scored = scored(&mut random);
        let filtered = scored.clone().with_filter(query.clone());
        let is_kept = |hit: &(String, u32)| expected.contains(hit.0.as_str());
        let all = ids(&snapshot, &scored, &SearchOptions::new(5_000));
        let kept: Vec<_> = all.into_iter().filter(is_kept).collect();
        assert_eq!(
            snapshot.count(&filtered).unwrap(),
            kept.len() as u64,
            "{}",
            what()
        );
        assert_eq!(ids(&snapshot, &filtered, &options), kept, "{}", what());
        for algorithm in snapshot.algorithms(&filtered).unwrap() {
            if let Some(last) = kept.get(random.below(kept.len().max(1) as u64) as usize) {
                let place = kept.iter().position(|hit| hit == last).unwrap() + 1;
                let address = snapshot.find(&last.0).unwrap().unwrap();
                let options = options.clone().algorithm(algorithm).after(address);
                let rest = ids(&snapshot, &filtered, &options);
                assert_eq!(
                    rest,
                    kept[place..],
                    "{algorithm}, after {last:?}, {}",
                    what()
                );
            }
            let k = 1 + random.below(9) as usize;
            let options = SearchOptions::new(k).algorithm(algorithm);
            let found = ids(&snapshot, &filtered, &options);
            assert_eq!(found, kept[..kept.len().min(k)], "{algorithm}, {}", what());
        }

        check_facets(&mut random, &snapshot, &docs, &query, &expected, &what);
        check_sorted(&mut random, &snapshot, &docs, &query, &expected, &what);

        // A query of words inside a tree is a condition; alone it is scored.
        if tree.is_scored() {
            continue;
        }
        let found = ids(&snapshot, &query, &options);
        assert!(
            found.iter().all(|(_, score)| *score == 1f32.to_bits()),
            "{}",
            what()
        );
        let in_order = ids(&snapshot, &Query::all(), &SearchOptions::new(5_000));
        let in_order = in_order
            .iter()
            .filter(|(id, _)| expected.contains(id.as_str()));
        assert!(found.iter().eq(in_order), "{}", what());
        if let Some(last) = found.get(random.below(found.len().max(1) as u64) as usize) {
            let place = found.iter().position(|hit| hit == last).unwrap() + 1;
            let address = snapshot.find(&last.0).unwrap().unwrap();
            let rest = ids(&snapshot, &query, &SearchOptions::new(4).after(address));
            let expected: Vec<_> = found[place..].iter().take(4).cloned().collect();
            assert_eq!(rest, expected, "{}", what());
        }
        let first = ids(&snapshot, &query, &SearchOptions::new(3));
        assert_eq!(first, found[..found.len().min(3)], "{}", what());
    }
}

/// Counts and statistics of a column.
fn check_facets(
    random: &mut Random,
    snapshot: &Snapshot,
    docs: &[Doc],
    query: &Query,
    expected: &BTreeSet<&str>,
    what: &dyn Fn() -> String,
) {
    let column = random.below(COLUMNS.len() as u64) as usize;
    let (name, of, _) = COLUMNS[column];
    let matching = docs.iter().filter(|doc| expected.contains(doc.id.as_str()));
    let lists: Vec<Vec<Value>> = matching
        .map(|doc| {
            let mut values = doc.values[column].clone();
            values.sort_by(compare);
            if of == ColumnType::Keyword {
                values.dedup();
            }
            values
        })
        .collect();
    let mut all: Vec<Value> = lists.iter().flatten().cloned().collect();
    all.sort_by(compare);
    let mut distinct = all.clone();
    distinct.dedup();
    let having = |value: &Value| lists.iter().filter(|list| list.contains(value)).count() as u64;
    let mut counts: Vec<_> = distinct
        .iter()
        .map(|value| (value.clone(), having(value)))
        .collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.truncate(3);
    let middle = value(random, of);
    let below = |list: &&Vec<Value>| list.iter().any(|value| compare(value, &middle).is_lt());
    let from = |list: &&Vec<Value>| list.iter().any(|value| compare(value, &middle).is_ge());
    let ranges = [
        (Bound::Unbounded, Bound::Excluded(middle.clone())),
        (Bound::Included(middle.clone()), Bound::Unbounded),
    ];
    let facets = [
        Facet::values(name, 3),
        Facet::ranges(name, ranges),
        Facet::statistics(name),
    ];
    let found = snapshot.facets(query, &facets).unwrap();
    let options = SearchOptions::new(1).facets(facets.iter().cloned());
    let with_hits = snapshot.search_with(query, &options).unwrap();
    assert_eq!(with_hits.facets, found, "{}", what());
    assert_eq!(found[0], FacetResult::Values(counts), "{name}, {}", what());
    let in_ranges = vec![
        lists.iter().filter(below).count() as u64,
        lists.iter().filter(from).count() as u64,
    ];
    assert_eq!(
        found[1],
        FacetResult::Ranges(in_ranges),
        "{name}, {}",
        what()
    );
    let FacetResult::Statistics(statistics) = &found[2] else {
        panic!("{:?}", found[2]);
    };
    let with_value = lists.iter().filter(|list| !list.is_empty()).count() as u64;
    let counted = (statistics.documents, statistics.values, statistics.distinct);
    let expected = (with_value, all.len() as u64, distinct.len() as u64);
    assert_eq!(counted, expected, "{name}, {}", what());
    let ends = (statistics.min.as_ref(), statistics.max.as_ref());
    assert_eq!(ends, (all.first(), all.last()), "{name}, {}", what());
    if matches!(of, ColumnType::I64 | ColumnType::F64) {
        let interval = Interval::Width(3.0);
        let place = |value: &Value| match value {
            Value::I64(number) => (*number as f64 / 3.0).floor(),
            Value::F64(number) => (number / 3.0).floor(),
            value => panic!("{value:?}"),
        };
        let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
        for list in &lists {
            let places: BTreeSet<i64> = list.iter().map(|value| place(value) as i64).collect();
            for place in places {
                *counts.entry(place).or_default() += 1;
            }
        }
        let found = snapshot.facets(query, &[Facet::histogram(name, interval)]);
        let FacetResult::Histogram(found) = found.unwrap().remove(0) else {
            panic!("no histogram");
        };
        let found: Vec<u64> = found.into_iter().map(|(_, count)| count).collect();
        assert_eq!(
            found,
            counts.into_values().collect::<Vec<_>>(),
            "{name}, {}",
            what()
        );
    }
    if of != ColumnType::Keyword {
        let found = snapshot
            .facets(query, &[Facet::percentiles(name, [0.0, 0.5, 1.0])])
            .unwrap();
        let last = all.len().saturating_sub(1);
        let places = [0, (last as f64 / 2.0).round() as usize, last];
        let values = places
            .iter()
            .filter_map(|place| all.get(*place).cloned())
            .collect();
        assert_eq!(
            found[0],
            FacetResult::Percentiles(values),
            "{name}, {}",
            what()
        );
    }
    if of == ColumnType::I64 {
        let sum: f64 = all
            .iter()
            .map(|value| match value {
                Value::I64(number) => *number as f64,
                value => panic!("{value:?}"),
            })
            .sum();
        assert_eq!(
            statistics.sum,
            (!all.is_empty()).then_some(sum),
            "{name}, {}",
            what()
        );
    }
}

/// Hits in the order of columns, and pages of them.
fn check_sorted(
    random: &mut Random,
    snapshot: &Snapshot,
    docs: &[Doc],
    query: &Query,
    expected: &BTreeSet<&str>,
    what: &dyn Fn() -> String,
) {
    let sorts = 1 + random.below(2);
    let sorts: Vec<(usize, bool, bool)> = (0..sorts)
        .map(|_| {
            let column = random.below(COLUMNS.len() as u64) as usize;
            (column, random.chance(2), random.chance(2))
        })
        .collect();
    let key = |doc: &Doc, (column, is_descending, missing_first): (usize, bool, bool)| {
        let values = &doc.values[column];
        let best = match is_descending {
            true => values.iter().max_by(|a, b| compare(a, b)),
            false => values.iter().min_by(|a, b| compare(a, b)),
        };
        let class = match best {
            Some(_) => 1,
            None if missing_first => 0,
            None => 2,
        };
        (class, best.cloned())
    };
    let mut all: Vec<(DocAddress, &Doc)> = docs
        .iter()
        .filter(|doc| expected.contains(doc.id.as_str()))
        .map(|doc| (snapshot.find(&doc.id).unwrap().unwrap(), doc))
        .collect();
    all.sort_by(|a, b| {
        let orders = sorts.iter().map(|sort| {
            let (a, b) = (key(a.1, *sort), key(b.1, *sort));
            a.0.cmp(&b.0).then_with(|| match (a.1, b.1) {
                (Some(a), Some(b)) if sort.1 => compare(&b, &a),
                (Some(a), Some(b)) => compare(&a, &b),
                _ => std::cmp::Ordering::Equal,
            })
        });
        orders
            .fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
            .then(a.0.cmp(&b.0))
    });
    let (k, offset) = (1 + random.below(50) as usize, random.below(4) as usize);
    let mut options = SearchOptions::new(k).offset(offset);
    for (column, is_descending, missing_first) in &sorts {
        let name = COLUMNS[*column].0;
        let sort = match is_descending {
            true => Sort::descending(name),
            false => Sort::ascending(name),
        };
        options = options.sort(if *missing_first {
            sort.missing_first()
        } else {
            sort
        });
    }
    let found = snapshot.search_with(query, &options).unwrap().hits;
    let addresses = found.iter().map(|hit| hit.address);
    let page = all.iter().skip(offset).take(k);
    assert!(
        addresses.eq(page.clone().map(|(address, _)| *address)),
        "{sorts:?}, {}",
        what()
    );
    if let Some((last, _)) = all.get(random.below(all.len().max(1) as u64) as usize) {
        let place = all.iter().position(|(address, _)| address == last).unwrap() + 1;
        let rest = options.clone().offset(0).after(*last);
        let found = snapshot.search_with(query, &rest).unwrap().hits;
        let addresses = found.iter().map(|hit| hit.address);
        let expected = all[place..].iter().take(k).map(|(address, _)| *address);
        assert!(
            addresses.eq(expected),
            "after {last:?}, {sorts:?}, {}",
            what()
        );
    }
    if let (Some(hit), Some((_, doc))) = (found.first(), page.clone().next()) {
        let (name, column, _) = COLUMNS[sorts[0].0];
        let mut values = doc.values[sorts[0].0].clone();
        values.sort_by(compare);
        if column == ColumnType::Keyword {
            values.dedup();
        }
        assert_eq!(hit.values(name).unwrap(), values);
    }
}

#[test]
fn conditions_find_what_a_plain_evaluator_finds() {
    check_seeds(INDEXES, check);
}

fn refusal(query: &Query) -> String {
    let index = Index::in_memory(schema()).unwrap();
    let mut writer = index.writer().unwrap();
    writer
        .add(Document::new("a").with_text("text", "w1"))
        .unwrap();
    writer.commit().unwrap();
    let snapshot = index.snapshot().unwrap();
    let refused = snapshot.search(query, 10).unwrap_err();
    let as_filter = snapshot.search(&Query::text("text", "w1").with_filter(query.clone()), 10);
    assert_eq!(as_filter.unwrap_err().to_string(), refused.to_string());
    assert_eq!(
        snapshot.count(query).unwrap_err().to_string(),
        refused.to_string()
    );
    assert!(
        matches!(refused, Error::InvalidInput { .. } | Error::Limit { .. }),
        "{refused}"
    );
    refused.to_string()
}

#[test]
fn conditions_that_do_not_fit_the_schema_are_refused() {
    for (query, part) in [
        (
            Query::term("color", "red"),
            "field `color`: expected a column",
        ),
        (
            Query::range("text", 1..3),
            "expected a column, found a text field",
        ),
        (
            Query::term("dense", 1),
            "expected a column or a text field, found a dense field",
        ),
        (Query::term("text", 1), "expected a term, found 1"),
        (
            Query::term("int", "red"),
            "field `int`: expected a whole number",
        ),
        (
            Query::term("int", 1.5),
            "expected a whole number from -2^63 to 2^63 - 1, found 1.5",
        ),
        (
            Query::range("price", 3.0..1.0),
            "expected a range from low to high, found one from 3 to 1",
        ),
        (Query::range("kind", "b".."a"), "found one from b to a"),
        (
            Query::range("price", "a".."b"),
            "field `price`: expected a number, found \"a\"",
        ),
        (
            Query::range("since", "yesterday"..),
            "expected a date such as 2024-06-19T15:22:45Z",
        ),
        (Query::exists("sparse"), "found a sparse field"),
        (Query::all().with_all_terms(), "all terms"),
    ] {
        let message = refusal(&query);
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn deep_trees_are_refused_and_wide_ones_are_not() {
    let mut deep = Query::all();
    for _ in 0..200_000 {
        deep = Query::any_of([deep]);
    }
    assert!(refusal(&deep).contains("depth of nested queries"));
    let mut deep = Query::all();
    for _ in 0..200_000 {
        deep = Query::all()
            .with_filter(deep)
            .without(Query::term("int", 1));
    }
    assert!(refusal(&deep).contains("depth of nested queries"));

    let (snapshot, docs) = build(&mut Random(8));
    let wide = Query::any_of((0..10_000).map(|number| Query::range("int", number - 5_000..9_000)));
    let tree = Tree::Has(0);
    let expected = docs.iter().filter(|doc| tree.matches(doc)).count();
    assert_eq!(snapshot.count(&wide).unwrap(), expected as u64);
}

/// An index of one large segment and one tiny one.
fn uneven() -> Snapshot {
    let index = Index::in_memory(schema()).unwrap();
    let options = WriterOptions::new().merge_policy(MergePolicy::never());
    let mut writer = index.writer_with(options).unwrap();
    for (number, is_last) in (0..110).map(|number| (number, number == 99)) {
        let document = Document::new(format!("d{number}")).with("count", number);
        let sparse = if number % 2 == 0 { "a" } else { "b" };
        let document = document.with_sparse("sparse", [(sparse, 1.0), ("c", 1.0)]);
        writer.add(document).unwrap();
        if is_last {
            writer.commit().unwrap();
        }
    }
    writer.commit().unwrap();
    index.snapshot().unwrap()
}

#[test]
fn tiny_segments_are_searched_on_several_threads() {
    let snapshot = uneven();
    assert_eq!(snapshot.segments().len(), 2);
    let options = SearchOptions::new(1_000).threads(2).part_documents(30);
    for query in [Query::all(), Query::range("count", 0..)] {
        let hits = snapshot.search_with(&query, &options).unwrap().hits;
        assert_eq!(hits.len(), 110, "{query:?}");
    }
}

#[test]
fn filters_are_exact_where_the_search_is_not() {
    let snapshot = uneven();
    let filter = Query::sparse("sparse", [("a", 10.0), ("b", 0.1)]);
    let query = Query::sparse("sparse", [("c", 1.0), ("a", 0.5)]).with_filter(filter.clone());
    let options = SearchOptions::new(1_000).recall(0.5);
    assert_eq!(
        snapshot.search_with(&query, &options).unwrap().hits.len(),
        110
    );
    assert_eq!(snapshot.count(&filter).unwrap(), 110);
}

#[test]
fn filters_of_too_many_terms_are_refused() {
    let index = Index::in_memory(schema()).unwrap();
    let mut writer = index.writer().unwrap();
    let words: Vec<String> = (0..5_000).map(|number| format!("w{number}")).collect();
    let words = words.join(" ");
    writer
        .add(Document::new("a").with_text("text", &*words))
        .unwrap();
    writer.commit().unwrap();
    let snapshot = index.snapshot().unwrap();
    let query = Query::text("text", words);
    assert_eq!(snapshot.search(&query, 10).unwrap().len(), 1);
    let refused = snapshot.search(&Query::all().without(query), 10);
    assert!(matches!(refused, Err(Error::Limit { .. })));
}
