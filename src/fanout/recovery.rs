//! What is done when a process died while it held the lock, or panicked half-way through a change: lists, counts and free memory are made
//! anew from what each change writes first or last: the pieces of the arena, where each recipient is,
//! and the transactions in use.

#![forbid(unsafe_code)]

use super::block::block_of;
use super::engine::Engine;
use super::layout::{Message, flag};
use super::lock::{Blocked, Held, OF_MESSAGES};
use super::originators::Originators;
use super::proxy_memory::CopyMemory;
use super::recipient::{Outcome, Recipient, RecipientState};
use super::shared_memory::At;
use super::transactions::{HELD, IN_FLIGHT, SENDING};
use std::collections::HashSet;

impl Engine {
    /// Makes everything anew that the dead process may have left half done.
    #[cold]
    pub(super) fn recover(&self, held: &mut Held<'_>) {
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
        let mut blocks = self.arena.recover(held);
        held.root
            .flow
            .messages_length
            .set(held, blocks.len() as u64);
        blocks.retain(|&at| held[at].flags.get() & flag::STARTED != 0);
        blocks.sort_unstable_by_key(|&at| held.block(at).number());
        let flying = self.recover_transactions(held);
        for &at in &blocks {
            self.recover_message(held, at, &flying);
        }
        self.recover_deferred(held);
        held.notify.set(true);
    }

