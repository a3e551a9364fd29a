//! Whose turn it is: originators take turns, and the messages of each; each message sends to one recipient at a time
//! until its window is full, and each target gets one message at a time. What its window holds, `patience` says.

#![forbid(unsafe_code)]

use super::attempt::Attempt;
use super::block::{Block, block_of};
use super::cells::Cell;
use super::counters::Counter;
use super::engine::{Engine, flag};
use super::layout::{
    CLOSING, DELIVERED_UNTOLD, HELD_BACK, IN_FLIGHT, LEFT, LINING, OUTCOMES, PAUSED_UNTIL, STUCK,
    TURNS, WAITING, block,
};
use super::lists::Queue;
use super::lock::Held;
use super::originators::{Originator, Originators};
use super::ramp;
use super::recipient::{self, Ending, Place, SkipReason};
use super::targets::{Busy, Occupied};

/// Steps for which the lock is held, so that others get it in between.
const STEPS: usize = 32;

/// What one step came to.
enum Step {
    /// A recipient is to be sent to.
    Claimed(usize, u64),
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
        let words = [LINING.anchor, TURNS.anchor, STUCK.anchor, HELD_BACK, LEFT];
        if words.iter().all(|&word| self.memory.get(word) == 0) {
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
                            Step::Claimed(entry, cookie) => return Some(Some((entry, cookie))),
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
                return found.map(|(entry, cookie)| Attempt::new(self, entry, cookie));
            }
        }
    }

    fn step(&self, held: &Held<'_>, now: &impl Fn() -> u64) -> Step {
        if let Some(at) = LINING.head(held) {
            self.line_up(held, at);
            return Step::More;
        }
        let head = TURNS.head(held).map(Originator);
        let is_held_back = held.get(HELD_BACK) != 0;
        if head.is_none() && !is_held_back {
            return self.let_stuck_go_on(held);
        }
        if let Some(head) = head
            && self.closes_expired(held, head, now)
        {
            return Step::More;
        }
        let most = u64::from(self.limits.forks_in_flight);
        if held.get(IN_FLIGHT) >= most {
            return Step::Idle;
        }
        if !self.cells.has_room(held) || is_paused(held, now) {
            ramp::prepare(held);
            return Step::Idle;
        }
        if !self.has_proxy_memory(held) {
            ramp::prepare(held);
            self.wait_for_memory(held);
            return Step::Idle;
        }
        if !ramp::has_room(held, most, now) {
            // Time makes room, too.
            held.news.set(true);
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
                if is_held_back && !self.has_share_of_memory(held, held.pair(HELD_BACK).1) {
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
        match STUCK.head(held) {
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
        originator: Originator,
        now: &impl Fn() -> u64,
    ) -> bool {
        let head = originator.messages().head(held);
        let expired = head.filter(|&at| self.has_expired(at, now));
        expired.is_some_and(|at| {
            self.close(held, at, 0);
            true
        })
    }

    /// Lets an originator send for that of its messages whose turn it is, if its share allows it.
    fn take_turn(&self, held: &Held<'_>, originator: Originator) -> Step {
        let Some(at) = originator.messages().head(held) else {
            return Step::Idle;
        };
        let own = originator.in_flight(held);
        if !self.has_share(held, own) {
            if !self.has_share_of_cells(held, own) {
                ramp::prepare(held);
            }
            self.originators.hold_back(held, originator);
            return Step::More;
        }
        let (cursor, in_flight) = held.pair(at + block::CURSOR);
        if !self.has_room_in_window(held, at, in_flight) {
            self.leave_turns(held, at);
            return Step::More;
        }
        if let Some(entry) = Queue(at + block::READY).pop(held) {
            let hash = self.hash(self.block(at).own(entry).address);
            return match self.take_kept(held, hash, entry) {
                true => self.claim(held, at, entry, hash),
                false => Step::More,
            };
        }
        let block = self.block(at);
        if cursor as usize == block.count() {
            let (_, put_off) = held.pair(at + block::SKIPPED);
            let flags = held.get(at + block::FLAGS);
            if put_off == 0 || flags & flag::SECOND_PASS != 0 {
                self.leave_turns(held, at);
            } else {
                held.set(at + block::FLAGS, flags | flag::SECOND_PASS);
                held.set_pair(at + block::CURSOR, 0, in_flight);
            }
            return Step::More;
        }
        self.next_recipient(held, block, cursor, in_flight)
    }

    /// Goes on to the recipient at the cursor.
    fn next_recipient(
        &self,
        held: &Held<'_>,
        block: Block<'_>,
        cursor: u32,
        in_flight: u32,
    ) -> Step {
        let at = block.at;
        let entry = block.entry(cursor as usize);
        if recipient::place(held, entry) != Place::Waiting {
            held.set_pair(at + block::CURSOR, cursor + 1, in_flight);
            return Step::More;
        }
        let hash = self.hash(block.own(entry).address);
        let first_pass = held.get(at + block::FLAGS) & flag::SECOND_PASS == 0;
        if first_pass && self.silent.has(held, hash) {
            let (skipped, put_off) = held.pair(at + block::SKIPPED);
            held.set_pair(at + block::SKIPPED, skipped, put_off + 1);
            held.set_pair(at + block::CURSOR, cursor + 1, in_flight);
            return Step::More;
        }
        if self.limits.target_order {
            let is_lined = held.get(at + block::FLAGS) & flag::LINED != 0;
            let stand = is_lined.then(|| self.first_in_line(held, hash, entry));
            if let Some(None) = stand {
                // The turn of an earlier message of the group has not come: it lets this one follow.
                held.set_pair(at + block::CURSOR, cursor + 1, in_flight);
                recipient::set_place(held, entry, Place::AtTarget);
                return Step::More;
            }
            let stand = stand.flatten();
            match self.take_target(held, hash, entry) {
                Occupied::Yours => {
                    if let Some(stand) = stand {
                        stand.leave(held);
                        self.let_follow(held, hash, entry);
                    }
                }
                Occupied::Busy(busy) => {
                    held.set_pair(at + block::CURSOR, cursor + 1, in_flight);
                    if let Some(stand) = stand {
                        stand.leave(held);
                    }
                    self.wait_for_target(held, busy, entry);
                    if stand.is_some() {
                        self.let_follow(held, hash, entry);
                    }
                    return Step::More;
                }
                Occupied::NoRoom => {
                    self.leave_turns(held, at);
                    held.set(at + block::FLAGS, held.get(at + block::FLAGS) | flag::STUCK);
                    STUCK.push(held, at);
                    return Step::More;
                }
            }
        }
        held.set_pair(at + block::CURSOR, cursor + 1, in_flight);
        self.claim(held, at, entry, hash)
    }

    /// Lets a recipient wait for its target, if not too many do, nor too many of its originator.
    pub(super) fn wait_for_target(&self, held: &Held<'_>, busy: Busy, entry: usize) {
        recipient::set_place(held, entry, Place::AtTarget);
        let originator = |entry| Originator::of(held, block_of(&self.memory, entry));
        let own = originator(entry);
        let is_like_it = |other| originator(other) == own;
        if !busy.wait(held, entry, self.limits.target_queue, is_like_it) {
            self.end(held, entry, Ending::Skipped(SkipReason::TargetQueueFull));
        }
    }

    /// Lets a recipient whose target is kept for it be sent to.
    pub(super) fn make_ready(&self, held: &Held<'_>, entry: usize) {
        let at = block_of(&self.memory, entry);
        self.keep_target(held, entry);
        recipient::set_place(held, entry, Place::Ready);
        Queue(at + block::READY).push(held, entry);
        self.enter_turns(held, at);
    }

    /// Takes a recipient whose target is ours, and gives the turn to the next message of the next originator.
    fn claim(&self, held: &Held<'_>, at: usize, entry: usize, hash: u64) -> Step {
        // Before the attempt exists, so that each one that is under way has its pin.
        self.pin(held, at);
        let cookie = self.cells.allocate(held, entry, hash);
        recipient::set_place(held, entry, Place::InFlight);
        let (cursor, in_flight) = held.pair(at + block::CURSOR);
        held.set_pair(at + block::CURSOR, cursor, in_flight + 1);
        held.add(IN_FLIGHT, 1);
        self.owe_memory(held, at);
        Originators::take_off(held, at);
        let originator = Originator::of(held, at);
        let messages = originator.messages();
        if !self.may_send(held, at) {
            self.leave_turns(held, at);
        } else if messages.after(held, at).is_some() {
            messages.remove(held, at);
            messages.push(held, at);
        }
        originator.turn_is_over(held);
        Step::Claimed(entry, cookie)
    }

    /// Whether a message has recipients that have not had their turn, and room in its window.
    fn may_send(&self, held: &Held<'_>, at: usize) -> bool {
        let (_, in_flight) = held.pair(at + block::CURSOR);
        self.has_more(held, at) && self.has_room_in_window(held, at, in_flight)
    }

    /// Whether a message has recipients that have not had their turn.
    #[inline]
    pub(super) fn has_more(&self, held: &Held<'_>, at: usize) -> bool {
        let (cursor, _) = held.pair(at + block::CURSOR);
        (cursor as usize) < self.block(at).count()
            || Queue(at + block::READY).head(held).is_some()
            || held.pair(at + block::SKIPPED).1 > 0
                && held.get(at + block::FLAGS) & flag::SECOND_PASS == 0
    }

    /// Whether a message is out of time. The clock is only asked for one that may be.
    pub(super) fn has_expired(&self, at: usize, now: impl Fn() -> u64) -> bool {
        let expires_at = self.memory.get(at + block::EXPIRES_AT);
        expires_at != 0 && self.by_clock(at, expires_at) <= now()
    }

    /// The block at this place.
    pub(super) fn block(&self, at: usize) -> Block<'_> {
        Block {
            memory: &self.memory,
            at,
        }
    }

    /// A fork is not in flight any more, and its recipient has ended.
    pub(super) fn land(&self, held: &Held<'_>, cell: Cell, ending: Ending, was_sent: bool) {
        let (entry, hash) = (cell.entry(held), cell.target(held));
        let at = block_of(&self.memory, entry);
        self.lower(held, cell, at);
        if was_sent {
            let answered = ending != Ending::Unreachable(408);
            self.silent.note(held, hash, answered);
        }
        self.end(held, entry, ending);
        self.leave_target(held, hash);
        self.enter_turns(held, at);
    }

    /// Counts one fork less in flight.
    #[inline]
    pub(super) fn lower(&self, held: &Held<'_>, cell: Cell, at: usize) {
        if cell.is_silent(held) {
            self.silent_no_more(held, cell, at);
        }
        let (cursor, in_flight) = held.pair(at + block::CURSOR);
        held.set_pair(at + block::CURSOR, cursor, in_flight - 1);
        held.subtract(IN_FLIGHT, 1);
        self.memory_is_taken(held, at);
        self.originators.land(held, at);
    }

    /// A target is free: one that waits for room in the table of targets may go on.
    #[inline]
    pub(super) fn one_stuck_goes_on(&self, held: &Held<'_>) {
        if let Some(at) = STUCK.head(held) {
            self.go_on(held, at);
        }
    }

    /// Lets a message take turns again that has waited for room in the table of targets.
    pub(super) fn go_on(&self, held: &Held<'_>, at: usize) {
        self.leave_lists(held, at);
        self.enter_turns(held, at);
    }

    /// Puts a message that has something to send, and may, among those that take turns.
    pub(super) fn enter_turns(&self, held: &Held<'_>, at: usize) {
        let mut flags = held.get(at + block::FLAGS);
        if flags & (flag::IN_TURNS | flag::CLOSING | flag::LINING) != 0 {
            return;
        }
        if flags & flag::STUCK != 0 {
            // Only a recipient whose target is kept needs no room.
            if Queue(at + block::READY).head(held).is_none() {
                return;
            }
            self.leave_lists(held, at);
            flags &= !flag::STUCK;
        }
        if self.may_send(held, at) {
            held.set(at + block::FLAGS, flags | flag::IN_TURNS);
            self.originators.enter(held, at);
        }
    }

    /// Ends a recipient that is in no queue, and lets it be told.
    pub(super) fn end(&self, held: &Held<'_>, entry: usize, ending: Ending) {
        recipient::end(held, entry, ending);
        let at = block_of(&self.memory, entry);
        let counter = self.tally_up(held, at, ending);
        self.count(counter);
        held.subtract(WAITING, 1);
        let (left, untold) = held.pair(at + block::LEFT);
        if left == 1 && self.limits.target_order {
            self.groups.leave(held, at);
        }
        // The last one is told in any case, and after it that the message is finished.
        if self.is_untold(ending) && untold > 1 {
            recipient::set_told(held, entry);
            held.set_pair(at + block::LEFT, left - 1, untold - 1);
            return;
        }
        held.set_pair(at + block::LEFT, left - 1, untold);
        if OUTCOMES.push(held, entry) {
            held.news.set(true);
        }
    }

    /// Whether nobody wants to be told of a recipient that has ended so.
    fn is_untold(&self, ending: Ending) -> bool {
        matches!(ending, Ending::Delivered(_)) && self.memory.get(DELIVERED_UNTOLD) != 0
    }

    /// Counts a recipient that has ended among those of its message.
    pub(super) fn tally_up(&self, held: &Held<'_>, at: usize, ending: Ending) -> Counter {
        let (word, high) = Self::tally_word(ending);
        held.add(at + word, if high { 1 << 32 } else { 1 });
        match ending {
            Ending::Delivered(_) => Counter::ForksDelivered,
            Ending::Refused(_) | Ending::Unreachable(_) | Ending::Kept(_) => Counter::ForksFailed,
            Ending::Expired => Counter::ForksExpired,
            Ending::Skipped(_) => Counter::ForksSkipped,
        }
    }

    /// Where a message counts those of its recipients that have ended so: the word, and whether its upper half.
    pub(super) fn tally_word(ending: Ending) -> (usize, bool) {
        match ending {
            Ending::Delivered(_) => (block::DELIVERED, false),
            Ending::Refused(_) => (block::DELIVERED, true),
            Ending::Unreachable(_) => (block::UNREACHABLE, false),
            Ending::Expired => (block::UNREACHABLE, true),
            Ending::Skipped(_) => (block::SKIPPED, false),
            Ending::Kept(_) => (block::KEPT_FOR, false),
        }
    }

    /// How recipients of this message end without an attempt, if it sends nothing more.
    pub(super) fn closing(&self, held: &Held<'_>, at: usize) -> Option<Ending> {
        let flags = held.get(at + block::FLAGS);
        (flags & flag::CLOSING != 0).then_some(match flags & flag::CANCELLED {
            0 => Ending::Expired,
            _ => Ending::Skipped(SkipReason::Cancelled),
        })
    }

    /// Lets a message send nothing more.
    pub(super) fn close(&self, held: &Held<'_>, at: usize, why: u64) {
        let flags = held.get(at + block::FLAGS);
        if flags & flag::CLOSING != 0 {
            return;
        }
        self.leave_lists(held, at);
        held.set(
            at + block::FLAGS,
            held.get(at + block::FLAGS) | flag::CLOSING | flag::IN_CLOSING | why,
        );
        let (_, in_flight) = held.pair(at + block::CURSOR);
        held.set_pair(at + block::CURSOR, 0, in_flight);
        CLOSING.push(held, at);
        self.names.look_again(held);
        held.news.set(true);
    }

    /// Lets a recipient that has come back to a message that sends nothing more be ended.
    pub(super) fn close_again(&self, held: &Held<'_>, at: usize) {
        let flags = held.get(at + block::FLAGS);
        if flags & (flag::CLOSING | flag::IN_CLOSING) == flag::CLOSING {
            held.set(at + block::FLAGS, flags | flag::IN_CLOSING);
            CLOSING.push(held, at);
        }
    }

    /// Ends a recipient of a message that sends nothing more, unless it is in flight or waits for one
    /// that is.
    fn close_one(&self, held: &Held<'_>, entry: usize, ending: Ending) {
        let place = recipient::place(held, entry);
        if !matches!(place, Place::Waiting | Place::AtTarget) {
            return;
        }
        let block = self.block(block_of(&self.memory, entry));
        let hash = self.hash(block.own(entry).address);
        if let Some(stand) = self.stand(held, hash, entry) {
            stand.leave(held);
            self.end(held, entry, ending);
            self.let_follow(held, hash, entry);
        } else if place == Place::Waiting {
            self.end(held, entry, ending);
        }
    }

    /// Ends some of the recipients of messages that send nothing more; says whether there are others.
    pub(super) fn close_some(&self, held: &Held<'_>) -> bool {
        let Some(at) = CLOSING.head(held) else {
            return false;
        };
        let Some(ending) = self.closing(held, at) else {
            return false;
        };
        let block = self.block(at);
        for _ in 0..STEPS {
            if let Some(entry) = Queue(at + block::READY).pop(held) {
                self.end(held, entry, ending);
                self.leave_kept(held, self.hash(block.own(entry).address), entry);
                continue;
            }
            let (cursor, in_flight) = held.pair(at + block::CURSOR);
            if cursor as usize == block.count() {
                self.leave_lists(held, at);
                break;
            }
            held.set_pair(at + block::CURSOR, cursor + 1, in_flight);
            self.close_one(held, block.entry(cursor as usize), ending);
        }
        true
    }

    /// Takes a message out of the list of those that are to do something.
    pub(super) fn leave_lists(&self, held: &Held<'_>, at: usize) {
        let flags = held.get(at + block::FLAGS);
        if flags & flag::IN_TURNS != 0 {
            self.leave_turns(held, at);
        } else if flags & flag::LINING != 0 {
            LINING.remove(held, at);
            held.set(at + block::FLAGS, flags & !flag::LINING);
        } else if flags & flag::STUCK != 0 {
            STUCK.remove(held, at);
            held.set(at + block::FLAGS, flags & !flag::STUCK);
        } else if flags & flag::IN_CLOSING != 0 {
            CLOSING.remove(held, at);
            held.set(at + block::FLAGS, flags & !flag::IN_CLOSING);
        }
    }

    /// Takes a message out of the turns.
    fn leave_turns(&self, held: &Held<'_>, at: usize) {
        self.originators.quit(held, at);
        held.set(
            at + block::FLAGS,
            held.get(at + block::FLAGS) & !flag::IN_TURNS,
        );
    }
}

/// Whether nothing is sent now, for lack of the proxy's memory.
fn is_paused(held: &Held<'_>, now: impl Fn() -> u64) -> bool {
    let until = held.get(PAUSED_UNTIL);
    until != 0 && now() < until
}
