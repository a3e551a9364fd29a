//! What the recipients of a message learn of each other: K-2 to K-5, K-7; RFC 5364 §4.

use super::recipients::Listed;
use crate::config::{BccMode, Settings};
use crate::sip::Uri;
use crate::sip::history_list::{History, Visible};
use crate::sip::resource_list::{CopyControl, MAX_BYTES};

/// The history part of a message, as all its forks share it.
pub(super) struct SharedHistory {
    /// The whole part, with its header fields.
    pub part: Vec<u8>,
    /// The recipients who find an entry of themselves in their own copy, sorted (K-5).
    pub own: Vec<u32>,
}

/// What the list says of one recipient.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    copy: CopyControl,
    anonymize: bool,
}

/// The history of a message, or `None` where nobody is visible (K-4).
///
/// To a stored group all members are `to`, but for those of whom a list says otherwise; they are
/// all there, the sender included: who is missing from a list of members would be known to be the
/// one who wanted to stay anonymous.
pub(super) fn history(
    listed: &Listed<'_>,
    is_group: bool,
    settings: &Settings,
) -> Option<SharedHistory> {
    let group = &listed.group;
    let shows_all = is_group && settings.group_history;
    if listed.entries.is_empty() && !shows_all {
        return None;
    }
    // Every entry of a list has some 40 bytes besides the address.
    if shows_all && group.recipients() > MAX_BYTES / 40 {
        return None;
    }
    let mut seen = vec![None::<Seen>; group.members()];
    for (listed, number) in &listed.entries {
        let Some(place) = seen.get_mut(*number as usize) else {
            continue;
        };
        let before = place.unwrap_or(Seen {
            copy: CopyControl::Bcc,
            anonymize: false,
        });
        *place = Some(Seen {
            copy: before.copy.min(listed.entry.copy),
            anonymize: before.anonymize | listed.entry.anonymize,
        });
    }
    let unnamed = shows_all.then_some(Seen {
        copy: CopyControl::To,
        anonymize: false,
    });
    let recipients: Vec<(u32, Uri<'_>, Seen)> = (0..group.members() as u32)
        .filter_map(|number| {
            let uri = Uri::parse(group.address(number)?).ok()?;
            let seen = seen.get(number as usize).copied().flatten().or(unnamed)?;
            Some((number, uri, seen))
        })
        .collect();
    let of = |wanted| {
        recipients
            .iter()
            .filter(move |(_, _, seen)| *seen == wanted)
    };
    let named = |copy| -> Vec<Uri<'_>> {
        let anonymize = false;
        of(Seen { copy, anonymize })
            .map(|(_, uri, _)| *uri)
            .collect()
    };
    let anonymous = |copy| {
        let anonymize = true;
        of(Seen { copy, anonymize }).count()
    };
    let (to, cc) = (named(CopyControl::To), named(CopyControl::Cc));
    let history = History {
        to: Visible {
            named: &to,
            anonymous: anonymous(CopyControl::To),
        },
        cc: Visible {
            named: &cc,
            anonymous: anonymous(CopyControl::Cc),
        },
    };
    let own: Vec<u32> = recipients
        .iter()
        .filter(|(_, _, seen)| {
            settings.bcc_mode == BccMode::OwnCopy && seen.copy == CopyControl::Bcc
        })
        .map(|(number, _, _)| *number)
        .collect();
    // A list of bcc only: each recipient finds their own entry and no other.
    if history.is_empty() && own.is_empty() {
        return None;
    }
    let part = history.part();
    // No reader takes a longer list.
    (part.len() <= MAX_BYTES).then_some(SharedHistory { part, own })
}
