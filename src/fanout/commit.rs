//! How a worker hands an accepted message over to the one process that writes the ledger, and waits until it is
//! committed, for a bounded time: a slot in shared memory for each worker that waits.
//!
//! ```text
//!             worker             ledger process             worker
//!   FREE ────────────► CLAIMED ─► WAITING ─────────► TAKEN ─────────► DONE ──► FREE, and 202
//!    ▲                    │          │                 │ │
//!    │                    │          │ late: 503       │ └──────────► FAILED
//!    ├───────── FREE ◄────┼──────────┘                 │ late: 503      │ 503
//!    │                    │ not answered after all     ▼                ▼
//!    └── withdrawn ◄──────┴─────────────────────────► GIVEN_UP ◄────────┘
//!         ledger process                            ledger process owns the message
//! ```
//!
//! CLAIMED, DONE and FAILED belong to the worker, TAKEN to both, GIVEN_UP to the ledger process: that writes to the
//! ledger that the message is withdrawn, gives its memory back and frees the slot. Until then the message's number
//! stands in a place outside of this memory too ([`Notes`]), which the worker writes before it gives the message
//! up: the commit may have reached the disk although nobody was told so, and a crash may come before the
//! withdrawal. The worker answers after that, so a message whose wait was given up is never sent.
//!
//! After a wait that was too long, and after a commit that failed, the word DOWN lets all workers refuse at once,
//! until a commit has succeeded. A process that has died leaves its slot to the ledger process, unless it died
//! within the instructions between FREE and CLAIMED: such a slot is lost, one of [`SLOTS`]. If the ledger process
//! dies, everybody is refused; the proxies end as a whole then.

#![deny(unsafe_code)]

use super::block::{Block, Unpublished};
use super::engine::{Engine, Ticket};
use super::pipe::Pipe;
use super::process::Process;
use super::shared_memory::{Mapped, shared};
use super::submission::{Own, Submission};
use super::waker::Waker;
use rustix::thread::futex::{self, Flags, Timespec};
use std::fmt;
use std::io;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

/// How many workers can wait at once.
pub const SLOTS: usize = 1024;

shared! {
    /// What workers and the ledger process share. Only the slots have owners; the rest is written without any lock.
    struct Desk {
        /// Whether messages are refused at once.
        down: AtomicU64,
        /// Whether the ledger process has been woken, and has not looked yet.
        awake: AtomicU64,
        /// How many slots have ever been used.
        used: AtomicU64,
        _rest_of_the_first_line: [AtomicU64; 5],
        // The figures of `Committed`, written by the ledger process alone.
        stored: AtomicU64,
        commits: AtomicU64,
        bytes: AtomicU64,
        unfinished: AtomicU64,
        _rest_of_the_second_line: [AtomicU64; 4],
        slots: [SlotWords; SLOTS],
    }

    /// A slot, which fills a line of the processor's cache. Only the state is written by who does not own it.
    #[derive(Debug)]
    struct SlotWords {
        /// One of `state`; the worker waits on it.
        state: AtomicU32,
        _unused: AtomicU32,
        /// The process that has claimed it.
        process: AtomicU64,
        /// Where the message stands, while nobody has it in hand; 0 otherwise.
        block: AtomicU64,
        /// The keys of the message's budgets.
        keys: [AtomicU64; 2],
        /// The ledger's number of the message.
        id: AtomicU64,
        _rest_of_the_line: [AtomicU64; 2],
    }
}

const _: () = assert!(size_of::<SlotWords>() == 64);

/// The states of a slot.
mod state {
    pub const FREE: u32 = 0;
    pub const CLAIMED: u32 = 1;
    pub const WAITING: u32 = 2;
    pub const TAKEN: u32 = 3;
    pub const DONE: u32 = 4;
    pub const FAILED: u32 = 5;
    pub const GIVEN_UP: u32 = 6;
}

/// Places outside of this memory, one for each slot, that outlive the proxy but not the machine.
pub trait Notes {
    /// Notes that the message with this number is to be withdrawn, or with 0 that none is. It must not wait for
    /// anything, nor for a disk.
    fn note(&self, place: usize, id: u64);
}

/// Why a message was not committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCommitted {
    /// Not within this time.
    Late(Duration),
    /// The commit has failed; the ledger process has logged why.
    Failed,
    /// A commit before has failed or was late, and none has succeeded since.
    Down,
    /// More processes wait than there are slots.
    NoSlot,
}

