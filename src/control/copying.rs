//! Which header fields go from the message into its forks: H-1, H-2, M-1.

use super::observer::Note;
use crate::sip::HeaderName;
use crate::sip::header::full_form;
use crate::sip::message::Header;
use crate::sip::text::is_token;

/// Header fields that are never copied, whatever the configuration says (H-2, M-1), and those that
/// a fork has of its own.
const NEVER_COPIED: [&str; 38] = [
    "Accept",
    "Accept-Contact",
    "Alert-Info",
    "Authorization",
    "Call-ID",
    "Contact",
    "Content-Length",
    "CSeq",
    "From",
    "Geolocation",
    "History-Info",
    "Identity",
    "Identity-Info",
    "Max-Breadth",
    "Max-Forwards",
    "P-Access-Network-Info",
    "P-Asserted-Identity",
    "P-Asserted-Service",
    "P-Charging-Function-Addresses",
    "P-Charging-Vector",
    "P-Preferred-Identity",
    "P-Preferred-Service",
    "P-Served-User",
    "P-Visited-Network-ID",
    "Privacy",
    "Proxy-Authorization",
    "Proxy-Require",
    "Record-Route",
    "Reject-Contact",
    "Request-Disposition",
    "Require",
    "Resource-Priority",
    "Route",
    "Session-ID",
    "To",
    "User-Agent",
    "Via",
    "Warning",
];

const NEVER: &str = "not meant for the recipients: never copied (H-2, M-1)";

/// Why a header field is not copied into the forks, or nothing if it is, whoever is on the other
/// side; `further` names those that the configuration adds. Those that depend on trust stand in
/// `passage`.
pub fn obstacle(header: &Header<'_>, further: &[String]) -> Option<&'static str> {
    use HeaderName as Name;
    match header.name {
        Name::CallInfo
        | Name::ContentDisposition
        | Name::ContentEncoding
        | Name::ContentId
        | Name::ContentLanguage
        | Name::ContentTransferEncoding
        | Name::ContentType
        | Name::ContributionId
        | Name::ConversationId
        | Name::Date
        | Name::Expires
        | Name::InReplyTo
        | Name::InReplyToContributionId
        | Name::MimeVersion
        | Name::Organization
        | Name::Priority
        | Name::ReplyTo
        | Name::Subject => None,
        Name::Other | Name::UserAgent => {
            let name = full_form(header.written);
            let is_content = name
                .get(..8)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"Content-"));
            let mut listed = further.iter();
            match is_content || listed.any(|listed| name.eq_ignore_ascii_case(listed.as_bytes())) {
                true => None,
                false => Some("not one of those that are copied, nor in `copy_headers` (H-1)"),
            }
        }
        Name::From
        | Name::To
        | Name::CallId
        | Name::CSeq
        | Name::Via
        | Name::MaxForwards
        | Name::ContentLength
        | Name::AcceptContact => Some("every outgoing message has its own (U-4, A-12)"),
        Name::PAssertedIdentity | Name::Privacy | Name::PChargingVector => {
            Some("written anew where the next hop gets it (I-3, N-4)")
        }
        _ => Some(NEVER),
    }
}

/// What becomes of a header field, with the obstacle that `passage` has found, if there is one.
pub(super) fn note_of_copy(header: &Header<'_>, obstacle: Option<&'static str>) -> Note {
    let name = full_form(header.written);
    let is_forbidden = || !may_be_copied(&String::from_utf8_lossy(name));
    match obstacle {
        None => Note::taken(name, "copied"),
        Some(_) if header.name == HeaderName::Other && is_forbidden() => Note::left(name, NEVER),
        Some(obstacle) => Note::left(name, obstacle),
    }
}

/// Whether the configuration may ask for `name` to be copied.
pub fn may_be_copied(name: &str) -> bool {
    // A compact form would be a second name for one that is forbidden.
    name.len() > 1
        && is_token(name.as_bytes())
        && !NEVER_COPIED
            .iter()
            .any(|never| never.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::may_be_copied;

    #[test]
    fn what_is_never_copied_cannot_be_asked_for() {
        for name in [
            // H-2.
            "Via",
            "Route",
            "Record-Route",
            "Contact",
            "Require",
            "Proxy-Require",
            "P-Access-Network-Info",
            "P-Visited-Network-ID",
            "History-Info",
            "Geolocation",
            "Session-ID",
            "P-Served-User",
            "Identity",
            // I-7, I-3, I-1, N-7, M-1.
            "identity-info",
            "P-Preferred-Identity",
            "p-asserted-identity",
            "P-PREFERRED-SERVICE",
            "Accept",
            "Alert-Info",
            // Compact forms, and what is no name.
            "m",
            "v",
            "",
            "X Y",
        ] {
            assert!(!may_be_copied(name), "{name}");
        }
        assert!(may_be_copied("X-Ticket") && may_be_copied("Supported"));
    }
}
