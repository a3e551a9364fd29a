//! Which header fields go from the message into its forks: H-1, H-2, M-1.

use super::observer::Note;
use crate::sip::header::full_form;
use crate::sip::message::Header;
use crate::sip::text::is_token;
use crate::sip::{HeaderName, Malformed};
use smallvec::SmallVec;

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
/// `trust_domain`.
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
        | Name::AcceptContact => Some("every copy has its own (U-4, A-12)"),
        Name::PAssertedIdentity | Name::Privacy | Name::PChargingVector => {
            Some("written anew where the next hop gets it (I-3, N-4)")
        }
        _ => Some(NEVER),
    }
}

/// Header fields whose value is a list, so that several rows are one (RFC 3261 §7.3.1), among those that only
/// the configuration has copied. A name that nobody knows is no list.
const LISTS: [&str; 26] = [
    "Accept-Encoding",
    "Accept-Language",
    "Allow",
    "Allow-Events",
    "Diversion",
    "Error-Info",
    "Feature-Caps",
    "P-Associated-URI",
    "P-Media-Authorization",
    "Path",
    "Permission-Missing",
    "Policy-Contact",
    "Policy-ID",
    "Proxy-Authenticate",
    "Reason",
    "Recv-Info",
    "Reject-Contact",
    "Remote-Party-ID",
    "Request-Disposition",
    "Security-Client",
    "Security-Verify",
    "Service-Route",
    "Supported",
    "Trigger-Consent",
    "Unsupported",
    "User-to-User",
];

/// The header fields of one value that have been copied, of those whose names are not told apart in
/// `HeaderName` and of User-Agent: row 1 has looked at all others.
#[derive(Default)]
pub(super) struct Single<'m>(SmallVec<[&'m [u8]; 4]>);

impl<'m> Single<'m> {
    /// Takes note of one; fails where it has been copied already.
    pub fn check(&mut self, header: &Header<'m>) -> Result<(), Malformed> {
        if !matches!(header.name, HeaderName::Other | HeaderName::UserAgent) {
            return Ok(());
        }
        let name = full_form(header.written);
        let mut lists = LISTS.iter();
        if lists.any(|list| name.eq_ignore_ascii_case(list.as_bytes())) {
            return Ok(());
        }
        if self
            .0
            .iter()
            .any(|earlier| earlier.eq_ignore_ascii_case(name))
        {
            let expected = "only one of a header that is no list";
            return Err(Malformed::at("header field", header.written, 0, expected));
        }
        self.0.push(name);
        Ok(())
    }
}

/// What becomes of a header field, with the obstacle that `trust_domain` has found, if there is one.
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