    /// A transaction that nobody knows of any more is given up; its recipient is sent to again.
    /// Gives the recipients whose forks are in flight.
    fn recover_transactions(&self, held: &Held<'_>) -> HashSet<At<Recipient>> {
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
                        held[block_of(&self.memory, entry)].unpin(held);
                    }
                    transaction.take(held, IN_FLIGHT | HELD | SENDING);
                    return 0;
                }
                transaction.take(held, IN_FLIGHT);
                bits & !IN_FLIGHT
            });
        flying
    }

    /// Takes back the forks that a process was about to send when it died, to be called by the clock.
    pub(super) fn take_back_from_the_dead(&self) -> Result<(), Blocked> {
        for transaction in self.scheduler.transactions.sending(&self.memory) {
            self.with_within(OF_MESSAGES, |held| {
                if transaction.bits() & SENDING == 0 || !transaction.process().has_ended() {
                    return;
                }
                let Some(entry) = transaction.entry() else {
                    return;
                };
                let bits = transaction.take(held, SENDING);
                let at = block_of(&self.memory, entry);
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
                    self.give_back(held, at);
                }
            })?;
        }
        Ok(())
    }

    fn recover_message(
        &self,
        held: &mut Held<'_>,
        at: At<Message>,
        flying: &HashSet<At<Recipient>>,
    ) {
        held.root.flow.messages.push(held, at);
        let originator = self.scheduler.keys.of_originator(held.block(at).texts()[0]);
        self.scheduler.originators.join(held, at, originator);
        if held[at].is_done() {
            held[at].flags.set(held, flag::STARTED);
            if !held[at].is_pinned() {
                self.give_back(held, at);
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
                    if self.limits.target_order {
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
        if self.limits.target_order && left > 0 {
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
        let queued = if self.limits.target_order {
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

#[cfg(test)]
mod tests {
    use super::super::lock::death::{self, End};
    use super::super::tests::{NOW, engine, start, start_narrow};
    use super::super::{Attempt, Event};
    use super::*;
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::{Duration, Instant};

    /// Far longer than an attempt takes to end.
    const MOMENT: Duration = Duration::from_millis(200);

    /// Sends what can be sent, and tells what is to be told.
    fn go_on(engine: &Engine, told: &mut HashMap<(u64, u32), u32>, finished: &mut u32) {
        while let Some(attempt) = engine.next(|| NOW) {
            let cookie = attempt.cookie();
            drop(attempt);
            engine.completed(cookie, 200);
            engine.released(cookie);
        }
        engine.tick(NOW);
        while let Some(event) = engine.next_event() {
            match event {
                Event::Ended(outcome) => {
                    let key = (outcome.message(), outcome.recipient());
                    *told.entry(key).or_default() += 1;
                }
                Event::Finished(_) => *finished += 1,
            }
        }
    }

    #[test]
    fn an_attempt_that_ends_while_all_is_made_anew_gives_its_transaction_back_once() {
        let engine = engine();
        start(&engine, &["sip:a@h", "sip:b@h", "sip:c@h"]);
        let attempt = engine.next(|| NOW).unwrap();
        engine.completed(attempt.cookie(), 200);
        engine.released(attempt.cookie());
        let transaction = engine
            .scheduler
            .transactions
            .of_attempt(&engine.memory, attempt.cookie());
        std::thread::scope(|scope| {
            engine.with(|held| {
                scope.spawn(|| drop(attempt));
                // The attempt is over now, or waits for the lock.
                let begin = Instant::now();
                while transaction.bits() & SENDING != 0 && begin.elapsed() < MOMENT {
                    std::thread::yield_now();
                }
                engine.recover(held);
            });
        });
        assert_eq!(engine.load().transactions, 0);
        let attempts: Vec<_> = std::iter::from_fn(|| engine.next(|| NOW)).collect();
        let [first, second] = &attempts[..] else {
            panic!("{attempts:?}");
        };
        assert_ne!(first.cookie() & 0xfffff, second.cookie() & 0xfffff);
        assert_eq!(engine.load().transactions, 2);
    }

    #[test]
    fn whenever_a_process_dies_the_others_send_to_all_that_are_left() {
        whenever_it_ends_the_others_send_to_all_that_are_left(End::Death);
    }

    #[test]
    fn whenever_a_process_panics_it_and_the_others_send_to_all_that_are_left() {
        whenever_it_ends_the_others_send_to_all_that_are_left(End::Panic);
    }

    fn whenever_it_ends_the_others_send_to_all_that_are_left(end: End) {
        let mut deaths = 0;
        for changes in 1.. {
            let engine = engine();
            let first = start(&engine, &["sip:a@h", "sip:b@h", "sip:c@h"]);
            let second = start(&engine, &["sip:c@h", "sip:b@h", "sip:d@h"]);
            let in_flight = engine.next(|| NOW).unwrap();
            let cookie = in_flight.cookie();
            drop(in_flight);
            let (mut told, mut finished) = (HashMap::new(), 0);
            death::after(end, changes);
            let _ = catch_unwind(AssertUnwindSafe(|| {
                drop(engine.next(|| NOW));
                engine.completed(cookie, 408);
                let third = start(&engine, &["sip:e@h"]);
                engine.cancel(third).unwrap();
                go_on(&engine, &mut told, &mut finished);
            }));
            let died = death::over();
            deaths += u32::from(died);
            // The proxy ends what it was given; nobody knows of an attempt that died.
            engine.completed(cookie, 200);
            engine.released(cookie);
            let known: Vec<u64> = (0..1 << 4)
                .flat_map(|transaction| (1..8).map(move |n| n << 20 | transaction))
                .collect();
            go_on(&engine, &mut told, &mut finished);
            for cookie in known {
                engine.completed(cookie, 200);
                engine.released(cookie);
            }
            go_on(&engine, &mut told, &mut finished);
            assert!(
                told.values().all(|&times| times == 1),
                "{changes}: {told:?}"
            );
            let of = |message| told.keys().filter(|(of, _)| *of == message).count();
            // One outcome may have died with the process that was telling it.
            assert!(of(first) + of(second) >= 5, "{changes}: {told:?}");
            let load = engine.load();
            assert_eq!(
                (load.waiting, load.in_flight),
                (0, 0),
                "{changes}: {load:?}"
            );
            assert_eq!(engine.root().flow.owed.get(), 0, "{changes}: bytes owed");
            if !died {
                assert_eq!(
                    (load.messages, load.memory_used, load.transactions),
                    (0, 0, 0)
                );
                break;
            }
            // A message that was being prepared or told is not given back.
            assert!(load.messages <= 1, "{changes}: {load:?}");
        }
        assert!(deaths > 200, "only {deaths} deaths");
    }

    #[test]
    fn a_process_that_dies_between_an_end_and_the_next_fork_leaves_both_to_the_others() {
        one_that_ends_between_an_end_and_the_next_fork_leaves_both_to_the_others(End::Death);
    }

    #[test]
    fn a_process_that_panics_between_an_end_and_the_next_fork_leaves_both_to_the_others() {
        one_that_ends_between_an_end_and_the_next_fork_leaves_both_to_the_others(End::Panic);
    }

    fn one_that_ends_between_an_end_and_the_next_fork_leaves_both_to_the_others(end: End) {
        let mut deaths = 0;
        for changes in 1.. {
            let engine = engine();
            start_narrow(&engine, 2, &["sip:a@h", "sip:b@h", "sip:c@h"]);
            start_narrow(&engine, 2, &["sip:a@h", "sip:b@h"]);
            start_narrow(&engine, 2, &["sip:b@h", "sip:a@h", "sip:d@h"]);
            let (mut told, mut finished) = (HashMap::new(), 0);
            let sent = RefCell::new(Vec::new());
            let take = |attempt: Attempt<'_>| {
                sent.borrow_mut().push(attempt.cookie());
                drop(attempt);
            };
            while let Some(attempt) = engine.next(|| NOW) {
                take(attempt);
            }
            death::after(end, changes);
            let _ = catch_unwind(AssertUnwindSafe(|| {
                let mut index = 0;
                while let Some(cookie) = { sent.borrow().get(index).copied() } {
                    index += 1;
                    if let Some(attempt) = engine.completed_then_next(cookie, 200, || NOW) {
                        take(attempt);
                    }
                    while let Some(attempt) = engine.next(|| NOW) {
                        take(attempt);
                    }
                }
            }));
            let died = death::over();
            deaths += u32::from(died);
            for _ in 0..2 {
                let known = sent.borrow().clone();
                for cookie in known {
                    engine.completed(cookie, 200);
                    engine.released(cookie);
                }
                go_on(&engine, &mut told, &mut finished);
            }
            let all = told.len() == 8 && told.values().all(|&times| times == 1);
            assert!(all && finished == 3, "{changes}: {finished} {told:?}");
            let load = engine.load();
            assert_eq!(
                (load.waiting, load.in_flight, load.transactions),
                (0, 0, 0),
                "{changes}: {load:?}"
            );
            // A block that was pinned for an attempt that never came to be is not given back.
            assert!(load.messages <= u64::from(died), "{changes}: {load:?}");
            assert_eq!(load.messages == 0, load.memory_used == 0, "{changes}");
            assert!(
                engine.with(|held| engine.scheduler.groups.are_empty(held)),
                "{changes}"
            );
            if !died {
                break;
            }
        }
        assert!(deaths > 100, "only {deaths} deaths");
    }
}
