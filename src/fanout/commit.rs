//! How a worker hands an accepted message over to the one process that writes the ledger, and waits until it is
//! committed, for a bounded time; and what that process makes of the messages that wait. Where they meet is a slot
//! in shared memory ([`super::commit_slots`], with the states of a slot).

#![forbid(unsafe_code)]

use super::block::{Block, Unpublished};
use super::commit_slots::{SLOTS, Slot, Slots, state};
use super::locked_queue::LockedQueue;
use super::pipe::Pipe;
use super::submission::Submission;
use super::ticket::Ticket;
use crate::control::Own;
use std::fmt;
use std::io;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use std::time::{Duration, Instant};

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
    /// Another node that shares the ledger has accepted the same request, and sends it.
    Answered,
}

/// What has become of a message that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is committed.
    Committed,
    /// It is not.
    Failed,
    /// Another node that shares the ledger has accepted the same request.
    Answered,
}

impl fmt::Display for NotCommitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(patience) => write!(
                f,
                "the process `cimf ledger` has not committed it within {} ms (ledger_timeout): the disk or PostgreSQL is \
                 slow, or the process is stopped",
                patience.as_millis()
            ),
            Self::Failed => f.write_str(
                "the ledger could not be written; the process `cimf ledger` has logged why",
            ),
            Self::Down => f.write_str(
                "the ledger cannot be written at present; the line before that said so tells why",
            ),
            Self::NoSlot => write!(f, "{SLOTS} processes wait for the ledger already"),
            Self::Answered => f.write_str("another node has accepted the same request"),
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

/// Where workers and the ledger process meet, made before they are forked.
#[derive(Debug)]
pub(super) struct Commits {
    slots: Slots,
    /// What the process that reports outcomes has for the ledger.
    pub(super) pipe: Pipe,
}

impl Commits {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            slots: Slots::new()?,
            pipe: Pipe::new()?,
        })
    }

    /// Hands a message over to the ledger process, and waits until it is committed.
    pub(super) fn commit<'e>(
        &self,
        ticket: Ticket<'e>,
        id: u64,
        patience: Duration,
        notes: &impl Notes,
    ) -> Result<Ticket<'e>, NotCommitted> {
        if self.slots.is_down() {
            return Err(NotCommitted::Down);
        }
        let slot = self.slots.claim().ok_or(NotCommitted::NoSlot)?;
        let deadline = Instant::now() + patience;
        if let Some(block) = ticket.block() {
            block.set_ledger(id);
        }
        let queue = ticket.queue();
        let Some(message) = ticket.leave() else {
            slot.free();
            return Err(NotCommitted::Failed);
        };
        slot.fill(message, id);
        let ticket = || {
            let message = slot.message();
            message.map(|(room, keys)| Ticket::of(queue, room, keys))
        };
        slot.state().store(state::WAITING, SeqCst);
        self.slots.wake();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let found = slot.state().load(Acquire);
            match found {
                state::DONE => {
                    let ticket = ticket().ok_or(NotCommitted::Failed);
                    slot.free();
                    return ticket;
                }
                state::ANSWERED => {
                    drop(ticket());
                    slot.free();
                    return Err(NotCommitted::Answered);
                }
                state::FAILED => {
                    notes.note(slot.index, id);
                    slot.state().store(state::GIVEN_UP, SeqCst);
                    self.slots.wake();
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
        self.slots.set_down(true);
        self.slots.wake();
    }

    /// Withdraws a message that was committed and then not answered; says whether a slot was free for that.
    pub(super) fn withdraw(&self, ticket: Ticket<'_>, notes: &impl Notes) -> bool {
        let Some(slot) = self.slots.claim() else {
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
        self.slots.wake();
        true
    }

    /// Makes the ledger process look at the slots and the pipe.
    pub(super) fn wake(&self) {
        self.slots.wake();
    }

    /// The side of the ledger process.
    pub(super) fn committer<'e>(&'e self, queue: &'e LockedQueue) -> Committer<'e> {
        let slots = &self.slots;
        Committer { queue, slots }
    }

    /// What that process has done.
    pub(super) fn figures(&self) -> Committed {
        let desk = &*self.slots.desk;
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
    queue: &'e LockedQueue,
    slots: &'e Slots,
}

impl<'e> Committer<'e> {
    /// Waits until somebody has something to be committed, or for as long as `patience`. To be called before the
    /// slots and the pipe are looked at.
    pub fn wait(&self, patience: Duration) {
        self.slots.wait(patience);
    }

    /// Takes all messages that wait.
    pub fn take(self) -> Vec<Taken<'e>> {
        let queue = self.queue;
        let slots = self.slots.used();
        let taken = slots.filter(|slot| slot.change(state::WAITING, state::TAKEN));
        let taken = taken.filter_map(|slot| {
            let (room, _) = slot.message()?;
            let room = Some(room);
            Some(Taken { queue, slot, room })
        });
        taken.collect()
    }

    /// The messages that are to be withdrawn.
    pub fn given_up(self) -> Vec<GivenUp<'e>> {
        let queue = self.queue;
        let slots = self.slots.used();
        let given_up = slots.filter(|slot| slot.state().load(Acquire) == state::GIVEN_UP);
        given_up.map(|slot| GivenUp { queue, slot }).collect()
    }

    /// Takes the slots of workers that have died; to be called now and then, while nothing is taken.
    pub fn take_from_the_dead(self, notes: &impl Notes) {
        for slot in self.slots.used() {
            let found = slot.state().load(Acquire);
            let is_claimed = found == state::CLAIMED && slot.has_owner();
            let is_owned = matches!(
                found,
                state::WAITING | state::DONE | state::ANSWERED | state::FAILED
            );
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
        self.slots.is_down()
    }

    /// Lets messages be refused at once, or no longer.
    pub fn set_down(&self, down: bool) {
        self.slots.set_down(down);
    }

    /// Counts a commit of that many messages.
    pub fn count(&self, messages: usize) {
        let desk = &*self.slots.desk;
        desk.stored.fetch_add(messages as u64, Relaxed);
        desk.commits.fetch_add(1, Relaxed);
    }

    /// Notes how large the ledger is.
    pub fn note_size(&self, bytes: u64, unfinished: u64) {
        let desk = &*self.slots.desk;
        desk.bytes.store(bytes, Relaxed);
        desk.unfinished.store(unfinished, Relaxed);
    }
}

/// A message that a worker waits for.
#[derive(Debug)]
pub struct Taken<'e> {
    queue: &'e LockedQueue,
    slot: Slot<'e>,
    /// The message, until the slot has it again.
    room: Option<Unpublished>,
}

impl<'e> Taken<'e> {
    fn block(&self) -> Option<Block<'_>> {
        let room = self.room.as_ref()?;
        Some(room.block(&self.queue.memory))
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

    /// Tells the worker what has become of it, if it still waits.
    pub fn tell(mut self, told: Told) {
        self.leave();
        let end = match told {
            Told::Committed => state::DONE,
            Told::Failed => state::FAILED,
            Told::Answered => state::ANSWERED,
        };
        if self.slot.change(state::TAKEN, end) {
            self.slot.wake();
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
    queue: &'e LockedQueue,
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
            drop(Ticket::of(self.queue, room, keys));
        }
        self.slot.free();
    }
}
