//! The recipients of a message to a service: the entries of its lists, filtered and each once, and
//! what the others may know of them. K-2 to K-5, X-5, S-3, S-8, H-4, U-12.

use super::checks::Check;
use super::directory::{Directory, Service};
use super::failure::Failure;
use super::group::{Group, Skipped};
use super::observer::{Note, Observer};
use super::policy::Policy;
use super::refusal::Reason;
use crate::control::access::Objection;
use crate::sip::history_list::{History, Visible};
use crate::sip::resource_list::{CopyControl, Entry};
use crate::sip::uri::Form;
use crate::sip::{SipUri, Uri};

/// Compiles the entries of a list to a group without duplicates, and refuses those that no service
/// may send to.
pub(super) fn recipients(
    entries: &[Entry],
    service: &Service,
    directory: &mut impl Directory,
    policy: &Policy,
    observer: &mut impl Observer,
) -> Result<Group, Failure> {
    observer.check(Check::Members);
    let (good, bad): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| !is_literal(entry));
    let addressing = &policy.addressing;
    let uris = good.iter().map(|entry| entry.uri.as_str());
    let mut group = Group::compile(service.uri.clone(), true, uris, addressing, |_| false);
    group.also_skipped(bad.into_iter().map(|entry| Skipped {
        uri: entry.uri.clone(),
        reason: "an IP address or maddr is no recipient of a service".to_owned(),
    }));
    observer.notes(|| notes_of_members(&group));
    if group.recipients() == 0 {
        return Err(Reason::NobodyListed.into());
    }
    observer.check(Check::ListLength);
    let (count, limit) = (group.recipients(), policy.max_recipients);
    observer.note(|| Note::fact("max_recipients", format!("{count} of at most {limit}")));
    if count > limit as usize {
        let detail = format!("{count} recipients, expected at most {limit}");
        return Err(Failure::new(Reason::TooManyRecipients, detail));
    }
    observer.check(Check::ListedRecipients);
    let mut without_consent = Vec::new();
    for number in 0..group.members() as u32 {
        let Some(text) = group.address(number) else {
            continue;
        };
        let Ok(uri) = Uri::parse(text) else {
            continue;
        };
        if is_ours(&uri, directory, policy)? {
            return Err(Failure::new(Reason::GroupListed, uri.print(Form::Whole)));
        }
        match policy.objection(service, &uri) {
            Some(Objection::Foreign) => {
                return Err(Failure::new(Reason::ForeignListed, uri.print(Form::Whole)));
            }
            Some(Objection::NoConsent) => {
                if !without_consent.is_empty() {
                    without_consent.extend_from_slice(b", ");
                }
                without_consent.extend_from_slice(&[b"<", text, b">"].concat());
                observer.note(|| Note::left(text, "has not consented to get messages"));
            }
            None => {}
        }
    }
    if without_consent.is_empty() {
        return Ok(group);
    }
    Err(Failure {
        named: without_consent,
        ..Reason::NoConsent.into()
    })
}

/// How many can be sent to, and who cannot, and why.
pub(super) fn notes_of_members(group: &Group) -> Vec<Note> {
    let text = match (group.members(), group.recipients()) {
        (members, recipients) if members == recipients => format!("members: {members}"),
        (members, recipients) => format!("members: {members}, {recipients} can be sent to"),
    };
    let skipped = group.skipped().iter();
    let skipped = skipped.map(|skipped| Note::left(&skipped.uri, &skipped.reason));
    std::iter::once(Note::fact(group.uri(), text))
        .chain(skipped)
        .collect()
}

/// Whether a recipient is a group or service of this server (H-4).
fn is_ours(
    uri: &Uri<'_>,
    directory: &mut impl Directory,
    policy: &Policy,
) -> Result<bool, Failure> {
    match uri {
        Uri::Sip(sip) if policy.addressing.serves(sip.host) => {
            let found = directory.find(sip);
            let found = found.map_err(|error| Failure::new(Reason::Unavailable, error))?;
            Ok(found.is_some())
        }
        _ => Ok(false),
    }
}

/// Whether an entry names a machine and not a user's domain (S-8).
fn is_literal(entry: &Entry) -> bool {
    let is_address = |sip: &SipUri<'_>| {
        let host = std::str::from_utf8(sip.host).unwrap_or_default();
        host.starts_with('[')
            || host.parse::<std::net::Ipv4Addr>().is_ok()
            || host.eq_ignore_ascii_case("localhost")
            || sip.parameter(b"maddr").is_some()
    };
    matches!(Uri::parse(entry.uri.as_bytes()), Ok(Uri::Sip(sip)) if is_address(&sip))
}

/// The history part that all forks carry, if anybody is visible in it (K-3, K-4).
pub(super) fn history(entries: &[Entry], group: &Group, policy: &Policy) -> Option<Vec<u8>> {
    let mut seen = vec![(CopyControl::Bcc, false); group.members()];
    for entry in entries {
        let Ok(uri) = Uri::parse(entry.uri.as_bytes()) else {
            continue;
        };
        let mut equal = group.members_equal_to(&uri, &policy.addressing);
        let of_entry = equal
            .next()
            .and_then(|number| seen.get_mut(number as usize));
        if let Some((copy, anonymize)) = of_entry {
            *copy = (*copy).min(entry.copy);
            *anonymize |= entry.anonymize;
        }
    }
    let recipients: Vec<_> = (0..group.members() as u32)
        .filter_map(|number| {
            let uri = Uri::parse(group.address(number)?).ok()?;
            Some((uri, seen.get(number as usize).copied()?))
        })
        .collect();
    let named = |wanted| -> Vec<Uri<'_>> {
        let of_copy = recipients
            .iter()
            .filter(|(_, seen)| *seen == (wanted, false));
        of_copy.map(|(uri, _)| *uri).collect()
    };
    let anonymous = |wanted| {
        let of_copy = recipients
            .iter()
            .filter(|(_, seen)| *seen == (wanted, true));
        of_copy.count()
    };
    let (to, cc) = (named(CopyControl::To), named(CopyControl::Cc));
    History {
        to: Visible {
            named: &to,
            anonymous: anonymous(CopyControl::To),
        },
        cc: Visible {
            named: &cc,
            anonymous: anonymous(CopyControl::Cc),
        },
        own_bcc: None,
    }
    .part()
}
