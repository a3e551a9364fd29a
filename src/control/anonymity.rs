//! The wish to stay anonymous, table A.1, row 8, and what is left out of the forks when it is granted:
//! A-8, I-6, RFC 3323 §4.1 and §5.3.

use super::anonymous_body::naming_type;
use super::checks::Check;
use super::failure::Failure;
use super::observer::{Note, Observer};
use super::policy::Policy;
use super::refusal::Reason;
use super::rules::Permissions;
use crate::config::AnonymityPolicy;
use crate::sip::escape::same_ignoring_case;
use crate::sip::header::full_form;
use crate::sip::message::Header;
use crate::sip::privacy::{Privacy, tokens};
use crate::sip::uri::Form;
use crate::sip::{HeaderName, NameAddr, Request, Uri};

/// The From of whom nobody may know (RFC 3323 §4.1.1.3).
pub(super) const ANONYMOUS: &[u8] = b"\"Anonymous\" <sip:anonymous@anonymous.invalid>";

/// Row 8: whether the forks are to be anonymous, or a refusal where they may not be.
pub(super) fn check_privacy(
    request: &Request<'_>,
    from: &NameAddr<'_>,
    policy: &Policy,
    permissions: &Permissions,
    observer: &mut impl Observer,
) -> Result<bool, Failure> {
    observer.check(Check::Anonymity);
    observer.notes(|| notes_of_wish(request, from));
    let privacy = Privacy::parse(request.rows(HeaderName::Privacy))
        .map_err(|error| Failure::new(Reason::Privacy, error))?;
    let wish = if privacy.wants_anonymity() {
        "Privacy asks for it"
    } else if is_anonymous(&from.uri) {
        "From is anonymous"
    } else {
        return Ok(false);
    };
    if policy.settings.anonymity_policy == AnonymityPolicy::Reject {
        return Err(Failure::new(Reason::Anonymity, wish));
    }
    if !permissions.anonymity {
        let detail = format!("{wish}, and the group does not allow it");
        return Err(Failure::new(Reason::Anonymity, detail));
    }
    if privacy.critical && privacy.unknown {
        // RFC 3323 §4.2: refuse what cannot be provided.
        let detail = "Privacy is critical and asks for what is not known here";
        return Err(Failure::new(Reason::Anonymity, detail));
    }
    if let Some(naming) = naming_type(request) {
        let detail = format!("a {naming} body names its sender and must not be changed");
        return Err(Failure::new(Reason::NotCleanable, detail));
    }
    observer.note(|| {
        Note::taken(
            "",
            "the group allows it: the outgoing messages are anonymous",
        )
    });
    Ok(true)
}

/// What asks for anonymity, and what does not.
fn notes_of_wish(request: &Request<'_>, from: &NameAddr<'_>) -> Vec<Note> {
    let mut notes: Vec<_> = request
        .rows(HeaderName::Privacy)
        .map(|row| {
            let wants = Privacy::parse(std::iter::once(row));
            let text = match wants.map(|privacy| privacy.wants_anonymity()) {
                Ok(true) => "Privacy: asks for anonymity",
                Ok(false) => "Privacy: asks for no anonymity",
                Err(_) => "Privacy: cannot be read",
            };
            Note::fact(row, text)
        })
        .collect();
    if is_anonymous(&from.uri) {
        let uri = from.uri.print(Form::Whole);
        notes.push(Note::fact(uri, "From: anonymous"));
    }
    if notes.is_empty() {
        notes.push(Note::fact(
            "",
            "there is no Privacy, and From is not anonymous",
        ));
    }
    notes
}

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
