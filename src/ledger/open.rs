//! The file of a proxy: made if need be, locked for the proxy alone, brought up to date.
//!
//! The main process locks the file itself before it forks. All its processes inherit the lock, and it goes with
//! the last of them: one that outlives a killed main process could still write, so the next proxy must wait.

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

/// The owner and the group may read and write, nobody else: messages are personal data.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;

/// How long the lock may still be held by processes that were just killed.
const GRACE: Duration = Duration::from_secs(1);

/// The ledger of a proxy. To be opened by its main process before it forks; each process then makes its own
/// [`SqliteLedger`] or [`SqliteReader`], and none of those may live through a fork.
#[derive(Debug)]
pub struct LedgerFile {
    path: PathBuf,
    id: FileId,
    key: [u8; 16],
    run: u64,
    /// Held open: it is the lock.
    _lock: File,
}

impl LedgerFile {
    /// Takes the file at `path`, which is made with its folder if need be. What the last run has promised stays in
    /// it, to be had from [`LedgerFile::reader`].
    ///
    /// # Errors
    ///
    /// A path that is not absolute, a file that another proxy has, that is damaged, not ours or of a later version,
    /// or that cannot be made or written.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        if !path.is_absolute() {
            return Err(LedgerError::new(path, Problem::Relative));
        }
        make_folder(path)?;
        make_file(path)?;
        Self::take(path)
    }

    /// The same, but only if the file is there.
    pub fn open_existing(path: &Path) -> Result<Self, LedgerError> {
        Self::take(path)
    }

    fn take(path: &Path) -> Result<Self, LedgerError> {
        let (lock, id) = lock(path)?;
        let mut connection = connect(path)?;
        let (key, run) = prepare(path, &mut connection)?;
        // Brings the log into the file and removes it.
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

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A key for hashes that are compared in later runs too.
    pub fn key(&self) -> [u8; 16] {
        self.key
    }

    /// The number of this run, greater than those of all before: the upper half of the ids that it gives. It has
    /// at most 31 bits.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// For the one process that writes, after the fork.
    pub fn writer(&self) -> Result<SqliteLedger, LedgerError> {
        SqliteLedger::open(&self.path, self.id, self.key)
    }

    /// For a process that reads, after the fork; or for the main process, which drops it before.
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
        // What SQLite knew of an earlier log.
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
            // The mode at creation went through the umask.
            let made = file.set_permissions(Permissions::from_mode(FILE_MODE));
            made.and_then(|()| file.sync_all()).map_err(system)?;
            let folder = path.parent().unwrap_or(Path::new("/"));
            // Its name, too, has to outlive a power cut.
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(system)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(system(error)),
    }
}

/// Locks the file at `path`, and tells which one it is.
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

/// Makes or migrates the tables, begins a run, and puts away what the last one has not promised. Gives the key and
/// the number of the run.
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
    // Readers are never held up by the writer, nor it by them.
    let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
    let mode: String = mode.map_err(sqlite)?;
    if mode != "wal" {
        return Err(LedgerError::new(path, Problem::NoLog(mode)));
    }
    begin_run(connection).map_err(sqlite)
}

/// Refuses a damaged file: it is looked through as a whole.
fn check(path: &Path, connection: &Connection) -> Result<(), LedgerError> {
    let found = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    let found: String = found.map_err(|error| LedgerError::sqlite(path, &error))?;
    if found == "ok" {
        return Ok(());
    }
    // A damaged file should not be closed with a checkpoint.
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
        // Unheard of on any system that this runs on; a key that is never the same still is one.
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
