//! The pipe in shared memory by which the outcome reporter passes outcomes to the process that writes the ledger.

#![forbid(unsafe_code)]

use crate::fanout::{Engine, Outcome};
use crate::ledger::{Entry, OutcomeRecord};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The kinds of records.
const OUTCOME: u8 = 1;
const FINISHED: u8 = 2;

/// One record about a message of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PipeRecord {
    /// A recipient has an outcome.
    Outcome(u64, OutcomeRecord),
    /// All of them have one.
    Finished(u64),
}

impl PipeRecord {
    fn encode(self) -> Vec<u8> {
        let (kind, id) = match self {
            Self::Outcome(id, _) => (OUTCOME, id),
            Self::Finished(id) => (FINISHED, id),
        };
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&id.to_le_bytes());
        if let Self::Outcome(_, outcome) = self {
            bytes.extend_from_slice(&outcome.recipient.to_le_bytes());
            bytes.extend_from_slice(&outcome.code.to_le_bytes());
            bytes.push(outcome.outcome);
        }
        bytes
    }

    /// Reads a record of the pipe.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let (id, rest) = rest.split_first_chunk()?;
        let id = u64::from_le_bytes(*id);
        if kind == FINISHED {
            return Some(Self::Finished(id));
        }
        let (recipient, rest) = rest.split_first_chunk()?;
        let (code, rest) = rest.split_first_chunk()?;
        let outcome = OutcomeRecord {
            recipient: u32::from_le_bytes(*recipient),
            code: u16::from_le_bytes(*code),
            outcome: *rest.first()?,
        };
        (kind == OUTCOME).then_some(Self::Outcome(id, outcome))
    }
}

/// An outcome as the ledger keeps it.
pub fn outcome(recipient: u32, ending: Outcome) -> OutcomeRecord {
    let (outcome, code) = ending.to_bytes();
    OutcomeRecord {
        recipient,
        outcome,
        code,
    }
}

/// The writing end of the pipe. It never waits: what finds no room is remembered, and written from the state in shared
/// memory once there is room.
#[derive(Debug)]
pub struct OutcomeWriter<'e> {
    engine: &'e Engine,
    /// Messages with outcomes that were not written, each with the first such recipient.
    incomplete: BTreeMap<u64, u32>,
    /// Messages whose end was not written.
    finished: Vec<u64>,
}

impl<'e> OutcomeWriter<'e> {
    /// For the one process that reports outcomes.
    pub fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            incomplete: BTreeMap::new(),
            finished: Vec::new(),
        }
    }

    /// Writes an outcome.
    pub fn outcome(&mut self, id: u64, recipient: u32, ending: Outcome) {
        if !self.write(PipeRecord::Outcome(id, outcome(recipient, ending))) {
            self.incomplete.insert(id, 0);
        }
    }

    /// Writes that all recipients of a message have an outcome.
    pub fn finished(&mut self, id: u64) {
        self.incomplete.remove(&id);
        if !self.write(PipeRecord::Finished(id)) {
            self.finished.push(id);
        }
    }

    fn write(&self, record: PipeRecord) -> bool {
        self.engine.pipe().write(&record.encode())
    }

    /// Writes what found no room before, and wakes the reader.
    pub fn flush(&mut self) {
        while let Some(&id) = self.finished.last()
            && self.write(PipeRecord::Finished(id))
        {
            self.finished.pop();
        }
        if !self.incomplete.is_empty() && self.engine.pipe().is_half_empty() {
            self.complete();
        }
        self.engine.wake_committer();
    }

    fn complete(&mut self) {
        let Ok(under_way) = self.engine.under_way() else {
            return;
        };
        for message in under_way {
            let id = message.ledger();
            let Some(&from) = self.incomplete.get(&id) else {
                continue;
            };
            let endings = message.outcomes().into_iter();
            for (recipient, ending) in endings.filter(|&(recipient, _)| recipient >= from) {
                if !self.write(PipeRecord::Outcome(id, outcome(recipient, ending))) {
                    self.incomplete.insert(id, recipient);
                    return;
                }
            }
            self.incomplete.remove(&id);
        }
        // Those no longer under way have finished, which was written or is in `finished`.
        self.incomplete.clear();
    }
}

/// The reading end of the pipe: what is not committed yet, by message.
#[derive(Debug)]
pub struct OutcomeReader<'e> {
    engine: &'e Engine,
    /// The position of the next record.
    next: u64,
    messages: BTreeMap<u64, Open>,
}

/// The records of one message.
#[derive(Debug)]
enum Open {
    /// These outcomes.
    Outcomes(Vec<OutcomeRecord>),
    /// All recipients have one.
    Finished,
}

