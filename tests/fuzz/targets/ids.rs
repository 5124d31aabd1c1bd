//! Bytes as external ids and their order: the first two say where the sections are cut.

use esparsa::internals::format::Section;
use esparsa::internals::format::ids::Ids;

pub fn run(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let cut = usize::from(u16::from_le_bytes(*cut)).min(bytes.len());
    let (ids, order) = bytes.split_at(cut);
    let section = |name, bytes: &[u8]| Section::from_bytes(name, bytes.to_vec());
    let Ok(ids) = Ids::open(section("ids", ids), section("id-order", order)) else {
        return;
    };
    let documents = ids.documents();
    assert_eq!(ids.dictionary().len(), u64::from(documents));
    for document in 0..documents.min(1_000) {
        if let Ok(id) = ids.id(document) {
            let _ = ids.document(&id);
        }
        if let Ok(document) = ids.document_of(u64::from(document)) {
            assert!(document < documents);
        }
    }
    assert!(ids.id(documents).is_err());
    assert!(ids.document_of(u64::from(documents)).is_err());
    let _ = ids.document("d1");
}