impl fmt::Display for NotCommitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(patience) => write!(
                f,
                "the process `cimf ledger` has not committed it within {} ms (ledger_timeout): the disk is slow, \
                 or the process is stopped",
                patience.as_millis()
            ),
            Self::Failed => f.write_str(
                "the ledger could not be written; the process `cimf ledger` has logged why",
            ),
            Self::Down => f.write_str(
                "the ledger cannot be written at present; the line before that said so tells why",
            ),
            Self::NoSlot => write!(f, "{SLOTS} processes wait for the ledger already"),
        }
    }
}

/// What the ledger process has done, for statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Accepted messages that were committed.
    pub stored: u64,
    /// Commits.
    pub commits: u64,
    /// Bytes of the ledger's files.
    pub bytes: u64,
    /// Messages in the ledger that are not finished.
    pub unfinished: u64,
}

/// The slots, made before the workers are forked.
#[derive(Debug)]
pub(super) struct Commits {
    desk: Mapped<Desk>,
    waker: Waker,
    pipe: Pipe,
}

impl Commits {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            desk: Mapped::new()?,
            waker: Waker::new()?,
            pipe: Pipe::new()?,
        })
    }

    fn is_down(&self) -> bool {
        self.desk.down.load(Acquire) != 0
    }

    fn wake(&self) {
        if self.desk.awake.swap(1, SeqCst) == 0 {
            self.waker.wake();
        }
    }

    fn slot(&self, index: usize) -> Slot<'_> {
        Slot {
            words: &self.desk.slots[index],
            index,
        }
    }

    /// A slot of this process's own.
    fn claim(&self) -> Option<Slot<'_>> {
        let own = u64::from(Process::this().to_bits());
        let mut slots = (0..SLOTS).map(|index| self.slot(index));
        let slot = slots.find(|slot| slot.change(state::FREE, state::CLAIMED))?;
        debug_assert_eq!(slot.words.process.load(Relaxed), 0);
        slot.words.process.store(own, Release);
        self.desk.used.fetch_max(slot.index as u64 + 1, SeqCst);
        Some(slot)
    }
}

/// One slot.
#[derive(Clone, Copy, Debug)]
struct Slot<'a> {
    words: &'a SlotWords,
    index: usize,
}

impl Slot<'_> {
    fn state(&self) -> &AtomicU32 {
        &self.words.state
    }

    fn change(self, from: u32, to: u32) -> bool {
        let state = self.state();
        state.load(Relaxed) == from && state.compare_exchange(from, to, AcqRel, Relaxed).is_ok()
    }

    /// The ledger's number of its message.
    fn id(self) -> u64 {
        self.words.id.load(Relaxed)
    }

    /// Hands a message over to who has the slot next.
    fn fill(self, (room, keys): (Unpublished, [u64; 2]), id: u64) {
        debug_assert_eq!(self.state().load(Relaxed), state::CLAIMED);
        room.hand_over(self.block());
        for (word, key) in self.words.keys.iter().zip(keys) {
            word.store(key, Release);
        }
        self.words.id.store(id, Release);
    }

    fn block(&self) -> &AtomicU64 {
        &self.words.block
    }

    /// Takes over the message that was handed over.
    fn message(self) -> Option<(Unpublished, [u64; 2])> {
        let keys = self.words.keys.each_ref().map(|key| key.load(Relaxed));
        Some((Unpublished::handed_over(self.block())?, keys))
    }

    fn free(self) {
        debug_assert!(!matches!(
            self.state().load(Relaxed),
            state::FREE | state::WAITING | state::TAKEN
        ));
        self.words
            .process
            .store(u64::from(Process::NONE.to_bits()), Release);
        self.state().store(state::FREE, Release);
    }

    /// Waits until the state is another one than this, or for as long as `most`.
    fn wait(self, state: u32, most: Duration) {
        let most = Timespec {
            tv_sec: most.as_secs() as i64,
            tv_nsec: most.subsec_nanos().into(),
        };
        // Whatever ends it, the caller looks again.
        let _ = futex::wait(self.state(), Flags::empty(), state, Some(&most));
    }

    fn has_ended(self) -> bool {
        Process::from_bits(self.words.process.load(Relaxed) as u32).has_ended()
    }
}

