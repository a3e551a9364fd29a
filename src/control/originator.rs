//! Who sent the message, and may he: table A.1, row 7; and which member he is.

use super::anonymity::is_anonymous;
use super::failure::Failure;
use super::group::Group;
use super::policy::{FromMismatch, Policy};
use super::refusal::Reason;
use super::rules::{Asker, Permissions};
use super::trust::Source;
use crate::sip::identity::AssertedIdentity;
use crate::sip::privacy::Privacy;
use crate::sip::{HeaderName, Malformed, NameAddr, Request};
use smallvec::SmallVec;

/// Who says who the originator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voucher {
    /// A trusted peer, by P-Asserted-Identity.
    Peer,
    /// The proxy, which has checked credentials.
    Proxy,
    /// Nobody: From is taken at its word.
    Nobody,
}

/// The originator, and who says so.
pub(super) struct Originator<'a> {
    pub identity: AssertedIdentity<'a>,
    pub voucher: Voucher,
}

/// Row 7, first half: who the originator is (A-7, I-1, I-2).
pub(super) fn authenticate<'a>(
    request: &'a Request<'_>,
    from: &NameAddr<'a>,
    policy: &Policy,
    source: &Source<'a>,
) -> Result<Originator<'a>, Failure> {
    let believed = &policy.believed;
    let is_trusted = policy.trusts(source);
    if believed.peers && is_trusted {
        let part = HeaderName::PAssertedIdentity;
        let rows = request.rows(part).map(|row| -> &'a [u8] { row });
        let identity = AssertedIdentity::parse(part.as_str(), rows)
            .map_err(|error| Failure::new(Reason::BadIdentity, error))?;
        if !identity.addresses.is_empty() {
            let voucher = Voucher::Peer;
            return Ok(Originator { identity, voucher });
        }
    }
    let given = source.identity.filter(|identity| !identity.is_empty());
    if let Some(given) = given.filter(|_| believed.proxy) {
        let identity = AssertedIdentity::parse("identity", std::iter::once(given))
            .map_err(|error| Failure::new(Reason::NoIdentity, of_script(error, given)))?;
        if identity.addresses.is_empty() {
            let detail = "the script's identity is no sip, sips or tel address";
            return Err(Failure::new(Reason::NoIdentity, detail));
        }
        let voucher = Voucher::Proxy;
        return Ok(Originator { identity, voucher });
    }
    if believed.from {
        let addresses = std::iter::once(*from).collect();
        let voucher = Voucher::Nobody;
        let identity = AssertedIdentity { addresses };
        return Ok(Originator { identity, voucher });
    }
    let mut missing = Vec::new();
    if believed.peers && is_trusted {
        missing.push("P-Asserted-Identity has no sip, sips or tel address".to_owned());
    } else if believed.peers {
        missing.push(format!("{source} is none of `trusted_peers`"));
    }
    if believed.proxy {
        missing.push("the script gave no identity".to_owned());
    }
    Err(Failure::new(Reason::NoIdentity, missing.join(", and ")))
}

/// A pseudo-variable without a value gives an identity such as `sip:<null>@<null>`.
fn of_script(error: Malformed, given: &[u8]) -> String {
    let given = crate::sip::text::Printable(given);
    format!("the script gave `{given}` ({error}); were the credentials checked?")
}

/// Row 7, still: what From says of the originator (I-4).
///
/// An anonymous From is not told to be somebody else's; row 8 deals with it.
pub(super) fn check_from(
    from: &NameAddr<'_>,
    originator: &Originator<'_>,
    policy: &Policy,
) -> Result<(), Failure> {
    let refuses = mismatch(originator, policy) == FromMismatch::Reject;
    if !refuses || is_anonymous(&from.uri) || originator.is(from, policy) {
        return Ok(());
    }
    let uri = from.uri.print(crate::sip::uri::Form::Whole);
    let uri = crate::sip::text::Printable(uri.as_bytes());
    let detail = format!("From names <{uri}>");
    Err(Failure::new(Reason::FromMismatch, detail))
}

fn mismatch(originator: &Originator<'_>, policy: &Policy) -> FromMismatch {
    let by_voucher = match originator.voucher {
        Voucher::Proxy => FromMismatch::Reject,
        Voucher::Peer | Voucher::Nobody => FromMismatch::Copy,
    };
    policy.from_mismatch.unwrap_or(by_voucher)
}

impl Originator<'_> {
    /// Whether `address` is one of his.
    fn is(&self, address: &NameAddr<'_>, policy: &Policy) -> bool {
        let address = address.uri.as_address();
        let mut own = self.identity.addresses.iter();
        own.any(|own| policy.addressing.same(&own.uri.as_address(), &address))
    }

    /// Writes the From of the forks without its tag (U-4, I-4).
    pub fn write_from(
        &self,
        from: &NameAddr<'_>,
        policy: &Policy,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let rewrites = mismatch(self, policy) == FromMismatch::Rewrite;
        match self.identity.addresses.first() {
            Some(own) if rewrites && !self.is(from, policy) => own.write(out),
            _ => from.write(out).and_then(|()| from.write_parameters(out)),
        }
    }
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
        .flat_map(|address| group.members_equal_to(&address.uri, &policy.addressing))
        .collect();
    members.sort_unstable();
    members.dedup();
    members
}
