//! URI equality: RFC 3261 §19.1.4 for SIP and SIPS, RFC 3966 §4 for tel (C-1 to C-3).
//!
//! Equality is not transitive (a parameter that only one side has may be ignored), so sets are built by
//! pairwise comparison within a bucket: see [`Uri::bucket`].

use super::escape::{has_escapes, same, same_ignoring_case, units};
use super::text::find;
use super::uri::{SIGNIFICANT, SipUri, Uri, ipv6_address};
use siphasher::sip::SipHasher13;
use smallvec::SmallVec;

impl Uri<'_> {
    /// Whether both identify the same resource. URI headers are compared too; use [`Uri::as_address`]
    /// first where they must not be.
    pub fn same(&self, other: &Uri<'_>) -> bool {
        match (self, other) {
            (Self::Sip(a), Uri::Sip(b)) => same_sip(a, b),
            (Self::Tel(a), Uri::Tel(b)) => a.same(b),
            (Self::Urn(a), Uri::Urn(b)) => same_urn(a, b),
            (
                Self::Other { scheme, rest },
                Uri::Other {
                    scheme: other_scheme,
                    rest: other_rest,
                },
            ) => scheme.eq_ignore_ascii_case(other_scheme) && rest == other_rest,
            _ => false,
        }
    }

    /// Whether both have the same address of record (RFC 3261 §10.3). Parameters of the call in
    /// telephone numbers are ignored.
    pub fn is_same_user(&self, other: &Uri<'_>) -> bool {
        match (self, other) {
            (Self::Sip(a), Uri::Sip(b)) => {
                a.secure == b.secure
                    && same_host(a.host, b.host)
                    && (a.user == b.user
                        || same_optional(a.identity().as_deref(), b.identity().as_deref()))
            }
            (Self::Tel(a), Uri::Tel(b)) => a.is_same_user(b),
            _ => self.same(other),
        }
    }

    /// The URI as an address: see [`SipUri::as_address`].
    pub fn as_address(self) -> Self {
        match self {
            Self::Sip(sip) => Self::Sip(sip.as_address()),
            other => other,
        }
    }

    /// A hash of scheme, user and host, which is the same for equal URIs and for those of the same user
    /// (C-2).
    pub fn bucket(&self) -> u64 {
        let mut key = Key::new();
        match self {
            Self::Sip(sip) => {
                key.push(u8::from(sip.secure));
                push_user(sip.user.unwrap_or_default(), &mut key);
                key.push(b'@');
                push_host(sip.host, &mut key);
            }
            Self::Tel(tel) => {
                key.push(2);
                key.extend(tel.digits());
            }
            Self::Urn(rest) => {
                key.push(3);
                push_folded(rest, &mut key);
            }
            Self::Other { rest, .. } => {
                key.push(4);
                push_folded(rest, &mut key);
            }
        }
        SipHasher13::new().hash(&key)
    }
}

/// The hashed text of a URI; most fit without a heap allocation.
type Key = SmallVec<[u8; 64]>;

/// Appends the user part up to the first parameter. Most have no escape.
fn push_user(user: &[u8], key: &mut Key) {
    let user = &user[..find(b';', user).unwrap_or(user.len())];
    if !has_escapes(user) {
        return key.extend_from_slice(user);
    }
    let mut spelt = Vec::with_capacity(user.len());
    units(user).for_each(|unit| unit.write(&mut spelt));
    key.extend_from_slice(&spelt);
}

/// IPv6 addresses have many spellings; they share one bucket.
fn push_host(host: &[u8], key: &mut Key) {
    match host.first() {
        Some(b'[') => key.push(b'['),
        _ => push_folded(host, key),
    }
}

fn push_folded(text: &[u8], key: &mut Key) {
    let start = key.len();
    key.extend_from_slice(text);
    key[start..].make_ascii_lowercase();
}

fn same_sip(a: &SipUri<'_>, b: &SipUri<'_>) -> bool {
    a.secure == b.secure
        && a.port == b.port
        && same_optional(a.user, b.user)
        && same_optional(a.password, b.password)
        && same_host(a.host, b.host)
        && same_parameters(a, b)
        && same_headers(a.headers, b.headers)
}

