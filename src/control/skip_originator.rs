//! Whether the originator, being a member, gets a copy (`skip_originator`), and that somebody is left: table A.1, row
//! 11; A-9.

use super::accepted::Accepted;
use super::check_reasons::Reason;
use super::checks::Check;
use super::directory::Target;
use super::failure::Failure;
use super::group::Group;
use super::observer::{Note, Observer};
use super::originator::OwnMembers;
use super::policy::Policy;
use crate::config::SkipOriginator;
use smallvec::SmallVec;

/// Row 11: the originator gets no copy where that is so, and somebody is left. `kept_out` says
/// that some get none because the message is anonymous.
pub(super) fn exclude(
    accepted: &mut Accepted<'_>,
    target: &Target,
    own: OwnMembers,
    kept_out: bool,
    policy: &Policy,
    observer: &mut impl Observer,
) -> Result<(), Failure> {
    observer.check(Check::AnyRecipient);
    let skip_originator = policy.settings.skip_originator;
    let (skips, nobody) = match target {
        Target::Group(_) => (
            skip_originator != SkipOriginator::Never,
            Reason::NoRecipients,
        ),
        Target::UriListService(_) => (
            skip_originator == SkipOriginator::Always,
            Reason::NobodyListed,
        ),
    };
    let group = &accepted.group;
    accepted.excluded = excluded(group, own, skips, observer);
    if accepted.count() == 0 && kept_out {
        let detail = "whatever makes anybody a recipient does not allow it";
        return Err(Failure::new(Reason::Anonymity, detail));
    }
    if accepted.count() == 0 {
        return Err(nobody.into());
    }
    observer.note(|| Note::fact("", format!("recipients: {}", accepted.count())));
    Ok(())
}

/// Row 11: which members get nothing although they could, of those that the originator is.
fn excluded(
    group: &Group,
    mut own: OwnMembers,
    skip_originator: bool,
    observer: &mut impl Observer,
) -> SmallVec<[u32; 2]> {
    own.retain(|number| group.recipient(*number).is_some());
    observer.notes(|| {
        let own: Vec<_> = own.iter().filter_map(|&at| group.recipient(at)).collect();
        own.into_iter().map(move |uri| match skip_originator {
            true => Note::left(uri, "the originator: gets no copy (skip_originator)"),
            false => Note::taken(uri, "the originator: gets a copy too (skip_originator)"),
        })
    });
    match skip_originator {
        true => own,
        false => SmallVec::new(),
    }
}
