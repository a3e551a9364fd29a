//! SIP, SIPS, tel and URN URIs: RFC 3261 §19.1, RFC 3966, RFC 8141.
//!
//! Reading is strict: an address that some element on the way might read in another way is not one
//! to send to. Equality stands in `uri_equality`.

mod grammar;

pub(super) use grammar::ipv6_address;

use super::escape::units;
use super::number::write_decimal;
use super::tel::TelUri;
use super::text::find;
use grammar::split_value;

/// A URI, borrowed from the text it was read from.
#[derive(Clone, Copy, Debug)]
pub enum Uri<'a> {
    /// `sip:` or `sips:`.
    Sip(SipUri<'a>),
    /// `tel:`.
    Tel(TelUri<'a>),
    /// `urn:`, with what follows the colon.
    Urn(&'a [u8]),
    /// Any other scheme, which cannot be sent to.
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
    /// The user, not empty; `None` for a URI of a host.
    pub user: Option<&'a [u8]>,
    /// The password, which no URI should have.
    pub password: Option<&'a [u8]>,
    /// A name, an IPv4 address or an IPv6 address in brackets.
    pub host: &'a [u8],
    /// The port, if one is written.
    pub port: Option<u16>,
    /// What follows the first semicolon behind the host; empty if there is none.
    pub parameters: &'a [u8],
    /// What follows the question mark; empty if there is none.
    pub headers: &'a [u8],
    /// Whether the URI stands for an address, so that its `method` does not count (U-8).
    is_address: bool,
}

/// What [`SipUri::write`] leaves out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Nothing: the URI as it is.
    Whole,
    /// For a Request-URI: no headers and no `method` (M-7, RFC 3261 §19.1.5).
    RequestUri,
    /// The one spelling of an address of ours: no headers, only the parameters that count for
    /// equality, in a fixed order, escapes only where needed, host in lower case (A-3, C-1).
    Provisioned,
}

/// More parameters than any URI has: each is compared with all others.
pub(super) const MAX_PARAMETERS: usize = 32;

/// Parameters that make two URIs differ when only one has them (RFC 3261 §19.1.4), sorted.
pub(super) const SIGNIFICANT: [&[u8]; 5] = [b"maddr", b"method", b"transport", b"ttl", b"user"];

impl<'a> Uri<'a> {
    /// Appends the URI, with its scheme in lower case.
    pub fn write(&self, form: Form, out: &mut Vec<u8>) {
        match self {
            Self::Sip(sip) => sip.write(form, out),
            Self::Tel(tel) => {
                out.extend_from_slice(b"tel:");
                out.extend_from_slice(tel.number);
                write_after(b';', tel.parameters, out);
            }
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

    /// Whether `text` is the plain spelling of the URI, `sip:USER@HOST`, and so needs not be read to be
    /// known as the same. It may be the same without.
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

    /// The URI printed in `form`. A URI that was read is ASCII.
    pub fn print(&self, form: Form) -> String {
        let mut out = Vec::with_capacity(64);
        self.write(form, &mut out);
        String::from_utf8(out)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

impl<'a> SipUri<'a> {
    /// The parameters as written, a missing value as `None`; for an address without `method`.
    pub fn parameters(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let pieces = self.parameters.split(|&byte| byte == b';');
        let is_address = self.is_address;
        pieces
            .filter(|piece| !piece.is_empty())
            .map(split_value)
            .filter(move |(name, _)| !is_address || !name.eq_ignore_ascii_case(b"method"))
    }

    /// The URI as an address: without URI headers, which are no part of an identity (C-1), and
    /// without `method`, which is none either (U-8).
    pub fn as_address(self) -> Self {
        Self {
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

    /// Appends the URI without what `form` leaves out.
    pub fn write(&self, form: Form, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.secure { b"sips:" } else { b"sip:" });
        let plain = form != Form::Provisioned;
        if let Some(user) = self.user {
            write_units(user, plain, out);
            if let Some(password) = self.password {
                out.push(b':');
                write_units(password, plain, out);
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
        if let Some(port) = self.port {
            out.push(b':');
            write_decimal(usize::from(port), out);
        }
        match form {
            Form::Whole => {
                self.write_parameters(out);
                write_after(b'?', self.headers, out);
            }
            Form::RequestUri => self.as_address().write_parameters(out),
            Form::Provisioned if self.parameters.is_empty() => {}
            Form::Provisioned => {
                for name in SIGNIFICANT {
                    if let Some(value) = self.parameter(name) {
                        write_parameter(name, None, out);
                        if let Some(value) = value {
                            out.push(b'=');
                            units(value).for_each(|unit| unit.folded().write(out));
                        }
                    }
                }
            }
        }
    }

    fn write_parameters(&self, out: &mut Vec<u8>) {
        for (name, value) in self.parameters() {
            write_parameter(name, value, out);
        }
    }
}

fn write_units(text: &[u8], plain: bool, out: &mut Vec<u8>) {
    if plain || find(b'%', text).is_none() {
        out.extend_from_slice(text);
    } else {
        units(text).for_each(|unit| unit.write(out));
    }
}

fn write_parameter(name: &[u8], value: Option<&[u8]>, out: &mut Vec<u8>) {
    write_after(b';', name, out);
    if let Some(value) = value {
        out.push(b'=');
        out.extend_from_slice(value);
    }
}

fn write_after(separator: u8, text: &[u8], out: &mut Vec<u8>) {
    if !text.is_empty() {
        out.push(separator);
        out.extend_from_slice(text);
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
            "sip:alice:secretword@atlanta.com;transport=tcp",
            "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:+1-212-555-1212:1234@gateway.com;user=phone",
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
    fn an_address_of_ours_has_one_spelling() {
        // headers and unknown parameters do not count.
        let text = "SIP:%68ikers%2f@IM.Home1.NET;x=1;Transport=%54CP?a=b";
        let spelt = "sip:hikers%2F@im.home1.net;transport=tcp";
        assert_eq!(printed(text, Form::Provisioned), spelt);
        assert_eq!(printed(spelt, Form::Provisioned), spelt);
        let text = "sip:hikers@[2001:DB8:0::0:1]:5070";
        let spelt = "sip:hikers@[2001:db8::1]:5070";
        assert_eq!(printed(text, Form::Provisioned), spelt);
    }

    #[test]
    fn parameters_without_end_are_refused() {
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
            ("sip:a@h;;lr", 8),
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
