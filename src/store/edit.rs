//! Changing groups, as `cimfctl` does: one transaction for each command, all of it or nothing.

use super::database::{Probe, connect, require_current, text};
use super::error::StoreError;
use crate::sip::Malformed;
use crate::sip::text::Printable;
use crate::sip::uri::{Form, Uri};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an administrator's command waits for another writer.
pub const ADMINISTRATOR_PATIENCE: Duration = Duration::from_secs(5);

/// A group as it is stored, without its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    id: i64,
    /// The address.
    pub uri: String,
    /// A name for people; may be missing.
    pub display_name: Option<String>,
    /// Whether the group takes pager-mode messages.
    pub pager_mode: bool,
    /// When it was last changed, in microseconds since 1970.
    pub revision: i64,
    /// How many members there are.
    pub members: u64,
}

/// What is to be stored for a new group.
#[derive(Clone, Copy, Debug)]
pub struct NewGroup<'a> {
    /// The address, in any spelling.
    pub uri: &'a str,
    /// A name for people.
    pub display_name: Option<&'a str>,
    /// Whether the group takes pager-mode messages.
    pub pager_mode: bool,
}

/// A change that cannot be made; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// The database cannot be used.
    Store(StoreError),
    /// The text is no URI.
    Malformed(String, Malformed),
    /// The URI cannot be a group's.
    NoGroupUri(String),
    /// The URI has a scheme that cannot be sent to.
    NoMemberUri(String),
    /// A display name has a character that cannot be shown.
    DisplayName(String),
    /// The group is there already.
    GroupExists(String),
    /// There is no such group.
    NoGroup(PathBuf, String),
    /// The group has this address already, perhaps in another spelling.
    MemberExists {
        /// The group.
        group: String,
        /// The new address.
        member: String,
        /// The one that is there.
        existing: String,
    },
    /// The group has no such member.
    NoMember {
        /// The group.
        group: String,
        /// The address that was to go.
        member: String,
    },
    /// Several members are this address.
    Ambiguous {
        /// The group.
        group: String,
        /// The address that was to go.
        member: String,
        /// Those that it may mean.
        existing: Vec<String>,
    },
    /// The group would have more members than the limit.
    TooManyMembers {
        /// The group.
        group: String,
        /// How many it would have.
        count: usize,
        /// How many it may have.
        limit: u32,
    },
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |text: &str| Printable(text.as_bytes()).to_string();
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Malformed(uri, error) => write!(f, "\"{}\" is no address: {error}", show(uri)),
            Self::NoGroupUri(uri) => write!(
                f,
                "\"{}\" cannot be a group's address: expected sip:USER@HOST or sips:USER@HOST",
                show(uri)
            ),
            Self::NoMemberUri(uri) => write!(
                f,
                "\"{}\" cannot be a member: expected a sip, sips or tel address",
                show(uri)
            ),
            Self::DisplayName(name) => write!(
                f,
                "display name \"{}\": expected text without control characters",
                show(name)
            ),
            Self::GroupExists(uri) => write!(
                f,
                "the group {uri} exists already; add members with `cimfctl member add {uri} MEMBER…`"
            ),
            Self::NoGroup(file, uri) => write!(
                f,
                "{}: there is no group {uri}; see `cimfctl group list`",
                file.display()
            ),
            Self::MemberExists {
                group,
                member,
                existing,
            } => write!(
                f,
                "group {group}: {member} is already a member as {existing}; nothing was added, leave it out"
            ),
            Self::NoMember { group, member } => write!(
                f,
                "group {group}: {member} is no member; nothing was deleted, see `cimfctl group show {group}`"
            ),
            Self::Ambiguous {
                group,
                member,
                existing,
            } => write!(
                f,
                "group {group}: {member} may be any of {}; nothing was deleted, give one as it is spelt here",
                existing.join(" ")
            ),
            Self::TooManyMembers {
                group,
                count,
                limit,
            } => write!(
                f,
                "group {group} would have {count} members, and {limit} are allowed; nothing was added (--max-members, and the proxy's parameter max_members)"
            ),
        }
    }
}

impl std::error::Error for EditError {}

/// An open database, for changes.
pub struct Editor {
    connection: Connection,
    path: PathBuf,
    max_members: u32,
}

