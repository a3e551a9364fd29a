//! What holds of every request, before it is asked who sent it: table A.1, rows 1 and 3 to 6.

use super::check_reasons::Reason;
use super::checks::Check;
use super::decision::{Decision, Undecided};
use super::directory::{Directory, Target};
use super::failure::{Failure, malformed};
use super::mandatory_headers::MandatoryHeaders;
use super::observer::{Note, Observer};
use super::policy::Policy;
use super::recognition::Recognised;
use super::request_memory::{Arrival, Receipt, RecentRequests, RequestContent};
use super::shared_headers::hops_of_forks;
use super::world::World;
use crate::sip::SipUri;
use std::ops::ControlFlow;

impl<'m> Recognised<'m> {
    /// Row 1: the message is well formed, and its Request-URI an address.
    pub(super) fn check_form(
        &self,
        observer: &mut impl Observer,
    ) -> Result<(&MandatoryHeaders<'m>, SipUri<'m>), Failure> {
        observer.check(Check::WellFormed);
        let mandatory = self.mandatory.as_ref().map_err(Failure::clone)?;
        if self.names_body_part {
            return Err(Reason::Scheme.into());
        }
        Ok((mandatory, self.target.map_err(malformed)?))
    }
}

/// Row 3: the request is in no dialog, is here for the first time, and may go on; or that ends it.
pub(super) fn check_path<D, R: RecentRequests>(
    mandatory: &MandatoryHeaders<'_>,
    world: &World<'_, D, R>,
    observer: &mut impl Observer,
) -> Result<ControlFlow<Decision<'static>, Receipt>, Failure> {
    observer.check(Check::Dialog);
    if mandatory.in_dialog {
        return Err(Reason::InDialog.into());
    }
    observer.check(Check::Retransmission);
    let arrival = world.recent.arrive(&mandatory.key);
    let receipt = match goes_on(arrival, world.has_transaction)? {
        ControlFlow::Continue(receipt) => receipt,
        ends => return Ok(ends),
    };
    observer.check(Check::Hops);
    if mandatory.max_forwards == Some(0) {
        return Err(Reason::TooManyHops.into());
    }
    observer.note(|| note_of_hops(mandatory.max_forwards));
    observer.check(Check::Breadth);
    if mandatory.max_breadth == Some(0) {
        return Err(Reason::NoBreadth.into());
    }
    Ok(ControlFlow::Continue(receipt))
}

/// Row 3 once more, for a request whose originator may send: it is noted now and not before, so that others
/// neither push it out of the memory nor take its place there (H-3).
pub(super) fn check_again<D, R: RecentRequests>(
    receipt: Receipt,
    content: &RequestContent<'_>,
    world: &World<'_, D, R>,
    observer: &mut impl Observer,
) -> Result<ControlFlow<Decision<'static>, Receipt>, Failure> {
    let has_transaction = world.has_transaction;
    let arrival = world.recent.admit(receipt, content, has_transaction);
    if !matches!(arrival, Arrival::New(_)) {
        observer.check(Check::Retransmission);
    }
    goes_on(arrival, has_transaction)
}

/// Whether a request goes on that arrived so, or what becomes of it.
fn goes_on(
    arrival: Arrival,
    has_transaction: bool,
) -> Result<ControlFlow<Decision<'static>, Receipt>, Failure> {
    let undecided = |why| Ok(ControlFlow::Break(Decision::Undecided(why)));
    match arrival {
        Arrival::New(receipt) => Ok(ControlFlow::Continue(receipt)),
        Arrival::Refused(receipt) | Arrival::InHand(receipt) | Arrival::NoRoom(receipt)
            if has_transaction =>
        {
            Ok(ControlFlow::Continue(receipt))
        }
        Arrival::InHand(_) => undecided(Undecided::InHand),
        Arrival::Refused(_) => undecided(Undecided::RefusedBefore),
        Arrival::NoRoom(_) => undecided(Undecided::NoRoom),
        Arrival::Retransmission => Ok(ControlFlow::Break(Decision::Retransmission)),
        Arrival::Merged => Err(Reason::Merged.into()),
    }
}

/// Rows 4 and 5: pager mode is on, and the address is one of ours; `None` where it is not and that
/// must not be disclosed yet (`hide_groups`).
pub(super) fn find_target(
    address: &SipUri<'_>,
    policy: &Policy,
    groups: &mut impl Directory,
    observer: &mut impl Observer,
) -> Result<Option<Target>, Failure> {
    observer.check(Check::PagerMode);
    if !policy.settings.pager_mode {
        return Err(Failure::new(Reason::PagerMode, "pager_mode=0"));
    }
    observer.check(Check::Target);
    let target = groups.find(address);
    let target = target.map_err(|error| Failure::new(Reason::Unavailable, error))?;
    observer.note(|| note_of_target(target.as_ref(), policy));
    if !policy.settings.hide_groups {
        check_pager_mode(target.as_ref().ok_or(Reason::UnknownGroup)?, observer)?;
    }
    Ok(target)
}

/// The option tag of the URI-list service (U-3), the only one that is understood.
pub(super) const LIST_MESSAGE: &[u8] = b"recipient-list-message";

/// Row 6: every option that is required is understood, and required where the policy insists on it.
pub(super) fn check_require(
    mandatory: &MandatoryHeaders<'_>,
    target: Option<&Target>,
    policy: &Policy,
    observer: &mut impl Observer,
) -> Result<(), Failure> {
    observer.check(Check::Require);
    let is_known = |option: &[u8]| option.eq_ignore_ascii_case(LIST_MESSAGE);
    let required = mandatory.required.iter().copied();
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
    let is_service = matches!(target, Some(Target::UriListService(_)));
    if policy.settings.strict_require && is_service && known.is_empty() {
        return Err(Reason::OptionTagMissing.into());
    }
    Ok(())
}

/// Row 5, second half: the flag of the group or service, with the server's answer.
pub(super) fn check_pager_mode(
    target: &Target,
    observer: &mut impl Observer,
) -> Result<(), Failure> {
    observer.check(Check::TargetPagerMode);
    match target.pager_mode() {
        true => Ok(()),
        false => Err(Failure::new(Reason::PagerMode, "the group's own flag")),
    }
}

fn note_of_hops(received: Option<u8>) -> Note {
    let sent = hops_of_forks(received);
    let text = match received {
        Some(hops) => format!("{hops}; the copies get {sent}"),
        None => format!("there is none; the copies get {sent}"),
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
        Some(Target::UriListService(service)) => Note::taken(&service.uri, "a service for lists"),
        None if policy.settings.hide_groups => Note::left(
            "",
            "neither; hide_groups=1 lets the originator not see that, so the checks go on",
        ),
        None => Note::left("", "neither a group nor a service of this server"),
    }
}
