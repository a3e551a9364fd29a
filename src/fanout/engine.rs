//! Accepted messages on their way out, in memory that all processes share.
//!
//! Room for a message and its budgets are taken before its 202 ([`Engine::reserve`]); after the 202 it
//! is started, and whoever has time asks for the next fork ([`Engine::next`]), hands it to the proxy and
//! reports what became of it. Every recipient ends exactly once, and one process reads the outcomes
//! ([`Engine::next_event`]).
//!
//! ```text
//!          reserve          start                       may send, or a target or the window has room
//!   room ──────────► ticket ──────► STARTED, QUEUEING ──► IN_TURNS ◄────────────────────────────► in no list, STUCK
//!    ▲                 │ dropped       │ (where others of     │  nothing to send, window full, no room for targets │
//!    │                 ▼               │  its group are)      │                                                    │
//!    ├──────────── given back          └──────────────────────┼──── it is cancelled, or out of time ───────────────┘
//!    │                                                        ▼
//!    │   all have ended, all reported     all recipients but those in flight have ended
//!    └── DONE, its last pin is gone ◄──── CLOSING ◄───────────────────────────── CLOSING, IN_CLOSING
//! ```
//!
//! A message is in one at most of the lists of its `links`: QUEUEING, IN_TURNS, STUCK and IN_CLOSING say in which. The flags
//! are changed with the lock alone; pins, and deferred work, without it, too (`pin`, `deferred`).
//!
//! One short lock protects lists and counters. It is never held while a message is copied or sent.

#![forbid(unsafe_code)]

use super::arena::Arena;
use super::away::Away;
use super::block::{Block, Facts, Size, Unpublished};
use super::budget::{Budget, give_back_rate, take_rate};
use super::clock::Clock;
use super::commit_slots::Commits;
use super::counters::{Counter, Counters};
use super::deferred::{Deferred, MessageWork};
use super::groups::Groups;
use super::keys::Keys;
use super::layout::{HEAD, Message, Root, flag, map};
use super::lock::{Blocked, Held, OF_MESSAGES, Patience, blocked};
use super::member_queue::MemberQueues;
use super::names::Names;
use super::originators::Originators;
use super::proxy_memory::{CopyMemory, ProxyMemory};
use super::scheduler::Scheduler;
use super::shared_memory::{At, SharedMemory};
use super::silent_targets::SilentTargets;
use super::submission::Submission;
use super::targets::Targets;
use super::transactions::{self, Transactions};
use super::waker::Waker;
use crate::config::{Quota, Settings};
use crate::control::Own;
use crate::control::{Accepted, Reason, Refusal};
use crate::sip::address_text::address_of_record;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed, Release};
use std::time::Duration;

/// Words of a mebibyte.
const MEBIBYTE: usize = (1 << 20) / size_of::<u64>();
/// The longest that a client is asked to wait for room in the queue, in seconds.
const LONGEST_WAIT: u64 = 120;
/// Seconds that a client is asked to wait while a process keeps the lock from the others.
const WAIT_FOR_LOCK: u32 = 10;

/// Why there is no room for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// The reason for the answer.
    pub reason: Reason,
    /// Seconds after which the client may try again.
    pub retry_after: u32,
}

impl NoRoom {
    /// The refusal of a message that was accepted but for this.
    pub fn refusal(self, accepted: &Accepted) -> Refusal {
        let detail = format!("{} recipients", accepted.count());
        Refusal::after_all(self.reason, detail, accepted, self.retry_after)
    }
}

/// The engine, made before the workers are forked.
#[derive(Debug)]
pub struct Engine {
    pub(super) memory: SharedMemory,
    /// What the administrator has decided: of it the queue reads its limits.
    pub(super) limits: Settings,
    clock: Clock,
    pub(super) arena: Arena,
    pub(super) deferred: Deferred,
    budget: Budget,
    pub(super) waker: Waker,
    /// Wakes the process that asks for names.
    pub(super) asking: Waker,
    pub(super) commits: Commits,
    away: Away,
    pub(super) scheduler: Scheduler,
}

