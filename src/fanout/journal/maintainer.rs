//! What keeps a journal small: one process reads what all append, and deletes what is done with.
//!
//! A segment goes when every message accepted in it is finished and no retransmission of one is to
//! be expected any more (64·T1 after its last record). Segments go oldest first, so that the end of
//! a message is never deleted before its beginning. A few messages that live long would keep all
//! behind them from going; then those of the oldest segment are copied to the end.

use super::entry::{Entry, Outcome};
use super::error::JournalError;
use super::record::{Found, HEAD, Records};
use super::segment::{self, SEGMENT_BYTES};
use super::shared::Shared;
use super::writer::Writer;
use crate::control::recent::MEMORY;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Instant;

/// Old segments may have twice the bytes that are alive, and as much as this besides.
const SLACK: u64 = 4 * SEGMENT_BYTES;

/// How many segments are emptied by copying in one go, so that it ends.
const COPIES: usize = 4;

/// The process that calls this is the only one.
#[derive(Debug)]
pub struct Maintainer {
    shared: Arc<Shared>,
    writer: Writer,
    segments: BTreeMap<u32, Segment>,
    /// One past the last segment that has been opened.
    next: u32,
    live: HashMap<u64, Live>,
    live_bytes: u64,
}

#[derive(Debug)]
struct Segment {
    file: File,
    /// Up to where it has been read.
    read: u64,
    /// When it was seen that it is not appended to any more, after which it was read to its end.
    closed: Option<Instant>,
    /// How many messages that are not finished have their beginning here.
    live: usize,
    is_damaged: bool,
}

/// A message that is not finished.
#[derive(Debug)]
struct Live {
    segment: u32,
    /// Where its record starts.
    at: u64,
    /// The bytes of its record without the head.
    length: usize,
    outcomes: BTreeMap<u32, Outcome>,
    copy: Copying,
}

/// Whether a message is being copied to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copying {
    No,
    Under,
    /// It is finished, and that may stand before the copy.
    Finished,
}

impl Live {
    fn bytes(&self) -> u64 {
        let outcomes = self.outcomes.len() * size_of::<Outcome>();
        (HEAD + self.length + outcomes) as u64
    }
}

impl Maintainer {
    pub(super) fn new(shared: Arc<Shared>) -> Result<Self, JournalError> {
        Ok(Self {
            writer: Writer::new(shared.clone())?,
            next: shared.first,
            shared,
            segments: BTreeMap::new(),
            live: HashMap::new(),
            live_bytes: 0,
        })
    }

    /// To be called about once a second: brings outcomes to the disk, deletes what is done with, and
    /// has the next segment ready before it is needed.
    pub fn maintain(&mut self, now: Instant) -> Result<(), JournalError> {
        let synced = self.writer.sync();
        self.catch_up(now)?;
        self.delete_finished(now)?;
        for _ in 0..COPIES {
            let Some(oldest) = self.oldest_old(now).filter(|_| self.is_large(now)) else {
                break;
            };
            self.copy_forward(oldest, now)?;
            self.delete_finished(now)?;
        }
        self.make_spare()?;
        let bytes = self.segments.values().map(|segment| segment.read).sum();
        self.shared.note_size(bytes, self.live.len() as u64);
        synced
    }

    /// How many messages are not finished.
    pub fn unfinished(&self) -> usize {
        self.live.len()
    }

    /// Reads what has been appended.
    fn catch_up(&mut self, now: Instant) -> Result<(), JournalError> {
        // Before reading: all of the segments before this one has been written, but for records that
        // their writers will see to be too late and write again. No later one is read this time: the
        // end of a message must not be read before its beginning.
        let current = self.shared.current();
        while self.next <= current {
            let mark = self.shared.mark(self.next);
            let path = self.shared.directory.join(segment::name(mark));
            let file = segment::open(&self.shared.directory, mark);
            let segment = Segment {
                file: file.map_err(JournalError::io("open", &path))?,
                read: segment::HEAD as u64,
                closed: None,
                live: 0,
                is_damaged: false,
            };
            self.segments.insert(self.next, segment);
            self.next += 1;
        }
        let open = self.segments.iter().filter(|(_, one)| one.closed.is_none());
        let open: Vec<u32> = open.map(|(&number, _)| number).collect();
        for number in open {
            self.read_segment(number)?;
            if let Some(segment) = self.segments.get_mut(&number).filter(|_| number < current) {
                segment.closed = Some(now);
            }
        }
        Ok(())
    }

