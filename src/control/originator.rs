//! Who sent the message, and may he: table A.1, rows 7 and 8.

use super::failure::Failure;
use super::group::Group;
use super::policy::Policy;
use super::refusal::Reason;
use super::trust::Source;
use crate::sip::escape::same_ignoring_case;
use crate::sip::identity::AssertedIdentity;
use crate::sip::privacy::Privacy;
use crate::sip::{HeaderName, NameAddr, Request, Uri};
use smallvec::SmallVec;

/// Row 7, first half: who the trust domain says the originator is (A-7, I-1, I-2).
pub(super) fn authenticate<'m>(
    request: &Request<'m>,
    policy: &Policy,
    source: &Source,
) -> Result<AssertedIdentity<'m>, Failure> {
    if !policy.trusts(source) {
        let detail = format!("{source} is none of `trusted_peers`");
        return Err(Failure::new(Reason::NoIdentity, detail));
    }
    let rows = request.rows(HeaderName::PAssertedIdentity);
    let identity =
        AssertedIdentity::parse(rows).map_err(|error| Failure::new(Reason::BadIdentity, error))?;
    if identity.addresses.is_empty() {
        let detail = "P-Asserted-Identity has no sip, sips or tel address";
        return Err(Failure::new(Reason::NoIdentity, detail));
    }
    Ok(identity)
}

/// Row 7, second half: the members that the originator is. Without a ruleset only a member may
/// send (G-3); one of his addresses suffices (I-2).
pub(super) fn own_members(
    group: &Group,
    identity: &AssertedIdentity<'_>,
    policy: &Policy,
) -> SmallVec<[u32; 2]> {
    let addresses = identity.addresses.iter();
    let mut members: SmallVec<[u32; 2]> = addresses
        .flat_map(|address| group.members_equal_to(&address.uri, &policy.addressing))
        .collect();
    members.sort_unstable();
    members.dedup();
    members
}

/// Row 8: no anonymity wanted.
pub(super) fn check_privacy(request: &Request<'_>, from: &NameAddr<'_>) -> Result<(), Failure> {
    let privacy = Privacy::parse(request.rows(HeaderName::Privacy))
        .map_err(|error| Failure::new(Reason::Privacy, error))?;
    if privacy.wants_anonymity() {
        return Err(Failure::new(Reason::Anonymity, "Privacy asks for it"));
    }
    if is_anonymous(&from.uri) {
        return Err(Failure::new(Reason::Anonymity, "From is anonymous"));
    }
    Ok(())
}

/// Whether From hides who it is: A-8.
fn is_anonymous(uri: &Uri<'_>) -> bool {
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
