//! Changes to groups and services for `cimfctl`: one atomic transaction for each command.

#![forbid(unsafe_code)]

mod address;
mod change;
mod error;
mod exchange;
mod find_member;
mod given_member;
mod group_change;
mod group_record;
mod members_change;
mod membership;
mod pages;
mod refused;
mod set_members;
mod suggestion;
mod uri_list_service;

pub use error::EditError;
pub use exchange::{Exported, NewList, Put, PutGroup, PutRules};
pub use find_member::Membership;
pub use given_member::GivenMember;
pub use group_change::GroupSettings;
pub use group_record::{GroupRecord, NamedMember};
pub use members_change::{Emptying, Existing, MembersChange, Missing, NewMember};
pub use pages::Page;
pub use refused::check_members;
pub use uri_list_service::ServiceRecord;

use super::database::{ADMINISTRATOR_PATIENCE, connect, require_current};
use super::error::StoreError;
use super::postgres::{Purpose, WorkingCopy, is_replica};
use crate::config::DbUrl;
use address::checked_name;
pub(super) use address::group_uri;
use change::Change;
use group_record::{SELECT_GROUP, group_record};
use rusqlite::{Connection, TransactionBehavior};
use std::path::{Path, PathBuf};

/// The data of a new group.
#[derive(Clone, Copy, Debug)]
pub struct NewGroup<'a> {
    /// The address, in any spelling.
    pub uri: &'a str,
    /// The display name.
    pub display_name: Option<&'a str>,
    /// Whether the group accepts pager-mode messages.
    pub pager_mode: bool,
}

/// A database opened for changes.
pub struct Editor {
    database: Opened,
    max_members: u32,
    /// What becomes of changes.
    changing: Purpose,
}

/// Where the groups are.
enum Opened {
    Sqlite(Connection, PathBuf),
    Postgres(Box<WorkingCopy>),
}

impl Editor {
    /// Opens the groups of `db`; a group may have at most `max_members` members.
    ///
    /// # Errors
    ///
    /// A missing, locked, damaged or foreign file, one of another version, or one that is a replica of PostgreSQL; or
    /// PostgreSQL cannot be reached or has no tables of this version.
    pub fn open(db: &DbUrl, max_members: u32) -> Result<Self, EditError> {
        let database = match db {
            DbUrl::Sqlite(path) => {
                let connection = connect(path, ADMINISTRATOR_PATIENCE)?;
                require_current(path, &connection)?;
                match is_replica(&connection) {
                    Ok(false) => Opened::Sqlite(connection, path.clone()),
                    Ok(true) => return Err(EditError::Replica(path.clone())),
                    Err(error) => return Err(StoreError::sqlite(path, &error).into()),
                }
            }
            DbUrl::Postgres(url) => Opened::Postgres(Box::new(WorkingCopy::open(url)?)),
        };
        Ok(Self {
            database,
            max_members,
            changing: Purpose::Change,
        })
    }

    /// Opens the file that the proxy reads, even a replica of PostgreSQL, for reading alone.
    ///
    /// # Errors
    ///
    /// A missing, damaged or foreign file, or one of another version.
    pub fn open_to_read(path: &Path) -> Result<Self, EditError> {
        let connection = connect(path, ADMINISTRATOR_PATIENCE)?;
        require_current(path, &connection)?;
        let only_read = connection.pragma_update(None, "query_only", true);
        only_read.map_err(|error| StoreError::sqlite(path, &error))?;
        Ok(Self {
            database: Opened::Sqlite(connection, path.to_owned()),
            max_members: u32::MAX,
            changing: Purpose::Read,
        })
    }

    /// From now on every change is made, checked, and then given up.
    pub fn rehearse(&mut self) {
        self.changing = Purpose::Rehearse;
    }

