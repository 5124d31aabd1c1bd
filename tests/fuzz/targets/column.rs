//! Bytes as the sections of a column: the first ten say its type, how many documents the segment
//! has, and where the sections are cut.
use esparsa::internals::format::Section;
use esparsa::internals::format::column::{ColumnSections, ColumnType, ColumnValues};
use esparsa::internals::format::dictionary::{Dictionary, Payload};

/// Starts that do not rise give a document as many values as the column has, and a filter may read
/// them for every document.
const MAX_VALUES: u64 = 20_000;

pub fn run(bytes: &[u8]) {
    let Some((head, bytes)) = bytes.split_first_chunk::<10>() else {
        return;
    };
    let [kind, x, y, z, a, b, c, d, e, f] = *head;
    let column_type = ColumnType::ALL[usize::from(kind) % ColumnType::ALL.len()];
    // Up to four blocks of documents.
    let documents = u32::from_le_bytes([x, y, z & 3, 0]);
    let cut = |place: [u8; 2]| usize::from(u16::from_le_bytes(place)).min(bytes.len());
    let mut cuts = [[a, b], [c, d], [e, f]].map(cut);
    cuts.sort_unstable();
    let [first, second, third] = cuts;
    let section = |name, bytes: &[u8]| Section::from_bytes(name, bytes.to_vec());
    let optional = |name, bytes: &[u8]| (!bytes.is_empty()).then(|| section(name, bytes));
    let keywords = optional("column-keywords", &bytes[third..]);
    let keywords = keywords.map(|section| Dictionary::open(section, Payload::None));
    let Ok(keywords) = keywords.transpose() else {
        return;
    };
    let sections = ColumnSections {
        values: section("column-values", &bytes[..first]),
        documents: optional("column-documents", &bytes[first..second]),
        starts: optional("column-starts", &bytes[second..third]),
        keywords,
    };
    let Ok(column) = ColumnValues::open(column_type, documents, sections) else {
        return;
    };
    let shape = column.shape();
    if shape.count > MAX_VALUES {
        return;
    }
    let middle = shape.min + (shape.max - shape.min) / 2;
    let mut codes = vec![shape.min, middle, shape.max];
    codes.dedup();
    let _ = column.in_range(middle, u64::MAX);
    let _ = column.in_range(shape.min, middle);
    let _ = column.in_set(&codes);
    let _ = column.having_value();
    let _ = column.for_each(|document, _| {
        assert!(document < documents);
        Ok(())
    });
    let sample = [0, 1, documents / 2, documents.wrapping_sub(1), u32::MAX];
    for document in sample {
        let _ = column.values(document);
    }
    if column.verify().is_err() {
        return;
    }
    // What the chapter allows is found.
    let having = column.having_value().unwrap();
    assert_eq!(column.in_range(0, u64::MAX).unwrap(), having);
    for document in sample {
        let places = column.places(document).unwrap();
        assert_eq!(!places.is_empty(), having.contains(document));
        for place in places.take(3) {
            let code = column.code(place).unwrap();
            assert!(column.in_range(code, code).unwrap().contains(document));
            assert!(column.in_set(&[code]).unwrap().contains(document));
        }
    }
}
