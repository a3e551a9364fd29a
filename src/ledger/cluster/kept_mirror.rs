//! The copies that the nodes keep for members who are away, in a file of this node: a SQLite ledger with nothing else in it,
//! which the other processes read as they read that of a single node. It follows PostgreSQL by revisions, and is made anew
//! at each start.

use super::cluster_error::ClusterError;
use super::rows::{COLUMNS, kept_copy, lists, message, number};
use super::worker::{Failure, Worker};
use crate::ledger::Figures;
use crate::ledger::connect::{Text, connect};
use crate::ledger::error::LedgerError;
use crate::ledger::reader::count;
use crate::ledger::recipient_text;
use crate::ledger::stored::{Kept, Unfinished};
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};
use tokio_postgres::types::Type;

/// How much is taken over at once.
const BATCH: i64 = 1000;

/// The file, for the process that writes it.
#[derive(Debug)]
pub struct KeptMirror {
    path: PathBuf,
    connection: Connection,
    cursor: Option<Cursor>,
    figures: Figures,
}

/// How far PostgreSQL was followed.
#[derive(Clone, Debug)]
struct Cursor {
    /// Which tables.
    source: String,
    /// Up to which revision.
    since: i64,
    /// Up to which revision everything is copied at first, whatever was forgotten before.
    first: i64,
}

impl KeptMirror {
    /// Opens the file, which is a ledger, and empties it.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let connection = connect(path)?;
        let sqlite = |error: rusqlite::Error| LedgerError::sqlite(path, &error);
        // It is made anew at each start.
        connection
            .pragma_update(None, "synchronous", "OFF")
            .map_err(sqlite)?;
        let mirror = Self {
            path: path.to_owned(),
            connection,
            cursor: None,
            figures: Figures::default(),
        };
        mirror.clear().map_err(sqlite)?;
        Ok(mirror)
    }

    fn clear(&self) -> rusqlite::Result<()> {
        let sql = "BEGIN; DELETE FROM kept; DELETE FROM message; DELETE FROM recipient_state; DELETE FROM request; COMMIT";
        self.connection.execute_batch(sql)
    }

    /// How much is kept.
    pub(super) fn figures(&self) -> Figures {
        self.figures
    }

    /// Takes over what has changed since the last time.
    pub(super) async fn follow(&mut self, worker: &Worker<'_>) -> Result<(), Failure> {
        loop {
            let sql = "SELECT source::text, latest, forgotten FROM cimf_ledger.kept_latest";
            let rows = worker.client.query_typed(sql, &[]).await?;
            let row = rows
                .first()
                .ok_or_else(|| ClusterError::altered(worker.url, "the table kept_latest"))?;
            let (source, latest): (String, i64) = (row.get(0), row.get(1));
            let forgotten: i64 = row.get(2);
            let known = self.cursor.take().filter(|cursor| {
                let is_remembered = cursor.since >= forgotten || cursor.since < cursor.first;
                cursor.source == source && is_remembered && cursor.since <= latest
            });
            let mut cursor = match known {
                Some(cursor) => cursor,
                None => {
                    self.local(Self::clear)?;
                    Cursor {
                        source,
                        since: 0,
                        first: latest,
                    }
                }
            };
            let is_done = cursor.since == latest;
            if !is_done {
                cursor.since = self.take_over(worker, cursor.since, latest).await?;
            }
            self.cursor = Some(cursor);
            if is_done {
                return Ok(());
            }
        }
    }

    /// Takes over changes after one revision up to another, but not too many at once; says how far it has come.
    async fn take_over(
        &mut self,
        worker: &Worker<'_>,
        since: i64,
        latest: i64,
    ) -> Result<i64, Failure> {
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
        let mut ids: Vec<i64> = rows.iter().map(|row| row.get(7)).collect();
        ids.sort_unstable();
        ids.dedup();
        let sql = format!("SELECT {COLUMNS} FROM cimf_ledger.message WHERE id = ANY ($1)");
        let rows = client
            .query_typed(&sql, &[(&ids, Type::INT8_ARRAY)])
            .await?;
        let lists = lists(client, &rows).await?;
        let mut messages = Vec::with_capacity(rows.len());
        for row in &rows {
            match message(worker.url, row, &lists) {
                Ok(found) => messages.push(found),
                Err(error) => log::error!("ledger: {error}; copies of it are not delivered"),
            }
        }
        let sql = "SELECT id FROM cimf_ledger.kept_gone WHERE revision > $1 AND revision <= $2";
        let rows = client
            .query_typed(sql, &[(&since, Type::INT8), (&reached, Type::INT8)])
            .await?;
        let gone: Vec<u64> = rows.iter().map(|row| number(row, 0)).collect();
        self.local(|mirror| mirror.write(&messages, &kept, &gone))?;
        self.figures = self.local(|mirror| count(&mirror.connection))?;
        Ok(reached)
    }

    fn write(&self, messages: &[Unfinished], kept: &[Kept], gone: &[u64]) -> rusqlite::Result<()> {
        let transaction = self.connection.unchecked_transaction()?;
        for message in messages {
            write_message(&transaction, message)?;
        }
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
            let sql = "DELETE FROM kept WHERE id = ?1";
            transaction
                .prepare_cached(sql)?
                .execute([id.cast_signed()])?;
        }
        if !gone.is_empty() {
            let sql = "DELETE FROM message WHERE id NOT IN (SELECT message FROM kept)";
            transaction.execute(sql, [])?;
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
