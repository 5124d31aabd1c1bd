use super::*;
use proptest::prelude::*;

fn shape(dimensions: u32, element: DenseElement, metric: DenseMetric) -> DenseShape {
    DenseShape {
        dimensions,
        element,
        metric,
    }
}

const ELEMENTS: [DenseElement; 3] = [DenseElement::F32, DenseElement::F16, DenseElement::I8];

/// Opens rows as the sections of a segment.
fn open(shape: DenseShape, documents: u32, rows: &DenseRows) -> Result<DenseVectors> {
    let count = u32::try_from(rows.documents.len()).unwrap();
    let section = |name, bytes| Section::from_bytes(name, bytes);
    let has_scales = shape.element == DenseElement::I8;
    DenseVectors::open(
        shape,
        documents,
        count,
        section("vectors", rows.vectors.clone()),
        has_scales.then(|| section("vector-scales", encode_scales(&rows.scales))),
        (count < documents).then(|| section("vector-documents", encode_documents(&rows.documents))),
    )
}

/// Dimensions, and for each document a vector or none.
fn documents() -> impl Strategy<Value = (u32, Vec<Option<Vec<f32>>>)> {
    (1usize..70).prop_flat_map(|dimensions| {
        let number = prop_oneof![-3f32..3.0, -1e-4f32..1e-4, Just(0.0)];
        let vector = prop::collection::vec(number, dimensions);
        let all = prop::collection::vec(vector.clone().prop_map(Some), 0..20);
        let some = prop::collection::vec(prop::option::of(vector), 0..20);
        let dimensions = u32::try_from(dimensions).unwrap();
        (Just(dimensions), prop_oneof![all, some])
    })
}

/// How far a number may be from what was added.
fn error(element: DenseElement, number: f32, max: f32) -> f32 {
    match element {
        DenseElement::F32 => 0.0,
        DenseElement::F16 => number.abs() / 2_048.0 + 2f32.powi(-25),
        DenseElement::I8 => max / 254.0 * 1.001,
    }
}

proptest! {
    #[test]
    fn vectors_are_read_as_added(
        (dimensions, vectors) in documents(),
        element in prop::sample::select(ELEMENTS.to_vec()),
    ) {
        let shape = shape(dimensions, element, DenseMetric::InnerProduct);
        let mut rows = DenseRows::default();
        for (document, vector) in (0..).zip(&vectors) {
            if let Some(vector) = vector {
                shape.check(vector).unwrap();
                rows.push(shape, document, vector);
            }
        }
        let count = u32::try_from(vectors.len()).unwrap();
        let opened = open(shape, count, &rows).unwrap();
        prop_assert_eq!(opened.rows() as usize, rows.documents.len());
        let mut before = 0;
        for (document, vector) in (0..).zip(&vectors) {
            let row = opened.row_of(document).unwrap();
            prop_assert_eq!(row.is_some(), vector.is_some());
            prop_assert_eq!(opened.rows_of(0..document).unwrap(), 0..before);
            let Some(vector) = vector else { continue };
            before += 1;
            let row = row.unwrap();
            prop_assert_eq!(opened.document(row).unwrap(), document);
            opened.check_row(row).unwrap();
            let numbers = opened.numbers(row).unwrap();
            prop_assert_eq!(numbers.len(), vector.len());
            let max = vector.iter().fold(0f32, |most, number| most.max(number.abs()));
            for (found, number) in numbers.iter().zip(vector) {
                prop_assert!((found - number).abs() <= error(element, *number, max));
            }
        }
        prop_assert_eq!(opened.row_of(count).unwrap(), None);
    }

    #[test]
    fn under_cosine_every_row_has_a_norm_of_one(
        vector in prop::collection::vec(-1f32..1.0, 1..200),
        scale in prop::sample::select(vec![1e-38f32, 1e-9, 1.0, 1e9, 1e38]),
        element in prop::sample::select(ELEMENTS.to_vec()),
    ) {
        let vector: Vec<f32> = vector.iter().map(|number| number * scale).collect();
        let shape = shape(u32::try_from(vector.len()).unwrap(), element, DenseMetric::Cosine);
        prop_assume!(vector.iter().any(|number| *number != 0.0));
        shape.check(&vector).unwrap();
        let mut rows = DenseRows::default();
        rows.push(shape, 0, &vector);
        let opened = open(shape, 1, &rows).unwrap();
        opened.check_row(0).unwrap();
        let found = norm(&opened.numbers(0).unwrap());
        prop_assert!((found - 1.0).abs() < 0.02, "{found}");
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        (dimensions, documents, rows) in (1u32..40, 0u32..9, 0u32..9),
        element in prop::sample::select(ELEMENTS.to_vec()),
        cuts in (0usize..400, 0usize..400),
    ) {
        let shape = shape(dimensions, element, DenseMetric::InnerProduct);
        let (vectors, rest) = bytes.split_at(cuts.0.min(bytes.len()));
        let (scales, listed) = rest.split_at(cuts.1.min(rest.len()));
        let section = |bytes: &[u8]| Section::from_bytes("some", bytes.to_vec());
        let optional = |bytes: &[u8]| (!bytes.is_empty()).then(|| section(bytes));
        let opened = DenseVectors::open(
            shape, documents, rows, section(vectors), optional(scales), optional(listed),
        );
        if let Ok(opened) = opened {
            for number in 0..documents + 2 {
                let _ = (opened.numbers(number), opened.check_row(number));
                let _ = (opened.document(number), opened.row_of(number));
                let _ = opened.rows_of(number..documents);
            }
        }
    }
}

