//! The one process that writes: all that waits in one transaction.
//!
//! After an error at or behind COMMIT it is not known whether the transaction is in the log. What it promised is
//! not promised then, so it is withdrawn with the next one. And a log of which a write or sync has failed once is
//! not trusted with promises: a sync that succeeds later says nothing of what was lost before it, and recovery
//! stops at the first hole. Its content is brought into the file, and it begins anew.

use super::connect::{Text, connect, leave_log, number, require_current};
use super::entry::{Durability, Entry, KeptCopy, Outcome, Promise, RequestRecord};
use super::error::{LedgerError, Problem};
use super::states::{self, CHUNK};
use super::watch::{FileId, Watch, beside};
use super::{Figures, Ledger, recipients};
use crate::control::recent::MEMORY;
use crate::fanout::milliseconds;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use siphasher::sip128::SipHasher13;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The log is emptied though something is always being written when about this many bytes are in it.
const LONG_LOG: u64 = 16 << 20;

/// What a commit writes to the log beside its bytes: some pages.
const COMMIT_BYTES: u64 = 16 << 10;

/// About what a row takes there that is deleted or changed.
const ROW_BYTES: u64 = 100;

/// The file of the log is cut to this when it is longer and begins anew.
const LOG_FILE: i64 = 32 << 20;

/// What a kept copy takes beside its address.
const KEPT_BYTES: u64 = 64;

/// The most requests that are forgotten in one transaction.
const FORGOTTEN: u64 = 4096;

/// The ledger for the process that writes.
#[derive(Debug)]
pub struct SqliteLedger {
    path: PathBuf,
    file: FileId,
    key: [u8; 16],
    connection: Connection,
    watch: Watch,
    durability: Durability,
    figures: Figures,
    /// Promises of transactions of which it is not known whether they are in the log.
    doubtful: Vec<u64>,
    /// Whether connection and log have to be made anew before anything is promised.
    suspect: bool,
    /// Whether there was no room for more of the log.
    full: bool,
    /// About how many bytes of the log are not in the file.
    log_bytes: u64,
    /// Whether anything was committed since it was tended last.
    busy: bool,
    /// Recipients as text.
    lines: Vec<u8>,
}

/// What a transaction changes in the figures.
#[derive(Clone, Copy, Debug, Default)]
struct Change {
    unfinished: i64,
    kept: i64,
    kept_bytes: i64,
    /// Bytes that go to the log.
    written: u64,
}