impl Engine {
    /// An engine with nothing to do. `key` keeps strangers from choosing where in a table they are.
    pub fn new(limits: Settings, key: [u8; 16], counters: Arc<Counters>) -> io::Result<Self> {
        let budget = Budget(HEAD);
        let silent_targets = SilentTargets(budget.0 + Budget::WORDS);
        let names = Names(silent_targets.0 + SilentTargets::WORDS);
        let transactions = Transactions(names.0 + Names::WORDS);
        let deferred = Deferred(transactions.0 + transactions::MOST * transactions::WORDS);
        let at_once = (limits.forks_in_flight as usize).min(transactions::MOST);
        let words = limits.queue_memory as usize * MEBIBYTE;
        let for_queues = if limits.target_order { words } else { 0 };
        let targets = Targets::new(deferred.0 + Deferred::WORDS, at_once, for_queues);
        let messages = limits.queue_messages as usize;
        let originators = Originators::new(targets.end(), messages, at_once);
        let groups = Groups(originators.end());
        let member_queues = MemberQueues::new(groups.0 + Groups::WORDS, for_queues);
        let start = groups.0 + Groups::WORDS + member_queues.words();
        let arena = Arena { start, words };
        // Links have 32 bits.
        if u32::try_from(start + arena.words).is_err() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let scheduler = Scheduler {
            limits: limits.clone(),
            keys: Keys(key),
            transactions,
            targets,
            originators,
            groups,
            member_queues,
            silent_targets,
            names,
            copy_memory: CopyMemory::default(),
            counters,
        };
        let engine = Self {
            memory: map(start + arena.words - HEAD)?,
            limits,
            clock: Clock::new(),
            arena,
            deferred,
            budget,
            waker: Waker::new()?,
            asking: Waker::new()?,
            commits: Commits::new()?,
            away: Away::new()?,
            scheduler,
        };
        engine.with(|held| {
            arena.prepare(held);
            held.root
                .flow
                .transaction_limit
                .set(held, transactions::MOST as u64);
        });
        Ok(engine)
    }

