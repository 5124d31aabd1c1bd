//! Writers that are killed, by a signal or for want of memory, while readers look on.
//!
//! `ESPARSA_KILL_ROUNDS` sets how often each test kills; 1,000 take minutes.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use esparsa::{Error, Index};

use crate::child::{self, Part, command, say, sayings, spawn};
use crate::commits::{expected, schema, write_commit, writer};
use crate::contents::contents;
use crate::random::Random;

fn rounds(default: u64) -> u64 {
    std::env::var("ESPARSA_KILL_ROUNDS").map_or(default, |rounds| rounds.parse().unwrap())
}

/// The part of the child: loads on from the last commit, and never stops.
fn load_without_end(folder: &Path) {
    let index = Index::open(folder).unwrap();
    let mut writer = writer(&index, 2);
    let mut commit = index.snapshot().unwrap().commit();
    loop {
        commit += 1;
        write_commit(&mut writer, commit);
        say(&commit.to_string());
    }
}

/// Opens snapshots and verifies them until it is told to stop; returns how many.
fn read_until(folder: &Path, done: &AtomicBool) -> u64 {
    let index = Index::open(folder).unwrap();
    let (mut newest, mut checked) = (0, 0);
    while !done.load(Ordering::Relaxed) {
        let snapshot = index.snapshot().unwrap();
        assert!(snapshot.commit() >= newest, "a reader went back");
        newest = snapshot.commit();
        if newest > 1 {
            assert_eq!(contents(&snapshot), expected(newest), "commit {newest}");
        }
        checked += 1;
    }
    checked
}

/// Starts a child with `start` again and again, while two readers look on, and lets `end` end it;
/// what it has committed must be there, and a writer must be able to go on.
fn kill_writers(rounds: u64, start: impl Fn(&Path) -> Part, end: impl Fn(&mut Part, &mut Random)) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let index = Index::create(folder, schema()).unwrap();
    let (done, checked) = (AtomicBool::new(false), AtomicU64::new(0));
    let read = || {
        let read = read_until(folder, &done);
        checked.fetch_add(read, Ordering::Relaxed);
    };
    let mut random = Random(rounds);
    std::thread::scope(|scope| {
        let readers = [scope.spawn(read), scope.spawn(read)];
        for _ in 0..rounds {
            let last = index.snapshot().unwrap().commit();
            let mut child = start(folder);
            let said = sayings(&mut child);
            end(&mut child, &mut random);
            let last = said.last().map_or(last, |said| said.parse().unwrap());
            let snapshot = index.snapshot().unwrap();
            let found = snapshot.commit();
            assert!(found == last || found == last + 1, "{found} after {last}");
            if found > 1 {
                assert_eq!(contents(&snapshot), expected(found), "commit {found}");
            }
            let mut writer = writer(&index, 1);
            write_commit(&mut writer, found + 1);
            let next = index.snapshot().unwrap();
            assert_eq!(contents(&next), expected(found + 1));
            if readers.iter().any(|reader| reader.is_finished()) {
                break;
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    let (checked, commit) = (checked.into_inner(), index.snapshot().unwrap().commit());
    println!("{rounds} writers were killed, {commit} commits, {checked} snapshots were verified");
    assert!(
        commit > rounds && checked > rounds,
        "{commit} commits, {checked} snapshots"
    );
}

#[test]
fn a_writer_that_is_killed_loses_nothing_that_it_has_committed() {
    if let Some(folder) = child::folder() {
        return load_without_end(&folder);
    }
    let test = "kills::a_writer_that_is_killed_loses_nothing_that_it_has_committed";
    let end = |child: &mut Part, random: &mut Random| {
        // Somewhere from its start to its tenth commit or so.
        std::thread::sleep(Duration::from_micros(random.below(90_000)));
        child.kill();
    };
    kill_writers(rounds(12), |folder| spawn(test, folder), end);
}

/// The part of the child: loads, while another thread takes the memory that is left.
#[cfg(target_os = "linux")]
fn load_until_memory_ends(folder: &Path) {
    std::thread::spawn(|| {
        loop {
            std::mem::forget(std::hint::black_box(vec![1u8; 256 << 10]));
            std::thread::sleep(Duration::from_micros(200));
        }
    });
    load_without_end(folder);
}

/// The process is ended by whichever of its threads asks for memory that there is none of.
#[cfg(target_os = "linux")]
#[test]
fn a_writer_that_has_no_memory_left_loses_nothing_that_it_has_committed() {
    if let Some(folder) = child::folder() {
        return load_until_memory_ends(&folder);
    }
    let test = "kills::a_writer_that_has_no_memory_left_loses_nothing_that_it_has_committed";
    let start = |folder: &Path| {
        let child = command(test, folder);
        let mut limited = Command::new("sh");
        limited
            .args(["-c", "ulimit -v 600000; exec \"$0\" \"$@\" 2>/dev/null"])
            .arg(child.get_program())
            .args(child.get_args())
            .envs(
                child
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped());
        Part(limited.spawn().unwrap())
    };
    let end = |child: &mut Part, _: &mut Random| {
        assert!(!child.0.wait().unwrap().success(), "memory did not end");
    };
    kill_writers(rounds(4), start, end);
}

/// The part of the child: backs the index up into one folder after another, and never stops.
fn back_up_without_end(folder: &Path) {
    let snapshot = Index::open(folder.join("index")).unwrap().snapshot();
    let snapshot = snapshot.unwrap();
    for number in 0.. {
        snapshot
            .backup(folder.join(format!("backup-{number}")))
            .unwrap();
        say(&number.to_string());
    }
}

#[test]
fn a_backup_that_is_killed_leaves_no_index_or_a_whole_one() {
    if let Some(folder) = child::folder() {
        return back_up_without_end(&folder);
    }
    let test = "kills::a_backup_that_is_killed_leaves_no_index_or_a_whole_one";
    let mut broken_off = 0;
    for round in 0..rounds(10) {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::create(folder.path().join("index"), schema()).unwrap();
        let mut writer = writer(&index, 1);
        (2..=5).for_each(|commit| write_commit(&mut writer, commit));
        let mut child = spawn(test, folder.path());
        let mut said = sayings(&mut child);
        said.next().expect("a backup");
        // Somewhere in a backup: they take a millisecond or so.
        std::thread::sleep(Duration::from_micros(round % 10 * 430));
        child.kill();
        let said: Vec<String> = said.collect();
        for number in 0.. {
            let backup = folder.path().join(format!("backup-{number}"));
            if !backup.exists() {
                break;
            }
            match Index::open(&backup) {
                Ok(copy) => assert_eq!(contents(&copy.snapshot().unwrap()), expected(5)),
                Err(Error::NoIndex { .. }) => {
                    assert!(!said.contains(&number.to_string()), "backup {number}");
                    broken_off += 1;
                }
                Err(error) => panic!("backup {number}: {error}"),
            }
        }
        assert_eq!(contents(&index.snapshot().unwrap()), expected(5));
    }
    assert!(broken_off > 0, "no backup was broken off");
}
