use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn codes_are_in_the_order_of_values(
        i in any::<(i64, i64)>(),
        u in any::<(u64, u64)>(),
        f in any::<(f64, f64)>(),
    ) {
        let code = |column: ColumnType, value: Value| {
            let code = column.code_of(&value).unwrap();
            assert_eq!(column.value_of(code), Some(value));
            code
        };
        let (a, b) = (Value::I64(i.0), Value::I64(i.1));
        prop_assert_eq!(code(ColumnType::I64, a).cmp(&code(ColumnType::I64, b)), i.0.cmp(&i.1));
        let (a, b) = (Value::Date(i.0), Value::Date(i.1));
        prop_assert_eq!(code(ColumnType::Date, a).cmp(&code(ColumnType::Date, b)), i.0.cmp(&i.1));
        let (a, b) = (Value::U64(u.0), Value::U64(u.1));
        prop_assert_eq!(code(ColumnType::U64, a).cmp(&code(ColumnType::U64, b)), u.0.cmp(&u.1));
        let (a, b) = (Value::F64(f.0), Value::F64(f.1));
        let order = f.0.partial_cmp(&f.1).unwrap();
        prop_assert_eq!(code(ColumnType::F64, a).cmp(&code(ColumnType::F64, b)), order);
    }
}

/// What a number is worth, exactly where the cases below need it.
fn is_above(value: &Value, bound: &Value, is_strict: bool) -> bool {
    let order = match (value, bound) {
        (Value::F64(a), Value::F64(b)) => a.partial_cmp(b).unwrap(),
        (Value::F64(a), bound) => {
            let (floor, bound) = (a.floor(), number_above(bound).unwrap());
            let rest = a.partial_cmp(&floor).unwrap();
            (floor as i128).cmp(&bound).then(rest)
        }
        (value, Value::F64(b)) => {
            let (value, floor) = (number_above(value).unwrap(), b.floor());
            let rest = floor.partial_cmp(b).unwrap();
            value.cmp(&(floor as i128)).then(rest)
        }
        (a, b) => number_above(a).cmp(&number_above(b)),
    };
    order.is_gt() || order.is_eq() && !is_strict
}

#[test]
fn bounds_of_ranges_are_compared_by_what_they_are_worth() {
    let numbers = [
        Value::I64(i64::MIN),
        Value::I64(-3),
        Value::I64(0),
        Value::I64(1),
        Value::I64((1 << 53) + 1),
        Value::I64(i64::MAX),
        Value::U64(5),
        Value::U64(u64::MAX),
        Value::F64(-2.5),
        Value::F64(0.5),
        Value::F64(4.0),
        Value::F64(9_007_199_254_740_992.0),
    ];
    for column in [ColumnType::I64, ColumnType::U64, ColumnType::F64] {
        let values = numbers
            .iter()
            .filter_map(|value| column.convert(value).ok());
        let values: Vec<Value> = values.collect();
        for bound in &numbers {
            for is_strict in [false, true] {
                let lowest = column.lowest_code(bound, is_strict).unwrap();
                for value in &values {
                    let code = column.code_of(value).unwrap();
                    let found = lowest.is_some_and(|lowest| code >= lowest);
                    let expected = is_above(value, bound, is_strict);
                    assert_eq!(found, expected, "{column:?}: {value:?}, {bound:?}");
                }
            }
        }
        assert!(column.lowest_code(&Value::from("3"), false).is_err());
        let infinite = column
            .lowest_code(&Value::F64(f64::INFINITY), false)
            .unwrap();
        assert_eq!(infinite.is_some(), column == ColumnType::F64);
        let lowest = column.lowest_code(&Value::F64(f64::NEG_INFINITY), false);
        assert!(lowest.unwrap().unwrap() < 1 << 63);
    }
    let date = ColumnType::Date;
    let lowest = date.lowest_code(&Value::from("1970-01-01"), true).unwrap();
    assert_eq!(lowest, date.code_of(&Value::Date(1)));
    assert!(date.lowest_code(&Value::from(0.5), true).is_err());
}

