//! Statistics, numbers of files, and rows of vectors that lie.

use super::*;

#[test]
fn statistics_beyond_all_numbers_do_not_overflow() {
    let index = build(20, 5);
    let name = "segment-0000000001";
    let sections = sections(&index, name);
    let place = sections.iter().position(|s| s.0 == "info").unwrap();
    let info = Section::from_bytes("info", sections[place].2.clone());
    let honest = SegmentInfo::read(&info).unwrap();
    for repeat in [false, true] {
        let mut info = honest.clone();
        info.fields[0].total = u64::MAX;
        info.fields[0].postings = u64::MAX;
        info.fields[0].skipped = u64::MAX;
        if repeat {
            info.fields.insert(0, info.fields[0]);
        }
        let mut sections = sections.clone();
        sections[place].2 = info.encode().unwrap();
        let hostile = with_sections(&index, name, &sections);
        if let Ok(snapshot) = open(&hostile) {
            let reader = &snapshot.segments()[0].reader;
            assert!(esparsa::internals::segment::verify(reader).is_err());
        }
    }
}

#[test]
fn numbers_of_commits_and_files_never_start_again() {
    let index = build(20, 5);
    let honest = manifest_of(&index);
    let numbers = [(u64::MAX, honest.next_file), (honest.commit, u64::MAX)];
    let manifests = numbers.map(|(commit, next_file)| {
        let manifest = Manifest {
            commit,
            next_file,
            ..honest.clone()
        };
        let (bytes, _) = manifest.write(Vec::new()).unwrap();
        (manifest_file(commit), bytes)
    });
    // A file that no commit names counts too.
    let leftover = (format!("segment-{}", u64::MAX), Vec::new());
    for (name, bytes) in manifests.into_iter().chain([leftover]) {
        let hostile = copy(&index);
        hostile.overwrite(&name, bytes);
        let Ok(before) = open(&hostile) else { continue };
        match load(&hostile) {
            Ok(()) => assert!(open(&hostile).unwrap().commit() > before.commit(), "{name}"),
            Err(error) => assert!(!error.to_string().contains("panicked"), "{error}"),
        }
    }
}

#[test]
fn a_writer_meets_hostile_segments_with_errors_alone() {
    // The writer's threads turn panics into errors, so that these must be told from honest ones.
    let index = build(300, 12);
    let name = "segment-0000000001";
    let honest = sections(&index, name);
    for place in 0..honest.len() {
        for changed in 0..40 {
            let mut sections = honest.clone();
            let bytes = &mut sections[place].2;
            let at = Place::Share((changed * 1_600) as u16).of(bytes.len());
            overwrite(bytes, at, &[0xFF, 0x7F]);
            let hostile = with_sections(&index, name, &sections);
            let opened = Index::open_in(Arc::new(hostile), IndexOptions::new()).unwrap();
            if opened.snapshot().is_err() {
                continue;
            }
            let mut writer = writer(&opened);
            let merged = writer.merge_to(1).map_err(|error| error.to_string());
            let panicked = merged
                .as_ref()
                .is_err_and(|error| error.contains("panicked"));
            assert!(!panicked, "{} at {at}: {merged:?}", honest[place].0);
        }
    }
}

#[test]
fn rows_of_vectors_that_lie_are_refused_or_found_by_verifying() {
    let numbers = |number: u32| -> Vec<f32> {
        let numbers = (0..20).map(|place| ((number * 7 + place * 3) % 11) as f32 - 5.0);
        numbers.collect()
    };
    let honest = index_of(300, |document, number| {
        let document = document.with_dense("single", numbers(number));
        let document = document.with_dense("byte", numbers(number));
        match number.is_multiple_of(2) {
            true => document.with_dense("half", numbers(number)),
            false => document,
        }
    });
    let name = "segment-0000000001";
    let field = |name: &str| Some(schema().field(name).unwrap().number);
    // Field, section, where the lie is, what is there, and whether a search must notice.
    let nan = f32::NAN.to_le_bytes();
    let lies: [(&str, &str, usize, &[u8], bool); 10] = [
        ("single", "vectors", 128 * 200 + 4, &nan, true),
        (
            "single",
            "vectors",
            128 * 299,
            &f32::INFINITY.to_le_bytes(),
            true,
        ),
        ("single", "vectors", 128 * 10, &2e18f32.to_le_bytes(), false),
        ("single", "vectors", 128 * 10 + 124, &[1], false),
        ("half", "vectors", 64 * 149, &0x7C00u16.to_le_bytes(), true),
        ("byte", "vectors", 64 * 299, &[0x80], false),
        ("byte", "vector-scales", 4 * 299, &nan, true),
        (
            "byte",
            "vector-scales",
            4 * 299,
            &(-1f32).to_le_bytes(),
            false,
        ),
        (
            "half",
            "vector-documents",
            4 * 149,
            &300u32.to_le_bytes(),
            true,
        ),
        (
            "half",
            "vector-documents",
            4 * 149,
            &0u32.to_le_bytes(),
            false,
        ),
    ];
    for (of, section, at, lie, is_noticed) in lies {
        let mut sections = sections(&honest, name);
        let mut changed = sections.iter_mut();
        let changed = changed.find(|(n, f, _)| n == section && *f == field(of));
        overwrite(&mut changed.unwrap().2, at, lie);
        let index = with_sections(&honest, name, &sections);
        let snapshot = open(&index).unwrap();
        let what = format!("{of}, {section}, {at}");
        for threads in [1, 3] {
            let options = SearchOptions::new(300).threads(threads).part_documents(70);
            let query = Query::dense(of, numbers(3));
            let refused = snapshot.search_with(&query, &options);
            let corrupt = matches!(refused, Err(Error::Corrupt { .. }));
            assert!(corrupt == is_noticed, "{what}: {refused:?}");
            if let Err(error) = refused {
                let error = error.to_string();
                assert!(error.contains(name) && error.contains("offset"), "{error}");
            }
        }
        let verified = esparsa::internals::segment::verify(&snapshot.segments()[0].reader);
        assert!(matches!(verified, Err(Error::Corrupt { .. })), "{what}");
    }
    let snapshot = open(&honest).unwrap();
    esparsa::internals::segment::verify(&snapshot.segments()[0].reader).unwrap();
}
