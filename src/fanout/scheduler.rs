//! Which copy goes next: originators take turns, and the messages of each; each message sends to one recipient at a time
//! until its window is full, and each target gets one message at a time. What its window holds, `patience` says.
//!
//! A message, from the room that was taken for it to the memory that is given back:
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

#![forbid(unsafe_code)]

use super::block::{Block, block_of};
use super::counters::Counters;
use super::fair_share::fits;
use super::groups::Groups;
use super::keys::Keys;
use super::layout::{Message, Originator, Transaction, flag};
use super::lock::Held;
use super::member_queue::MemberQueues;
use super::names::Names;
use super::originators::Originators;
use super::pin::Pin;
use super::proxy_memory::CopyMemory;
use super::recipient::{Outcome, Recipient, RecipientState, SkipReason};
use super::shared_memory::At;
use super::silent_targets::SilentTargets;
use super::slow_start;
use super::targets::{Occupied, Target, Targets};
use super::transactions::Transactions;
use crate::config::Settings;
use std::sync::Arc;

/// What one step came to.
pub(super) enum Step {
    /// A recipient is to be sent to.
    Claimed(At<Recipient>, u64, Pin),
    /// Something else was done.
    More,
    /// Nothing can be sent now.
    Idle,
}

/// Decides which copy goes next. All it does needs the lock.
#[derive(Debug)]
pub(super) struct Scheduler {
    pub(super) limits: Settings,
    pub(super) keys: Keys,
    pub(super) transactions: Transactions,
    pub(super) targets: Targets,
    pub(super) originators: Originators,
    pub(super) groups: Groups,
    pub(super) member_queues: MemberQueues,
    pub(super) silent_targets: SilentTargets,
    pub(super) names: Names,
    pub(super) copy_memory: CopyMemory,
    pub(super) counters: Arc<Counters>,
}

impl Scheduler {
    /// Whether one with so many copies in flight may have one more, so that there is room for others.
    #[inline]
    pub(super) fn has_share(&self, held: &Held<'_>, own: u32) -> bool {
        let size =
            u64::from(self.limits.forks_in_flight).min(held.root.flow.transaction_limit.get());
        let free = size.saturating_sub(held.root.hot.in_flight.get());
        fits(u64::from(own), free, size)
            && self.has_share_of_transactions(held, own)
            && self.copy_memory.has_share(held, own)
    }

    /// The same for the transactions of the proxy, most of which have their final response already where they are
    /// short: who waits for few final responses may use almost all of them.
    #[inline]
    pub(super) fn has_share_of_transactions(&self, held: &Held<'_>, own: u32) -> bool {
        u64::from(own) + held.root.hot.transactions.get() < held.root.flow.transaction_limit.get()
    }

    /// Whether somebody who was to wait may send now.
    pub(super) fn may_go_on(&self, held: &Held<'_>) -> bool {
        let hot = &held.root.hot;
        let (count, lowest) = (hot.held_back.get(), hot.lowest_held_back.get());
        self.transactions.has_room(held)
            && (held.root.hot.turns.head().is_some() || count > 0 && self.has_share(held, lowest))
    }

    pub(super) fn step(&self, held: &Held<'_>, now: &impl Fn() -> u64) -> Step {
        if let Some(at) = held.root.flow.queueing.head() {
            self.queue_some(held, at);
            return Step::More;
        }
        let head = held.root.hot.turns.head();
        let is_held_back = held.root.hot.held_back.get() != 0;
        if head.is_none() && !is_held_back {
            return self.let_stuck_go_on(held);
        }
        if let Some(head) = head
            && self.closes_expired(held, head, now)
        {
            return Step::More;
        }
        let most = u64::from(self.limits.forks_in_flight);
        if held.root.hot.in_flight.get() >= most {
            return Step::Idle;
        }
        if !self.transactions.has_room(held) || is_paused(held, now) {
            slow_start::prepare(held);
            return Step::Idle;
        }
        if !self.copy_memory.has_room(held) {
            slow_start::prepare(held);
            CopyMemory::wait(held);
            return Step::Idle;
        }
        if !slow_start::has_room(held, most, now) {
            // Time makes room, too.
            held.notify.set(true);
            return Step::Idle;
        }
        // Who was held back has waited longer than those that took their turns meanwhile.
        let first = match is_held_back {
            true => self
                .originators
                .go_on(held, |own| self.has_share(held, own)),
            false => None,
        };
        match first.or(head) {
            None => {
                if is_held_back
                    && !self
                        .copy_memory
                        .has_share(held, held.root.hot.lowest_held_back.get())
                {
                    CopyMemory::wait(held);
                }
                self.let_stuck_go_on(held)
            }
            Some(originator) if first.is_some() && self.closes_expired(held, originator, now) => {
                Step::More
            }
            Some(originator) => self.take_turn(held, originator),
        }
    }

