//! An executor that runs no tasks does not change what a search finds.

use std::sync::Arc;

use esparsa::executor::{Executor, Job};
use esparsa::store::Memory;
use esparsa::{Document, Index, IndexOptions, Query, Schema, SearchOptions, Text};

/// Runs no task, against the contract of [`Executor::run`].
#[derive(Debug)]
struct Lazy;

impl Executor for Lazy {
    fn threads(&self) -> usize {
        4
    }

    fn run(&self, _count: usize, _task: &(dyn Fn(usize) + Sync)) {}

    fn spawn(&self, job: Job) {
        job();
    }
}

#[test]
fn tasks_that_an_executor_leaves_out_are_done_by_the_caller() {
    let directory = Arc::new(Memory::new());
    let schema = Schema::builder().text("text", Text::new()).build().unwrap();
    let index = Index::create_in(directory.clone(), schema, IndexOptions::new()).unwrap();
    let mut writer = index.writer().unwrap();
    for number in 0..5 {
        for document in 0..40 {
            let id = format!("{number}-{document}");
            let text = format!("lava {} w{document}", "ash ".repeat(document % 7));
            writer
                .add(Document::new(id).with_text("text", text))
                .unwrap();
        }
        writer.commit().unwrap();
    }
    drop(writer);
    let lazy = IndexOptions::new().executor(Arc::new(Lazy));
    let lazy = Index::open_in(directory, lazy).unwrap().snapshot().unwrap();
    let usual = index.snapshot().unwrap();
    let queries = ["lava", "ash w3", "w1 w2 w30"].map(|text| Query::text("text", text));
    let options = SearchOptions::new(10).threads(4);
    let batch = lazy.search_batch(&queries, &options, 3).unwrap();
    for (query, of_batch) in queries.iter().zip(batch) {
        let expected = usual.search_with(query, &options).unwrap().hits;
        assert!(!expected.is_empty());
        let found = lazy.search_with(query, &options).unwrap().hits;
        assert_eq!(found.ids().unwrap(), expected.ids().unwrap());
        assert_eq!(of_batch.hits.ids().unwrap(), expected.ids().unwrap());
    }
}
