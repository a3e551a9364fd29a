//! Receiving a SIP MESSAGE, clause 7.5.1.x: the checks of table A.1 in their order.

use super::accepted::Accepted;
use super::anonymity::check_privacy;
use super::anonymous_body::cleaned;
use super::caller_preferences;
use super::charging;
use super::check_reasons::Reason;
use super::checks::Check;
use super::decision::{Decision, Ended};
use super::delivery::{Listing, content_id};
use super::directory::{Directory, Target};
use super::draft::Draft;
use super::expires::{Lifetime, lifetime};
use super::failure::Failure;
use super::from_group::{FromGroup, unlabelled};
use super::loops::check_loop;
use super::max_breadth;
use super::notification::{is_composing, is_notification};
use super::observer::{Observer, Unobserved};
use super::originator::{
    OwnMembers, authenticate, authorise, authorise_for_services, check_from, own_members,
    wants_anonymity,
};
use super::permissions::Permissions;
use super::policy::Policy;
use super::recognition::Recognised;
use super::refusal::{RETRY_AFTER, Refusal};
use super::request_checks::{
    check_again, check_pager_mode, check_path, check_require, find_target,
};
use super::request_memory::{Receipt, RecentRequests, RequestContent, RequestKey};
use super::rules::Asker;
use super::shared_headers::CopySource;
use super::size::fit;
use super::skip_originator::exclude;
use super::trust_domain::TrustDomain;
use super::unreadable;
use super::world::{Source, World};
use crate::config::{Composing, Notifications};
use crate::sip::address_text::without_password;
use crate::sip::uri::Form;
use crate::sip::{HeaderName, NameAddr, Request};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::SystemTime;

