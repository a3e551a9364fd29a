//! Receiving a SIP MESSAGE, clause 7.5.1.x: the checks of table A.1 in their order.

use super::anonymity::check_privacy;
use super::charging::{self, ForkCharging};
use super::content::shared_headers;
use super::decision::{Accepted, Answer, Decision};
use super::delivery::{Delivery, Listing, content_id};
use super::directory::{Directory, Target};
use super::essentials::Essentials;
use super::expiry::{Lifetime, lifetime};
use super::failure::{Failure, malformed};
use super::nesting::expand;
use super::originator::{authenticate, authorise, check_from, wants_anonymity};
use super::own_content::OwnContent;
use super::own_headers::OwnHeaders;
use super::passage::Passage;
use super::policy::Policy;
use super::recent::{Arrival, RecentRequests};
use super::recognition::Recognised;
use super::refusal::{Reason, Refusal};
use super::rules::{Asker, Permissions};
use super::trust::Source;
use crate::sip::identity::AssertedIdentity;
use crate::sip::uri::Form;
use crate::sip::{HeaderName, NameAddr};
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
                named: failure.named,
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
        if self.names_body_part {
            return Err(Reason::Scheme.into());
        }
        let address = self.target.map_err(malformed)?;
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
        let target = world
            .groups
            .find(&address)
            .map_err(|error| Failure::new(Reason::Unavailable, error))?;
        if !policy.hide_groups {
            check_pager_mode(target.as_ref().ok_or(Reason::UnknownGroup)?)?;
        }
        check_require(&essentials)?;
        let sender = authenticate(&self.request, &essentials.from, policy, source)?;
        let own_address = sender.identity.addresses.first();
        let own_address = own_address.ok_or(Reason::NoIdentity)?;
        *originator = Some(own_address.uri.print(Form::Whole).into_bytes());
        check_from(&essentials.from, &sender, policy)?;
        let asker = Asker {
            identity: &sender.identity,
            anonymous: wants_anonymity(&self.request, &essentials.from),
            now: world.now,
        };
        // An unknown group that is hidden is refused here, as one that the originator is not in.
        let target = target.ok_or(Reason::NotAuthorised)?;
        let permissions = match &target {
            Target::Group(group) => authorise(group, &asker, policy)?,
            Target::Service(_) => authorise_for_services(&sender.identity, policy)?,
        };
        if policy.hide_groups {
            check_pager_mode(&target)?;
        }
        let anonymous = check_privacy(&self.request, &essentials.from, policy, &permissions)?;
        let passage = Passage::new(policy, source, &sender, target.uri(), anonymous);
        self.check_lifetime_and_type(world.now)?;
        let listing = Listing {
            request: &self.request,
            content_id: content_id(&address, policy),
            receipt,
            anonymous,
            policy,
        };
        let payload = listing.payload(&target)?;
        let Delivery {
            listed,
            excluded,
            content,
            with_entry,
        } = match &target {
            Target::Group(group) => {
                let group = expand(group.clone(), world.groups, &asker, policy)?;
                listing.to_group(payload.as_ref(), group, &sender.identity, world.groups)?
            }
            Target::Service(service) => {
                let payload = payload.as_ref().ok_or(Reason::NoList)?;
                listing.to_service(payload, service, &sender.identity, world.groups)?
            }
        };
        let headers = content.as_ref().map(|content| content.headers.as_slice());
        let (from, mut headers) = self.content(&essentials, &passage, world.now, headers)?;
        let charging = match charging::of_forks(&self.request, &passage) {
            ForkCharging::Absent => Vec::new(),
            ForkCharging::Shared(header) => {
                headers.extend_from_slice(&header);
                Vec::new()
            }
            ForkCharging::Each(tail) => tail,
        };
        let own = OwnContent {
            headers: match anonymous {
                // I-6: what a URI sets is the sender's word, as Subject is.
                true => OwnHeaders::default(),
                false => OwnHeaders::take(&listed, policy, &mut headers),
            },
            entry_at: content.as_ref().and_then(|content| content.entry_at),
            with_entry,
        };
        let accepted = Accepted {
            excluded,
            group: listed.group,
            originator: originator.clone().unwrap_or_default(),
            from,
            headers,
            charging,
            body: content.map_or_else(|| self.request.body.to_vec(), |content| content.body),
            own,
            receipt,
        };
        if accepted.count() == 0 {
            return Err(match target {
                Target::Group(_) => Reason::NoRecipients.into(),
                Target::Service(_) => Reason::NobodyListed.into(),
            });
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

    /// Row 10, first half: the message is of interest still, and its body is of some type.
    fn check_lifetime_and_type(&self, now: SystemTime) -> Result<(), Failure> {
        let header = |error| Failure::new(Reason::Header, error);
        if lifetime(&self.request, now).map_err(header)? == Lifetime::Expired {
            return Err(Reason::Expired.into());
        }
        let content_type = self.request.single(HeaderName::ContentType);
        if content_type.map_err(header)?.is_none() && !self.request.body.is_empty() {
            return Err(Reason::ContentType.into());
        }
        Ok(())
    }

    /// Row 10, still: the From and the header fields that the forks share; `content` takes the place
    /// of those that tell of the body.
    fn content(
        &self,
        essentials: &Essentials<'_>,
        passage: &Passage<'_, '_>,
        now: SystemTime,
        content: Option<&[u8]>,
    ) -> Result<(Vec<u8>, Vec<u8>), Failure> {
        let header = |error| Failure::new(Reason::Header, error);
        let request = &self.request;
        let lifetime = lifetime(request, now).map_err(header)?;
        let from = passage.from(&essentials.from).map_err(header)?;
        let hops = essentials.max_forwards;
        let accept_contact = self.accept_contact_of_forks(passage.policy);
        let shared = shared_headers(
            request,
            passage,
            accept_contact,
            hops,
            lifetime,
            now,
            content,
        );
        Ok((from, shared.map_err(header)?))
    }
}

/// Row 7, second half, for a service.
fn authorise_for_services(
    identity: &AssertedIdentity<'_>,
    policy: &Policy,
) -> Result<Permissions, Failure> {
    if policy.may_use_services(identity) {
        return Ok(Permissions {
            send: true,
            anonymity: false,
        });
    }
    let detail = "he is no local subscriber and not in `service_acl`";
    Err(Failure::new(Reason::NotAuthorised, detail))
}

/// The option tag of the URI-list service (U-3), the only one that is understood.
const LIST_MESSAGE: &[u8] = b"recipient-list-message";

/// Row 6: every option that is required is understood.
fn check_require(essentials: &Essentials<'_>) -> Result<(), Failure> {
    let required = essentials.required.iter();
    let unknown: Vec<&[u8]> = required
        .copied()
        .filter(|option| !option.eq_ignore_ascii_case(LIST_MESSAGE))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Failure {
        named: unknown.join(&b", "[..]),
        ..Reason::Extension.into()
    })
}

/// Row 5, second half: the flag of the group or service, with the server's answer.
fn check_pager_mode(target: &Target) -> Result<(), Failure> {
    match target.pager_mode() {
        true => Ok(()),
        false => Err(Failure::new(Reason::PagerMode, "the group's own flag")),
    }
}