impl Editor {
    /// Opens the database at `path`; a group will have `max_members` members at most.
    ///
    /// # Errors
    ///
    /// A missing, locked, damaged or foreign file, or one of another version.
    pub fn open(path: &Path, max_members: u32) -> Result<Self, StoreError> {
        let connection = connect(path, ADMINISTRATOR_PATIENCE)?;
        require_current(path, &connection)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            max_members,
        })
    }

    /// Adds a group with its members.
    ///
    /// # Errors
    ///
    /// An address that is not one of a group or of a member, one that is there already, or too
    /// many members.
    pub fn add_group<'a>(
        &mut self,
        new: NewGroup<'_>,
        members: impl IntoIterator<Item = &'a str>,
    ) -> Result<Added, EditError> {
        let uri = group_uri(new.uri)?;
        let bad_name = |name: &&str| name.chars().any(char::is_control);
        if let Some(name) = new.display_name.filter(bad_name) {
            return Err(EditError::DisplayName(name.to_owned()));
        }
        self.change(|change| {
            if change.group(&uri)?.is_some() {
                return Err(EditError::GroupExists(uri.clone()));
            }
            let sql = "INSERT INTO im_group (uri, display_name, pager_mode) VALUES (?1, ?2, ?3)";
            let values = (&uri, new.display_name, new.pager_mode);
            change.sqlite(|transaction| transaction.execute(sql, values))?;
            let group = change.existing_group(&uri)?;
            change.add_members(&group, members)
        })
    }

    /// Deletes a group with its members, and returns what it was.
    ///
    /// # Errors
    ///
    /// There is no such group.
    pub fn delete_group(&mut self, uri: &str) -> Result<GroupRecord, EditError> {
        let uri = group_uri(uri)?;
        self.change(|change| {
            let group = change.existing_group(&uri)?;
            let sql = "DELETE FROM im_group WHERE id = ?1";
            change.sqlite(|transaction| transaction.execute(sql, [group.id]))?;
            Ok(group)
        })
    }

    /// A group and its members, in their order.
    ///
    /// # Errors
    ///
    /// There is no such group.
    pub fn group(&mut self, uri: &str) -> Result<(GroupRecord, Vec<String>), EditError> {
        let uri = group_uri(uri)?;
        self.read(|change| {
            let group = change.existing_group(&uri)?;
            let members = change.members(&group)?;
            Ok((group, members))
        })
    }

    /// All groups, sorted by address, one after the other to `each`, until it returns an error.
    ///
    /// # Errors
    ///
    /// The database cannot be read, or what `each` returned.
    pub fn groups<E>(
        &mut self,
        mut each: impl FnMut(&GroupRecord) -> Result<(), E>,
    ) -> Result<Result<(), E>, StoreError> {
        let sql = format!("{SELECT_GROUP} ORDER BY uri");
        let mut list = || {
            let mut statement = self.connection.prepare(&sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                if let Err(error) = each(&group_record(row)?) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        };
        list().map_err(|error| StoreError::sqlite(&self.path, &error))
    }

    /// Adds members, all or none.
    ///
    /// # Errors
    ///
    /// There is no such group, an address is not one of a member or is there already, or there
    /// are too many members.
    pub fn add_members<'a>(
        &mut self,
        uri: &str,
        members: impl IntoIterator<Item = &'a str>,
    ) -> Result<Added, EditError> {
        let uri = group_uri(uri)?;
        self.change(|change| {
            let group = change.existing_group(&uri)?;
            change.add_members(&group, members)
        })
    }

    /// Deletes members, all or none, each by the text as it is stored or by equality (C-1, C-3),
    /// and returns them as they were stored.
    ///
    /// # Errors
    ///
    /// There is no such group or member, or several members are the given address.
    pub fn delete_members<'a>(
        &mut self,
        uri: &str,
        members: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<String>, EditError> {
        let uri = group_uri(uri)?;
        self.change(|change| {
            let group = change.existing_group(&uri)?;
            change.delete_members(&group, members)
        })
    }

    /// Runs `work` in one writing transaction, which counts only if all of it succeeds.
    fn change<T>(
        &mut self,
        work: impl FnOnce(&Change<'_>) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        self.transact(TransactionBehavior::Immediate, work)
    }

    fn read<T>(
        &mut self,
        work: impl FnOnce(&Change<'_>) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        self.transact(TransactionBehavior::Deferred, work)
    }

    fn transact<T>(
        &mut self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Change<'_>) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        let Self {
            connection,
            path,
            max_members,
        } = self;
        let failed = |error| EditError::Store(StoreError::sqlite(path, &error));
        let change = Change {
            transaction: connection
                .transaction_with_behavior(behavior)
                .map_err(failed)?,
            path,
            max_members: *max_members,
        };
        let done = work(&change)?;
        change.transaction.commit().map_err(failed)?;
        Ok(done)
    }
}

/// What [`Editor::add_members`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The group's address.
    pub group: String,
    /// How many members are new.
    pub count: usize,
    /// The new members that are groups themselves and get no message (H-4).
    pub nested: Vec<String>,
}

