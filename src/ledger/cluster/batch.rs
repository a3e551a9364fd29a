//! What one commit writes: entries sorted by what they do, each kind one statement.

use super::recipient_lists::{RecipientLists, Written};
use crate::control::request_memory::RequestKey;
use crate::ledger::entry::{CommitMode, Entry, KeptCopy, OutcomeRecord, Promise, RequestRecord};
use crate::ledger::pseudonym::pseudonym;
use crate::ledger::recipient_text;
use crate::ledger::states::{self, CHUNK};
use futures_util::future::{try_join, try_join3, try_join4};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hasher;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

/// The states of each message's recipients, by chunk.
pub(super) type States = HashMap<u64, BTreeMap<u32, Vec<u8>>>;

/// A commit.
#[derive(Debug, Default)]
pub(super) struct Batch<'a> {
    withdrawn: Vec<i64>,
    finished: Vec<i64>,
    outcomes: Vec<(u64, &'a [OutcomeRecord])>,
    promises: Promises<'a>,
    kept: Kept<'a>,
    kept_ended: Vec<i64>,
    /// The lists that are not known to be there, by hash: the order in which all nodes write them.
    lists: BTreeMap<[u8; 16], Vec<u8>>,
}

/// Columns of the messages that are promised.
#[derive(Debug, Default)]
struct Promises<'a> {
    id: Vec<i64>,
    request: Vec<Option<[u8; 16]>>,
    accepted_at: Vec<i64>,
    expires_at: Vec<i64>,
    anonymous: Vec<bool>,
    originator: Vec<Vec<u8>>,
    group: Vec<&'a [u8]>,
    from: Vec<&'a [u8]>,
    headers: Vec<&'a [u8]>,
    charging: Vec<&'a [u8]>,
    needs_stream: Vec<bool>,
    window: Vec<i64>,
    most_at_once: Vec<Option<i64>>,
    entry_at: Vec<i64>,
    seed: Vec<[u8; 16]>,
    body: Vec<&'a [u8]>,
    count: Vec<i64>,
    recipients: Vec<Option<Vec<u8>>>,
    list: Vec<Option<[u8; 16]>>,
    omitted: Vec<Option<i64>>,
}

/// Columns of copies that are to be kept.
#[derive(Debug, Default)]
struct Kept<'a> {
    message: Vec<i64>,
    recipient: Vec<i64>,
    address_hash: Vec<i64>,
    address: Vec<&'a [u8]>,
    code: Vec<i64>,
    kept_at: Vec<i64>,
    expires_at: Vec<i64>,
}

impl<'a> Kept<'a> {
    fn push(&mut self, kept: &KeptCopy<'a>) {
        self.message.push(kept.message.cast_signed());
        self.recipient.push(kept.recipient.into());
        self.address_hash.push(kept.address_hash.cast_signed());
        self.address.push(kept.address);
        self.code.push(kept.code.into());
        self.kept_at.push(kept.kept_at.cast_signed());
        self.expires_at.push(kept.expires_at.cast_signed());
    }
}

