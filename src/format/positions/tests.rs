use super::*;
use crate::format::postings::Postings;
use crate::format::varint;
use proptest::prelude::*;

/// Postings of documents 0, 2, 4, … with these positions each, and what the dictionary says of them.
fn encode(documents: &[Vec<u32>], before: usize) -> (Postings, TermEntry, Vec<u8>) {
    let mut postings = Postings::default();
    for (document, positions) in (0..).step_by(2).zip(documents) {
        postings.push(document, positions.len() as u32);
        let mut last = 0;
        for position in positions {
            varint::write(u64::from(position - last), &mut postings.positions);
            last = *position;
        }
    }
    let mut bytes = vec![0xEE; before];
    let mut encoder = PositionListEncoder::default();
    let positions = encoder
        .encode(&postings, before as u64, &mut bytes)
        .unwrap();
    let entry = TermEntry {
        document_frequency: postings.len() as u32,
        postings: crate::format::dictionary::TermPostings::List {
            offset: 0,
            length: 0,
        },
        positions,
    };
    (postings, entry, bytes)
}

fn positions() -> impl Strategy<Value = Vec<Vec<u32>>> {
    let distance = prop_oneof![20 => 0u32..80, 1 => 0u32..5_000];
    let frequency = prop_oneof![30 => 1usize..4, 3 => 1usize..90, 1 => 1usize..400];
    let of_document = frequency.prop_flat_map(move |frequency| {
        prop::collection::vec(distance.clone(), frequency).prop_map(|distances| {
            let mut position = 0;
            let rising = distances.into_iter().map(|distance| {
                position += distance;
                position
            });
            rising.collect()
        })
    });
    prop_oneof![
        1 => prop::collection::vec(of_document.clone(), 1..3),
        4 => prop::collection::vec(of_document, 1..500),
    ]
}

fn values(documents: &[Vec<u32>], block: usize) -> Vec<u32> {
    let blocks = documents.chunks(BLOCK_POSTINGS).nth(block).unwrap();
    blocks
        .iter()
        .map(|positions| positions.len() as u32 - 1)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn positions_are_read_as_written_in_any_order(
        documents in positions(),
        before in 0usize..9,
        order in prop::collection::vec(any::<prop::sample::Index>(), 40),
    ) {
        let (_, entry, bytes) = encode(&documents, before);
        let section = Section::from_bytes("positions", bytes);
        let list = PositionList::open(&section, &entry).unwrap().unwrap();
        let mut reader = list.reader();
        let mut found = vec![7];
        let any_order = order.iter().map(|index| index.index(documents.len()));
        for number in (0..documents.len()).chain(any_order) {
            let (block, posting) = (number / BLOCK_POSTINGS, number % BLOCK_POSTINGS);
            reader.read(block, &values(&documents, block), posting, &mut found).unwrap();
            prop_assert_eq!(&found, &documents[number]);
        }
    }

    #[test]
    fn other_frequencies_than_those_written_are_refused(documents in positions(), more in any::<bool>()) {
        let (_, entry, bytes) = encode(&documents, 0);
        let section = Section::from_bytes("positions", bytes);
        let list = PositionList::open(&section, &entry).unwrap().unwrap();
        let last = (documents.len() - 1) / BLOCK_POSTINGS;
        let mut values = values(&documents, last);
        let changed = values.last_mut().unwrap();
        let fewer = changed.saturating_sub(1);
        *changed = if more || fewer == *changed { *changed + 700 } else { fewer };
        let posting = values.len() - 1;
        let (mut reader, mut out) = (list.reader(), Vec::new());
        // Fewer may be what the bytes of a packed chunk could hold as well.
        if *values.last().unwrap() != fewer {
            prop_assert!(reader.read(last, &values, posting, &mut out).is_err());
        } else {
            let _ = reader.read(last, &values, posting, &mut out);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        df in 1u32..400,
        (offset, length) in (0u64..20, 0u64..320),
        value in prop_oneof![0u32..4, any::<u32>()],
    ) {
        let section = Section::from_bytes("positions", bytes);
        let entry = TermEntry {
            document_frequency: df,
            postings: crate::format::dictionary::TermPostings::List { offset: 0, length: 0 },
            positions: TermPositions::List { offset, length },
        };
        let Ok(Some(list)) = PositionList::open(&section, &entry) else {
            return Ok(());
        };
        let mut out = Vec::new();
        let mut values = vec![0; BLOCK_POSTINGS];
        values[5] = value;
        for block in 0..3 {
            for posting in [0, 5, 6, 127, 200] {
                let _ = list.reader().read(block, &values, posting, &mut out);
            }
        }
    }
}

#[test]
fn a_damaged_frequency_takes_no_memory() {
    let (_, entry, bytes) = encode(&[vec![1, 2], vec![3]], 0);
    let section = Section::from_bytes("positions", bytes);
    let list = PositionList::open(&section, &entry).unwrap().unwrap();
    let mut out = Vec::new();
    assert!(list.reader().read(0, &[u32::MAX, 0], 0, &mut out).is_err());
    assert!(out.capacity() < 1_000);
}

#[test]
fn positions_beyond_32_bits_are_refused() {
    let mut postings = Postings::new(vec![0], vec![2]);
    for _ in 0..2 {
        varint::write(u64::from(u32::MAX), &mut postings.positions);
    }
    let mut bytes = Vec::new();
    let positions = PositionListEncoder::default()
        .encode(&postings, 0, &mut bytes)
        .unwrap();
    let section = Section::from_bytes("positions", bytes);
    let entry = TermEntry {
        document_frequency: 1,
        postings: crate::format::dictionary::TermPostings::Single {
            document: 0,
            value: 1,
        },
        positions,
    };
    let list = PositionList::open(&section, &entry).unwrap().unwrap();
    let refused = list.reader().read(0, &[1], 0, &mut Vec::new());
    assert!(refused.unwrap_err().to_string().contains("32 bits"));
}

#[test]
fn the_only_position_of_a_term_takes_no_bytes() {
    let (postings, entry, bytes) = encode(&[vec![77]], 0);
    assert_eq!(
        (entry.positions, bytes.len()),
        (TermPositions::Single(77), 0)
    );
    let mut short = postings.clone();
    short.positions.clear();
    let mut encoder = PositionListEncoder::default();
    assert!(encoder.encode(&short, 0, &mut Vec::new()).is_err());
    short.positions.extend([1, 2]);
    assert!(encoder.encode(&short, 0, &mut Vec::new()).is_err());
}
