//! Reading the ledger: messages to resume at the start, copies kept for a member, lists for
//! administrators.

use super::connect::{bytes, connect, leave_log, number, require_current, sixteen};
use super::entry::OutcomeRecord;
use super::error::{LedgerError, Problem};
use super::recipient_text::Recipients;
use super::states;
use super::stored::{Kept, KeptMessage, Listed, Shown, StoredMessage, StoredRequest, Unfinished};
use super::watch::{FileId, Watch};
use super::{Figures, Reader};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use std::path::{Path, PathBuf};

/// The columns of [`stored_message`], followed by the recipients.
macro_rules! message_columns {
    () => {
        "message.id, accepted_at, message.expires_at, promised, finished_at, anonymous, originator,
        group_uri, from_header, headers, charging, needs_stream, window, entry_at, seed, body,
        most_at_once, recipients"
    };
}

/// The columns of [`kept`].
macro_rules! kept_columns {
    () => {
        "kept.id, kept.message, kept.recipient, kept.address_hash, kept.address, kept.code, kept.kept_at,
        kept.expires_at"
    };
}

/// The index of the recipients' column; the columns of a kept copy follow it.
const RECIPIENTS: usize = 17;

/// The ledger for a reading process.
#[derive(Debug)]
pub struct SqliteReader {
    path: PathBuf,
    /// The required file; `None` accepts any ledger at the path.
    file: Option<FileId>,
    open: Option<(Connection, Watch)>,
}

impl SqliteReader {
    /// Opens the ledger at `path` for reading, whether or not a proxy is using it.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        Self::open_file(path, None)
    }

    pub(super) fn open_file(path: &Path, file: Option<FileId>) -> Result<Self, LedgerError> {
        let mut reader = Self {
            path: path.to_owned(),
            file,
            open: None,
        };
        reader.read(|_| Ok(())).map(|()| reader)
    }

    /// Runs `work` on one snapshot of the file, isolated from concurrent writes.
    fn read<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        // Reopens if the log was recreated or the file was replaced.
        let current = self.open.take_if(|(_, watch)| watch.look().is_ok());
        let (connection, watch) = match current {
            Some(open) => open,
            None => open(&self.path, self.file)?,
        };
        let done = connection
            .unchecked_transaction()
            .and_then(|transaction| work(&transaction));
        let done = done.map_err(|error| LedgerError::sqlite(&self.path, &error));
        let is_sound = done
            .as_ref()
            .err()
            .is_none_or(|error| error.problem.spares_the_connection());
        if is_sound {
            self.open = Some((connection, watch));
        }
        done
    }

    fn all<T>(
        &mut self,
        sql: &str,
        parameters: impl Params,
        each: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, LedgerError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(parameters, each)?;
            rows.collect()
        })
    }
}

fn open(path: &Path, file: Option<FileId>) -> Result<(Connection, Watch), LedgerError> {
    let sqlite = |error| LedgerError::sqlite(path, &error);
    let before = FileId::at(path).map_err(|error| LedgerError::system(path, &error))?;
    if file.is_some_and(|file| file != before) {
        return Err(LedgerError::new(path, Problem::Replaced));
    }
    let connection = connect(path)?;
    leave_log(&connection).map_err(sqlite)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(sqlite)?;
    require_current(path, &connection)?;
    Ok((connection, Watch::new(path, before)))
}

/// The figures, except the bytes of the files.
pub(super) fn count(connection: &Connection) -> rusqlite::Result<Figures> {
    let sql = "SELECT
        (SELECT count(*) FROM message WHERE promised AND finished_at IS NULL),
        (SELECT count(*) FROM kept),
        (SELECT ifnull(sum(bytes), 0) FROM kept)
            + (SELECT ifnull(sum(bytes), 0) FROM message WHERE id IN (SELECT message FROM kept))";
    connection.query_row(sql, [], |row| {
        Ok(Figures {
            unfinished: number(row, 0)?,
            kept: number(row, 1)?,
            kept_bytes: number(row, 2)?,
            file_bytes: 0,
        })
    })
}