impl<'m> Recognised<'m> {
    /// Rows 1 and 3 to 12 of table A.1.
    pub fn decide<D: Directory, R: RecentRequests>(
        &self,
        policy: &Policy,
        source: &Source<'_>,
        world: &mut World<'_, D, R>,
    ) -> Decision<'m> {
        self.decide_observed(policy, source, world, &mut Unobserved)
    }

    /// The same, for somebody who wants to know why.
    pub fn decide_observed<D: Directory, R: RecentRequests>(
        &self,
        policy: &Policy,
        source: &Source<'_>,
        world: &mut World<'_, D, R>,
        observer: &mut impl Observer,
    ) -> Decision<'m> {
        let (mut originator, mut noted) = (None, None);
        let outcome = self.check(policy, source, world, &mut originator, &mut noted, observer);
        outcome.unwrap_or_else(|failure| {
            let claimed = match &self.mandatory {
                Ok(mandatory) => Some(mandatory.from.uri),
                Err(_) => {
                    let from = self.request.value(HeaderName::From).unwrap_or_default();
                    NameAddr::parse("From", from).ok().map(|from| from.uri)
                }
            };
            let claimed = claimed.map(|uri| uri.print(Form::Whole));
            Decision::Refused(Refusal {
                retry_after: match failure.reason {
                    Reason::Unavailable => RETRY_AFTER,
                    _ => 0,
                },
                reason: failure.reason,
                detail: failure.detail,
                named: failure.named,
                originator,
                receipt: noted,
                claimed: claimed.unwrap_or_default().into_bytes(),
                group: without_password(self.request.uri).into_owned(),
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
        noted: &mut Option<Receipt>,
        observer: &mut impl Observer,
    ) -> Result<Decision<'m>, Failure> {
        let (mandatory, address) = self.check_form(observer)?;
        let receipt = match check_path(mandatory, world, observer)? {
            ControlFlow::Continue(receipt) => receipt,
            ControlFlow::Break(decision) => return Ok(decision),
        };
        let target = find_target(&address, policy, world.groups, observer)?;
        // Hidden, a service that needs an option tag is told from no other address (A.1).
        if !policy.settings.hide_groups {
            check_require(mandatory, target.as_ref(), policy, observer)?;
        }
        let (request, from) = (&self.request, &mandatory.from);
        let sender = authenticate(request, from, policy, source, observer)?;
        let identity = &sender.identity;
        let own_address = identity.addresses.first().ok_or(Reason::NoIdentity)?;
        let own_address = policy.addressing.address_of_record(&own_address.uri);
        let own_address = originator.insert(own_address).as_slice();
        check_from(from, &sender, policy, observer)?;
        let asker = Asker {
            identity,
            anonymous: wants_anonymity(request, from),
            now: world.now,
        };
        let (target, permissions, own) = check_authority(target, &asker, policy, observer)?;
        let content = self.content(own_address);
        let receipt = match check_again(receipt, &content, world, observer)? {
            ControlFlow::Continue(receipt) => *noted.insert(receipt),
            ControlFlow::Break(decision) => return Ok(decision),
        };
        if policy.settings.hide_groups {
            check_require(mandatory, Some(&target), policy, observer)?;
        }
        let anonymous = check_privacy(request, from, policy, &permissions, observer)?;
        let lifetime = match check_content(request, policy, world.now, observer)? {
            ContentCheck::GoesOn(lifetime) => lifetime,
            ContentCheck::Ends(what) => {
                return Ok(Decision::Ended(Ended {
                    what,
                    originator: own_address.to_vec(),
                    group: target.uri().to_owned(),
                    receipt,
                }));
            }
        };
        let from_group = match &target {
            Target::Group(group) => FromGroup::of(policy, group, &own, identity, anonymous),
            // An answer to a service would name no recipients.
            Target::UriListService(_) => None,
        };
        let content_id = content_id(&address, policy);
        let cleaned = match anonymous {
            true => cleaned(request, content_id.as_deref())?,
            false => None,
        };
        let cleaned = cleaned.as_deref().map(|body| request.with_body(body));
        let payload_of = cleaned.as_ref().unwrap_or(request);
        let listing = Listing {
            request: payload_of,
            content_id,
            receipt,
            anonymous,
            policy,
        };
        let payload = listing.payload(&target, observer)?;
        let payload = payload.as_ref();
        let delivery = listing.delivery(&target, payload, &asker, world.groups, observer)?;
        let draft = Draft {
            copy: CopySource {
                request,
                mandatory,
                trust_domain: &TrustDomain::new(
                    policy,
                    source,
                    &sender,
                    target.uri(),
                    anonymous,
                    from_group,
                ),
                charging: self.charging.as_ref(),
                accept_contact: caller_preferences::accept_contact(
                    self.feature.as_ref().ok().copied(),
                    policy,
                ),
                lifetime,
                now: world.now,
            },
            listed: &delivery.listed,
            originator: own_address,
            receipt,
        };
        let mut accepted = draft.with(delivery.content, delivery.with_entry, observer)?;
        check_text(&accepted, request, policy, observer)?;
        let own = match &target {
            Target::Group(group) if Arc::ptr_eq(group, &accepted.group) => own,
            // Others get it than the group's own members.
            _ => own_members(&accepted.group, identity, policy),
        };
        let kept_out = delivery.kept_out;
        exclude(&mut accepted, &target, own, kept_out, policy, observer)?;
        let spread = |accepted: &mut Accepted<'_>| {
            max_breadth::spread(&policy.settings, mandatory.max_breadth, accepted);
        };
        spread(&mut accepted);
        let excluded = accepted.excluded.clone();
        let smaller = || {
            let content = listing.without_history(payload)?;
            let mut smaller = draft.with(content, Vec::new(), &mut Unobserved)?;
            smaller.excluded = excluded;
            spread(&mut smaller);
            Ok(smaller)
        };
        let smaller = delivery.has_history.then_some(smaller);
        fit(&mut accepted, smaller, policy, observer)?;
        check_loop(
            &accepted,
            &target,
            mandatory,
            unlabelled(request, policy),
            policy,
            world,
            observer,
        )?;
        unreadable::tell(request, self.charging.as_ref(), &accepted, policy, source);
        Ok(Decision::Accepted(accepted))
    }

    /// What the request asks for, from an originator who has been authenticated.
    pub fn content<'c>(&'c self, originator: &'c [u8]) -> RequestContent<'c> {
        RequestContent {
            originator,
            request_uri: self.request.uri,
            body: self.request.body,
        }
    }

    /// What makes the request the same as another; nothing if it is broken.
    pub fn key(&self) -> Option<RequestKey<'_>> {
        let mandatory = self.mandatory.as_ref().ok();
        mandatory.map(|mandatory| mandatory.key)
    }

    /// The header fields that every answer to this message has, each with its CRLF.
    pub fn headers_of_answers(&self, policy: &Policy, source: &Source<'_>) -> Vec<u8> {
        let mut headers = Vec::new();
        charging::write_of_answer(self.charging.as_ref(), policy, source, &mut headers);
        headers
    }
}

