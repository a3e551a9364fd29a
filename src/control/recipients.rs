//! The recipients of a message that carries a list: its entries, filtered and each once, and whom of
//! them nobody may send to. A-15, H-4, S-3, S-7, S-8, U-12, X-5.

use super::check_reasons::Reason;
use super::checks::Check;
use super::directory::{Directory, UriListService};
use super::failure::Failure;
use super::group::Group;
use super::member_list::{MemberList, Skipped};
use super::observer::{Note, Observer};
use super::policy::Policy;
use super::rules::Asker;
use super::uri_headers::is_header_value;
use super::uri_headers::set_by;
use crate::config::{BadEntry, GroupWithList, LiteralTargets};
use crate::control::access::Objection;
use crate::sip::address_text::without_password;
use crate::sip::identity::AssertedIdentity;
use crate::sip::resource_list::Entry;
use crate::sip::{SipUri, Uri};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;

/// Recipients named in an answer take no more bytes than this: longer answers get lost over UDP.
const MAX_NAMED: usize = 4096;

/// More addresses than any list has that differ in port or parameters alone: each is compared with all
/// those before it.
const MAX_ALIKE: usize = 16;

/// An entry that can be sent to, and its address.
#[derive(Clone, Copy)]
pub(super) struct GoodEntry<'e> {
    pub entry: &'e Entry,
    pub uri: Uri<'e>,
}

/// Who gets a message, and what its list says of them.
pub(super) struct Listed<'e> {
    pub group: Arc<Group>,
    /// The entries that count in their order, each with the number of its recipient.
    pub entries: Vec<(GoodEntry<'e>, u32)>,
    /// Whether the list names somebody who gets no copy because the message is anonymous.
    pub kept_out: bool,
}

/// The recipients of a message to a service: all that its lists name, each once.
pub(super) fn of_service<'e>(
    entries: &'e [Entry],
    service: &UriListService,
    directory: &mut impl Directory,
    policy: &Policy,
    observer: &mut impl Observer,
) -> Result<Listed<'e>, Failure> {
    observer.check(Check::Members);
    let (good, bad) = sort(entries, None, policy)?;
    let mut group = compiled(&good, &service.uri, policy);
    group.also_skipped(bad.into_iter());
    observer.notes(|| notes_of_members(&group));
    check(&group, service, directory, policy, observer)?;
    Ok(Listed::new(Arc::new(group), &good, policy))
}

/// The recipients of a message to a stored group that carries a list as well.
///
/// A member is one with the group's authority, whatever the list says of them. Whoever else is to get
/// the message must be one to whom a service would send, and the sender one who may use services. Services
/// allow nobody to stay anonymous, so an anonymous message goes to the members alone.
pub(super) fn of_group<'e>(
    stored: &Arc<Group>,
    entries: &'e [Entry],
    asker: &Asker<'_, '_>,
    directory: &mut impl Directory,
    policy: &Policy,
    observer: &mut impl Observer,
) -> Result<Listed<'e>, Failure> {
    let (good, bad) = sort(entries, Some(stored), policy)?;
    let (members, others): (Vec<GoodEntry<'_>>, Vec<GoodEntry<'_>>) = good
        .iter()
        .partition(|good| member(&good.uri, stored, policy).is_some());
    let mut group = match policy.settings.group_with_list {
        GroupWithList::Union if others.is_empty() => {
            observer.notes(|| notes_of_members(stored));
            return Ok(Listed::new(stored.clone(), &good, policy));
        }
        GroupWithList::Union => {
            let others = compiled(&others, stored.uri(), policy);
            let count = others.recipients();
            let both = union(stored, others, asker.identity, directory, policy, observer)?;
            if asker.anonymous {
                observer.notes(|| notes_of_members(stored));
                let uri = stored.uri();
                log::info!(
                    "a message to <{uri}> is anonymous, which services do not allow: those whom its list names besides the members get no copy: {count}"
                );
                return Ok(Listed {
                    kept_out: true,
                    ..Listed::new(stored.clone(), &good, policy)
                });
            }
            both
        }
        GroupWithList::Intersect | GroupWithList::Reject => {
            intersection(stored, &members, &others, policy)?
        }
    };
    group.also_skipped(bad.into_iter());
    observer.notes(|| notes_of_members(&group));
    Ok(Listed::new(Arc::new(group), &good, policy))
}

