//! Values that are neither flags, numbers nor words.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::sip::Uri;

/// Any text.
pub(super) fn any(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// What `read` reads, or nothing where there is no text; `None` for a text that it cannot read.
pub(super) fn optional<T>(text: &str, read: fn(&str) -> Option<T>) -> Option<Option<T>> {
    match text {
        "" => Some(None),
        text => read(text).map(Some),
    }
}

/// A file by its whole path.
pub(super) fn whole_path(text: &str) -> Option<PathBuf> {
    (text.starts_with('/') && text.len() > 1).then(|| text.into())
}

/// A file by its whole path, or nothing.
pub(super) fn absolute_path(text: &str) -> Option<PathBuf> {
    (text.is_empty() || text.starts_with('/')).then(|| text.into())
}

/// A domain as it may stand in a URI.
pub(super) fn domain(text: &str) -> Option<String> {
    match Uri::parse(format!("sip:{text}").as_bytes()) {
        Ok(Uri::Sip(sip)) if sip.host == text.as_bytes() => Some(text.to_owned()),
        _ => None,
    }
}

/// A text with characters of host names and addresses only, or nothing.
pub(super) fn host_name(text: &str) -> Option<String> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    text.bytes().all(is_good).then(|| text.to_owned())
}

/// The name of an action of a ruleset.
pub(super) fn action(text: &str) -> Option<String> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (!text.is_empty() && text.bytes().all(is_good)).then(|| text.to_owned())
}

/// The name of a function of a script, or nothing.
pub(super) fn function_name(text: &str) -> Option<String> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts_well = !text.starts_with(|first: char| first.is_ascii_digit());
    (starts_well && text.bytes().all(is_good)).then(|| text.to_owned())
}

/// The port of name servers (RFC 1035 §4.2).
const DOMAIN_PORT: u16 = 53;

/// Addresses of name servers, each with a port or without one.
pub(super) fn name_servers(text: &str) -> Option<Vec<SocketAddr>> {
    let read = |text: &str| {
        let address = text.parse::<IpAddr>().ok();
        let with_port = address.map(|address| SocketAddr::new(address, DOMAIN_PORT));
        with_port.or_else(|| text.parse().ok())
    };
    let items = text.split(',').map(str::trim);
    items
        .filter(|_| !text.trim().is_empty())
        .map(read)
        .collect()
}

/// Seconds that may have a fraction.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.parse::<f64>().ok();
    let seconds = seconds.filter(|seconds| (0.01..=30.0).contains(seconds));
    seconds.map(Duration::from_secs_f64)
}

/// The name of a node, or nothing.
pub(super) fn node_name(text: &str) -> Option<String> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (text.len() <= 64 && text.bytes().all(is_good)).then(|| text.to_owned())
}

/// Status codes of final responses that are no 2xx.
pub(super) fn status_codes(text: &str) -> Option<Vec<u16>> {
    let read = |text: &str| {
        let code = text.parse().ok();
        code.filter(|code| (300..700).contains(code))
    };
    text.split(',').map(str::trim).map(read).collect()
}

/// Bytes with a unit behind them or without one, at least one and at most a tebibyte.
pub(super) fn byte_count(text: &str) -> Option<u64> {
    let units = [("K", 10), ("M", 20), ("G", 30)];
    let unit = units.into_iter().find_map(|(unit, shift)| {
        let digits = text.strip_suffix(unit)?;
        Some((digits, shift))
    });
    let (digits, shift) = unit.unwrap_or((text, 0));
    let number: u64 = digits.parse().ok()?;
    let bytes = number.checked_mul(1 << shift)?;
    (1..=1 << 40).contains(&bytes).then_some(bytes)
}
