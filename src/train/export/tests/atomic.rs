use super::*;

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// All files of a folder with their bytes, by their paths in it.
fn contents(root: &Path) -> Files {
    fn add(root: &Path, folder: &Path, files: &mut Files) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                add(root, &path, files);
            } else {
                let name = path.strip_prefix(root).unwrap().to_path_buf();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut files = Files::new();
    add(root, root, &mut files);
    files
}

/// Runs an export with each fault at each operation.
fn with_each_fault(has_old: bool) {
    let base = model("splade-inference-free");
    let kind = splade_kind(&ModelFolder::open(&base).unwrap());
    let old = model("splade-max");
    let write = |path: &Path| export(&base, kind.clone(), &[]).write(path);
    let complete = tempfile::tempdir().unwrap();
    let whole = complete.path().join("model");
    if has_old {
        export(&old, SPLADE, &[]).write(&whole).unwrap();
    }
    let (done, operations) = with_fault(None, || write(&whole));
    done.unwrap();
    let new = contents(&whole);
    assert!(operations > 30, "{operations}");
    for at in 0..operations {
        for fault in [Fault::Full(at), Fault::Kill(at)] {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("model");
            if has_old {
                export(&old, SPLADE, &[]).write(&path).unwrap();
            }
            let before = contents(&path);
            let (outcome, _) = with_fault(Some(fault), || write(&path));
            let after = contents(&path);
            assert!(after == before || after == new, "{fault:?}");
            match outcome {
                Ok(()) => assert_eq!(after, new, "{fault:?}"),
                Err(error) => {
                    let named = place.path().to_str().unwrap();
                    assert!(error.to_string().contains(named), "{error}");
                }
            }
            // The next one for the same place succeeds, and leaves nothing beside it.
            write(&path).unwrap();
            assert_eq!(contents(&path), new);
            let beside = fs::read_dir(place.path()).unwrap().count();
            assert_eq!(beside, 1, "{fault:?}");
        }
    }
}

#[test]
fn a_crash_or_a_full_disk_leaves_nothing_or_the_whole_folder() {
    with_each_fault(false);
}

#[test]
fn a_crash_or_a_full_disk_leaves_the_old_folder_or_the_new_one() {
    with_each_fault(true);
}