/// The members, and others whom the sender may add.
fn union(
    stored: &Arc<Group>,
    others: Group,
    sender: &AssertedIdentity<'_>,
    directory: &mut impl Directory,
    policy: &Policy,
    observer: &mut impl Observer,
) -> Result<Group, Failure> {
    if policy.address_for_services(sender).is_none() {
        let detail =
            "the list names others than members, and the originator may not use URI-list services";
        return Err(Failure::new(Reason::NotAuthorised, detail));
    }
    // Nobody but the members has consented to the group.
    let service = UriListService {
        uri: stored.uri().to_owned(),
        pager_mode: true,
        consenting: MemberList::default(),
    };
    if others.recipients() > 0 {
        check(&others, &service, directory, policy, observer)?;
    }
    let parts = [stored.clone(), Arc::new(others)];
    Ok(Group::union(&parts, &[], &policy.addressing))
}

/// Those members that the list names.
fn intersection(
    stored: &Group,
    members: &[GoodEntry<'_>],
    others: &[GoodEntry<'_>],
    policy: &Policy,
) -> Result<Group, Failure> {
    let numbers = members
        .iter()
        .filter_map(|good| member(&good.uri, stored, policy));
    let uris = numbers.filter_map(|number| stored.address(number));
    let uris = uris.filter_map(|uri| std::str::from_utf8(uri).ok());
    let uri = stored.uri().to_owned();
    let mut group = Group::compile(uri, true, uris, &policy.addressing, |_| false);
    let reason = || "the group has no such member".to_owned();
    group.also_skipped(
        others
            .iter()
            .map(|good| Skipped::new(&good.entry.uri, reason())),
    );
    if group.recipients() == 0 {
        let detail = "the list names no member of the group";
        return Err(Failure::new(Reason::NobodyListed, detail));
    }
    Ok(group)
}

impl<'e> Listed<'e> {
    fn new(group: Arc<Group>, entries: &[GoodEntry<'e>], policy: &Policy) -> Self {
        let numbered = entries
            .iter()
            .filter_map(|&good| Some((good, member(&good.uri, &group, policy)?)));
        let entries = numbered.collect();
        Self {
            group,
            entries,
            kept_out: false,
        }
    }

    /// The recipients of a message to a group that carries no list.
    pub fn nobody(group: Arc<Group>) -> Self {
        Self {
            group,
            entries: Vec::new(),
            kept_out: false,
        }
    }
}

/// The number of the recipient that an address names: the first of those that equal it, as in the
/// group itself.
fn member(uri: &Uri<'_>, group: &Group, policy: &Policy) -> Option<u32> {
    let mut equal = group.members_equal_to(uri, &policy.addressing);
    equal.find(|&number| group.recipient(number).is_some())
}

/// Tells the entries that can be sent to from those that cannot, or refuses for the latter.
/// Members of the `stored` group may be what no other recipient of a list may.
fn sort<'e>(
    entries: &'e [Entry],
    stored: Option<&Group>,
    policy: &Policy,
) -> Result<(Vec<GoodEntry<'e>>, Vec<Skipped>), Failure> {
    let (mut good, mut bad) = (Vec::with_capacity(entries.len()), Vec::new());
    let mut alike = HashMap::<u64, SmallVec<[&str; 2]>>::new();
    for entry in entries {
        let reason = match obstacle(entry, stored, policy) {
            Ok(uri) => {
                let known = alike.entry(uri.bucket()).or_default();
                let is_known = known.contains(&entry.uri.as_str());
                if is_known || known.len() < MAX_ALIKE {
                    if !is_known {
                        known.push(&entry.uri);
                    }
                    good.push(GoodEntry { entry, uri });
                    continue;
                }
                format!("the list has {MAX_ALIKE} addresses with its user and host already")
            }
            Err(reason) => reason,
        };
        if policy.settings.bad_entry == BadEntry::Reject {
            let uri = without_password(entry.uri.as_bytes());
            let uri = crate::sip::text::Printable(&uri);
            let detail = format!("the list names <{uri}>: {reason}");
            return Err(Failure::new(Reason::BadEntry, detail));
        }
        bad.push(Skipped::new(&entry.uri, reason));
    }
    Ok((good, bad))
}

/// The address of an entry, or why nothing is sent to it (A-12, S-7, S-8, X-5).
fn obstacle<'e>(
    entry: &'e Entry,
    stored: Option<&Group>,
    policy: &Policy,
) -> Result<Uri<'e>, String> {
    let uri = Uri::parse(entry.uri.as_bytes()).map_err(|error| error.to_string())?;
    if let Some(obstacle) = policy.addressing.next_hop.obstacle(&uri.as_address()) {
        return Err(obstacle.to_owned());
    }
    // Blanks around a name are only how the document is laid out.
    let name = entry.display_name.as_deref().unwrap_or_default().trim();
    if name.chars().any(char::is_control) {
        return Err("a control character in the display name".to_owned());
    }
    if let Uri::Sip(sip) = &uri {
        let is_member = || stored.is_some_and(|stored| member(&uri, stored, policy).is_some());
        if policy.settings.literal_targets == LiteralTargets::Skip
            && is_literal(sip)
            && !is_member()
        {
            return Err(
                "an IP address or maddr is not accepted as a recipient in a list".to_owned(),
            );
        }
        for (name, value) in set_by(sip, policy) {
            if !value.is_some_and(|value| is_header_value(name, &value)) {
                return Err(format!("its {name} is not a valid value of that header"));
            }
        }
    }
    Ok(uri)
}

