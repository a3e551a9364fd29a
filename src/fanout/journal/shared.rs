//! What all processes of a proxy know of its journal, in words that they share.
//!
//! Everything that decides whether a record is on disk is said by two words: how far all is synced,
//! and for a segment that was given up, how far that one was.

use super::record::Mark;
use crate::fanout::shared_memory::SharedMemory;
use rustix::thread::futex;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// A place behind a record: the segment and the byte. Later places are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(u64);

impl Position {
    /// None in a file of 4 GiB and more, which does not come about.
    pub(super) fn new(number: u32, byte: u64) -> Option<Self> {
        let byte = u32::try_from(byte).ok()?;
        Some(Self(u64::from(number) << 32 | u64::from(byte)))
    }

    /// The segment.
    pub fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The bytes of the segment before it.
    pub fn byte(self) -> u64 {
        u64::from(self.0 as u32)
    }
}

/// Segments that were given up and are still remembered, each at its number modulo this.
const GIVEN_UP: usize = 64;
/// Rounds whose ends are remembered, for the longest wait.
const ROUNDS: usize = 1024;

/// The word of each thing.
mod word {
    pub const CURRENT: usize = 0;
    pub const SYNCED: usize = 1;
    pub const SPARE: usize = 2;
    pub const TURN: usize = 3;
    pub const ERROR: usize = 4;
    pub const FAILED: usize = 5;
    pub const COMPLAINED: usize = 6;
    pub const ROUNDS: usize = 7;
    pub const SYNCS: usize = 8;
    pub const COMMITS: usize = 9;
    pub const LONGEST_WAIT: usize = 10;
    pub const BYTES: usize = 11;
    pub const UNFINISHED: usize = 12;
    pub const STORED: usize = 13;
    pub const GIVEN_UP: usize = 16;
    pub const ENDS: usize = GIVEN_UP + super::GIVEN_UP;
    pub const ALL: usize = ENDS + super::ROUNDS;
}

/// How long after a failure no new segment is tried.
const RETRY: Duration = Duration::from_millis(100);

/// How often trouble is logged.
const COMPLAINT: Duration = Duration::from_secs(10);

/// The words. A process that is forked before the journal is opened can read its figures in them.
#[derive(Clone, Debug)]
pub struct Memory(Arc<SharedMemory>);

impl Memory {
    /// To be made before any process that looks at the journal is forked.
    pub fn new() -> io::Result<Self> {
        SharedMemory::new(word::ALL).map(|memory| Self(Arc::new(memory)))
    }

    fn word(&self, word: usize) -> &AtomicU64 {
        &self.0.words()[word]
    }

    /// What all processes together have done.
    pub fn figures(&self) -> Figures {
        Figures {
            stored: self.word(word::STORED).load(SeqCst),
            commits: self.word(word::COMMITS).load(SeqCst),
            syncs: self.word(word::SYNCS).load(SeqCst),
            longest_wait: self.word(word::LONGEST_WAIT).load(SeqCst),
            synced: Position(self.word(word::SYNCED).load(SeqCst)),
            bytes: self.word(word::BYTES).load(SeqCst),
            unfinished: self.word(word::UNFINISHED).load(SeqCst),
        }
    }
}

/// What all processes of a proxy know of its journal.
#[derive(Debug)]
pub(super) struct Shared {
    pub directory: PathBuf,
    pub run: u64,
    /// The first segment of this run.
    pub first: u32,
    pub memory: Memory,
    start: Instant,
}

impl Shared {
    /// To be made before the fork. All up to `synced` is on disk.
    pub fn new(memory: Memory, directory: PathBuf, first: Mark, synced: Position) -> Self {
        let shared = Self {
            directory,
            run: first.run,
            first: first.number,
            memory,
            start: Instant::now(),
        };
        shared
            .word(word::CURRENT)
            .store(synced.segment().into(), SeqCst);
        shared.word(word::SYNCED).store(synced.0, SeqCst);
        shared
    }

    fn word(&self, word: usize) -> &AtomicU64 {
        self.memory.word(word)
    }

    pub fn mark(&self, number: u32) -> Mark {
        Mark {
            number,
            run: self.run,
        }
    }

    /// The segment to append to.
    pub fn current(&self) -> u32 {
        self.word(word::CURRENT).load(SeqCst) as u32
    }

    /// From now on records go to this segment. For the leader only.
    pub fn set_current(&self, number: u32) {
        self.word(word::CURRENT).store(number.into(), SeqCst);
    }

    /// How far all records are on disk, but for segments that were given up.
    pub fn synced(&self) -> Position {
        Position(self.word(word::SYNCED).load(SeqCst))
    }

    pub fn set_synced(&self, position: Position) {
        self.word(word::SYNCED).fetch_max(position.0, SeqCst);
    }

    /// The segment that has been made in advance.
    pub fn spare(&self) -> u32 {
        self.word(word::SPARE).load(SeqCst) as u32
    }

    pub fn set_spare(&self, number: u32) {
        self.word(word::SPARE).fetch_max(number.into(), SeqCst);
    }

    fn given_up(&self, number: u32) -> &AtomicU64 {
        self.word(word::GIVEN_UP + number as usize % GIVEN_UP)
    }

