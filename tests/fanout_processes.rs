//! The engine in real processes that share its memory: every recipient once, and a process
//! that is killed does not stop the others.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/forked.rs"]
mod forked;
#[path = "support/sample.rs"]
mod sample;
#[path = "support/stopped.rs"]
mod stopped;

use cimf::config::Settings;
use cimf::control::Own;
use cimf::control::Reason;
use cimf::fanout::shared_memory::SharedMemory;
use cimf::fanout::{Counters, Engine, Event, NoRoom, Outcome, Submission};
use forked::{fork, wait_for};
use sample::{NOW, submission};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};
use stopped::Stopped;

const RUNS: usize = 1_000;
const WORKERS: usize = 3;
/// Messages of each worker, and recipients of each message.
const MESSAGES: usize = 3;
const RECIPIENTS: usize = 12;
/// Far beyond what any run takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn engine() -> Engine {
    let limits = Settings {
        queue_memory: 1,
        queue_messages: 1000,
        forks_in_flight: 20,
        patience: 2,
        target_order: true,
        target_queue: 1000,
        queue_lifetime: 600,
        quota_originator: None,
        quota_group: None,
        rate: 0,
        ..Settings::new()
    };
    Engine::new(limits, [7; 16], Arc::new(Counters::new().unwrap())).unwrap()
}

fn start(engine: &Engine, recipients: usize) -> bool {
    try_start(engine, recipients).is_ok()
}

fn try_start(engine: &Engine, recipients: usize) -> Result<u64, NoRoom> {
    let submission = Submission {
        window: 4,
        ..submission()
    };
    let names: Vec<String> = (0..recipients).map(|n| format!("sip:u{n}@h")).collect();
    let own = || names.iter().map(|name| Own::plain(name.as_bytes()));
    let ticket = engine.reserve(&submission, own, NOW);
    ticket.map(|ticket| engine.start(ticket))
}

/// One worker: starts its messages, sends, and completes what it has sent out of order.
fn worker(engine: &Engine, seen: &SharedMemory, own: u64) {
    let words = seen.words();
    let mut pending = Vec::new();
    let mut random = own;
    for _ in 0..MESSAGES {
        assert!(start(engine, RECIPIENTS));
    }
    let deadline = Instant::now() + PATIENCE;
    while words[0].load(SeqCst) == 0 {
        assert!(Instant::now() < deadline, "{:?}", engine.load());
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1);
        match engine.next(|| NOW) {
            Some(attempt) if random >> 63 == 0 => {
                let index = (attempt.message() as usize - 1) * RECIPIENTS;
                words[1 + index + attempt.recipient() as usize].fetch_add(1, SeqCst);
                pending.push(attempt.cookie());
            }
            Some(attempt) => {
                let index = (attempt.message() as usize - 1) * RECIPIENTS;
                words[1 + index + attempt.recipient() as usize].fetch_add(1, SeqCst);
                let cookie = attempt.cookie();
                engine.completed(cookie, 200);
                engine.released(cookie);
                drop(attempt);
            }
            None if pending.is_empty() => std::thread::yield_now(),
            None => {}
        }
        if !pending.is_empty() && random >> 62 & 1 == 0 {
            let cookie = pending.swap_remove((random >> 33) as usize % pending.len());
            let next = engine.completed_then_next(cookie, 200, || NOW);
            engine.released(cookie);
            if let Some(attempt) = next {
                let index = (attempt.message() as usize - 1) * RECIPIENTS;
                words[1 + index + attempt.recipient() as usize].fetch_add(1, SeqCst);
                pending.push(attempt.cookie());
            }
        }
    }
    assert!(pending.is_empty());
}