/// Whether an address names a machine and not a user's domain (S-8). What some resolvers take for a
/// number is one too.
fn is_literal(sip: &SipUri<'_>) -> bool {
    let host = sip.host.strip_suffix(b".").unwrap_or(sip.host);
    let last = host.rsplit(|&byte| byte == b'.').next().unwrap_or(host);
    let is_number = |label: &[u8]| match label {
        [b'0', b'x' | b'X', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        digits => digits.iter().all(u8::is_ascii_digit),
    };
    host.first() == Some(&b'[')
        || is_number(last)
        || last.eq_ignore_ascii_case(b"localhost")
        || host.eq_ignore_ascii_case(b"localhost.localdomain")
        || sip.parameter(b"maddr").is_some()
}

fn compiled(entries: &[GoodEntry<'_>], uri: &str, policy: &Policy) -> Group {
    let uris = entries
        .iter()
        .map(|good| (good.entry.uri.as_str(), good.uri));
    Group::of_recipients(uri.to_owned(), uris, &policy.addressing)
}

/// Refuses recipients to whom a service may not send.
fn check(
    group: &Group,
    service: &UriListService,
    directory: &mut impl Directory,
    policy: &Policy,
    observer: &mut impl Observer,
) -> Result<(), Failure> {
    if group.recipients() == 0 {
        return Err(Reason::NobodyListed.into());
    }
    observer.check(Check::ListLength);
    let (count, limit) = (group.recipients(), policy.settings.max_recipients);
    observer.note(|| Note::fact("max_recipients", format!("{count} of at most {limit}")));
    if count > limit as usize {
        let detail = format!("{count} recipients, expected at most {limit}");
        return Err(Failure::new(Reason::TooManyRecipients, detail));
    }
    observer.check(Check::ListedRecipients);
    let (mut groups, mut without_consent) = (Vec::new(), Vec::new());
    let mut foreign = None;
    for number in 0..group.members() as u32 {
        let Some(text) = group.address(number) else {
            continue;
        };
        let Ok(uri) = Uri::parse(text) else {
            continue;
        };
        if is_ours(&uri, directory, policy)? {
            name(text, &mut groups);
            continue;
        }
        match policy.objection(service, &uri) {
            Some(Objection::Foreign) => {
                foreign.get_or_insert(text);
            }
            Some(Objection::NoConsent) => {
                observer.note(|| Note::left(text, "has not consented to get messages"));
                name(text, &mut without_consent);
            }
            None => {}
        }
    }
    if !groups.is_empty() {
        let detail = crate::sip::text::Printable(&groups).to_string();
        return Err(Failure {
            named: groups,
            ..Failure::new(Reason::GroupListed, detail)
        });
    }
    if let Some(uri) = foreign {
        let uri = crate::sip::text::Printable(uri);
        return Err(Failure::new(Reason::ForeignListed, uri));
    }
    if !without_consent.is_empty() {
        return Err(Failure {
            named: without_consent,
            ..Reason::NoConsent.into()
        });
    }
    Ok(())
}

/// Adds a recipient to those that the answer names.
fn name(uri: &[u8], named: &mut Vec<u8>) {
    if named.len() + uri.len() + 4 > MAX_NAMED {
        return;
    }
    if !named.is_empty() {
        named.extend_from_slice(b", ");
    }
    named.push(b'<');
    named.extend_from_slice(uri);
    named.push(b'>');
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

/// Whether a recipient is a group or service of this server, by whichever address (H-4).
fn is_ours(
    uri: &Uri<'_>,
    directory: &mut impl Directory,
    policy: &Policy,
) -> Result<bool, Failure> {
    let addressing = &policy.addressing;
    let mut is_one = |sip: &SipUri<'_>| -> Result<bool, Failure> {
        let found = directory.find(sip);
        let found = found.map_err(|error| Failure::new(Reason::Unavailable, error))?;
        Ok(found.is_some())
    };
    if let Uri::Sip(sip) = uri
        && addressing.serves(sip.host)
        && is_one(sip)?
    {
        return Ok(true);
    }
    for address in addressing.also_reached_as(uri) {
        if let Ok(Uri::Sip(sip)) = Uri::parse(&address)
            && is_one(&sip)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}
