//! Header fields of a message whose originator stays anonymous: which of them name somebody, and what stands in place of
//! them. I-6, RFC 3323 §4.1 and §5.3.

use crate::sip::escape::same_ignoring_case;
use crate::sip::header::full_form;
use crate::sip::message::Header;
use crate::sip::privacy::{Privacy, tokens};
use crate::sip::{HeaderName, Request, Uri};

/// The From of whom nobody may know (RFC 3323 §4.1.1.3).
pub(super) const ANONYMOUS: &[u8] = b"\"Anonymous\" <sip:anonymous@anonymous.invalid>";

/// Whether From hides who it is: A-8.
pub(super) fn is_anonymous(uri: &Uri<'_>) -> bool {
    match uri {
        Uri::Sip(sip) => {
            let host = sip.host.strip_suffix(b".").unwrap_or(sip.host);
            let user = sip.user.unwrap_or_default();
            host.eq_ignore_ascii_case(b"anonymous.invalid")
                || same_ignoring_case(user, b"anonymous")
        }
        _ => false,
    }
}

/// Whether a header field may tell who the originator is (I-6). What tells of the body is copied only
/// where it is known to name nobody: Content-ID and Content-Location often name a machine, and nobody
/// knows what an unknown one says.
pub(super) fn names_somebody(header: &Header<'_>) -> bool {
    use HeaderName as Name;
    match header.name {
        Name::Subject
        | Name::CallInfo
        | Name::Organization
        | Name::UserAgent
        | Name::ReplyTo
        | Name::InReplyTo
        | Name::ContentId
        | Name::ConversationId
        | Name::ContributionId
        | Name::InReplyToContributionId => true,
        Name::Other => {
            let start = full_form(header.written).get(..8).unwrap_or_default();
            start.eq_ignore_ascii_case(b"Content-")
        }
        _ => false,
    }
}

/// The Privacy of forks inside the trust domain, with its CRLF. `id` is in it whenever the forks are
/// anonymous: P-Asserted-Identity goes with them and must not leave the domain.
pub(super) fn write_privacy(request: &Request<'_>, anonymous: bool, out: &mut Vec<u8>) {
    let rows = || request.rows(HeaderName::Privacy);
    // Row 8 has read them.
    let privacy = Privacy::parse(rows()).unwrap_or_default();
    let mut separator: &[u8] = b"Privacy: ";
    let start = out.len();
    if !anonymous || !privacy.none {
        for token in rows().flat_map(tokens).flatten() {
            out.extend_from_slice(separator);
            out.extend_from_slice(token);
            separator = b";";
        }
    }
    if anonymous && !privacy.id {
        out.extend_from_slice(separator);
        out.extend_from_slice(b"id");
    }
    if out.len() > start {
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &str, body: &str) -> Vec<u8> {
        format!("MESSAGE sip:g@h SIP/2.0\r\n{headers}\r\n{body}").into_bytes()
    }

    #[test]
    fn an_anonymous_fork_keeps_its_identity_inside_the_domain() {
        // I-6, RFC 3325 §7.
        for (rows, anonymous, written) in [
            ("", false, ""),
            ("", true, "Privacy: id\r\n"),
            ("Privacy: id\r\n", true, "Privacy: id\r\n"),
            ("Privacy: none\r\n", false, "Privacy: none\r\n"),
            ("Privacy: none\r\n", true, "Privacy: id\r\n"),
            ("Privacy: none;\r\n", false, "Privacy: none\r\n"),
            ("Privacy:\r\n", false, ""),
            (
                "Privacy: user ;\r\n header\r\nPrivacy: session\r\n",
                true,
                "Privacy: user;header;session;id\r\n",
            ),
            ("Privacy: ID;critical\r\n", true, "Privacy: ID;critical\r\n"),
        ] {
            let bytes = request(rows, "");
            let mut out = Vec::new();
            write_privacy(&Request::read(&bytes).unwrap(), anonymous, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), written);
        }
    }
}
