//! What is done when a process died while it held the lock, or panicked half-way through a change: lists, counts and free memory are made
//! anew from what each change writes first or last: the pieces of the arena, where each recipient is,
//! and the transactions in use.

#![forbid(unsafe_code)]

use super::block::block_of;
use super::cells::{HELD, IN_FLIGHT, SENDING};
use super::engine::{Engine, flag};
use super::layout::{
    CLOSING, FINISHED, IN_FLIGHT as ALL_IN_FLIGHT, LINING, MESSAGES, MESSAGES_LENGTH, OUTCOMES,
    SILENT_FORKS, STUCK, WAITING, block,
};
use super::lists::Queue;
use super::lock::{Blocked, Held, OF_MESSAGES};
use super::originators::Originators;
use super::recipient::{self, Ending, Place};
use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;

impl Engine {
    /// Makes everything anew that the dead process may have left half done.
    #[cold]
    pub(super) fn recover(&self, held: &Held<'_>) {
        log::error!(
            "a process died or failed while it held the lock of the queue: the others go on; a member \
             may get a message twice, with the same Call-ID"
        );
        for list in [LINING, STUCK, CLOSING, MESSAGES] {
            held.set(list.anchor, 0);
        }
        for word in [
            MESSAGES_LENGTH,
            OUTCOMES.0,
            FINISHED,
            ALL_IN_FLIGHT,
            WAITING,
            SILENT_FORKS,
        ] {
            held.set(word, 0);
        }
        self.forget_what_is_owed(held);
        self.targets.clear(held);
        self.originators.clear(held);
        self.groups.clear(held);
        self.lines.clear(held);
        self.names.clear(held);
        let mut blocks = self.arena.recover(held);
        held.set(MESSAGES_LENGTH, blocks.len() as u64);
        blocks.retain(|&at| held.get(at + block::FLAGS) & flag::STARTED != 0);
        blocks.sort_unstable_by_key(|&at| self.block(at).number());
        let flying = self.recover_cells(held);
        for &at in &blocks {
            self.recover_message(held, at, &flying);
        }
        self.recover_left(held);
        held.news.set(true);
        held.is_clean();
    }

    /// A transaction that nobody knows of any more is given up; its recipient is sent to again.
    /// Gives the recipients whose forks are in flight.
    fn recover_cells(&self, held: &Held<'_>) -> HashSet<usize> {
        let mut flying = HashSet::new();
        self.cells.recover(held, |held, cell| {
            let word = held.word(cell.word());
            let bits = word.load(Relaxed) & (IN_FLIGHT | HELD | SENDING);
            let entry = cell.entry(held);
            let is_flying = recipient::place(held, entry) == Place::InFlight;
            if bits & IN_FLIGHT == 0 {
                // Its block may have been given back.
                return bits;
            }
            let is_lost = bits & SENDING != 0 && cell.process(held).has_ended();
            if is_flying && !is_lost {
                flying.insert(entry);
                // The next look finds that it is silent.
                cell.is_silent_no_more(held);
                let own = self.block(block_of(&self.memory, entry));
                let hash = self.hash(own.own(entry).address);
                self.targets.occupy(held, hash);
                return bits;
            }
            if is_lost || recipient::ending(held, entry).is_none() {
                if recipient::ending(held, entry).is_none() {
                    recipient::set_place(held, entry, Place::Waiting);
                    recipient::set_repeated(held, entry);
                }
                if is_lost {
                    self.unpin(held, block_of(&self.memory, entry));
                }
                cell.take(held, IN_FLIGHT | HELD | SENDING);
                return 0;
            }
            cell.take(held, IN_FLIGHT);
            bits & !IN_FLIGHT
        });
        flying
    }

    /// Takes back the forks that a process was about to send when it died, to be called by the clock.
    pub(super) fn take_back_from_the_dead(&self) -> Result<(), Blocked> {
        for cell in self.cells.sending(&self.memory) {
            self.with_within(OF_MESSAGES, |held| {
                let is_sending = |held: &Held<'_>| held.get(cell.word()) & SENDING != 0;
                if !is_sending(held) || !cell.process(held).has_ended() {
                    return;
                }
                let (entry, bits) = (cell.entry(held), cell.take(held, SENDING));
                let at = block_of(&self.memory, entry);
                if bits & IN_FLIGHT != 0 {
                    self.lower(held, cell, at);
                    self.keep_target(held, entry);
                    recipient::set_place(held, entry, Place::Ready);
                    recipient::set_repeated(held, entry);
                    Queue(at + block::READY).push_front(held, entry);
                    self.enter_turns(held, at);
                    self.close_again(held, at);
                }
                cell.take(held, IN_FLIGHT | HELD);
                self.cells.free(held, cell);
                if self.unpin(held, at) {
                    self.give_back(held, at);
                }
            })?;
        }
        Ok(())
    }