    /// Does `work` while no other process touches lists and counters, then wakes the reader of
    /// outcomes if there is something new for it. It waits for the lock for as long as it takes: that is
    /// for the start, and for what waits for nobody ([`Engine::with_or`], [`Engine::with_within`]).
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Held<'_>) -> T) -> T {
        self.hold(Held::take(&self.memory), work)
    }

    /// The same, unless a process keeps the lock from the others for too long. The log says so.
    #[inline]
    pub(super) fn with_within<T>(
        &self,
        patience: Patience,
        work: impl FnOnce(&mut Held<'_>) -> T,
    ) -> Result<T, Blocked> {
        match Held::take_within(&self.memory, patience) {
            Ok(held) => Ok(self.hold(held, work)),
            Err(blocked) => {
                self.log_blocked(blocked);
                Err(blocked)
            }
        }
    }

    /// Does `work` with the lock.
    #[inline]
    pub(super) fn hold<T>(&self, mut held: Held<'_>, work: impl FnOnce(&mut Held<'_>) -> T) -> T {
        if held.inherited || held.has_deferred() {
            self.put_in_order(&mut held);
        }
        let result = work(&mut held);
        let news = held.notify.get();
        let has_deferred = held.release();
        // One datagram is enough until the reader has looked.
        if news && self.root().flow.awake.swap(1, AcqRel) == 0 {
            self.waker.wake();
        }
        if has_deferred {
            self.do_what_was_deferred();
        }
        result
    }

    /// What the holder does before anything else.
    #[cold]
    fn put_in_order(&self, held: &mut Held<'_>) {
        if held.inherited {
            self.recover(held);
        }
        if held.has_deferred() {
            self.do_deferred(held);
        }
    }

    /// Does what others have deferred while this process had the lock, unless it is blocked anew.
    #[cold]
    fn do_what_was_deferred(&self) {
        let _ = self.with_within(OF_MESSAGES, |_| ());
    }

    /// What there is once in the memory.
    #[inline]
    pub(super) fn root(&self) -> &Root {
        self.memory.root()
    }

    /// Who keeps the lock from all others, if they have waited for long.
    pub fn blocked(&self) -> Option<Blocked> {
        blocked(&self.memory)
    }

    /// Milliseconds by the engine's clock, which nobody sets.
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// How many transactions of the proxy may be in use at once.
    pub fn set_transaction_limit(&self, limit: usize) {
        let limit = limit.clamp(1, transactions::MOST) as u64;
        self.with(|held| held.root.flow.transaction_limit.set(held, limit));
    }

    /// Whether outcomes of recipients that have got their message are reported one by one from now on, in
    /// all processes; at first they are. Else they are counted, and the last of a message may be reported.
    pub fn report_delivered(&self, wanted: bool) {
        let unreported = &self.root().flow.delivered_unreported;
        unreported.store(u64::from(!wanted), Relaxed);
    }

    /// Waits until an outcome can be reported, or for as long as `patience`. For the one process that
    /// reports them.
    pub fn wait(&self, patience: Duration) {
        self.waker.wait(patience);
        self.root().flow.awake.store(0, Release);
    }

    /// What can be read when an outcome can be reported, for a process that waits for other things too. It
    /// calls [`Engine::wait`] then.
    pub fn news(&self) -> BorrowedFd<'_> {
        self.waker.descriptor()
    }

    /// What is known of members who are away.
    pub fn away(&self) -> &Away {
        &self.away
    }

    /// Makes [`Engine::news`] readable.
    pub fn call_again(&self) {
        self.waker.wake();
    }

    /// Under which keys originator and group have their quotas, where there are any.
    fn quota_keys(&self, submission: &Submission<'_>) -> [u64; 2] {
        let keys = &self.scheduler.keys;
        let key = |quota: Option<Quota>, kind: u8, text: &[u8]| {
            quota.map_or(0, |_| keys.of_quota(kind, text))
        };
        let originator = address_of_record(submission.originator);
        [
            key(self.limits.quota_originator, 1, &originator),
            key(self.limits.quota_group, 2, submission.group),
        ]
    }

    /// Takes room and budgets for a message (S-5), to be done before its 202. `recipients` gives the
    /// recipients, the same each time; `now` is by the engine's clock. A ticket that is dropped gives
    /// everything back.
    pub fn reserve<'s, I: Iterator<Item = Own<'s>>>(
        &self,
        submission: &Submission<'_>,
        recipients: impl Fn() -> I,
        now: u64,
    ) -> Result<Ticket<'_>, NoRoom> {
        let keys = self.quota_keys(submission);
        let size = Size::of(submission, recipients());
        let taken = self.with_within(OF_MESSAGES, |held| self.take_room(held, size, keys, now));
        let (mut room, size, number) = taken.unwrap_or(Err(NoRoom {
            reason: Reason::QueueBlocked,
            retry_after: WAIT_FOR_LOCK,
        }))?;
        let facts = Facts {
            number,
            ledger: 0,
            kept: 0,
            first: 0,
            clock_ahead: now.wrapping_sub(submission.accepted_at),
        };
        room.write(&self.memory, size, submission, recipients(), &facts);
        Ok(Ticket {
            engine: self,
            room: Some(room),
            keys,
        })
    }

    /// Row 9 before row 13: first what the sender has used up, then what the server has.
    fn take_room(
        &self,
        held: &Held<'_>,
        size: Option<Size>,
        [originator, group]: [u64; 2],
        now: u64,
    ) -> Result<(Unpublished, Size, u64), NoRoom> {
        let limits = &self.limits;
        let no_room = |reason| {
            move |retry_after| NoRoom {
                reason,
                retry_after,
            }
        };
        self.budget
            .take(held, originator, limits.quota_originator, now)
            .map_err(no_room(Reason::OriginatorQuota))?;
        let rest = || {
            self.budget
                .take(held, group, limits.quota_group, now)
                .map_err(no_room(Reason::GroupQuota))?;
            let rest = || {
                take_rate(held, limits.rate, now).map_err(no_room(Reason::Rate))?;
                let room = if held.root.flow.messages_length.get()
                    >= u64::from(limits.queue_messages)
                {
                    Err(no_room(Reason::QueueFull)(wait_for_room(held)))
                } else {
                    let found = size
                        .and_then(|size| Some((self.arena.allocate(held, size.words())?, size)));
                    found.ok_or_else(|| no_room(Reason::QueueMemory)(wait_for_room(held)))
                };
                if room.is_err() {
                    give_back_rate(held, limits.rate);
                }
                room
            };
            let room = rest();
            if room.is_err() {
                self.budget.give_back(held, group, limits.quota_group);
            }
            room
        };
        let room = rest();
        if room.is_err() {
            self.budget
                .give_back(held, originator, limits.quota_originator);
        }
        let (room, size) = room?;
        held.root.flow.messages_length.add(held, 1);
        held.root.flow.number.add(held, 1);
        Ok((room, size, held.root.flow.number.get()))
    }

    /// The ticket of a message that was left to this process.
    pub(super) fn ticket(&self, room: Unpublished, keys: [u64; 2]) -> Ticket<'_> {
        Ticket {
            engine: self,
            room: Some(room),
            keys,
        }
    }

    /// Starts a message that was answered. Its forks are sent by whoever asks for the next ones.
    pub fn start(&self, ticket: Ticket<'_>) -> u64 {
        let number = ticket.number();
        if let Some((room, _)) = ticket.leave() {
            let count = room.block(&self.memory).count();
            let at = room.publish();
            self.with_or(
                |held| self.publish(held, at, count as u32),
                || self.defer_message(at, MessageWork::Start),
            );
        }
        number
    }

    /// Starts a message that was answered and is not to be sent: its recipients end as cancelled, and
    /// no process sends to any of them meanwhile.
    pub fn start_cancelled(&self, ticket: Ticket<'_>) {
        if let Some((room, _)) = ticket.leave() {
            let count = room.block(&self.memory).count();
            let at = room.publish();
            self.with_or(
                |held| {
                    self.publish(held, at, count as u32);
                    self.scheduler.close(held, at, flag::CANCELLED);
                },
                || self.defer_message(at, MessageWork::StartCancelled),
            );
        }
    }

    /// Lets a message with this many recipients that have not ended take its turns.
    pub(super) fn publish(&self, held: &Held<'_>, at: At<Message>, left: u32) {
        let is_kept = held.block(at).kept() != 0 && self.limits.target_order;
        held[at].left.set(held, left);
        held[at].unreported.set(held, left);
        held.root.hot.waiting.add(held, u64::from(left));
        held.root.flow.messages.push(held, at);
        let [originator, group, ..] = held.block(at).texts();
        self.scheduler
            .originators
            .join(held, at, self.scheduler.keys.of_originator(originator));
        if self.limits.target_order {
            held[at]
                .group
                .set(held, self.scheduler.keys.of_address(group));
        }
        held[at].flags.set(held, flag::STARTED);
        if self.limits.target_order && !self.scheduler.join_group(held, at) && !is_kept {
            self.scheduler.begin_to_queue(held, at);
        } else if is_kept {
            self.scheduler.go_first(held, at);
        } else {
            self.scheduler.enter_turns(held, at);
        }
    }

    /// Gives back what [`Engine::reserve`] has taken.
    pub(super) fn give_back_room(
        &self,
        held: &mut Held<'_>,
        at: At<Message>,
        [originator, group]: [u64; 2],
    ) {
        let limits = &self.limits;
        self.budget
            .give_back(held, originator, limits.quota_originator);
        self.budget.give_back(held, group, limits.quota_group);
        give_back_rate(held, limits.rate);
        self.give_back_unpublished(held, at);
    }

    /// Gives back the memory of a message.
    pub(super) fn give_back(&self, held: &mut Held<'_>, at: At<Message>) {
        self.scheduler.leave_lists(held, at);
        self.scheduler.originators.leave(held, at);
        held.root.flow.messages.remove(held, at);
        held.root.flow.messages_length.subtract(held, 1);
        self.arena.free(held, at);
    }

    /// Leaves this much of the proxy's shared memory alone from now on, in all processes that are forked afterwards.
    /// Only the first call counts.
    pub fn leave_memory(&self, memory: ProxyMemory) {
        let copy_memory = &self.scheduler.copy_memory;
        if copy_memory.set(memory) {
            copy_memory.ask(&self.memory, || self.now());
        }
    }

    /// Gives back a block that nobody else has seen.
    pub(super) fn give_back_unpublished(&self, held: &mut Held<'_>, at: At<Message>) {
        held.root.flow.messages_length.subtract(held, 1);
        self.arena.free(held, at);
    }

    /// Counts for statistics.
    pub(super) fn count(&self, counter: Counter) {
        self.scheduler.counters.add(counter);
    }
}

