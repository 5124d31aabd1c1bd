//! Tests of sparse lists, parts and their damage.

use super::*;
use crate::format::impact::pack;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn lists_of<'a>(
    section: &'a Section,
    base: i16,
    documents: u32,
    entry: &TermEntry,
) -> Vec<(i16, SparseList<'a>)> {
    let mut lists = Vec::new();
    open_lists(section, documents, base, entry, |exponent, list| {
        lists.push((exponent, list));
    })
    .unwrap();
    let mut exponents = Vec::new();
    read_exponents(section, base, entry, |exponent| exponents.push(exponent)).unwrap();
    assert!(lists.iter().map(|(exponent, _)| *exponent).eq(exponents));
    lists
}

proptest! {
    #[test]
    fn a_term_has_a_list_for_each_exponent(
        postings in prop::collection::btree_map(
            0u32..9_000,
            (1u8..=255, prop::sample::select(vec![-12i16, 0, 0, 0, 0, 1, 2, 200])),
            1..900,
        ),
        base in prop::sample::select(vec![-12i16, 0, 3]),
        layout in prop::sample::select(vec![SparseLayout::Ranges, SparseLayout::Tiers]),
    ) {
        let documents: Vec<u32> = postings.keys().copied().collect();
        let packed = postings.values().map(|(steps, exponent)| {
            pack(Impact { exponent: *exponent, steps: *steps }, base)
        });
        let packed: Vec<u32> = packed.collect();
        let mut bytes = vec![0; 3];
        let entry = SparseListEncoder::new(layout, base, 9_000)
            .encode(&Postings::new(documents, packed), 3, &mut bytes)
            .unwrap();
        let section = Section::from_bytes("impacts", bytes);
        let lists = lists_of(&section, base, 9_000, &entry);
        prop_assert!(lists.is_sorted_by(|a, b| a.0 > b.0));
        let mut read = BTreeMap::new();
        for (exponent, list) in lists {
            list.for_each(|document, steps| {
                assert!(read.insert(document, (steps, exponent)).is_none());
            })
            .unwrap();
        }
        prop_assert_eq!(read, postings);
    }

    #[test]
    fn tiers_hold_every_posting_once_and_fall(
        postings in prop::collection::btree_map(0u32..5_000, 1u32..=255, 1..1_500),
    ) {
        let documents: Vec<u32> = postings.keys().copied().collect();
        let impacts: Vec<u32> = postings.values().copied().collect();
        let mut bytes = vec![0; 3];
        let entry = SparseListEncoder::new(SparseLayout::Tiers, 0, 5_000)
            .encode(&Postings::new(documents, impacts), 3, &mut bytes)
            .unwrap();
        let section = Section::from_bytes("impacts", bytes);
        let mut read = BTreeMap::new();
        let mut floor = 256;
        let mut block = DecodedBlock::default();
        let mut lists = lists_of(&section, 0, 5_000, &entry);
        let Some((0, SparseList::Tiers(tiers))) = lists.pop() else {
            panic!("expected tiers");
        };
        for tier in tiers {
            let mut min = 256;
            for index in 0..tier.blocks.block_count() {
                tier.blocks.decode(index, &mut block).unwrap();
                let mut max = 0;
                for (document, value) in block.documents().iter().zip(block.values()) {
                    let impact = u32::from(tier.impact(*value));
                    prop_assert!(impact < floor, "tiers overlap");
                    prop_assert!(read.insert(*document, impact).is_none());
                    min = min.min(impact);
                    max = max.max(impact);
                }
                if let Some(entry) = tier.blocks.table().get(index) {
                    prop_assert_eq!(u32::from(entry.max_impact()), max);
                }
            }
            floor = min;
        }
        prop_assert_eq!(read, postings);
    }
}

proptest! {
    #[test]
    fn every_layout_holds_every_posting(
        postings in prop::collection::btree_map(0u32..40_000, 1u32..=255, 1..2_500),
        spread in 1u32..2_000,
        ranges in any::<bool>(),
    ) {
        // Close together, ranges have many postings; far apart, few.
        let close: BTreeMap<u32, u32> = postings.iter().map(|(d, i)| (d / spread, *i)).collect();
        let documents: Vec<u32> = close.keys().copied().collect();
        let impacts: Vec<u32> = close.values().copied().collect();
        let layout = if ranges { SparseLayout::Ranges } else { SparseLayout::Tiers };
        let mut bytes = vec![0; 3];
        let entry = SparseListEncoder::new(layout, 0, 40_000)
            .encode(&Postings::new(documents, impacts), 3, &mut bytes)
            .unwrap();
        let section = Section::from_bytes("impacts", bytes);
        let lists = lists_of(&section, 0, 40_000, &entry);
        prop_assert_eq!(lists.len(), 1);
        let list = &lists[0].1;
        let mut read = BTreeMap::new();
        let mut twice = false;
        list.for_each(|document, impact| {
            twice |= read.insert(document, u32::from(impact)).is_some();
        }).unwrap();
        prop_assert!(!twice);
        prop_assert_eq!(read, close);
    }
}

#[test]
fn the_chapters_example_holds() {
    let mut bytes = Vec::new();
    SparseListEncoder::new(SparseLayout::Tiers, 0, 5_000)
        .encode(
            &Postings::new(vec![3, 4, 9], vec![200, 200, 198]),
            0,
            &mut bytes,
        )
        .unwrap();
    assert_eq!(bytes, [0xC8, 0x43, 0x02, 0x03, 0x01, 0x20]);
}
#[test]
fn the_chapters_example_of_parts_holds() {
    let mut bytes = Vec::new();
    let impact = |exponent, steps| pack(Impact { exponent, steps }, 0);
    SparseListEncoder::new(SparseLayout::Ranges, 0, 5_000)
        .encode(
            &Postings::new(
                vec![3, 4, 9],
                vec![impact(0, 200), impact(-12, 9), impact(0, 198)],
            ),
            0,
            &mut bytes,
        )
        .unwrap();
    let table = [
        [0, 0, 2, 0, 0, 0, 5, 0, 0, 0],
        [0xF4, 0xFF, 1, 0, 0, 0, 3, 0, 0, 0],
    ];
    let lists = [&[0xC8, 0x43, 0x02, 0x2B, 0x08][..], &[0x09, 0x03, 0x04][..]];
    assert_eq!(bytes[..3], [0, 2, 0]);
    assert_eq!(bytes[3..23], table.concat());
    assert_eq!(bytes[23..], lists.concat());
}
