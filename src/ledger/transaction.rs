//! The effect of each entry on the tables, within the transaction of a commit.

use super::connect::{Text, number};
use super::entry::{Entry, KeptCopy, OutcomeRecord, Promise, RequestRecord};
use super::pseudonym::pseudonym;
use super::recipient_text;
use super::states::{self, CHUNK};
use crate::control::request_memory::MEMORY;
use crate::fanout::milliseconds;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Bytes of a kept copy besides its address.
const KEPT_BYTES: u64 = 64;

/// Approximate bytes in the log for a row that is deleted or changed.
const ROW_BYTES: u64 = 100;

/// The most requests that are deleted in one transaction.
pub(super) const FORGOTTEN: u64 = 4096;

/// A change without meaning, which makes a commit write.
pub(super) const PROBE: &str = "UPDATE meta SET probes = probes + 1";

/// The change of the figures by a transaction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Change {
    pub unfinished: i64,
    pub kept: i64,
    pub kept_bytes: i64,
    /// Approximate bytes written to the log.
    pub written: u64,
}

/// A transaction being written.
pub(super) struct Transaction<'a> {
    pub connection: &'a Connection,
    pub key: [u8; 16],
    /// Whether there may be kept copies.
    pub any_kept: bool,
    pub lines: &'a mut Vec<u8>,
    pub change: Change,
}

impl<'a> Transaction<'a> {
    fn prepared(&self, sql: &str) -> rusqlite::Result<CachedStatement<'a>> {
        self.connection.prepare_cached(sql)
    }

    /// Makes a change without meaning, so that the commit writes and syncs the log.
    pub fn touch(&mut self) -> rusqlite::Result<()> {
        self.change.written += ROW_BYTES;
        self.prepared(PROBE)?.execute([]).map(drop)
    }

    pub fn write(&mut self, entry: &Entry<'_>) -> rusqlite::Result<()> {
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
                hash = pseudonym(self.key, submission.originator);
                hash.as_bytes()
            }
            false => submission.originator,
        };
        self.lines.clear();
        recipient_text::write(&promise.recipients, self.lines);
        let texts = [
            originator,
            submission.group,
            submission.from.text(),
            submission.headers,
            submission.charging,
            self.lines,
            submission.body,
        ];
        let bytes = texts.iter().map(|text| text.len() as i64).sum::<i64>();
        let sql = "INSERT INTO message (id, accepted_at, expires_at, promised, anonymous, originator,
            group_uri, from_header, headers, charging, needs_stream, window, entry_at, seed, bytes,
            recipient_count, recipients, body, most_at_once)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)";
        self.prepared(sql)?.execute(params![
            promise.id.cast_signed(),
            submission.accepted_at.cast_signed(),
            submission.expires_at.cast_signed(),
            promise.promised,
            promise.anonymous,
            Text(originator),
            Text(submission.group),
            Text(submission.from.text()),
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
            submission.most_at_once,
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

    /// Late outcomes of a deleted message are ignored.
    fn outcomes(&mut self, id: u64, outcomes: &[OutcomeRecord]) -> rusqlite::Result<()> {
        let mut chunks = BTreeMap::<u32, Vec<OutcomeRecord>>::new();
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

    pub fn withdraw(&mut self, id: u64) -> rusqlite::Result<()> {
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

    /// Deletes requests that were answered longer than 64·T1 ago. The clock may have been set in
    /// between, so times in the future are deleted too.
    pub fn forget_requests(&mut self, now: u64) -> rusqlite::Result<u64> {
        let memory = MEMORY.as_millis() as u64;
        let (from, to) = (now.saturating_sub(memory), now.saturating_add(memory));
        // Only the oldest are examined; one that is still needed delays the rest until it expires
        // itself.
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
