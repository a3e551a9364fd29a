//! Opening the ledger of a proxy: created if necessary, locked for this proxy alone, and migrated.
//!
//! The main process locks the file itself before it forks. All its processes inherit the lock, which is
//! released when the last one ends: a process that outlives a killed main process could still write, so
//! the next proxy must wait for it.

use super::connect::{connect, leave_log, require_current};
use super::error::{LedgerError, Problem};
use super::reader::SqliteReader;
use super::schema::{self, Kind, VERSION};
use super::watch::{FileId, beside};
use super::writer::SqliteLedger;
use crate::fanout::milliseconds;
use rusqlite::{Connection, TransactionBehavior};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Only the owner and the group may read and write: messages are personal data.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;

/// How long processes that were just killed may still hold the lock.
const GRACE: Duration = Duration::from_secs(1);

/// The ledger of a proxy. Opened by its main process before it forks; each process then creates its own
/// [`SqliteLedger`] or [`SqliteReader`], none of which may survive a fork.
#[derive(Debug)]
pub struct LedgerFile {
    path: PathBuf,
    id: FileId,
    key: [u8; 16],
    run: u64,
    /// The lock lasts as long as this is open.
    _lock: File,
}

impl LedgerFile {
    /// Opens and locks the file at `path`, which is created with its folder if necessary. Promises of
    /// the previous run stay in it, for [`LedgerFile::reader`].
    ///
    /// # Errors
    ///
    /// A path that is not absolute, or a file that is used by another proxy, damaged, not a ledger, of
    /// a later version, or that cannot be created or written.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        if !path.is_absolute() {
            return Err(LedgerError::new(path, Problem::Relative));
        }
        make_folder(path)?;
        make_file(path)?;
        Self::take(path)
    }

    /// The same, but only if the file exists.
    pub fn open_existing(path: &Path) -> Result<Self, LedgerError> {
        Self::take(path)
    }

    fn take(path: &Path) -> Result<Self, LedgerError> {
        let (lock, id) = lock(path)?;
        let mut connection = connect(path)?;
        let (key, run) = prepare(path, &mut connection)?;
        // Checkpoints and removes the log.
        let closed = connection.close();
        closed.map_err(|(_, error)| LedgerError::sqlite(path, &error))?;
        if FileId::at(path).ok() != Some(id) {
            return Err(LedgerError::new(path, Problem::Replaced));
        }
        Ok(Self {
            path: path.to_owned(),
            id,
            key,
            run,
            _lock: lock,
        })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key of hashes that are also compared in later runs.
    pub fn key(&self) -> [u8; 16] {
        self.key
    }

    /// The number of this run, greater than those of all earlier ones; the upper half of the message
    /// ids of this run. At most 31 bits.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// For the writing process, after the fork.
    pub fn writer(&self) -> Result<SqliteLedger, LedgerError> {
        SqliteLedger::open(&self.path, self.id, self.key)
    }

    /// For a reading process, after the fork; or for the main process, which must drop it before the
    /// fork.
    pub fn reader(&self) -> Result<SqliteReader, LedgerError> {
        SqliteReader::open_file(&self.path, Some(self.id))
    }
}

fn make_folder(path: &Path) -> Result<(), LedgerError> {
    let folder = path.parent().filter(|folder| !folder.exists());
    let Some(folder) = folder else { return Ok(()) };
    let made = DirBuilder::new().mode(FOLDER_MODE).create(folder);
    made.map_err(|error| LedgerError::new(path, Problem::NoFolder(error.to_string())))
}

fn make_file(path: &Path) -> Result<(), LedgerError> {
    let system = |error| LedgerError::system(path, &error);
    if !path.exists() {
        if beside(path, "-wal").exists() {
            return Err(LedgerError::new(path, Problem::LogAlone));
        }
        // SQLite's index of an earlier log.
        match fs::remove_file(beside(path, "-shm")) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(system(error)),
            _ => {}
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
            let made = file.set_permissions(Permissions::from_mode(FILE_MODE));
            made.and_then(|()| file.sync_all()).map_err(system)?;
            let folder = path.parent().unwrap_or(Path::new("/"));
            // The directory entry must survive a power failure as well.
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(system)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(system(error)),
    }
}

