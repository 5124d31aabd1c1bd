use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::example::Candidate;
use super::*;

/// Examples kept in memory.
struct Fixed(Vec<Example>);

impl Source for Fixed {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn example(&self, number: u64, _: u64, _: u64) -> Result<Example> {
        Ok(self.0[number as usize].clone())
    }

    fn fingerprint(&self) -> u64 {
        7
    }
}

/// An example of texts that are single letters: a query, its candidates (in capitals: relevant), and
/// other relevant ones.
fn example(query: &str, candidates: &str, relevant: &str) -> Example {
    let text = |letter: char| Text::new(letter.to_lowercase().to_string());
    let mut keys: Vec<u128> = relevant.chars().map(|letter| text(letter).key).collect();
    keys.sort_unstable();
    Example {
        query: Text::new(query),
        candidates: candidates
            .chars()
            .map(|letter| Candidate {
                document: text(letter),
                target: f64::from(u8::from(letter.is_uppercase())),
                is_relevant: letter.is_uppercase(),
            })
            .collect(),
        relevant: keys,
    }
}

/// For each query its list and the forbidden documents, as letters.
fn shown(batch: &TrainingBatch) -> Vec<(String, String)> {
    let letter = |document: usize| batch.documents[document].text.to_string();
    let lists = batch.lists.iter().map(|list| {
        list.iter()
            .map(|labelled| match labelled.is_relevant {
                true => letter(labelled.document).to_uppercase(),
                false => letter(labelled.document),
            })
            .collect::<String>()
    });
    let forbidden = batch.forbidden.iter();
    let forbidden = forbidden.map(|list| list.iter().map(|&document| letter(document)).collect());
    lists.zip(forbidden).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |&(list, forbidden): &(&str, &str)| (list.to_owned(), forbidden.to_owned());
    expected.iter().map(own).collect()
}

#[test]
fn equal_texts_are_one_document() {
    let batch = put_together(vec![example("q", "Ab", ""), example("r", "Bc", "")]);
    assert_eq!(batch.documents.len(), 3);
    assert_eq!(shown(&batch), pairs(&[("Ab", ""), ("Bc", "")]));
}

#[test]
fn documents_known_to_be_relevant_are_no_negatives() {
    let batch = put_together(vec![example("q", "Ab", "ac"), example("r", "Cb", "")]);
    assert_eq!(shown(&batch), pairs(&[("Ab", "c"), ("Cb", "")]));
}

#[test]
fn equal_queries_share_their_relevant_documents() {
    let batch = put_together(vec![
        example("q", "Ab", ""),
        example("q", "Bc", "d"),
        example("r", "Dc", ""),
    ]);
    assert_eq!(
        shown(&batch),
        pairs(&[("A", "bd"), ("Bc", "ad"), ("Dc", "")])
    );
}

#[test]
fn a_negative_with_the_text_of_a_relevant_document_is_left_out() {
    let batch = put_together(vec![example("q", "Aabb", "")]);
    assert_eq!(shown(&batch), pairs(&[("Ab", "")]));
}

fn numbered(len: usize) -> Arc<Fixed> {
    let one = |number: usize| Example {
        query: Text::new(format!("q{number}")),
        candidates: vec![Candidate {
            document: Text::new(format!("d{number}")),
            target: 1.0,
            is_relevant: true,
        }],
        relevant: Vec::new(),
    };
    Arc::new(Fixed((0..len).map(one).collect()))
}

/// Positions go on through the epochs: each epoch has every example once, and all batches are full.
#[test]
fn epochs_follow_each_other_without_partial_batches() {
    let batches = Batches::new(numbered(10), 4, 3).unwrap();
    let queries = |step| batches.batch(step).unwrap().queries;
    let all: Vec<String> = (0..10)
        .flat_map(queries)
        .map(|query| query.text.to_string())
        .collect();
    assert_eq!(all.len(), 40);
    let epochs: Vec<&[String]> = all.chunks(10).collect();
    for epoch in &epochs {
        assert_eq!(epoch.iter().collect::<BTreeSet<_>>().len(), 10);
    }
    assert_ne!(epochs[0], epochs[1]);
    assert_eq!(batches.examples(), 10);
    assert_eq!(batches.epochs(5), 2.0);
}

