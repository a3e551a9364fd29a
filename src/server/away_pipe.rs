//! What the process that tells outcomes tells the ledger's of members who are away: records of a pipe in shared
//! memory. A copy that is to be kept stays in the queue until the ledger has it, so that a record only says where.

#![forbid(unsafe_code)]

use super::outcome_pipe::outcome;
use crate::fanout::{Engine, InQueue, Outcome, Pipe};
use crate::ledger::{Entry, KeptCopy, Promise};
use std::borrow::Cow;
use std::collections::VecDeque;

/// The kinds of records.
const KEEP: u8 = 1;
const END: u8 = 2;

/// A copy that is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Where its message is in the queue.
    pub place: u64,
    /// The ledger's number of the message.
    pub ledger: u64,
    /// Whether the ledger does not have the message yet.
    pub is_new: bool,
    /// The number of the recipient.
    pub recipient: u32,
    /// The code for which it is kept.
    pub code: u16,
    /// The hash of the member's address.
    pub member: u64,
    /// Since when, in milliseconds of Unix time.
    pub kept_at: u64,
    /// Until when.
    pub expires_at: u64,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Record {
    /// A copy is to be kept.
    Keep(Keep),
    /// A copy is not kept any longer.
    End(i64),
}

impl Record {
    fn encode(self) -> Vec<u8> {
        let keep = match self {
            Self::Keep(keep) => keep,
            Self::End(kept) => return [&[END][..], &kept.to_le_bytes()].concat(),
        };
        let mut bytes = vec![KEEP, u8::from(keep.is_new)];
        bytes.extend_from_slice(&keep.code.to_le_bytes());
        bytes.extend_from_slice(&keep.recipient.to_le_bytes());
        for number in [
            keep.place,
            keep.ledger,
            keep.member,
            keep.kept_at,
            keep.expires_at,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        if kind == END {
            return Some(Self::End(i64::from_le_bytes(rest.try_into().ok()?)));
        }
        let (&is_new, rest) = rest.split_first()?;
        let (code, rest) = rest.split_first_chunk()?;
        let (recipient, rest) = rest.split_first_chunk()?;
        let (numbers, rest) = rest.as_chunks::<{ size_of::<u64>() }>();
        let [place, ledger, member, kept_at, expires_at] = *numbers else {
            return None;
        };
        let keep = Keep {
            place: u64::from_le_bytes(place),
            ledger: u64::from_le_bytes(ledger),
            is_new: is_new != 0,
            recipient: u32::from_le_bytes(*recipient),
            code: u16::from_le_bytes(*code),
            member: u64::from_le_bytes(member),
            kept_at: u64::from_le_bytes(kept_at),
            expires_at: u64::from_le_bytes(expires_at),
        };
        (kind == KEEP && rest.is_empty()).then_some(Self::Keep(keep))
    }
}

/// A place in the pipe: what was written before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// The end of the pipe where records go in. It never waits.
#[derive(Debug)]
pub struct KeepWriter<'e> {
    engine: &'e Engine,
    /// Copies whose end has found no room.
    ended: VecDeque<i64>,
}

impl<'e> KeepWriter<'e> {
    /// For the one process that tells outcomes.
    pub fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            ended: VecDeque::new(),
        }
    }

    fn pipe(&self) -> &'e Pipe {
        self.engine.away().pipe()
    }

    /// Has a copy kept, unless there is no room for the record. It is kept once that mark is committed.
    pub fn keep(&self, keep: Keep) -> Option<Mark> {
        let written = self.pipe().write(&Record::Keep(keep).encode());
        written.then(|| Mark(self.pipe().end()))
    }

    /// Has a copy not kept any longer.
    pub fn end(&mut self, kept: i64) {
        self.ended.push_back(kept);
        self.flush();
    }

    /// Writes what has found no room, and sees to it that all is read. Says up to where all is written.
    pub fn flush(&mut self) -> Option<Mark> {
        while let Some(&kept) = self.ended.front()
            && self.pipe().write(&Record::End(kept).encode())
        {
            self.ended.pop_front();
        }
        self.engine.wake_committer();
        self.ended.is_empty().then(|| Mark(self.pipe().end()))
    }

    /// Whether all that was written before a mark is in the ledger.
    pub fn is_committed(&self, mark: Mark) -> bool {
        self.pipe().first() >= mark.0
    }
}

