//! Receiving a SIP MESSAGE, clause 7.5.1.x: the checks of table A.1 in their order.

use super::content::shared_headers;
use super::decision::{Accepted, Decision};
use super::expiry::{Lifetime, lifetime};
use super::group::{Group, GroupDirectory};
use super::policy::Policy;
use super::recent::{Arrival, RecentRequests, RequestKey};
use super::refusal::{Reason, Refusal};
use super::trust::Source;
use crate::sip::accept_contact::{self, Wish};
use crate::sip::identity::AssertedIdentity;
use crate::sip::number::{cseq, max_forwards};
use crate::sip::privacy::Privacy;
use crate::sip::text::{Nesting, split_first};
use crate::sip::token_list::tokens;
use crate::sip::uri::Form;
use crate::sip::{HeaderName, Malformed, NameAddr, Request, SipUri, Uri};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::SystemTime;

/// The IM feature tag (F-3).
const IM_TAG: &[u8] = b"+g.oma.sip-im";

/// Why a message is left to the routing script, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOurs {
    /// It is no SIP request.
    Unreadable(Malformed),
    /// Its method is not MESSAGE.
    Method,
    /// It does not want the IM feature tag, or its Accept-Contact cannot be read.
    NoImTag,
    /// Its Request-URI is in no served domain.
    ForeignDomain,
}

impl std::fmt::Display for NotOurs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "it is no SIP request ({error})"),
            Self::Method => f.write_str("its method is not MESSAGE"),
            Self::NoImTag => f.write_str("Accept-Contact does not ask for +g.oma.sip-im"),
            Self::ForeignDomain => f.write_str("its Request-URI is in none of `domains`"),
        }
    }
}

/// A MESSAGE that this function answers, whatever the answer will be.
#[derive(Debug)]
pub struct Recognised<'m> {
    request: Request<'m>,
    accept_contact: Option<Malformed>,
    target: Result<SipUri<'m>, Malformed>,
}

/// What the checks need from outside.
pub struct World<'w, D, R> {
    /// The stored groups.
    pub groups: &'w mut D,
    /// The requests of the last 32 seconds.
    pub recent: &'w R,
    /// The time of arrival.
    pub now: SystemTime,
}

/// Row 2 of table A.1, and what row 1 says of others' requests: is the message ours?
pub fn recognise<'m>(policy: &Policy, bytes: &'m [u8]) -> Result<Recognised<'m>, NotOurs> {
    let request = Request::read(bytes).map_err(NotOurs::Unreadable)?;
    if request.method != b"MESSAGE" {
        return Err(NotOurs::Method);
    }
    let wish = accept_contact::wish(request.rows(HeaderName::AcceptContact), IM_TAG);
    let accept_contact = match wish {
        Ok(Wish::Wanted) => None,
        Ok(Wish::Broken(error)) => Some(error),
        Ok(Wish::Absent) | Err(_) => return Err(NotOurs::NoImTag),
    };
    let target = match Uri::parse(request.uri) {
        Ok(Uri::Sip(sip)) if policy.addressing.serves(sip.host) => Ok(sip),
        Ok(_) => return Err(NotOurs::ForeignDomain),
        Err(error) => Err(error.within("Request-URI")),
    };
    Ok(Recognised {
        request,
        accept_contact,
        target,
    })
}

/// A refusal before it is told of the message: the reason, and what exactly.
struct Failure {
    reason: Reason,
    detail: String,
    unsupported: Vec<u8>,
}

impl Failure {
    fn new(reason: Reason, detail: impl ToString) -> Self {
        Self {
            reason,
            detail: detail.to_string(),
            unsupported: Vec::new(),
        }
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self::new(reason, "")
    }
}

fn malformed(error: Malformed) -> Failure {
    Failure::new(Reason::Malformed, error)
}

/// The header fields that every request must have, read (row 1).
struct Essentials<'m> {
    from: NameAddr<'m>,
    key: RequestKey<'m>,
    max_forwards: Option<u8>,
    in_dialog: bool,
}

