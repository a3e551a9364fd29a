//! A transaction of an [`Editor`](super::Editor): finding groups and members, adding and deleting.

use super::EditError;
use super::address::parse;
use super::group_record::{GroupRecord, SELECT_GROUP, group_record};
use super::members_change::{Existing, MembersChange, Missing, NewMember};
use super::refused::Refused;
use crate::sip::uri::Uri;
use crate::store::StoreError;
use crate::store::database::{Probe, text};
use rusqlite::{OptionalExtension, Transaction};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;

const PUT_NAME: &str =
    "INSERT OR REPLACE INTO member_name (group_id, uri, display_name) VALUES (?1, ?2, ?3)";

/// Members by bucket, for finding equal ones.
#[derive(Default)]
pub(super) struct Index<'a>(HashMap<u64, Vec<(Uri<'a>, &'a str)>>);

impl<'a> Index<'a> {
    /// Indexes `members`; malformed addresses are skipped, as they equal nothing.
    pub fn of(members: impl IntoIterator<Item = &'a str>) -> Self {
        let mut index = Self::default();
        for member in members {
            if let Ok(uri) = Uri::parse(member.as_bytes()) {
                index.file(uri.as_address(), member);
            }
        }
        index
    }

    pub fn file(&mut self, uri: Uri<'a>, member: &'a str) {
        self.0.entry(uri.bucket()).or_default().push((uri, member));
    }

    pub fn equals<'b>(&'b self, uri: &'b Uri<'_>) -> impl Iterator<Item = &'a str> + use<'a, 'b> {
        let bucket = self.0.get(&uri.bucket()).into_iter().flatten();
        bucket
            .filter(|(filed, _)| filed.same(uri))
            .map(|&(_, member)| member)
    }
}

/// An open transaction.
pub(super) struct Change<'a> {
    pub transaction: &'a Transaction<'a>,
    pub path: &'a Path,
    pub max_members: u32,
}

