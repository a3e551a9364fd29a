//! Receiving a SIP MESSAGE, clause 7.5.1.x: the checks of table A.1 in their order.

use super::content::shared_headers;
use super::decision::{Accepted, Decision};
use super::directory::{Directory, Target};
use super::essentials::Essentials;
use super::expiry::{Lifetime, lifetime};
use super::failure::{Failure, malformed};
use super::group::Group;
use super::nesting::expand;
use super::originator::{authenticate, authorise, check_privacy, own_members, wants_anonymity};
use super::policy::Policy;
use super::recent::{Arrival, RecentRequests};
use super::recognition::Recognised;
use super::refusal::{Reason, Refusal};
use super::rules::Asker;
use super::trust::Source;
use crate::sip::identity::AssertedIdentity;
use crate::sip::token_list::tokens;
use crate::sip::uri::Form;
use crate::sip::{HeaderName, NameAddr};
use smallvec::SmallVec;
use std::time::SystemTime;

/// What the checks need from outside.
pub struct World<'w, D, R> {
    /// The stored groups.
    pub groups: &'w mut D,
    /// The requests of the last 32 seconds.
    pub recent: &'w R,
    /// The time of arrival.
    pub now: SystemTime,
}

impl Recognised<'_> {
    /// Rows 1 and 3 to 12 of table A.1.
    pub fn decide<D: Directory, R: RecentRequests>(
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

    fn check<D: Directory, R: RecentRequests>(
        &self,
        policy: &Policy,
        source: &Source,
        world: &mut World<'_, D, R>,
        originator: &mut Option<Vec<u8>>,
    ) -> Result<Decision, Failure> {
        let essentials = Essentials::of(self)?;
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
        let group = group.and_then(|target| match target {
            Target::Group(group) => Some(group),
            Target::Service(_) => None,
        });
        if !policy.hide_groups {
            check_pager_mode(group.as_deref().ok_or(Reason::UnknownGroup)?)?;
        }
        self.check_require()?;
        let identity = authenticate(&self.request, policy, source)?;
        let own_address = identity.addresses.first().ok_or(Reason::NoIdentity)?;
        *originator = Some(own_address.uri.print(Form::Whole).into_bytes());
        // An unknown group that is hidden is refused here, as one that the originator is not in.
        let group = group.ok_or(Reason::NotAuthorised)?;
        let asker = Asker {
            identity: &identity,
            anonymous: wants_anonymity(&self.request, &essentials.from),
            now: world.now,
        };
        authorise(&group, &asker, policy)?;
        check_pager_mode(&group)?;
        check_privacy(&self.request, &essentials.from)?;
        let headers = self.content(policy, &essentials, &identity, world.now)?;
        let group = expand(group, world.groups, &asker, policy)?;
        let members = own_members(&group, &identity, policy);
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

/// Row 11: which members get nothing although they could.
fn excluded(group: &Group, members: &[u32], policy: &Policy) -> SmallVec<[u32; 2]> {
    let own = members.iter().copied().filter(|_| policy.skip_originator);
    own.filter(|&number| group.recipient(number).is_some())
        .collect()
}