/// Row 7, second half: the group, or the server for a service, allows the originator to send. Also returns which members
/// of the group they are.
pub(super) fn check_authority(
    target: Option<Target>,
    asker: &Asker<'_, '_>,
    policy: &Policy,
    observer: &mut impl Observer,
) -> Result<(Target, Permissions, OwnMembers), Failure> {
    observer.check(Check::Authorisation);
    // An unknown group that is hidden is refused here, as one that the originator is not in.
    let target = target.ok_or(Reason::NotAuthorised)?;
    let own = match &target {
        Target::Group(group) => own_members(group, asker.identity, policy),
        Target::UriListService(_) => OwnMembers::new(),
    };
    let permissions = match &target {
        Target::Group(group) => authorise(group, &own, asker, policy, observer)?,
        Target::UriListService(_) => authorise_for_services(asker.identity, policy, observer)?,
    };
    if policy.settings.hide_groups {
        check_pager_mode(&target, observer)?;
    }
    Ok((target, permissions, own))
}

/// Row 10, what holds of every body: the message is of interest still, its body is of some type, and
/// it is no disposition notification.
fn check_content(
    request: &Request<'_>,
    policy: &Policy,
    now: SystemTime,
    observer: &mut impl Observer,
) -> Result<ContentCheck, Failure> {
    let unreadable = |error| Failure::new(Reason::Header, error);
    observer.check(Check::Lifetime);
    let lifetime = match lifetime(request, now).map_err(unreadable)? {
        Lifetime::Expired => return Err(Reason::Expired.into()),
        lifetime => lifetime,
    };
    observer.check(Check::BodyType);
    let content_type = request.single(HeaderName::ContentType);
    if content_type.map_err(unreadable)?.is_none() && !request.body.is_empty() {
        return Err(Reason::ContentType.into());
    }
    observer.check(Check::Notification);
    if is_notification(request) {
        return match policy.settings.notifications {
            Notifications::Accept => Ok(ContentCheck::Ends(
                "disposition notification (notifications=accept)",
            )),
            Notifications::Refuse => Err(Reason::Notification.into()),
        };
    }
    if policy.settings.composing == Composing::Drop && is_composing(request) {
        return Ok(ContentCheck::Ends("composing indication (composing=drop)"));
    }
    Ok(ContentCheck::GoesOn(lifetime))
}

/// What the content of a message means for it.
enum ContentCheck {
    /// It goes to the members.
    GoesOn(Lifetime),
    /// It is answered 202 and goes nowhere; the text says what it is.
    Ends(&'static str),
}

/// Where copies have to be UTF-8 throughout: they are, and their body is not encoded.
fn check_text(
    accepted: &Accepted<'_>,
    request: &Request<'_>,
    policy: &Policy,
    observer: &mut impl Observer,
) -> Result<(), Failure> {
    if !policy.settings.utf8_only {
        return Ok(());
    }
    observer.check(Check::Text);
    let encoding = request.value(HeaderName::ContentEncoding);
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
        return Err(Failure::new(Reason::NotText, "the body is encoded"));
    }
    let parts: [(&str, &[u8]); 3] = [
        ("From", &accepted.from),
        ("a header field", &accepted.headers),
        ("the body", &accepted.body),
    ];
    let broken = parts.into_iter().find_map(|(part, text)| {
        let error = std::str::from_utf8(text).err()?;
        Some(format!(
            "{part} is not UTF-8 at offset {}",
            error.valid_up_to()
        ))
    });
    broken.map_or(Ok(()), |detail| Err(Failure::new(Reason::NotText, detail)))
}
