//! What each commit of a test's index holds, which follows from its number.

use esparsa::{
    Document, Index, IndexWriter, MergePolicy, OnDuplicate, Schema, Sparse, Text, WriterOptions,
};

use crate::contents::Contents;

pub fn schema() -> Schema {
    Schema::builder()
        .text("text", Text::new())
        .sparse("sparse", Sparse::new().expected_max(2.0))
        .stored("source")
        .build()
        .unwrap()
}

fn document(number: u64, version: u64) -> Document {
    Document::new(format!("id{number}"))
        .with_text("text", format!("common w{} v{version}", number % 7))
        .with_sparse("sparse", [("all", 0.5), ("some", 1.0)])
        .with_stored("source", format!("{number}/{version}"))
}

pub fn writer(index: &Index, threads: usize) -> IndexWriter {
    let options = WriterOptions::new()
        .threads(threads)
        .merge_policy(MergePolicy::new().segments_per_tier(3))
        .on_duplicate(OnDuplicate::Replace);
    index.writer_with(options).unwrap()
}

/// Documents of the index that readers look at, and how many of them each commit replaces.
const DOCUMENTS: u64 = 300;
const GROUP: u64 = 30;

/// Of the commit of this number, all documents: those that are deleted, by turns, are left out.
pub fn expected(commit: u64) -> Contents {
    let group = |number: u64| number / GROUP;
    let groups = DOCUMENTS / GROUP;
    // Commit 1 made the index, commit 2 added everything; commit c replaced one group, and deleted one
    // which the commit after it brings back.
    let replaced = |group: u64| (3..=commit).rev().find(|c| c % groups == group);
    let version_of = |group: u64| {
        let brought_back = (4..=commit).rev().find(|c| deleted_by(c - 1) == group);
        replaced(group).max(brought_back).unwrap_or(2)
    };
    (0..DOCUMENTS)
        .filter(|number| commit < 3 || deleted_by(commit) != group(*number))
        .map(|number| {
            let version = version_of(group(number));
            (format!("id{number}"), format!("{number}/{version}"))
        })
        .collect()
}

/// The group that commit `commit` deletes.
fn deleted_by(commit: u64) -> u64 {
    (commit + DOCUMENTS / GROUP / 2) % (DOCUMENTS / GROUP)
}

pub fn write_commit(writer: &mut IndexWriter, commit: u64) {
    let groups = DOCUMENTS / GROUP;
    if commit == 2 {
        (0..DOCUMENTS).for_each(|number| writer.add(document(number, 2)).unwrap());
    } else {
        let brought_back = (commit > 3).then(|| deleted_by(commit - 1));
        for group in brought_back.into_iter().chain([commit % groups]) {
            for number in group * GROUP..(group + 1) * GROUP {
                writer.add(document(number, commit)).unwrap();
            }
        }
        let deleted = deleted_by(commit);
        for number in deleted * GROUP..(deleted + 1) * GROUP {
            writer.delete(&format!("id{number}")).unwrap();
        }
    }
    if commit.is_multiple_of(7) {
        writer.merge_to(1).unwrap();
    }
    assert_eq!(writer.commit().unwrap().commit, commit);
}
