//! The groups as seen by one worker: read once, cached in compiled form, read again only after a
//! change.
//!
//! Each lookup first looks whether the database was written to: at the head of SQLite's WAL index, which costs a few
//! reads of memory, and where that has changed by `PRAGMA data_version`. Only if so is the group's revision queried, and
//! only if that differs is the group read.

#![forbid(unsafe_code)]

use super::cache::{Cache, Entry, Known};
use super::database::{Database, Standing, WORKER_PATIENCE, connect, damage, require_current};
use super::error::{Problem, StoreError};
use super::load::{load, still_holds};
use super::unions::Unions;
use crate::config::Nested;
use crate::control::{Addressing, Directory, Group, Target, Unavailable};
use crate::sip::text::Printable;
use crate::sip::uri::{Form, SipUri};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the path is checked for another file: a replacement must be noticed within a second.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How many skipped members are logged individually: a broken import would flood the log.
const MOST_SKIPPED_LINES: usize = 10;

/// Operation counts of a [`Store`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// How often the database was opened.
    pub opened: u64,
    /// How often the path was checked for another file.
    pub looks: u64,
    /// How often SQLite was asked whether anything had changed.
    pub version_checks: u64,
    /// How often a group's row was queried.
    pub group_queries: u64,
    /// How often the members of a group were read.
    pub loads: u64,
}

/// The groups of one worker. The database is opened at the first lookup, so in the process that uses
/// it, and again after the file was replaced or has failed.
pub struct Store {
    path: PathBuf,
    addressing: Addressing,
    max_members: u32,
    /// Whether nested groups are expanded; members that are groups are not logged as skipped then.
    expands: bool,
    cache: Cache,
    unions: Unions,
    database: Option<Database>,
    /// Whether the open database has failed and must be reopened.
    failed: bool,
    /// When the path was last found to lead to the open file.
    looked: Option<Instant>,
    /// The number of changes seen so far.
    epoch: u64,
    statistics: Statistics,
    key: Vec<u8>,
}

impl Store {
    /// Opens nothing yet.
    ///
    /// `max_members` limits the members of a group; `cache_members` is the capacity of the cache over
    /// all groups, an eighth of which is reserved for addresses that are not groups.
    pub fn new(path: &Path, addressing: Addressing, max_members: u32, cache_members: u32) -> Self {
        Self {
            path: path.to_owned(),
            addressing,
            max_members,
            expands: false,
            cache: Cache::new(cache_members),
            unions: Unions::new(cache_members),
            database: None,
            failed: false,
            looked: None,
            epoch: 0,
            statistics: Statistics::default(),
            key: Vec::new(),
        }
    }

    /// Sets how nested groups are treated.
    pub fn with_nested(self, nested: Nested) -> Self {
        let expands = nested != Nested::Skip;
        Self { expands, ..self }
    }

    /// Opens the database, checks that it is intact, a database of cimf and current, and closes it.
    ///
    /// # Errors
    ///
    /// A missing, locked, damaged or foreign file, or one of another version; the text names the file,
    /// the problem and the remedy.
    pub fn check(path: &Path) -> Result<(), StoreError> {
        let database = Database::open(path)?;
        let found = damage(&database.connection, "PRAGMA quick_check(1)");
        match found.map_err(|error| StoreError::sqlite(path, &error))? {
            Some(text) => Err(StoreError::new(path, Problem::Corrupt(text))),
            None => database
                .snapshot(|snapshot| snapshot.target("").map(drop))
                .map(drop),
        }
    }

    /// The mark by which the proxy recognises copies that loop back to it.
    ///
    /// # Errors
    ///
    /// As for [`Store::check`].
    pub fn copy_mark(path: &Path) -> Result<String, StoreError> {
        Database::open(path)?.snapshot(|snapshot| snapshot.copy_mark())
    }

    /// Checkpoints the database's log, provided that no process has the database open any more: one
    /// file then holds everything and can be copied, moved and replaced.
    ///
    /// # Errors
    ///
    /// As for [`Store::check`].
    pub fn tidy(path: &Path) -> Result<(), StoreError> {
        // SQLite does so when the last connection that has read is closed.
        let connection = connect(path, WORKER_PATIENCE)?;
        require_current(path, &connection)
    }