    /// A sync of this segment has failed: what is not synced of it never will be.
    pub fn give_up(&self, number: u32, error: &io::Error) {
        let synced = self.synced();
        let kept = if synced.segment() == number {
            synced
        } else {
            Position(u64::from(number) << 32)
        };
        let error = error.raw_os_error().unwrap_or_default();
        self.word(word::ERROR).store(error as u64, SeqCst);
        self.given_up(number).store(kept.0, SeqCst);
    }

    pub fn is_given_up(&self, number: u32) -> bool {
        let kept = Position(self.given_up(number).load(SeqCst));
        kept.0 != 0 && kept.segment() == number
    }

    /// Whether all up to a position is on disk, or that it never will be; none while it may be.
    pub fn verdict(&self, position: Position) -> Option<bool> {
        // In this order: a segment is given up before later ones are synced.
        let synced = self.synced();
        let kept = Position(self.given_up(position.segment()).load(SeqCst));
        if kept.0 != 0 && kept.segment() >= position.segment() {
            return Some(position <= kept && kept.segment() == position.segment());
        }
        (position <= synced).then_some(true)
    }

    /// What the system said to the last sync that failed.
    pub fn error(&self) -> io::Error {
        io::Error::from_raw_os_error(self.word(word::ERROR).load(SeqCst) as i32)
    }

    /// Whether a new segment may be tried: not right after one could not be made.
    pub fn may_advance(&self) -> bool {
        let last = self.word(word::FAILED).load(SeqCst);
        last == 0 || self.now() >= last.saturating_add(RETRY.as_millis() as u64)
    }

    /// Notes that a new segment could not be made.
    pub fn note_failure(&self) {
        self.word(word::FAILED).store(self.now(), SeqCst);
    }

    /// Whether trouble is to be logged this time.
    pub fn may_complain(&self) -> bool {
        let word = self.word(word::COMPLAINED);
        let (last, now) = (word.load(SeqCst), self.now());
        let is_due = last == 0 || now >= last.saturating_add(COMPLAINT.as_millis() as u64);
        is_due && word.compare_exchange(last, now, SeqCst, SeqCst).is_ok()
    }

    /// Milliseconds, never 0, on the monotonic clock that all processes have in common.
    fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64 + 1
    }

    /// Which turn of the leadership it is, for [`Self::wait`]: to be read before looking at anything else.
    pub fn turn(&self) -> u32 {
        self.memory.0.half_word(word::TURN).load(SeqCst)
    }

    /// Sleeps until the turn is over, but no longer than that.
    pub fn wait(&self, turn: u32, most: Duration) {
        let most = futex::Timespec {
            tv_sec: most.as_secs() as i64,
            tv_nsec: most.subsec_nanos().into(),
        };
        // Whatever ends it, the caller looks again.
        let _ = futex::wait(
            self.memory.0.half_word(word::TURN),
            futex::Flags::empty(),
            turn,
            Some(&most),
        );
    }

    /// Ends the turn and wakes all that wait for that.
    pub fn end_turn(&self) {
        let turn = self.memory.0.half_word(word::TURN);
        turn.fetch_add(1, SeqCst);
        let _ = futex::wake(turn, futex::Flags::empty(), i32::MAX as u32);
    }

    /// Notes that a file has been synced.
    pub fn count_sync(&self) {
        self.word(word::SYNCS).fetch_add(1, SeqCst);
    }

    /// Notes that an accepted message is on disk.
    pub fn count_stored(&self) {
        self.word(word::STORED).fetch_add(1, SeqCst);
    }

    /// How many rounds of syncing have ended.
    pub fn rounds(&self) -> u64 {
        self.word(word::ROUNDS).load(SeqCst)
    }

    /// Notes the end of a round. For the leader only.
    pub fn end_round(&self) {
        let round = self.rounds() + 1;
        let end = self.word(word::ENDS + round as usize % ROUNDS);
        end.store(self.synced().0, SeqCst);
        self.word(word::ROUNDS).store(round, SeqCst);
    }

    /// Notes that a record is on disk whose commit began when `before` rounds had ended.
    pub fn count_commit(&self, position: Position, before: u64) {
        self.word(word::COMMITS).fetch_add(1, SeqCst);
        let ended = self.rounds();
        // The oldest may be overwritten while it is read; a wait that long is nobody's sync.
        let oldest = (before + 1).max((ended + 2).saturating_sub(ROUNDS as u64));
        let end = |round: u64| self.word(word::ENDS + round as usize % ROUNDS).load(SeqCst);
        let waited = (oldest..=ended)
            .find(|&round| end(round) >= position.0)
            .map_or(0, |round| round - before);
        self.word(word::LONGEST_WAIT).fetch_max(waited, SeqCst);
    }

    /// Notes how large the journal is. For the maintainer only.
    pub fn note_size(&self, bytes: u64, unfinished: u64) {
        self.word(word::BYTES).store(bytes, SeqCst);
        self.word(word::UNFINISHED).store(unfinished, SeqCst);
    }
}

/// What a journal has done since the proxy started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Accepted messages that were brought to the disk.
    pub stored: u64,
    /// Records of which somebody waited until they were on disk.
    pub commits: u64,
    /// Syncs of a segment.
    pub syncs: u64,
    /// The most syncs that one of them waited for.
    pub longest_wait: u64,
    /// How far all is on disk.
    pub synced: Position,
    /// Bytes of all segments, as of the last call of the maintainer.
    pub bytes: u64,
    /// Messages that were not finished then.
    pub unfinished: u64,
}
