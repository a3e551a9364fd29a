//! The copies that the nodes keep for members who are away, in a file of this node: a SQLite ledger with nothing else in it,
//! which the other processes read as they read that of a single node. It follows PostgreSQL by revisions; with each new
//! connection all copies are compared once.

use super::cluster_error::ClusterError;
use super::rows::{COLUMNS, kept_copy, lists, message};
use super::worker::{Failure, Worker};
use crate::ledger::Figures;
use crate::ledger::connect::{Text, connect};
use crate::ledger::error::LedgerError;
use crate::ledger::reader::count;
use crate::ledger::recipient_text;
use crate::ledger::stored::{Kept, Unfinished};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio_postgres::types::Type;

/// How many copies, and how many messages, are taken over at once.
const BATCH: i64 = 1000;
const MESSAGES: usize = 20;
/// How often all is counted.
const COUNT: Duration = Duration::from_secs(1);

/// The file, for the process that writes it.
#[derive(Debug)]
pub struct KeptMirror {
    path: PathBuf,
    connection: Connection,
    cursor: Option<Cursor>,
    figures: Figures,
    last_counted: Option<Instant>,
    /// Whether something has changed since.
    must_count: bool,
    /// Copies that are kept no longer, and are still in the file.
    ended: HashSet<i64>,
}

/// How far PostgreSQL was followed.
#[derive(Debug)]
struct Cursor {
    /// Which tables, by which connection.
    source: (String, u64),
    /// Up to which revision.
    since: i64,
    /// Up to which revision everything is compared at first.
    first: i64,
    /// The copies that were found by then: what else is in the file is kept no longer.
    found: HashSet<i64>,
}

