//! Expires and Date: RFC 3428 §4 and §7 (M-4).

use crate::sip::number::decimal;
use crate::sip::text::unfold;
use crate::sip::{HeaderName, Malformed, Request};
use std::time::{Duration, SystemTime};

/// What Expires and Date of a message mean on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// The message can be passed on as it is, until a time if it has an end.
    Valid(Option<SystemTime>),
    /// The message can be passed on until a time, with a Date added: Expires counts from it.
    NeedsDate(Option<SystemTime>),
    /// The message is no longer of interest.
    Expired,
}

/// Reads both header fields; without Expires nothing expires and Date does not matter.
pub fn lifetime(request: &Request<'_>, now: SystemTime) -> Result<Lifetime, Malformed> {
    let Some(expires) = request.single(HeaderName::Expires)? else {
        return Ok(Lifetime::Valid(None));
    };
    let expires = decimal("Expires", expires, u32::MAX)?;
    // Who is told 202 relies on an attempt, and nothing is sent once the time has come.
    if expires == 0 {
        return Ok(Lifetime::Expired);
    }
    let end = |start: SystemTime| start.checked_add(Duration::from_secs(u64::from(expires)));
    let Some(date) = request.value(HeaderName::Date) else {
        return Ok(Lifetime::NeedsDate(end(now)));
    };
    // What cannot be read counts as absent (RFC 4475 §3.1.2.12).
    let Some(date) = self::date(date) else {
        return Ok(Lifetime::NeedsDate(end(now)));
    };
    let end = end(date);
    if end.is_some_and(|end| end <= now) {
        return Ok(Lifetime::Expired);
    }
    Ok(Lifetime::Valid(end))
}

/// The time that a Date names: on one line, in the one form that RFC 3261 §20.17 has, in GMT and with the
/// weekday of that day.
pub(super) fn date(value: &[u8]) -> Option<SystemTime> {
    let mut line = Vec::new();
    unfold("Date", value, &mut line).ok()?;
    let text = std::str::from_utf8(&line).ok()?;
    let date = httpdate::parse_http_date(text).ok()?;
    (httpdate::fmt_http_date(date) == text).then_some(date)
}

impl Lifetime {
    /// When the message is no longer of interest, if ever.
    pub fn end(self) -> Option<SystemTime> {
        match self {
            Self::Valid(end) | Self::NeedsDate(end) => end,
            Self::Expired => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &str) -> Result<Lifetime, Malformed> {
        let message = format!("MESSAGE sip:g@h SIP/2.0\r\n{headers}\r\n");
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 16:00:00 GMT").unwrap();
        lifetime(&Request::read(message.as_bytes()).unwrap(), now)
    }

    #[test]
    fn a_message_expires_when_its_date_and_expires_have_passed() {
        // M-4.
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 16:00:00 GMT").unwrap();
        for (headers, wanted) in [
            ("", Lifetime::Valid(None)),
            ("Date: nonsense\r\n", Lifetime::Valid(None)),
            ("Expires: 0\r\n", Lifetime::Expired),
            (
                "Expires: 0\r\nDate: Sun, 22 Nov 2026 16:01:00 GMT\r\n",
                Lifetime::Expired,
            ),
            (
                "Expires: 1\r\n",
                Lifetime::NeedsDate(Some(now + Duration::from_secs(1))),
            ),
            (
                "Expires: 61\r\nDate: Sun, 22 Nov 2026 15:59:00 GMT\r\n",
                Lifetime::Valid(Some(now + Duration::from_secs(1))),
            ),
            (
                "Expires: 60\r\nDate: Sun, 22 Nov 2026 15:59:00 GMT\r\n",
                Lifetime::Expired,
            ),
        ] {
            assert_eq!(of(headers), Ok(wanted), "{headers}");
        }
        assert!(of("Expires: soon\r\n").is_err());
        for date in [
            "nonsense",
            "",
            "Sun, 22 Nov 2026 15:59:00 UTC",
            "Sun, 1 Nov 2026 15:59:00 GMT",
            "Mon, 22 Nov 2026 15:59:00 GMT",
            "Sunday, 22-Nov-26 15:59:00 GMT",
            "Sun Nov 22 15:59:00 2026",
        ] {
            let headers = format!("Expires: 1\r\nDate: {date}\r\n");
            let wanted = Lifetime::NeedsDate(Some(now + Duration::from_secs(1)));
            assert_eq!(of(&headers), Ok(wanted), "{date}");
        }
        let folded = "Expires: 61\r\nDate: Sun, 22 Nov 2026\r\n 15:59:00 GMT\r\n";
        let wanted = Lifetime::Valid(Some(now + Duration::from_secs(1)));
        assert_eq!(of(folded), Ok(wanted));
        assert!(of("Expires: 1\r\nExpires: 2\r\n").is_err());
    }
}