impl Change<'_> {
    pub fn sqlite<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, EditError> {
        work(self.transaction)
            .map_err(|error| EditError::Store(StoreError::sqlite(self.path, &error)))
    }

    pub fn group(&self, uri: &str) -> Result<Option<GroupRecord>, EditError> {
        let sql = format!("{SELECT_GROUP} WHERE uri = ?1");
        self.sqlite(|transaction| transaction.query_row(&sql, [uri], group_record).optional())
    }

    pub fn existing_group(&self, uri: &str) -> Result<GroupRecord, EditError> {
        let missing = || EditError::NoGroup(self.path.to_owned(), uri.to_owned());
        self.group(uri)?.ok_or_else(missing)
    }

    pub fn members(&self, group: &GroupRecord) -> Result<Vec<String>, EditError> {
        self.sqlite(|transaction| {
            let sql = "SELECT uri FROM member WHERE group_id = ?1 ORDER BY uri";
            let mut statement = transaction.prepare(sql)?;
            let members =
                statement.query_map([group.id], |row| text(row, 0).map(Cow::into_owned))?;
            members.collect()
        })
    }

    /// Adds members with their names, all or none.
    pub fn add_members(
        &self,
        group: &GroupRecord,
        new: &[NewMember<'_>],
        existing: Existing,
    ) -> Result<MembersChange, EditError> {
        let stored = self.members(group)?;
        let stored_index = Index::of(stored.iter().map(String::as_str));
        let mut given = Index::default();
        let mut change = MembersChange::of(group);
        let mut added = Vec::new();
        let mut refused = Refused::default();
        for (at, &member) in new.iter().enumerate() {
            let Some(uri) = refused.checked(at, member) else {
                continue;
            };
            let is_stored = stored_index.equals(&uri).next();
            let known = is_stored.or_else(|| given.equals(&uri).next());
            match (known, existing) {
                (Some(known), Existing::Refused) => refused.push(
                    at,
                    EditError::MemberExists {
                        group: group.uri.clone(),
                        member: member.address.to_owned(),
                        existing: known.to_owned(),
                    },
                ),
                (Some(_), Existing::Skipped) if is_stored.is_some() => change.existing += 1,
                (Some(_), Existing::Skipped) => change.repeated += 1,
                (None, _) => {
                    given.file(uri, member.address);
                    added.push((uri, member));
                }
            }
        }
        refused.finish()?;
        change.members = stored.len() + added.len();
        self.check_count(group, change.members)?;
        self.insert_members(group, &added, &mut change)?;
        Ok(change)
    }

    /// Checks that a group may have so many members.
    pub fn check_count(&self, group: &GroupRecord, count: usize) -> Result<(), EditError> {
        match count > self.max_members as usize {
            true => Err(EditError::TooManyMembers {
                group: group.uri.clone(),
                count,
                limit: self.max_members,
            }),
            false => Ok(()),
        }
    }

    /// Writes new members with their names, and notes them and which of them are groups or services.
    pub fn insert_members(
        &self,
        group: &GroupRecord,
        new: &[(Uri<'_>, NewMember<'_>)],
        change: &mut MembersChange,
    ) -> Result<(), EditError> {
        self.sqlite(|transaction| {
            let mut insert =
                transaction.prepare("INSERT INTO member (group_id, uri) VALUES (?1, ?2)")?;
            let mut insert_name = transaction.prepare(PUT_NAME)?;
            let mut probe = Probe::new(transaction)?;
            for (uri, member) in new {
                insert.execute((group.id, member.address))?;
                if let Some(name) = member.name {
                    insert_name.execute((group.id, member.address, name))?;
                }
                if let Uri::Sip(sip) = uri
                    && probe.is_ours(sip)?
                {
                    change.nested.push(member.address.to_owned());
                }
                change.added.push(member.address.to_owned());
            }
            Ok(())
        })
    }

    /// The display names of members that have one.
    pub fn names(&self, group: &GroupRecord) -> Result<HashMap<String, String>, EditError> {
        self.sqlite(|transaction| {
            let sql = "SELECT uri, display_name FROM member_name WHERE group_id = ?1";
            let mut statement = transaction.prepare(sql)?;
            let names = statement.query_map([group.id], |row| {
                Ok((text(row, 0)?.into_owned(), text(row, 1)?.into_owned()))
            })?;
            names.collect()
        })
    }

    /// Sets or removes the display name of a member. `member` must be spelt as stored.
    pub fn name_member(
        &self,
        group: &GroupRecord,
        member: &str,
        name: Option<&str>,
    ) -> Result<(), EditError> {
        self.sqlite(|transaction| {
            let done = match name {
                Some(name) => transaction.execute(PUT_NAME, (group.id, member, name)),
                None => transaction.execute(
                    "DELETE FROM member_name WHERE group_id = ?1 AND uri = ?2",
                    (group.id, member),
                ),
            };
            done.map(drop)
        })
    }

    /// The stored spelling of the member that `given` matches by text or by URI equality.
    pub fn stored_member(&self, group: &GroupRecord, given: &str) -> Result<String, EditError> {
        let existing = self.members(group)?;
        let index = Index::of(existing.iter().map(String::as_str));
        stored(&existing, &index, group, given).map(str::to_owned)
    }

    /// Deletes members, all or none.
    pub fn delete_members<'a>(
        &self,
        group: &GroupRecord,
        gone: impl IntoIterator<Item = &'a str>,
        missing: Missing,
    ) -> Result<MembersChange, EditError> {
        let existing = self.members(group)?;
        let index = Index::of(existing.iter().map(String::as_str));
        let mut change = MembersChange::of(group);
        let mut known = HashSet::new();
        let mut refused = Refused::default();
        for (at, member) in gone.into_iter().enumerate() {
            match stored(&existing, &index, group, member) {
                Err(EditError::NoMember { .. }) if missing == Missing::Skipped => {
                    change.missing += 1;
                }
                found => {
                    if let Some(member) = refused.unless(at, found) {
                        match known.insert(member) {
                            true => change.deleted.push(member.to_owned()),
                            false => change.repeated += 1,
                        }
                    }
                }
            }
        }
        refused.finish()?;
        self.remove_members(group, &change.deleted)?;
        change.members = existing.len() - change.deleted.len();
        Ok(change)
    }

    /// Deletes members with their names. They must be spelt as stored.
    pub fn remove_members(
        &self,
        group: &GroupRecord,
        gone: &[impl AsRef<str>],
    ) -> Result<(), EditError> {
        self.sqlite(|transaction| {
            let sql = "DELETE FROM member WHERE group_id = ?1 AND uri = ?2";
            let mut delete = transaction.prepare(sql)?;
            for member in gone {
                delete.execute((group.id, member.as_ref()))?;
            }
            Ok(())
        })
    }
}

/// The member among `existing` (sorted) that `given` refers to.
fn stored<'a>(
    existing: &'a [String],
    index: &Index<'a>,
    group: &GroupRecord,
    given: &str,
) -> Result<&'a str, EditError> {
    match existing.binary_search_by(|it| it.as_str().cmp(given)) {
        Ok(at) => Ok(&existing[at]),
        Err(_) => equal_address(index, &group.uri, given),
    }
}

/// The only address of a group or service that equals `given`, which is itself not stored.
pub(super) fn equal_address<'a>(
    index: &Index<'a>,
    owner: &str,
    given: &str,
) -> Result<&'a str, EditError> {
    let uri = parse(given)?.as_address();
    let equal: Vec<_> = index.equals(&uri).collect();
    let (group, member) = (owner.to_owned(), given.to_owned());
    match equal.as_slice() {
        [one] => Ok(one),
        [] => Err(EditError::NoMember { group, member }),
        several => Err(EditError::Ambiguous {
            group,
            member,
            existing: several.iter().map(|&it| it.to_owned()).collect(),
        }),
    }
}