#[test]
fn a_batch_larger_than_the_source_repeats_it() {
    let batches = Batches::new(numbered(3), 7, 3).unwrap();
    let batch = batches.batch(1).unwrap();
    assert_eq!(batch.queries.len(), 7);
    assert_eq!(batch.documents.len(), 3);
}

#[test]
fn a_step_is_the_same_however_it_is_reached() {
    let make = |seed| Batches::new(numbered(50), 8, seed).unwrap();
    let steps: Vec<TrainingBatch> = (0..20).map(|step| make(1).batch(step).unwrap()).collect();
    let batches = make(1);
    for step in (0..20).rev() {
        assert_eq!(batches.batch(step).unwrap(), steps[step as usize]);
    }
    assert_ne!(make(2).batch(0).unwrap(), steps[0]);
    assert_ne!(make(2).fingerprint(), make(1).fingerprint());
}

#[test]
fn what_cannot_be_batched_is_refused() {
    assert!(Batches::new(numbered(0), 4, 3).is_err());
    assert!(Batches::new(numbered(3), 0, 3).is_err());
    let batches = Batches::new(numbered(3), 4, 3).unwrap();
    assert!(batches.batch(u64::MAX / 2).is_err());
}

/// A query's own documents, and whether each is relevant; and the texts that are no negatives.
type Expected = (Vec<(String, bool)>, BTreeSet<String>);

/// The definition, query by query and document by document.
fn slow(examples: &[Example]) -> Vec<Expected> {
    let known = |query: &Text| -> BTreeSet<u128> {
        let equal = examples.iter().filter(|example| example.query == *query);
        equal
            .flat_map(|example| {
                let own = example.candidates.iter();
                let own = own.filter(|candidate| candidate.is_relevant);
                let own = own.map(|candidate| candidate.document.key);
                own.chain(example.relevant.iter().copied())
                    .collect::<Vec<_>>()
            })
            .collect()
    };
    let lists: Vec<Vec<&Candidate>> = examples
        .iter()
        .map(|example| {
            let known = known(&example.query);
            let mut list: Vec<&Candidate> = Vec::new();
            for candidate in &example.candidates {
                let is_false = !candidate.is_relevant && known.contains(&candidate.document.key);
                let repeats = list.iter().any(|one| one.document == candidate.document);
                if !is_false && !repeats {
                    list.push(candidate);
                }
            }
            list
        })
        .collect();
    let documents: BTreeMap<u128, String> = lists
        .iter()
        .flatten()
        .map(|candidate| (candidate.document.key, candidate.document.text.to_string()))
        .collect();
    examples
        .iter()
        .zip(&lists)
        .map(|(example, list)| {
            let known = known(&example.query);
            let own: BTreeSet<u128> = list.iter().map(|one| one.document.key).collect();
            let forbidden = documents
                .iter()
                .filter(|(key, _)| known.contains(key) && !own.contains(key))
                .map(|(_, text)| text.clone())
                .collect();
            let list = list
                .iter()
                .map(|one| (one.document.text.to_string(), one.is_relevant))
                .collect();
            (list, forbidden)
        })
        .collect()
}

proptest! {
    #[test]
    fn batches_equal_the_slow_definition(
        parts in prop::collection::vec(("[q-t]", "[A-Fa-f]{0,6}", "[a-f]{0,3}"), 1..12),
    ) {
        let examples: Vec<Example> = parts
            .iter()
            .map(|(query, candidates, relevant)| example(query, candidates, relevant))
            .collect();
        let batch = put_together(examples.clone());
        let distinct: BTreeSet<u128> = batch.documents.iter().map(|text| text.key).collect();
        prop_assert_eq!(distinct.len(), batch.documents.len());
        let text = |document: usize| batch.documents[document].text.to_string();
        let fast: Vec<_> = batch
            .lists
            .iter()
            .zip(&batch.forbidden)
            .map(|(list, forbidden)| {
                let list: Vec<(String, bool)> = list
                    .iter()
                    .map(|labelled| (text(labelled.document), labelled.is_relevant))
                    .collect();
                let forbidden: BTreeSet<String> = forbidden.iter().map(|&one| text(one)).collect();
                (list, forbidden)
            })
            .collect();
        prop_assert_eq!(fast, slow(&examples));
    }
}