    fn read_segment(&mut self, number: u32) -> Result<(), JournalError> {
        let mark = self.shared.mark(number);
        let Some(segment) = self.segments.get_mut(&number) else {
            return Ok(());
        };
        let start = segment.read;
        let path = self.shared.directory.join(segment::name(mark));
        let bytes = read_from(&segment.file, start).map_err(JournalError::io("read", &path))?;
        let mut is_damaged = false;
        for found in Records::new(&bytes, 0, mark) {
            match found {
                Found::Record { at, kind, payload } => {
                    let end = start + (at + HEAD + payload.len()) as u64;
                    if let Some(entry) = Entry::decode(kind, payload) {
                        self.note(number, end, payload.len(), &entry);
                    }
                    self.read_to(number, end);
                }
                // A write that was cut short. One under way has no record behind it.
                Found::Damage { from, to } => {
                    is_damaged = true;
                    log::warn!(
                        "journal: {} has {} bytes from byte {} on that are no record",
                        path.display(),
                        to - from,
                        start + from as u64
                    );
                }
                Found::Tail { .. } => {}
            }
        }
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.is_damaged |= is_damaged;
        }
        Ok(())
    }

    fn read_to(&mut self, number: u32, end: u64) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.read = end;
        }
    }

    fn note(&mut self, number: u32, end: u64, length: usize, entry: &Entry<'_>) {
        match entry {
            Entry::Accepted(accepted) => {
                let known = self.forget(accepted.id);
                let live = Live {
                    segment: number,
                    at: end - (HEAD + length) as u64,
                    length,
                    outcomes: BTreeMap::new(),
                    copy: Copying::No,
                };
                let live = match known {
                    Some(known) => Live {
                        outcomes: known.outcomes,
                        copy: known.copy,
                        ..live
                    },
                    None => live,
                };
                self.remember(accepted.id, live);
            }
            Entry::Outcomes { id, outcomes } => {
                if let Some(mut live) = self.forget(*id) {
                    let outcomes = outcomes.iter().map(|&one| (one.recipient, one));
                    live.outcomes.extend(outcomes);
                    self.remember(*id, live);
                }
            }
            Entry::Finished { id } | Entry::Withdrawn { id } => {
                if let Some(live) = self.forget(*id)
                    && live.copy != Copying::No
                {
                    let copy = Copying::Finished;
                    self.remember(*id, Live { copy, ..live });
                }
            }
            // Their segment stays as long as they are needed.
            Entry::Recent { .. } => {}
        }
    }

    fn remember(&mut self, id: u64, live: Live) {
        self.live_bytes += live.bytes();
        if let Some(segment) = self.segments.get_mut(&live.segment) {
            segment.live += 1;
        }
        self.live.insert(id, live);
    }

    fn forget(&mut self, id: u64) -> Option<Live> {
        let live = self.live.remove(&id)?;
        self.live_bytes -= live.bytes();
        if let Some(segment) = self.segments.get_mut(&live.segment) {
            segment.live -= 1;
        }
        Some(live)
    }

    /// Makes the next segment in advance, so that nobody's sync waits for that.
    fn make_spare(&mut self) -> Result<(), JournalError> {
        let current = self.shared.current();
        let read = self.segments.get(&current).map_or(0, |one| one.read);
        if read > SEGMENT_BYTES / 4 && self.shared.spare() <= current {
            segment::make(&self.shared.directory, self.shared.mark(current + 1))?;
            self.shared.set_spare(current + 1);
        }
        Ok(())
    }

    /// The oldest segment, if no retransmission of a message in it is to be expected any more.
    fn oldest_old(&self, now: Instant) -> Option<u32> {
        let (&number, segment) = self.segments.first_key_value()?;
        let closed = segment.closed?;
        (now.saturating_duration_since(closed) > MEMORY).then_some(number)
    }

    /// Deletes segments from the oldest on, as far as they are done with.
    fn delete_finished(&mut self, now: Instant) -> Result<(), JournalError> {
        while let Some(number) = self.oldest_old(now) {
            let (mark, directory) = (self.shared.mark(number), &self.shared.directory);
            let is_damaged = match self.segments.get(&number) {
                Some(segment) if segment.live == 0 => segment.is_damaged,
                _ => return Ok(()),
            };
            if is_damaged {
                segment::set_aside(directory, mark)?;
            } else {
                segment::remove(directory, mark)?;
            }
            segment::sync_directory(directory)?;
            self.segments.remove(&number);
        }
        Ok(())
    }

    /// Whether the old segments have more bytes than they may.
    fn is_large(&self, now: Instant) -> bool {
        let old = self.segments.values().filter(|segment| {
            let closed = segment.closed;
            closed.is_some_and(|closed| now.saturating_duration_since(closed) > MEMORY)
        });
        old.map(|segment| segment.read).sum::<u64>() > 2 * self.live_bytes + SLACK
    }

    /// Writes the messages of a segment that are not finished once more, at the end.
    fn copy_forward(&mut self, number: u32, now: Instant) -> Result<(), JournalError> {
        let here = self.live.iter().filter(|(_, live)| live.segment == number);
        let ids: Vec<u64> = here.map(|(&id, _)| id).collect();
        let copied = self.copy_messages(&ids, number);
        // On the disk before the segment goes, and read: its end may have been written meanwhile.
        let copied = copied.and_then(|()| self.writer.sync());
        let caught_up = copied.and_then(|()| self.catch_up(now));
        for id in ids {
            match self.live.get_mut(&id) {
                Some(live) if live.copy == Copying::Finished => {
                    self.forget(id);
                    self.writer.finished(id)?;
                }
                Some(live) => live.copy = Copying::No,
                None => {}
            }
        }
        caught_up
    }

    fn copy_messages(&mut self, ids: &[u64], number: u32) -> Result<(), JournalError> {
        let mark = self.shared.mark(number);
        let path = self.shared.directory.join(segment::name(mark));
        for id in ids {
            let (Some(live), Some(segment)) = (self.live.get_mut(id), self.segments.get(&number))
            else {
                continue;
            };
            live.copy = Copying::Under;
            let mut bytes = vec![0; HEAD + live.length];
            let read = segment.file.read_exact_at(&mut bytes, live.at);
            read.map_err(JournalError::io("read", &path))?;
            let record = mark.record(&bytes);
            let entry = record.and_then(|(kind, payload)| Entry::decode(kind, payload));
            // Damaged since it was read; the segment stays until the message is finished.
            let entry = entry.ok_or_else(|| io::ErrorKind::InvalidData.into());
            let entry = entry.map_err(JournalError::io("copy a message from", &path))?;
            self.writer.write(&entry)?;
            let outcomes: Vec<_> = live.outcomes.values().copied().collect();
            if !outcomes.is_empty() {
                self.writer.outcomes(*id, &outcomes)?;
            }
        }
        Ok(())
    }
}