fn stored_message(row: &Row<'_>) -> rusqlite::Result<StoredMessage> {
    Ok(StoredMessage {
        id: number(row, 0)?,
        accepted_at: number(row, 1)?,
        expires_at: number(row, 2)?,
        promised: row.get(3)?,
        finished_at: row.get::<_, Option<i64>>(4)?.map(i64::cast_unsigned),
        anonymous: row.get(5)?,
        originator: bytes(row, 6)?,
        group: bytes(row, 7)?,
        from: bytes(row, 8)?,
        headers: bytes(row, 9)?,
        charging: bytes(row, 10)?,
        needs_stream: row.get(11)?,
        window: row.get(12)?,
        entry_at: row.get(13)?,
        seed: sixteen(row, 14)?,
        body: bytes(row, 15)?,
        most_at_once: row.get(16)?,
    })
}

fn kept(row: &Row<'_>, at: usize) -> rusqlite::Result<Kept> {
    Ok(Kept {
        id: row.get(at)?,
        message: number(row, at + 1)?,
        recipient: row.get(at + 2)?,
        address_hash: number(row, at + 3)?,
        address: bytes(row, at + 4)?,
        code: row.get(at + 5)?,
        kept_at: number(row, at + 6)?,
        expires_at: number(row, at + 7)?,
    })
}

fn outcomes_of(connection: &Connection, message: i64) -> rusqlite::Result<Vec<OutcomeRecord>> {
    let sql = "SELECT chunk, states FROM recipient_state WHERE message = ?1 ORDER BY chunk";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([message])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.extend(states::outcomes(row.get(0)?, row.get_ref(1)?.as_bytes()?));
    }
    Ok(found)
}

/// The error of a column whose content was altered.
fn altered(column: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(column, "recipients".to_owned(), rusqlite::types::Type::Text)
}