const SELECT_GROUP: &str = "SELECT id, uri, display_name, pager_mode, revision,
    (SELECT count(*) FROM member WHERE group_id = id) FROM im_group";

fn group_record(row: &rusqlite::Row<'_>) -> rusqlite::Result<GroupRecord> {
    Ok(GroupRecord {
        id: row.get(0)?,
        uri: text(row, 1)?.into_owned(),
        display_name: row.get(2)?,
        pager_mode: row.get(3)?,
        revision: row.get(4)?,
        members: row.get::<_, i64>(5)?.unsigned_abs(),
    })
}

/// The one spelling of a group's address.
pub(super) fn group_uri(given: &str) -> Result<String, EditError> {
    match parse(given)? {
        Uri::Sip(sip) if sip.user.is_some() => Ok(Uri::Sip(sip).print(Form::Provisioned)),
        _ => Err(EditError::NoGroupUri(given.to_owned())),
    }
}

fn member_uri(given: &str) -> Result<Uri<'_>, EditError> {
    match parse(given)? {
        uri @ (Uri::Sip(_) | Uri::Tel(_)) => Ok(uri.without_headers()),
        _ => Err(EditError::NoMemberUri(given.to_owned())),
    }
}

fn parse(given: &str) -> Result<Uri<'_>, EditError> {
    Uri::parse(given.as_bytes()).map_err(|error| EditError::Malformed(given.to_owned(), error))
}

/// Members by bucket, to find the equal ones.
#[derive(Default)]
struct Index<'a>(HashMap<u64, Vec<(Uri<'a>, &'a str)>>);

impl<'a> Index<'a> {
    /// Files what can be read of `members`; what cannot equals nothing.
    fn of(members: impl IntoIterator<Item = &'a str>) -> Self {
        let mut index = Self::default();
        for member in members {
            if let Ok(uri) = Uri::parse(member.as_bytes()) {
                index.file(uri.without_headers(), member);
            }
        }
        index
    }

    fn file(&mut self, uri: Uri<'a>, member: &'a str) {
        self.0.entry(uri.bucket()).or_default().push((uri, member));
    }

    fn equals<'b>(&'b self, uri: &'b Uri<'_>) -> impl Iterator<Item = &'a str> + use<'a, 'b> {
        let bucket = self.0.get(&uri.bucket()).into_iter().flatten();
        bucket
            .filter(|(filed, _)| filed.same(uri))
            .map(|&(_, member)| member)
    }
}

struct Change<'a> {
    transaction: Transaction<'a>,
    path: &'a Path,
    max_members: u32,
}

impl Change<'_> {
    fn sqlite<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, EditError> {
        work(&self.transaction)
            .map_err(|error| EditError::Store(StoreError::sqlite(self.path, &error)))
    }

    fn group(&self, uri: &str) -> Result<Option<GroupRecord>, EditError> {
        let sql = format!("{SELECT_GROUP} WHERE uri = ?1");
        self.sqlite(|transaction| transaction.query_row(&sql, [uri], group_record).optional())
    }

    fn existing_group(&self, uri: &str) -> Result<GroupRecord, EditError> {
        let missing = || EditError::NoGroup(self.path.to_owned(), uri.to_owned());
        self.group(uri)?.ok_or_else(missing)
    }

    fn members(&self, group: &GroupRecord) -> Result<Vec<String>, EditError> {
        self.sqlite(|transaction| {
            let sql = "SELECT uri FROM member WHERE group_id = ?1 ORDER BY uri";
            let mut statement = transaction.prepare(sql)?;
            let members =
                statement.query_map([group.id], |row| text(row, 0).map(Cow::into_owned))?;
            members.collect()
        })
    }

    fn add_members<'a>(
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
                    && probe.is_group(sip)?
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

    fn delete_members<'a>(
        &self,
        group: &GroupRecord,
        gone: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<String>, EditError> {
        let existing = self.members(group)?;
        let index = Index::of(existing.iter().map(String::as_str));
        let mut deleted: Vec<String> = Vec::new();
        for member in gone {
            let found = match existing.binary_search_by(|it| it.as_str().cmp(member)) {
                Ok(at) => existing[at].clone(),
                Err(_) => equal_member(&index, group, member)?.to_owned(),
            };
            deleted.push(found);
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

/// The one member that equals `member`, which is not stored in that spelling.
fn equal_member<'a>(
    index: &Index<'a>,
    group: &GroupRecord,
    member: &str,
) -> Result<&'a str, EditError> {
    let uri = parse(member)?.without_headers();
    let equal: Vec<_> = index.equals(&uri).collect();
    let (group, member) = (group.uri.clone(), member.to_owned());
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
