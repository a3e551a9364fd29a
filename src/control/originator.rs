//! Who sent the message, and may he: table A.1, rows 7 and 8; and which member he is.

use super::failure::Failure;
use super::group::Group;
use super::policy::Policy;
use super::refusal::Reason;
use super::rules::{Asker, Permissions};
use super::trust::Source;
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
        let address = source.address;
        let detail = format!("{address} is none of `trusted_peers`");
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

/// Row 7, second half: what the group allows the originator (G-3). To send is the least.
pub(super) fn authorise(
    group: &Group,
    asker: &Asker<'_, '_>,
    policy: &Policy,
) -> Result<Permissions, Failure> {
    let permissions = group.permissions(asker, policy);
    if permissions.send {
        return Ok(permissions);
    }
    let detail = match group.rules() {
        Some(_) => "no rule of the group lets him send",
        None => "he is no member, and the group has no rules",
    };
    Err(Failure::new(Reason::NotAuthorised, detail))
}

/// Whether the originator wants to stay anonymous, as the condition anonymous-request asks (G-3).
/// What Privacy cannot mean is refused later.
pub(super) fn wants_anonymity(request: &Request<'_>, from: &NameAddr<'_>) -> bool {
    let privacy = Privacy::parse(request.rows(HeaderName::Privacy));
    privacy.is_ok_and(|privacy| privacy.wants_anonymity()) || is_anonymous(&from.uri)
}

/// Row 11: the members that the originator is; all his addresses count (I-2).
pub(super) fn own_members(
    group: &Group,
    identity: &AssertedIdentity<'_>,
    policy: &Policy,
) -> SmallVec<[u32; 2]> {
    let addresses = identity.addresses.iter();
    let mut members: SmallVec<[u32; 2]> = addresses
        .filter_map(|address| group.member(&address.uri, &policy.addressing))
        .collect();
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
            sip.host.eq_ignore_ascii_case(b"anonymous.invalid")
                || sip
                    .user
                    .is_some_and(|user| user.eq_ignore_ascii_case(b"anonymous"))
        }
        _ => false,
    }
}