    /// One that was let go on may have found that its next targets are busy.
    fn let_stuck_go_on(&self, held: &Held<'_>) -> Step {
        match held.root.flow.stuck.head() {
            Some(at) if self.targets.has_room(held) => {
                self.go_on(held, at);
                Step::More
            }
            _ => Step::Idle,
        }
    }

    /// Closes the message whose turn it is among those of an originator, if that is out of time; says so.
    #[inline]
    fn closes_expired(
        &self,
        held: &Held<'_>,
        originator: At<Originator>,
        now: &impl Fn() -> u64,
    ) -> bool {
        let head = held[originator].messages.head();
        let expired = head.filter(|&at| held[at].has_expired(now));
        expired.is_some_and(|at| {
            self.close(held, at, 0);
            true
        })
    }

    /// Lets an originator send for that of its messages whose turn it is, if its share allows it.
    fn take_turn(&self, held: &Held<'_>, originator: At<Originator>) -> Step {
        let Some(at) = held[originator].messages.head() else {
            return Step::Idle;
        };
        let own = held[originator].in_flight.get();
        if !self.has_share(held, own) {
            if !self.has_share_of_transactions(held, own) {
                slow_start::prepare(held);
            }
            self.originators.hold_back(held, originator);
            return Step::More;
        }
        let (cursor, in_flight) = (held[at].cursor.get(), held[at].in_flight.get());
        if !self.has_room_in_window(held, at, in_flight) {
            self.leave_turns(held, at);
            return Step::More;
        }
        if let Some(entry) = held[at].ready.pop(held) {
            let hash = self.keys.of_address(held.block(at).own(entry).address);
            return match self.take_kept(held, hash, entry) {
                true => self.claim(held, at, entry, hash),
                false => Step::More,
            };
        }
        let block = held.block(at);
        if cursor as usize == block.count() {
            let put_off = held[at].put_off.get();
            let flags = held[at].flags.get();
            if put_off == 0 || flags & flag::SECOND_PASS != 0 {
                self.leave_turns(held, at);
            } else {
                held[at].flags.set(held, flags | flag::SECOND_PASS);
                held[at].cursor.set(held, 0);
            }
            return Step::More;
        }
        self.next_recipient(held, block, cursor)
    }

    /// Goes on to the recipient at the cursor.
    fn next_recipient(&self, held: &Held<'_>, block: Block<'_>, cursor: u32) -> Step {
        let at = block.at();
        let entry = block.entry(cursor as usize);
        if held[entry].state() != RecipientState::Waiting {
            held[at].cursor.set(held, cursor + 1);
            return Step::More;
        }
        let hash = self.keys.of_address(block.own(entry).address);
        let first_pass = held[at].flags.get() & flag::SECOND_PASS == 0;
        if first_pass && self.silent_targets.has(held, hash) {
            held[at].put_off.add(held, 1);
            held[at].cursor.set(held, cursor + 1);
            return Step::More;
        }
        if self.limits.target_order {
            let is_queued = held[at].flags.get() & flag::QUEUED != 0;
            let position = is_queued.then(|| self.first_in_queue(held, hash, entry));
            if let Some(None) = position {
                // The turn of an earlier message of the group has not come: it lets this one follow.
                held[at].cursor.set(held, cursor + 1);
                held[entry].set_state(held, RecipientState::AtTarget);
                return Step::More;
            }
            let position = position.flatten();
            match self.take_target(held, hash, entry) {
                Occupied::Yours => {
                    if let Some(position) = position {
                        position.leave(held);
                        self.let_follow(held, hash, entry);
                    }
                }
                Occupied::Busy(busy) => {
                    held[at].cursor.set(held, cursor + 1);
                    if let Some(position) = position {
                        position.leave(held);
                    }
                    self.wait_for_target(held, busy, entry);
                    if position.is_some() {
                        self.let_follow(held, hash, entry);
                    }
                    return Step::More;
                }
                Occupied::NoRoom => {
                    self.leave_turns(held, at);
                    held[at].flags.set(held, held[at].flags.get() | flag::STUCK);
                    held.root.flow.stuck.push(held, at);
                    return Step::More;
                }
            }
        }
        held[at].cursor.set(held, cursor + 1);
        self.claim(held, at, entry, hash)
    }