fn read_from(file: &File, start: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len().saturating_sub(start);
    let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::{Accepted, Journal, Unfinished};
    use super::*;
    use crate::control::recent::RequestKey;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    const KEY: RequestKey<'_> = RequestKey {
        from_tag: b"t",
        call_id: b"c",
        cseq: 1,
        via: b"v",
    };

    fn message(id: u64, block: &[u8]) -> Accepted<'_> {
        Accepted {
            id,
            time: 1,
            expiry: 0,
            key: KEY,
            block,
        }
    }

    struct Scene {
        directory: tempfile::TempDir,
        journal: Journal,
        writer: Writer,
        maintainer: Maintainer,
        start: Instant,
        block: Vec<u8>,
    }

    impl Scene {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let (journal, _) = Journal::open(directory.path(), SystemTime::now()).unwrap();
            Self {
                writer: journal.writer().unwrap(),
                maintainer: journal.maintainer().unwrap(),
                directory,
                journal,
                start: Instant::now(),
                block: vec![0; 1 << 20],
            }
        }

        /// A message that is finished at once, one MiB large.
        fn pass(&mut self, id: u64) {
            self.writer.accept(&message(id, &self.block)).unwrap();
            self.writer.finished(id).unwrap();
        }

        fn maintain(&mut self, seconds: u64) {
            let now = self.start + Duration::from_secs(seconds);
            self.maintainer.maintain(now).unwrap();
        }

        fn used(&self) -> u64 {
            let files = std::fs::read_dir(self.directory.path()).unwrap();
            files
                .map(|file| file.unwrap().metadata().unwrap().len())
                .sum()
        }

        /// The messages that a restart finds.
        fn restart(self) -> Vec<Unfinished> {
            drop((self.journal, self.writer, self.maintainer));
            let directory: &Path = self.directory.path();
            let (_, recovered) = Journal::open(directory, SystemTime::now()).unwrap();
            assert_eq!(recovered.notes, [""; 0]);
            recovered.messages
        }
    }

    #[test]
    fn a_segment_goes_64_t1_after_its_last_message_and_not_before() {
        let mut scene = Scene::new();
        (0..40).for_each(|id| scene.pass(id));
        scene.maintain(0);
        assert!(scene.used() > 40 << 20);
        scene.maintain(31);
        assert!(scene.used() > 40 << 20);
        scene.maintain(33);
        assert!(scene.used() < SEGMENT_BYTES, "{}", scene.used());
        assert_eq!(scene.maintainer.unfinished(), 0);
        assert_eq!(scene.restart(), []);
    }

    #[test]
    fn a_segment_with_an_unfinished_message_stays() {
        let mut scene = Scene::new();
        scene.writer.accept(&message(1000, b"long")).unwrap();
        (0..20).for_each(|id| scene.pass(id));
        scene.maintain(0);
        scene.maintain(100);
        assert!(scene.used() > 20 << 20);
        scene.writer.finished(1000).unwrap();
        scene.maintain(101);
        assert!(scene.used() < SEGMENT_BYTES, "{}", scene.used());
    }

    #[test]
    fn one_message_that_lives_long_does_not_keep_the_rest_on_the_disk() {
        let mut scene = Scene::new();
        scene.writer.accept(&message(1000, b"long")).unwrap();
        let outcome = Outcome {
            recipient: 4,
            outcome: 1,
            code: 200,
        };
        scene.writer.outcomes(1000, &[outcome]).unwrap();
        let mut most = 0;
        for step in 0..30 {
            (0..17).for_each(|id| scene.pass(id));
            scene.maintain(step * 40);
            scene.maintain(step * 40 + 39);
            most = most.max(scene.used());
        }
        // 17 MiB in the time, the slack, the current segment.
        assert!(most < (17 << 20) + SLACK + 2 * SEGMENT_BYTES, "{most}");
        assert_eq!(scene.maintainer.unfinished(), 1);
        let live = &scene.maintainer.live[&1000];
        assert!(live.segment > 1, "it was never copied");
        assert_eq!(live.outcomes[&4], outcome);
        let [message] = &scene.restart()[..] else {
            panic!("it is not there, or not alone");
        };
        assert_eq!((message.id, &message.outcomes[..]), (1000, &[outcome][..]));
    }

    #[test]
    fn a_message_that_is_finished_while_it_is_copied_stays_finished() {
        let mut scene = Scene::new();
        scene.writer.accept(&message(1000, b"long")).unwrap();
        (0..17).for_each(|id| scene.pass(id));
        let now = scene.start;
        scene.maintainer.catch_up(now).unwrap();
        let first = scene.journal.shared.first;
        assert_eq!(scene.maintainer.live[&1000].segment, first);
        // The maintainer has not read this when it copies, and the copy is in another segment.
        scene.writer.finished(1000).unwrap();
        (0..17).for_each(|id| scene.pass(id));
        scene.maintainer.copy_forward(first, now).unwrap();
        assert_eq!(scene.maintainer.unfinished(), 0);
        // That end goes, and the copy stays.
        scene.maintain(0);
        scene.maintain(40);
        let numbers: Vec<u32> = scene.maintainer.segments.keys().copied().collect();
        assert_eq!(numbers, [first + 2]);
        assert_eq!(scene.restart(), []);
    }

    #[test]
    fn the_next_segment_is_there_before_it_is_needed() {
        let mut scene = Scene::new();
        let current = scene.journal.shared.current();
        (0..5).for_each(|id| scene.pass(id));
        scene.maintain(0);
        let spare = scene.journal.shared.mark(current + 1);
        assert!(scene.directory.path().join(segment::name(spare)).exists());
        (0..13).for_each(|id| scene.pass(id));
        assert_eq!(scene.journal.shared.current(), current + 1);
    }
}
