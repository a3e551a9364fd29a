//! Receiving a SIP MESSAGE, clause 7.5.1.x: the checks of table A.1 in their order.

use super::anonymity::check_privacy;
use super::charging;
use super::checks::Check;
use super::content::{Copy, DEFAULT_MAX_FORWARDS, hops_of_forks};
use super::decision::{Answer, Decision};
use super::delivery::{Delivery, Listing, content_id, excluded};
use super::directory::{Directory, Target};
use super::draft::Draft;
use super::essentials::Essentials;
use super::expiry::{Lifetime, lifetime};
use super::failure::{Failure, malformed};
use super::nesting::expand;
use super::notification::is_notification;
use super::observer::{Note, Observer, Unobserved};
use super::originator::{
    authenticate, authorise, authorise_for_services, check_from, wants_anonymity,
};
use super::passage::Passage;
use super::policy::Policy;
use super::recent::{Arrival, Circulating, RecentRequests, RequestKey};
use super::recognition::Recognised;
use super::refusal::{RETRY_AFTER, Reason, Refusal};
use super::rules::Asker;
use super::size::fit;
use super::trust::Source;
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
        self.decide_observed(policy, source, world, &mut Unobserved)
    }

    /// The same, for somebody who wants to know why.
    pub fn decide_observed<D: Directory, R: RecentRequests>(
        &self,
        policy: &Policy,
        source: &Source<'_>,
        world: &mut World<'_, D, R>,
        observer: &mut impl Observer,
    ) -> Decision {
        let mut originator = None;
        let outcome = self.check(policy, source, world, &mut originator, observer);
        outcome.unwrap_or_else(|failure| {
            let claimed = self.request.value(HeaderName::From).unwrap_or_default();
            let claimed = NameAddr::parse("From", claimed).map(|from| from.uri.print(Form::Whole));
            Decision::Refused(Refusal {
                retry_after: match failure.reason {
                    Reason::Unavailable => RETRY_AFTER,
                    _ => 0,
                },
                reason: failure.reason,
                detail: failure.detail,
                named: failure.named,
                originator,
                claimed: claimed.unwrap_or_default().into_bytes(),
                group: self.request.uri.to_vec(),
            })
        })
    }

    /// A refusal belongs to the check that was told to the observer last.
    fn check<D: Directory, R: RecentRequests>(
        &self,
        policy: &Policy,
        source: &Source<'_>,
        world: &mut World<'_, D, R>,
        originator: &mut Option<Vec<u8>>,
        observer: &mut impl Observer,
    ) -> Result<Decision, Failure> {
        observer.check(Check::WellFormed);
        let essentials = Essentials::of(self)?;
        if self.names_body_part {
            return Err(Reason::Scheme.into());
        }
        let address = self.target.map_err(malformed)?;
        observer.check(Check::Dialog);
        if essentials.in_dialog {
            return Err(Reason::InDialog.into());
        }
        observer.check(Check::Repetition);
        let receipt = match world.recent.arrive(&essentials.key, world.now) {
            Arrival::New(receipt) => receipt,
            Arrival::Repeated => return Ok(Decision::Repeated),
            Arrival::Merged => return Err(Reason::Merged.into()),
        };
        observer.check(Check::Hops);
        if essentials.max_forwards == Some(0) {
            return Err(Reason::TooManyHops.into());
        }
        observer.note(|| note_of_hops(essentials.max_forwards));
        observer.check(Check::Breadth);
        if essentials.max_breadth == Some(0) {
            return Err(Reason::NoBreadth.into());
        }
        observer.check(Check::PagerMode);
        if !policy.pager_mode {
            return Err(Failure::new(Reason::PagerMode, "pager_mode=0"));
        }
        observer.check(Check::Target);
        let target = world
            .groups
            .find(&address)
            .map_err(|error| Failure::new(Reason::Unavailable, error))?;
        observer.note(|| note_of_target(target.as_ref(), policy));
        if !policy.hide_groups {
            check_pager_mode(target.as_ref().ok_or(Reason::UnknownGroup)?, observer)?;
        }
        check_require(&essentials, target.as_ref(), policy, observer)?;
        let sender = authenticate(&self.request, &essentials.from, policy, source, observer)?;
        let own_address = sender.identity.addresses.first();
        let own_address = own_address.ok_or(Reason::NoIdentity)?;
        *originator = Some(own_address.uri.print(Form::Whole).into_bytes());
        check_from(&essentials.from, &sender, policy, observer)?;
        let asker = Asker {
            identity: &sender.identity,
            anonymous: wants_anonymity(&self.request, &essentials.from),
            now: world.now,
        };
        observer.check(Check::Authorisation);
        // An unknown group that is hidden is refused here, as one that the originator is not in.
        let target = target.ok_or(Reason::NotAuthorised)?;
        let permissions = match &target {
            Target::Group(group) => authorise(group, &asker, policy, observer)?,
            Target::Service(_) => authorise_for_services(&sender.identity, policy, observer)?,
        };
        if policy.hide_groups {
            check_pager_mode(&target, observer)?;
        }
        let from = &essentials.from;
        let anonymous = check_privacy(&self.request, from, policy, &permissions, observer)?;
        let lifetime = self.check_lifetime(world.now, observer)?;
        self.check_body_type(observer)?;
        observer.check(Check::Notification);
        if is_notification(&self.request) {
            return Err(Reason::Notification.into());
        }
        let request = &self.request;
        let listing = Listing {
            request,
            content_id: content_id(&address, policy),
            receipt,
            anonymous,
            policy,
        };
        let payload = listing.payload(&target, observer)?;
        let (groups, identity) = (&mut *world.groups, &sender.identity);
        let Delivery {
            listed,
            content,
            has_history,
            with_entry,
        } = match &target {
            Target::Group(group) => {
                observer.check(Check::Members);
                let group = expand(group.clone(), groups, &asker, policy, observer)?;
                listing.to_group(payload.as_ref(), group, identity, groups, observer)?
            }
            Target::Service(service) => {
                let payload = payload.as_ref().ok_or(Reason::NoList)?;
                listing.to_service(payload, service, groups, observer)?
            }
        };
        let draft = Draft {
            copy: Copy {
                request,
                essentials: &essentials,
                passage: &Passage::new(policy, source, &sender, target.uri(), anonymous),
                accept_contact: self.accept_contact_of_forks(policy),
                lifetime,
                now: world.now,
            },
            listed: &listed,
            originator: originator.as_deref().unwrap_or_default(),
            receipt,
        };
        let mut accepted = draft.with(content, with_entry, observer)?;
        observer.check(Check::AnyRecipient);
        let skip_originator = match &target {
            Target::Group(_) => policy.skip_originator,
            Target::Service(_) => policy.skip_originator_of_lists,
        };
        let group = &listed.group;
        accepted.excluded = excluded(group, identity, policy, skip_originator, observer);
        if accepted.count() == 0 {
            return Err(match target {
                Target::Group(_) => Reason::NoRecipients.into(),
                Target::Service(_) => Reason::NobodyListed.into(),
            });
        }
        observer.note(|| Note::fact("", format!("recipients: {}", accepted.count())));
        let smaller = || {
            let content = listing.without_history(payload.as_ref())?;
            draft.with(content, Vec::new(), &mut Unobserved)
        };
        fit(
            &mut accepted,
            has_history.then_some(smaller),
            policy,
            observer,
        )?;
        observer.check(Check::Loop);
        if policy.detects_loops {
            let circulating = Circulating {
                originator: &accepted.originator,
                target: target.uri().as_bytes(),
                payload: request.body,
                max_forwards: essentials.max_forwards.unwrap_or(DEFAULT_MAX_FORWARDS),
            };
            if world.recent.has_come_back(&circulating, world.now) {
                return Err(Reason::Loop.into());
            }
        }
        Ok(Decision::Accepted(accepted))
    }

    /// What the forks ask for.
    fn accept_contact_of_forks<'p>(&self, policy: &'p Policy) -> &'p [u8] {
        let feature = policy.features.get(self.feature);
        feature.map_or(b"", |feature| &feature.accept_contact)
    }

    /// What makes the request the same as another; nothing if it is broken.
    pub fn key(&self) -> Option<RequestKey<'_>> {
        let essentials = Essentials::of(self).ok();
        essentials.map(|essentials| essentials.key)
    }

    /// The answer that a decision about this message asks for.
    pub fn answer(&self, decision: &Decision, policy: &Policy, source: &Source<'_>) -> Answer {
        let mut answer = decision.answer(&policy.server_name);
        let charging = charging::of_answer(&self.request, policy, source);
        answer.headers.extend_from_slice(&charging);
        answer
    }

    /// Row 10, first of all: the message is of interest still.
    fn check_lifetime(
        &self,
        now: SystemTime,
        observer: &mut impl Observer,
    ) -> Result<Lifetime, Failure> {
        observer.check(Check::Lifetime);
        match lifetime(&self.request, now) {
            Ok(Lifetime::Expired) => Err(Reason::Expired.into()),
            Ok(lifetime) => Ok(lifetime),
            Err(error) => Err(Failure::new(Reason::Header, error)),
        }
    }

    /// Row 10, then: a body is of some type.
    fn check_body_type(&self, observer: &mut impl Observer) -> Result<(), Failure> {
        observer.check(Check::BodyType);
        let content_type = self.request.single(HeaderName::ContentType);
        let content_type = content_type.map_err(|error| Failure::new(Reason::Header, error))?;
        if content_type.is_none() && !self.request.body.is_empty() {
            return Err(Reason::ContentType.into());
        }
        Ok(())
    }
}

