//! The members of a group in their order, found again by equality (C-1 to C-3); also any other set of addresses that is
//! asked whether somebody is in it.

use super::addressing::Addressing;
use crate::sip::Malformed;
use crate::sip::address_text::without_password;
use crate::sip::uri::{Form, SipUri, Uri};

/// Why a member gets no message, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The address as it is stored, without a password.
    pub uri: String,
    /// The reason.
    pub reason: String,
}

impl Skipped {
    /// Of the member with this address.
    pub fn new(uri: &str, reason: String) -> Self {
        let uri = String::from_utf8_lossy(&without_password(uri.as_bytes())).into_owned();
        Self { uri, reason }
    }
}

/// Addresses, compiled once and used for many messages.
#[derive(Debug, Default)]
pub struct MemberList {
    /// The members' addresses, one behind the other, each with its Request-URI behind it where that
    /// is another.
    text: Vec<u8>,
    members: Vec<Member>,
    /// Buckets with the member filed there, sorted.
    index: Vec<(u64, u32)>,
    recipients: usize,
    /// The recipient with the longest Request-URI.
    longest: Option<u32>,
    skipped: Vec<Skipped>,
    /// Members that are groups or services of this server, in their one spelling (H-4).
    nested: Vec<String>,
}

/// Why a member that is a group gets nothing where groups are not expanded.
const NESTED: &str = "it is a group or service of this server, and those are no members";

#[derive(Clone, Copy, Debug)]
struct Member {
    start: u32,
    /// Where the address ends.
    end: u32,
    /// Where the Request-URI ends that starts there; the address is the Request-URI where this is
    /// the same.
    request_end: u32,
    is_recipient: bool,
}

impl MemberList {
    /// Compiles the addresses of members, in their order.
    ///
    /// A duplicate (C-1 to C-3) is left out: the first wins. A member that cannot be read or sent
    /// to, or that `is_ours` says is a group or service of this server (H-4), is kept as no
    /// recipient.
    pub(super) fn compile<'a>(
        members: impl Iterator<Item = &'a str>,
        addressing: &Addressing,
        is_ours: impl FnMut(&SipUri<'_>) -> bool,
    ) -> Self {
        let read = members.map(|member| (member, Uri::parse(member.as_bytes())));
        Self::compile_read(read, addressing, is_ours)
    }

    /// The same for members whose addresses were read before.
    pub(super) fn compile_read<'a>(
        members: impl Iterator<Item = (&'a str, Result<Uri<'a>, Malformed>)>,
        addressing: &Addressing,
        mut is_ours: impl FnMut(&SipUri<'_>) -> bool,
    ) -> Self {
        let mut list = Self {
            text: Vec::new(),
            members: Vec::new(),
            index: Vec::new(),
            recipients: 0,
            longest: None,
            skipped: Vec::new(),
            nested: Vec::new(),
        };
        let mut filed = std::collections::HashMap::<u64, Vec<u32>>::new();
        for (stored, read) in members {
            let parsed = match read {
                Ok(uri) => uri.as_address(),
                Err(error) => {
                    list.skip(stored, error.to_string());
                    continue;
                }
            };
            let is_known = addressing.buckets(&parsed).any(|bucket| {
                let known = filed.get(&bucket).into_iter().flatten();
                known
                    .into_iter()
                    .any(|&at| list.is_member_at(at, &parsed, addressing))
            });
            if is_known {
                list.skip(stored, "the group has this address already".to_owned());
                continue;
            }
            let nested = matches!(&parsed, Uri::Sip(sip) if is_ours(sip));
            if nested {
                list.nested.push(parsed.print(Form::Provisioned));
            }
            let obstacle = nested.then_some(NESTED);
            let obstacle = obstacle.or(addressing.obstacle(&parsed));
            if let Some(reason) = obstacle {
                list.skip(stored, reason.to_owned());
            }
            let Some(number) = list.add(&parsed, obstacle.is_none(), addressing) else {
                list.skip(
                    stored,
                    "the addresses of the group are longer than 4 GiB".to_owned(),
                );
                continue;
            };
            for bucket in addressing.buckets(&parsed) {
                filed.entry(bucket).or_default().push(number);
                list.index.push((bucket, number));
            }
        }
        list.index.sort_unstable();
        list
    }