impl<'a> Batch<'a> {
    /// Sorts `entries`; `withdrawn` are messages of commits before that may have been written.
    pub(super) fn of(
        entries: &'a [Entry<'_>],
        withdrawn: &[u64],
        key: &[u8; 16],
        lists: &mut RecipientLists,
    ) -> Self {
        let mut batch = Self::default();
        let withdrawn = withdrawn.iter().copied();
        batch.withdrawn.extend(withdrawn.map(u64::cast_signed));
        for entry in entries {
            match entry {
                Entry::Promise(promise) => batch.promise(promise, key, lists),
                Entry::Outcomes { id, outcomes } => batch.outcomes.push((*id, outcomes)),
                Entry::Finished { id } => batch.finished.push(id.cast_signed()),
                Entry::Withdrawn { id } => batch.withdrawn.push(id.cast_signed()),
                Entry::Kept(kept) => batch.kept.push(kept),
                Entry::KeptEnded { kept } => batch.kept_ended.push(*kept),
            }
        }
        batch
    }

    fn promise(&mut self, promise: &'a Promise<'_>, key: &[u8; 16], lists: &mut RecipientLists) {
        let submission = &promise.submission;
        let mut text = Vec::new();
        recipient_text::write(&promise.recipients, &mut text);
        // The line that a list leaves out would be the originator.
        let (written, list) = match promise.anonymous {
            true => (Written::Whole, None),
            false => lists.refer(key, submission.group, &text),
        };
        let columns = &mut self.promises;
        columns.id.push(promise.id.cast_signed());
        let request = promise.request.as_ref();
        columns
            .request
            .push(request.map(|request| request_key(key, request)));
        columns
            .accepted_at
            .push(submission.accepted_at.cast_signed());
        columns.expires_at.push(submission.expires_at.cast_signed());
        columns.anonymous.push(promise.anonymous);
        columns.originator.push(match promise.anonymous {
            true => pseudonym(*key, submission.originator).into_bytes(),
            false => submission.originator.to_vec(),
        });
        columns.group.push(submission.group);
        columns.from.push(submission.from.text());
        columns.headers.push(submission.headers);
        columns.charging.push(submission.charging);
        columns.needs_stream.push(submission.needs_stream);
        columns.window.push(submission.window.into());
        columns
            .most_at_once
            .push(submission.most_at_once.map(i64::from));
        columns.entry_at.push(submission.entry_at.into());
        columns.seed.push(submission.seed);
        columns.body.push(submission.body);
        columns.count.push(promise.recipients.len() as i64);
        let (recipients, hash, omitted) = match written {
            Written::Whole => (Some(text), None, None),
            Written::Of { hash, omitted } => (None, Some(hash), omitted),
        };
        columns.recipients.push(recipients);
        columns.list.push(hash);
        columns.omitted.push(omitted);
        if let (Some(hash), Some(list)) = (hash, list) {
            self.lists.insert(hash, list);
        }
    }

    /// The messages that it promises.
    pub(super) fn promised(&self) -> impl Iterator<Item = u64> {
        self.promises.id.iter().map(|id| id.cast_unsigned())
    }

    /// The messages that it withdraws.
    pub(super) fn withdrawn(&self) -> impl Iterator<Item = u64> {
        self.withdrawn.iter().map(|id| id.cast_unsigned())
    }

    /// The messages that end with it.
    pub(super) fn ended(&self) -> impl Iterator<Item = u64> {
        let ended = self.finished.iter().chain(&self.withdrawn);
        ended.map(|id| id.cast_unsigned())
    }

    /// The lists that it writes.
    pub(super) fn list_hashes(&self) -> impl Iterator<Item = &[u8; 16]> {
        self.lists.keys()
    }

    /// Writes all of it in one transaction, which is sent at once. Gives the messages that are promised; those missing have
    /// been answered by another node. `states` gets the outcomes.
    pub(super) async fn write(
        &self,
        client: &Client,
        run: u64,
        states: &mut States,
        how: CommitMode,
    ) -> Result<HashSet<u64>, Error> {
        let begin = match how {
            CommitMode::Synced => "BEGIN",
            CommitMode::Soon => "BEGIN; SET LOCAL synchronous_commit TO off",
        };
        let run = run.cast_signed();
        let outcomes = self.chunks(states);
        // They are sent in the order in which they are named, and none waits for an answer. Outcomes may be those of messages
        // that are promised with them. The row of what is kept comes last of those for which nodes wait for each other.
        let before = try_join4(
            client.batch_execute(begin),
            self.withdraw(client),
            self.write_lists(client),
            self.write_promises(client, run),
        );
        let after = try_join4(
            write_outcomes(client, run, &outcomes),
            self.write_kept(client, run),
            self.finish(client, run),
            client.batch_execute("COMMIT"),
        );
        let ((_, (), (), promised), _) = try_join(before, after).await?;
        Ok(promised)
    }

    /// Notes the outcomes in `states`, and gives the chunks that have changed. What is not this run's any more has no place
    /// there.
    fn chunks(&self, states: &mut States) -> Chunks {
        let mut changed = BTreeMap::new();
        for (id, outcomes) in &self.outcomes {
            let Some(chunks) = states.get_mut(id) else {
                continue;
            };
            for &outcome in *outcomes {
                let chunk = outcome.recipient / CHUNK;
                states::set(chunks.entry(chunk).or_default(), outcome);
                changed.insert((*id, chunk), ());
            }
        }
        let mut columns = Chunks::default();
        for (id, chunk) in changed.into_keys() {
            let found = states.get(&id).and_then(|chunks| chunks.get(&chunk));
            columns.message.push(id.cast_signed());
            columns.chunk.push(chunk.into());
            columns.states.push(found.cloned().unwrap_or_default());
        }
        columns
    }

    async fn withdraw(&self, client: &Client) -> Result<(), Error> {
        if self.withdrawn.is_empty() {
            return Ok(());
        }
        // What another node has answered 202 for is sent after all, by whoever takes it over; and what another one has taken
        // over is its own.
        let sql = "WITH asked AS (
              SELECT key, relied FROM cimf_ledger.request WHERE key IN (
                SELECT request FROM cimf_ledger.message WHERE id = ANY ($1)) ORDER BY key FOR UPDATE
            ), relied_on AS (
              UPDATE cimf_ledger.message SET run = 0 WHERE id = ANY ($1) AND run = id >> 32
              AND request IN (SELECT key FROM asked WHERE relied)
            ), gone AS (
              DELETE FROM cimf_ledger.message WHERE id = ANY ($1) AND run = id >> 32
              AND NOT EXISTS (SELECT FROM asked WHERE relied AND key = message.request) RETURNING request
            )
            DELETE FROM cimf_ledger.request WHERE key IN (SELECT request FROM gone)";
        let done = client
            .query_typed(sql, &[(&self.withdrawn, Type::INT8_ARRAY)])
            .await;
        done.map(drop)
    }

    async fn finish(&self, client: &Client, run: i64) -> Result<(), Error> {
        if self.finished.is_empty() {
            return Ok(());
        }
        // What has kept copies stays for them, as nobody's. One whose last copy ends just now is swept later.
        let sql = "WITH left_over AS (
              UPDATE cimf_ledger.message SET finished = true, run = 0 WHERE id = ANY ($1) AND run = $2
              AND EXISTS (SELECT FROM cimf_ledger.kept WHERE kept.message = message.id))
            DELETE FROM cimf_ledger.message WHERE id = ANY ($1) AND run = $2
            AND NOT EXISTS (SELECT FROM cimf_ledger.kept WHERE kept.message = message.id)";
        let done = client
            .query_typed(
                sql,
                &[(&self.finished, Type::INT8_ARRAY), (&run, Type::INT8)],
            )
            .await;
        done.map(drop)
    }

    /// The copies that it keeps no longer.
    pub(super) fn kept_ended(&self) -> &[i64] {
        &self.kept_ended
    }

    /// Whether it keeps copies.
    pub(super) fn keeps(&self) -> bool {
        !self.kept.message.is_empty()
    }

    /// Whether it changes what is kept.
    fn changes_kept(&self) -> bool {
        self.keeps() || !self.kept_ended.is_empty()
    }

    async fn write_kept(&self, client: &Client, run: i64) -> Result<(), Error> {
        if !self.changes_kept() {
            return Ok(());
        }
        // Each statement sees what was committed before it got the row of the first.
        let begun = "UPDATE cimf_ledger.kept_latest SET latest = latest + 1";
        let kept = &self.kept;
        let keep = "INSERT INTO cimf_ledger.kept (message, recipient, address_hash, address, code, kept_at, expires_at,
              revision)
            SELECT k.message, k.recipient, k.address_hash, k.address, k.code, k.kept_at, k.expires_at, latest
            FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bigint[], $7::bigint[], $8::bigint[])
              AS k (message, recipient, address_hash, address, code, kept_at, expires_at)
            JOIN cimf_ledger.message ON message.id = k.message AND message.run = $1, cimf_ledger.kept_latest
            FOR KEY SHARE OF message ON CONFLICT (message, recipient) DO NOTHING";
        let numbers = Type::INT8_ARRAY;
        let keep_parameters: [(&(dyn ToSql + Sync), Type); 8] = [
            (&run, Type::INT8),
            (&kept.message, numbers.clone()),
            (&kept.recipient, numbers.clone()),
            (&kept.address_hash, numbers.clone()),
            (&kept.address, Type::BYTEA_ARRAY),
            (&kept.code, numbers.clone()),
            (&kept.kept_at, numbers.clone()),
            (&kept.expires_at, numbers.clone()),
        ];
        let end = "WITH gone AS (
              DELETE FROM cimf_ledger.kept WHERE id = ANY ($1) RETURNING id, message
            ), noted AS (
              INSERT INTO cimf_ledger.kept_gone (id, revision) SELECT id, latest FROM gone, cimf_ledger.kept_latest)
            DELETE FROM cimf_ledger.message WHERE finished AND id IN (SELECT message FROM gone)
            AND NOT EXISTS (SELECT FROM cimf_ledger.kept WHERE kept.message = message.id AND kept.id <> ALL ($1))";
        let end_parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&self.kept_ended, numbers)];
        try_join3(
            client.batch_execute(begun),
            client.query_typed(keep, &keep_parameters),
            client.query_typed(end, &end_parameters),
        )
        .await
        .map(drop)
    }

    async fn write_lists(&self, client: &Client) -> Result<(), Error> {
        if self.lists.is_empty() {
            return Ok(());
        }
        let hashes: Vec<&[u8]> = self.lists.keys().map(|hash| &hash[..]).collect();
        let texts: Vec<&[u8]> = self.lists.values().map(|text| &text[..]).collect();
        let sql = "INSERT INTO cimf_ledger.list (hash, recipients)
            SELECT * FROM unnest($1::bytea[], $2::bytea[]) ON CONFLICT (hash)
            DO UPDATE SET used_at = clock_timestamp()";
        let done = client
            .query_typed(
                sql,
                &[(&hashes, Type::BYTEA_ARRAY), (&texts, Type::BYTEA_ARRAY)],
            )
            .await;
        done.map(drop)
    }

    async fn write_promises(&self, client: &Client, run: i64) -> Result<HashSet<u64>, Error> {
        let columns = &self.promises;
        if columns.id.is_empty() {
            return Ok(HashSet::new());
        }
        // Keys in one order: two nodes with the same ones wait for each other in turn.
        let sql = "WITH promised AS (
              SELECT * FROM unnest($2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[], $6::boolean[],
                $7::bytea[], $8::bytea[], $9::bytea[], $10::bytea[], $11::bytea[], $12::boolean[], $13::bigint[],
                $14::bigint[], $15::bigint[], $16::bytea[], $17::bytea[], $18::bigint[], $19::bytea[],
                $20::bytea[], $21::bigint[])
              AS p (id, request, accepted_at, expires_at, anonymous, originator, group_uri, from_header, headers,
                charging, needs_stream, send_window, most_at_once, entry_at, seed, body, recipient_count,
                recipients, list, omitted)
            ), answered AS (
              INSERT INTO cimf_ledger.request (key, message)
              SELECT DISTINCT ON (request) request, id FROM promised WHERE request IS NOT NULL ORDER BY request, id
              ON CONFLICT (key) DO UPDATE SET relied = true RETURNING message
            )
            INSERT INTO cimf_ledger.message (run, id, request, accepted_at, expires_at, anonymous, originator,
              group_uri, from_header, headers, charging, needs_stream, send_window, most_at_once, entry_at, seed,
              body, recipient_count, recipients, list, omitted)
            SELECT $1::bigint, * FROM promised
            WHERE request IS NULL OR id IN (SELECT message FROM answered)
            RETURNING id";
        let requests: Vec<_> = columns
            .request
            .iter()
            .map(|key| key.as_ref().map(|key| &key[..]))
            .collect();
        let seeds: Vec<&[u8]> = columns.seed.iter().map(|seed| &seed[..]).collect();
        let hashes: Vec<_> = columns
            .list
            .iter()
            .map(|hash| hash.as_ref().map(|hash| &hash[..]))
            .collect();
        let (bytes, numbers, flags) = (Type::BYTEA_ARRAY, Type::INT8_ARRAY, Type::BOOL_ARRAY);
        let rows = client
            .query_typed(
                sql,
                &[
                    (&run, Type::INT8),
                    (&columns.id, numbers.clone()),
                    (&requests, bytes.clone()),
                    (&columns.accepted_at, numbers.clone()),
                    (&columns.expires_at, numbers.clone()),
                    (&columns.anonymous, flags.clone()),
                    (&columns.originator, bytes.clone()),
                    (&columns.group, bytes.clone()),
                    (&columns.from, bytes.clone()),
                    (&columns.headers, bytes.clone()),
                    (&columns.charging, bytes.clone()),
                    (&columns.needs_stream, flags),
                    (&columns.window, numbers.clone()),
                    (&columns.most_at_once, numbers.clone()),
                    (&columns.entry_at, numbers.clone()),
                    (&seeds, bytes.clone()),
                    (&columns.body, bytes.clone()),
                    (&columns.count, numbers.clone()),
                    (&columns.recipients, bytes.clone()),
                    (&hashes, bytes),
                    (&columns.omitted, numbers),
                ],
            )
            .await;
        let rows = rows?;
        let ids = rows.iter().map(|row| row.get::<_, i64>(0).cast_unsigned());
        Ok(ids.collect())
    }
}

