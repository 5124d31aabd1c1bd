//! Removes a field from a JSON object, and keeps the rest byte for byte.
//!
//! A record's vector is indexed, not stored; its other fields are stored byte for byte as they were
//! written. The object has been parsed before, so it is valid, and finding where values end takes
//! no more than counting brackets.

use std::borrow::Cow;

/// The JSON object `object` without its field `name`; the other fields stay as they are written.
///
/// `object` must be valid JSON, with no blanks around it.
pub(super) fn without_field(object: &str, name: &str) -> Vec<u8> {
    let mut scanner = Scanner {
        json: object.as_bytes(),
        position: 1,
    };
    let mut kept = Vec::with_capacity(object.len());
    kept.push(b'{');
    loop {
        scanner.skip_blanks();
        let start = scanner.position;
        if scanner.peek() != Some(b'"') {
            break;
        }
        scanner.skip_string();
        // A name may be written with escapes; reading it as JSON undoes them.
        let is_named = serde_json::from_str::<Cow<'_, str>>(&object[start..scanner.position])
            .is_ok_and(|key| key == name);
        scanner.skip_blanks();
        scanner.position += 1; // the colon
        scanner.skip_blanks();
        scanner.skip_value();
        if !is_named {
            if kept.len() > 1 {
                kept.push(b',');
            }
            kept.extend_from_slice(&scanner.json[start..scanner.position]);
        }
        scanner.skip_blanks();
        if scanner.peek() == Some(b',') {
            scanner.position += 1;
        }
    }
    kept.push(b'}');
    kept
}

/// A place in JSON that is known to be valid.
struct Scanner<'a> {
    json: &'a [u8],
    position: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.json.get(self.position).copied()
    }

    /// Moves on to the next byte for which `stop` holds, or to the end.
    fn skip_to(&mut self, stop: impl Fn(u8) -> bool) {
        let rest = self.json.get(self.position..).unwrap_or_default();
        let count = rest.iter().position(|&byte| stop(byte));
        self.position += count.unwrap_or(rest.len());
    }

    fn skip_blanks(&mut self) {
        self.skip_to(|byte| !byte.is_ascii_whitespace());
    }

    /// Moves past the string that begins here.
    fn skip_string(&mut self) {
        self.position += 1;
        loop {
            self.skip_to(|byte| byte == b'"' || byte == b'\\');
            match self.peek() {
                Some(b'\\') => self.position += 2,
                Some(_) => {
                    self.position += 1;
                    return;
                }
                None => return,
            }
        }
    }

    /// Moves past the value that begins here.
    fn skip_value(&mut self) {
        let mut depth = 0usize;
        loop {
            match self.peek() {
                Some(b'"') => self.skip_string(),
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.position += 1;
                }
                Some(b'}' | b']') => {
                    depth = depth.saturating_sub(1);
                    self.position += 1;
                }
                Some(_) => {
                    self.skip_to(|byte| b"\"{}[],".contains(&byte) || byte.is_ascii_whitespace())
                }
                None => return,
            }
            if depth == 0 {
                return;
            }
            self.skip_to(|byte| b"\"{}[]".contains(&byte));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_named_field_is_removed_at_any_position() {
        for (object, expected) in [
            (r#"{"vector":{"a":1}}"#, r#"{}"#),
            (r#"{"vector" : {"a":1} , "id" : 1 }"#, r#"{"id" : 1}"#),
            (r#"{"id":1,"vector":{"a}\"":[1,{"b":"]"}]}}"#, r#"{"id":1}"#),
            (
                r#"{"a":"\\","\u0076ector":null,"b":1.5}"#,
                r#"{"a":"\\","b":1.5}"#,
            ),
            (
                r#"{"n":{"vector":[1]},"t":true}"#,
                r#"{"n":{"vector":[1]},"t":true}"#,
            ),
            ("{\t}", "{}"),
        ] {
            let found = without_field(object, "vector");
            assert_eq!(String::from_utf8(found).unwrap(), expected);
        }
    }

    /// Any JSON value, not too deep.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z\"\\\\{}\\[\\], é]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"]{0,3}|vector", inner, 0..4)
                    .prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn leaving_out_equals_removing_from_the_parsed_object(
            fields in prop::collection::btree_map("[a-z\"\\\\]{0,3}|vector", value(), 0..5),
            pretty: bool,
        ) {
            let mut object = Value::from_iter(fields);
            let text = if pretty {
                serde_json::to_string_pretty(&object)
            } else {
                serde_json::to_string(&object)
            }.unwrap();
            let kept: Value = serde_json::from_slice(&without_field(&text, "vector")).unwrap();
            object.as_object_mut().unwrap().remove("vector");
            prop_assert_eq!(kept, object);
        }
    }
}
