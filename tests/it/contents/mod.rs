//! What an index holds, to be compared with a model of it.

use std::collections::BTreeMap;

use esparsa::Snapshot;

/// The external ids of live documents, with what their field `source` stores.
pub type Contents = BTreeMap<String, String>;

/// What is stored for each live document, after everything was verified.
pub fn contents(snapshot: &Snapshot) -> Contents {
    let mut found = Contents::new();
    for segment in snapshot.segments() {
        esparsa::internals::segment::verify(&segment.reader).unwrap();
        for document in (0..segment.reader.documents()).filter(|d| segment.is_live(*d)) {
            let id = segment.reader.ids().id(document).unwrap();
            let stored = segment.reader.stored_document(document).unwrap();
            let before = found.insert(id, String::from_utf8(stored).unwrap());
            assert_eq!(before, None, "two live documents of one id");
        }
    }
    assert_eq!(snapshot.documents(), found.len() as u64);
    found
}