impl<'m> Recognised<'m> {
    /// Rows 1 and 3 to 12 of table A.1.
    pub fn decide<D: GroupDirectory, R: RecentRequests>(
        &self,
        policy: &Policy,
        source: &Source,
        world: &mut World<'_, D, R>,
    ) -> Decision {
        let mut originator = None;
        let outcome = self.check(policy, source, world, &mut originator);
        outcome.unwrap_or_else(|failure| {
            let claimed = self.request.value(HeaderName::From).unwrap_or_default();
            let claimed = NameAddr::parse("From", claimed).map(|from| from.uri.print(Form::Whole));
            Decision::Refused(Refusal {
                reason: failure.reason,
                detail: failure.detail,
                unsupported: failure.unsupported,
                originator,
                claimed: claimed.unwrap_or_default().into_bytes(),
                group: self.request.uri.to_vec(),
            })
        })
    }

    fn check<D: GroupDirectory, R: RecentRequests>(
        &self,
        policy: &Policy,
        source: &Source,
        world: &mut World<'_, D, R>,
        originator: &mut Option<Vec<u8>>,
    ) -> Result<Decision, Failure> {
        let essentials = self.essentials()?;
        let target = self.target.map_err(malformed)?;
        if essentials.in_dialog {
            return Err(Reason::InDialog.into());
        }
        let receipt = match world.recent.arrive(&essentials.key, world.now) {
            Arrival::New(receipt) => receipt,
            Arrival::Repeated => return Ok(Decision::Repeated),
            Arrival::Merged => return Err(Reason::Merged.into()),
        };
        if essentials.max_forwards == Some(0) {
            return Err(Reason::TooManyHops.into());
        }
        if !policy.pager_mode {
            return Err(Reason::PagerMode.into());
        }
        let group = world
            .groups
            .find(&target)
            .map_err(|error| Failure::new(Reason::Unavailable, error))?;
        if !policy.hide_groups {
            check_pager_mode(group.as_deref().ok_or(Reason::UnknownGroup)?)?;
        }
        self.check_require()?;
        let identity = self.authenticate(policy, source)?;
        let own_address = identity.addresses.first().ok_or(Reason::NoIdentity)?;
        *originator = Some(own_address.uri.print(Form::Whole).into_bytes());
        // An unknown group that is hidden is refused here, as one that the originator is not in.
        let group = group.ok_or(Reason::NotAuthorised)?;
        let members = own_members(&group, &identity, policy);
        if members.is_empty() {
            return Err(Reason::NotAuthorised.into());
        }
        check_pager_mode(&group)?;
        self.check_privacy(&essentials.from)?;
        let headers = self.content(policy, &essentials, &identity, world.now)?;
        let accepted = Accepted {
            excluded: excluded(&group, &members, policy),
            group,
            originator: originator.clone().unwrap_or_default(),
            from: headers.0,
            headers: headers.1,
            body: self.request.body.to_vec(),
            receipt,
        };
        if accepted.count() == 0 {
            return Err(Reason::NoRecipients.into());
        }
        Ok(Decision::Accepted(accepted))
    }