fn unfinished(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<Unfinished> {
    let recipients = Recipients::parse(row.get_ref(RECIPIENTS)?.as_bytes()?);
    Ok(Unfinished {
        message: stored_message(row)?,
        recipients: recipients.ok_or_else(|| altered(RECIPIENTS))?,
        outcomes: outcomes_of(connection, row.get(0)?)?,
    })
}

impl Reader for SqliteReader {
    fn unfinished(&mut self, each: &mut dyn FnMut(Unfinished)) -> Result<(), LedgerError> {
        let path = self.path.clone();
        self.read(|connection| {
            let sql = concat!(
                "SELECT ",
                message_columns!(),
                " FROM message WHERE promised AND finished_at IS NULL ORDER BY message.id"
            );
            let mut statement = connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                match unfinished(connection, row) {
                    Ok(unfinished) => each(unfinished),
                    Err(error) => log::error!(
                        "ledger: message {} stays in {} and is not sent: it was altered: {error}",
                        number(row, 0)?,
                        path.display()
                    ),
                }
            }
            Ok(())
        })
    }

    fn last_number(&mut self) -> Result<u64, LedgerError> {
        self.read(|connection| {
            let sql = "SELECT ifnull(max(id & 0xffffffff), 0) FROM message";
            connection.query_row(sql, [], |row| number(row, 0))
        })
    }

    fn requests(&mut self, since: u64) -> Result<Vec<StoredRequest>, LedgerError> {
        let sql = "SELECT accepted_at, message, from_tag, call_id, cseq, via, content FROM request
            WHERE accepted_at >= ?1 ORDER BY accepted_at, message";
        self.all(sql, [since.cast_signed()], |row| {
            Ok(StoredRequest {
                accepted_at: number(row, 0)?,
                message: number(row, 1)?,
                from_tag: bytes(row, 2)?,
                call_id: bytes(row, 3)?,
                cseq: row.get(4)?,
                via: bytes(row, 5)?,
                content: sixteen(row, 6)?,
            })
        })
    }

    fn is_kept(&mut self, address_hash: u64) -> Result<bool, LedgerError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT 1 FROM kept WHERE address_hash = ?1")?;
            statement.exists([address_hash.cast_signed()])
        })
    }

    fn kept_of(&mut self, address_hash: u64, limit: usize) -> Result<Vec<Kept>, LedgerError> {
        let sql = concat!(
            "SELECT ",
            kept_columns!(),
            " FROM kept WHERE address_hash = ?1 ORDER BY message, recipient LIMIT ?2"
        );
        let parameters = params![address_hash.cast_signed(), limit as i64];
        self.all(sql, parameters, |row| kept(row, 0))
    }

    fn count_kept_of(&mut self, address_hash: u64) -> Result<u64, LedgerError> {
        self.read(|connection| {
            let sql = "SELECT count(*) FROM kept WHERE address_hash = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_row([address_hash.cast_signed()], |row| number(row, 0))
        })
    }

    fn kept_message(&mut self, id: i64) -> Result<Option<KeptMessage>, LedgerError> {
        self.read(|connection| {
            let sql = concat!(
                "SELECT ",
                message_columns!(),
                ", ",
                kept_columns!(),
                " FROM kept JOIN message ON message.id = kept.message WHERE kept.id = ?1"
            );
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_row([id], |row| {
                let kept = kept(row, RECIPIENTS + 1)?;
                let recipients = row.get_ref(RECIPIENTS)?.as_bytes()?;
                let recipient = Recipients::parse_one(recipients, kept.recipient);
                Ok(KeptMessage {
                    message: stored_message(row)?,
                    recipient: recipient.ok_or_else(|| altered(RECIPIENTS))?,
                    kept,
                })
            });
            use rusqlite::Error::{
                FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType,
            };
            match found {
                Err(
                    FromSqlConversionFailure(..)
                    | IntegralValueOutOfRange(..)
                    | InvalidColumnType(..),
                ) => Ok(None),
                found => found.optional(),
            }
        })
    }

    fn oldest_kept(&mut self, limit: usize) -> Result<Vec<Kept>, LedgerError> {
        let sql = concat!(
            "SELECT ",
            kept_columns!(),
            " FROM kept ORDER BY message, recipient LIMIT ?1"
        );
        self.all(sql, [limit as i64], |row| kept(row, 0))
    }

    fn expired(&mut self, now: u64, limit: usize) -> Result<Vec<Kept>, LedgerError> {
        let sql = concat!(
            "SELECT ",
            kept_columns!(),
            " FROM kept WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2"
        );
        self.all(sql, params![now.cast_signed(), limit as i64], |row| {
            kept(row, 0)
        })
    }

    fn figures(&mut self) -> Result<Figures, LedgerError> {
        let counted = self.read(count)?;
        let file_bytes = self.open.as_ref().map_or(0, |(_, watch)| watch.bytes());
        Ok(Figures {
            file_bytes,
            ..counted
        })
    }

    fn list(&mut self) -> Result<Vec<Listed>, LedgerError> {
        self.read(|connection| {
            let sql = "SELECT id, accepted_at, anonymous, originator, group_uri, recipient_count,
                finished_at IS NULL AND promised, (SELECT count(*) FROM kept WHERE message = message.id),
                length(body) FROM message ORDER BY id";
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                let recipients = number(row, 5)?;
                let ended = || outcomes_of(connection, row.get(0)?).map(|found| found.len() as u64);
                Ok(Listed {
                    id: number(row, 0)?,
                    accepted_at: number(row, 1)?,
                    originator: match row.get(2)? {
                        true => b"anonymous".to_vec(),
                        false => bytes(row, 3)?,
                    },
                    group: bytes(row, 4)?,
                    recipients,
                    open: match row.get(6)? {
                        true => recipients.saturating_sub(ended()?),
                        false => 0,
                    },
                    kept: number(row, 7)?,
                    body_bytes: number(row, 8)?,
                })
            })?;
            rows.collect()
        })
    }

    fn show(&mut self, id: u64) -> Result<Option<Shown>, LedgerError> {
        self.read(|connection| {
            let sql = concat!(
                "SELECT ",
                message_columns!(),
                " FROM message WHERE message.id = ?1"
            );
            let mut statement = connection.prepare(sql)?;
            let found = statement.query_row([id.cast_signed()], |row| unfinished(connection, row));
            let Some(found) = found.optional()? else {
                return Ok(None);
            };
            let mut message = found.message;
            message.originator = message.originator_shown().to_vec();
            let sql = concat!(
                "SELECT ",
                kept_columns!(),
                " FROM kept WHERE message = ?1 ORDER BY recipient"
            );
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map([id.cast_signed()], |row| kept(row, 0))?;
            Ok(Some(Shown {
                message,
                recipients: found.recipients,
                outcomes: found.outcomes,
                kept: rows.collect::<rusqlite::Result<_>>()?,
            }))
        })
    }
}
