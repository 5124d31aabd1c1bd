use proptest::prelude::*;

use super::*;
use crate::index::{Index, MergePolicy, Snapshot, WriterOptions};
use crate::segment::verify;
use crate::{Schema, Text};

const COLORS: [&str; 5] = ["", "red", "blue", "né", "blue-green"];

/// The values of a document: none, one or several, by its number.
fn values_of(number: u32, column: ColumnType, several: bool) -> Vec<Value> {
    let random = number.wrapping_mul(0x9E37_79B9) >> 8;
    let count = match (column, several) {
        (ColumnType::U64, _) => 1,
        (_, false) => random % 2,
        (_, true) => random % 4,
    };
    let value = |n: u32| {
        let random = (random ^ (n * 77)).wrapping_mul(0x85EB_CA6B) >> 12;
        match column {
            ColumnType::I64 => Value::I64(i64::from(random % 9) - 4),
            ColumnType::U64 => Value::U64(u64::from(random) << 40),
            ColumnType::F64 => Value::F64(f64::from(random) / 7.0 - 1e4),
            ColumnType::Bool => Value::Bool(random.is_multiple_of(2)),
            ColumnType::Date => Value::Date(i64::from(random) * 86_400_000),
            ColumnType::Keyword => Value::from(COLORS[random as usize % COLORS.len()]),
        }
    };
    (0..count).map(value).collect()
}

/// What an index says of values that were added: in order, keywords once each.
fn in_order(mut values: Vec<Value>, column: ColumnType) -> Vec<Value> {
    let text = |value: &Value| match value {
        Value::Keyword(keyword) => keyword.clone(),
        _ => String::new(),
    };
    values.sort_by_key(|value| (column.code_of(value), text(value)));
    if column == ColumnType::Keyword {
        values.dedup();
    }
    values
}

fn name(column: ColumnType, several: bool) -> String {
    format!("{}{}", column.name(), if several { "s" } else { "" })
}

fn columns() -> impl Iterator<Item = (ColumnType, bool)> {
    let all = ColumnType::ALL.into_iter();
    all.flat_map(|column| [(column, false), (column, true)])
}

fn document(number: u32) -> Document {
    let mut document = Document::new(format!("{number:04}"));
    document = document.with_text("text", format!("w{} x", number % 7));
    for (column, several) in columns() {
        for value in values_of(number, column, several) {
            document = document.with(name(column, several), value);
        }
    }
    document
}

fn check(snapshot: &Snapshot, is_live: impl Fn(u32) -> bool, numbers: u32) {
    for segment in snapshot.segments() {
        verify(&segment.reader).unwrap();
    }
    for number in (0..numbers).filter(|number| is_live(*number)) {
        let address = snapshot.find(&format!("{number:04}")).unwrap().unwrap();
        let segment = &snapshot.segments()[address.segment as usize];
        for (column, several) in columns() {
            let field = snapshot.schema().field(&name(column, several)).unwrap();
            let reader = segment.reader.column(field.number);
            let found = reader.map(|reader| reader.values(address.document).unwrap());
            let expected = in_order(values_of(number, column, several), column);
            assert_eq!(found.unwrap_or_default(), expected, "{number} {column:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn values_come_back_from_segments_and_merges(
        numbers in 1u32..400,
        commit_every in 1u32..150,
        delete_every in 2u32..9,
        reorders in any::<bool>(),
    ) {
        let mut schema = Schema::builder().text("text", Text::new());
        for (column_type, several) in columns() {
            let column = Column { column_type, several };
            schema = schema.column(name(column_type, several), column);
        }
        let index = Index::in_memory(schema.build().unwrap()).unwrap();
        let options = WriterOptions::new()
            .merge_policy(MergePolicy::never())
            .reorder_from(reorders.then_some(1));
        let mut writer = index.writer_with(options).unwrap();
        for number in 0..numbers {
            writer.add(document(number)).unwrap();
            if number % commit_every == commit_every - 1 {
                writer.commit().unwrap();
            }
        }
        writer.commit().unwrap();
        check(&index.snapshot().unwrap(), |_| true, numbers);
        for number in (0..numbers).step_by(delete_every as usize) {
            writer.delete(&format!("{number:04}")).unwrap();
        }
        writer.merge_to(1).unwrap();
        writer.commit().unwrap();
        let snapshot = index.snapshot().unwrap();
        assert!(snapshot.segments().len() <= 1);
        check(&snapshot, |number| number % delete_every != 0, numbers);
    }
}

#[test]
fn values_must_fit_their_column() {
    let schema = Schema::builder()
        .column("price", Column::f64())
        .column("tags", Column::keyword().several())
        .text("text", Text::new())
        .build()
        .unwrap();
    let refusal = |document: Document| document.check(&schema).unwrap_err().to_string();
    Document::new("a").with("price", 3).check(&schema).unwrap();
    let message = refusal(Document::new("a").with("price", "cheap"));
    assert!(
        message.contains("`a`") && message.contains("`price`"),
        "{message}"
    );
    assert!(
        message.ends_with("expected a number, found \"cheap\""),
        "{message}"
    );
    let message = refusal(Document::new("a").with("price", 1.0).with("price", 2.0));
    assert!(message.contains("at most one value"), "{message}");
    assert!(refusal(Document::new("a").with("text", 3)).contains("`text`"));
    assert!(refusal(Document::new("a").with_text("price", "3")).contains("`price`"));
    let many = (0..=MAX_COLUMN_VALUES).fold(Document::new("a"), |document, number| {
        document.with("tags", number.to_string())
    });
    assert!(matches!(many.check(&schema), Err(Error::Limit { .. })));
}

#[test]
fn columns_are_in_the_json_that_is_stored() {
    let document = Document::new("a")
        .with("price", 3)
        .with("tags", "x")
        .with("tags", "y")
        .with("since", Value::Date(0));
    let json: serde_json::Value = serde_json::from_slice(&document.source().unwrap()).unwrap();
    let expected = serde_json::json!({
        "_id": "a", "price": 3, "tags": ["x", "y"], "since": "1970-01-01T00:00:00Z",
    });
    assert_eq!(json, expected);
}