/// The end of the pipe where records come out.
#[derive(Debug)]
pub struct KeepReader<'e> {
    engine: &'e Engine,
    /// The place of the next record.
    next: u64,
    /// What was read, and the messages whose copies are kept.
    records: Vec<(Record, Option<InQueue<'e>>)>,
}

impl<'e> KeepReader<'e> {
    /// For the one process that writes the ledger.
    pub fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            next: engine.away().pipe().first(),
            records: Vec::new(),
        }
    }

    /// Reads all records. The outcomes of a message must be read before this and written after it, because a message
    /// is reported as finished after its copies.
    pub fn read(&mut self) {
        while let Some((record, next)) = self.engine.away().pipe().read(self.next) {
            self.next = next;
            match Record::decode(&record) {
                Some(Record::Keep(keep)) => self.add(keep),
                Some(record) => self.records.push((record, None)),
                None => log::error!(
                    "ledger: a record of {} bytes about a member who is away is none",
                    record.len()
                ),
            }
        }
    }

    /// One more copy that is to be kept.
    pub fn add(&mut self, keep: Keep) {
        let message = self.engine.in_queue(keep.place);
        self.records.push((Record::Keep(keep), message));
    }

    /// Whether nothing is to be committed.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether somebody waits for a copy to be kept.
    pub fn is_urgent(&self) -> bool {
        let mut records = self.records.iter();
        records.any(|(record, _)| matches!(record, Record::Keep(_)))
    }

    /// What is to be committed.
    pub fn entries(&self) -> Vec<Entry<'_>> {
        let mut entries = Vec::with_capacity(2 * self.records.len());
        for (record, message) in &self.records {
            match (record, message) {
                (Record::Keep(keep), Some(message)) => Self::keep(keep, message, &mut entries),
                (Record::Keep(_), None) => {}
                (&Record::End(kept), _) => entries.push(Entry::KeptEnded { kept }),
            }
        }
        entries
    }

    fn keep<'a>(keep: &Keep, message: &'a InQueue<'_>, entries: &mut Vec<Entry<'a>>) {
        let Some(own) = message.recipient(keep.recipient) else {
            return;
        };
        // PostgreSQL may have lost the message meanwhile, which was then written again under another number.
        let ledger = match keep.is_new {
            true => keep.ledger,
            false => message.ledger(),
        };
        if ledger == 0 {
            // Another node has taken it over, and keeps the copy.
            return;
        }
        if keep.is_new {
            let submission = message.submission();
            entries.push(Entry::Promise(Box::new(Promise {
                id: ledger,
                promised: false,
                anonymous: submission.anonymous,
                recipients: message.recipients().collect(),
                request: None,
                submission,
            })));
        }
        entries.push(Entry::Kept(KeptCopy {
            message: ledger,
            recipient: keep.recipient,
            address_hash: keep.member,
            address: own.address,
            code: keep.code,
            kept_at: keep.kept_at,
            expires_at: keep.expires_at,
        }));
        // Together with it: a message that goes on after a crash is not sent to them once more.
        let outcome = outcome(keep.recipient, Outcome::Kept(keep.code));
        entries.push(Entry::Outcomes {
            id: ledger,
            outcomes: Cow::Owned(vec![outcome]),
        });
    }

    /// All that was read has been committed.
    pub fn is_committed(&mut self) {
        self.records.clear();
        self.engine.away().pipe().done(self.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let keep = Record::Keep(Keep {
            place: 7,
            ledger: 1 << 62,
            is_new: true,
            recipient: u32::MAX >> 2,
            code: 480,
            member: u64::MAX,
            kept_at: 3,
            expires_at: 4,
        });
        for record in [keep, Record::End(i64::MIN)] {
            let bytes = record.encode();
            assert_eq!(Record::decode(&bytes), Some(record));
            assert!((0..bytes.len()).all(|length| Record::decode(&bytes[..length]).is_none()));
        }
    }
}
