//! The wish to stay anonymous, table A.1, row 8, and what is left out of the forks when it is granted:
//! A-8, I-6, RFC 3323 §4.1 and §5.3.

use super::anonymous_body::naming_type;
use super::anonymous_headers::is_anonymous;
use super::check_reasons::Reason;
use super::checks::Check;
use super::failure::Failure;
use super::observer::{Note, Observer};
use super::permissions::Permissions;
use super::policy::Policy;
use crate::config::AnonymityPolicy;
use crate::sip::privacy::Privacy;
use crate::sip::uri::Form;
use crate::sip::{HeaderName, NameAddr, Request};

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
    observer.note(|| Note::taken("", "the group allows it: the copies are anonymous"));
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