    /// Row 1: the message is well formed.
    fn essentials(&self) -> Result<Essentials<'m>, Failure> {
        if let Some(defect) = self.request.defect {
            return Err(malformed(defect));
        }
        if let Some(error) = self.accept_contact {
            return Err(Failure::new(Reason::AcceptContact, error));
        }
        self.read_essentials().map_err(malformed)
    }

    fn read_essentials(&self) -> Result<Essentials<'m>, Malformed> {
        let request = &self.request;
        let address = |name: HeaderName| {
            let value = request.required(name)?;
            NameAddr::parse(name.as_str(), value)
        };
        let from = address(HeaderName::From)?;
        let from_tag = from.tag()?;
        let from_tag = from_tag.ok_or_else(|| {
            let value = request.value(HeaderName::From).unwrap_or_default();
            Malformed::at("From", value, value.len(), "a tag")
        })?;
        let in_dialog = address(HeaderName::To)?.tag()?.is_some();
        let call_id = request.required(HeaderName::CallId)?;
        if call_id.is_empty() || call_id.iter().any(|byte| !byte.is_ascii_graphic()) {
            return Err(Malformed::at("Call-ID", call_id, 0, "one word"));
        }
        let sequence = request.required(HeaderName::CSeq)?;
        let (number, method) = cseq(sequence)?;
        if method != request.method {
            let offset = sequence.len() - method.len();
            return Err(Malformed::at(
                "CSeq",
                sequence,
                offset,
                "the method MESSAGE",
            ));
        }
        let via = request.value(HeaderName::Via).unwrap_or_default();
        if via.is_empty() {
            return Err(Malformed::at("Via", via, 0, "such a header"));
        }
        let hops = request.single(HeaderName::MaxForwards)?;
        Ok(Essentials {
            from,
            key: RequestKey {
                from_tag,
                call_id,
                cseq: number,
                via: split_first("Via", via, b',', Nesting::Quotes)?.0,
            },
            max_forwards: hops.map(max_forwards).transpose()?,
            in_dialog,
        })
    }

    /// Row 6: no extension is supported for stored groups, so none may be required.
    fn check_require(&self) -> Result<(), Failure> {
        let mut unsupported = Vec::new();
        for row in self.request.rows(HeaderName::Require) {
            for token in tokens(HeaderName::Require.as_str(), row) {
                if !unsupported.is_empty() {
                    unsupported.extend_from_slice(b", ");
                }
                unsupported.extend_from_slice(token.map_err(malformed)?);
            }
        }
        if unsupported.is_empty() {
            return Ok(());
        }
        Err(Failure {
            unsupported,
            ..Reason::Extension.into()
        })
    }

    /// Row 7, first half: who the trust domain says the originator is (A-7, I-1, I-2).
    fn authenticate(
        &self,
        policy: &Policy,
        source: &Source,
    ) -> Result<AssertedIdentity<'m>, Failure> {
        if !policy.trusts(source) {
            let address = source.address;
            let detail = format!("{address} is none of `trusted_peers`");
            return Err(Failure::new(Reason::NoIdentity, detail));
        }
        let rows = self.request.rows(HeaderName::PAssertedIdentity);
        let identity = AssertedIdentity::parse(rows)
            .map_err(|error| Failure::new(Reason::BadIdentity, error))?;
        if identity.addresses.is_empty() {
            let detail = "P-Asserted-Identity has no sip, sips or tel address";
            return Err(Failure::new(Reason::NoIdentity, detail));
        }
        Ok(identity)
    }

    /// Row 8: no anonymity wanted.
    fn check_privacy(&self, from: &NameAddr<'_>) -> Result<(), Failure> {
        let privacy = Privacy::parse(self.request.rows(HeaderName::Privacy))
            .map_err(|error| Failure::new(Reason::Privacy, error))?;
        if privacy.wants_anonymity() {
            return Err(Failure::new(Reason::Anonymity, "Privacy asks for it"));
        }
        if is_anonymous(&from.uri) {
            return Err(Failure::new(Reason::Anonymity, "From is anonymous"));
        }
        Ok(())
    }

    /// Row 10: what the forks carry can be read; the From and the header fields that they share.
    fn content(
        &self,
        policy: &Policy,
        essentials: &Essentials<'_>,
        identity: &AssertedIdentity<'_>,
        now: SystemTime,
    ) -> Result<(Vec<u8>, Vec<u8>), Failure> {
        let header = |error| Failure::new(Reason::Header, error);
        let request = &self.request;
        let lifetime = lifetime(request, now).map_err(header)?;
        if lifetime == Lifetime::Expired {
            return Err(Reason::Expired.into());
        }
        let content_type = request.single(HeaderName::ContentType).map_err(header)?;
        if content_type.is_none() && !request.body.is_empty() {
            return Err(Reason::ContentType.into());
        }
        let mut from = Vec::with_capacity(64);
        essentials.from.write(&mut from).map_err(header)?;
        let hops = essentials.max_forwards;
        let shared = shared_headers(request, policy, hops, identity, lifetime, now);
        Ok((from, shared.map_err(header)?))
    }
}

/// Row 5, second half: the flag of the group, with the same answer as the server's.
fn check_pager_mode(group: &Group) -> Result<(), Failure> {
    match group.pager_mode() {
        true => Ok(()),
        false => Err(Failure::new(Reason::PagerMode, "the group's own flag")),
    }
}

/// Row 7, second half: the members that the originator is. Without a ruleset only a member may
/// send (G-3); one of his addresses suffices (I-2).
fn own_members(
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

/// Row 11: which members get nothing although they could.
fn excluded(group: &Arc<Group>, members: &[u32], policy: &Policy) -> SmallVec<[u32; 2]> {
    let own = members.iter().copied().filter(|_| policy.skip_originator);
    own.filter(|&number| group.recipient(number).is_some())
        .collect()
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
