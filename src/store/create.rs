//! Creating a database, and migrating an older one.

#![forbid(unsafe_code)]

use super::database::{ADMINISTRATOR_PATIENCE, connect};
use super::error::{Problem, StoreError};
use super::file::beside;
use super::schema::{self, Kind, VERSION};
use rusqlite::{Connection, TransactionBehavior};
use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Only the owner and the group may read and write: members are personal data.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;

/// What [`init`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initialised {
    /// The folder that was missing and has been created.
    pub folder: Option<PathBuf>,
    /// What happened to the tables.
    pub tables: Tables,
    /// Who owns the file, if that is another user than the folder's owner.
    pub owner: Option<ForeignOwner>,
}

/// What happened to the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// They were created.
    Created,
    /// They were migrated from this version.
    Migrated(i32),
    /// They were current; nothing changed.
    Current,
}

/// A file whose owner differs from its folder's: the proxy may be unable to write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignOwner {
    /// User id and group id of the file.
    pub file: (u32, u32),
    /// User id and group id of the folder.
    pub folder: (u32, u32),
}

impl fmt::Display for ForeignOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, folder } = self;
        write!(
            f,
            "expected the folder's owner {}:{}, found {}:{}: the proxy may be unable to use the file; make the proxy's user the owner of file and folder with `chown`",
            folder.0, folder.1, file.0, file.1
        )
    }
}

/// Creates the database at `path`, with its folder if that is missing, or migrates an older one.
///
/// Run by root, it gives a new file the folder's owner and group, and SQLite does the same for its own
/// files beside it. One transaction creates all tables, so that a database is never incomplete.
///
/// # Errors
///
/// A file that is not a database of cimf or is of a later version, or that cannot be created or
/// written.
pub fn init(path: &Path) -> Result<Initialised, StoreError> {
    let system = |error| StoreError::system(path, &error);
    let sqlite = |error| StoreError::sqlite(path, &error);
    let folder = make_folder(path).map_err(system)?;
    make_file(path).map_err(system)?;
    let mut connection = connect(path, ADMINISTRATOR_PATIENCE)?;
    let tables = match schema::kind(&connection).map_err(sqlite)? {
        Kind::Ours(VERSION) => Tables::Current,
        Kind::Ours(found) if found > VERSION => {
            return Err(StoreError::new(path, Problem::Newer(found)));
        }
        Kind::Ours(_) | Kind::Empty => {
            // In this mode readers never wait for a writer, nor a writer for readers.
            let mode: String = connection
                .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
                .map_err(sqlite)?;
            if mode != "wal" {
                return Err(StoreError::new(path, Problem::NoLog(mode)));
            }
            make_tables(&mut connection).map_err(sqlite)?
        }
        Kind::Foreign => return Err(StoreError::new(path, Problem::Foreign)),
    };
    let owner = foreign_owner(path).map_err(system)?;
    Ok(Initialised {
        folder,
        tables,
        owner,
    })
}

/// The owner of the database, if it differs from its folder's.
pub(super) fn foreign_owner(path: &Path) -> io::Result<Option<ForeignOwner>> {
    let owner = |path: &Path| fs::metadata(path).map(|found| (found.uid(), found.gid()));
    let real = fs::canonicalize(path)?;
    let (file, folder) = (owner(&real)?, owner(parent(&real))?);
    Ok((file.0 != folder.0).then_some(ForeignOwner { file, folder }))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn make_folder(path: &Path) -> io::Result<Option<PathBuf>> {
    let folder = parent(path);
    if folder.exists() {
        return Ok(None);
    }
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)?;
    Ok(Some(folder.to_owned()))
}

/// Creates an empty file with the right mode and owner, unless there is one.
fn make_file(path: &Path) -> io::Result<()> {
    if !path.exists() {
        // SQLite would apply the log of a previous file to the new one.
        for suffix in ["-wal", "-shm"] {
            match fs::remove_file(beside(path, suffix)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    let new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path);
    match new {
        Ok(file) => {
            // The mode given at creation was reduced by the umask.
            file.set_permissions(Permissions::from_mode(FILE_MODE))?;
            let folder = fs::metadata(parent(path))?;
            let own = file.metadata()?;
            if (own.uid(), own.gid()) != (folder.uid(), folder.gid()) {
                // Only root may change owners; if this fails, `foreign_owner` reports it. By
                // descriptor: in another user's folder the name may refer to another file by now.
                let _ = fchown(&file, Some(folder.uid()), Some(folder.gid()));
            }
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn make_tables(connection: &mut Connection) -> rusqlite::Result<Tables> {
    // Another `init` may have been faster: check again under the lock.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (from, done) = match schema::kind(&transaction)? {
        Kind::Ours(found) if found < VERSION => (found, Tables::Migrated(found)),
        Kind::Empty => (0, Tables::Created),
        _ => return Ok(Tables::Current),
    };
    schema::migrate(&transaction, from)?;
    transaction.commit()?;
    Ok(done)
}
