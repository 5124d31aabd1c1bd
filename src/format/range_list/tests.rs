use super::*;
use crate::format::postings::Postings as ListPostings;
use crate::format::schema::SparseLayout;
use crate::format::sparse_postings::{SparseList, SparseListEncoder, open_lists};
use proptest::prelude::*;
use std::collections::BTreeMap;

const GROUP_DOCUMENTS: u32 = RANGE_DOCUMENTS * GROUP_RANGES;
/// Documents of a segment of three groups, of which the last is short.
const COUNT: u32 = 2 * GROUP_DOCUMENTS + RANGE_DOCUMENTS + 5;
/// Where the table of groups of such a segment ends, which has an entry more than groups.
const GROUPS_END: usize = size_of::<Head>() + 4 * size_of::<RangeGroup>();

type Postings = BTreeMap<DocId, u8>;

fn encode(postings: &Postings) -> Vec<u8> {
    let documents: Vec<DocId> = postings.keys().copied().collect();
    let impacts: Vec<u32> = postings.values().map(|impact| u32::from(*impact)).collect();
    let mut bytes = Vec::new();
    let mut encoder = RangeListEncoder::default();
    encoder
        .encode(&documents, &impacts, COUNT, &mut bytes)
        .unwrap();
    bytes
}

fn open(section: &Section, postings: usize) -> Result<RangeList<'_>> {
    RangeList::open(section, COUNT, postings as u32, 0, section.len())
}

/// Reads the whole list.
fn read(bytes: &[u8], documents: u32, postings: usize) -> Result<Postings> {
    let section = Section::from_bytes("impacts", bytes.to_vec());
    let list = RangeList::open(&section, documents, postings as u32, 0, section.len())?;
    let mut found = Postings::new();
    list.for_each(|document, impact| _ = found.insert(document, impact))?;
    Ok(found)
}

/// Some postings anywhere and a run of documents, so that ranges have few and many.
fn lists() -> impl Strategy<Value = Postings> {
    let anywhere = prop::collection::btree_map(0..COUNT, 1u8..=255, 1..200);
    let run = (0..COUNT, 0..6 * RANGE_DOCUMENTS, any::<u8>());
    (anywhere, run).prop_map(|(mut postings, (start, length, impact))| {
        for document in start..COUNT.min(start + length) {
            postings.insert(document, impact.wrapping_mul(document.to_le_bytes()[0]) | 1);
        }
        postings
    })
}

