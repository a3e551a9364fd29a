//! Receiving a SIP MESSAGE, clause 7.5.1.x: the checks of table A.1 in their order.

use super::anonymity::check_privacy;
use super::charging::{self, ForkCharging};
use super::content::shared_headers;
use super::decision::{Accepted, Answer, Decision};
use super::directory::{Directory, Target};
use super::essentials::Essentials;
use super::expiry::{Lifetime, lifetime};
use super::failure::{Failure, malformed};
use super::group::Group;
use super::nesting::expand;
use super::originator::{authenticate, authorise, check_from, own_members, wants_anonymity};
use super::passage::Passage;
use super::policy::Policy;
use super::recent::{Arrival, RecentRequests};
use super::recognition::Recognised;
use super::refusal::{Reason, Refusal};
use super::rules::Asker;
use super::trust::Source;
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
        source: &Source<'_>,
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
        source: &Source<'_>,
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
        check_require(&essentials)?;
        let sender = authenticate(&self.request, &essentials.from, policy, source)?;
        let own_address = sender.identity.addresses.first();
        let own_address = own_address.ok_or(Reason::NoIdentity)?;
        *originator = Some(own_address.uri.print(Form::Whole).into_bytes());
        check_from(&essentials.from, &sender, policy)?;
        // An unknown group that is hidden is refused here, as one that the originator is not in.
        let group = group.ok_or(Reason::NotAuthorised)?;
        let asker = Asker {
            identity: &sender.identity,
            anonymous: wants_anonymity(&self.request, &essentials.from),
            now: world.now,
        };
        let permissions = authorise(&group, &asker, policy)?;
        if policy.hide_groups {
            check_pager_mode(&group)?;
        }
        let anonymous = check_privacy(&self.request, &essentials.from, policy, &permissions)?;
        let passage = Passage::new(policy, source, &sender, group.uri(), anonymous);
        let (from, mut headers) = self.content(&essentials, &passage, world.now)?;
        let charging = match charging::of_forks(&self.request, &passage) {
            ForkCharging::Absent => Vec::new(),
            ForkCharging::Shared(header) => {
                headers.extend_from_slice(&header);
                Vec::new()
            }
            ForkCharging::Each(tail) => tail,
        };
        let group = expand(group, world.groups, &asker, policy)?;
        let members = own_members(&group, &sender.identity, policy);
        let accepted = Accepted {
            excluded: excluded(&group, &members, policy),
            group,
            originator: originator.clone().unwrap_or_default(),
            from,
            headers,
            charging,
            body: self.request.body.to_vec(),
            receipt,
        };
        if accepted.count() == 0 {
            return Err(Reason::NoRecipients.into());
        }
        Ok(Decision::Accepted(accepted))
    }

    /// What the forks ask for.
    fn accept_contact_of_forks<'p>(&self, policy: &'p Policy) -> &'p [u8] {
        let feature = policy.features.get(self.feature);
        feature.map_or(b"", |feature| &feature.accept_contact)
    }

    /// The answer that a decision about this message asks for.
    pub fn answer(&self, decision: &Decision, policy: &Policy, source: &Source<'_>) -> Answer {
        let mut answer = decision.answer(&policy.server_name);
        let charging = charging::of_answer(&self.request, policy, source);
        answer.headers.extend_from_slice(&charging);
        answer
    }

    /// Row 10: what the forks carry can be read; the From and the header fields that they share.
    fn content(
        &self,
        essentials: &Essentials<'_>,
        passage: &Passage<'_, '_>,
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
        let from = passage.from(&essentials.from).map_err(header)?;
        let hops = essentials.max_forwards;
        let accept_contact = self.accept_contact_of_forks(passage.policy);
        let shared = shared_headers(request, passage, accept_contact, hops, lifetime, now);
        Ok((from, shared.map_err(header)?))
    }
}

/// Row 6: no extension is supported for stored groups, so none may be required.
fn check_require(essentials: &Essentials<'_>) -> Result<(), Failure> {
    if essentials.required.is_empty() {
        return Ok(());
    }
    Err(Failure {
        unsupported: essentials.required.join(&b", "[..]),
        ..Reason::Extension.into()
    })
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
