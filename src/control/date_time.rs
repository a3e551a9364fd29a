//! Points in time as RFC 4745 §7.3 writes them: `xs:dateTime` with its time zone.

use chrono::{DateTime, Days, Timelike};
use std::time::SystemTime;

/// How XML Schema writes the end of a day, which RFC 3339 does not know.
const END_OF_DAY: &str = "T24:00:00";

/// Seconds east or west of Greenwich; XML Schema allows 14 hours.
const FARTHEST_ZONE: i32 = 14 * 3600;

/// Reads `YYYY-MM-DDThh:mm:ss[.fraction]` with `Z` or `+hh:mm` behind it.
///
/// Without a time zone nobody can say when it is: nothing is read then. Years before 1970 count as
/// 1970, since no message arrives then.
pub fn parse(text: &str) -> Option<SystemTime> {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    // RFC 3339 allows these in places, XML Schema does not; nor does it allow leap seconds.
    if !text.is_ascii() || text.contains(['t', 'z', ' ']) {
        return None;
    }
    let (text, days) = match text.split_once(END_OF_DAY) {
        Some((date, rest)) => (format!("{date}T00:00:00{rest}"), 1),
        None => (text.to_owned(), 0),
    };
    let time = DateTime::parse_from_rfc3339(&text).ok()?;
    let is_leap_second = time.nanosecond() >= 1_000_000_000;
    let is_after_end = days > 0 && time.nanosecond() > 0;
    if is_leap_second || is_after_end || time.offset().local_minus_utc().abs() > FARTHEST_ZONE {
        return None;
    }
    let time = time.to_utc().checked_add_days(Days::new(days))?;
    Some(time.max(DateTime::UNIX_EPOCH).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

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
            "2006-12-13T21:00:00Z02:00",
            "2006-12-13T21:00:00\u{2212}02:00",
            "2006-12-13t21:00:00z",
            "2006-12-13T24:00:00.5Z",
            "2016-12-31T23:59:60Z",
            "2006-12-13T21:00:00\u{663}Z",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
