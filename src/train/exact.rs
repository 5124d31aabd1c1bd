//! Floats in saved state: as text that reads back to the same bits, NaN and infinity included.
//!
//! JSON has no NaN, and `serde_json` reads decimal numbers to within one unit in the last place only;
//! a run that is resumed from such state would decide differently from one that was never stopped.
//! Used as `#[serde(with = "crate::train::exact")]`.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A float, or several, that text stands for.
pub trait Exact: Sized {
    /// What is written: text, or a list of texts.
    type Text: Serialize + for<'de> Deserialize<'de>;

    /// The text.
    fn to_text(&self) -> Self::Text;

    /// The value of a text; `None` if it is no number.
    fn of_text(text: &Self::Text) -> Option<Self>;
}

impl Exact for f64 {
    type Text = String;

    fn to_text(&self) -> String {
        // Rust prints the shortest decimal that reads back to the same bits.
        format!("{self:?}")
    }

    fn of_text(text: &String) -> Option<Self> {
        text.parse().ok()
    }
}

impl Exact for Option<f64> {
    type Text = Option<String>;

    fn to_text(&self) -> Option<String> {
        self.as_ref().map(Exact::to_text)
    }

    fn of_text(text: &Option<String>) -> Option<Self> {
        match text {
            None => Some(None),
            Some(text) => f64::of_text(text).map(Some),
        }
    }
}

impl Exact for Vec<f64> {
    type Text = Vec<String>;

    fn to_text(&self) -> Vec<String> {
        self.iter().map(Exact::to_text).collect()
    }

    fn of_text(text: &Vec<String>) -> Option<Self> {
        text.iter().map(f64::of_text).collect()
    }
}

/// Writes `value` as text.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<T: Exact, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    value.to_text().serialize(serializer)
}

/// Reads what [`serialize`] wrote.
///
/// # Errors
///
/// Those of the deserializer, and one for text that is no number.
pub fn deserialize<'de, T: Exact, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let text = T::Text::deserialize(deserializer)?;
    T::of_text(&text).ok_or_else(|| D::Error::custom("expected a number as text, found other text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    struct State {
        #[serde(with = "super")]
        value: f64,
        #[serde(with = "super")]
        some: Option<f64>,
        #[serde(with = "super")]
        list: Vec<f64>,
    }

    #[test]
    fn every_bit_of_a_float_is_kept() {
        let list = vec![
            0.1 + 0.2,
            -0.0,
            f64::MIN_POSITIVE / 3.0,
            f64::MAX,
            f64::INFINITY,
        ];
        let state = State {
            value: f64::NAN,
            some: Some(1.0 / 3.0),
            list,
        };
        let read: State = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        assert!(read.value.is_nan());
        assert_eq!(read.some, state.some);
        let bits = |list: &[f64]| list.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read.list), bits(&state.list));
    }

    #[test]
    fn text_that_is_no_number_is_refused() {
        let read = serde_json::from_str::<State>(r#"{"value": "x", "some": null, "list": []}"#);
        assert!(
            read.unwrap_err()
                .to_string()
                .contains("expected a number as text")
        );
    }
}