fn same_optional(a: Option<&[u8]>, b: Option<&[u8]>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// Whether both hosts are the same name, in any case, or the same address.
pub fn same_host(a: &[u8], b: &[u8]) -> bool {
    a == b
        || a.eq_ignore_ascii_case(b)
        || ipv6_address(a).is_some_and(|address| ipv6_address(b) == Some(address))
}

fn same_parameters(a: &SipUri<'_>, b: &SipUri<'_>) -> bool {
    if a.parameters.is_empty() && b.parameters.is_empty() {
        return true;
    }
    let significant = SIGNIFICANT
        .iter()
        .all(|name| a.parameter(name).is_some() == b.parameter(name).is_some());
    significant
        && a.parameters().all(|(name, value)| match b.parameter(name) {
            Some(other) => same_ignoring_case(value.unwrap_or_default(), other.unwrap_or_default()),
            None => true,
        })
}

/// URI headers are a set: same names with the same values, in any order.
fn same_headers(a: &[u8], b: &[u8]) -> bool {
    let list = |text: &[u8]| {
        let pieces = text.split(|&byte| byte == b'&');
        let pieces = pieces.filter(|piece| !piece.is_empty());
        let mut list: Vec<Vec<u8>> = pieces.map(spelt_header).collect();
        list.sort();
        list
    };
    a == b || list(a) == list(b)
}

fn spelt_header(piece: &[u8]) -> Vec<u8> {
    let name_end = memchr::memchr(b'=', piece).unwrap_or(piece.len());
    let (name, value) = piece.split_at(name_end);
    let mut spelt = Vec::with_capacity(piece.len());
    units(name).for_each(|unit| unit.folded().write(&mut spelt));
    units(value).for_each(|unit| unit.write(&mut spelt));
    spelt
}

/// RFC 8141 §3.1: the namespace is compared without regard to case, the rest exactly.
fn same_urn(a: &[u8], b: &[u8]) -> bool {
    let split = |text: &'_ [u8]| memchr::memchr(b':', text).unwrap_or(text.len());
    let ((a_nid, a_rest), (b_nid, b_rest)) = (a.split_at(split(a)), b.split_at(split(b)));
    a_nid.eq_ignore_ascii_case(b_nid) && a_rest == b_rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn uri(text: &str) -> Uri<'_> {
        Uri::parse(text.as_bytes()).unwrap()
    }

    fn equal(a: &str, b: &str) -> bool {
        let there = uri(a).same(&uri(b));
        assert_eq!(there, uri(b).same(&uri(a)), "symmetry of {a} and {b}");
        assert!(!there || uri(a).bucket() == uri(b).bucket(), "{a} and {b}");
        there
    }

    #[test]
    fn the_equal_examples_of_rfc_3261_are_equal() {
        for (a, b) in [
            (
                "sip:%61lice@atlanta.com;transport=TCP",
                "sip:alice@AtLanTa.CoM;Transport=tcp",
            ),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
            ("sip:[2001:db8::1]", "sip:[2001:DB8:0:0::1]"),
        ] {
            assert!(equal(a, b), "{a} and {b}");
        }
    }

    #[test]
    fn the_unequal_examples_of_rfc_3261_are_unequal() {
        for (a, b) in [
            (
                "SIP:ALICE@AtLanTa.CoM;Transport=udp",
                "sip:alice@AtLanTa.CoM;Transport=UDP",
            ),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            (
                "sip:bob@biloxi.com",
                "sip:bob@biloxi.com:6000;transport=tcp",
            ),
            (
                "sip:carol@chicago.com",
                "sip:carol@chicago.com?Subject=next%20meeting",
            ),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            (
                "sip:carol@chicago.com;security=on",
                "sip:carol@chicago.com;security=off",
            ),
            ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
            ("sip:a%3Bb@h", "sip:a;b@h"),
            ("sip:bob@h;user=phone", "sip:bob@h"),
            ("sip:bob:x@h", "sip:bob@h"),
            ("tel:+1555", "sip:+1555@h;user=phone"),
        ] {
            assert!(!equal(a, b), "{a} and {b}");
        }
    }

    #[test]
    fn the_same_user_is_recognised_whatever_the_routing_parameters() {
        let same = |a: &str, b: &str| {
            let there = uri(a).is_same_user(&uri(b));
            let canonical = |text| uri(text).print(crate::sip::uri::Form::AddressOfRecord);
            assert_eq!(
                there,
                uri(b).is_same_user(&uri(a)),
                "symmetry of {a} and {b}"
            );
            assert_eq!(there, canonical(a) == canonical(b), "{a} and {b}");
            assert!(!there || uri(a).bucket() == uri(b).bucket(), "{a} and {b}");
            there
        };
        for other in [
            "sip:ann@home1.net:5060",
            "SIP:%61nn:pw@HOME1.net:5070;transport=tcp;maddr=192.0.2.1;ttl=3;lr",
            "sip:ann@home1.net;method=INVITE;user=phone;x=2?Subject=a",
        ] {
            assert!(same("sip:ann@home1.net;x=1", other), "{other}");
        }
        for other in [
            "sips:ann@home1.net",
            "sip:Ann@home1.net",
            "sip:ann@home2.net",
            "tel:+1",
        ] {
            assert!(!same("sip:ann@home1.net", other), "{other}");
        }
        assert!(same("sip:*21#@h", "sip:*21%23@h"));
        assert!(same("tel:+1-555;cpc=ordinary", "tel:+1555;oli=62"));
        assert!(!same("tel:+1555;ext=1;cpc=ordinary", "tel:+1555"));
        assert!(same("sip:+1555;cpc=x@h;user=phone", "sip:+1555@h"));
        // Such a name is not a telephone number, so this is another user.
        assert!(!same("sip:bob;cpc=x@h;user=phone", "sip:bob@h"));
        assert!(!same("sip:+1555;cpc=x@h", "sip:+1555@h"));
    }

    #[test]
    fn a_plain_spelling_of_a_uri_is_the_same() {
        let texts = [
            "sip:bob@h",
            "sips:bob@h",
            "sip:bob@h:5060",
            "sip:bob@h;lr",
            "sip:bob@h?a=b",
            "sip:bob:pw@h",
            "sip:h",
            "sip:bobby@h",
            "sip:bob@h2",
            "tel:+1",
        ];
        for a in texts {
            for b in texts {
                let expected = a == b && matches!(a, "sip:bob@h" | "sip:bobby@h" | "sip:bob@h2");
                assert_eq!(uri(a).is_plainly(b.as_bytes()), expected, "{a} and {b}");
                assert!(!expected || equal(a, b));
            }
        }
    }

    #[test]
    fn headers_and_method_are_not_part_of_an_address() {
        // C-1, U-8.
        let (plain, other) = ("sip:bob@h;lr", "sip:bob@h;method=INVITE;lr?Subject=a");
        assert!(!equal(plain, other));
        assert!(uri(plain).as_address().same(&uri(other).as_address()));
        let form = crate::sip::uri::Form::Whole;
        assert_eq!(uri(other).as_address().print(form), plain);
    }

    #[test]
    fn equality_is_not_transitive() {
        // C-2: the middle one equals both, which are not equal.
        let (on, none, off) = ("sip:c@h;security=on", "sip:c@h", "sip:c@h;security=off");
        assert!(equal(on, none) && equal(none, off) && !equal(on, off));
    }

    proptest! {
        #[test]
        fn equality_is_symmetric_and_printing_is_stable(
            a in "(sip|SIPS|tel|urn):[a-c%A6+1]{0,4}@?[hH\\[:1\\]]{1,4}(;(user=phone|x=[yZ]|lr))?(\\?a=b)?",
            b in "(sip|SIPS|tel|urn):[a-c%A6+1]{0,4}@?[hH\\[:1\\]]{1,4}(;(user=phone|x=[yZ]|lr))?(\\?a=b)?",
        ) {
            if let (Ok(first), Ok(second)) = (Uri::parse(a.as_bytes()), Uri::parse(b.as_bytes())) {
                prop_assert_eq!(first.same(&second), second.same(&first));
                for form in [crate::sip::uri::Form::Whole, crate::sip::uri::Form::Provisioned] {
                    let printed = first.print(form);
                    prop_assert_eq!(uri(&printed).print(form), printed);
                }
                prop_assert!(first.same(&uri(&first.print(crate::sip::uri::Form::Whole))));
            }
        }

        #[test]
        fn no_input_makes_the_reader_panic(text: Vec<u8>) {
            let _ = Uri::parse(&text);
        }
    }
}
