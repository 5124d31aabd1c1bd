//! Bytes as a list that is cut at ranges: the first six say how long it is and what its segment
//! has.
use esparsa::internals::format::Section;
use esparsa::internals::format::range_list::{
    GROUP_RANGES, RANGE_DOCUMENTS, RangeList, RangeListEncoder,
};

pub fn run(bytes: &[u8]) {
    let Some((head, bytes)) = bytes.split_first_chunk::<6>() else {
        return;
    };
    let [a, b, c, d, offset, cut] = *head;
    let documents = u32::from(u16::from_le_bytes([a, b])) % 10_000;
    let postings = u32::from(u16::from_le_bytes([c, d]));
    let section = Section::from_bytes("impacts", bytes.to_vec());
    let offset = u64::from(offset % 4);
    let length = section.len().saturating_sub(offset + u64::from(cut % 4));
    let Ok(list) = RangeList::open(&section, documents, postings, offset, length) else {
        return;
    };
    let groups = list.groups().len() as u32;
    for range in 0..=groups * GROUP_RANGES {
        let Some(found) = list.find(range) else {
            continue;
        };
        list.ahead(found);
        list.max_of(found);
        if let Ok(postings) = list.postings(found) {
            let mut visited = 0;
            postings.for_each(|_, _| visited += 1);
            assert!(visited <= postings.len() && visited <= RANGE_DOCUMENTS as usize);
        }
    }
    let (mut found, mut impacts) = (Vec::new(), Vec::new());
    let walked = list.for_each(|document, impact| {
        found.push(document);
        impacts.push(u32::from(impact));
    });
    if walked.is_err() {
        return;
    }
    assert_eq!(found.len(), postings as usize);
    assert!(found.is_sorted_by(|a, b| a < b));
    assert!(found.iter().all(|document| *document < documents));
    // What was read is written to something that reads the same.
    let mut again = Vec::new();
    RangeListEncoder::default()
        .encode(&found, &impacts, documents, &mut again)
        .unwrap();
    let section = Section::from_bytes("impacts", again);
    let again = RangeList::open(&section, documents, postings, 0, section.len()).unwrap();
    let mut pairs = found.into_iter().zip(impacts);
    let read = again.for_each(|document, impact| {
        assert_eq!(pairs.next(), Some((document, u32::from(impact))));
    });
    read.unwrap();
    assert!(pairs.next().is_none());
}