#[test]
fn the_chapters_example_holds() {
    let shape = shape(3, DenseElement::I8, DenseMetric::InnerProduct);
    let mut rows = DenseRows::default();
    rows.push(shape, 0, &[1.0, -2.0, 0.5]);
    rows.push(shape, 2, &[0.0, 0.0, 0.0]);
    assert_eq!(shape.row_bytes(), 64);
    assert_eq!(rows.vectors[..4], [0x40, 0x81, 0x20, 0]);
    assert!(rows.vectors[3..].iter().all(|byte| *byte == 0));
    assert_eq!(
        encode_scales(&rows.scales),
        [0x04, 0x02, 0x81, 0x3C, 0, 0, 0, 0]
    );
    assert_eq!(encode_documents(&rows.documents), [0, 0, 0, 0, 2, 0, 0, 0]);
    let opened = open(shape, 3, &rows).unwrap();
    assert_eq!(opened.row_of(2).unwrap(), Some(1));
    assert_eq!(opened.row_of(1).unwrap(), None);
}

#[test]
fn rows_begin_at_multiples_of_64_bytes() {
    let row = |dimensions, element| shape(dimensions, element, DenseMetric::Cosine).row_bytes();
    assert_eq!(row(384, DenseElement::F32), 1_536);
    assert_eq!(row(384, DenseElement::F16), 768);
    assert_eq!(row(384, DenseElement::I8), 384);
    assert_eq!(row(1, DenseElement::F32), 64);
    assert_eq!(row(33, DenseElement::F16), 128);
}

