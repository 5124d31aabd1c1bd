use super::super::collection::tests::{Folder, run};
use super::*;

/// The ids of the negatives of each query.
fn shown(collection: &Collection, negatives: &Negatives) -> Vec<Vec<String>> {
    let list = |query| {
        let documents = negatives.of(query).iter();
        documents
            .map(|&document| collection.corpus().id(document).unwrap())
            .collect()
    };
    (0..collection.len()).map(list).collect()
}

fn from_run(
    collection: &Collection,
    lists: &[(&str, &[&str])],
    from: usize,
    to: usize,
) -> Negatives {
    Negatives::from_run(collection, &run(lists), "a.run", Ranks { from, to }).unwrap()
}

fn bm25(collection: &Collection, from: usize, to: usize, threads: usize) -> Negatives {
    let options = Bm25Mining {
        analyzer: "english".to_owned(),
        ranks: Ranks { from, to },
        threads,
        ..Bm25Mining::default()
    };
    mine_bm25(collection, &options, &CancelToken::new()).unwrap()
}

/// BM25 finds four documents with `lava` or `volcano`: the relevant one, its copy, and two others.
#[test]
fn mining_leaves_out_relevant_documents_and_their_copies() {
    let collection = Folder::new().open().unwrap();
    for threads in [1, 3] {
        let found = shown(&collection, &bm25(&collection, 1, 100, threads));
        assert_eq!(found, [vec!["lamps", "quiet"], vec!["wasps"]]);
    }
}

#[test]
fn mining_takes_the_ranks_asked_for() {
    let collection = Folder::new().open().unwrap();
    let all: Vec<Vec<String>> = (1..=4)
        .map(|rank| shown(&collection, &bm25(&collection, rank, rank, 1)).swap_remove(0))
        .collect();
    // The relevant document and its copy have the two best ranks.
    let none: [&str; 0] = [];
    assert_eq!(all[0], none);
    assert_eq!(all[1], none);
    assert_eq!([&all[2][0], &all[3][0]], ["lamps", "quiet"]);
}

#[test]
fn wrong_options_of_mining_are_refused() {
    let collection = Folder::new().open().unwrap();
    let mine = |change: fn(&mut Bm25Mining)| {
        let mut options = Bm25Mining::default();
        change(&mut options);
        mine_bm25(&collection, &options, &CancelToken::new())
    };
    assert!(mine(|_| ()).is_ok());
    assert!(mine(|options| options.ranks.from = 0).is_err());
    assert!(mine(|options| options.ranks = Ranks { from: 5, to: 4 }).is_err());
    assert!(mine(|options| options.analyzer = "klingon".to_owned()).is_err());
    assert!(mine(|options| options.bm25.b = 2.0).is_err());
    let cancel = CancelToken::new();
    cancel.cancel();
    let stopped = mine_bm25(&collection, &Bm25Mining::default(), &cancel);
    assert!(matches!(stopped, Err(Error::Cancelled { .. })));
}

#[test]
fn a_run_gives_negatives_in_its_order() {
    let collection = Folder::new().open().unwrap();
    let lists: &[(&str, &[&str])] = &[
        ("q1", &["bees", "copy", "quiet", "lava", "lamps"]),
        ("x", &["bees"]),
    ];
    let none: Vec<String> = Vec::new();
    let all = from_run(&collection, lists, 1, 9);
    assert_eq!(shown(&collection, &all)[0], ["bees", "quiet", "lamps"]);
    assert_eq!(shown(&collection, &all)[1], none);
    assert_eq!(all.len(), 3);
    let some = from_run(&collection, lists, 2, 4);
    assert_eq!(shown(&collection, &some)[0], ["quiet"]);
}

#[test]
fn wrong_runs_are_refused() {
    let collection = Folder::new().open().unwrap();
    let error = |lists: &[(&str, &[&str])]| {
        let ranks = Ranks { from: 1, to: 9 };
        let found = Negatives::from_run(&collection, &run(lists), "a.run", ranks);
        let teacher = TeacherScores::from_run(&collection, &run(lists), "a.run");
        let message = found.unwrap_err().to_string();
        assert_eq!(teacher.unwrap_err().to_string(), message);
        message
    };
    assert!(
        error(&[("x", &["bees"])])
            .starts_with("a.run: expected results for at least one of the 2 training queries")
    );
    let unknown = error(&[("q1", &["bees", "ants"]), ("q2", &["ants", "moths"])]);
    assert!(
        unknown.starts_with("a.run: expected ids of the given texts, found 3 document ids"),
        "{unknown}"
    );
    assert!(unknown.contains("`ants`, `moths`"), "{unknown}");
}

#[test]
fn rankings_are_joined_without_repeats() {
    let collection = Folder::new().open().unwrap();
    let first = from_run(&collection, &[("q1", &["bees", "quiet"])], 1, 9);
    let second = from_run(
        &collection,
        &[("q1", &["lamps", "bees"]), ("q2", &["wasps"])],
        1,
        9,
    );
    let joined = first.join(&second).unwrap();
    assert_eq!(
        shown(&collection, &joined),
        [vec!["bees", "quiet", "lamps"], vec!["wasps"]]
    );
}

/// The teacher scores `lava` 10, `quiet` 9, `lamps` 8, and `bees` not at all.
#[test]
fn negatives_close_to_the_relevant_document_are_left_out() {
    let collection = Folder::new().open().unwrap();
    let all = from_run(
        &collection,
        &[("q1", &["quiet", "bees", "lamps"]), ("q2", &["wasps"])],
        1,
        9,
    );
    let scores = run(&[("q1", &["lava", "quiet", "lamps"]), ("q2", &["wasps"])]);
    let teacher = TeacherScores::from_run(&collection, &scores, "t.run").unwrap();
    let kept = |margin| {
        shown(
            &collection,
            &all.filter_by_margin(&collection, &teacher, margin).unwrap(),
        )
    };
    assert_eq!(kept(Margin::Absolute(1.0)), shown(&collection, &all));
    for margin in [Margin::Absolute(1.5), Margin::Fraction(0.15)] {
        assert_eq!(kept(margin), [vec!["bees", "lamps"], vec!["wasps"]]);
    }
    assert_eq!(kept(Margin::Fraction(0.3)), [vec!["bees"], vec!["wasps"]]);
    let wrong = all.filter_by_margin(&collection, &teacher, Margin::Absolute(f64::NAN));
    assert!(wrong.is_err());
}

#[test]
fn a_fraction_is_of_the_absolute_score() {
    assert_eq!(Margin::Fraction(0.1).limit(-2.0), -2.2);
    assert_eq!(Margin::Fraction(0.5).limit(2.0), 1.0);
    assert_eq!(Margin::Absolute(0.5).limit(-2.0), -2.5);
}