impl<'e> OutcomeReader<'e> {
    /// For the one process that writes the ledger.
    pub fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            next: engine.pipe().first(),
            messages: BTreeMap::new(),
        }
    }

    /// Reads all records.
    pub fn read(&mut self) {
        while let Some((record, next)) = self.engine.pipe().read(self.next) {
            self.next = next;
            match PipeRecord::decode(&record) {
                Some(PipeRecord::Outcome(id, outcome)) => {
                    let open = self.messages.entry(id);
                    if let Open::Outcomes(outcomes) =
                        open.or_insert_with(|| Open::Outcomes(Vec::new()))
                    {
                        outcomes.push(outcome);
                    }
                }
                Some(PipeRecord::Finished(id)) => {
                    self.messages.insert(id, Open::Finished);
                }
                None => log::error!("ledger: a record of {} bytes is none", record.len()),
            }
        }
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The entries to commit.
    pub fn entries(&self) -> Vec<Entry<'_>> {
        let entries = self.messages.iter().map(|(&id, open)| match open {
            Open::Outcomes(outcomes) => Entry::Outcomes {
                id,
                outcomes: Cow::Borrowed(outcomes),
            },
            Open::Finished => Entry::Finished { id },
        });
        entries.collect()
    }

    /// Forgets what was read, which has been committed.
    pub fn is_committed(&mut self) {
        self.messages.clear();
        self.engine.pipe().done(self.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::control::Own;
    use crate::fanout::{Counters, Origin};
    use crate::sample::submission;
    use std::sync::Arc;

    const ID: u64 = 7;

    /// An engine with one message of the ledger, `ended` of whose recipients have an outcome.
    fn engine(recipients: u32, ended: u32) -> Engine {
        let limits = Settings::new();
        let counters = Arc::new(Counters::new().unwrap());
        let engine = Engine::new(limits, [7; 16], counters).unwrap();
        let names: Vec<String> = (0..recipients).map(|n| format!("sip:u{n}@h")).collect();
        let own = || names.iter().map(|name| Own::plain(name.as_bytes()));
        let origin = Origin {
            ledger: ID,
            ..Origin::default()
        };
        let ended = (0..ended).map(|number| (number, Outcome::Delivered(200)));
        let restored = engine.restore(&submission(), own, origin, ended);
        assert!(matches!(restored, Ok(Some(_))));
        engine
    }

    /// The recipients of the message whose outcomes have been read.
    fn read(reader: &OutcomeReader<'_>) -> Vec<u32> {
        let mut recipients = Vec::new();
        for entry in reader.entries() {
            if let Entry::Outcomes { id: ID, outcomes } = entry {
                recipients.extend(outcomes.iter().map(|outcome| outcome.recipient));
            }
        }
        recipients.sort_unstable();
        recipients.dedup();
        recipients
    }

    #[test]
    fn what_found_no_room_is_written_later_from_shared_memory() {
        let engine = engine(3, 2);
        let mut writer = OutcomeWriter::new(&engine);
        let mut reader = OutcomeReader::new(&engine);
        while writer.write(PipeRecord::Finished(1)) {}
        writer.outcome(ID, 0, Outcome::Delivered(200));
        writer.outcome(ID, 1, Outcome::Delivered(200));
        writer.finished(5);
        reader.read();
        assert!(read(&reader).is_empty());
        // As long as nothing is committed, nothing more fits.
        writer.flush();
        reader.read();
        assert_eq!((read(&reader), reader.entries().len()), (vec![], 1));
        reader.is_committed();
        writer.flush();
        reader.read();
        assert_eq!(read(&reader), [0, 1]);
        let finished = |entry: &Entry<'_>| matches!(entry, Entry::Finished { id: 5 });
        assert!(reader.entries().iter().any(finished));
    }

    #[test]
    fn more_outcomes_than_fit_are_written_piece_by_piece() {
        const ENDED: u32 = 70_000;
        let engine = engine(ENDED + 1, ENDED);
        let mut writer = OutcomeWriter::new(&engine);
        let mut reader = OutcomeReader::new(&engine);
        (0..ENDED).for_each(|number| writer.outcome(ID, number, Outcome::Delivered(200)));
        let mut all = Vec::new();
        for _ in 0..5 {
            reader.read();
            all.extend(read(&reader));
            reader.is_committed();
            writer.flush();
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len() as u32, ENDED);
        assert!(reader.is_empty() && writer.incomplete.is_empty());
    }

    #[test]
    fn the_next_reader_reads_again_what_was_not_committed() {
        let engine = engine(2, 1);
        let mut writer = OutcomeWriter::new(&engine);
        writer.outcome(ID, 0, Outcome::Delivered(200));
        OutcomeReader::new(&engine).read();
        let mut after = OutcomeReader::new(&engine);
        after.read();
        assert_eq!(read(&after), [0]);
        writer.finished(ID);
        after.read();
        assert!(matches!(after.entries()[..], [Entry::Finished { id: ID }]));
    }
}