/// What went wrong, and whether the transaction may be in the log.
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
            durability: Durability::Synced,
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

    /// Runs `work` as one transaction, on disk as `how` says.
    fn transact(
        &mut self,
        how: Durability,
        work: impl FnOnce(&mut Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), Failed> {
        if std::mem::take(&mut self.full) {
            // What the log holds may have room in the file; the log begins anew then and needs none.
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
            // Syncs what was committed before, too.
            match (how, transaction.change.written) {
                (Durability::Synced, 0) => transaction.touch(),
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
        // Some errors have ended the transaction already.
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

    fn set_durability(&mut self, how: Durability) -> Result<(), LedgerError> {
        if how != self.durability {
            let sql = match how {
                Durability::Synced => "PRAGMA synchronous = FULL",
                Durability::Soon => "PRAGMA synchronous = NORMAL",
            };
            let set = self.connection.execute_batch(sql);
            set.map_err(|error| self.sqlite(&error))?;
            self.durability = how;
        }
        Ok(())
    }

    /// After an error that left files, connection or log in doubt: brings what is in the log into the file, and
    /// begins with a connection and a log that are new.
    fn mend(&mut self) -> Result<(), LedgerError> {
        if !self.suspect {
            return Ok(());
        }
        self.roll_back();
        match self.watch.look() {
            // Its content is still to be had from the open descriptor.
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
        self.durability = Durability::Synced;
        self.suspect = false;
        Ok(())
    }

    /// Brings what is in the log into the file. Readers hold it up and are not held up.
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

/// A connection that has written once, so that the log is there, and what watches its files.
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

/// Makes the file of the log as long as it mostly becomes: a sync of bytes that were there already need not note a
/// new length, too. What stands behind the last valid frame does not count. Without room it stays as it is.
fn lengthen(log: &Path) {
    let lengthened = OpenOptions::new().write(true).open(log).and_then(|file| {
        let length = file.metadata()?.len();
        let missing = usize::try_from(LONG_LOG.saturating_sub(length)).unwrap_or(0);
        file.write_all_at(&vec![0; missing], length)?;
        file.sync_all()
    });
    if let Err(error) = lengthened {
        log::debug!("ledger: cannot lengthen {}: {error}", log.display());
    }
}

const PROBE: &str = "UPDATE meta SET probes = probes + 1";

impl Failed {
    fn before(problem: LedgerError) -> Self {
        Self {
            problem,
            is_doubtful: false,
        }
    }
}

impl Ledger for SqliteLedger {
    fn commit(&mut self, entries: &[Entry<'_>], how: Durability) -> Result<(), LedgerError> {
        let done = self.transact(how, |transaction| {
            entries
                .iter()
                .try_for_each(|entry| transaction.write(entry))
        });
        done.map_err(|failed| {
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
        let done = self.transact(Durability::Synced, |transaction| transaction.touch());
        done.map_err(|failed| failed.problem)
    }

    fn tend(&mut self, now: u64) -> Result<Figures, LedgerError> {
        let is_idle = !self.busy;
        loop {
            let mut forgotten = 0;
            let done = self.transact(Durability::Soon, |transaction| {
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

/// A transaction that is being written.
struct Transaction<'a> {
    connection: &'a Connection,
    key: [u8; 16],
    /// Whether there may be kept copies.
    any_kept: bool,
    lines: &'a mut Vec<u8>,
    change: Change,
}

impl<'a> Transaction<'a> {
    fn prepared(&self, sql: &str) -> rusqlite::Result<CachedStatement<'a>> {
        self.connection.prepare_cached(sql)
    }

    /// Writes something of no importance.
    fn touch(&mut self) -> rusqlite::Result<()> {
        self.change.written += ROW_BYTES;
        self.prepared(PROBE)?.execute([]).map(drop)
    }

    fn write(&mut self, entry: &Entry<'_>) -> rusqlite::Result<()> {
        match entry {
            Entry::Promise(promise) => self.promise(promise),
            Entry::Outcomes { id, outcomes } => self.outcomes(*id, outcomes),
            Entry::Finished { id } => self.finish(*id),
            Entry::Withdrawn { id } => self.withdraw(*id),
            Entry::Kept(kept) => self.keep(kept),
            Entry::KeptEnded { kept } => self.end_kept(*kept),
        }
    }

    fn promise(&mut self, promise: &Promise<'_>) -> rusqlite::Result<()> {
        let submission = &promise.submission;
        let hash;
        let originator = match promise.anonymous {
            true => {
                hash = keyed_hash(self.key, submission.originator);
                hash.as_bytes()
            }
            false => submission.originator,
        };
        self.lines.clear();
        recipients::write(&promise.recipients, self.lines);
        let texts = [
            originator,
            submission.group,
            submission.from,
            submission.headers,
            submission.charging,
            self.lines,
            submission.body,
        ];
        let bytes = texts.iter().map(|text| text.len() as i64).sum::<i64>();
        let sql = "INSERT INTO message (id, accepted_at, expires_at, promised, anonymous, originator,
            group_uri, from_header, headers, charging, needs_stream, window, entry_at, seed, bytes,
            recipient_count, recipients, body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
        self.prepared(sql)?.execute(params![
            promise.id.cast_signed(),
            submission.accepted_at.cast_signed(),
            submission.expires_at.cast_signed(),
            promise.promised,
            promise.anonymous,
            Text(originator),
            Text(submission.group),
            Text(submission.from),
            Text(submission.headers),
            Text(submission.charging),
            submission.needs_stream,
            submission.window,
            submission.entry_at,
            submission.seed,
            bytes,
            promise.recipients.len() as i64,
            Text(self.lines),
            submission.body,
        ])?;
        self.change.unfinished += i64::from(promise.promised);
        self.change.written += bytes.unsigned_abs();
        let request = promise.request.as_ref();
        request.map_or(Ok(()), |request| {
            self.request(promise.id, submission.accepted_at, request)
        })
    }

    fn request(
        &self,
        id: u64,
        accepted_at: u64,
        request: &RequestRecord<'_>,
    ) -> rusqlite::Result<()> {
        let sql =
            "INSERT INTO request (message, accepted_at, call_id, from_tag, cseq, via, content)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let key = &request.key;
        let done = self.prepared(sql)?.execute(params![
            id.cast_signed(),
            accepted_at.cast_signed(),
            Text(key.call_id),
            Text(key.from_tag),
            key.cseq,
            Text(key.via),
            request.content,
        ]);
        done.map(drop)
    }

    /// A message that has gone has no use for outcomes that come late.
    fn outcomes(&mut self, id: u64, outcomes: &[Outcome]) -> rusqlite::Result<()> {
        let mut chunks = BTreeMap::<u32, Vec<Outcome>>::new();
        for &outcome in outcomes {
            let chunk = chunks.entry(outcome.recipient / CHUNK).or_default();
            chunk.push(outcome);
        }
        for (chunk, outcomes) in chunks {
            let sql = "SELECT states FROM message
                LEFT JOIN recipient_state ON message = id AND chunk = ?2 WHERE id = ?1";
            let found = self
                .prepared(sql)?
                .query_row(params![id.cast_signed(), chunk], |row| {
                    row.get::<_, Option<Vec<u8>>>(0)
                });
            let Some(found) = found.optional()? else {
                return Ok(());
            };
            let mut states = found.unwrap_or_default();
            for outcome in outcomes {
                states::set(&mut states, outcome);
            }
            let sql = "INSERT OR REPLACE INTO recipient_state (message, chunk, states)
                VALUES (?1, ?2, ?3)";
            self.prepared(sql)?
                .execute(params![id.cast_signed(), chunk, states])?;
            self.change.written += states.len() as u64;
        }
        Ok(())
    }

    fn finish(&mut self, id: u64) -> rusqlite::Result<()> {
        if self.any_kept || self.change.kept > 0 {
            let sql = "SELECT 1 FROM kept WHERE message = ?1";
            if self.prepared(sql)?.exists([id.cast_signed()])? {
                let sql =
                    "UPDATE message SET finished_at = ?2 WHERE id = ?1 AND finished_at IS NULL
                    RETURNING promised";
                let now = milliseconds(SystemTime::now()).cast_signed();
                let was_promised = self
                    .prepared(sql)?
                    .query_row([id.cast_signed(), now], |row| row.get::<_, i64>(0));
                self.change.unfinished -= was_promised.optional()?.unwrap_or_default();
                self.change.written += ROW_BYTES;
                return Ok(());
            }
        }
        self.forget(id)
    }

    /// Deletes a message that has no kept copies.
    fn forget(&mut self, id: u64) -> rusqlite::Result<()> {
        self.change.written += ROW_BYTES;
        let sql = "DELETE FROM recipient_state WHERE message = ?1";
        self.prepared(sql)?.execute([id.cast_signed()])?;
        let sql = "DELETE FROM message WHERE id = ?1 RETURNING promised AND finished_at IS NULL";
        let was_open = self
            .prepared(sql)?
            .query_row([id.cast_signed()], |row| row.get::<_, i64>(0));
        self.change.unfinished -= was_open.optional()?.unwrap_or_default();
        Ok(())
    }

    fn withdraw(&mut self, id: u64) -> rusqlite::Result<()> {
        let kept: Vec<i64> = self
            .prepared("SELECT id FROM kept WHERE message = ?1")?
            .query_map([id.cast_signed()], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for kept in kept {
            self.end_kept(kept)?;
        }
        let sql = "DELETE FROM request WHERE message = ?1";
        self.prepared(sql)?.execute([id.cast_signed()])?;
        self.forget(id)
    }

    fn keep(&mut self, kept: &KeptCopy<'_>) -> rusqlite::Result<()> {
        let message = kept.message.cast_signed();
        let sql = "SELECT bytes, EXISTS (SELECT 1 FROM kept WHERE message = ?1) FROM message
            WHERE id = ?1";
        let found = self
            .prepared(sql)?
            .query_row([message], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)));
        let Some((message_bytes, is_kept)) = found.optional()? else {
            log::error!(
                "ledger: a copy of message {} cannot be kept: expected the message in the ledger, found none",
                kept.message
            );
            return Ok(());
        };
        let bytes = kept.address.len() as u64 + KEPT_BYTES;
        let sql = "INSERT INTO kept (message, recipient, address_hash, address, code, kept_at,
            expires_at, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
        let inserted = self.prepared(sql)?.execute(params![
            message,
            kept.recipient,
            kept.address_hash.cast_signed(),
            Text(kept.address),
            kept.code,
            kept.kept_at.cast_signed(),
            kept.expires_at.cast_signed(),
            bytes.cast_signed(),
        ])?;
        if inserted == 1 {
            self.change.kept += 1;
            self.change.kept_bytes += bytes.cast_signed();
            self.change.kept_bytes += if is_kept { 0 } else { message_bytes };
            self.change.written += bytes;
        }
        Ok(())
    }

    fn end_kept(&mut self, kept: i64) -> rusqlite::Result<()> {
        let sql = "DELETE FROM kept WHERE id = ?1 RETURNING message, bytes";
        let ended = self
            .prepared(sql)?
            .query_row([kept], |row| Ok((number(row, 0)?, row.get::<_, i64>(1)?)));
        let Some((message, bytes)) = ended.optional()? else {
            return Ok(());
        };
        self.change.kept -= 1;
        self.change.kept_bytes -= bytes;
        self.change.written += ROW_BYTES;
        let sql = "SELECT bytes, finished_at IS NOT NULL FROM message WHERE id = ?1
            AND NOT EXISTS (SELECT 1 FROM kept WHERE message = ?1)";
        let left = self
            .prepared(sql)?
            .query_row([message.cast_signed()], |row| {
                Ok((row.get::<_, i64>(0)?, row.get(1)?))
            });
        if let Some((bytes, is_finished)) = left.optional()? {
            self.change.kept_bytes -= bytes;
            if is_finished {
                self.forget(message)?;
            }
        }
        Ok(())
    }

    /// Forgets requests that were answered longer ago than 64·T1, by a clock that may have been set.
    fn forget_requests(&mut self, now: u64) -> rusqlite::Result<u64> {
        let memory = MEMORY.as_millis() as u64;
        let (from, to) = (now.saturating_sub(memory), now.saturating_add(memory));
        // The oldest are in front. Of those none that stays holds up the others for longer than it stays.
        let sql = "DELETE FROM request WHERE NOT accepted_at BETWEEN ?1 AND ?2
            AND message IN (SELECT message FROM request ORDER BY message LIMIT ?3)";
        let forgotten = self.prepared(sql)?.execute([
            from.cast_signed(),
            to.cast_signed(),
            FORGOTTEN.cast_signed(),
        ])?;
        self.change.written += forgotten as u64 * ROW_BYTES;
        Ok(forgotten as u64)
    }
}

/// Something that is the same for the same sender, and tells nobody who it is.
fn keyed_hash(key: [u8; 16], bytes: &[u8]) -> String {
    let hash = SipHasher13::new_with_key(&key).hash(bytes);
    format!("{:032x}", hash.as_u128())
}