    /// Lets a recipient wait for its target, if not too many do, nor too many of its originator.
    pub(super) fn wait_for_target(&self, held: &Held<'_>, busy: &Target, entry: At<Recipient>) {
        held[entry].set_state(held, RecipientState::AtTarget);
        let originator = |entry| Message::originator_at(held, block_of(held.memory, entry));
        let own = originator(entry);
        let is_like_it = |other| originator(other) == own;
        if !busy.wait(held, entry, self.limits.target_queue, is_like_it) {
            self.end(held, entry, Outcome::Skipped(SkipReason::TargetQueueFull));
        }
    }

    /// Lets a recipient whose target is kept for it be sent to.
    pub(super) fn make_ready(&self, held: &Held<'_>, entry: At<Recipient>) {
        let at = block_of(held.memory, entry);
        self.keep_target(held, entry);
        held[entry].set_state(held, RecipientState::Ready);
        held[at].ready.push(held, entry);
        self.enter_turns(held, at);
    }

    /// Takes a recipient whose target is ours, and gives the turn to the next message of the next originator.
    fn claim(&self, held: &Held<'_>, at: At<Message>, entry: At<Recipient>, hash: u64) -> Step {
        // Before the attempt exists, so that each one that is under way has its pin.
        let pin = Pin::set(held, at);
        let cookie = self.transactions.allocate(held, entry, hash);
        held[entry].set_state(held, RecipientState::InFlight);
        held[at].in_flight.add(held, 1);
        held.root.hot.in_flight.add(held, 1);
        self.copy_memory.owe(held, at);
        Originators::take_off(held, at);
        let originator = Message::originator_at(held, at);
        let messages = &held[originator].messages;
        if !self.may_send(held, at) {
            self.leave_turns(held, at);
        } else if messages.after(held, at).is_some() {
            messages.remove(held, at);
            messages.push(held, at);
        }
        Originator::turn_is_over(held, originator);
        Step::Claimed(entry, cookie, pin)
    }

    /// Whether a message has recipients that have not had their turn, and room in its window.
    fn may_send(&self, held: &Held<'_>, at: At<Message>) -> bool {
        let in_flight = held[at].in_flight.get();
        self.has_more(held, at) && self.has_room_in_window(held, at, in_flight)
    }

    /// Whether a message has recipients that have not had their turn.
    #[inline]
    pub(super) fn has_more(&self, held: &Held<'_>, at: At<Message>) -> bool {
        let cursor = held[at].cursor.get();
        (cursor as usize) < held.block(at).count()
            || held[at].ready.head().is_some()
            || held[at].put_off.get() > 0 && held[at].flags.get() & flag::SECOND_PASS == 0
    }

    /// A fork is not in flight any more, and its recipient has ended.
    pub(super) fn land(
        &self,
        held: &Held<'_>,
        transaction: &Transaction,
        outcome: Outcome,
        was_sent: bool,
    ) {
        let Some(entry) = transaction.entry() else {
            return;
        };
        let hash = transaction.target();
        let at = block_of(held.memory, entry);
        self.lower(held, transaction, at);
        if was_sent {
            let answered = outcome != Outcome::Unreachable(408);
            self.silent_targets.note(held, hash, answered);
        }
        self.end(held, entry, outcome);
        self.leave_target(held, hash);
        self.enter_turns(held, at);
    }