    /// Addresses of whom nobody is sent to: somebody is asked for.
    pub fn of<'a>(addresses: impl Iterator<Item = &'a str>, addressing: &Addressing) -> Self {
        Self::compile(addresses, addressing, |_| false)
    }

    /// The addresses of the members that can be sent to, as they are listed.
    pub(super) fn recipient_addresses(&self) -> impl Iterator<Item = &str> {
        let recipients = self.members.iter().filter(|member| member.is_recipient);
        recipients.filter_map(|member| std::str::from_utf8(self.text_of(member)).ok())
    }

    /// Puts other reasons in place of those that were found here.
    pub(super) fn replace_skipped(&mut self, skipped: Vec<Skipped>) {
        self.skipped = skipped;
    }

    /// Forgets that members which are groups get no message, where groups are expanded.
    pub(super) fn forget_nested(&mut self) {
        self.skipped.retain(|member| member.reason != NESTED);
    }

    /// Adds members that get no message for a reason that was found elsewhere.
    pub(super) fn also_skipped(&mut self, more: impl Iterator<Item = Skipped>) {
        self.skipped.extend(more);
    }

    fn skip(&mut self, uri: &str, reason: String) {
        self.skipped.push(Skipped::new(uri, reason));
    }

    fn add(&mut self, uri: &Uri<'_>, is_recipient: bool, addressing: &Addressing) -> Option<u32> {
        let number = u32::try_from(self.members.len()).ok()?;
        let start = u32::try_from(self.text.len()).ok()?;
        uri.write(Form::RequestUri, &mut self.text);
        let end = u32::try_from(self.text.len()).ok()?;
        if let (Uri::Tel(tel), Some(domain)) = (uri, &addressing.tel_domain) {
            tel.write_as_sip(domain, &mut self.text);
        }
        self.members.push(Member {
            start,
            end,
            request_end: u32::try_from(self.text.len()).ok()?,
            is_recipient,
        });
        self.recipients += usize::from(is_recipient);
        let length = |number| self.recipient(number).map_or(0, <[u8]>::len);
        if is_recipient
            && self
                .longest
                .is_none_or(|longest| length(longest) < length(number))
        {
            self.longest = Some(number);
        }
        Some(number)
    }

    /// How many members there are, recipients or not.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// How many members can be sent to.
    pub fn recipients(&self) -> usize {
        self.recipients
    }

    /// The members that get no message, and why.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// The members that are groups or services of this server, in their one spelling (H-4).
    pub fn nested(&self) -> &[String] {
        &self.nested
    }

    /// The numbers of the members that equal `uri`: several may, since equality is not transitive
    /// (C-2).
    pub fn members_equal_to<'a>(
        &'a self,
        uri: &Uri<'a>,
        addressing: &'a Addressing,
    ) -> impl Iterator<Item = u32> + 'a {
        let uri = uri.as_address();
        let alike = self.members_like(&uri, addressing);
        alike.filter(move |&number| self.is_member_at(number, &uri, addressing))
    }

    /// The numbers of the members that are the same user as `uri`, who may have several addresses.
    pub fn members_who_are<'a>(
        &'a self,
        uri: &'a Uri<'a>,
        addressing: &'a Addressing,
    ) -> impl Iterator<Item = u32> + 'a {
        let alike = self.members_like(uri, addressing);
        alike.filter(move |&number| {
            self.is_plainly_at(number, uri)
                || self
                    .parsed(number)
                    .is_some_and(|member| addressing.is_same_user(&member, uri))
        })
    }

    /// The numbers of the members that may be meant by `uri`.
    fn members_like<'a>(
        &'a self,
        uri: &Uri<'a>,
        addressing: &Addressing,
    ) -> impl Iterator<Item = u32> + use<'a> {
        addressing.buckets(uri).flat_map(move |bucket| {
            let start = self.index.partition_point(|&(filed, _)| filed < bucket);
            let filed = self.index[start..].iter();
            filed
                .take_while(move |&&(filed, _)| filed == bucket)
                .map(|&(_, number)| number)
        })
    }

    /// Whether `uri` is the address of a member.
    pub fn has(&self, uri: &Uri<'_>, addressing: &Addressing) -> bool {
        self.members_equal_to(uri, addressing).next().is_some()
    }

    /// Whether `uri` is a member, by whichever address.
    pub fn has_user(&self, uri: &Uri<'_>, addressing: &Addressing) -> bool {
        self.members_who_are(uri, addressing).next().is_some()
    }

    fn is_member_at(&self, number: u32, uri: &Uri<'_>, addressing: &Addressing) -> bool {
        self.is_plainly_at(number, uri)
            || self
                .parsed(number)
                .is_some_and(|member| addressing.same(&member, uri))
    }

    fn is_plainly_at(&self, number: u32, uri: &Uri<'_>) -> bool {
        let member = self.members.get(number as usize);
        member.is_some_and(|member| uri.is_plainly(self.text_of(member)))
    }

    fn parsed(&self, number: u32) -> Option<Uri<'_>> {
        let member = self.members.get(number as usize)?;
        Uri::parse(self.text_of(member)).ok()
    }

    /// The members that can be sent to in their order, each with its number and Request-URI.
    pub fn numbered_recipients(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let numbered = (0..).zip(&self.members);
        let recipients = numbered.filter(|(_, member)| member.is_recipient);
        recipients.map(|(number, member)| (number, self.request_uri_of(member)))
    }

    /// The Request-URI of a member that can be sent to.
    pub fn recipient(&self, number: u32) -> Option<&[u8]> {
        let member = self.members.get(number as usize)?;
        member.is_recipient.then(|| self.request_uri_of(member))
    }

    /// The number of the member with the longest Request-URI, among those that can be sent to.
    pub fn longest_recipient(&self) -> Option<u32> {
        self.longest
    }

    /// The address of a member that can be sent to, as somebody has listed it.
    pub fn address(&self, number: u32) -> Option<&[u8]> {
        let member = self.members.get(number as usize)?;
        member.is_recipient.then(|| self.text_of(member))
    }

    fn request_uri_of(&self, member: &Member) -> &[u8] {
        match &self.text[member.end as usize..member.request_end as usize] {
            [] => self.text_of(member),
            other => other,
        }
    }

    fn text_of(&self, member: &Member) -> &[u8] {
        &self.text[member.start as usize..member.end as usize]
    }
}
