use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

proptest! {
    #[test]
    fn seeking_forward_finds_what_is_not_below(
        keys in prop::collection::btree_set("[ab]{1,6}", 0..90),
        targets in prop::collection::btree_set("[abc]{0,7}", 0..20),
    ) {
        let dictionary = build_ids(keys.iter().map(|key| key.clone().into_bytes()));
        let mut iter = dictionary.iter();
        for target in targets {
            if iter.key() >= target.as_bytes() && !iter.key().is_empty() {
                continue;
            }
            let expected = keys.range(target.clone()..).next();
            let found = iter.seek(target.as_bytes()).unwrap();
            prop_assert_eq!(found.is_some(), expected.is_some());
            let Some(expected) = expected else {
                break;
            };
            prop_assert_eq!(iter.key(), expected.as_bytes());
        }
    }
}

fn build_ids(keys: impl IntoIterator<Item = Vec<u8>>) -> Dictionary {
    let mut writer = DictionaryWriter::of_keys();
    for key in keys {
        writer.add_id(&key).unwrap();
    }
    let section = Section::from_bytes("ids", writer.finish().unwrap());
    Dictionary::open(section, Payload::None).unwrap()
}

fn keys() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(97u8..100, 1..6),
        1 => prop::collection::vec(any::<u8>(), 1..60),
    ]
}

proptest! {
    #[test]
    fn terms_are_found_as_in_a_tree_map(
        map in prop::collection::btree_map(keys(), (1u32..5, 0u32..1_000, 0u32..3), 0..150),
        probes in prop::collection::vec(keys(), 20),
    ) {
        let mut writer = DictionaryWriter::of_text_terms();
        let mut expected = BTreeMap::new();
        let mut list = 7;
        for (key, (df, document, value)) in &map {
            let postings = if *df == 1 {
                TermPostings::Single { document: *document, value: *value }
            } else {
                TermPostings::List { offset: list, length: u64::from(*document) }
            };
            let positions = TermPositions::None;
            let entry = TermEntry { document_frequency: *df, postings, positions };
            writer.add_term(key, &entry, list).unwrap();
            if let TermPostings::List { length, .. } = postings {
                list += length;
            }
            expected.insert(key.clone(), entry);
        }
        let section = Section::from_bytes("terms", writer.finish().unwrap());
        let dictionary = Dictionary::open(section, Payload::TextTerms).unwrap();
        for key in expected.keys().chain(&probes) {
            prop_assert_eq!(dictionary.term(key).unwrap(), expected.get(key).copied());
        }
        let mut iter = dictionary.iter();
        for (key, entry) in &expected {
            prop_assert_eq!(iter.next_term().unwrap(), Some(*entry));
            prop_assert_eq!(iter.key(), &key[..]);
        }
        prop_assert_eq!(iter.next_term().unwrap(), None);
    }

    #[test]
    fn positions_are_found_with_their_terms(
        map in prop::collection::btree_map(keys(), (1u32..3, 0u32..3, 0u32..1_000), 0..150),
    ) {
        let mut writer = DictionaryWriter::of_text_terms_with_positions();
        let mut expected = Vec::new();
        let mut next = 0;
        for (key, (df, value, number)) in &map {
            let postings = match df {
                1 => TermPostings::Single { document: *number, value: *value },
                _ => TermPostings::List { offset: 7, length: 0 },
            };
            let positions = match (df, value) {
                (1, 0) => TermPositions::Single(*number),
                _ => {
                    let (offset, length) = (next, u64::from(*number));
                    next += length;
                    TermPositions::List { offset, length }
                }
            };
            let entry = TermEntry { document_frequency: *df, postings, positions };
            writer.add_term(key, &entry, 7).unwrap();
            expected.push((key, entry));
        }
        let section = Section::from_bytes("terms", writer.finish().unwrap());
        let dictionary = Dictionary::open(section, Payload::TextTermsWithPositions).unwrap();
        for (key, entry) in expected {
            prop_assert_eq!(dictionary.term(key).unwrap(), Some(entry));
        }
    }

    #[test]
    fn ordinals_and_keys_are_inverse(
        set in prop::collection::btree_set(keys(), 0..150),
        probes in prop::collection::vec(keys(), 20),
    ) {
        let dictionary = build_ids(set.iter().cloned());
        prop_assert_eq!(dictionary.len(), set.len() as u64);
        for (ordinal, key) in (0u64..).zip(&set) {
            prop_assert_eq!(dictionary.ordinal(key).unwrap(), Some(ordinal));
            let mut found = Vec::new();
            dictionary.key_of(ordinal, &mut found).unwrap();
            prop_assert_eq!(&found, key);
        }
        prop_assert!(dictionary.key_of(set.len() as u64, &mut Vec::new()).is_err());
        for probe in probes.iter().chain(&set) {
            let below = set.iter().filter(|key| *key < probe).count() as u64;
            prop_assert_eq!(dictionary.ceiling(probe).unwrap(), below);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let section = Section::from_bytes("terms", bytes);
        for payload in [Payload::TextTerms, Payload::TextTermsWithPositions] {
            let Ok(dictionary) = Dictionary::open(section.clone(), payload) else {
                continue;
            };
            let _ = dictionary.term(b"abc");
            let mut iter = dictionary.iter();
            for _ in 0..1_000 {
                if !matches!(iter.advance(), Ok(true)) {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_dictionary_of_an_unknown_kind_is_refused() {
    let mut writer = DictionaryWriter::of_text_terms();
    let postings = TermPostings::Single {
        document: 0,
        value: 1,
    };
    let entry = TermEntry {
        document_frequency: 1,
        postings,
        positions: TermPositions::None,
    };
    writer.add_term(b"term", &entry, 0).unwrap();
    let bytes = writer.finish().unwrap();
    let open = |code: u8, payload| {
        let mut bytes = bytes.clone();
        let at = bytes.len() - 8;
        bytes[at] = code;
        Dictionary::open(Section::from_bytes("terms", bytes), payload)
    };
    open(1, Payload::TextTerms).unwrap();
    let unknown = open(4, Payload::TextTerms).unwrap_err();
    assert!(matches!(unknown, Error::TooNew { .. }), "{unknown}");
    for (code, payload) in [
        (0, Payload::TextTerms),
        (1, Payload::SparseTerms),
        (1, Payload::TextTermsWithPositions),
        (3, Payload::TextTerms),
    ] {
        let other = open(code, payload).unwrap_err();
        assert!(matches!(other, Error::Corrupt { .. }), "{other}");
    }
}

#[test]
fn the_chapters_example_holds() {
    let mut writer = DictionaryWriter::of_keys();
    writer.add_id(b"sea").unwrap();
    writer.add_id(b"seal").unwrap();
    let bytes = writer.finish().unwrap();
    assert_eq!(&bytes[..6], [0x03, 0x73, 0x65, 0x61, 0x13, 0x6C]);
}