    /// Counts one fork less in flight.
    #[inline]
    pub(super) fn lower(&self, held: &Held<'_>, transaction: &Transaction, at: At<Message>) {
        if transaction.is_silent() {
            self.silent_no_more(held, transaction, at);
        }
        held[at].in_flight.subtract(held, 1);
        held.root.hot.in_flight.subtract(held, 1);
        self.copy_memory.is_taken(held, at);
        self.originators.land(held, at);
    }

    /// A target is free: one that waits for room in the table of targets may go on.
    #[inline]
    pub(super) fn one_stuck_goes_on(&self, held: &Held<'_>) {
        if let Some(at) = held.root.flow.stuck.head() {
            self.go_on(held, at);
        }
    }

    /// Lets a message take turns again that has waited for room in the table of targets.
    pub(super) fn go_on(&self, held: &Held<'_>, at: At<Message>) {
        self.leave_lists(held, at);
        self.enter_turns(held, at);
    }

    /// Puts a message that has something to send, and may, among those that take turns.
    pub(super) fn enter_turns(&self, held: &Held<'_>, at: At<Message>) {
        let mut flags = held[at].flags.get();
        if flags & (flag::IN_TURNS | flag::CLOSING | flag::QUEUEING) != 0 {
            return;
        }
        if flags & flag::STUCK != 0 {
            // Only a recipient whose target is kept needs no room.
            if held[at].ready.head().is_none() {
                return;
            }
            self.leave_lists(held, at);
            flags &= !flag::STUCK;
        }
        if self.may_send(held, at) {
            held[at].flags.set(held, flags | flag::IN_TURNS);
            self.originators.enter(held, at);
        }
    }

    /// Lets a message with this many recipients that have not ended take its turns.
    pub(super) fn start(&self, held: &Held<'_>, at: At<Message>, left: u32) {
        let is_kept = held.block(at).kept() != 0 && self.limits.target_order;
        held[at].left.set(held, left);
        held[at].unreported.set(held, left);
        held.root.hot.waiting.add(held, u64::from(left));
        held.root.flow.messages.push(held, at);
        let [originator, group, ..] = held.block(at).texts();
        self.originators
            .join(held, at, self.keys.of_originator(originator));
        if self.limits.target_order {
            held[at].group.set(held, self.keys.of_address(group));
        }
        held[at].flags.set(held, flag::STARTED);
        if self.limits.target_order && !self.join_group(held, at) && !is_kept {
            self.begin_to_queue(held, at);
        } else if is_kept {
            self.go_first(held, at);
        } else {
            self.enter_turns(held, at);
        }
    }

    /// Takes out a message that is finished.
    pub(super) fn remove(&self, held: &Held<'_>, at: At<Message>) {
        self.leave_lists(held, at);
        self.originators.leave(held, at);
        held.root.flow.messages.remove(held, at);
    }

    /// Takes a message out of the list of those that are to do something.
    pub(super) fn leave_lists(&self, held: &Held<'_>, at: At<Message>) {
        let flags = held[at].flags.get();
        debug_assert!((flags & flag::LISTS).count_ones() <= 1, "lists: {flags:#b}");
        if flags & flag::IN_TURNS != 0 {
            self.leave_turns(held, at);
        } else if flags & flag::QUEUEING != 0 {
            held.root.flow.queueing.remove(held, at);
            held[at].flags.set(held, flags & !flag::QUEUEING);
        } else if flags & flag::STUCK != 0 {
            held.root.flow.stuck.remove(held, at);
            held[at].flags.set(held, flags & !flag::STUCK);
        } else if flags & flag::IN_CLOSING != 0 {
            held.root.flow.closing.remove(held, at);
            held[at].flags.set(held, flags & !flag::IN_CLOSING);
        }
    }

    /// Takes a message out of the turns.
    fn leave_turns(&self, held: &Held<'_>, at: At<Message>) {
        self.originators.quit(held, at);
        held[at]
            .flags
            .set(held, held[at].flags.get() & !flag::IN_TURNS);
    }
}

/// Whether nothing is sent now, for lack of the proxy's memory.
fn is_paused(held: &Held<'_>, now: impl Fn() -> u64) -> bool {
    let until = held.root.flow.paused_until.get();
    until != 0 && now() < until
}
