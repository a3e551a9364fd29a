//! The members of a group made exactly those that are given, with as few changes as that takes.

use super::EditError;
use super::change::{Change, Index};
use super::group_record::GroupRecord;
use super::members_change::{MembersChange, NewMember};
use super::refused::Refused;
use crate::sip::uri::Uri;
use std::collections::{HashMap, HashSet};

/// What becomes of the name of a member who stays and is given without one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unnamed {
    /// They keep it.
    KeepTheirs,
    /// It is removed.
    LoseIt,
}

/// Members without repetitions, as they shall be.
#[derive(Default)]
pub(super) struct Wanted<'a> {
    index: Index<'a>,
    members: Vec<(Uri<'a>, NewMember<'a>)>,
}

impl<'a> Wanted<'a> {
    /// Takes a member, or gives the equal one that was taken before.
    pub fn take(&mut self, uri: Uri<'a>, member: NewMember<'a>) -> Option<&'a str> {
        let known = self.index.equals(&uri).next();
        if known.is_none() {
            self.index.file(uri, member.address);
            self.members.push((uri, member));
        }
        known
    }

    /// Which stored member each of these is. One in another spelling is the same only if no other of these equals it:
    /// an address without a parameter equals two that have it with different values.
    fn found_among<'b>(&self, stored: &'b [String]) -> Vec<Option<&'b str>> {
        let texts: HashSet<&str> = stored.iter().map(String::as_str).collect();
        let exact = self.members.iter();
        let mut found: Vec<Option<&'b str>> = exact
            .map(|(_, member)| texts.get(member.address).copied())
            .collect();
        let mut taken: HashSet<&str> = found.iter().flatten().copied().collect();
        let index = Index::of(stored.iter().map(String::as_str));
        let is_for_one = |other: &str| {
            Uri::parse(other.as_bytes())
                .is_ok_and(|uri| self.index.equals(&uri.as_address()).nth(1).is_none())
        };
        for ((uri, _), found) in self.members.iter().zip(&mut found) {
            if found.is_none() {
                let mut equal = index.equals(uri);
                *found = equal.find(|other| is_for_one(other) && !taken.contains(other));
                taken.extend(*found);
            }
        }
        found
    }
}

impl Change<'_> {
    /// Makes the members of a group exactly these.
    pub fn set_members(
        &self,
        group: &GroupRecord,
        given: &[NewMember<'_>],
    ) -> Result<MembersChange, EditError> {
        let mut wanted = Wanted::default();
        let mut refused = Refused::default();
        let mut repeated = 0;
        for (at, &member) in given.iter().enumerate() {
            if let Some(uri) = refused.checked(at, member) {
                repeated += usize::from(wanted.take(uri, member).is_some());
            }
        }
        refused.finish()?;
        let mut change = self.put_members(group, wanted, Unnamed::KeepTheirs)?;
        change.repeated = repeated;
        Ok(change)
    }

    /// The same for members that are checked.
    pub fn put_members(
        &self,
        group: &GroupRecord,
        wanted: Wanted<'_>,
        unnamed: Unnamed,
    ) -> Result<MembersChange, EditError> {
        self.check_count(group, wanted.members.len())?;
        let stored = self.members(group)?;
        let found = wanted.found_among(&stored);
        let stay: HashSet<&str> = found.iter().flatten().copied().collect();
        let gone = stored.iter().filter(|it| !stay.contains(it.as_str()));
        let mut change = MembersChange::of(group);
        change.members = wanted.members.len();
        change.existing = stay.len();
        change.deleted = gone.cloned().collect();
        let names: HashMap<String, String> = self.names(group)?;
        let mut new = Vec::new();
        for ((uri, member), found) in wanted.members.into_iter().zip(found) {
            let Some(stored) = found else {
                new.push((uri, member));
                continue;
            };
            let keeps = member.name.is_none() && unnamed == Unnamed::KeepTheirs;
            if !keeps && member.name != names.get(stored).map(String::as_str) {
                self.name_member(group, stored, member.name)?;
                let name = member.name.map(str::to_owned);
                change.named.push((stored.to_owned(), name));
            }
        }
        self.remove_members(group, &change.deleted)?;
        self.insert_members(group, &new, &mut change)?;
        Ok(change)
    }
}
