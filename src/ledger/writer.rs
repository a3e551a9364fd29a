//! The writer: everything that waits goes into one transaction.
//!
//! After an error at or after COMMIT it is unknown whether the transaction is in the log. Its messages
//! are not promised then, so they are withdrawn with the next transaction. A log with a failed write or
//! sync is not trusted with promises any more: a later successful sync proves nothing about what was
//! lost before it, and recovery stops at the first gap. Such a log is checkpointed and restarted.

use super::connect::{connect, leave_log, require_current};
use super::entry::{CommitMode, Entry};
use super::error::{LedgerError, Problem};
use super::transaction::{Change, FORGOTTEN, PROBE, Transaction};
use super::watch::{FileId, Watch, beside};
use super::{Figures, Ledger};
use rusqlite::Connection;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// At about this many bytes the log is checkpointed even under continuous load.
const LONG_LOG: u64 = 16 << 20;

/// Overhead of a commit in the log: a few pages.
const COMMIT_BYTES: u64 = 16 << 10;

/// The log's file is truncated to this size when it is restarted.
const LOG_FILE: i64 = 32 << 20;

/// The ledger for the writing process.
#[derive(Debug)]
pub struct SqliteLedger {
    path: PathBuf,
    file: FileId,
    key: [u8; 16],
    connection: Connection,
    watch: Watch,
    durability: CommitMode,
    figures: Figures,
    /// Promises of transactions that may or may not be in the log.
    doubtful: Vec<u64>,
    /// Whether connection and log must be recreated before anything is promised.
    suspect: bool,
    /// Whether there was no space to extend the log.
    full: bool,
    /// Approximate bytes of the log that are not checkpointed yet.
    log_bytes: u64,
    /// Whether anything was committed since the last [`Ledger::tend`].
    busy: bool,
    /// Buffer for recipients as text.
    lines: Vec<u8>,
}

/// An error, and whether the transaction may be in the log nevertheless.
struct Failed {
    problem: LedgerError,
    is_doubtful: bool,
}

impl SqliteLedger {
    pub(super) fn open(path: &Path, file: FileId, key: [u8; 16]) -> Result<Self, LedgerError> {
        let (connection, watch) = open(path, file)?;
        let mut ledger = Self {
            path: path.to_owned(),
            file,
            key,
            connection,
            watch,
            durability: CommitMode::Synced,
            figures: Figures::default(),
            doubtful: Vec::new(),
            suspect: false,
            full: false,
            log_bytes: 0,
            busy: false,
            lines: Vec::new(),
        };
        let counted = super::reader::count(&ledger.connection);
        ledger.figures = counted.map_err(|error| ledger.sqlite(&error))?;
        Ok(ledger)
    }

    fn sqlite(&self, error: &rusqlite::Error) -> LedgerError {
        LedgerError::sqlite(&self.path, error)
    }

    /// Runs `work` as one transaction, which is synced according to `how`.
    fn transact(
        &mut self,
        how: CommitMode,
        work: impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), Failed> {
        if std::mem::take(&mut self.full) {
            // The file may have space for the content of the log, which then restarts and needs none.
            self.checkpoint().map_err(Failed::before)?;
        }
        let done = self.mend().and_then(|()| self.set_durability(how));
        done.map_err(Failed::before)?;
        let mut transaction = Transaction {
            connection: &self.connection,
            key: self.key,
            any_kept: self.figures.kept > 0,
            lines: &mut self.lines,
            change: Change::default(),
        };
        let run = |sql| self.connection.prepare_cached(sql)?.execute([]);
        let written = run("BEGIN IMMEDIATE").and_then(|_| {
            for &id in &self.doubtful {
                transaction.withdraw(id)?;
            }
            work(&mut transaction)?;
            // An empty transaction must still sync earlier commits.
            match (how, transaction.change.written) {
                (CommitMode::Synced, 0) => transaction.touch(),
                _ => Ok(()),
            }
        });
        let change = transaction.change;
        if let Err(error) = written {
            self.roll_back();
            return Err(Failed::before(self.failure(&error)));
        }
        let committed = self
            .connection
            .prepare_cached("COMMIT")
            .and_then(|mut commit| commit.execute([]));
        if let Err(error) = committed {
            self.roll_back();
            return Err(Failed {
                problem: self.failure(&error),
                is_doubtful: true,
            });
        }
        self.apply(change);
        self.watch.look().map_err(|problem| {
            self.suspect = true;
            Failed {
                problem: LedgerError::new(&self.path, problem),
                is_doubtful: true,
            }
        })?;
        self.doubtful.clear();
        Ok(())
    }

