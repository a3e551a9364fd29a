//! SIP, SIPS, tel and URN URIs: RFC 3261 §19.1, RFC 3966, RFC 8141.
//!
//! An address that another element on the path might parse differently is an error: nothing must be
//! sent to it. Equality is in `uri_equality`. A password is parsed and never printed, neither on the
//! wire nor in the log.

mod grammar;
mod host;

pub(super) use host::ipv6_address;

use super::escape::{units, write_escaped};
use super::number::write_decimal;
use super::tel::TelUri;
use super::text::find;
use super::uri_parameters::{is_one_of, split_value};
use std::borrow::Cow;

/// A URI, borrowed from the text it was read from.
#[derive(Clone, Copy, Debug)]
pub enum Uri<'a> {
    /// `sip:` or `sips:`.
    Sip(SipUri<'a>),
    /// `tel:`.
    Tel(TelUri<'a>),
    /// `urn:`, with what follows the colon.
    Urn(&'a [u8]),
    /// Any other scheme; nothing can be sent to it.
    Other {
        /// The scheme as written.
        scheme: &'a [u8],
        /// What follows the colon.
        rest: &'a [u8],
    },
}

/// A SIP or SIPS URI. All parts are as written.
#[derive(Clone, Copy, Debug)]
pub struct SipUri<'a> {
    /// Whether the scheme is `sips`.
    pub secure: bool,
    /// The user part, not empty; `None` for a URI without one.
    pub user: Option<&'a [u8]>,
    /// The password, which is never printed.
    pub password: Option<&'a [u8]>,
    /// A name, an IPv4 address or an IPv6 address in brackets.
    pub host: &'a [u8],
    /// The port, if one is written.
    pub port: Option<u16>,
    /// What follows the first semicolon after the host; empty if there is none.
    pub parameters: &'a [u8],
    /// What follows the question mark; empty if there is none.
    pub headers: &'a [u8],
    /// Whether the URI is used as an address, so that its `method` is ignored (U-8).
    is_address: bool,
}

/// What [`SipUri::write`] leaves out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Only the password.
    Whole,
    /// For a Request-URI: no headers and no `method` (M-7, RFC 3261 §19.1.5).
    RequestUri,
    /// For From: no port, no headers, and no routing parameters (RFC 3261 §19.1.1, table 1).
    From,
    /// Canonical form of a provisioned address: user and host, escapes only where needed, the host in
    /// lower case, and the port unless it is the default one (A-3, C-1).
    Provisioned,
    /// Canonical form of an address of record: the same without any port (RFC 3261 §10.3), and a
    /// telephone number without parameters of the call.
    AddressOfRecord,
}

/// Parameters that concern routing or the method, which are not allowed in From (RFC 3261 §19.1.1,
/// table 1).
const OF_THE_WAY: [&[u8]; 5] = [b"lr", b"maddr", b"method", b"transport", b"ttl"];

/// Parameters that make two URIs differ when only one has them (RFC 3261 §19.1.4), sorted.
pub(super) const SIGNIFICANT: [&[u8]; 5] = [b"maddr", b"method", b"transport", b"ttl", b"user"];

impl<'a> Uri<'a> {
    /// Appends the URI, with its scheme in lower case.
    pub fn write(&self, form: Form, out: &mut Vec<u8>) {
        match self {
            Self::Sip(sip) => sip.write(form, out),
            Self::Tel(tel) if form == Form::AddressOfRecord => tel.write_address_of_record(out),
            Self::Tel(tel) => tel.write(out),
            Self::Urn(rest) => {
                out.extend_from_slice(b"urn:");
                out.extend_from_slice(rest);
            }
            Self::Other { scheme, rest } => {
                out.extend(scheme.to_ascii_lowercase());
                out.push(b':');
                out.extend_from_slice(rest);
            }
        }
    }

