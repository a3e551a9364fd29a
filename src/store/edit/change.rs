//! A transaction of an [`Editor`](super::Editor): finding groups and members, adding and deleting.

use super::EditError;
use super::address::{member_uri, parse};
use super::group_record::{Added, GroupRecord, SELECT_GROUP, group_record};
use crate::sip::uri::Uri;
use crate::store::StoreError;
use crate::store::database::{Probe, text};
use rusqlite::{OptionalExtension, Transaction};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

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

    pub fn add_members<'a>(
        &self,
        group: &GroupRecord,
        new: impl IntoIterator<Item = &'a str>,
    ) -> Result<Added, EditError> {
        let existing = self.members(group)?;
        let mut index = Index::of(existing.iter().map(String::as_str));
        let mut added = Vec::new();
        for member in new {
            let uri = member_uri(member)?;
            if let Some(existing) = index.equals(&uri).next() {
                return Err(EditError::MemberExists {
                    group: group.uri.clone(),
                    member: member.to_owned(),
                    existing: existing.to_owned(),
                });
            }
            index.file(uri, member);
            added.push((uri, member));
        }
        let count = existing.len() + added.len();
        if count > self.max_members as usize {
            return Err(EditError::TooManyMembers {
                group: group.uri.clone(),
                count,
                limit: self.max_members,
            });
        }
        let nested = self.sqlite(|transaction| {
            let mut insert =
                transaction.prepare("INSERT INTO member (group_id, uri) VALUES (?1, ?2)")?;
            let mut probe = Probe::new(transaction)?;
            let mut nested = Vec::new();
            for (uri, member) in &added {
                insert.execute((group.id, member))?;
                if let Uri::Sip(sip) = uri
                    && probe.is_ours(sip)?
                {
                    nested.push((*member).to_owned());
                }
            }
            Ok(nested)
        })?;
        Ok(Added {
            group: group.uri.clone(),
            count: added.len(),
            nested,
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
                Some(name) => transaction.execute(
                    "INSERT OR REPLACE INTO member_name (group_id, uri, display_name)
                     VALUES (?1, ?2, ?3)",
                    (group.id, member, name),
                ),
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
        stored(
            &existing,
            &Index::of(existing.iter().map(String::as_str)),
            group,
            given,
        )
    }

    pub fn delete_members<'a>(
        &self,
        group: &GroupRecord,
        gone: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<String>, EditError> {
        let existing = self.members(group)?;
        let index = Index::of(existing.iter().map(String::as_str));
        let mut deleted: Vec<String> = Vec::new();
        for member in gone {
            deleted.push(stored(&existing, &index, group, member)?);
        }
        self.sqlite(|transaction| {
            let sql = "DELETE FROM member WHERE group_id = ?1 AND uri = ?2";
            let mut delete = transaction.prepare(sql)?;
            for member in &deleted {
                delete.execute((group.id, member))?;
            }
            Ok(())
        })?;
        Ok(deleted)
    }
}

/// The member among `existing` (sorted) that `given` refers to.
fn stored(
    existing: &[String],
    index: &Index<'_>,
    group: &GroupRecord,
    given: &str,
) -> Result<String, EditError> {
    match existing.binary_search_by(|it| it.as_str().cmp(given)) {
        Ok(at) => Ok(existing[at].clone()),
        Err(_) => equal_address(index, &group.uri, given).map(str::to_owned),
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
