use super::*;

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn a_file_appears_when_it_is_finished_and_replaces_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.run");
    fs::write(&path, "old").unwrap();
    let mut output = OutputFile::create(Some(&path)).unwrap();
    output.write_all(b"new").unwrap();
    output.flush().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    output.finish().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(files(folder.path()), ["a.run"]);
}

#[test]
fn an_unfinished_file_leaves_the_old_one_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.run");
    fs::write(&path, "old").unwrap();
    let mut output = OutputFile::create(Some(&path)).unwrap();
    output.write_all(b"half of the new").unwrap();
    drop(output);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(files(folder.path()), ["a.run"]);
}

#[test]
fn two_processes_cannot_write_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.run");
    let first = OutputFile::create(Some(&path)).unwrap();
    let second = OutputFile::create(Some(&path)).err().unwrap().to_string();
    assert!(second.contains("another process"), "{second}");
    first.finish().unwrap();
    assert_eq!(files(folder.path()), ["a.run"]);
}

#[test]
fn what_a_killed_process_left_is_replaced_or_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let left = folder.path().join("a.jsonl.partial");
    fs::write(&left, "left").unwrap();
    let length = |mut partial: PartialFile| partial.file().metadata().unwrap().len();
    assert_eq!(length(PartialFile::resume(&path).unwrap()), 4);
    assert_eq!(length(PartialFile::create(&path).unwrap()), 0);
    assert!(!left.exists());
    fs::write(&path, "finished").unwrap();
    assert_eq!(length(PartialFile::resume(&path).unwrap()), 8);
    assert_eq!(files(folder.path()), ["a.jsonl"]);
}

#[cfg(unix)]
#[test]
fn links_and_permissions_stay_and_devices_are_written_directly() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (folder.path().join("target"), folder.path().join("link"));
    fs::write(&target, "old").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&target, &link).unwrap();
    let mut output = OutputFile::create(Some(&link)).unwrap();
    output.write_all(b"new").unwrap();
    output.finish().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&target).unwrap(), "new");
    let mode = fs::metadata(&target).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let null = OutputFile::create(Some(Path::new("/dev/null"))).unwrap();
    null.finish().unwrap();
    assert!(is_written_directly(Path::new("/dev/fd/1")));
    assert!(OutputFile::create(Some(folder.path())).is_err());
    for device in ["/dev/null", "-"] {
        assert!(PartialFile::resume(Path::new(device)).is_err());
    }
}
