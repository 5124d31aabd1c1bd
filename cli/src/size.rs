//! Sizes in bytes, such as `256MB`.

use std::fmt;
use std::str::FromStr;

use esparsa::{Error, Result};

/// A number of bytes; parses from `256MB`, `1.5 GiB` or plain bytes, and is shown in decimal units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// Units by their names in lower case; the first name of each decimal unit is the one shown.
const UNITS: [(&[&str], u64); 9] = [
    (&["", "b"], 1),
    (&["kb", "k"], 1_000),
    (&["mb", "m"], 1_000_000),
    (&["gb", "g"], 1_000_000_000),
    (&["tb", "t"], 1_000_000_000_000),
    (&["kib", "ki"], 1 << 10),
    (&["mib", "mi"], 1 << 20),
    (&["gib", "gi"], 1 << 30),
    (&["tib", "ti"], 1 << 40),
];

impl FromStr for Size {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let digits = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim().to_ascii_lowercase();
        let unit = UNITS.iter().find(|(names, _)| names.contains(&&*unit));
        let bytes = unit.and_then(|(_, factor)| {
            if let Ok(whole) = number.parse::<u64>() {
                return whole.checked_mul(*factor);
            }
            let bytes = number.parse::<f64>().ok()? * *factor as f64;
            // Below 2^63 the conversion is exact enough: a fraction of a byte is dropped.
            (bytes < i64::MAX as f64).then_some(bytes as u64)
        });
        bytes.map(Self).ok_or_else(|| {
            Error::invalid(format!(
                "expected a size such as 256MB, 1GiB or a number of bytes, found `{text}`"
            ))
        })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["B", "kB", "MB", "GB", "TB"];
        let mut value = self.0 as f64;
        let mut unit = 0;
        // From here on, rounding to one digit would give 1000.0.
        while value >= 999.95 && unit + 1 < names.len() {
            value /= 1_000.0;
            unit += 1;
        }
        let shown = match unit {
            0 => format!("{} B", self.0),
            _ => format!("{value:.1} {}", names[unit]),
        };
        f.pad(&shown)
    }
}

/// A whole number with a comma after each three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A number and its noun, such as `1 segment` or `2,000 segments`.
pub fn counted(number: u64, noun: &str) -> String {
    let number_text = grouped(number);
    match noun.strip_suffix('y') {
        _ if number == 1 => format!("{number_text} {noun}"),
        Some(stem) => format!("{number_text} {stem}ies"),
        None => format!("{number_text} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        let cases = [
            ("0", 0),
            ("1024", 1_024),
            ("10B", 10),
            ("256MB", 256_000_000),
            ("256mb", 256_000_000),
            ("1GiB", 1 << 30),
            ("1.5 GiB", 3 << 29),
            ("64k", 64_000),
            ("2TiB", 2 << 40),
        ];
        for (text, bytes) in cases {
            assert_eq!(text.parse::<Size>().unwrap(), Size(bytes), "{text}");
        }
    }

    #[test]
    fn other_words_are_no_sizes() {
        for text in [
            "",
            "MB",
            "-1",
            "1.2.3MB",
            "12 parsecs",
            "99999999999TB",
            "∞",
        ] {
            let message = text.parse::<Size>().unwrap_err().to_string();
            assert!(message.contains("256MB"), "{text}: {message}");
        }
    }

    #[test]
    fn sizes_are_shown_in_decimal_units() {
        let cases = [
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (256_000_000, "256.0 MB"),
            (999_990_000, "1.0 GB"),
            (5_300_000_000_000_000, "5300.0 TB"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(Size(bytes).to_string(), shown);
        }
        assert_eq!(format!("{:>10}", Size(7)), "       7 B");
    }

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(12_345_678), "12,345,678");
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(counted(0, "segment"), "0 segments");
        assert_eq!(counted(1, "segment"), "1 segment");
        assert_eq!(counted(1_000, "segment"), "1,000 segments");
    }
}
