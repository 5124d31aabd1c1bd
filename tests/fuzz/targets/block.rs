//! Bytes as one block of postings: the first says how many there are, and where the list stands.
use esparsa::internals::format::block::{
    BEFORE_FIRST, BLOCK_POSTINGS, DecodedBlock, decode, encode,
};

pub fn run(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else {
        return;
    };
    let count = usize::from(first & 0x7F) + 1;
    assert!(count <= BLOCK_POSTINGS);
    let previous = if first < 0x80 { BEFORE_FIRST } else { 1_000 };
    let mut block = DecodedBlock::default();
    if decode(bytes, previous, count, &mut block).is_err() {
        return;
    }
    assert_eq!(block.documents().len(), count);
    assert_eq!(block.values().len(), count);
    // What was decoded is encoded to something that decodes to the same.
    let mut again = Vec::new();
    encode(previous, block.documents(), block.values(), &mut again);
    let mut decoded = DecodedBlock::default();
    decode(&again, previous, count, &mut decoded).unwrap();
    assert_eq!(decoded.documents(), block.documents());
    assert_eq!(decoded.values(), block.values());
}