impl KeptMirror {
    /// Opens the file, which is a ledger.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let connection = connect(path)?;
        let sqlite = |error: rusqlite::Error| LedgerError::sqlite(path, &error);
        // It can be made anew.
        connection
            .pragma_update(None, "synchronous", "OFF")
            .map_err(sqlite)?;
        let figures = count(&connection).map_err(sqlite)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            cursor: None,
            figures,
            last_counted: None,
            must_count: true,
            ended: HashSet::new(),
        })
    }

    /// Forgets all that is in the file.
    fn clear(&self) -> Result<(), LedgerError> {
        let sql = "BEGIN; DELETE FROM kept; DELETE FROM message; DELETE FROM recipient_state; DELETE FROM request; COMMIT";
        let cleared = self.connection.execute_batch(sql);
        cleared.map_err(|error| LedgerError::sqlite(&self.path, &error))
    }

    /// How much is kept.
    pub fn figures(&self) -> Figures {
        self.figures
    }

    /// These copies are kept no longer: nobody finds them in the file again, as soon as it can be written.
    pub(super) fn end(&mut self, ended: &[i64]) {
        self.ended.extend(ended);
        if let Err(error) = self.drop_ended() {
            log::warn!("ledger: {error}; trying again");
        }
    }

    fn drop_ended(&mut self) -> Result<(), ClusterError> {
        if self.ended.is_empty() {
            return Ok(());
        }
        let ended: Vec<i64> = self.ended.iter().copied().collect();
        self.local(|mirror| mirror.write(&[], &ended))?;
        self.ended.clear();
        self.must_count = true;
        Ok(())
    }

    /// Takes over some of what has changed since the last time; says whether there is more.
    pub(super) async fn follow(&mut self, worker: &Worker<'_>) -> Result<bool, Failure> {
        self.drop_ended()?;
        let sql = "SELECT source::text, latest, forgotten FROM cimf_ledger.kept_latest";
        let rows = worker.client.query_typed(sql, &[]).await?;
        let row = rows
            .first()
            .ok_or_else(|| ClusterError::altered(worker.url, "the table kept_latest"))?;
        let (source, latest, forgotten): (String, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let source = (source, worker.age);
        let fits = |cursor: &Cursor| {
            let is_remembered = cursor.since >= forgotten || cursor.since < cursor.first;
            cursor.source == source && is_remembered && cursor.since <= latest
        };
        if !self.cursor.as_ref().is_some_and(fits) {
            // Another PostgreSQL, or one that was restored: its numbers may stand for other messages.
            let is_other = |cursor: &Cursor| cursor.source.0 != source.0 || cursor.since > latest;
            if self.cursor.as_ref().is_some_and(is_other) {
                self.clear().map_err(ClusterError::Mirror)?;
            }
            self.cursor = Some(Cursor {
                source,
                since: -1,
                first: latest,
                found: HashSet::new(),
            });
        }
        let since = self.cursor.as_ref().map_or(-1, |cursor| cursor.since);
        if since < latest {
            self.take_over(worker, since, latest).await?;
        }
        let is_time = self.last_counted.is_none_or(|at| at.elapsed() >= COUNT);
        if self.must_count && (is_time || self.figures.kept == 0) {
            self.count()?;
        }
        let since = self.cursor.as_ref().map_or(-1, |cursor| cursor.since);
        Ok(since < latest)
    }

    fn count(&mut self) -> Result<(), ClusterError> {
        self.figures = self.local(|mirror| count(&mirror.connection))?;
        self.last_counted = Some(Instant::now());
        self.must_count = false;
        Ok(())
    }

    /// Takes over changes after one revision up to another, but not too many at once.
    async fn take_over(
        &mut self,
        worker: &Worker<'_>,
        since: i64,
        latest: i64,
    ) -> Result<(), Failure> {
        let client = worker.client;
        let sql = "SELECT id, recipient, address_hash, address, code, kept_at, expires_at, message, revision
            FROM cimf_ledger.kept WHERE revision > $1 AND revision <= coalesce(
              (SELECT revision FROM cimf_ledger.kept WHERE revision > $1 AND revision <= $2
               ORDER BY revision OFFSET $3 LIMIT 1), $2)";
        let rows = client
            .query_typed(
                sql,
                &[
                    (&since, Type::INT8),
                    (&latest, Type::INT8),
                    (&BATCH, Type::INT8),
                ],
            )
            .await?;
        let furthest = rows.iter().map(|row| row.get::<_, i64>(8)).max();
        // Where there are more they are of later revisions.
        let reached = match furthest {
            Some(furthest) if rows.len() as i64 > BATCH => furthest,
            _ => latest,
        };
        let kept: Vec<Kept> = rows.iter().map(|row| kept_copy(row, row.get(7))).collect();
        self.messages(worker, &kept).await?;
        let first = self.cursor.as_ref().map_or(0, |cursor| cursor.first);
        let sql = "SELECT id FROM cimf_ledger.kept_gone WHERE revision > $1 AND revision <= $2";
        let rows = client
            .query_typed(
                sql,
                &[
                    // What had gone before all was compared was not found then.
                    (&since.max(first), Type::INT8),
                    (&reached, Type::INT8),
                ],
            )
            .await?;
        let mut gone: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        let is_first = since < first;
        if let Some(cursor) = self.cursor.as_mut().filter(|_| is_first) {
            cursor.found.extend(kept.iter().map(|kept| kept.id));
        }
        if is_first && reached >= first {
            gone.extend(self.local(Self::not_found)?);
        }
        self.local(|mirror| mirror.write(&kept, &gone))?;
        self.must_count = true;
        if let Some(cursor) = &mut self.cursor {
            cursor.since = reached;
            if reached >= first {
                cursor.found = HashSet::new();
            }
        }
        Ok(())
    }

    /// Brings the messages of copies into the file that it lacks. What it has is not asked for again.
    async fn messages(&self, worker: &Worker<'_>, kept: &[Kept]) -> Result<(), Failure> {
        let ids: HashSet<u64> = kept.iter().map(|kept| kept.message).collect();
        let lacks = |mirror: &Self| {
            let mut statement = mirror
                .connection
                .prepare_cached("SELECT 1 FROM message WHERE id = ?1")?;
            let mut lacks = Vec::new();
            for id in ids {
                if !statement.exists([id.cast_signed()])? {
                    lacks.push(id.cast_signed());
                }
            }
            Ok(lacks)
        };
        let lacking = self.local(lacks)?;
        for ids in lacking.chunks(MESSAGES) {
            let sql = format!("SELECT {COLUMNS} FROM cimf_ledger.message WHERE id = ANY ($1)");
            let rows = worker
                .client
                .query_typed(&sql, &[(&ids, Type::INT8_ARRAY)])
                .await?;
            let lists = lists(worker.client, &rows).await?;
            for row in &rows {
                match message(worker.url, row, &lists) {
                    Ok(found) => self.local(|mirror| write_message(&mirror.connection, &found))?,
                    Err(error) => {
                        log::error!("ledger: {error}; copies of it are not delivered");
                    }
                }
            }
        }
        Ok(())
    }

    /// The copies in the file that were not found when all was compared.
    fn not_found(&self) -> rusqlite::Result<Vec<i64>> {
        let Some(cursor) = &self.cursor else {
            return Ok(Vec::new());
        };
        let mut statement = self.connection.prepare("SELECT id FROM kept")?;
        let ids = statement.query_map([], |row| row.get::<_, i64>(0))?;
        let ids: Vec<i64> = ids.collect::<rusqlite::Result<_>>()?;
        let gone = ids.into_iter().filter(|id| !cursor.found.contains(id));
        Ok(gone.collect())
    }

    fn write(&self, kept: &[Kept], gone: &[i64]) -> rusqlite::Result<()> {
        let transaction = self.connection.unchecked_transaction()?;
        for kept in kept {
            let sql = "INSERT OR REPLACE INTO kept (id, message, recipient, address_hash, address, code, kept_at,
                expires_at, bytes) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
                WHERE EXISTS (SELECT 1 FROM message WHERE id = ?2)";
            transaction.prepare_cached(sql)?.execute(params![
                kept.id,
                kept.message.cast_signed(),
                kept.recipient,
                kept.address_hash.cast_signed(),
                Text(&kept.address),
                kept.code,
                kept.kept_at.cast_signed(),
                kept.expires_at.cast_signed(),
                kept.address.len() as i64 + 64,
            ])?;
        }
        for &id in gone {
            let sql = "DELETE FROM kept WHERE id = ?1 RETURNING message";
            let message = transaction
                .prepare_cached(sql)?
                .query_row([id], |row| row.get::<_, i64>(0))
                .optional()?;
            let sql = "DELETE FROM message WHERE id = ?1
                AND NOT EXISTS (SELECT 1 FROM kept WHERE message = ?1)";
            if let Some(message) = message {
                transaction.prepare_cached(sql)?.execute([message])?;
            }
        }
        transaction.commit()
    }

    fn local<T>(&self, work: impl FnOnce(&Self) -> rusqlite::Result<T>) -> Result<T, ClusterError> {
        work(self).map_err(|error| ClusterError::Mirror(LedgerError::sqlite(&self.path, &error)))
    }
}

