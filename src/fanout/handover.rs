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
use super::engine::Engine;
use super::layout::block;
use super::lock::Held;
use super::originators::Originator;
use super::recipient::{self, Place};
use super::targets::{Busy, Occupied};

/// Recipients of a queue among which the next is sought.
const LOOKED_AT: usize = 128;

impl Engine {
    /// Takes a target for a recipient, unless somebody has it, or it is kept for one that goes before.
    #[inline]
    pub(super) fn take_target(&self, held: &Held<'_>, hash: u64, entry: usize) -> Occupied {
        match self.targets.occupy(held, hash) {
            Occupied::Busy(busy) => self.overtake(held, busy, entry),
            occupied => occupied,
        }
    }

    fn overtake(&self, held: &Held<'_>, busy: Busy, entry: usize) -> Occupied {
        let (kept, put_off) = busy.kept(held);
        let is_free = kept != 0
            && put_off == 0
            && self.is_held_up(held, kept)
            && !self.is_held_up(held, entry)
            && !self.is_of_group(held, entry, kept)
            && !busy
                .waiting(held)
                .any(|other| self.is_of_group(held, entry, other));
        if !is_free {
            return Occupied::Busy(busy);
        }
        busy.keep(held, 0, kept);
        Occupied::Yours
    }

    /// Takes the target of a recipient that is ready; has another one overtaken it, it waits as the first.
    pub(super) fn take_kept(&self, held: &Held<'_>, hash: u64, entry: usize) -> bool {
        if !self.limits.target_order {
            return true;
        }
        let Occupied::Busy(busy) = self.targets.occupy(held, hash) else {
            return true;
        };
        let (kept, put_off) = busy.kept(held);
        if kept == entry {
            busy.keep(held, 0, put_off);
            return true;
        }
        if put_off == entry {
            busy.keep(held, kept, 0);
        }
        recipient::set_place(held, entry, Place::AtTarget);
        busy.wait_first(held, entry);
        false
    }

    /// Keeps a target for a recipient that is ready.
    pub(super) fn keep_target(&self, held: &Held<'_>, entry: usize) {
        if !self.limits.target_order {
            return;
        }
        let own = self.block(block_of(&self.memory, entry)).own(entry);
        if let Some(busy) = self.targets.find(held, self.hash(own.address)) {
            let (_, put_off) = busy.kept(held);
            busy.keep(held, entry, put_off);
        }
    }

    /// A recipient that was ready has ended: others get its target, if that was kept for it.
    pub(super) fn leave_kept(&self, held: &Held<'_>, hash: u64, entry: usize) {
        let Some(busy) = self.targets.find(held, hash) else {
            return;
        };
        let (kept, put_off) = busy.kept(held);
        if put_off == entry {
            busy.keep(held, kept, 0);
        } else if kept == entry {
            busy.keep(held, 0, put_off);
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
        if busy.is_wanted(held) && self.hands_over(held, busy) {
            return;
        }
        self.targets.leave(held, hash);
        self.one_stuck_goes_on(held);
    }

    /// Keeps a target for who is next, if anybody is.
    fn hands_over(&self, held: &Held<'_>, busy: Busy) -> bool {
        while let Some(entry) = self.next_at(held, busy) {
            let at = block_of(&self.memory, entry);
            match self.closing(held, at) {
                Some(ending) => self.end(held, entry, ending),
                None => {
                    self.make_ready(held, entry);
                    return true;
                }
            }
        }
        let (_, put_off) = busy.kept(held);
        busy.keep(held, put_off, 0);
        put_off != 0
    }

    /// Takes the next recipient out of those that wait for a target; nothing if that is the one that was put off.
    fn next_at(&self, held: &Held<'_>, busy: Busy) -> Option<usize> {
        let (_, put_off) = busy.kept(held);
        let first = match put_off {
            0 => busy.waiting(held).next()?,
            put_off => put_off,
        };
        if self.is_held_up(held, first) {
            let mut before = (0, 0);
            let mut groups = vec![self.group(held, first)];
            for entry in busy.waiting(held).take(LOOKED_AT) {
                before = (before.1, entry);
                if !groups.contains(&self.group(held, entry)) {
                    if !self.is_held_up(held, entry) {
                        busy.leave_queue(held, before.0, entry);
                        return Some(entry);
                    }
                    groups.push(self.group(held, entry));
                }
            }
        }
        match put_off {
            0 => busy.next(held),
            _ => None,
        }
    }

    /// Whether the originator of a recipient has as many copies in flight as it may.
    fn is_held_up(&self, held: &Held<'_>, entry: usize) -> bool {
        let originator = Originator::of(held, block_of(&self.memory, entry));
        !self.has_share(held, originator.in_flight(held))
    }

    fn group(&self, held: &Held<'_>, entry: usize) -> u64 {
        held.get(block_of(&self.memory, entry) + block::LINE)
    }

    fn is_of_group(&self, held: &Held<'_>, entry: usize, other: usize) -> bool {
        self.group(held, entry) == self.group(held, other)
    }
}
