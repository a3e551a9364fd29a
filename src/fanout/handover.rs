//! Who gets a target next (M-3): the recipient that has waited longest, unless its originator has as many copies in
//! flight as it may. It would keep the target from the others for as long as its silent recipients last, so others
//! overtake it then. Within a group nobody overtakes.
//!
//! ```text
//!                           who waits longest
//!   ┌───────────────────────────────────────────────────────────────────┐
//!   │                                                                   ▼
//! taken ◄── its turn ── kept for e ── e is held up, another takes it ──► taken, e put off
//!   ▲                       ▲                                           │       │
//!   │                       └─────── it is over, and nobody else may ───┘       │
//!   └──────────── the turn of e comes: it waits before all others ──────────────┘
//! ```
//!
//! Both e stand in READY of their message meanwhile, and are looked at when their turn comes. Where e is put off, the
//! target may be kept for another one.

#![forbid(unsafe_code)]

use super::block::block_of;
use super::layout::Message;
use super::lock::Held;
use super::recipient::{Recipient, RecipientState};
use super::scheduler::Scheduler;
use super::shared_memory::At;
use super::targets::{Occupied, Target};

/// Recipients of a queue among which the next is sought.
const LOOKED_AT: usize = 128;

/// The only recipient of a message has had its turn.
fn pass(held: &Held<'_>, at: At<Message>) {
    held[at].cursor.set(held, 1);
}

impl Scheduler {
    /// Puts the only recipient of a message that is made of a kept copy where it is sent to before all that was not
    /// kept, and behind what was kept before it (M-3).
    pub(super) fn go_first(&self, held: &Held<'_>, at: At<Message>) {
        let own = held.block(at);
        let entry = own.entry(0);
        let hash = self.keys.of_address(own.own(entry).address);
        match self.targets.occupy(held, hash) {
            Occupied::Yours => {
                pass(held, at);
                self.make_ready(held, entry);
            }
            Occupied::Busy(busy) => {
                pass(held, at);
                held[entry].set_state(held, RecipientState::AtTarget);
                let is_kept = |&other: &At<Recipient>| held.block_of(other).kept() != 0;
                match busy.waiting(held).filter(is_kept).last() {
                    None => busy.wait_first(held, entry),
                    Some(before) => busy.wait_behind(held, before, entry),
                }
            }
            // It takes its turn like others.
            Occupied::NoRoom => self.enter_turns(held, at),
        }
    }

    /// Takes a target for a recipient, unless somebody has it, or it is kept for one that goes before.
    #[inline]
    pub(super) fn take_target<'h>(
        &self,
        held: &'h Held<'_>,
        hash: u64,
        entry: At<Recipient>,
    ) -> Occupied<'h> {
        match self.targets.occupy(held, hash) {
            Occupied::Busy(busy) => self.overtake(held, busy, entry),
            occupied => occupied,
        }
    }

    pub(super) fn overtake<'h>(
        &self,
        held: &Held<'_>,
        busy: &'h Target,
        entry: At<Recipient>,
    ) -> Occupied<'h> {
        let Some(kept) = busy.kept() else {
            return Occupied::Busy(busy);
        };
        let is_free = busy.put_off().is_none()
            && self.is_held_up(held, kept)
            && !self.is_held_up(held, entry)
            && !self.is_of_group(held, entry, kept)
            && !busy
                .waiting(held)
                .any(|other| self.is_of_group(held, entry, other));
        if !is_free {
            return Occupied::Busy(busy);
        }
        busy.keep(held, None);
        busy.keep_put_off(held, Some(kept));
        Occupied::Yours
    }

    /// Takes the target of a recipient that is ready; has another one overtaken it, it waits as the first.
    pub(super) fn take_kept(&self, held: &Held<'_>, hash: u64, entry: At<Recipient>) -> bool {
        if !self.limits.target_order {
            return true;
        }
        let Occupied::Busy(busy) = self.targets.occupy(held, hash) else {
            return true;
        };
        if busy.kept() == Some(entry) {
            busy.keep(held, None);
            return true;
        }
        if busy.put_off() == Some(entry) {
            busy.keep_put_off(held, None);
        }
        held[entry].set_state(held, RecipientState::AtTarget);
        busy.wait_first(held, entry);
        false
    }

    /// Keeps a target for a recipient that is ready.
    pub(super) fn keep_target(&self, held: &Held<'_>, entry: At<Recipient>) {
        if !self.limits.target_order {
            return;
        }
        let own = held.block_of(entry).own(entry);
        if let Some(busy) = self.targets.find(held, self.keys.of_address(own.address)) {
            busy.keep(held, Some(entry));
        }
    }

    /// A recipient that was ready has ended: others get its target, if that was kept for it.
    pub(super) fn leave_kept(&self, held: &Held<'_>, hash: u64, entry: At<Recipient>) {
        let Some(busy) = self.targets.find(held, hash) else {
            return;
        };
        if busy.put_off() == Some(entry) {
            busy.keep_put_off(held, None);
        } else if busy.kept() == Some(entry) {
            busy.keep(held, None);
            self.leave_target(held, hash);
        }
    }

    /// Gives a target to the next recipient that waits for it.
    pub(super) fn leave_target(&self, held: &Held<'_>, hash: u64) {
        if !self.limits.target_order {
            return;
        }
        let Some(busy) = self.targets.find(held, hash) else {
            return;
        };
        if busy.is_wanted() && self.hands_over(held, busy) {
            return;
        }
        self.targets.leave(held, hash);
        self.one_stuck_goes_on(held);
    }

    /// Keeps a target for who is next, if anybody is.
    pub(super) fn hands_over(&self, held: &Held<'_>, busy: &Target) -> bool {
        while let Some(entry) = self.next_at(held, busy) {
            let at = block_of(held.memory, entry);
            match self.closing(held, at) {
                Some(outcome) => self.end(held, entry, outcome),
                None => {
                    self.make_ready(held, entry);
                    return true;
                }
            }
        }
        let put_off = busy.put_off();
        busy.keep(held, put_off);
        busy.keep_put_off(held, None);
        put_off.is_some()
    }

    /// Takes the next recipient out of those that wait for a target; nothing if that is the one that was put off.
    pub(super) fn next_at(&self, held: &Held<'_>, busy: &Target) -> Option<At<Recipient>> {
        let put_off = busy.put_off();
        let first = put_off.or_else(|| busy.waiting(held).next())?;
        if self.is_held_up(held, first) {
            let mut last = None;
            let mut groups = vec![self.group(held, first)];
            for entry in busy.waiting(held).take(LOOKED_AT) {
                let before = last.replace(entry);
                if !groups.contains(&self.group(held, entry)) {
                    if !self.is_held_up(held, entry) {
                        busy.leave_queue(held, before, entry);
                        return Some(entry);
                    }
                    groups.push(self.group(held, entry));
                }
            }
        }
        match put_off {
            None => busy.next(held),
            Some(_) => None,
        }
    }

    /// Whether the originator of a recipient has as many copies in flight as it may.
    pub(super) fn is_held_up(&self, held: &Held<'_>, entry: At<Recipient>) -> bool {
        let originator = Message::originator_of(held, block_of(held.memory, entry));
        !self.has_share(held, originator.in_flight.get())
    }

    pub(super) fn group(&self, held: &Held<'_>, entry: At<Recipient>) -> u64 {
        held[block_of(held.memory, entry)].group.get()
    }

    pub(super) fn is_of_group(
        &self,
        held: &Held<'_>,
        entry: At<Recipient>,
        other: At<Recipient>,
    ) -> bool {
        self.group(held, entry) == self.group(held, other)
    }
}
