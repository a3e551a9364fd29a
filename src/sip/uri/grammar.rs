//! URI parser: the grammar of RFC 3261 §25.1.
//!
//! It is more liberal in two points, neither of which can change the address: empty parameters are
//! skipped, and some characters need not be escaped (see `escape`). A printed URI is strict in both.

use super::host::{HOST, ipv6_address, is_host};
use super::{SipUri, Uri};
use crate::sip::Malformed;
use crate::sip::byte_set::ByteSet;
use crate::sip::escape::{UNESCAPED, UNRESERVED, expected_at, first_bad};
use crate::sip::tel::TelUri;
use crate::sip::text::find;
use crate::sip::uri_parameters::{MAX_PARAMETERS, check_parameters, split_value};

const PART: &str = "URI";

/// The bytes that need no escape in a user part.
const USER: ByteSet = UNRESERVED.and(UNESCAPED).and(b"&=+$,;?/");
/// In a password.
const PASSWORD: ByteSet = UNRESERVED.and(UNESCAPED).and(b"&=+$,");
/// In the name and the value of a parameter.
const PARAMETER: ByteSet = UNRESERVED.and(UNESCAPED).and(b"[]/:&+$");
/// In the name and the value of a header.
const HEADER: ByteSet = UNRESERVED.and(UNESCAPED).and(b"[]/?:+$");
/// In a URI of another scheme. A fragment is no part of one (RFC 3261 §25.1, absoluteURI).
const OTHER: ByteSet = UNRESERVED.and(b"/?[]@!$&'()*+,;=:");

impl<'a> Uri<'a> {
    /// Parses the whole of `text` as one URI.
    pub fn parse(text: &'a [u8]) -> Result<Self, Malformed> {
        let colon = find(b':', text)
            .ok_or_else(|| Malformed::at(PART, text, text.len(), "a scheme and a colon"))?;
        let (scheme, rest) = (&text[..colon], &text[colon + 1..]);
        let shifted = |error: Malformed| Malformed {
            offset: error.offset + colon + 1,
            ..error
        };
        if scheme.eq_ignore_ascii_case(b"sip") || scheme.eq_ignore_ascii_case(b"sips") {
            return SipUri::parse_rest(scheme.len() == 4, rest)
                .map(Self::Sip)
                .map_err(shifted);
        }
        if scheme.eq_ignore_ascii_case(b"tel") {
            return TelUri::parse(rest).map(Self::Tel).map_err(shifted);
        }
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        if !scheme.first().is_some_and(u8::is_ascii_alphabetic) || !scheme.iter().all(good) {
            return Err(Malformed::at(PART, text, 0, "a scheme"));
        }
        if let Some(bad) = first_bad(rest, &OTHER) {
            return Err(shifted(Malformed::at(PART, rest, bad, "a URI character")));
        }
        if scheme.eq_ignore_ascii_case(b"urn") {
            return Ok(Self::Urn(rest));
        }
        Ok(Self::Other { scheme, rest })
    }
}

impl<'a> SipUri<'a> {
    fn parse_rest(secure: bool, text: &'a [u8]) -> Result<Self, Malformed> {
        let (userinfo, host_start) = match find(b'@', text) {
            Some(at) => (Some(&text[..at]), at + 1),
            None => (None, 0),
        };
        let (user, password) = match userinfo {
            Some(userinfo) => {
                let (user, password) = parse_userinfo(text, userinfo)?;
                (Some(user), password)
            }
            None => (None, None),
        };
        let (host, port) = parse_hostport(text, host_start)?;
        let hostport_end = host_start + host.len() + port.len();
        let port = parse_port(text, hostport_end - port.len(), port)?;
        let headers_start = find(b'?', &text[hostport_end..]).map(|at| hostport_end + at + 1);
        let parameters_end = headers_start.map_or(text.len(), |start| start - 1);
        let parameters = text
            .get(hostport_end + 1..parameters_end)
            .unwrap_or_default();
        if hostport_end < parameters_end {
            check_parameters(PART, text, hostport_end + 1, parameters, wrong_parameter)?;
        }
        let headers = &text[headers_start.unwrap_or(text.len())..];
        if headers_start.is_some() {
            check_headers(text, headers)?;
        }
        Ok(Self {
            secure,
            user,
            password,
            host,
            port,
            parameters,
            headers,
            is_address: false,
        })
    }
}