    fn failure(&mut self, error: &rusqlite::Error) -> LedgerError {
        let is_twice = error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation);
        let failure = match is_twice {
            true => LedgerError::new(&self.path, Problem::Twice),
            false => self.sqlite(error),
        };
        self.suspect |= !failure.problem.spares_the_connection();
        self.full |= failure.problem == Problem::Full;
        failure
    }

    fn roll_back(&self) {
        // Some errors end the transaction by themselves.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            log::debug!("ledger {}: ROLLBACK: {error}", self.path.display());
        }
    }

    fn apply(&mut self, change: Change) {
        let Figures {
            unfinished,
            kept,
            kept_bytes,
            ..
        } = &mut self.figures;
        *unfinished = unfinished.saturating_add_signed(change.unfinished);
        *kept = kept.saturating_add_signed(change.kept);
        *kept_bytes = kept_bytes.saturating_add_signed(change.kept_bytes);
        if change.written > 0 {
            self.log_bytes += change.written + COMMIT_BYTES;
            self.busy = true;
        }
    }

    fn set_durability(&mut self, how: CommitMode) -> Result<(), LedgerError> {
        if how != self.durability {
            let sql = match how {
                CommitMode::Synced => "PRAGMA synchronous = FULL",
                CommitMode::Soon => "PRAGMA synchronous = NORMAL",
            };
            let set = self.connection.execute_batch(sql);
            set.map_err(|error| self.sqlite(&error))?;
            self.durability = how;
        }
        Ok(())
    }

    /// Recovers from an error that left files, connection or log in doubt: checkpoints the log and
    /// opens a new connection with a new log.
    fn mend(&mut self) -> Result<(), LedgerError> {
        if !self.suspect {
            return Ok(());
        }
        self.roll_back();
        match self.watch.look() {
            // Its content is still available from the open descriptor.
            Ok(()) | Err(Problem::LogGone) => {}
            Err(problem) => return Err(LedgerError::new(&self.path, problem)),
        }
        let emptied = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, bool>(0)
            });
        match emptied.map_err(|error| self.sqlite(&error))? {
            false => {}
            true => return Err(LedgerError::new(&self.path, Problem::Locked)),
        }
        let (connection, watch) = open(&self.path, self.file)?;
        self.connection = connection;
        self.watch = watch;
        self.durability = CommitMode::Synced;
        self.suspect = false;
        Ok(())
    }

    /// Checkpoints the log, as far as readers allow, without blocking them.
    fn checkpoint(&mut self) -> Result<(), LedgerError> {
        let done = self
            .connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
            });
        match done {
            Ok((in_log, in_file)) if in_log == in_file => self.log_bytes = 0,
            Ok(_) => {}
            Err(error) => return Err(self.failure(&error)),
        }
        Ok(())
    }
}

/// Opens a connection that has written once, so that the log exists, and the watch on its files.
fn open(path: &Path, file: FileId) -> Result<(Connection, Watch), LedgerError> {
    let sqlite = |error| LedgerError::sqlite(path, &error);
    let is_ours = || match FileId::at(path) {
        Ok(found) if found == file => Ok(()),
        Ok(_) => Err(LedgerError::new(path, Problem::Replaced)),
        Err(_) => Err(LedgerError::new(path, Problem::Gone)),
    };
    is_ours()?;
    let connection = connect(path)?;
    is_ours()?;
    require_current(path, &connection)?;
    leave_log(&connection).map_err(sqlite)?;
    let set = || {
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.pragma_update(None, "journal_size_limit", LOG_FILE)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute(PROBE, []).map(drop)
    };
    set().map_err(sqlite)?;
    lengthen(&beside(path, "-wal"));
    let watch = Watch::new(path, file);
    watch
        .look()
        .map_err(|problem| LedgerError::new(path, problem))?;
    Ok((connection, watch))
}

/// Extends the log's file to its usual length: overwriting existing bytes makes a sync cheaper, because
/// the file's length does not change. SQLite ignores whatever follows the last valid frame. Without
/// disk space the file stays as it is.
fn lengthen(log: &Path) {
    let lengthened = OpenOptions::new().write(true).open(log).and_then(|file| {
        let length = file.metadata()?.len();
        let missing = usize::try_from(LONG_LOG.saturating_sub(length)).unwrap_or(0);
        let written = file.write_all_at(&vec![0; missing], length);
        // Do not occupy the last free space of a disk.
        written.or_else(|error| file.set_len(length).and(Err(error)))?;
        file.sync_all()
    });
    if let Err(error) = lengthened {
        log::debug!("ledger: cannot lengthen {}: {error}", log.display());
    }
}

impl Failed {
    fn before(problem: LedgerError) -> Self {
        Self {
            problem,
            is_doubtful: false,
        }
    }
}

impl Ledger for SqliteLedger {
    type Error = LedgerError;

    fn commit(&mut self, entries: &[Entry<'_>], how: CommitMode) -> Result<Vec<u64>, LedgerError> {
        let done = self.transact(how, |transaction| {
            entries
                .iter()
                .try_for_each(|entry| transaction.write(entry))
        });
        done.map(|()| Vec::new()).map_err(|failed| {
            if failed.is_doubtful {
                let promises = entries.iter().filter_map(|entry| match entry {
                    Entry::Promise(promise) => Some(promise.id),
                    _ => None,
                });
                self.doubtful.extend(promises);
            }
            failed.problem
        })
    }

    fn probe(&mut self) -> Result<(), LedgerError> {
        let done = self.transact(CommitMode::Synced, |transaction| transaction.touch());
        done.map_err(|failed| failed.problem)
    }

    fn tend(&mut self, now: u64) -> Result<Figures, LedgerError> {
        let is_idle = !self.busy;
        loop {
            let mut forgotten = 0;
            let done = self.transact(CommitMode::Soon, |transaction| {
                forgotten = transaction.forget_requests(now)?;
                Ok(())
            });
            done.map_err(|failed| failed.problem)?;
            if forgotten < FORGOTTEN {
                break;
            }
        }
        self.busy = false;
        if self.log_bytes > if is_idle { 0 } else { LONG_LOG } {
            self.checkpoint()?;
        }
        Ok(self.figures())
    }

    fn figures(&self) -> Figures {
        Figures {
            file_bytes: self.watch.bytes(),
            ..self.figures
        }
    }
}