/// Columns of states that have changed.
#[derive(Debug, Default)]
struct Chunks {
    message: Vec<i64>,
    chunk: Vec<i64>,
    states: Vec<Vec<u8>>,
}

/// Only those of messages that this run still has: others are known better by who has them.
async fn write_outcomes(client: &Client, run: i64, chunks: &Chunks) -> Result<(), Error> {
    if chunks.message.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO cimf_ledger.recipient_state (message, chunk, states)
        SELECT o.message, o.chunk, o.states FROM unnest($2::bigint[], $3::bigint[], $4::bytea[])
          AS o (message, chunk, states)
        JOIN cimf_ledger.message ON message.id = o.message AND message.run = $1
        FOR KEY SHARE OF message
        ON CONFLICT (message, chunk) DO UPDATE SET states = EXCLUDED.states";
    let done = client
        .query_typed(
            sql,
            &[
                (&run, Type::INT8),
                (&chunks.message, Type::INT8_ARRAY),
                (&chunks.chunk, Type::INT8_ARRAY),
                (&chunks.states, Type::BYTEA_ARRAY),
            ],
        )
        .await;
    done.map(drop)
}

/// What makes a request the same on every node: it has the same key only if it asks for the same, for the same originator.
fn request_key(key: &[u8; 16], request: &RequestRecord<'_>) -> [u8; 16] {
    let RequestKey {
        from_tag,
        call_id,
        cseq,
        via: _,
    } = request.key;
    let mut hasher = SipHasher13::new_with_key(key);
    for part in [
        from_tag,
        call_id,
        &cseq.to_be_bytes()[..],
        &request.content[..],
    ] {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    hasher.finish128().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_the_same_only_if_all_that_identifies_it_is() {
        let request = RequestRecord {
            key: RequestKey {
                from_tag: b"9f2c",
                call_id: b"a84b",
                cseq: 41,
                via: b"SIP/2.0/UDP h;branch=z9hG4bK1",
            },
            content: [3; 16],
        };
        let with = |change: fn(&mut RequestRecord<'_>)| {
            let mut other = request;
            change(&mut other);
            request_key(&[7; 16], &other)
        };
        let key = with(|_| ());
        // A retransmission through another server has another Via.
        assert_eq!(with(|other| other.key.via = b"SIP/2.0/TCP other"), key);
        for other in [
            with(|other| other.key.from_tag = b"9f2"),
            with(|other| other.key.call_id = b"a84"),
            with(|other| other.key.cseq = 42),
            with(|other| other.content[15] = 4),
            with(|other| (other.key.from_tag, other.key.call_id) = (b"9f2ca", b"84b")),
            request_key(&[8; 16], &request),
        ] {
            assert_ne!(other, key);
        }
    }
}
