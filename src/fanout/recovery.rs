//! What is done when a process died while it held the lock, or panicked half-way through a change: lists, counts and
//! free memory are made anew from what each change writes first or last: the pieces of the arena, where each recipient
//! is, and the transactions in use.

#![forbid(unsafe_code)]

use super::block::block_of;
use super::layout::{Message, Transaction, flag};
use super::lock::Held;
use super::originators::Originators;
use super::proxy_memory::CopyMemory;
use super::recipient::{Outcome, Recipient, RecipientState};
use super::room::Room;
use super::scheduler::Scheduler;
use super::shared_memory::At;
use super::transactions::{HELD, IN_FLIGHT, SENDING};
use std::collections::HashSet;

/// Makes anew what a dead process may have left half done.
pub(super) struct Recovery<'q> {
    pub(super) scheduler: &'q Scheduler,
    pub(super) room: &'q Room,
}

impl Recovery<'_> {
    /// Makes everything anew.
    #[cold]
    pub(super) fn run(&self, held: &mut Held<'_>) {
        log::error!(
            "a process died or failed while it held the lock of the queue: the others go on; a member \
             may get a message twice, with the same Call-ID"
        );
        let (hot, flow) = (&held.root.hot, &held.root.flow);
        for list in [&flow.queueing, &flow.stuck, &flow.closing] {
            list.clear(held);
        }
        flow.messages.clear(held);
        flow.outcomes.clear(held);
        flow.finished.set(held, None);
        for count in [
            &hot.in_flight,
            &hot.waiting,
            &flow.messages_length,
            &flow.silent_copies,
        ] {
            count.set(held, 0);
        }
        CopyMemory::forget_owed(held);
        self.scheduler.targets.clear(held);
        self.scheduler.originators.clear(held);
        self.scheduler.groups.clear(held);
        self.scheduler.member_queues.clear(held);
        self.scheduler.names.clear(held);
        let mut blocks = self.room.recover(held);
        blocks.retain(|&at| held[at].flags.get() & flag::STARTED != 0);
        blocks.sort_unstable_by_key(|&at| held.block(at).number());
        let flying = self.transactions(held);
        for &at in &blocks {
            self.message(held, at, &flying);
        }
        held.notify.set(true);
    }

    /// A transaction that nobody knows of any more is given up; its recipient is sent to again.
    /// Gives the recipients whose forks are in flight.
    fn transactions(&self, held: &Held<'_>) -> HashSet<At<Recipient>> {
        let mut flying = HashSet::new();
        self.scheduler
            .transactions
            .recover(held, |held, transaction| {
                let bits = transaction.bits();
                let Some(entry) = transaction.entry() else {
                    return bits;
                };
                let is_flying = held[entry].state() == RecipientState::InFlight;
                if bits & IN_FLIGHT == 0 {
                    // Its block may have been given back.
                    return bits;
                }
                let is_lost = bits & SENDING != 0 && transaction.process().has_ended();
                if is_flying && !is_lost {
                    flying.insert(entry);
                    // The next look finds that it is silent.
                    transaction.is_silent_no_more(held);
                    let hash = self
                        .scheduler
                        .keys
                        .of_address(held.block_of(entry).own(entry).address);
                    self.scheduler.targets.occupy(held, hash);
                    return bits;
                }
                if is_lost || held[entry].outcome().is_none() {
                    if held[entry].outcome().is_none() {
                        held[entry].set_state(held, RecipientState::Waiting);
                        held[entry].set_repeated(held);
                    }
                    if is_lost {
                        held[block_of(held.memory, entry)].unpin(held);
                    }
                    transaction.take(held, IN_FLIGHT | HELD | SENDING);
                    return 0;
                }
                transaction.take(held, IN_FLIGHT);
                bits & !IN_FLIGHT
            });
        flying
    }

    /// Takes back a copy that a process was about to send when it died, if it was. Nobody needs to have died with the
    /// lock for that.
    pub(super) fn take_back(&self, held: &mut Held<'_>, transaction: &Transaction) {
        if transaction.bits() & SENDING == 0 || !transaction.process().has_ended() {
            return;
        }
        let Some(entry) = transaction.entry() else {
            return;
        };
        let bits = transaction.take(held, SENDING);
        let at = block_of(held.memory, entry);
        if bits & IN_FLIGHT != 0 {
            self.scheduler.lower(held, transaction, at);
            self.scheduler.keep_target(held, entry);
            held[entry].set_state(held, RecipientState::Ready);
            held[entry].set_repeated(held);
            held[at].ready.push_front(held, entry);
            self.scheduler.enter_turns(held, at);
            self.scheduler.close_again(held, at);
        }
        transaction.take(held, IN_FLIGHT | HELD);
        self.scheduler.transactions.free(held, transaction);
        if held[at].unpin(held) {
            self.room.free_finished(held, self.scheduler, at);
        }
    }

    fn message(&self, held: &mut Held<'_>, at: At<Message>, flying: &HashSet<At<Recipient>>) {
        held.root.flow.messages.push(held, at);
        let originator = self.scheduler.keys.of_originator(held.block(at).texts()[0]);
        self.scheduler.originators.join(held, at, originator);
        if held[at].is_done() {
            held[at].flags.set(held, flag::STARTED);
            if !held[at].is_pinned() {
                self.room.free_finished(held, self.scheduler, at);
            }
            return;
        }
        let own = held.block(at);
        let (mut left, mut unreported, mut in_flight) = (0, 0, 0);
        let mut ended = [0u32; 6];
        for number in 0..own.count() {
            let entry = own.entry(number);
            held[entry].link().set(held, None);
            match held[entry].outcome() {
                None if flying.contains(&entry) => {
                    in_flight += 1;
                    Originators::take_off(held, at);
                }
                None => {
                    held[entry].set_state(held, RecipientState::Waiting);
                    if self.scheduler.limits.target_order {
                        self.scheduler.push_into_member_queue(held, own, entry);
                    }
                }
                Some(outcome) => {
                    let kind = match outcome {
                        Outcome::Delivered(_) => 0,
                        Outcome::Refused(_) => 1,
                        Outcome::Unreachable(_) => 2,
                        Outcome::Expired => 3,
                        Outcome::Skipped(_) => 4,
                        Outcome::Kept(_) => 5,
                    };
                    ended[kind] += 1;
                    if !held[entry].is_reported() {
                        unreported += 1;
                        held.root.flow.outcomes.push(held, entry);
                    }
                    continue;
                }
            }
            left += 1;
            unreported += 1;
        }
        if self.scheduler.limits.target_order && left > 0 {
            self.scheduler.groups.count(held, at);
        }

        let message = &held[at];
        message.left.set(held, left);
        message.unreported.set(held, unreported);
        message.cursor.set(held, 0);
        message.in_flight.set(held, in_flight);
        message.ready.clear(held);
        message.silent.set(held, 0);
        message.put_off.set(held, 0);
        let counts = [
            &message.delivered,
            &message.refused,
            &message.unreachable,
            &message.expired,
            &message.skipped,
            &message.kept_for,
        ];
        for (count, ended) in counts.into_iter().zip(ended) {
            count.set(held, ended);
        }
        held.root.hot.waiting.add(held, u64::from(left));
        held.root.hot.in_flight.add(held, u64::from(in_flight));
        self.scheduler.copy_memory.owe_again(held, at, in_flight);
        if unreported == 0 {
            held.root.flow.finished.set(held, Some(at));
        }
        let flags = held[at].flags.get();
        let queued = if self.scheduler.limits.target_order {
            flag::QUEUED
        } else {
            0
        };
        let kept = flags & (flag::STARTED | flag::CLOSING | flag::CANCELLED) | queued;
        if kept & flag::CLOSING != 0 {
            held[at].flags.set(held, kept | flag::IN_CLOSING);
            held.root.flow.closing.push(held, at);
        } else {
            held[at].flags.set(held, kept);
            self.scheduler.enter_turns(held, at);
        }
    }
}
