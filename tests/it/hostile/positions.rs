//! Lists of positions that contradict the postings or themselves are refused.

use super::*;
use esparsa::{Schema, Text};

const SEGMENT: &str = "segment-0000000001";

/// An index of 300 documents: `x` is twice in each, at 1 and 3, and `once` is in one.
fn honest() -> Memory {
    let memory = Memory::new();
    let schema = Schema::builder().text("text", Text::new().positions());
    let schema = schema.build().unwrap();
    let options = IndexOptions::new();
    let index = Index::create_in(Arc::new(memory.clone()), schema, options).unwrap();
    let mut writer = writer(&index);
    for number in 0..300 {
        let last = if number == 7 { "once" } else { "y" };
        let text = format!("y x y x {last}");
        let document = Document::new(number.to_string());
        writer.add(document.with_text("text", text)).unwrap();
    }
    writer.commit().unwrap();
    memory
}

fn with_positions(index: &Memory, change: impl Fn(&mut Vec<u8>)) -> Memory {
    let mut sections = sections(index, SEGMENT);
    let positions = sections.iter_mut().find(|s| s.0 == "positions").unwrap();
    change(&mut positions.2);
    with_sections(index, SEGMENT, &sections)
}

fn verify(index: &Memory) -> Result<()> {
    let snapshot = open(index)?;
    esparsa::internals::segment::verify(&snapshot.segments()[0].reader)
}

/// The positions of `x` in the first document and in the last.
fn positions_of_x(index: &Memory) -> Result<[Vec<u32>; 2]> {
    let snapshot = open(index)?;
    let reader = &snapshot.segments()[0].reader;
    let field = reader.text(0).unwrap();
    let entry = field.terms.term(b"x")?.unwrap();
    let list = field.list(reader.documents(), &entry)?;
    let mut of_x = field.positions(&entry)?.unwrap().reader();
    let mut block = block::DecodedBlock::default();
    let mut read = |index: usize| {
        list.blocks.decode(index, &mut block)?;
        let mut found = Vec::new();
        of_x.read(index, block.values(), block.len - 1, &mut found)?;
        Ok(found)
    };
    Ok([read(0)?, read(2)?])
}

#[test]
fn positions_that_lie_are_refused() {
    let honest = honest();
    verify(&honest).unwrap();
    assert_eq!(positions_of_x(&honest).unwrap(), [vec![1, 3], vec![1, 3]]);
    let bytes = sections(&honest, SEGMENT);
    let bytes = &bytes.iter().find(|s| s.0 == "positions").unwrap().2;
    // Of `x`: three ends; blocks of two chunks of 128 distances of two bits; and one of 88 distances.
    let of_x = 12 + 2 * 2 * (1 + 32) + (1 + 22);
    assert!(bytes.len() > of_x);
    let ends = [66u32, 132, 155].map(u32::to_le_bytes).concat();
    assert_eq!(bytes[..12], ends[..]);
    assert_eq!((bytes[12], bytes[12 + 33], bytes[12 + 132]), (2, 2, 2));
    // The lie, where it is, and what is there.
    let lies: [(&str, usize, &[u8]); 9] = [
        ("a block ends before it begins", 4, &[60]),
        ("a block ends beyond the list", 4, &[0, 0, 0, 1]),
        ("a block ends later", 0, &[67]),
        ("a block ends earlier", 0, &[65]),
        ("a wider chunk", 12, &[3]),
        ("a narrower chunk", 12 + 33, &[1]),
        ("a width above 32 bits", 12, &[33]),
        ("exceptions that are not there", 12 + 33, &[0x82]),
        ("no distances", 12 + 132, &[0]),
    ];
    for (lie, at, found) in lies {
        let hostile = with_positions(&honest, |bytes| {
            bytes[at..at + found.len()].copy_from_slice(found);
        });
        for error in [
            verify(&hostile).unwrap_err(),
            positions_of_x(&hostile).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Corrupt { .. }), "{lie}: {error}");
        }
    }
    // What the dictionary says is elsewhere, or more than it says is there.
    for hostile in [
        with_positions(&honest, |bytes| bytes.truncate(bytes.len() - 1)),
        with_positions(&honest, |bytes| bytes.push(0)),
        with_positions(&honest, Vec::clear),
    ] {
        let error = verify(&hostile).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    }
}

#[test]
fn positions_that_are_missing_are_found_when_a_segment_is_opened() {
    let honest = honest();
    let mut sections = sections(&honest, SEGMENT);
    sections.retain(|section| section.0 != "positions");
    let error = open(&with_sections(&honest, SEGMENT, &sections)).unwrap_err();
    assert!(error.to_string().contains("positions"), "{error}");
}
