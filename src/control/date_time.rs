//! Points in time as RFC 4745 §7.3 writes them: `xs:dateTime` with its time zone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads `YYYY-MM-DDThh:mm:ss[.fraction]` with `Z` or `+hh:mm` behind it.
///
/// Without a time zone nobody can say when it is: nothing is read then. Years before 1970 count as
/// 1970, since no message arrives then.
pub fn parse(text: &str) -> Option<SystemTime> {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    let (date, time) = text.split_once('T')?;
    let mut date = date.splitn(3, '-');
    let (year, month, day) = (
        number(date.next()?, 4)?,
        number(date.next()?, 2)?,
        number(date.next()?, 2)?,
    );
    let zone_at = time.find(['Z', '+', '-'])?;
    let (clock, zone) = time.split_at(zone_at);
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, digits)) => (clock, micros(digits)?),
        None => (clock, 0),
    };
    let mut clock = clock.splitn(3, ':');
    let (hour, minute, second) = (
        number(clock.next()?, 2)?,
        number(clock.next()?, 2)?,
        number(clock.next()?, 2)?,
    );
    let end_of_day = (hour, minute, second, fraction) == (24, 0, 0, 0);
    let is_time = (hour < 24 || end_of_day) && minute < 60 && second < 60;
    let is_date = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    if !is_date || !is_time {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400
        + i64::from(hour) * 3600
        + i64::from(minute) * 60
        + i64::from(second)
        - offset(zone)?;
    let seconds = u64::try_from(seconds).unwrap_or_default();
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds) + Duration::from_micros(fraction))
}

/// The decimal number `text` of exactly `digits` digits.
fn number(text: &str, digits: usize) -> Option<u32> {
    let good = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| text.parse().ok()).flatten()
}

fn micros(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let padded = digits.bytes().chain(std::iter::repeat(b'0')).take(6);
    Some(padded.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// Seconds east of Greenwich; XML Schema allows 14 hours.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    let seconds = i64::from(hours * 3600 + minutes * 60);
    let good = minutes < 60 && seconds <= 14 * 3600;
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    good.then_some(sign * seconds)
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Counted in years that start in March, so that the leap day is the last.
fn days_since_1970(year: u32, month: u32, day: u32) -> i64 {
    let (year, month, day) = (i64::from(year), i64::from(month), i64::from(day));
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<f64> {
        let time = parse(text)?.duration_since(UNIX_EPOCH).unwrap();
        Some(time.as_secs_f64())
    }

    #[test]
    fn times_are_read_with_their_zone() {
        // G-3; the seconds are what date(1) says.
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("2000-02-29T12:00:00.5Z", 951_825_600.5),
            ("2006-12-13T21:00:00+02:00", 1_166_036_400.0),
            ("2006-12-13T19:00:00-00:30", 1_166_038_200.0),
            ("2026-11-22T24:00:00Z", 1_795_392_000.0),
            ("\n 2038-01-19T03:14:08Z ", 2_147_483_648.0),
            ("0001-01-01T00:00:00Z", 0.0),
            ("9999-12-31T23:59:59Z", 253_402_300_799.0),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_or_has_no_zone_is_not_read() {
        for text in [
            "",
            "2006-12-13",
            "2006-12-13T21:00:00",
            "2006-12-13T21:00Z",
            "2006-13-01T00:00:00Z",
            "2006-02-29T00:00:00Z",
            "2006-12-00T00:00:00Z",
            "2006-12-13T24:00:01Z",
            "2006-12-13T21:60:00Z",
            "2006-12-13T21:00:00.Z",
            "2006-12-13T21:00:00+15:00",
            "2006-12-13T21:00:00+2:00",
            "2006-12-13 21:00:00Z",
            "06-12-13T21:00:00Z",
            "+006-12-13T21:00:00Z",
            "2006-12-13T21:00:00Zx",
            "2006-12-13T21:00:00\u{663}Z",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