#[test]
fn rows_that_break_an_invariant_are_found() {
    let good = |element| {
        let shape = shape(3, element, DenseMetric::InnerProduct);
        let mut rows = DenseRows::default();
        rows.push(shape, 0, &[1.0, -2.0, 0.5]);
        (shape, rows)
    };
    let is_found = |shape, rows: &DenseRows| {
        let error = open(shape, 1, rows).unwrap().check_row(0).unwrap_err();
        assert!(error.to_string().contains("vectors, offset 0"), "{error}");
    };
    for element in ELEMENTS {
        let (shape, rows) = good(element);
        open(shape, 1, &rows).unwrap().check_row(0).unwrap();
        let mut filled = rows.clone();
        filled.vectors[63] = 1;
        is_found(shape, &filled);
    }
    let (single, mut rows) = good(DenseElement::F32);
    rows.vectors[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
    is_found(single, &rows);
    rows.vectors[4..8].copy_from_slice(&3e18f32.to_le_bytes());
    is_found(single, &rows);
    let (half, mut rows) = good(DenseElement::F16);
    rows.vectors[..2].copy_from_slice(&0x7C00u16.to_le_bytes());
    is_found(half, &rows);
    let (byte, rows) = good(DenseElement::I8);
    let mut min = rows.clone();
    min.vectors[2] = 0x80;
    is_found(byte, &min);
    for scale in [f32::NAN, f32::INFINITY, -1.0] {
        let mut scaled = rows.clone();
        scaled.scales[0] = scale;
        is_found(byte, &scaled);
    }
}

#[test]
fn sections_of_the_wrong_length_are_refused() {
    let shape = shape(3, DenseElement::I8, DenseMetric::InnerProduct);
    let section = |length: usize| Section::from_bytes("s", vec![0; length]);
    let open = |documents, rows, vectors, scales: Option<usize>, listed: Option<usize>| {
        let (scales, listed) = (scales.map(section), listed.map(section));
        DenseVectors::open(shape, documents, rows, section(vectors), scales, listed)
    };
    assert!(open(2, 2, 128, Some(8), None).is_ok());
    assert!(open(3, 2, 128, Some(8), Some(8)).is_ok());
    for bad in [
        open(1, 2, 128, Some(8), None),
        open(2, 2, 127, Some(8), None),
        open(2, 2, 192, Some(8), None),
        open(2, 2, 128, Some(4), None),
        open(2, 2, 128, None, None),
        open(2, 2, 128, Some(8), Some(8)),
        open(3, 2, 128, Some(8), None),
        open(3, 2, 128, Some(8), Some(12)),
    ] {
        assert!(matches!(bad, Err(Error::Corrupt { .. })));
    }
    let huge = open(u32::MAX, u32::MAX, 128, Some(8), None);
    assert!(matches!(huge, Err(Error::Corrupt { .. })));
}

/// What the bits of a half stand for, by the definition of IEEE 754 binary16.
fn half_by_definition(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1F), f64::from(bits & 0x3FF));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    sign * magnitude
}

#[test]
fn every_half_is_read_by_definition_and_written_back() {
    for bits in 0..=u16::MAX {
        let expected = half_by_definition(bits);
        let number = f16::from_bits(bits).to_f32();
        if expected.is_nan() {
            assert!(number.is_nan(), "{bits:#06x}");
            let back = f16::from_f32(number);
            assert!(back.is_nan() && back.is_sign_negative() == (bits & 0x8000 != 0));
        } else {
            assert_eq!(
                f64::from(number).to_bits(),
                expected.to_bits(),
                "{bits:#06x}"
            );
            assert_eq!(f16::from_f32(number).to_bits(), bits, "{number}");
        }
    }
}

#[test]
fn ties_between_halves_go_to_the_even_one() {
    for (number, bits) in [
        (1.0 + 2f32.powi(-11), 0x3C00),
        (1.0 + 3.0 * 2f32.powi(-11), 0x3C02),
        // Subnormal: 2^-25 is halfway between 0 and the smallest half, 3 * 2^-25 between two.
        (2f32.powi(-25), 0x0000),
        (-2f32.powi(-25), 0x8000),
        (2f32.powi(-25) * (1.0 + f32::EPSILON), 0x0001),
        (3.0 * 2f32.powi(-25), 0x0002),
        (f32::from_bits(1), 0x0000),
        // 65,520 is halfway between the largest half and 65,536, which is not finite.
        (65_519.996, 0x7BFF),
        (65_520.0, 0x7C00),
        (f32::MAX, 0x7C00),
        (f32::NEG_INFINITY, 0xFC00),
    ] {
        assert_eq!(f16::from_f32(number).to_bits(), bits, "{number}");
    }
}

proptest! {
    #[test]
    fn numbers_become_the_nearest_half(
        number in prop_oneof![-70_000f32..70_000.0, -1e-3f32..1e-3, -1e-7f32..1e-7],
    ) {
        let half = f16::from_f32(number);
        let off = |half: f16| (f64::from(half.to_f32()) - f64::from(number)).abs();
        if number.abs() >= 65_520.0 {
            prop_assert!(half.is_infinite());
        } else {
            let bits = half.to_bits();
            for other in [bits.wrapping_add(1), bits.wrapping_sub(1)].map(f16::from_bits) {
                let is_neighbor =
                    other.is_finite() && other.is_sign_negative() == half.is_sign_negative();
                let is_tie = off(other) == off(half) && bits & 1 == 0;
                prop_assert!(!is_neighbor || off(other) > off(half) || is_tie);
            }
        }
    }
}
