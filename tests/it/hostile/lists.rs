//! Posting lists that contradict their dictionary or themselves are refused.

use super::*;

/// An index of one term in `documents.len()` documents, whose list says that they are `documents`.
fn index_with_list(documents: &[u32]) -> Memory {
    let of_text = |document: Document, _| document.with_text("text", "x");
    let memory = index_of(documents.len() as u32, of_text);
    let mut postings = Vec::new();
    let values = vec![0; documents.len()];
    block::encode(BEFORE_FIRST, documents, &values, &mut postings);
    let terms = DictionaryWriter::of_text_terms();
    with_one_list(&memory, 0, terms, documents.len() as u32, postings)
}

/// The same index with `list` as the only list of a field, that of the term `x`.
fn with_one_list(
    memory: &Memory,
    field: FieldNumber,
    mut dictionary: DictionaryWriter,
    document_frequency: u32,
    list: Vec<u8>,
) -> Memory {
    let entry = TermEntry {
        document_frequency,
        postings: TermPostings::List {
            offset: 0,
            length: list.len() as u64,
        },
        positions: TermPositions::None,
    };
    dictionary.add_term(b"x", &entry, 0).unwrap();
    let terms = dictionary.finish().unwrap();
    let name = "segment-0000000001";
    let mut sections = sections(memory, name);
    for (name, of_field, bytes) in &mut sections {
        if *of_field == Some(field) {
            match &**name {
                "postings" | "impacts" => bytes.clone_from(&list),
                "terms" => bytes.clone_from(&terms),
                _ => {}
            }
        }
    }
    with_sections(memory, name, &sections)
}

#[test]
fn blocks_whose_documents_do_not_rise_are_refused() {
    let search = |documents: &[u32], algorithm| {
        let snapshot = open(&index_with_list(documents)).unwrap();
        let options = SearchOptions::new(3).algorithm(algorithm);
        let found = snapshot.search_with(&Query::text("text", "x"), &options);
        found.map(|result| result.hits.len())
    };
    let rising: Vec<u32> = (0..100).collect();
    for algorithm in [
        Algorithm::Exhaustive,
        Algorithm::Wand,
        Algorithm::BlockMaxWand,
        Algorithm::MaxScore,
    ] {
        assert_eq!(search(&rising, algorithm).unwrap(), 3);
        for (a, b) in [(0, 1), (0, 98), (20, 60), (97, 98)] {
            let mut documents = rising.clone();
            documents.swap(a, b);
            let refused = search(&documents, algorithm);
            let corrupt = matches!(refused, Err(Error::Corrupt { .. }));
            assert!(corrupt, "{algorithm:?}, {a} and {b} swapped: {refused:?}");
        }
        let twice: Vec<u32> = rising.iter().map(|document| document / 2 + 50).collect();
        assert!(search(&twice, algorithm).is_err());
    }
}

/// The documents that have `x` in the test below: all of two ranges, few of a third, and most of one in another group.
fn documents_of_x() -> impl Iterator<Item = u32> {
    (0..128).chain([140, 142, 150]).chain(4_100..4_150)
}

