//! Whose turn it is: originators take turns, and the messages of each; each message sends to one recipient at a time
//! until its window is full, and each target gets one message at a time. What its window holds, `patience` says.

#![forbid(unsafe_code)]

use super::attempt::{Attempt, Pin};
use super::block::{Block, block_of};
use super::counters::Counter;
use super::engine::{Engine, flag};
use super::layout::{Message, Originator};
use super::lock::Held;
use super::originators::Originators;
use super::recipient::{Outcome, Recipient, RecipientState, SkipReason};
use super::shared_memory::{At, Locked};
use super::slow_start;
use super::targets::{Occupied, Target};
use super::transactions::Transaction;
use std::sync::atomic::Ordering::Relaxed;

/// Steps for which the lock is held, so that others get it in between.
const STEPS: usize = 32;

/// What one step came to.
enum Step {
    /// A recipient is to be sent to.
    Claimed(At<Recipient>, u64, Pin),
    /// Something else was done.
    More,
    /// Nothing can be sent now.
    Idle,
}

impl Engine {
    /// The next fork to send, if one may be sent now: of the message whose turn it is.
    pub fn next(&self, now: impl Fn() -> u64) -> Option<Attempt<'_>> {
        // Who lets another message take its turns asks for the next fork himself, so that a look
        // without the lock is enough.
        let (hot, flow) = (&self.root().hot, &self.root().flow);
        let is_idle = hot.turns.head().is_none()
            && hot.held_back.get() == 0
            && flow.queueing.head().is_none()
            && flow.stuck.head().is_none()
            && self.root().attention.deferred.load(Relaxed) == 0;
        if is_idle {
            return None;
        }
        self.ask_for_free_memory(&now);
        self.claim_after(|_| (), || (), now)
    }

    /// Does `work`, and takes what may be sent then, without others in between. While a process keeps
    /// the lock from the others, `leave` leaves the work, and nothing is sent: who tells outcomes is
    /// called when it goes on.
    pub(super) fn claim_after(
        &self,
        work: impl FnOnce(&Held<'_>),
        leave: impl FnOnce(),
        now: impl Fn() -> u64,
    ) -> Option<Attempt<'_>> {
        let (mut work, mut leave) = (Some(work), Some(leave));
        loop {
            let (work, leave) = (work.take(), leave.take());
            let found = self.with_or(
                |held| {
                    if let Some(work) = work {
                        work(held);
                    }
                    for _ in 0..STEPS {
                        match self.step(held, &now) {
                            Step::Claimed(entry, cookie, pin) => {
                                return Some(Some((entry, cookie, pin)));
                            }
                            Step::More => {}
                            Step::Idle => return Some(None),
                        }
                    }
                    None
                },
                || {
                    if let Some(leave) = leave {
                        leave();
                    }
                },
            )?;
            if let Some(found) = found {
                return found.map(|(entry, cookie, pin)| Attempt::new(self, entry, cookie, pin));
            }
        }
    }

    fn step(&self, held: &Held<'_>, now: &impl Fn() -> u64) -> Step {
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
        if !self.has_proxy_memory(held) {
            slow_start::prepare(held);
            self.wait_for_memory(held);
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
                    && !self.has_share_of_memory(held, held.root.hot.lowest_held_back.get())
                {
                    self.wait_for_memory(held);
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
        let expired = head.filter(|&at| self.has_expired(at, now));
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
            let hash = self.hash(held.block(at).own(entry).address);
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
        let hash = self.hash(block.own(entry).address);
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
        let at = block_of(&self.memory, entry);
        self.keep_target(held, entry);
        held[entry].set_state(held, RecipientState::Ready);
        held[at].ready.push(held, entry);
        self.enter_turns(held, at);
    }

    /// Takes a recipient whose target is ours, and gives the turn to the next message of the next originator.
    fn claim(&self, held: &Held<'_>, at: At<Message>, entry: At<Recipient>, hash: u64) -> Step {
        // Before the attempt exists, so that each one that is under way has its pin.
        let pin = self.pin(held, at);
        let cookie = self.transactions.allocate(held, entry, hash);
        held[entry].set_state(held, RecipientState::InFlight);
        held[at].in_flight.add(held, 1);
        held.root.hot.in_flight.add(held, 1);
        self.owe_memory(held, at);
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

    /// Whether a message is out of time. The clock is only asked for one that may be.
    pub(super) fn has_expired(&self, at: At<Message>, now: impl Fn() -> u64) -> bool {
        let expires_at = self.memory[at].expires_at.get();
        expires_at != 0 && self.by_clock(at, expires_at) <= now()
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
        let at = block_of(&self.memory, entry);
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
        self.memory_is_taken(held, at);
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

    /// Ends a recipient that is in no queue, and lets it be told.
    pub(super) fn end(&self, held: &Held<'_>, entry: At<Recipient>, outcome: Outcome) {
        held[entry].end(held, outcome);
        let at = block_of(&self.memory, entry);
        let counter = self.tally_up(held, at, outcome);
        self.count(counter);
        held.root.hot.waiting.subtract(held, 1);
        let (left, unreported) = (held[at].left.get(), held[at].unreported.get());
        if left == 1 && self.limits.target_order {
            self.groups.leave(held, at);
        }
        // The last one is told in any case, and after it that the message is finished.
        if self.is_unreported(outcome) && unreported > 1 {
            held[entry].set_reported(held);
            held[at].left.set(held, left - 1);
            held[at].unreported.set(held, unreported - 1);
            return;
        }
        held[at].left.set(held, left - 1);
        if held.root.flow.outcomes.push(held, entry) {
            held.notify.set(true);
        }
    }

    /// Whether nobody wants to be told of a recipient that has ended so.
    fn is_unreported(&self, outcome: Outcome) -> bool {
        matches!(outcome, Outcome::Delivered(_))
            && self.root().flow.delivered_unreported.load(Relaxed) != 0
    }

    /// Counts a recipient that has ended among those of its message.
    pub(super) fn tally_up(&self, held: &Held<'_>, at: At<Message>, outcome: Outcome) -> Counter {
        held[at].tally(outcome).add(held, 1);
        match outcome {
            Outcome::Delivered(_) => Counter::ForksDelivered,
            Outcome::Refused(_) | Outcome::Unreachable(_) | Outcome::Kept(_) => {
                Counter::ForksFailed
            }
            Outcome::Expired => Counter::ForksExpired,
            Outcome::Skipped(_) => Counter::ForksSkipped,
        }
    }

    /// How recipients of this message end without an attempt, if it sends nothing more.
    pub(super) fn closing(&self, held: &Held<'_>, at: At<Message>) -> Option<Outcome> {
        let flags = held[at].flags.get();
        (flags & flag::CLOSING != 0).then_some(match flags & flag::CANCELLED {
            0 => Outcome::Expired,
            _ => Outcome::Skipped(SkipReason::Cancelled),
        })
    }

    /// Lets a message send nothing more.
    pub(super) fn close(&self, held: &Held<'_>, at: At<Message>, why: u32) {
        let flags = held[at].flags.get();
        if flags & flag::CLOSING != 0 {
            return;
        }
        self.leave_lists(held, at);
        held[at].flags.set(
            held,
            held[at].flags.get() | flag::CLOSING | flag::IN_CLOSING | why,
        );
        held[at].cursor.set(held, 0);
        held.root.flow.closing.push(held, at);
        self.names.look_again(held);
        held.notify.set(true);
    }

    /// Lets a recipient that has come back to a message that sends nothing more be ended.
    pub(super) fn close_again(&self, held: &Held<'_>, at: At<Message>) {
        let flags = held[at].flags.get();
        if flags & (flag::CLOSING | flag::IN_CLOSING) == flag::CLOSING {
            held[at].flags.set(held, flags | flag::IN_CLOSING);
            held.root.flow.closing.push(held, at);
        }
    }

    /// Ends a recipient of a message that sends nothing more, unless it is in flight or waits for one
    /// that is.
    fn close_one(&self, held: &Held<'_>, entry: At<Recipient>, outcome: Outcome) {
        let place = held[entry].state();
        if !matches!(place, RecipientState::Waiting | RecipientState::AtTarget) {
            return;
        }
        let block = held.block_of(entry);
        let hash = self.hash(block.own(entry).address);
        if let Some(position) = self.position(held, hash, entry) {
            position.leave(held);
            self.end(held, entry, outcome);
            self.let_follow(held, hash, entry);
        } else if place == RecipientState::Waiting {
            self.end(held, entry, outcome);
        }
    }

    /// Ends some of the recipients of messages that send nothing more; says whether there are others.
    pub(super) fn close_some(&self, held: &Held<'_>) -> bool {
        let Some(at) = held.root.flow.closing.head() else {
            return false;
        };
        let Some(outcome) = self.closing(held, at) else {
            return false;
        };
        let block = held.block(at);
        for _ in 0..STEPS {
            if let Some(entry) = held[at].ready.pop(held) {
                self.end(held, entry, outcome);
                self.leave_kept(held, self.hash(block.own(entry).address), entry);
                continue;
            }
            let cursor = held[at].cursor.get();
            if cursor as usize == block.count() {
                self.leave_lists(held, at);
                break;
            }
            held[at].cursor.set(held, cursor + 1);
            self.close_one(held, block.entry(cursor as usize), outcome);
        }
        true
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

impl Message {
    /// Where it counts those of its recipients that have ended so.
    pub(super) fn tally(&self, outcome: Outcome) -> &Locked<u32> {
        match outcome {
            Outcome::Delivered(_) => &self.delivered,
            Outcome::Refused(_) => &self.refused,
            Outcome::Unreachable(_) => &self.unreachable,
            Outcome::Expired => &self.expired,
            Outcome::Skipped(_) => &self.skipped,
            Outcome::Kept(_) => &self.kept_for,
        }
    }
}

/// Whether nothing is sent now, for lack of the proxy's memory.
fn is_paused(held: &Held<'_>, now: impl Fn() -> u64) -> bool {
    let until = held.root.flow.paused_until.get();
    until != 0 && now() < until
}