    /// Whether `text` is this URI written plainly as `sip:USER@HOST`, which saves parsing it. `false`
    /// does not mean that they differ.
    pub fn is_plainly(&self, text: &[u8]) -> bool {
        let Self::Sip(SipUri {
            secure: false,
            user: Some(user),
            password: None,
            host,
            port: None,
            parameters: [],
            headers: [],
            ..
        }) = self
        else {
            return false;
        };
        let rest = text.strip_prefix(b"sip:");
        let rest = rest.and_then(|rest| rest.strip_prefix(*user)?.strip_prefix(b"@"));
        rest == Some(*host)
    }

    /// The URI printed in `form`. A parsed URI is ASCII.
    pub fn print(&self, form: Form) -> String {
        let mut out = Vec::with_capacity(64);
        self.write(form, &mut out);
        String::from_utf8(out)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

impl<'a> SipUri<'a> {
    /// The parameters as written, a missing value as `None`; without `method` if the URI is used as an
    /// address.
    pub fn parameters(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let pieces = self.parameters.split(|&byte| byte == b';');
        let is_address = self.is_address;
        pieces
            .filter(|piece| !piece.is_empty())
            .map(split_value)
            .filter(move |(name, _)| !is_address || !name.eq_ignore_ascii_case(b"method"))
    }

    /// The URI as an address: without URI headers (C-1) and `method` (U-8), which are not part of an
    /// identity, and without the password.
    pub fn as_address(self) -> Self {
        Self {
            password: None,
            headers: b"",
            is_address: true,
            ..self
        }
    }

    /// The parameter `name`, in any case; its value may be missing.
    pub fn parameter(&self, name: &[u8]) -> Option<Option<&'a [u8]>> {
        let mut all = self.parameters();
        all.find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
    }

    /// Whether the user is a telephone number: `user=phone` (RFC 3261 §19.1.1).
    pub fn is_phone(&self) -> bool {
        let user = self.parameter(b"user").flatten();
        user.is_some_and(|value| value.eq_ignore_ascii_case(b"phone"))
    }

    /// The default port of the scheme (RFC 3261 §19.1.2).
    fn default_port(&self) -> u16 {
        let transport = self.parameter(b"transport").flatten();
        let is_tls = transport.is_some_and(|value| value.eq_ignore_ascii_case(b"tls"));
        if self.secure || is_tls { 5061 } else { 5060 }
    }

    /// The user part as a telephone number, if the URI has `user=phone`.
    fn number(&self) -> Option<TelUri<'a>> {
        let number = self.user.filter(|_| self.is_phone())?;
        TelUri::parse(number).ok()
    }