    fn recover_message(&self, held: &Held<'_>, at: usize, flying: &HashSet<usize>) {
        MESSAGES.push(held, at);
        let originator = self.originator_key(self.block(at).texts()[0]);
        self.originators.join(held, at, originator);
        if self.is_done(held, at) {
            held.set(at + block::FLAGS, flag::STARTED);
            if !self.is_pinned(held, at) {
                self.give_back(held, at);
            }
            return;
        }
        let own = self.block(at);
        let (mut left, mut untold, mut in_flight) = (0, 0, 0);
        let mut ended = [0u32; 6];
        for number in 0..own.count() {
            let entry = own.entry(number);
            recipient::set_link(held, entry, 0);
            match recipient::ending(held, entry) {
                None if flying.contains(&entry) => {
                    in_flight += 1;
                    Originators::take_off(held, at);
                }
                None => {
                    recipient::set_place(held, entry, Place::Waiting);
                    if self.limits.target_order {
                        self.push_into_line(held, own, entry);
                    }
                }
                Some(ending) => {
                    let kind = match ending {
                        Ending::Delivered(_) => 0,
                        Ending::Refused(_) => 1,
                        Ending::Unreachable(_) => 2,
                        Ending::Expired => 3,
                        Ending::Skipped(_) => 4,
                        Ending::Kept(_) => 5,
                    };
                    ended[kind] += 1;
                    if !recipient::is_told(held, entry) {
                        untold += 1;
                        OUTCOMES.push(held, entry);
                    }
                    continue;
                }
            }
            left += 1;
            untold += 1;
        }
        if self.limits.target_order && left > 0 {
            self.groups.count(held, at);
        }
        held.set_pair(at + block::LEFT, left, untold);
        held.set_pair(at + block::CURSOR, 0, in_flight);
        held.set(at + block::READY, 0);
        held.set(at + block::SILENT, 0);
        held.set_pair(at + block::DELIVERED, ended[0], ended[1]);
        held.set_pair(at + block::UNREACHABLE, ended[2], ended[3]);
        held.set_pair(at + block::SKIPPED, ended[4], 0);
        held.set_pair(at + block::KEPT_FOR, ended[5], 0);
        held.add(WAITING, u64::from(left));
        held.add(ALL_IN_FLIGHT, u64::from(in_flight));
        self.owe_again(held, at, in_flight);
        if untold == 0 {
            held.set(FINISHED, at as u64);
        }
        let flags = held.get(at + block::FLAGS);
        let lined = if self.limits.target_order {
            flag::LINED
        } else {
            0
        };
        let kept = flags & (flag::STARTED | flag::CLOSING | flag::CANCELLED) | lined;
        if kept & flag::CLOSING != 0 {
            held.set(at + block::FLAGS, kept | flag::IN_CLOSING);
            CLOSING.push(held, at);
        } else {
            held.set(at + block::FLAGS, kept);
            self.enter_turns(held, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::groups::Groups;
    use super::super::layout::OWED;
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
        let cell = engine.cells.of_attempt(attempt.cookie());
        std::thread::scope(|scope| {
            engine.with(|held| {
                scope.spawn(|| drop(attempt));
                // The attempt is over now, or waits for the lock.
                let begin = Instant::now();
                while held.get(cell.word()) & SENDING != 0 && begin.elapsed() < MOMENT {
                    std::thread::yield_now();
                }
                engine.recover(held);
            });
        });
        assert_eq!(engine.load().cells, 0);
        let attempts: Vec<_> = std::iter::from_fn(|| engine.next(|| NOW)).collect();
        let [first, second] = &attempts[..] else {
            panic!("{attempts:?}");
        };
        assert_ne!(
            engine.cells.of_attempt(first.cookie()).word(),
            engine.cells.of_attempt(second.cookie()).word()
        );
        assert_eq!(engine.load().cells, 2);
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
                .flat_map(|cell| (1..8).map(move |n| n << 20 | cell))
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
            assert_eq!(engine.memory.get(OWED), 0, "{changes}: bytes owed");
            if !died {
                assert_eq!((load.messages, load.memory_used, load.cells), (0, 0, 0));
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
                (load.waiting, load.in_flight, load.cells),
                (0, 0, 0),
                "{changes}: {load:?}"
            );
            // A block that was pinned for an attempt that never came to be is not given back.
            assert!(load.messages <= u64::from(died), "{changes}: {load:?}");
            assert_eq!(load.messages == 0, load.memory_used == 0, "{changes}");
            let mut groups = engine.groups.0..engine.groups.0 + Groups::WORDS;
            assert!(groups.all(|word| engine.memory.get(word) == 0), "{changes}");
            if !died {
                break;
            }
        }
        assert!(deaths > 100, "only {deaths} deaths");
    }
}
