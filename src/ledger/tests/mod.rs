//! The ledger as seen by one process.

mod kept;
mod messages;
mod refused;
mod trouble;

use super::{
    CommitMode, Entry, Figures, KeptCopy, Ledger, LedgerError, LedgerFile, OutcomeRecord, Promise,
    Reader, RequestRecord, SqliteLedger, SqliteReader, Unfinished,
};
use crate::control::Own;
use crate::control::request_memory::RequestKey;
use crate::fanout::Submission;
use crate::sample;
use rusqlite::Connection;
use std::borrow::Cow;
use std::path::PathBuf;

/// The time base of these tests, in milliseconds of Unix time.
const NOW: u64 = 1_700_000_000_000;

/// A ledger in a folder of its own, with its writer and a reader.
struct Rig {
    folder: tempfile::TempDir,
    path: PathBuf,
    file: LedgerFile,
    ledger: SqliteLedger,
    reader: SqliteReader,
}

impl Rig {
    fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap())
    }

    fn at(folder: tempfile::TempDir) -> Self {
        let path = folder.path().join("ledger.db");
        let file = LedgerFile::open(&path).unwrap();
        let ledger = file.writer().unwrap();
        let reader = file.reader().unwrap();
        Self {
            folder,
            path,
            file,
            ledger,
            reader,
        }
    }

    /// Restarts the proxy.
    fn again(self) -> Self {
        Self::at(self.left().0)
    }

    /// Ends all processes of the proxy.
    fn left(self) -> (tempfile::TempDir, PathBuf) {
        (self.folder, self.path)
    }

    fn write(&mut self, entries: &[Entry<'_>]) {
        self.ledger.commit(entries, CommitMode::Synced).unwrap();
        // The incremental figures must equal the counted ones.
        let mut counted = self.reader.figures().unwrap();
        let figures = self.ledger.figures();
        counted.file_bytes = figures.file_bytes;
        assert_eq!(counted, figures);
    }

    fn refused(&mut self, entries: &[Entry<'_>]) -> String {
        let error = self.ledger.commit(entries, CommitMode::Synced);
        error.unwrap_err().to_string()
    }

    fn unfinished(&mut self) -> Vec<Unfinished> {
        let mut found = Vec::new();
        self.reader
            .unfinished(&mut |unfinished| found.push(unfinished))
            .unwrap();
        found
    }

    fn ids(&mut self) -> Vec<u64> {
        let found = self.unfinished();
        found.iter().map(|found| found.message.id).collect()
    }

    /// The number of rows of a table.
    fn rows(&self, table: &str) -> u64 {
        let connection = Connection::open(&self.path).unwrap();
        let sql = format!("SELECT count(*) FROM {table}");
        let count: i64 = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        count.unsigned_abs()
    }

    fn sql(&self, sql: &str) {
        let connection = Connection::open(&self.path).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    fn text(&self, rest: &str) -> String {
        format!("{}: {rest}", self.path.display())
    }
}

fn submission(id: u64) -> Submission<'static> {
    Submission {
        headers: b"Content-Type: text/plain\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\n",
        charging: b";orig-ioi=home1.net",
        body: b"Hello,\r\nhikers",
        entry_at: 3,
        needs_stream: true,
        most_at_once: Some(40),
        accepted_at: NOW + id,
        ..sample::submission()
    }
}

fn request(id: &[u8]) -> RequestRecord<'_> {
    let key = RequestKey {
        from_tag: b"9f2c",
        call_id: id,
        cseq: 41,
        via: b"SIP/2.0/UDP h;branch=z9hG4bK1",
    };
    RequestRecord {
        key,
        content: [9; 16],
    }
}

fn bob_and_carol() -> Vec<Own<'static>> {
    vec![
        Own::plain(b"sip:bob@home1.net"),
        Own {
            address: b"tel:+15551230003",
            headers: b"P-Own: 1\r\n",
            has_entry: true,
        },
    ]
}

fn message(id: u64) -> Promise<'static> {
    Promise {
        id,
        promised: true,
        anonymous: false,
        submission: submission(id),
        recipients: bob_and_carol(),
        request: None,
    }
}

fn promise(id: u64) -> Entry<'static> {
    Entry::Promise(Box::new(message(id)))
}

fn outcome(recipient: u32, code: u16) -> OutcomeRecord {
    OutcomeRecord {
        recipient,
        outcome: 4,
        code,
    }
}

fn outcomes(id: u64, outcomes: &[OutcomeRecord]) -> Entry<'_> {
    let outcomes = Cow::Borrowed(outcomes);
    Entry::Outcomes { id, outcomes }
}

/// A copy for bob, whose address has the hash 1.
fn kept(message: u64) -> KeptCopy<'static> {
    KeptCopy {
        message,
        recipient: 0,
        address_hash: 1,
        address: b"sip:bob@home1.net",
        code: 480,
        kept_at: NOW,
        expires_at: NOW + 1000 * message,
    }
}