#[test]
fn lists_cut_at_ranges_that_lie_are_refused() {
    let fields: BTreeSet<u32> = documents_of_x().collect();
    let honest = index_of(4_200, |document, number| {
        let weight = (1 + number % 90) as f32 * 2.0 / 255.0;
        let vector = fields.contains(&number).then_some(("x", weight));
        document.with_sparse("sparse", vector)
    });
    let sections = sections(&honest, "segment-0000000001");
    let list = sections.iter().find(|s| s.0 == "impacts" && s.1 == Some(1));
    let list = list.unwrap().2.clone();
    // A head of 16 bytes; two groups and the end of the last; four max impacts; then, of the first group, three
    // ends of a byte each, two ranges of 72 bytes and one of 6, and of the second an end and 58 bytes.
    let (second, maxima, ends) = (16 + 16, 16 + 3 * 16, 16 + 3 * 16 + 4);
    let (bits, few) = (ends + 3, ends + 3 + 2 * 72);
    assert_eq!((list[0], list.len()), (255, few + 6 + 1 + 58));
    // The lie, where it is, and what is there.
    let lies: [(&str, usize, &[u8]); 23] = [
        ("noted impacts", 1, &[91]),
        ("noted impacts", 2, &[0]),
        ("noted impacts", 4, &[1]),
        ("more groups", 8, &[3]),
        ("no groups", 8, &[0]),
        ("more ranges", 12, &[5]),
        ("fewer ranges", 12, &[3]),
        ("ranges without end", 12, &[0xFF; 4]),
        ("a range that has nothing", 16, &[0x0F]),
        ("a range of no document", second + 1, &[1]),
        ("ranges of a group begin later", second + 8, &[4]),
        ("ranges of a group begin nowhere", second + 8, &[0xFF; 4]),
        ("a group begins earlier", second + 12, &[100]),
        ("a group begins beyond the list", second + 12, &[0xFF; 4]),
        ("the last group ends earlier", second + 16 + 12, &[180]),
        (
            "the last group ends beyond the list",
            second + 16 + 12,
            &[0xFF; 4],
        ),
        ("a max impact that does not occur", maxima, &[200]),
        ("a max impact that is exceeded", maxima + 3, &[1]),
        ("an end beyond the group", ends + 2, &[0xFF]),
        ("bits without impacts", bits, &[0]),
        ("documents that fall", few, &[40, 12, 3]),
        ("a document of no range", few + 2, &[0xFF]),
        ("an impact of zero", few + 3, &[0]),
    ];
    let query = Query::sparse("sparse", [("x", 1.0)]);
    let search = |index: &Memory, algorithm| {
        let snapshot = open(index).unwrap();
        let options = SearchOptions::new(200).algorithm(algorithm);
        let found = snapshot.search_with(&query, &options);
        found.map(|result| result.hits.len())
    };
    let with_list = |list: Vec<u8>| {
        let terms = DictionaryWriter::of_sparse_terms();
        with_one_list(&honest, 1, terms, fields.len() as u32, list)
    };
    let verify = |index: &Memory| {
        let snapshot = open(index).unwrap();
        esparsa::internals::segment::verify(&snapshot.segments()[0].reader)
    };
    let unchanged = with_list(list.clone());
    verify(&unchanged).unwrap();
    assert_eq!(search(&unchanged, Algorithm::Ranges).unwrap(), fields.len());
    for (lie, at, bytes) in lies {
        let mut list = list.clone();
        overwrite(&mut list, at, bytes);
        let hostile = with_list(list);
        let refused = verify(&hostile);
        let corrupt = matches!(refused, Err(Error::Corrupt { .. }));
        assert!(corrupt, "{lie}: {refused:?}");
        for algorithm in open(&hostile).unwrap().algorithms(&query).unwrap() {
            match search(&hostile, algorithm) {
                Ok(found) => assert!(found <= fields.len(), "{lie}, {algorithm}: {found}"),
                Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{lie}: {error}"),
            }
        }
        let snapshot = open(&hostile).unwrap();
        for reorder in [false, true] {
            if let Err(error) = merge(&snapshot, reorder) {
                assert!(matches!(error, Error::Corrupt { .. }), "{lie}: {error}");
            }
        }
    }
}

#[test]
fn parts_that_lie_are_refused() {
    let count = 60u32;
    let honest = index_of(200, |document, number| {
        let weight = match number {
            0 => 90.0,
            1 => 1e-4,
            _ => 0.5,
        };
        let vector = (number < count).then_some(("x", weight));
        document.with_sparse("sparse", vector)
    });
    let sections = sections(&honest, "segment-0000000001");
    let list = sections.iter().find(|s| s.0 == "impacts" && s.1 == Some(1));
    let list = list.unwrap().2.clone();
    // Zero, the number of parts, and for each its exponent, postings and bytes.
    assert_eq!(list[..3], [0, 3, 0]);
    let (first, second) = (3, 13);
    let lies: [(&str, usize, &[u8]); 10] = [
        ("no parts", 1, &[0]),
        ("fewer parts", 1, &[2]),
        ("parts beyond the list", 1, &[0xFF; 2]),
        ("an exponent out of range", first, &[1, 2]),
        ("exponents that rise", first, &[0xF0, 0xFF]),
        ("an exponent twice", second, &[list[first], list[first + 1]]),
        ("a part without postings", first + 2, &[0]),
        ("more postings", second + 2, &[count as u8]),
        ("a longer part", first + 6, &[200]),
        ("a part beyond the list", second + 6, &[0xFF; 4]),
    ];
    let with_list = |list: Vec<u8>| {
        let terms = DictionaryWriter::of_sparse_terms();
        with_one_list(&honest, 1, terms, count, list)
    };
    let search = |index: &Memory, algorithm| {
        let options = SearchOptions::new(200).algorithm(algorithm);
        // One of the algorithms is for filters.
        let query = Query::sparse("sparse", [("x", 1.0)]).with_filter(Query::all());
        let found = open(index)?.search_with(&query, &options);
        found.map(|result| result.hits.len())
    };
    let unchanged = with_list(list.clone());
    assert_eq!(search(&unchanged, Algorithm::Ranges).unwrap(), 60);
    for (lie, at, bytes) in lies {
        let mut list = list.clone();
        overwrite(&mut list, at, bytes);
        let hostile = with_list(list);
        let for_any_term = Algorithm::ALL
            .into_iter()
            .filter(|a| *a != Algorithm::Conjunction);
        for algorithm in for_any_term {
            let refused = search(&hostile, algorithm);
            let corrupt = matches!(refused, Err(Error::Corrupt { .. }));
            assert!(corrupt, "{lie}, {algorithm}: {refused:?}");
        }
    }
}