impl Engine {
    /// Hands a message over to the ledger process, under this number of the ledger, and waits until it is
    /// committed. Without that the ticket is gone, and what it had taken is given back.
    pub fn commit<'e>(
        &'e self,
        ticket: Ticket<'e>,
        id: u64,
        patience: Duration,
        notes: &impl Notes,
    ) -> Result<Ticket<'e>, NotCommitted> {
        if self.commits.is_down() {
            return Err(NotCommitted::Down);
        }
        let slot = self.commits.claim().ok_or(NotCommitted::NoSlot)?;
        let deadline = Instant::now() + patience;
        if let Some(block) = ticket.block() {
            block.set_ledger(id);
        }
        let Some(message) = ticket.leave() else {
            slot.free();
            return Err(NotCommitted::Failed);
        };
        slot.fill(message, id);
        let ticket = || slot.message().map(|(room, keys)| self.ticket(room, keys));
        slot.state().store(state::WAITING, SeqCst);
        self.commits.wake();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let found = slot.state().load(Acquire);
            match found {
                state::DONE => {
                    let ticket = ticket().ok_or(NotCommitted::Failed);
                    slot.free();
                    return ticket;
                }
                state::FAILED => {
                    notes.note(slot.index, id);
                    slot.state().store(state::GIVEN_UP, SeqCst);
                    self.commits.wake();
                    return Err(NotCommitted::Failed);
                }
                _ if !left.is_zero() => slot.wait(found, left),
                state::WAITING if slot.change(state::WAITING, state::CLAIMED) => {
                    drop(ticket());
                    slot.free();
                    self.is_late();
                    return Err(NotCommitted::Late(patience));
                }
                state::TAKEN => {
                    // While the place is this slot's own; it is cleared again if the commit has come meanwhile.
                    notes.note(slot.index, id);
                    if slot.change(state::TAKEN, state::GIVEN_UP) {
                        self.is_late();
                        return Err(NotCommitted::Late(patience));
                    }
                    notes.note(slot.index, 0);
                }
                _ => {}
            }
        }
    }

    fn is_late(&self) {
        self.commits.desk.down.store(1, SeqCst);
        self.commits.wake();
    }

    /// Withdraws a message that was committed and then not answered. If no slot is free it is sent after the next
    /// start; says whether that is so.
    pub fn withdraw_committed(&self, ticket: Ticket<'_>, notes: &impl Notes) -> bool {
        let Some(slot) = self.commits.claim() else {
            return false;
        };
        let id = ticket.block().map_or(0, Block::ledger);
        let Some(message) = ticket.leave() else {
            slot.free();
            return false;
        };
        slot.fill(message, id);
        notes.note(slot.index, id);
        slot.state().store(state::GIVEN_UP, SeqCst);
        self.commits.wake();
        true
    }

    /// What the process that tells outcomes has for the ledger.
    pub fn pipe(&self) -> &Pipe {
        &self.commits.pipe
    }

    /// Makes the ledger process look at the pipe.
    pub fn wake_committer(&self) {
        self.commits.wake();
    }

    /// For the one process that writes the ledger.
    pub fn committer(&self) -> Committer<'_> {
        Committer { engine: self }
    }

    /// What that process has done.
    pub fn committed(&self) -> Committed {
        let desk = &*self.commits.desk;
        Committed {
            stored: desk.stored.load(Relaxed),
            commits: desk.commits.load(Relaxed),
            bytes: desk.bytes.load(Relaxed),
            unfinished: desk.unfinished.load(Relaxed),
        }
    }
}

/// The side of the ledger process.
#[derive(Clone, Copy, Debug)]
pub struct Committer<'e> {
    engine: &'e Engine,
}

impl<'e> Committer<'e> {
    /// Waits until somebody has something to be committed, or for as long as `patience`. To be called before the
    /// slots and the pipe are looked at.
    pub fn wait(&self, patience: Duration) {
        let commits = &self.engine.commits;
        commits.waker.wait(patience);
        commits.desk.awake.store(0, SeqCst);
    }