    /// The user part as an identity: a telephone number without parameters of the call.
    pub(super) fn identity(&self) -> Option<Cow<'a, [u8]>> {
        let user = self.user?;
        let tells_of_call = |number: &TelUri<'_>| number.tells_of_call();
        let number = find(b';', user).and_then(|_| self.number());
        Some(match number.filter(tells_of_call) {
            Some(number) => {
                let mut identity = Vec::with_capacity(user.len());
                number.write_without_call(&mut identity);
                Cow::Owned(identity)
            }
            None => Cow::Borrowed(user),
        })
    }

    /// Appends the URI without what `form` leaves out.
    pub fn write(&self, form: Form, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.secure { b"sips:" } else { b"sip:" });
        let plain = !matches!(form, Form::Provisioned | Form::AddressOfRecord);
        if let Some(user) = self.user {
            match form {
                Form::AddressOfRecord => {
                    let identity = self.identity().unwrap_or_default();
                    units(&identity).for_each(|unit| unit.write(out));
                }
                Form::Provisioned => units(user).for_each(|unit| unit.write(out)),
                Form::Whole | Form::RequestUri | Form::From => write_escaped(user, out),
            }
            out.push(b'@');
        }
        if plain {
            out.extend_from_slice(self.host);
        } else if let Some(address) = ipv6_address(self.host) {
            out.extend_from_slice(format!("[{address}]").as_bytes());
        } else {
            out.extend(self.host.iter().map(u8::to_ascii_lowercase));
        }
        let port = match form {
            Form::Whole | Form::RequestUri => self.port,
            Form::Provisioned => self.port.filter(|&port| port != self.default_port()),
            Form::From | Form::AddressOfRecord => None,
        };
        if let Some(port) = port {
            out.push(b':');
            write_decimal(usize::from(port), out);
        }
        match form {
            Form::Whole => {
                self.write_parameters(|_| true, out);
                self.write_headers(out);
            }
            Form::RequestUri => self.as_address().write_parameters(|_| true, out),
            Form::From => self.write_parameters(|name| !is_one_of(&OF_THE_WAY, name), out),
            Form::Provisioned | Form::AddressOfRecord => {}
        }
    }

    fn write_parameters(&self, is_wanted: impl Fn(&[u8]) -> bool, out: &mut Vec<u8>) {
        for (name, value) in self.parameters().filter(|(name, _)| is_wanted(name)) {
            out.push(b';');
            write_escaped(name, out);
            if let Some(value) = value {
                out.push(b'=');
                write_escaped(value, out);
            }
        }
    }

    fn write_headers(&self, out: &mut Vec<u8>) {
        let mut separator = b'?';
        let pieces = self.headers.split(|&byte| byte == b'&');
        for piece in pieces.filter(|piece| !piece.is_empty()) {
            out.push(separator);
            write_escaped(piece, out);
            separator = b'&';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str, form: Form) -> String {
        Uri::parse(text.as_bytes()).unwrap().print(form)
    }

    #[test]
    fn uris_are_printed_as_they_were_read() {
        for text in [
            "sip:alice@atlanta.com",
            "sip:alice@atlanta.com;transport=tcp",
            "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:+1-212-555-1212@gateway.com;user=phone",
            "sips:1212@gateway.com",
            "sip:alice@192.0.2.4",
            "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
            "sip:alice;day=tuesday@atlanta.com",
            "sip:[2001:db8::10]:5070;lr",
            "sip:user@[2001:db8::10]",
            "tel:+15551230003",
            "tel:7042;phone-context=example.com",
            "urn:service:sos",
            "im:bob@home1.net",
        ] {
            assert_eq!(printed(text, Form::Whole), text);
        }
    }

    #[test]
    fn a_request_uri_has_no_headers_and_no_method() {
        // M-7.
        let text = "sip:bob@h;x=1;METHOD=INVITE;lr?Subject=a";
        assert_eq!(printed(text, Form::RequestUri), "sip:bob@h;x=1;lr");
    }

    #[test]
    fn a_provisioned_address_has_one_canonical_form() {
        // headers and unknown parameters are ignored.
        let spelt = "sip:hikers%2F@im.home1.net";
        for text in [
            "SIP:%68ikers%2f@IM.Home1.NET;x=1?a=b",
            "sip:hikers%2F:pw@im.home1.net:5060;user=phone;lr;",
            "sip:hikers%2F@im.home1.net;Transport=%54CP;maddr=192.0.2.1;ttl=1",
            "sip:hikers%2F@im.home1.net:5061;transport=TLS",
            spelt,
        ] {
            assert_eq!(printed(text, Form::Provisioned), spelt, "{text}");
        }
        for (text, spelt) in [
            ("sip:g@h:5061", "sip:g@h:5061"),
            ("sip:g@h:5060;transport=tls", "sip:g@h:5060"),
            ("sips:g@h:5061", "sips:g@h"),
            ("sips:g@h:5060", "sips:g@h:5060"),
        ] {
            assert_eq!(printed(text, Form::Provisioned), spelt, "{text}");
        }
        let text = "sip:hikers@[2001:DB8:0::0:1]:5070";
        let spelt = "sip:hikers@[2001:db8::1]:5070";
        assert_eq!(printed(text, Form::Provisioned), spelt);
    }

    #[test]
    fn an_address_of_record_has_one_canonical_form() {
        for (text, spelt) in [
            (
                "SIP:%61nn:pw@Home1.NET:5070;user=phone;x=1;lr?a=b",
                "sip:ann@home1.net",
            ),
            ("sips:ann@[2001:DB8:0::1]", "sips:ann@[2001:db8::1]"),
            ("sip:*21#@h", "sip:*21%23@h"),
            ("sip:*21%23@h", "sip:*21%23@h"),
            ("sip:+1555;CPC=x;ext=7@h;user=phone", "sip:+1555;ext=7@h"),
            ("sip:bob;cpc=x@h;user=phone", "sip:bob;cpc=x@h"),
            ("sip:+1555;cpc=x@h", "sip:+1555;cpc=x@h"),
            ("tel:+1-(555);cpc=x;EXT=7-1;oli=5", "tel:+1555;ext=71"),
            (
                "tel:7-042;phone-context=Example.COM",
                "tel:7042;phone-context=example.com",
            ),
        ] {
            assert_eq!(printed(text, Form::AddressOfRecord), spelt, "{text}");
            assert_eq!(printed(spelt, Form::AddressOfRecord), spelt);
        }
    }

    #[test]
    fn from_has_no_routing_parameters() {
        // RFC 3261 §19.1.1, table 1.
        for (text, spelt) in [
            (
                "sip:ann@h:5060;transport=udp;user=phone;MADDR=1.2.3.4;ttl=1;lr;method=INVITE;x=y?a=b",
                "sip:ann@h;user=phone;x=y",
            ),
            ("sips:%61nn:secret@H", "sips:%61nn@H"),
            ("tel:+1-5;cpc=x", "tel:+1-5;cpc=x"),
        ] {
            assert_eq!(printed(text, Form::From), spelt, "{text}");
        }
    }

    #[test]
    fn what_is_read_liberally_is_printed_strictly() {
        for (text, spelt) in [
            ("sip:*21#@h;", "sip:*21%23@h"),
            (
                "sip:a\\b^`{|}@h;;x=#;;lr;?a=|&&b=c&",
                "sip:a%5Cb%5E%60%7B%7C%7D@h;x=%23;lr?a=%7C&b=c",
            ),
            ("sip:ann:se#cret@h", "sip:ann@h"),
            ("tel:+1;;ext=7;", "tel:+1;ext=7"),
        ] {
            assert_eq!(printed(text, Form::Whole), spelt, "{text}");
        }
        for text in [
            "sip:a\"b@h",
            "sip:a<b@h",
            "sip:a[b]@h",
            "sip:a@b@h",
            "sip:a%@h",
        ] {
            assert!(Uri::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Uri::parse(b"sip:\xc3\xa9@h").is_err());
    }

    #[test]
    fn a_uri_of_another_scheme_has_no_fragment() {
        for text in ["qip:*21#@home1.net", "urn:service:sos#x"] {
            let error = Uri::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.expected, "a URI character", "{text}");
        }
    }

    #[test]
    fn too_many_parameters_are_refused() {
        let long = format!("sip:a@h{}", ";p".repeat(30_000));
        let expected = "at most 32 parameters";
        for text in [
            format!(
                "sip:a@h{}",
                (0..33).map(|n| format!(";{n}")).collect::<String>()
            ),
            format!(
                "tel:+1{}",
                (0..33).map(|n| format!(";p{n}")).collect::<String>()
            ),
        ] {
            assert_eq!(Uri::parse(text.as_bytes()).unwrap_err().expected, expected);
        }
        assert!(Uri::parse(long.as_bytes()).is_err());
    }

    #[test]
    fn a_broken_uri_says_where() {
        for (text, offset) in [
            ("hikers", 6),
            ("sip:", 4),
            ("sip:@h", 4),
            ("sip:a b@h", 5),
            ("sip:a%0a@h", 5),
            ("sip:a%4@h", 5),
            ("sip:a@h:0", 7),
            ("sip:a@h:70000", 7),
            ("sip:a@[::1", 6),
            ("sip:a@[::g]", 6),
            ("sip:a@256.1.1.1", 6),
            ("sip:a@h;lr;LR", 11),
            ("sip:a@h;a=", 10),
            ("sip:a@h?x", 8),
            ("sip:a@h@i", 6),
            ("1x:a", 0),
            ("im:a b", 4),
        ] {
            let error = Uri::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.offset, offset, "{text}: {error}");
        }
    }
}
