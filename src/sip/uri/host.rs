//! Hosts of URIs: names, IPv4 addresses, IPv6 addresses in brackets (RFC 3261 §25.1).

use crate::sip::byte_set::ByteSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The bytes of a host name. An underscore is not allowed by the grammar, but deployed names contain
/// it.
pub(super) const HOST: ByteSet = ByteSet::ALPHANUMERIC.and(b"-._");

/// Whether a text that consists of bytes of host names is a host name or an IPv4 address.
pub(super) fn is_host(host: &[u8]) -> bool {
    !host.is_empty()
        && !matches!(host.first(), Some(b'.' | b'-'))
        && !host.windows(2).any(|pair| pair == b"..")
        && (!looks_like_ipv4(host) || ipv4_address(host).is_some())
}

fn looks_like_ipv4(host: &[u8]) -> bool {
    host.iter()
        .all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

fn ipv4_address(host: &[u8]) -> Option<Ipv4Addr> {
    std::str::from_utf8(host).ok()?.parse().ok()
}

/// The address in an IPv6 reference, `[2001:db8::1]`.
pub(in crate::sip) fn ipv6_address(host: &[u8]) -> Option<Ipv6Addr> {
    let inner = host.strip_prefix(b"[")?.strip_suffix(b"]")?;
    std::str::from_utf8(inner).ok()?.parse().ok()
}
