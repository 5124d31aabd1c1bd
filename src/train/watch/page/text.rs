//! Numbers, durations and dates as people read them.

use std::time::{Duration, UNIX_EPOCH};

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

/// A number with about four digits that count; `–` for what is not finite.
pub fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => "–".to_owned(),
        0.0 => "0".to_owned(),
        _ if !(1e-3..1e9).contains(&size) => scientific(value, 2),
        _ if size >= 999.95 => {
            let sign = if value < 0.0 { "-" } else { "" };
            format!("{sign}{}", grouped(size.round() as u64))
        }
        _ => {
            let decimals = (3 - size.log10().floor() as i32).clamp(0, 5);
            without_zeros(&format!("{value:.0$}", decimals as usize))
        }
    }
}

/// Such as `1.5e-5`.
pub fn scientific(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$e}");
    match text.split_once('e') {
        Some((digits, exponent)) => format!("{}e{exponent}", without_zeros(digits)),
        None => text,
    }
}

fn without_zeros(digits: &str) -> String {
    match digits.contains('.') {
        true => digits
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
        false => digits.to_owned(),
    }
}

/// A share of 0 to 1 in percent, rounded down so that 100 % means all.
pub fn percent(share: f64) -> String {
    format!("{:.0} %", (100.0 * share.clamp(0.0, 1.0)).floor())
}

/// A duration in at most two units, such as `2 min 5 s`; `–` for what is not finite.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".to_owned();
    }
    let seconds = seconds.ceil() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A time since 1970 as `2026-11-28 15:04 UTC`.
pub fn date(since_1970: Duration) -> String {
    let minutes = since_1970.as_secs() / 60;
    let (days, minutes) = (minutes / 1_440, minutes % 1_440);
    // Years begin in March, so that the leap day is the last: 146,097 days are 400 years.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let leaps = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    let (hour, minute) = (minutes / 60, minutes % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// The present time as [`date`] shows it.
pub fn now() -> String {
    date(UNIX_EPOCH.elapsed().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, expected) in [
            (0.0, "0"),
            (0.123_456, "0.1235"),
            (0.5, "0.5"),
            (12.0, "12"),
            (123.45, "123.5"),
            (999.99, "1,000"),
            (1_234_567.0, "1,234,567"),
            (-1_234.0, "-1,234"),
            (2e-5, "2e-5"),
            (1.234e-7, "1.23e-7"),
            (3.2e12, "3.2e12"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(short(value), expected);
        }
    }

    #[test]
    fn durations_have_two_units_at_most() {
        for (seconds, expected) in [
            (0.0, "0 s"),
            (59.2, "1 min 0 s"),
            (3_725.0, "1 h 2 min"),
            (200_000.0, "2 d 7 h"),
            (f64::INFINITY, "–"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
        assert_eq!(percent(0.9999), "99 %");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_709_251_199, "2024-02-29 23:59 UTC"),
            (1_795_878_240, "2026-11-28 15:04 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(date(Duration::from_secs(seconds)), expected);
        }
    }
}
