//! Repairs almost-JSON that programs write: lone surrogates, and numbers that JSON lacks.
//!
//! Python's `json` writes `NaN` for a missing number or text, and `\ud800` for a string that was
//! cut in the middle of an emoji. Both are rare, so lines are first parsed as they are, and only
//! those that fail are repaired.

/// Numbers that JSON lacks.
const NON_JSON_NUMBERS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// Bytes of an escape such as `\u00e9`.
const ESCAPE_BYTES: usize = 6;

/// `json` with U+FFFD in place of each lone surrogate, and `null` in place of `NaN` and infinities;
/// `None` if it has none of these.
pub(super) fn repair(json: &str) -> Option<String> {
    let mut repaired = String::with_capacity(json.len());
    let mut copied = 0;
    let mut position = 0;
    let mut in_string = false;
    let bytes = json.as_bytes();
    while let Some(&byte) = bytes.get(position) {
        let (length, replacement) = match byte {
            b'"' => {
                in_string = !in_string;
                (1, None)
            }
            b'\\' if in_string => escape(&json[position..]),
            b'N' | b'I' | b'-' if !in_string => non_json_number(&json[position..]),
            _ => (1, None),
        };
        if let Some(replacement) = replacement {
            repaired.push_str(&json[copied..position]);
            repaired.push_str(replacement);
            copied = position + length;
        }
        position += length;
    }
    if copied == 0 {
        return None;
    }
    repaired.push_str(&json[copied..]);
    Some(repaired)
}

/// Length of the escape, or pair of escapes, at the start of `json`, and its replacement.
fn escape(json: &str) -> (usize, Option<&'static str>) {
    match surrogate(json) {
        // The escaped byte may be the first of a longer character, whose other bytes match nothing.
        None => (2, None),
        Some(first) => {
            let second = json.get(ESCAPE_BYTES..).and_then(surrogate);
            match (is_high(first), second) {
                (true, Some(second)) if !is_high(second) => (2 * ESCAPE_BYTES, None),
                _ => (ESCAPE_BYTES, Some("\\ufffd")),
            }
        }
    }
}

/// The surrogate that is escaped at the start of `json`.
fn surrogate(json: &str) -> Option<u32> {
    let digits = json.get(..ESCAPE_BYTES)?.strip_prefix("\\u")?;
    let code = u32::from_str_radix(digits, 16).ok()?;
    (0xd800..0xe000).contains(&code).then_some(code)
}

fn is_high(surrogate: u32) -> bool {
    surrogate < 0xdc00
}

fn non_json_number(json: &str) -> (usize, Option<&'static str>) {
    let found = NON_JSON_NUMBERS
        .iter()
        .find(|number| json.starts_with(**number));
    match found {
        Some(number) => (number.len(), Some("null")),
        None => (1, None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lone_surrogates_and_numbers_that_json_lacks_are_replaced() {
        for (json, expected) in [
            (r#"{"a":"x\ud800y"}"#, r#"{"a":"x\ufffdy"}"#),
            (
                r#"{"a":"\uDC00\ud83d\ude00\ud83d"}"#,
                r#"{"a":"\ufffd\ud83d\ude00\ufffd"}"#,
            ),
            (r#"{"a":"\ud800\ud800"}"#, r#"{"a":"\ufffd\ufffd"}"#),
            (
                r#"{"a":NaN,"b":[-Infinity, Infinity]}"#,
                r#"{"a":null,"b":[null, null]}"#,
            ),
        ] {
            assert_eq!(repair(json).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_json_stays() {
        for json in [
            r#"{"NaN":"Infinity","a":-1}"#,
            r#"{"a":"\\ud800","b":"\"NaN"}"#,
            r#"{"a":"\ud83d\ude00 é\u00e9"}"#,
            "",
        ] {
            assert_eq!(repair(json), None, "{json}");
        }
    }

    proptest! {
        #[test]
        fn strings_of_any_kind_never_panic(json in r#"([\\"uN-]|ud8|\\ud800|\\udc00|NaN|é){0,20}"#) {
            repair(&json);
        }
    }
}
