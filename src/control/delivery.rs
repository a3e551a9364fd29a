//! Who gets the message, and with what body: table A.1, rows 10 to 12.

use super::checks::Check;
use super::directory::{Directory, Service};
use super::failure::Failure;
use super::group::Group;
use super::nesting::expand;
use super::observer::{Note, Observer};
use super::originator::own_members;
use super::payload::{Content, Payload, has_list};
use super::policy::Policy;
use super::recent::Receipt;
use super::recipients::{history, notes_of_members, recipients};
use super::refusal::Reason;
use super::rules::Asker;
use crate::sip::Request;
use crate::sip::identity::AssertedIdentity;
use smallvec::SmallVec;
use std::sync::Arc;

/// Who gets the message, and with what content where that is not the message's own.
pub(super) struct Delivery {
    pub group: Arc<Group>,
    /// Members that get nothing although they could.
    pub excluded: SmallVec<[u32; 2]>,
    pub content: Option<Content>,
    /// The content without the history of recipients, where there is one.
    pub without_history: Option<Content>,
}

impl Delivery {
    /// A message to a stored group: its body goes to all members as it is.
    pub fn to_group<D: Directory>(
        request: &Request<'_>,
        group: &Arc<Group>,
        directory: &mut D,
        asker: &Asker<'_, '_>,
        policy: &Policy,
        observer: &mut impl Observer,
    ) -> Result<Self, Failure> {
        observer.check(Check::List);
        if has_list(request) {
            return Err(Reason::GroupWithList.into());
        }
        observer.note(|| {
            let length = request.body.len();
            Note::taken(
                "body",
                format!("goes to every member as it is, bytes: {length}"),
            )
        });
        observer.check(Check::Members);
        let group = expand(group.clone(), directory, asker, policy, observer)?;
        observer.notes(|| notes_of_members(&group));
        let skip = policy.skip_originator;
        Ok(Self {
            excluded: excluded(&group, asker.identity, policy, skip, observer),
            group,
            content: None,
            without_history: None,
        })
    }

    /// A message to a service: it goes to those whom its lists name, without the lists.
    pub fn by_service<D: Directory>(
        request: &Request<'_>,
        service: &Service,
        directory: &mut D,
        identity: &AssertedIdentity<'_>,
        receipt: Receipt,
        policy: &Policy,
        observer: &mut impl Observer,
    ) -> Result<Self, Failure> {
        observer.check(Check::List);
        let list = Payload::read(request, policy.max_entries as usize, observer)?;
        let entries = &list.list.entries;
        let group = Arc::new(recipients(entries, service, directory, policy, observer)?);
        let history = history(entries, &group, policy);
        observer.note(|| match &history {
            Some(_) => Note::taken(
                "history",
                "the recipients are told of those to and cc (K-4)",
            ),
            None => Note::fact("history", "none: nobody in the list is to or cc (K-4)"),
        });
        // The hash is keyed, so that no sender can foresee it.
        let boundary = format!("cimf-{:016x}{:016x}", receipt.place, receipt.fingerprint);
        let skip = policy.skip_originator_of_lists;
        let without_history = history
            .as_ref()
            .map(|_| list.content(None, &boundary))
            .transpose()?;
        Ok(Self {
            without_history,
            excluded: excluded(&group, identity, policy, skip, observer),
            content: Some(list.content(history.as_deref(), &boundary)?),
            group,
        })
    }
}

/// Row 11: which members get nothing although they could.
fn excluded(
    group: &Group,
    identity: &AssertedIdentity<'_>,
    policy: &Policy,
    skip_originator: bool,
    observer: &mut impl Observer,
) -> SmallVec<[u32; 2]> {
    let own = own_members(group, identity, policy).into_iter();
    let own = own.filter(|&number| group.recipient(number).is_some());
    let own: SmallVec<[u32; 2]> = own.collect();
    observer.notes(|| {
        let own: Vec<_> = own.iter().filter_map(|&at| group.recipient(at)).collect();
        own.into_iter().map(move |uri| match skip_originator {
            true => Note::left(
                uri,
                "the originator himself: gets nothing (skip_originator)",
            ),
            false => Note::taken(uri, "the originator himself: gets it too (skip_originator)"),
        })
    });
    match skip_originator {
        true => own,
        false => SmallVec::new(),
    }
}