#[test]
fn forked_workers_send_to_each_recipient_once_in_1000_runs() {
    let start = Instant::now();
    let total = WORKERS * MESSAGES * RECIPIENTS;
    for run in 0..RUNS {
        let engine = engine();
        let seen = SharedMemory::new(1 + total).unwrap();
        let children: Vec<_> = (0..WORKERS)
            .map(|own| fork(|| worker(&engine, &seen, (run * WORKERS + own) as u64)))
            .collect();
        let mut told = vec![0; total];
        let mut finished = 0;
        while finished < WORKERS * MESSAGES {
            assert!(start.elapsed() < PATIENCE * 4, "{:?}", engine.load());
            match engine.next_event() {
                None => engine.wait(Duration::from_millis(100)),
                Some(Event::Ended(outcome)) => {
                    let index = (outcome.message() as usize - 1) * RECIPIENTS;
                    told[index + outcome.recipient() as usize] += 1;
                }
                Some(Event::Finished(message)) => {
                    assert_eq!(message.tally().delivered as usize, RECIPIENTS);
                    finished += 1;
                }
            }
        }
        seen.words()[0].store(1, SeqCst);
        for child in children {
            assert_eq!(wait_for(child), 0, "a worker failed");
        }
        assert!(told.iter().all(|&count| count == 1), "told: {told:?}");
        let sent = seen.words()[1..].iter().map(|count| count.load(SeqCst));
        assert!(sent.clone().all(|count| count == 1), "sent not once");
        let load = engine.load();
        assert_eq!(
            (load.messages, load.transactions, load.memory_used),
            (0, 0, 0)
        );
    }
}

/// Does everything as fast as it can, so that death mostly finds it with the lock. What it has sent
/// stands in `sent`, as a proxy's transactions outlive the process that made them.
fn busy(engine: &Engine, sent: &SharedMemory) {
    loop {
        start(engine, 3);
        while let Some(attempt) = engine.next(|| NOW) {
            let cookie = attempt.cookie();
            sent.words()[0].store(cookie, SeqCst);
            drop(attempt);
            engine.completed(cookie, 200);
            engine.released(cookie);
        }
        while engine.next_event().is_some() {}
    }
}

#[test]
fn a_killed_process_does_not_stop_the_others() {
    const KILLS: u64 = 300;
    let engine = engine();
    let sent = SharedMemory::new(1).unwrap();
    let begin = Instant::now();
    for kill in 0..KILLS {
        let child = fork(|| busy(&engine, &sent));
        std::thread::sleep(Duration::from_micros(500 + kill * 7919 % 1500));
        // SAFETY: the child is ours and was not waited for.
        unsafe { libc::kill(child, libc::SIGKILL) };
        wait_for(child);
        assert!(begin.elapsed() < PATIENCE, "{:?}", engine.load());
        // The proxy ends what it was given; the others go on with what is left.
        let cookie = sent.words()[0].load(SeqCst);
        engine.completed(cookie, 200);
        engine.released(cookie);
        engine.tick(NOW);
        assert!(start(&engine, 3), "{:?}", engine.load());
        while let Some(attempt) = engine.next(|| NOW) {
            let cookie = attempt.cookie();
            drop(attempt);
            engine.completed(cookie, 200);
            engine.released(cookie);
        }
        while engine.next_event().is_some() {}
        let load = engine.load();
        assert_eq!((load.waiting, load.in_flight, load.transactions), (0, 0, 0));
        // Only a message that the dead process was preparing or telling keeps its memory.
        assert!(load.messages <= kill + 1, "{load:?}");
    }
}

/// As [`busy`], but each fork has its final response and has been released before the process that
/// sends it comes back from the proxy; until it is told to stop.
fn early(engine: &Engine, sent: &SharedMemory, own: usize) {
    let is_over = || sent.words()[0].load(SeqCst) != 0;
    while !is_over() {
        start(engine, 3);
        while let Some(attempt) = engine.next(|| NOW) {
            let cookie = attempt.cookie();
            sent.words()[own].store(cookie, SeqCst);
            engine.completed(cookie, 200);
            engine.released(cookie);
            drop(attempt);
        }
    }
}

