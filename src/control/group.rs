//! A stored group, ready for use: its members, its rules and the names of its members.

use super::addressing::Addressing;
use super::member_list::{MemberList, Skipped};
use super::rules::Rules;
use crate::sip::uri::{SipUri, Uri};
use std::ops::Deref;

/// A group with its members, compiled once and used for many messages.
#[derive(Debug)]
pub struct Group {
    uri: String,
    pager_mode: bool,
    list: MemberList,
    rules: Option<Rules>,
    /// Names of members for people, sorted by the member's number.
    names: Vec<(u32, Box<str>)>,
}

/// A group is asked for its members as any list of them is.
impl Deref for Group {
    type Target = MemberList;

    fn deref(&self) -> &MemberList {
        &self.list
    }
}

impl Group {
    /// Compiles a group from the addresses of its members, in their order.
    ///
    /// A duplicate (C-1 to C-3) is left out: the first wins. A member that cannot be read or sent
    /// to, or that `is_ours` says is a group or service of this server (H-4), is kept as no
    /// recipient.
    pub fn compile<'a>(
        uri: String,
        pager_mode: bool,
        members: impl Iterator<Item = &'a str>,
        addressing: &Addressing,
        is_ours: impl FnMut(&SipUri<'_>) -> bool,
    ) -> Self {
        let list = MemberList::compile(members, addressing, is_ours);
        Self::of_list(uri, pager_mode, list)
    }

    fn of_list(uri: String, pager_mode: bool, list: MemberList) -> Self {
        Self {
            uri,
            pager_mode,
            list,
            rules: None,
            names: Vec::new(),
        }
    }

    /// The same for the recipients of one message, none of whom is a group, from addresses that were read before.
    pub(super) fn of_recipients<'a>(
        uri: String,
        recipients: impl Iterator<Item = (&'a str, Uri<'a>)>,
        addressing: &Addressing,
    ) -> Self {
        let read = recipients.map(|(text, uri)| (text, Ok(uri)));
        let list = MemberList::compile_read(read, addressing, |_| false);
        Self::of_list(uri, true, list)
    }

    /// Adds members that get no message for a reason that was found elsewhere.
    pub(super) fn also_skipped(&mut self, more: impl Iterator<Item = Skipped>) {
        self.list.also_skipped(more);
    }

    /// The group's address.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Whether the group takes pager-mode messages.
    pub fn pager_mode(&self) -> bool {
        self.pager_mode
    }

    /// The group with its rules: without them only members may send (G-4).
    pub fn with_rules(self, rules: Rules) -> Self {
        let rules = Some(rules);
        Self { rules, ..self }
    }

    /// The rules, if there are any.
    pub fn rules(&self) -> Option<&Rules> {
        self.rules.as_ref()
    }

    /// The group with names of its members, each with the address for which it is stored.
    pub fn with_names<'a>(
        mut self,
        names: impl Iterator<Item = (&'a str, &'a str)>,
        addressing: &Addressing,
    ) -> Self {
        let mut found = Vec::new();
        for (address, name) in names {
            let Ok(uri) = Uri::parse(address.as_bytes()) else {
                continue;
            };
            let members = self.members_equal_to(&uri, addressing);
            found.extend(members.map(|number| (number, name.into())));
        }
        found.sort_by_key(|&(number, _)| number);
        self.names = found;
        self
    }

    /// The name that is stored for the member with this number.
    pub fn name(&self, number: u32) -> Option<&str> {
        let at = self.names.partition_point(|&(of, _)| of < number);
        let (of, name) = self.names.get(at)?;
        (*of == number).then_some(name)
    }

    /// For a server that expands nested groups: that a member is one is nothing to tell of.
    pub fn for_expansion(mut self) -> Self {
        self.list.forget_nested();
        self
    }

    /// Several groups as one, under the address of the first: who is in two of them is there once, who
    /// is in one of those `without` is not there, and no nested group is left (H-4).
    pub fn union(
        parts: &[std::sync::Arc<Self>],
        without: &[std::sync::Arc<Self>],
        addressing: &Addressing,
    ) -> Self {
        let first = parts.first();
        let (uri, pager_mode) = match first {
            Some(first) => (first.uri.clone(), first.pager_mode),
            None => (String::new(), true),
        };
        let recipients = parts.iter().flat_map(|part| part.recipient_addresses());
        let recipients = recipients.filter(|text| {
            let is_in = |uri: Uri<'_>| without.iter().any(|group| group.has(&uri, addressing));
            without.is_empty() || !Uri::parse(text.as_bytes()).is_ok_and(is_in)
        });
        let skipped = parts.iter().flat_map(|part| part.skipped().iter().cloned());
        let mut union = Self::compile(uri, pager_mode, recipients, addressing, |_| false);
        union.list.replace_skipped(skipped.collect());
        union
    }

    /// About how many addresses are kept in memory, those of the rules included.
    pub fn weight(&self) -> usize {
        self.members() + self.names.len() + self.rules.as_ref().map_or(0, Rules::weight)
    }
}

#[cfg(test)]
mod tests;