/// Locks the file at `path`, and returns its identity.
fn lock(path: &Path) -> Result<(File, FileId), LedgerError> {
    let system = |error| LedgerError::system(path, &error);
    if fs::metadata(path).map_err(system)?.is_dir() {
        return Err(LedgerError::new(path, Problem::NotAFile));
    }
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.map_err(system)?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if start.elapsed() < GRACE => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => return Err(LedgerError::new(path, Problem::InUse)),
            Err(TryLockError::Error(error)) => return Err(system(error)),
        }
    }
    let id = FileId::of(&file.metadata().map_err(system)?);
    Ok((file, id))
}

/// Creates or migrates the tables, begins a run, and deletes messages that the previous run did not
/// promise, except those with kept copies. Returns the key and the number of the run.
fn prepare(path: &Path, connection: &mut Connection) -> Result<([u8; 16], u64), LedgerError> {
    let sqlite = |error| LedgerError::sqlite(path, &error);
    if connection.is_readonly("main").map_err(sqlite)? {
        let text = "the file can be read only".to_owned();
        return Err(LedgerError::new(path, Problem::Denied(text)));
    }
    if !matches!(
        schema::kind(connection).map_err(sqlite)?,
        Kind::Empty | Kind::Ours(..=VERSION)
    ) {
        require_current(path, connection)?;
    }
    check(path, connection)?;
    // In this mode readers never wait for the writer, nor the writer for readers.
    let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
    let mode: String = mode.map_err(sqlite)?;
    if mode != "wal" {
        return Err(LedgerError::new(path, Problem::NoLog(mode)));
    }
    begin_run(connection).map_err(sqlite)
}

/// Refuses a damaged file. Reads the whole file.
fn check(path: &Path, connection: &Connection) -> Result<(), LedgerError> {
    let found = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    let found: String = found.map_err(|error| LedgerError::sqlite(path, &error))?;
    if found == "ok" {
        return Ok(());
    }
    // Closing the connection must not checkpoint into a damaged file.
    leave_log(connection).map_err(|error| LedgerError::sqlite(path, &error))?;
    let text = found.replace('\n', " ");
    Err(LedgerError::new(path, Problem::Corrupt(text)))
}

fn begin_run(connection: &mut Connection) -> rusqlite::Result<([u8; 16], u64)> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = match schema::kind(&transaction)? {
        Kind::Ours(version) => version,
        Kind::Empty | Kind::Foreign => 0,
    };
    schema::migrate(&transaction, version)?;
    let mut key = [0; 16];
    if getrandom::fill(&mut key).is_err() {
        // Never happens on supported systems. The time is at least a different key for each file.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        key = now.unwrap_or_default().as_nanos().to_le_bytes();
    }
    let sql = "INSERT INTO meta (only_row, key, run) VALUES (1, ?1, 1)
        ON CONFLICT DO UPDATE SET run = (run + 1) & 0x7fffffff RETURNING key, run";
    let (key, run) = transaction.query_row(sql, [key], |row| {
        Ok((
            super::connect::sixteen(row, 0)?,
            super::connect::number(row, 1)?,
        ))
    })?;
    let now = milliseconds(SystemTime::now()).cast_signed();
    transaction.execute(
        "DELETE FROM message WHERE NOT promised AND id NOT IN (SELECT message FROM kept)",
        [],
    )?;
    transaction.execute(
        "DELETE FROM recipient_state WHERE message NOT IN (SELECT id FROM message)",
        [],
    )?;
    transaction.execute(
        "UPDATE message SET finished_at = ?1 WHERE NOT promised AND finished_at IS NULL",
        [now],
    )?;
    transaction.commit()?;
    Ok((key, run))
}