#[test]
fn a_killed_process_spoils_nothing_that_others_are_in_the_middle_of() {
    const KILLS: u64 = 200;
    let engine = engine();
    let begin = Instant::now();
    for kill in 0..KILLS {
        let sent = SharedMemory::new(2 + WORKERS).unwrap();
        let workers: Vec<_> = (0..WORKERS)
            .map(|own| fork(|| early(&engine, &sent, 2 + own)))
            .collect();
        let child = fork(|| early(&engine, &sent, 1));
        let moment = Instant::now();
        while moment.elapsed() < Duration::from_micros(500 + kill * 7919 % 1500) {
            while engine.next_event().is_some() {}
        }
        // SAFETY: the child is ours and was not waited for.
        unsafe { libc::kill(child, libc::SIGKILL) };
        wait_for(child);
        let cookie = sent.words()[1].load(SeqCst);
        engine.completed(cookie, 200);
        engine.released(cookie);
        sent.words()[0].store(1, SeqCst);
        for worker in workers {
            assert_eq!(wait_for(worker), 0, "a worker failed");
        }
        engine.tick(NOW);
        while let Some(attempt) = engine.next(|| NOW) {
            let cookie = attempt.cookie();
            engine.completed(cookie, 200);
            engine.released(cookie);
        }
        while engine.next_event().is_some() {}
        let load = engine.load();
        let left = (load.waiting, load.in_flight, load.transactions);
        assert_eq!(left, (0, 0, 0), "kill {kill}");
        // Only a message that a dead process was preparing keeps its memory.
        assert!(load.messages <= kill + 1, "{load:?}");
        assert!(begin.elapsed() < PATIENCE * 4, "{load:?}");
    }
}

/// Tells all there is to tell; gives how often each recipient was told of as delivered.
fn told(engine: &Engine, told: &mut Vec<(u64, u32)>) {
    while let Some(event) = engine.next_event() {
        if let Event::Ended(outcome) = event {
            assert_eq!(outcome.outcome, Outcome::Delivered(200));
            told.push((outcome.message(), outcome.recipient()));
        }
    }
}

#[test]
fn a_process_that_is_stopped_with_the_lock_holds_nobody_up_and_nothing_is_lost() {
    const STOPS: u64 = 40;
    let engine = engine();
    let holder = Stopped::new(&engine, 1000);
    let mut all = Vec::new();
    for stop in 0..STOPS {
        let first = try_start(&engine, 6).unwrap();
        let sent: Vec<u64> = std::iter::from_fn(|| engine.next(|| NOW))
            .map(|attempt| attempt.cookie())
            .collect();
        assert_eq!(sent.len(), 4, "the window of a message");
        holder.keep_lock(&engine);
        let begin = Instant::now();
        for &cookie in &sent {
            assert!(engine.completed_then_next(cookie, 200, || NOW).is_none());
            engine.released(cookie);
        }
        let passed = begin.elapsed();
        assert!(passed < Duration::from_millis(100), "callbacks: {passed:?}");
        let refused = try_start(&engine, 1).unwrap_err();
        let passed = begin.elapsed();
        assert_eq!(refused.reason, Reason::QueueBlocked);
        assert!(passed < Duration::from_millis(500), "a message: {passed:?}");
        assert!(engine.next(|| NOW).is_none() && engine.next_event().is_none());
        let blocked = engine.fanouts().unwrap_err();
        assert_eq!(blocked.process, holder.id());
        assert!(blocked.milliseconds >= 100, "{blocked}");

        holder.let_go(&engine);
        let rest: Vec<u64> = std::iter::from_fn(|| engine.next(|| NOW))
            .map(|attempt| {
                assert_eq!(attempt.message(), first);
                attempt.cookie()
            })
            .collect();
        assert_eq!(rest.len(), 2, "stop {stop}");
        for cookie in rest {
            engine.completed(cookie, 200);
            engine.released(cookie);
        }
        told(&engine, &mut all);
        let load = engine.load();
        assert_eq!(
            (load.messages, load.transactions, load.memory_used),
            (0, 0, 0)
        );
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len() as u64, 6 * STOPS);
}

#[test]
fn a_process_that_is_killed_while_it_is_stopped_with_the_lock_loses_it_at_once() {
    let engine = engine();
    let holder = Stopped::new(&engine, 1000);
    assert!(start(&engine, 3));
    let attempt = engine.next(|| NOW).unwrap();
    let cookie = attempt.cookie();
    drop(attempt);
    holder.keep_lock(&engine);
    engine.completed(cookie, 200);
    engine.released(cookie);
    drop(holder);
    let begin = Instant::now();
    let rest: Vec<u64> = std::iter::from_fn(|| engine.next(|| NOW))
        .map(|attempt| attempt.cookie())
        .collect();
    assert!(begin.elapsed() < Duration::from_secs(1));
    assert_eq!(rest.len(), 2);
    for cookie in rest {
        engine.completed(cookie, 200);
        engine.released(cookie);
    }
    let mut all = Vec::new();
    told(&engine, &mut all);
    assert_eq!(all.len(), 3);
    assert_eq!(engine.load().memory_used, 0);
}