fn parse_userinfo<'a>(
    text: &'a [u8],
    userinfo: &'a [u8],
) -> Result<(&'a [u8], Option<&'a [u8]>), Malformed> {
    let colon = find(b':', userinfo);
    let user = &userinfo[..colon.unwrap_or(userinfo.len())];
    let password = colon.map(|at| &userinfo[at + 1..]);
    if user.is_empty() {
        return Err(Malformed::at(PART, text, 0, "a user before the '@'"));
    }
    if let Some(bad) = first_bad(user, &USER) {
        let expected = expected_at(user, bad, "a character of a user");
        return Err(Malformed::at(PART, text, bad, expected));
    }
    let bad = password.and_then(|it| first_bad(it, &PASSWORD));
    if let Some(bad) = bad {
        let offset = user.len() + 1 + bad;
        return Err(Malformed::at(PART, text, offset, "a password character"));
    }
    Ok((user, password))
}

/// The host that starts at `start`, and what lies between it and the parameters or headers: nothing, or
/// a colon and a port.
fn parse_hostport(text: &[u8], start: usize) -> Result<(&[u8], &[u8]), Malformed> {
    let rest = &text[start..];
    let is_ipv6 = rest.first() == Some(&b'[');
    let host_len = match is_ipv6 {
        true => find(b']', rest).map(|at| at + 1),
        false => HOST.end(rest),
    };
    let (host, after) = rest.split_at(host_len.unwrap_or(rest.len()));
    let port = match after.first() {
        None | Some(b';' | b'?') => &after[..0],
        _ => {
            let end = after.iter().position(|byte| matches!(byte, b';' | b'?'));
            &after[..end.unwrap_or(after.len())]
        }
    };
    let is_good = match is_ipv6 {
        true => ipv6_address(host).is_some(),
        false => is_host(host) && (port.is_empty() || port[0] == b':'),
    };
    match is_good {
        true => Ok((host, port)),
        false => Err(Malformed::at(PART, text, start, "a host name or address")),
    }
}

/// Parses `port`, which starts at `start`: empty, or a colon and a port.
fn parse_port(text: &[u8], start: usize, port: &[u8]) -> Result<Option<u16>, Malformed> {
    if port.is_empty() {
        return Ok(None);
    }
    let number = port
        .strip_prefix(b":")
        .filter(|digits| digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit))
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u16>().ok())
        .filter(|&number| number > 0);
    let bad = || Malformed::at(PART, text, start, "a port from 1 to 65535");
    number.map(Some).ok_or_else(bad)
}

fn wrong_parameter(name: &[u8], value: Option<&[u8]>) -> Option<(usize, &'static str)> {
    let bad = |text: &[u8]| first_bad(text, &PARAMETER).or(text.is_empty().then_some(0));
    let bad_name = bad(name).map(|bad| (bad, "a parameter name"));
    bad_name.or_else(|| Some((name.len() + 1 + bad(value?)?, "a parameter value")))
}

fn check_headers(text: &[u8], headers: &[u8]) -> Result<(), Malformed> {
    let start = text.len() - headers.len();
    let mut at = start;
    for (index, piece) in headers.split(|&byte| byte == b'&').enumerate() {
        if index == MAX_PARAMETERS {
            return Err(Malformed::at(PART, text, at, "at most 32 headers"));
        }
        if piece.is_empty() {
            at += 1;
            continue;
        }
        let (name, value) = split_value(piece);
        let bad = first_bad(name, &HEADER)
            .or((name.is_empty() || value.is_none()).then_some(0))
            .or_else(|| Some(name.len() + 1 + first_bad(value?, &HEADER)?));
        if let Some(bad) = bad {
            return Err(Malformed::at(
                PART,
                text,
                at + bad,
                "a header and its value",
            ));
        }
        at += piece.len() + 1;
    }
    Ok(())
}