/// A message with nothing but kept copies.
fn write_message(connection: &Connection, found: &Unfinished) -> rusqlite::Result<()> {
    let message = &found.message;
    let recipients: Vec<_> = found.recipients.iter().collect();
    let mut lines = Vec::new();
    recipient_text::write(&recipients, &mut lines);
    let texts = [
        &message.originator,
        &message.group,
        &message.from,
        &message.headers,
        &message.charging,
        &lines,
        &message.body,
    ];
    let bytes = texts.iter().map(|text| text.len() as i64).sum::<i64>();
    let sql = "INSERT OR REPLACE INTO message (id, accepted_at, expires_at, promised, finished_at, anonymous, originator,
        group_uri, from_header, headers, charging, needs_stream, window, entry_at, seed, bytes, recipient_count, recipients,
        body, most_at_once)
        VALUES (?1, ?2, ?3, 0, ?2, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
    let written = connection.prepare_cached(sql)?.execute(params![
        message.id.cast_signed(),
        message.accepted_at.cast_signed(),
        message.expires_at.cast_signed(),
        message.anonymous,
        Text(&message.originator),
        Text(&message.group),
        Text(&message.from),
        Text(&message.headers),
        Text(&message.charging),
        message.needs_stream,
        message.window,
        message.entry_at,
        message.seed,
        bytes,
        recipients.len() as i64,
        Text(&lines),
        message.body,
        message.most_at_once,
    ]);
    written.map(drop)
}