proptest! {
    #[test]
    fn every_range_is_found_with_its_postings(postings in lists()) {
        let section = Section::from_bytes("impacts", encode(&postings));
        let list = open(&section, postings.len()).unwrap();
        let mut present = 0;
        for range in 0..groups_of(COUNT) * GROUP_RANGES {
            let group = list.groups()[(range / GROUP_RANGES) as usize];
            if range % GROUP_RANGES == 0 {
                prop_assert_eq!(group.first(), present);
            }
            let first = range * RANGE_DOCUMENTS;
            let of_range = postings.range(first..first + RANGE_DOCUMENTS);
            let expected: Vec<(u32, u8)> = of_range.map(|(d, i)| (d - first, *i)).collect();
            let Some(found) = list.find(range) else {
                prop_assert!(expected.is_empty());
                continue;
            };
            let max = expected.iter().map(|(_, impact)| *impact).max();
            prop_assert_eq!(Some(list.max_of(found)), max);
            prop_assert_eq!(list.max_impacts()[present], list.max_of(found));
            let read = list.postings(found).unwrap();
            prop_assert_eq!(read.len(), expected.len());
            let mut pairs = Vec::new();
            read.for_each(|offset, impact| pairs.push((u32::from(offset), impact)));
            prop_assert_eq!(pairs, expected);
            present += 1;
        }
        prop_assert_eq!(list.max_impacts().len(), present);
    }

    #[test]
    fn as_many_postings_as_noted_reach_an_impact(postings in lists(), rank in 1usize..2_000) {
        let section = Section::from_bytes("impacts", encode(&postings));
        let list = open(&section, postings.len()).unwrap();
        let noted = list.impact_at_rank(rank);
        let reach = postings.values().filter(|impact| **impact >= noted).count();
        prop_assert!(noted == 0 || reach >= rank);
        prop_assert_eq!(Some(&list.max_impact()), postings.values().max());
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        postings in lists(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        replaced in prop::option::weighted(0.2, prop::collection::vec(any::<u8>(), 0..300)),
        said in (0..3 * GROUP_DOCUMENTS, 0u32..500, 0u64..3, 0u64..3),
        honest in any::<bool>(),
    ) {
        let mut bytes = encode(&postings);
        for (place, value) in changes {
            // Most of a list are postings: as often as those, a byte of the tables is changed.
            let most = if value % 2 == 0 { bytes.len() } else { GROUPS_END + 9 };
            let place = place.index(bytes.len().min(most));
            bytes[place] = value;
        }
        let bytes = replaced.unwrap_or(bytes);
        let (mut documents, mut count, offset, less) = said;
        if honest {
            (documents, count) = (COUNT, postings.len() as u32);
        }
        let section = Section::from_bytes("impacts", bytes);
        let length = section.len().saturating_sub(offset + less);
        let Ok(list) = RangeList::open(&section, documents, count, offset, length) else {
            return Ok(());
        };
        for range in 0..groups_of(documents) * GROUP_RANGES + 2 {
            if let Some(found) = list.find(range) {
                list.ahead(found);
                if let Ok(postings) = list.postings(found) {
                    let mut visited = 0;
                    postings.for_each(|offset, _| {
                        assert!(u32::from(offset) < 256);
                        visited += 1;
                    });
                    prop_assert!(visited <= postings.len());
                }
            }
        }
        let mut found = Vec::new();
        if list.for_each(|document, impact| found.push((document, impact))).is_ok() {
            prop_assert_eq!(found.len(), count as usize);
            prop_assert!(found.is_sorted_by(|a, b| a.0 < b.0));
            prop_assert!(found.iter().all(|(document, _)| *document < documents));
        }
    }
}

/// In the first range a few postings, in the second as many as it has documents, and one in the
/// last document.
fn sample() -> Postings {
    let few = [(3, 10), (7, 30), (9, 20)];
    let many = (RANGE_DOCUMENTS..2 * RANGE_DOCUMENTS).map(|document| (document, 40));
    few.into_iter()
        .chain(many)
        .chain([(COUNT - 1, 50)])
        .collect()
}

#[test]
fn truncated_lists_are_errors() {
    let postings = sample();
    let bytes = encode(&postings);
    assert_eq!(read(&bytes, COUNT, postings.len()).unwrap(), postings);
    // Three ranges have postings: a byte for the max impact of each.
    let tables_end = GROUPS_END + 3;
    for length in 0..bytes.len() {
        let section = Section::from_bytes("impacts", bytes[..length].to_vec());
        let opened = open(&section, postings.len());
        assert_eq!(opened.is_ok(), length >= tables_end, "{length} bytes");
        let cut = read(&bytes[..length], COUNT, postings.len());
        assert!(matches!(cut, Err(Error::Corrupt { .. })), "{length} bytes");
    }
    // Longer than its section.
    let section = Section::from_bytes("impacts", bytes.clone());
    let length = section.len();
    assert!(RangeList::open(&section, COUNT, 1, 1, length).is_err());
    assert!(RangeList::open(&section, COUNT, 1, u64::MAX, length).is_err());
}

#[test]
fn lists_that_contradict_themselves_or_their_segment_are_errors() {
    let postings = sample();
    let count = postings.len();
    let bytes = encode(&postings);
    for (documents, count) in [
        (COUNT, count - 1),
        (COUNT, count + 1),
        (COUNT - 1, count),
        (COUNT + GROUP_DOCUMENTS, count),
        (COUNT - GROUP_DOCUMENTS, count),
        (10, 11),
    ] {
        let refused = read(&bytes, documents, count);
        assert!(
            matches!(refused, Err(Error::Corrupt { .. })),
            "{documents}, {count}"
        );
    }
    // The first group has two ends, six bytes of a few postings, and bits.
    let ends = GROUPS_END + 3;
    let (few, bits) = (ends + 2, ends + 8);
    let second_group = size_of::<Head>() + size_of::<RangeGroup>();
    let lies = [
        ("documents fall", few + 1, 2),
        ("a document twice", few + 1, 3),
        ("an impact above its range's max", few + 4, 31),
        ("a max impact too small", GROUPS_END, 29),
        ("a bit too few", bits, 0xFE),
        ("a range without postings", ends, 0),
        ("ends that fall", ends + 1, 5),
        ("an end beyond its group", ends + 1, 79),
        ("a range too many", size_of::<Head>(), 7),
        ("a group cut short", second_group + 12, 79),
        (
            "a group that ends before it begins",
            second_group + 15,
            0xFF,
        ),
        ("a group too few", 7, 2),
    ];
    for (lie, place, value) in lies {
        let mut changed = bytes.clone();
        changed[place] = value;
        assert_ne!(changed, bytes, "{lie}");
        let refused = read(&changed, COUNT, count);
        assert!(
            matches!(refused, Err(Error::Corrupt { .. })),
            "{lie}: {refused:?}"
        );
    }
}

#[test]
fn a_list_with_fewer_postings_than_groups_has_one_tier() {
    let documents: Vec<DocId> = (0..200).map(|n| n * (GROUP_DOCUMENTS - 1)).collect();
    let impacts: Vec<u32> = (0..200).map(|n| 1 + n % 100).collect();
    for more in [0, 1] {
        let count = 200 * GROUP_DOCUMENTS + more;
        let mut bytes = Vec::new();
        let entry = SparseListEncoder::new(SparseLayout::Ranges, 0, count)
            .encode(
                &ListPostings::new(documents.clone(), impacts.clone()),
                0,
                &mut bytes,
            )
            .unwrap();
        let section = Section::from_bytes("impacts", bytes);
        let mut lists = Vec::new();
        open_lists(&section, count, 0, &entry, |_, list| lists.push(list)).unwrap();
        let list = lists.pop().unwrap();
        match &list {
            SparseList::Ranges(_) => assert_eq!(more, 0),
            SparseList::Tiers(tiers) => assert_eq!((tiers.len(), more), (1, 1)),
        }
        let mut pairs = Vec::new();
        list.for_each(|document, impact| pairs.push((document, u32::from(impact))))
            .unwrap();
        assert!(
            pairs
                .into_iter()
                .eq(documents.iter().copied().zip(impacts.clone()))
        );
    }
}

#[test]
fn the_chapters_example_holds() {
    let documents: Vec<DocId> = (0..128).chain([200, 4_100, 4_101]).collect();
    let impacts: Vec<u32> = [5; 128].into_iter().chain([7, 9, 1]).collect();
    let mut bytes = Vec::new();
    SparseListEncoder::new(SparseLayout::Ranges, 0, 5_000)
        .encode(
            &ListPostings::new(documents.clone(), impacts.clone()),
            0,
            &mut bytes,
        )
        .unwrap();
    let full_range = [[0xFF; 8].as_slice(), &[5; 64]].concat();
    let expected: [&[u8]; 19] = [
        &[0xFF],
        &[9, 5, 5, 0],
        &[0, 0, 0],
        &[2, 0, 0, 0],
        &[4, 0, 0, 0],
        &[0x0B, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0, 0, 0],
        &[0, 0, 0, 0],
        &[0x01, 0, 0, 0, 0, 0, 0, 0],
        &[3, 0, 0, 0, 0x95, 0, 0, 0],
        &[0; 8],
        &[4, 0, 0, 0, 0x9A, 0, 0, 0],
        &[5, 5, 7, 9],
        &[0x48, 0x90, 0x92],
        &full_range,
        &full_range,
        &[0x08, 0x07],
        &[0x04],
        &[0x04, 0x05, 0x09, 0x01],
    ];
    assert_eq!(bytes, expected.concat());
    assert_eq!(bytes.len(), 222);
}
