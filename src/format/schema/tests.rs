use super::*;
use crate::format::{Bm25, DenseElement, DenseMetric};

fn read(bytes: &[u8]) -> Result<Schema> {
    Schema::read(&Section::from_bytes("schema", bytes.to_vec()))
}

fn model(name: &str) -> ModelIdentity {
    ModelIdentity {
        name: name.into(),
        fingerprint: 7,
    }
}

#[test]
fn schemas_are_read_as_written() {
    let numbered = Sparse::new().max_weight(2.0).numbered();
    let mut builder = Schema::builder()
        .text("text", Text::new().analyzer("english"))
        .sparse("splade", Sparse::new().model(model("splade")))
        .sparse("ids", numbered.layout(SparseLayout::Tiers))
        .stored("source");
    for (name, element) in [
        ("single", DenseElement::F32),
        ("half", DenseElement::F16),
        ("byte", DenseElement::I8),
    ] {
        builder = builder.dense(name, Dense::new(384).element(element).cosine());
    }
    let mut schema = builder.build().unwrap();
    schema.fields.push(Field {
        number: 9,
        name: "hologram".into(),
        options: FieldOptions::Unknown {
            kind: 77,
            options: vec![1, 2],
        },
        unknown: Vec::new(),
    });
    schema.next = 10;
    let bytes = schema.encode();
    assert_eq!(read(&bytes).unwrap(), schema);
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length]).is_err());
    }
    // Numbers of fields that were dropped.
    schema.next = 12;
    let with_next = schema.encode();
    assert_eq!(with_next, [&bytes[..], &[12]].concat());
    assert_eq!(read(&with_next).unwrap(), schema);
    for next in [0, 9, 10] {
        assert!(read(&[&bytes[..], &[next]].concat()).is_err());
    }
    assert!(read(&[&bytes[..], &[12, 0]].concat()).is_err());
}

#[test]
fn the_chapters_example_holds() {
    let mut text = Text::new().analyzer("english");
    text.revision = 1;
    let schema = Schema::builder().text("text", text).build().unwrap();
    assert_eq!(
        schema.encode(),
        b"\x01\x00\x01\x04text\x19\
          \x03\x07english\
          \x05\x04\x01\0\0\0\
          \x07\x08fff\x3F\xCD\xCC\xCC\x3E"
    );
}

#[test]
fn positions_are_an_option_that_must_be_understood() {
    let schema = |text| Schema::builder().text("t", text).build().unwrap();
    let (without, with) = (schema(Text::new()), schema(Text::new().positions()));
    // Without them nothing is written; with them a record without content: a tag and a length.
    let (bytes, mut longer) = (without.encode(), with.encode());
    assert_eq!(longer[bytes.len()..], [4 << 1 | 1, 0]);
    assert_eq!(read(&longer).unwrap(), with);
    assert_eq!(read(&bytes).unwrap(), without);
    let difference = without.difference(&with);
    assert!(difference.ends_with(", with positions"), "{difference}");
    // With content it is another option.
    *longer.last_mut().unwrap() = 1;
    longer.push(0);
    longer[4 + 1] += 1;
    let error = read(&longer).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn dense_options_are_as_the_chapter_says() {
    let options = Dense::new(384).element(DenseElement::I8).cosine();
    let schema = Schema::builder().dense("d", options).build().unwrap();
    assert_eq!(
        schema.encode(),
        b"\x01\x00\x04\x01d\x0C\x03\x04\x80\x01\0\0\x05\x01\x02\x07\x01\x01"
    );
    let of = |dimensions| Schema::builder().dense("d", Dense::new(dimensions)).build();
    assert!(of(0).is_err());
    assert!(of(65_536).is_ok());
    for dimensions in [65_537, usize::MAX] {
        assert!(matches!(of(dimensions), Err(Error::Limit { .. })));
    }
}

#[test]
fn an_unknown_option_is_kept_when_optional_and_refused_when_required() {
    let body = Text::new().analyzer("english");
    let mut schema = Schema::builder().text("body", body).build().unwrap();
    schema.fields[0].unknown = vec![OptionRecord::optional(40, [1, 2, 3])];
    let kept = read(&schema.encode()).unwrap();
    assert_eq!(kept, schema);
    assert_eq!(
        read(&kept.encode()).unwrap().fields[0].unknown[0].bytes,
        [1, 2, 3]
    );

    schema.fields[0].unknown = vec![OptionRecord::required(40, [1, 2, 3])];
    let error = read(&schema.encode()).unwrap_err();
    assert!(matches!(error, Error::TooNew { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("option 40 of the field `body`"),
        "{message}"
    );
}

#[test]
fn an_option_that_its_kind_needs_must_be_there() {
    let schema = Schema::builder().text("t", Text::new()).build().unwrap();
    let bytes = schema.encode();
    // Without the last record, that of the parameters of BM25: a tag, a length and 8 bytes.
    let mut without = bytes[..bytes.len() - 10].to_vec();
    without[5] -= 10;
    let error = read(&without).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn models_are_of_sparse_and_dense_fields() {
    let of = |identity: ModelIdentity| {
        Schema::builder()
            .text("t", Text::new())
            .sparse("s", Sparse::new().model(identity.clone()))
            .dense("d", Dense::new(4).model(identity))
            .build()
    };
    let schema = of(model("mini")).unwrap();
    assert_eq!(schema.model_of("s"), Some(&model("mini")));
    assert_eq!(schema.model_of("d"), Some(&model("mini")));
    assert_eq!(schema.model_of("t"), None);
    assert!(of(model("")).is_err());
    assert!(of(model(&"x".repeat(1_025))).is_err());
}

#[test]
fn names_and_options_are_checked() {
    let text = |name: &str| Schema::builder().text(name, Text::new());
    assert!(text("").build().is_err());
    assert!(text(&"x".repeat(256)).build().is_err());
    assert!(text("a").stored("a").build().is_err());
    assert!(Schema::builder().stored("a").stored("b").build().is_err());
    for weight in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        for options in [
            Sparse::new().expected_max(weight),
            Sparse::new().max_weight(weight),
        ] {
            let error = Schema::builder().sparse("a", options).build().unwrap_err();
            assert!(error.to_string().contains("field `a`"), "{error}");
        }
    }
    let bm25 = Text::new().bm25(Bm25 { k1: -1.0, b: 0.4 });
    assert!(Schema::builder().text("a", bm25).build().is_err());
    let metric = |metric| Dense::new(3).metric(metric);
    assert_eq!(metric(DenseMetric::Cosine), Dense::new(3).cosine());
}
