use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

pub fn encode(documents: u32, with_value: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let (mut writer, mut bytes) = (DocumentsWriter::new(documents), Vec::new());
    let mut put = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    for document in with_value {
        writer.push(document, &mut put).unwrap();
    }
    writer.finish(&mut put).unwrap();
    bytes
}

fn open(documents: u32, set: &BTreeSet<u32>) -> ColumnDocuments {
    let bytes = encode(documents, set.iter().copied());
    ColumnDocuments::open(Section::from_bytes("column-documents", bytes), documents).unwrap()
}

/// Sets with empty, full, sparse and dense blocks.
fn sets() -> impl Strategy<Value = (u32, BTreeSet<u32>)> {
    let density = prop::sample::select(vec![0u64, 1, 40, 700, 999, 1_000]);
    let densities = prop::collection::vec(density, 4);
    (1u32..200_000, densities, any::<u64>()).prop_map(|(documents, densities, seed)| {
        let has = |document: &u32| {
            let random = (seed ^ u64::from(*document)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            (random >> 33) % 1_000 < densities[(document / BLOCK) as usize]
        };
        (documents, (0..documents).filter(has).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn documents_are_read_as_written((documents, set) in sets()) {
        let opened = open(documents, &set);
        prop_assert_eq!(opened.count() as usize, set.len());
        opened.verify().unwrap();
        let mut found = Vec::new();
        opened.for_each(|document| {
            found.push(document);
            Ok(())
        }).unwrap();
        prop_assert!(found.iter().eq(&set));
        for document in (0..documents + 3).step_by(97) {
            let expected = set.contains(&document).then(|| set.range(..document).count() as u32);
            prop_assert_eq!(opened.rank(document).unwrap(), expected);
        }
        let bits = opened.bits().unwrap();
        let is_set = |d: u32| bits[(d / 64) as usize] >> (d % 64) & 1 == 1;
        prop_assert!((0..documents).all(|d| is_set(d) == set.contains(&d)));
    }

    #[test]
    fn damaged_bytes_are_an_error_or_other_documents(
        (documents, set) in sets(),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encode(documents, set);
        for (place, byte) in places {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let section = Section::from_bytes("column-documents", bytes);
        if let Ok(opened) = ColumnDocuments::open(section, documents) {
            let _ = (opened.rank(documents / 2), opened.bits(), opened.verify());
        }
    }
}

#[test]
fn the_shape_of_a_block_follows_from_its_count() {
    let bytes = |documents, set: BTreeSet<u32>| encode(documents, set).len() as u64;
    let frame = |blocks: u64| (blocks + 1) * RECORD_BYTES + FOOTER_BYTES;
    assert_eq!(bytes(BLOCK, BTreeSet::new()), frame(1));
    assert_eq!(bytes(BLOCK + 5, (0..BLOCK).collect()), frame(2));
    assert_eq!(bytes(BLOCK, (0..4_096).collect()), frame(1) + 8_192);
    assert_eq!(bytes(BLOCK, (0..4_097).collect()), frame(1) + 8_192 + 256);
}