    /// Adds a group with its members.
    ///
    /// # Errors
    ///
    /// An address that is invalid for a group or a member, a duplicate, or too many members.
    pub fn add_group<'a>(
        &mut self,
        new: NewGroup<'_>,
        members: impl IntoIterator<Item = impl Into<NewMember<'a>>>,
    ) -> Result<MembersChange, EditError> {
        let uri = group_uri(new.uri)?;
        new.display_name.map(checked_name).transpose()?;
        let members: Vec<NewMember<'_>> = members.into_iter().map(Into::into).collect();
        let scope = || Scope::of_members(&uri, &members);
        self.change(scope, |change| {
            change.check_address_is_free(&uri)?;
            let sql = "INSERT INTO im_group (uri, display_name, pager_mode) VALUES (?1, ?2, ?3)";
            let values = (&uri, new.display_name, new.pager_mode);
            change.sqlite(|transaction| transaction.execute(sql, values))?;
            let group = change.existing_group(&uri)?;
            change.add_members(&group, &members, Existing::Refused)
        })
    }

    /// Deletes a group with its members, and returns its record.
    ///
    /// # Errors
    ///
    /// There is no such group.
    pub fn delete_group(&mut self, uri: &str) -> Result<GroupRecord, EditError> {
        let uri = group_uri(uri)?;
        self.change(
            || Scope::of([uri.as_str()]),
            |change| {
                let group = change.existing_group(&uri)?;
                let sql = "DELETE FROM im_group WHERE id = ?1";
                change.sqlite(|transaction| transaction.execute(sql, [group.id]))?;
                Ok(group)
            },
        )
    }

    /// A group and its members, in their order, with their display name if they have one.
    ///
    /// # Errors
    ///
    /// There is no such group.
    pub fn group(&mut self, uri: &str) -> Result<(GroupRecord, Vec<NamedMember>), EditError> {
        let uri = group_uri(uri)?;
        self.read(
            || Scope::of([uri.as_str()]),
            |change| {
                let group = change.existing_group(&uri)?;
                let mut names = change.names(&group)?;
                let members = change.members(&group)?.into_iter().map(|member| {
                    let name = names.remove(&member);
                    (member, name)
                });
                Ok((group, members.collect()))
            },
        )
    }

    /// A group without its members.
    ///
    /// # Errors
    ///
    /// There is no such group.
    pub fn group_record(&mut self, uri: &str) -> Result<GroupRecord, EditError> {
        let uri = group_uri(uri)?;
        let scope = || Scope::of([uri.as_str()]);
        self.read(scope, |change| change.existing_group(&uri))
    }

    /// Passes all groups, sorted by address, to `each`, until it returns an error.
    ///
    /// # Errors
    ///
    /// The database cannot be read, or the error of `each`.
    pub fn groups<E>(
        &mut self,
        mut each: impl FnMut(&GroupRecord) -> Result<(), E>,
    ) -> Result<Result<(), E>, EditError> {
        let sql = format!("{SELECT_GROUP} ORDER BY uri");
        self.read(
            || Scope::All,
            |change| {
                change.sqlite(|transaction| {
                    let mut statement = transaction.prepare(&sql)?;
                    let mut rows = statement.query([])?;
                    while let Some(row) = rows.next()? {
                        if let Err(error) = each(&group_record(row)?) {
                            return Ok(Err(error));
                        }
                    }
                    Ok(Ok(()))
                })
            },
        )
    }

    /// Runs `work` in one write transaction, which is committed only if it succeeds and is no rehearsal.
    fn change<T>(
        &mut self,
        scope: impl FnOnce() -> Scope,
        work: impl FnOnce(&Change<'_>) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        self.transact(self.changing, scope, work)
    }

    fn read<T>(
        &mut self,
        scope: impl FnOnce() -> Scope,
        work: impl FnOnce(&Change<'_>) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        self.transact(Purpose::Read, scope, work)
    }

    fn transact<T>(
        &mut self,
        purpose: Purpose,
        scope: impl FnOnce() -> Scope,
        work: impl FnOnce(&Change<'_>) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        let max_members = self.max_members;
        match &mut self.database {
            Opened::Sqlite(connection, path) => {
                let failed = |error| EditError::Store(StoreError::sqlite(path, &error));
                let behavior = match purpose {
                    Purpose::Change | Purpose::Rehearse => TransactionBehavior::Immediate,
                    Purpose::Read => TransactionBehavior::Deferred,
                };
                let transaction = connection.transaction_with_behavior(behavior);
                let transaction = transaction.map_err(failed)?;
                let done = work(&Change {
                    transaction: &transaction,
                    path,
                    max_members,
                })?;
                let ended = match purpose {
                    Purpose::Rehearse => transaction.rollback(),
                    Purpose::Change | Purpose::Read => transaction.commit(),
                };
                ended.map_err(failed)?;
                Ok(done)
            }
            Opened::Postgres(copy) => {
                copy.transact(scope().addresses(), purpose, |transaction, path| {
                    work(&Change {
                        transaction,
                        path,
                        max_members,
                    })
                })
            }
        }
    }
}

/// Which groups and services a command is about: what it needs of PostgreSQL. A file is there as a whole.
enum Scope {
    All,
    /// Those with these addresses, in their canonical form.
    Of(Vec<String>),
}

impl Scope {
    /// The groups and services among these addresses, in whatever form; what is no address is none of them.
    fn of<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Self {
        let canonical = |given| group_uri(given).ok();
        Self::Of(addresses.into_iter().filter_map(canonical).collect())
    }

    /// A group, and those of its new members that are groups or services.
    fn of_members(uri: &str, members: &[NewMember<'_>]) -> Self {
        let addresses = members.iter().map(|member| member.address);
        Self::of(addresses.chain([uri]))
    }

    fn addresses(&self) -> Option<&[String]> {
        match self {
            Self::All => None,
            Self::Of(addresses) => Some(addresses),
        }
    }
}
