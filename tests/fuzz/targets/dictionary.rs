//! Bytes as a dictionary: what the walk finds, the lookups find too.
use esparsa::internals::format::Section;
use esparsa::internals::format::dictionary::{Dictionary, Payload};

pub fn run(bytes: &[u8]) {
    let section = Section::from_bytes("terms", bytes.to_vec());
    let Ok(dictionary) = Dictionary::open(section, Payload::TextTerms) else {
        return;
    };
    let _ = dictionary.term(b"");
    let _ = dictionary.ordinal(b"term");
    let _ = dictionary.key_of(dictionary.len() / 2, &mut Vec::new());
    let mut keys = Vec::new();
    let mut iter = dictionary.iter();
    loop {
        match iter.advance() {
            Ok(true) => keys.push(iter.key().to_vec()),
            Ok(false) => break,
            Err(_) => return,
        }
    }
    assert_eq!(keys.len() as u64, dictionary.len());
    assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
    for (ordinal, key) in (0u64..).zip(&keys) {
        assert_eq!(dictionary.ordinal(key).unwrap(), Some(ordinal));
        let mut found = Vec::new();
        dictionary.key_of(ordinal, &mut found).unwrap();
        assert_eq!(&found, key);
    }
}
