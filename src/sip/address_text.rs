//! Addresses as text: their canonical form, and what of them may be logged.

use super::byte_set::ByteSet;
use super::escape::UNRESERVED;
use super::text::find;
use super::uri::{Form, SipUri, Uri};
use std::borrow::Cow;

/// The bytes of a user part that has only one spelling.
const USER: ByteSet = UNRESERVED.and(b"&=+$,/");
/// The bytes of a host in lower case.
const HOST: ByteSet = ByteSet::NONE.and(b"abcdefghijklmnopqrstuvwxyz0123456789-._");

/// The canonical form of the address of record ([`Form::AddressOfRecord`]). Most addresses are written
/// in it already and need no parsing.
pub fn address_of_record(text: &[u8]) -> Cow<'_, [u8]> {
    if is_plain(text) {
        return text.into();
    }
    match Uri::parse(text) {
        Ok(uri) => uri.print(Form::AddressOfRecord).into_bytes().into(),
        Err(_) => text.into(),
    }
}

/// Whether the text is certainly in canonical form: `sip:USER@HOST` or `tel:+DIGITS`. `false` does not
/// mean that it is not.
fn is_plain(text: &[u8]) -> bool {
    if let Some(rest) = text.strip_prefix(b"sip:") {
        let at = USER.end(rest).unwrap_or_default();
        return at > 0 && rest[at] == b'@' && HOST.has_all(&rest[at + 1..]);
    }
    let digits = text.strip_prefix(b"tel:+");
    digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_digit))
}

/// A text that should be a URI, for the log: unchanged except that anything that may be a password is
/// removed.
pub fn without_password(text: &[u8]) -> Cow<'_, [u8]> {
    match Uri::parse(text) {
        Ok(Uri::Sip(SipUri { password: None, .. }) | Uri::Tel(_) | Uri::Urn(_)) => text.into(),
        Ok(uri @ Uri::Sip(_)) => uri.print(Form::Whole).into_bytes().into(),
        Ok(Uri::Other { .. }) | Err(_) => without_likely_password(text),
    }
}

/// The same for a text that is not a valid SIP URI: what follows a colon after the scheme, up to the
/// last '@', may be a password.
fn without_likely_password(text: &[u8]) -> Cow<'_, [u8]> {
    let start = find(b':', text).map_or(text.len(), |scheme| scheme + 1);
    let end = memchr::memrchr(b'@', &text[start..]);
    let colon = end.and_then(|end| find(b':', &text[start..start + end]));
    match (colon, end) {
        (Some(colon), Some(end)) => [&text[..start + colon], &text[start + end..]]
            .concat()
            .into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_log_line_contains_a_password() {
        for (text, shown) in [
            (&b"sip:bob:secret@h"[..], "sip:bob@h"),
            (b"sip:bob:se cret@h o", "sip:bob@h o"),
            (b"sip:bob:a@b:c@[h", "sip:bob@[h"),
            (b"bob", "bob"),
            (b"SIP:%62ob@H;x", "SIP:%62ob@H;x"),
            (b"http://bob:secret@h/", "http://bob@h/"),
        ] {
            assert_eq!(&*without_password(text), shown.as_bytes());
        }
    }

    #[test]
    fn every_spelling_of_an_address_counts_as_one() {
        // S-5, M-3.
        for text in [
            "sip:eve@home1.net",
            "sip:eve@home1.net;x=1",
            "sip:%65ve@HOME1.net:5070;transport=tcp",
            "SIP:eve@home1.net?a=b",
        ] {
            assert_eq!(&*address_of_record(text.as_bytes()), b"sip:eve@home1.net");
        }
        assert_eq!(&*address_of_record(b"tel:+1-5(5);cpc=x"), b"tel:+155");
        assert_eq!(&*address_of_record(b"no address"), b"no address");
        assert!(matches!(address_of_record(b"sip:a+b@h"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn a_plain_address_is_its_own_spelling(
            text in "(sip|tel|sips):[+a-c%5;:@.A-]{1,6}@?[hH.1]{0,3}(;x=1|:5060)?",
        ) {
            if let Ok(uri) = Uri::parse(text.as_bytes()) {
                let spelt = address_of_record(text.as_bytes()).into_owned();
                prop_assert_eq!(&spelt, &uri.print(Form::AddressOfRecord).into_bytes());
                prop_assert_eq!(&*address_of_record(&spelt), &spelt[..]);
            }
        }
    }
}
