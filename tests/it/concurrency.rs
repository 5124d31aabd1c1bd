//! Readers beside a writer, and writers beside writers, on the file system.

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use esparsa::internals::format::manifest::segment_file;
use esparsa::{Error, Index, Query};

use crate::child::{self, say, sayings, spawn};
use crate::commits::{expected, schema, write_commit, writer};
use crate::contents::contents;

#[test]
fn readers_see_whole_commits_while_a_writer_works() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::create(folder.path(), schema()).unwrap();
    let mut writer = writer(&index, 2);
    write_commit(&mut writer, 2);
    let (done, checked) = (AtomicBool::new(false), AtomicU64::new(0));
    let read = || {
        let index = Index::open(folder.path()).unwrap();
        let mut newest = 0;
        while !done.load(Ordering::Relaxed) {
            let snapshot = index.snapshot().unwrap();
            assert!(snapshot.commit() >= newest, "a reader went back");
            newest = snapshot.commit();
            assert_eq!(contents(&snapshot), expected(newest), "commit {newest}");
            let hits = snapshot
                .search(&Query::text("text", "common"), 1_000)
                .unwrap();
            assert_eq!(hits.len() as u64, snapshot.documents());
            checked.fetch_add(1, Ordering::Relaxed);
        }
    };
    let mut commit = 2;
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3).map(|_| scope.spawn(read)).collect();
        let end = Instant::now() + Duration::from_millis(2_500);
        while Instant::now() < end && !readers.iter().any(|r| r.is_finished()) {
            commit += 1;
            write_commit(&mut writer, commit);
        }
        done.store(true, Ordering::Relaxed);
    });
    let checked = checked.into_inner();
    assert!(
        commit > 10 && checked > 10,
        "{commit} commits, {checked} snapshots"
    );
    assert_eq!(contents(&index.snapshot().unwrap()), expected(commit));
}

#[test]
fn a_snapshot_stays_the_same_when_its_files_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::create(folder.path(), schema()).unwrap();
    let mut writer = writer(&index, 1);
    (2..=4).for_each(|commit| write_commit(&mut writer, commit));
    let snapshot = index.snapshot().unwrap();
    let query = Query::text("text", "common w3");
    let hits = snapshot.search(&query, 50).unwrap();
    (5..=12).for_each(|commit| write_commit(&mut writer, commit));
    writer.merge_to(1).unwrap();
    writer.commit().unwrap();
    assert!(!snapshot.segments().is_empty());
    for segment in snapshot.segments() {
        let file = folder.path().join(segment_file(segment.entry.number));
        assert!(!file.exists(), "{} is still there", file.display());
    }
    assert_eq!(snapshot.commit(), 4);
    assert_eq!(contents(&snapshot), expected(4));
    assert_eq!(snapshot.search(&query, 50).unwrap(), hits);
    assert_eq!(contents(&index.snapshot().unwrap()), expected(12));
}

fn assert_locked(index: &Index) {
    let refused = index.writer();
    assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
}

#[test]
fn a_second_writer_is_refused_in_this_process_and_in_another() {
    if let Some(folder) = child::folder() {
        let index = Index::open(folder).unwrap();
        assert_locked(&index);
        say("locked");
        // The parent closes its writer, and then this input.
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        let _held = index.writer().unwrap();
        say("holding");
        std::thread::sleep(Duration::from_secs(600));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let index = Index::create(folder.path(), schema()).unwrap();
    let held = index.writer().unwrap();
    assert_locked(&index);
    assert_locked(&Index::open(folder.path()).unwrap());
    let test = "concurrency::a_second_writer_is_refused_in_this_process_and_in_another";
    let mut child = spawn(test, folder.path());
    let mut said = sayings(&mut child);
    assert_eq!(said.next().as_deref(), Some("locked"));
    drop(held);
    drop(child.0.stdin.take());
    assert_eq!(said.next().as_deref(), Some("holding"));
    assert_locked(&index);
    // Readers need no lock.
    assert_eq!(index.snapshot().unwrap().documents(), 0);
    child.kill();
    index.writer().unwrap();
}
