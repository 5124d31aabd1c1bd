//! Bytes as the positions of a text field: the first eight say what the dictionary says of the
//! list, and the frequencies of its postings.
use esparsa::internals::format::Section;
use esparsa::internals::format::block::BLOCK_POSTINGS;
use esparsa::internals::format::dictionary::{TermEntry, TermPositions, TermPostings};
use esparsa::internals::format::positions::PositionList;

pub fn run(bytes: &[u8]) {
    let Some((head, bytes)) = bytes.split_first_chunk::<8>() else {
        return;
    };
    let [a, b, offset, c, d, most, few, exponent] = *head;
    let document_frequency = u32::from(u16::from_le_bytes([a, b])).max(2);
    let entry = TermEntry {
        document_frequency,
        postings: TermPostings::List {
            offset: 0,
            length: 0,
        },
        positions: TermPositions::List {
            offset: u64::from(offset),
            length: u64::from(u16::from_le_bytes([c, d])),
        },
    };
    let section = Section::from_bytes("positions", bytes.to_vec());
    let Ok(Some(list)) = PositionList::open(&section, &entry) else {
        return;
    };
    let value = |posting: usize| match posting % 16 {
        3 => u32::from(few) << (exponent % 25),
        _ => u32::from(most % 8),
    };
    let mut reader = list.reader();
    let (mut found, mut again) = (Vec::new(), Vec::new());
    let postings = document_frequency as usize;
    for (block, start) in (0..postings).step_by(BLOCK_POSTINGS).enumerate() {
        let length = BLOCK_POSTINGS.min(postings - start);
        let values: Vec<u32> = (0..length).map(value).collect();
        for posting in 0..length {
            if reader.read(block, &values, posting, &mut found).is_err() {
                break;
            }
            assert!(found.is_sorted() && found.len() == values[posting] as usize + 1);
            let mut other = list.reader();
            other.read(block, &values, posting, &mut again).unwrap();
            assert_eq!(found, again);
        }
    }
}
