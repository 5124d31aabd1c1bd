//! Bytes as stored documents: the first says how many entries the index has, frames follow it.
use esparsa::internals::format::Section;
use esparsa::internals::format::stored::{Stored, StoredIndexWriter, StoredPacker};

pub fn run(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else {
        return;
    };
    let (index, frames) = rest
        .split_at_checked(usize::from(first) * 16)
        .unwrap_or((rest, &[]));
    let index = Section::from_bytes("stored-index", index.to_vec());
    if let Ok(stored) = Stored::open(Section::from_bytes("stored", frames.to_vec()), index) {
        for document in [0, 1, 7, u32::MAX] {
            let _ = stored.document(document);
        }
        for block in 0..stored.blocks().min(16) {
            let _ = stored.documents_of(block);
            let _ = stored.block(block);
        }
    }
    // The same bytes as documents come back as they are.
    let documents: Vec<&[u8]> = bytes.split(|byte| *byte == first).collect();
    let mut packer = StoredPacker::default();
    for document in &documents {
        packer.add(document).unwrap();
    }
    let (mut frames, mut index) = (Vec::new(), StoredIndexWriter::default());
    for block in packer.finish().unwrap() {
        frames.extend_from_slice(index.add(&block));
    }
    let index = Section::from_bytes("stored-index", index.finish());
    let stored = Stored::open(Section::from_bytes("stored", frames), index).unwrap();
    let mut found = Vec::new();
    for block in 0..stored.blocks() {
        found.extend(stored.documents_of(block).unwrap());
    }
    assert_eq!(found, documents);
}
