//! Whenever a process dies or panics with the lock, the others go on, and nothing is lost or sent without an end.

use super::{NOW, engine, start, start_narrow};
use crate::fanout::groups::{Group, Groups};
use crate::fanout::lock::death::{self, End};
use crate::fanout::shared_memory::At;
use crate::fanout::transactions::SENDING;
use crate::fanout::{Attempt, Engine, Event};
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

fn no_group_has_messages(engine: &Engine) -> bool {
    let Groups(start) = engine.queue.scheduler.groups;
    engine.queue.with(|held| {
        (start..start + Groups::WORDS).all(|place| {
            let group: &Group = &held[At::word(place)];
            group.messages.get() == 0 && group.alone.get().is_none()
        })
    })
}

#[test]
fn an_attempt_that_ends_while_all_is_made_anew_gives_its_transaction_back_once() {
    let engine = engine();
    start(&engine, &["sip:a@h", "sip:b@h", "sip:c@h"]);
    let attempt = engine.next(|| NOW).unwrap();
    engine.completed(attempt.cookie(), 200);
    engine.released(attempt.cookie());
    let transaction = engine
        .queue
        .scheduler
        .transactions
        .of_attempt(&engine.queue.memory, attempt.cookie());
    std::thread::scope(|scope| {
        engine.queue.with(|held| {
            scope.spawn(|| drop(attempt));
            // The attempt is over now, or waits for the lock.
            let begin = Instant::now();
            while transaction.bits() & SENDING != 0 && begin.elapsed() < MOMENT {
                std::thread::yield_now();
            }
            engine.queue.recover(held);
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
        assert_eq!(
            engine.queue.root().flow.owed.get(),
            0,
            "{changes}: bytes owed"
        );
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
        assert!(no_group_has_messages(&engine), "{changes}");
        if !died {
            break;
        }
    }
    assert!(deaths > 100, "only {deaths} deaths");
}
