//! Bytes as the sections of a dense field: the first eight say what the schema and the statistics
//! say of it.
use esparsa::internals::format::dense::{DenseRows, DenseShape, DenseVectors};
use esparsa::internals::format::{DenseElement, DenseMetric, Section};

pub fn run(bytes: &[u8]) {
    let Some((head, bytes)) = bytes.split_first_chunk::<8>() else {
        return;
    };
    let [dimensions, kind, documents, rows, a, b, c, d] = *head;
    let shape = DenseShape {
        dimensions: u32::from(dimensions) + 1,
        element: [DenseElement::F32, DenseElement::F16, DenseElement::I8][usize::from(kind % 3)],
        metric: DenseMetric::InnerProduct,
    };
    let (documents, rows) = (u32::from(documents), u32::from(rows));
    let cut = |place: [u8; 2]| usize::from(u16::from_le_bytes(place)).min(bytes.len());
    let (start, end) = (cut([a, b]).min(cut([c, d])), cut([a, b]).max(cut([c, d])));
    let section = |name, bytes: &[u8]| Section::from_bytes(name, bytes.to_vec());
    let optional = |name, bytes: &[u8]| (!bytes.is_empty()).then(|| section(name, bytes));
    let opened = DenseVectors::open(
        shape,
        documents,
        rows,
        section("vectors", &bytes[..start]),
        optional("vector-scales", &bytes[start..end]),
        optional("vector-documents", &bytes[end..]),
    );
    let Ok(vectors) = opened else {
        return;
    };
    let mut again = DenseRows::default();
    for row in 0..rows {
        let numbers = vectors.numbers(row).unwrap();
        assert_eq!(numbers.len(), shape.dimensions as usize);
        if let Ok(document) = vectors.document(row) {
            assert!(document < documents);
            let _ = vectors.row_of(document);
            let _ = vectors.rows_of(0..document);
        }
        // A row that the chapter allows can be written again and reads the same.
        if vectors.check_row(row).is_ok() && shape.element != DenseElement::I8 {
            again.vectors.clear();
            again.push(shape, row, &numbers);
            assert_eq!(again.vectors, vectors.row_bytes(row, 1).unwrap());
        }
    }
    assert!(vectors.numbers(rows).is_err());
}
