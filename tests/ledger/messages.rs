//! Messages that can be told from each other by each of their bytes.

use crate::sample::submission;
use cimf::control::Own;
use cimf::fanout::Submission;
use cimf::ledger::{
    Entry, KeptCopy, LedgerError, LedgerFile, OutcomeRecord, Promise, Reader, Unfinished,
};
use std::borrow::Cow;
use std::path::Path;

/// Two addresses, of which the first is away.
pub const ADDRESSES: [&[u8]; 2] = [b"sip:bob@home1.net", b"tel:+15551230003"];

/// Bytes that only the message of this id has.
pub fn body(id: u64) -> Vec<u8> {
    let length = match id % 16 {
        0 => 150_000,
        other => 100 + 400 * other as usize,
    };
    id.to_le_bytes().into_iter().cycle().take(length).collect()
}

pub fn promise(id: u64, body: &[u8]) -> Entry<'_> {
    Entry::Promise(Box::new(Promise {
        id,
        promised: true,
        anonymous: false,
        submission: Submission {
            body,
            accepted_at: 1_700_000_000_000 + id,
            ..submission()
        },
        recipients: ADDRESSES.map(Own::plain).to_vec(),
        request: None,
    }))
}

pub fn delivered(id: u64) -> Entry<'static> {
    let outcome = OutcomeRecord {
        recipient: 1,
        outcome: 4,
        code: 200,
    };
    Entry::Outcomes {
        id,
        outcomes: Cow::Owned(vec![outcome]),
    }
}

/// A copy for the first of them, whose hash is that of the worker in the id.
pub fn kept(id: u64) -> Entry<'static> {
    Entry::Kept(KeptCopy {
        message: id,
        recipient: 0,
        address_hash: 1,
        address: ADDRESSES[0],
        code: 480,
        kept_at: 1_700_000_000_000,
        expires_at: 1_800_000_000_000,
    })
}

pub fn open(path: &Path) -> LedgerFile {
    LedgerFile::open(path).unwrap()
}

pub fn refused(path: &Path) -> LedgerError {
    LedgerFile::open(path).unwrap_err()
}

pub fn unfinished(file: &LedgerFile) -> Vec<Unfinished> {
    let mut found = Vec::new();
    let mut reader = file.reader().unwrap();
    reader.unfinished(&mut |one| found.push(one)).unwrap();
    found
}

pub fn ids(file: &LedgerFile) -> Vec<u64> {
    let found = unfinished(file);
    found.iter().map(|one| one.message.id).collect()
}
