//! How large a copy may get: M-2, RFC 3428 §8, RFC 3261 §18.1.1.

use super::accepted::Accepted;
use super::check_reasons::Reason;
use super::checks::Check;
use super::copy_identifiers::CopyIdentifiers;
use super::failure::Failure;
use super::observer::{Note, Observer};
use super::policy::Policy;
use crate::sip::SipUri;
use crate::sip::uri::Form;

/// The most bytes of a request whose way is not known to avoid congestion.
const LIMIT: usize = 1300;

/// What the proxy writes besides what stands in a [`Fork`](super::Fork): its longest Via, and the
/// User-Agent of a proxy that is not told another.
const OF_THE_PROXY: usize =
    b"Via: SIP/2.0/TLS [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535;branch=z9hG4bKffff.ffffffffffffffffffffffffffffffff.0\r\n"
        .len()
        + b"User-Agent: kamailio (5.6.3 (x86_64/linux))\r\n".len();

impl Accepted<'_> {
    /// Bytes of the largest copy, that to the longest address with the longest content of
    /// its own; at most a few more than any has.
    pub(super) fn largest_fork(&self) -> usize {
        let longest = self.group.longest_recipient();
        let Some(longest) = longest.and_then(|number| self.own_of(number)) else {
            return 0;
        };
        let fork = self.copies_with(CopyIdentifiers::BLANK).copy(0, longest);
        let headers = fork.headers_length(fork.body().len());
        let of_start_line = b"MESSAGE  SIP/2.0\r\n".len() + longest.address.len();
        of_start_line
            + (headers - fork.own_length())
            + OF_THE_PROXY
            + b"\r\n".len()
            + self.body.len()
            + self.own.longest(&self.group)
    }
}

/// Makes a message fit: over 1300 bytes it goes without its history, which is what `smaller` makes of
/// it, or, where that does not help, not at all. Where the policy lets it be larger, it goes by a
/// transport that avoids congestion.
pub(super) fn fit<'m>(
    accepted: &mut Accepted<'m>,
    smaller: Option<impl FnOnce() -> Result<Accepted<'m>, Failure>>,
    policy: &Policy,
    observer: &mut impl Observer,
) -> Result<(), Failure> {
    observer.check(Check::Size);
    let mut size = accepted.largest_fork();
    observer.note(|| Note::fact("", format!("the largest copy, bytes: {size}")));
    if size > LIMIT && policy.settings.large_ok {
        accepted.needs_stream = true;
        return Ok(());
    }
    if let Some(smaller) = smaller.filter(|_| size > LIMIT) {
        observer.note(|| Note::left("history", "with it the message is too large: left out"));
        *accepted = smaller()?;
        size = accepted.largest_fork();
    }
    if size > LIMIT {
        let detail = format!(
            "a copy would have {size} bytes, expected at most {LIMIT}; large_ok=1 sends \
             such messages by TCP or TLS"
        );
        return Err(Failure::new(Reason::TooLarge, detail));
    }
    Ok(())
}

/// The URI of a next hop that is reached by a transport that avoids congestion: as it is, unless it
/// says UDP or nothing.
pub fn by_stream(uri: &SipUri<'_>) -> String {
    let mut out = Vec::new();
    let transport = uri.parameter(b"transport").flatten();
    if uri.secure || transport.is_some_and(|transport| !transport.eq_ignore_ascii_case(b"udp")) {
        uri.write(Form::RequestUri, &mut out);
    } else {
        let mut bare = uri.as_address();
        bare.parameters = b"";
        bare.write(Form::RequestUri, &mut out);
        for (name, value) in uri.parameters() {
            if !name.eq_ignore_ascii_case(b"transport") {
                out.push(b';');
                out.extend_from_slice(name);
                if let Some(value) = value {
                    out.push(b'=');
                    out.extend_from_slice(value);
                }
            }
        }
        out.extend_from_slice(b";transport=tcp");
    }
    // A URI that was read is ASCII.
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Uri;

    #[test]
    fn a_large_message_goes_by_tcp_unless_its_way_is_no_udp_anyway() {
        // M-2, RFC 3261 §18.1.1.
        for (uri, expected) in [
            ("sip:icscf.home1.net", "sip:icscf.home1.net;transport=tcp"),
            (
                "sip:h:5070;lr;Transport=UDP;x=1",
                "sip:h:5070;lr;x=1;transport=tcp",
            ),
            ("sip:h;transport=tcp;lr", "sip:h;transport=tcp;lr"),
            ("sip:h;transport=TLS", "sip:h;transport=TLS"),
            ("sips:bob@h", "sips:bob@h"),
            ("sip:bob@[::1]?a=b", "sip:bob@[::1];transport=tcp"),
        ] {
            let Ok(Uri::Sip(sip)) = Uri::parse(uri.as_bytes()) else {
                panic!("{uri}");
            };
            assert_eq!(by_stream(&sip), expected);
        }
    }
}
