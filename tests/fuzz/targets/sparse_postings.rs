//! Bytes as the postings of a sparse field: the first six say what the dictionary says of the list.
use esparsa::internals::format::Section;
use esparsa::internals::format::block::DecodedBlock;
use esparsa::internals::format::dictionary::{TermEntry, TermPositions, TermPostings};
use esparsa::internals::format::sparse_postings::{SparseList, Tier, open_lists, read_exponents};

const DOCUMENTS: u32 = 5_000;

pub fn run(bytes: &[u8]) {
    let Some((head, bytes)) = bytes.split_first_chunk::<6>() else {
        return;
    };
    let [a, b, c, d, offset, e] = *head;
    let entry = TermEntry {
        document_frequency: u32::from_le_bytes([a, b, e & 1, 0]).max(2),
        postings: TermPostings::List {
            offset: u64::from(offset),
            length: u64::from(u16::from_le_bytes([c, d])),
        },
        positions: TermPositions::None,
    };
    let section = Section::from_bytes("impacts", bytes.to_vec());
    let mut lists = Vec::new();
    let opened = open_lists(&section, DOCUMENTS, 3, &entry, |exponent, list| {
        lists.push((exponent, list));
    });
    if opened.is_err() {
        return;
    }
    let mut exponents = Vec::new();
    read_exponents(&section, 3, &entry, |exponent| exponents.push(exponent)).unwrap();
    assert!(lists.iter().map(|(exponent, _)| *exponent).eq(exponents));
    let postings: u64 = lists.iter().map(|(_, list)| list.len()).sum();
    assert_eq!(postings, u64::from(entry.document_frequency));
    for (_, list) in lists {
        let mut visited = 0;
        let walked = list.for_each(|_, _| visited += 1);
        assert!(walked.is_err() || visited == list.len());
        match list {
            SparseList::Tiers(tiers) => tiers.iter().for_each(walk_tier),
            // See `range_list`.
            SparseList::Ranges(_) => {}
        }
    }
}

fn walk_tier(tier: &Tier<'_>) {
    let mut block = DecodedBlock::default();
    let mut last = None;
    for index in 0..tier.blocks.block_count() {
        if tier.blocks.decode(index, &mut block).is_err() {
            return;
        }
        for (document, value) in block.documents().iter().zip(block.values()) {
            assert!(*document < DOCUMENTS && last < Some(*document));
            assert!(tier.impact(*value) <= tier.max_impact);
            last = Some(*document);
        }
    }
}
