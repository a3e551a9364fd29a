//! What the process that tells outcomes tells the ledger's: records of a pipe in shared memory.

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
enum LedgerNews {
    /// A recipient has an outcome.
    Outcome(u64, OutcomeRecord),
    /// All of them have one.
    Finished(u64),
}

impl LedgerNews {
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

/// The end of the pipe where news goes in. It never waits: what finds no room is remembered, and made good from what
/// is in shared memory once there is room.
#[derive(Debug)]
pub struct OutcomeWriter<'e> {
    engine: &'e Engine,
    /// Messages of which some outcome was not told, each with the recipient from which on that is so.
    incomplete: BTreeMap<u64, u32>,
    /// Messages whose end was not told.
    finished: Vec<u64>,
}

impl<'e> OutcomeWriter<'e> {
    /// For the one process that tells outcomes.
    pub fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            incomplete: BTreeMap::new(),
            finished: Vec::new(),
        }
    }

    /// Tells an outcome.
    pub fn outcome(&mut self, id: u64, recipient: u32, ending: Outcome) {
        if !self.write(LedgerNews::Outcome(id, outcome(recipient, ending))) {
            self.incomplete.insert(id, 0);
        }
    }

    /// Tells that all recipients of a message have an outcome.
    pub fn finished(&mut self, id: u64) {
        self.incomplete.remove(&id);
        if !self.write(LedgerNews::Finished(id)) {
            self.finished.push(id);
        }
    }

    fn write(&self, news: LedgerNews) -> bool {
        self.engine.pipe().write(&news.encode())
    }

    /// Makes good what found no room, and sees to it that all is read.
    pub fn flush(&mut self) {
        while let Some(&id) = self.finished.last()
            && self.write(LedgerNews::Finished(id))
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
                if !self.write(LedgerNews::Outcome(id, outcome(recipient, ending))) {
                    self.incomplete.insert(id, recipient);
                    return;
                }
            }
            self.incomplete.remove(&id);
        }
        // Those that are not under way any more have ended, and that was told.
        self.incomplete.clear();
    }
}

/// The end of the pipe where news comes out: what is not committed yet, by message.
#[derive(Debug)]
pub struct OutcomeReader<'e> {
    engine: &'e Engine,
    /// The place of the next record.
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

    /// Reads what there is.
    pub fn read(&mut self) {
        while let Some((record, next)) = self.engine.pipe().read(self.next) {
            self.next = next;
            match LedgerNews::decode(&record) {
                Some(LedgerNews::Outcome(id, outcome)) => {
                    let open = self.messages.entry(id);
                    if let Open::Outcomes(outcomes) =
                        open.or_insert_with(|| Open::Outcomes(Vec::new()))
                    {
                        outcomes.push(outcome);
                    }
                }
                Some(LedgerNews::Finished(id)) => {
                    self.messages.insert(id, Open::Finished);
                }
                None => log::error!("ledger: a record of {} bytes is none", record.len()),
            }
        }
    }

    /// Whether nothing is to be committed.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// What is to be committed.
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

    /// All that was read has been committed.
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

    /// An engine with one message of the ledger, of which so many recipients have an outcome.
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

    /// The recipients of the message of which the ledger is told.
    fn told(news: &OutcomeReader<'_>) -> Vec<u32> {
        let mut told = Vec::new();
        for entry in news.entries() {
            if let Entry::Outcomes { id: ID, outcomes } = entry {
                told.extend(outcomes.iter().map(|outcome| outcome.recipient));
            }
        }
        told.sort_unstable();
        told.dedup();
        told
    }

    #[test]
    fn what_found_no_room_is_made_good_from_what_is_in_memory() {
        let engine = engine(3, 2);
        let mut writer = OutcomeWriter::new(&engine);
        let mut reader = OutcomeReader::new(&engine);
        while writer.write(LedgerNews::Finished(1)) {}
        writer.outcome(ID, 0, Outcome::Delivered(200));
        writer.outcome(ID, 1, Outcome::Delivered(200));
        writer.finished(5);
        reader.read();
        assert!(told(&reader).is_empty());
        // As long as nothing is committed, nothing more fits.
        writer.flush();
        reader.read();
        assert_eq!((told(&reader), reader.entries().len()), (vec![], 1));
        reader.is_committed();
        writer.flush();
        reader.read();
        assert_eq!(told(&reader), [0, 1]);
        let finished = |entry: &Entry<'_>| matches!(entry, Entry::Finished { id: 5 });
        assert!(reader.entries().iter().any(finished));
    }

    #[test]
    fn more_outcomes_than_there_is_room_for_go_piece_by_piece() {
        const ENDED: u32 = 70_000;
        let engine = engine(ENDED + 1, ENDED);
        let mut writer = OutcomeWriter::new(&engine);
        let mut reader = OutcomeReader::new(&engine);
        (0..ENDED).for_each(|number| writer.outcome(ID, number, Outcome::Delivered(200)));
        let mut all = Vec::new();
        for _ in 0..5 {
            reader.read();
            all.extend(told(&reader));
            reader.is_committed();
            writer.flush();
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len() as u32, ENDED);
        assert!(reader.is_empty() && writer.incomplete.is_empty());
    }

    #[test]
    fn what_was_not_committed_is_read_again_by_who_comes_after() {
        let engine = engine(2, 1);
        let mut writer = OutcomeWriter::new(&engine);
        writer.outcome(ID, 0, Outcome::Delivered(200));
        OutcomeReader::new(&engine).read();
        let mut after = OutcomeReader::new(&engine);
        after.read();
        assert_eq!(told(&after), [0]);
        writer.finished(ID);
        after.read();
        assert!(matches!(after.entries()[..], [Entry::Finished { id: ID }]));
    }
}
