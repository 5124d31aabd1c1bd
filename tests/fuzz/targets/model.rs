//! Bytes as operations on an index: what it holds is compared with a map, and every algorithm with
//! the planner's.

#[path = "../common/model_documents.rs"]
mod documents;
#[path = "../common/input.rs"]
mod input;

use std::collections::BTreeMap;
use std::sync::Arc;

use esparsa::executor::Inline;
use esparsa::store::Memory;
use esparsa::{
    Index, IndexOptions, IndexWriter, MergePolicy, SearchOptions, Snapshot, WriterOptions,
};

use documents::{Asked, Doc, IDS, id_of, schema};
use input::Input;

/// Operations of one case; more would only be slower.
const MAX_OPERATIONS: usize = 40;

type Contents = BTreeMap<usize, Doc>;

struct Case {
    memory: Memory,
    index: Index,
    writer: Option<IndexWriter>,
    committed: Contents,
    pending: Contents,
}

fn options() -> IndexOptions {
    IndexOptions::new().executor(Arc::new(Inline))
}

fn writer(index: &Index) -> IndexWriter {
    let options = WriterOptions::new()
        .threads(1)
        .memory(WriterOptions::MIN_MEMORY)
        .merge_policy(MergePolicy::new().segments_per_tier(3));
    index.writer_with(options).unwrap()
}

pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let memory = Memory::new();
    let index = Index::create_in(Arc::new(memory.clone()), schema(), options()).unwrap();
    let mut case = Case {
        memory,
        writer: Some(writer(&index)),
        index,
        committed: Contents::new(),
        pending: Contents::new(),
    };
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        case.step(&mut input);
    }
    case.commit();
    case.check_committed(&mut Input(bytes));
}

impl Case {
    fn writer(&mut self) -> &mut IndexWriter {
        self.writer.as_mut().expect("a writer")
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(16) {
            0..=6 => {
                let id = input.below(IDS);
                let doc = Doc::take(input);
                self.writer().add(doc.document(id)).unwrap();
                self.pending.insert(id, doc);
            }
            7 => {
                let id = input.below(IDS);
                self.writer().delete(&id_of(id)).unwrap();
                self.pending.remove(&id);
            }
            8 => self.delete_matching(&Asked::take(input)),
            9 | 10 => self.commit(),
            11 => {
                self.writer().rollback().unwrap();
                self.pending = self.committed.clone();
            }
            12 => self.writer().merge_to(1).unwrap(),
            13 => self.reopen(),
            14 => self.check_committed(input),
            _ => {
                let snapshot = self.writer().refresh().unwrap();
                check(&snapshot, &self.pending, &Asked::take(input));
            }
        }
    }

    fn delete_matching(&mut self, asked: &Asked) {
        let deleted = self.writer().delete_matching(&asked.query);
        if asked.is_vector {
            assert!(deleted.unwrap_err().is_input());
            return;
        }
        let before = self.pending.len();
        self.pending.retain(|id, doc| !(asked.matches)(*id, doc));
        assert_eq!(deleted.unwrap(), (before - self.pending.len()) as u64);
    }

    fn commit(&mut self) {
        let report = self.writer().commit().unwrap();
        self.committed = self.pending.clone();
        assert_eq!(report.documents, self.committed.len() as u64);
    }

    /// What is not committed is lost with the writer.
    fn reopen(&mut self) {
        drop(self.writer.take());
        self.index = Index::open_in(Arc::new(self.memory.clone()), options()).unwrap();
        self.writer = Some(writer(&self.index));
        self.pending = self.committed.clone();
    }

    fn check_committed(&self, input: &mut Input<'_>) {
        let snapshot = self.index.snapshot().unwrap();
        check(&snapshot, &self.committed, &Asked::take(input));
    }
}

fn check(snapshot: &Snapshot, contents: &Contents, asked: &Asked) {
    assert_eq!(snapshot.documents(), contents.len() as u64);
    for id in 0..IDS {
        let stored = contents.get(&id).map(|doc| doc.stored.clone());
        assert_eq!(snapshot.get(&id_of(id)).unwrap(), stored);
    }
    let query = &asked.query;
    let hits = snapshot.search(query, 2 * IDS).unwrap();
    let matching = contents
        .iter()
        .filter(|(id, doc)| (asked.matches)(**id, doc));
    let mut expected: Vec<String> = matching.map(|(id, _)| id_of(*id)).collect();
    let mut found = hits.ids().unwrap();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected, "{query:?}");
    assert_eq!(
        snapshot.count(query).unwrap(),
        expected.len() as u64,
        "{query:?}"
    );
    let bits = |scored: &[(_, f32)]| -> Vec<_> {
        let scored = scored
            .iter()
            .map(|(address, score)| (*address, score.to_bits()));
        scored.collect()
    };
    let all = bits(hits.scored());
    for algorithm in snapshot.algorithms(query).unwrap() {
        for k in [3, 2 * IDS] {
            let options = SearchOptions::new(k).algorithm(algorithm);
            let hits = snapshot.search_with(query, &options).unwrap().hits;
            assert_eq!(
                bits(hits.scored()),
                all[..k.min(all.len())],
                "{algorithm} {query:?}"
            );
        }
    }
    if let Some((address, _)) = hits.scored().first() {
        let options = SearchOptions::new(2 * IDS).after(*address);
        let rest = snapshot.search_with(query, &options).unwrap().hits;
        assert_eq!(bits(rest.scored()), all[1..], "{query:?}");
    }
}