/// Seconds until the queue may have room: as long as what waits takes at the present speed.
fn wait_for_room(held: &Held<'_>) -> u32 {
    let seconds = held.root.hot.waiting.get() / held.root.flow.speed.get().max(1);
    seconds.clamp(1, LONGEST_WAIT) as u32
}

/// Room for a message that has not been started.
#[derive(Debug)]
pub struct Ticket<'e> {
    engine: &'e Engine,
    /// Nothing once it was left to somebody else.
    room: Option<Unpublished>,
    keys: [u64; 2],
}

impl Ticket<'_> {
    /// What was written.
    pub(super) fn block(&self) -> Option<Block<'_>> {
        let room = self.room.as_ref()?;
        Some(room.block(&self.engine.memory))
    }

    /// The number of the message.
    pub fn number(&self) -> u64 {
        self.block().map_or(0, Block::number)
    }

    /// Leaves the message to somebody else, who makes the ticket again of what this gives.
    pub(super) fn leave(mut self) -> Option<(Unpublished, [u64; 2])> {
        Some((self.room.take()?, self.keys))
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let Some(room) = self.room.take() else {
            return;
        };
        let (engine, at) = (self.engine, room.publish());
        engine.with_or(
            |held| engine.give_back_room(held, at, self.keys),
            || engine.defer_message(at, MessageWork::GiveBack(self.keys)),
        );
    }
}