#[test]
fn zero_has_one_code_and_infinities_are_at_the_ends() {
    assert_eq!(code_of_f64(-0.0), code_of_f64(0.0));
    assert!(code_of_f64(f64::INFINITY) > code_of_f64(f64::MAX));
    assert!(code_of_f64(f64::NEG_INFINITY) < code_of_f64(f64::MIN));
}

#[test]
fn values_become_those_of_another_type_where_nothing_is_lost() {
    use ColumnType::{Bool, Date, F64, I64, Keyword, U64};
    for (column, value, expected) in [
        (I64, Value::from(7u64), Some(Value::I64(7))),
        (I64, Value::from(3.0), Some(Value::I64(3))),
        (I64, Value::from(3.5), None),
        (I64, Value::from(u64::MAX), None),
        (I64, Value::from(1e300), None),
        (U64, Value::from(-1), None),
        (U64, Value::from(5), Some(Value::U64(5))),
        (F64, Value::from(5), Some(Value::F64(5.0))),
        (
            F64,
            Value::from(i64::MAX),
            Some(Value::F64(9_223_372_036_854_775_808.0)),
        ),
        (F64, Value::from(f64::NAN), None),
        (F64, Value::from("5"), None),
        (Bool, Value::from(1), None),
        (Bool, Value::from(true), Some(Value::Bool(true))),
        (Date, Value::from(12), Some(Value::Date(12))),
        (
            Date,
            Value::from("1970-01-02"),
            Some(Value::Date(86_400_000)),
        ),
        (
            Date,
            Value::from("1970-01-01T00:00:00.0129Z"),
            Some(Value::Date(12)),
        ),
        (
            Date,
            Value::from("1969-12-31T23:59:59.9999Z"),
            Some(Value::Date(-1)),
        ),
        (
            Date,
            Value::from("1970-01-01T01:00:00+01:00"),
            Some(Value::Date(0)),
        ),
        (
            Date,
            Value::from("9999-12-31T23:59:59Z"),
            Some(Value::Date(253_402_300_799_000)),
        ),
        (Date, Value::from(12.0), Some(Value::Date(12))),
        (Date, Value::from("2024-01-01T10:00"), None),
        (Date, Value::from("2024-01-01T10:00Z[UTC]"), None),
        (Date, Value::from("yesterday"), None),
        (Date, Value::from("2024-02-30"), None),
        (Date, Value::from(1.5), None),
        (Keyword, Value::from("red"), Some(Value::from("red"))),
        (Keyword, Value::from(3), None),
    ] {
        let found = column.convert(&value).ok();
        assert_eq!(found, expected, "{column:?} of {value:?}");
    }
    let long = Value::from("x".repeat(MAX_KEYWORD_BYTES + 1));
    assert!(matches!(Keyword.convert(&long), Err(Error::Limit { .. })));
    let message = U64.convert(&Value::from(-1)).unwrap_err().to_string();
    assert!(
        message.contains("from 0 to 2^64 - 1, found -1"),
        "{message}"
    );
}

#[test]
fn dates_between_milliseconds_bound_ranges_exactly() {
    let lowest = |text: &str, is_strict| {
        let code = ColumnType::Date.lowest_code(&Value::from(text), is_strict);
        ColumnType::Date.value_of(code.unwrap().unwrap())
    };
    for is_strict in [false, true] {
        let found = lowest("1970-01-01T00:00:00.0015Z", is_strict);
        assert_eq!(found, Some(Value::Date(2)));
    }
    assert_eq!(
        lowest("1970-01-01T00:00:00.001Z", false),
        Some(Value::Date(1))
    );
    assert_eq!(
        Value::Date(253_402_300_799_000).to_string(),
        "9999-12-31T23:59:59Z"
    );
}
