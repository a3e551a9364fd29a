//! What somebody probably meant who left the scheme of an address out.

use crate::sip::uri::Uri;

/// The address that a text without a scheme probably is: a sip address, or a telephone number with its country code.
pub(super) fn with_scheme(given: &str) -> Option<String> {
    let scheme = match given.split_once('@') {
        Some((user, _)) if !user.contains(':') => "sip",
        None if given.starts_with('+') => "tel",
        _ => return None,
    };
    let meant = format!("{scheme}:{given}");
    match Uri::parse(meant.as_bytes()) {
        Ok(Uri::Sip(sip)) if sip.user.is_some() => Some(meant),
        Ok(Uri::Tel(_)) => Some(meant),
        _ => None,
    }
}