    fn slots(self) -> impl Iterator<Item = Slot<'e>> {
        let commits = &self.engine.commits;
        let used = commits.desk.used.load(SeqCst) as usize;
        (0..used).map(move |index| commits.slot(index))
    }

    /// Takes all messages that wait.
    pub fn take(self) -> Vec<Taken<'e>> {
        let engine = self.engine;
        let taken = self
            .slots()
            .filter(|slot| slot.change(state::WAITING, state::TAKEN));
        let taken = taken.filter_map(|slot| {
            let (room, _) = slot.message()?;
            let room = Some(room);
            Some(Taken { engine, slot, room })
        });
        taken.collect()
    }

    /// The messages that are to be withdrawn.
    pub fn given_up(self) -> Vec<GivenUp<'e>> {
        let engine = self.engine;
        let given_up = self
            .slots()
            .filter(|slot| slot.state().load(Acquire) == state::GIVEN_UP);
        given_up.map(|slot| GivenUp { engine, slot }).collect()
    }

    /// Takes the slots of workers that have died; to be called now and then, while nothing is taken.
    pub fn take_from_the_dead(self, notes: &impl Notes) {
        for slot in self.slots() {
            let found = slot.state().load(Acquire);
            let is_claimed = found == state::CLAIMED && slot.words.process.load(Relaxed) != 0;
            let is_owned = matches!(found, state::WAITING | state::DONE | state::FAILED);
            if !(is_claimed || is_owned) || !slot.has_ended() {
                continue;
            }
            match found {
                // Nobody has read it. Its message goes where those go that a dead process had prepared.
                state::CLAIMED => slot.free(),
                _ => {
                    notes.note(slot.index, slot.id());
                    slot.change(found, state::GIVEN_UP);
                }
            }
        }
    }

    /// Whether messages are refused at once.
    pub fn is_down(&self) -> bool {
        self.engine.commits.is_down()
    }

    /// Lets messages be refused at once, or no longer.
    pub fn set_down(&self, down: bool) {
        let desk = &*self.engine.commits.desk;
        desk.down.store(u64::from(down), SeqCst);
    }

    /// Counts a commit of that many messages.
    pub fn count(&self, messages: usize) {
        let desk = &*self.engine.commits.desk;
        desk.stored.fetch_add(messages as u64, Relaxed);
        desk.commits.fetch_add(1, Relaxed);
    }

    /// Notes how large the ledger is.
    pub fn note_size(&self, bytes: u64, unfinished: u64) {
        let desk = &*self.engine.commits.desk;
        desk.bytes.store(bytes, Relaxed);
        desk.unfinished.store(unfinished, Relaxed);
    }
}

/// A message that a worker waits for.
#[derive(Debug)]
pub struct Taken<'e> {
    engine: &'e Engine,
    slot: Slot<'e>,
    /// The message, until the slot has it again.
    room: Option<Unpublished>,
}

impl<'e> Taken<'e> {
    fn block(&self) -> Option<Block<'_>> {
        let room = self.room.as_ref()?;
        Some(room.block(&self.engine.memory))
    }

    /// The ledger's number of the message.
    pub fn id(&self) -> u64 {
        self.slot.id()
    }

    /// The message.
    pub fn submission(&self) -> Option<Submission<'_>> {
        Some(self.block()?.submission())
    }

    /// Its recipients, in their order.
    pub fn recipients(&self) -> impl Iterator<Item = Own<'_>> {
        self.block().into_iter().flat_map(Block::recipients)
    }

    /// Whether the worker waits no longer.
    pub fn is_given_up(&self) -> bool {
        self.slot.state().load(Acquire) != state::TAKEN
    }

    fn leave(&mut self) {
        if let Some(room) = self.room.take() {
            room.hand_over(self.slot.block());
        }
    }

    /// Tells the worker whether it is committed, if it still waits.
    pub fn tell(mut self, committed: bool) {
        self.leave();
        let end = match committed {
            true => state::DONE,
            false => state::FAILED,
        };
        if self.slot.change(state::TAKEN, end) {
            let _ = futex::wake(self.slot.state(), Flags::empty(), 1);
        }
    }
}

/// Whoever has the slot next has the message.
impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A message that is to be withdrawn.
#[derive(Debug)]
pub struct GivenUp<'e> {
    engine: &'e Engine,
    slot: Slot<'e>,
}

impl GivenUp<'_> {
    /// The ledger's number of the message.
    pub fn id(&self) -> u64 {
        self.slot.id()
    }

    /// It has been withdrawn for good.
    pub fn end(self, notes: &impl Notes) {
        debug_assert_eq!(self.slot.state().load(Relaxed), state::GIVEN_UP);
        notes.note(self.slot.index, 0);
        if let Some((room, keys)) = self.slot.message() {
            drop(self.engine.ticket(room, keys));
        }
        self.slot.free();
    }
}