    /// The operation counts so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    fn look_up(&mut self, key: &[u8]) -> Result<Option<Target>, StoreError> {
        let now = Instant::now();
        self.follow_the_path(now)?;
        let Some(database) = &mut self.database else {
            return Err(StoreError::new(&self.path, Problem::Missing));
        };
        if !database.is_untouched() {
            self.statistics.version_checks += 1;
            if database.changed()? {
                self.epoch += 1;
            }
        }
        let known = self.cache.get(key);
        match known.filter(|entry| entry.epoch == self.epoch) {
            Some(Entry {
                known: Known::Absent,
                ..
            }) => Ok(None),
            Some(Entry {
                known: Known::Group(group),
                ..
            }) => Ok(Some(Target::Group(group.clone()))),
            Some(Entry {
                known: Known::UriListService(service),
                ..
            }) => Ok(Some(Target::UriListService(service.clone()))),
            Some(&mut Entry {
                known: Known::TooMany(count),
                ..
            }) => Err(self.too_many(key, count)),
            Some(Entry {
                known: Known::TooLarge,
                ..
            })
            | None => self.ask(key),
        }
    }

    /// Opens the file at the path unless it is open already.
    fn follow_the_path(&mut self, now: Instant) -> Result<(), StoreError> {
        if let Some(database) = &self.database {
            let is_recent = |looked| now.duration_since(looked) < LOOK_INTERVAL;
            if !self.failed && self.looked.is_some_and(is_recent) {
                return Ok(());
            }
            // Each lookup comes here until the path is usable again.
            self.statistics.looks += 1;
            match database.standing()? {
                Standing::Same if !self.failed => {
                    self.looked = Some(now);
                    return Ok(());
                }
                Standing::Same => {}
                Standing::Replaced => log::info!(
                    "{}: the file was replaced, reading the new one",
                    self.path.display()
                ),
                Standing::LogTaken => {
                    log::warn!(
                        "{}: its -wal or -shm was removed while in use, reopening the database",
                        self.path.display()
                    );
                    // A second connection would share the removed files with the first.
                    self.database = None;
                }
            }
        }
        // The old database is closed only now, even if it has failed: see `Database::standing`.
        self.database = Some(Database::open(&self.path)?);
        self.statistics.opened += 1;
        self.failed = false;
        self.looked = Some(now);
        self.cache.clear();
        Ok(())
    }

    /// Queries the database for one address.
    fn ask(&mut self, key: &[u8]) -> Result<Option<Target>, StoreError> {
        let Some(database) = &self.database else {
            return Err(StoreError::new(&self.path, Problem::Missing));
        };
        let uri = String::from_utf8_lossy(key).into_owned();
        let (addressing, limit, expands) = (&self.addressing, self.max_members, self.expands);
        let (cached, statistics) = (self.cache.get(key), &mut self.statistics);
        let is_new = |revision| !matches!(&cached, Some(entry) if entry.revision == revision);
        let (known, revision, directory, logged) = database.snapshot(|snapshot| {
            statistics.group_queries += 1;
            let (directory, row) = snapshot.target(&uri)?;
            let Some(row) = row else {
                return Ok((Known::Absent, 0, directory, false));
            };
            let revision = row.revision;
            if let Some(entry) = cached.as_deref().filter(|_| !is_new(revision))
                && still_holds(entry, directory, snapshot, addressing)?
            {
                return Ok((entry.known.clone(), revision, directory, false));
            }
            statistics.loads += 1;
            let known = load(snapshot, uri.clone(), &row, addressing, limit, expands)?;
            // A group that is too large for the cache is loaded for each message, but logged only once.
            Ok((known, revision, directory, true))
        })?;
        let repeated =
            !is_new(revision) && matches!(&cached, Some(entry) if entry.directory == directory);
        if let (Known::Group(group), true, false) = (&known, logged, repeated) {
            skipped_lines(group)
                .iter()
                .for_each(|line| log::warn!("{line}"));
        }
        let entry = Entry {
            known: known.clone(),
            revision,
            directory,
            epoch: self.epoch,
        };
        self.cache.put(key, entry);
        match known {
            Known::Group(group) => {
                self.warn_if_not_kept(key, group.weight(), repeated);
                Ok(Some(Target::Group(group)))
            }
            Known::UriListService(service) => {
                self.warn_if_not_kept(key, service.consenting.members(), repeated);
                Ok(Some(Target::UriListService(service)))
            }
            Known::TooMany(count) => Err(self.too_many(key, count)),
            Known::Absent | Known::TooLarge => Ok(None),
        }
    }

    fn warn_if_not_kept(&mut self, key: &[u8], weight: usize, repeated: bool) {
        let kept = self.cache.get(key).map(|entry| &entry.known);
        if !repeated && !matches!(kept, Some(Known::Group(_) | Known::UriListService(_))) {
            log::warn!(
                "{} has {weight} addresses, more than the cache holds, and is read again for each message: raise cache_members",
                Printable(key)
            );
        }
    }

    fn too_many(&self, key: &[u8], count: u64) -> StoreError {
        let problem = Problem::TooManyMembers {
            group: Printable(key).to_string(),
            count,
            limit: self.max_members,
        };
        StoreError::new(&self.path, problem)
    }
}

impl Directory for Store {
    fn find(&mut self, uri: &SipUri<'_>) -> Result<Option<Target>, Unavailable> {
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        uri.write(Form::Provisioned, &mut key);
        let found = self.look_up(&key);
        self.key = key;
        found.map_err(|error| {
            if !error.spares_the_connection() {
                self.failed = true;
            }
            Unavailable(error.to_string())
        })
    }

    fn union(
        &mut self,
        parts: &[Arc<Group>],
        without: &[Arc<Group>],
        addressing: &Addressing,
    ) -> Arc<Group> {
        self.unions.get(parts, without, addressing)
    }
}

/// Log lines about the members that get no message.
pub(super) fn skipped_lines(group: &Group) -> Vec<String> {
    let name = Printable(group.uri().as_bytes());
    let skipped = group.skipped();
    let mut lines = Vec::new();
    for member in skipped.iter().take(MOST_SKIPPED_LINES) {
        let (uri, reason) = (Printable(member.uri.as_bytes()), &member.reason);
        lines.push(format!(
            "group {name}: member {uri} gets no message: {reason}"
        ));
    }
    if skipped.len() > MOST_SKIPPED_LINES {
        let more = skipped.len() - MOST_SKIPPED_LINES;
        lines.push(format!("group {name}: {more} more members get no message"));
    }
    lines
}