/// The option tag of the URI-list service (U-3), the only one that is understood.
pub(super) const LIST_MESSAGE: &[u8] = b"recipient-list-message";

/// Row 6: every option that is required is understood, and required where the policy insists on it.
fn check_require(
    essentials: &Essentials<'_>,
    target: Option<&Target>,
    policy: &Policy,
    observer: &mut impl Observer,
) -> Result<(), Failure> {
    observer.check(Check::Require);
    let is_known = |option: &[u8]| option.eq_ignore_ascii_case(LIST_MESSAGE);
    let required = essentials.required.iter().copied();
    observer.notes(|| {
        required.clone().map(|option| match is_known(option) {
            true => Note::taken(option, "understood"),
            false => Note::left(option, "not understood"),
        })
    });
    let (known, unknown): (Vec<&[u8]>, Vec<&[u8]>) = required.partition(|option| is_known(option));
    if !unknown.is_empty() {
        return Err(Failure {
            named: unknown.join(&b", "[..]),
            ..Reason::Extension.into()
        });
    }
    let is_service = matches!(target, Some(Target::Service(_)));
    if policy.requires_option_tag && is_service && known.is_empty() {
        return Err(Reason::OptionTagMissing.into());
    }
    Ok(())
}

/// Row 5, second half: the flag of the group or service, with the server's answer.
fn check_pager_mode(target: &Target, observer: &mut impl Observer) -> Result<(), Failure> {
    observer.check(Check::TargetPagerMode);
    match target.pager_mode() {
        true => Ok(()),
        false => Err(Failure::new(Reason::PagerMode, "the group's own flag")),
    }
}

fn note_of_hops(received: Option<u8>) -> Note {
    let sent = hops_of_forks(received);
    let text = match received {
        Some(hops) => format!("{hops}; the outgoing messages get {sent}"),
        None => format!("there is none; the outgoing messages get {sent}"),
    };
    Note::fact("Max-Forwards", text)
}

fn note_of_target(target: Option<&Target>, policy: &Policy) -> Note {
    match target {
        Some(Target::Group(group)) => {
            let rules = match group.rules() {
                Some(_) => "with rules",
                None => "without rules",
            };
            let members = group.members();
            Note::taken(
                group.uri(),
                format!("a stored group {rules}, members: {members}"),
            )
        }
        Some(Target::Service(service)) => Note::taken(&service.uri, "a service for lists"),
        None if policy.hide_groups => Note::left(
            "",
            "neither; hide_groups=1 lets the originator not see that, so the checks go on",
        ),
        None => Note::left("", "neither a group nor a service of this server"),
    }
}
