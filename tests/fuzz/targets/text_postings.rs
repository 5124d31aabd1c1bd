//! Bytes as the postings of a text field: the first nine say what the dictionary says of the list.
use esparsa::internals::format::Section;
use esparsa::internals::format::block::DecodedBlock;
use esparsa::internals::format::dictionary::{TermEntry, TermPositions, TermPostings};
use esparsa::internals::format::text_postings::TextList;

const DOCUMENTS: u32 = 5_000;

pub fn run(bytes: &[u8]) {
    let Some((head, bytes)) = bytes.split_first_chunk::<9>() else {
        return;
    };
    let [a, b, c, d, e, f, g, h, single] = *head;
    let number = u32::from_le_bytes([a, b, c, d]);
    let postings = if single == 0 {
        TermPostings::Single {
            document: number,
            value: u32::from_le_bytes([e, f, g, h]),
        }
    } else {
        TermPostings::List {
            offset: u64::from(single - 1),
            length: u64::from(number),
        }
    };
    let entry = TermEntry {
        document_frequency: u32::from_le_bytes([e, f, g, h]).max(1),
        postings,
        positions: TermPositions::None,
    };
    let section = Section::from_bytes("postings", bytes.to_vec());
    let Ok(list) = TextList::open(&section, DOCUMENTS, &entry) else {
        return;
    };
    let mut block = DecodedBlock::default();
    let mut last = None;
    for index in 0..list.blocks.block_count() {
        if list.blocks.decode(index, &mut block).is_err() {
            return;
        }
        for document in block.documents() {
            assert!(*document < DOCUMENTS && last < Some(*document));
            last = Some(*document);
        }
    }
}
