//! What is deferred while a process keeps the lock: nothing of it is lost, and nobody waits for long.

use super::{NOW, engine, engine_with, limits, outcomes, start, submission};
use crate::config::Settings;
use crate::control::{Own, Reason};
use crate::fanout::{Attempt, Engine, NotRestored, NotSent, Origin, Outcome, SkipReason};
use std::cell::Cell;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Far beyond what anybody waits for the lock.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Does `work` while another thread keeps the lock.
fn while_blocked<T: Send>(engine: &Engine, work: impl FnOnce() -> T + Send) -> T {
    engine.queue.with(|_| {
        std::thread::scope(|scope| {
            let begin = Instant::now();
            let worker = scope.spawn(work);
            let result = worker.join().unwrap();
            assert!(begin.elapsed() < AT_ONCE, "{:?}", begin.elapsed());
            result
        })
    })
}

fn attempts(engine: &Engine) -> Vec<Attempt<'_>> {
    std::iter::from_fn(|| engine.next(|| NOW)).collect()
}

#[test]
fn what_the_proxy_says_of_forks_while_the_lock_is_kept_counts_once_it_is_free() {
    let engine = engine();
    start(
        &engine,
        &["sip:a@h", "sip:b@h", "sip:c@h", "sip:d@h", "sip:e@h"],
    );
    let mut all = attempts(&engine).into_iter();
    let mut next = || all.next().unwrap();
    let [a, b, c, d, e] = [next(), next(), next(), next(), next()];
    let cookies = [&a, &b, &c, &d, &e].map(Attempt::cookie);
    while_blocked(&engine, || {
        // One that is over before the process that sends comes back, one that is not, one that will
        // never be, one that failed, and one that there was no memory for.
        engine.completed(cookies[0], 200);
        engine.completed(cookies[0], 486);
        engine.released(cookies[0]);
        drop(a);
        drop(b);
        assert!(
            engine
                .completed_then_next(cookies[1], 404, || NOW)
                .is_none()
        );
        engine.released(cookies[2]);
        drop(c);
        d.not_sent(NotSent::Failed, NOW);
        e.not_sent(NotSent::OutOfMemory, NOW);
        assert!(engine.next(|| NOW).is_none());
        assert!(engine.next_event().is_none());
        engine.tick(NOW);
        engine.completed(u64::MAX, 200);
    });
    assert_eq!(
        outcomes(&engine),
        [
            Outcome::Delivered(200),
            Outcome::Refused(404),
            Outcome::Unreachable(408),
            Outcome::Unreachable(503)
        ]
    );
    // tm still holds b's, which is given back twice.
    assert_eq!(engine.load().transactions, 1);
    engine.released(cookies[1]);
    engine.released(cookies[1]);
    let again = engine.next(|| NOW + 2_000).unwrap();
    assert_eq!(again.fork().recipient, b"sip:e@h");
    let cookie = again.cookie();
    drop(again);
    engine.completed(cookie, 200);
    engine.released(cookie);
    assert_eq!(outcomes(&engine), [Outcome::Delivered(200)]);
    let load = engine.load();
    assert_eq!(
        (load.messages, load.transactions, load.memory_used),
        (0, 0, 0)
    );
}

#[test]
fn messages_that_were_answered_while_the_lock_is_kept_are_sent_in_their_order() {
    // M-3, A-10.
    let engine = engine();
    let own = || std::iter::once(Own::plain(b"sip:a@h"));
    let mut tickets = (0..4).map(|_| engine.reserve(&submission(), own, NOW).unwrap());
    let mut next = || tickets.next().unwrap();
    let [first, second, cancelled, dropped] = [next(), next(), next(), next()];
    let refused = while_blocked(&engine, || {
        let second = engine.start(second);
        let first = engine.start(first);
        engine.start_cancelled(cancelled);
        drop(dropped);
        assert_eq!((first, second), (1, 2));
        engine.reserve(&submission(), own, NOW).unwrap_err()
    });
    assert_eq!(
        (refused.reason, refused.reason.code()),
        (Reason::QueueBlocked, 503)
    );
    for message in [2, 1] {
        let attempt = engine.next(|| NOW).unwrap();
        assert_eq!(attempt.message(), message);
        assert!(engine.next(|| NOW).is_none());
        let cookie = attempt.cookie();
        drop(attempt);
        engine.completed(cookie, 200);
        engine.released(cookie);
    }
    engine.tick(NOW);
    let mut all = outcomes(&engine);
    all.sort_unstable_by_key(|outcome| outcome.code());
    let cancelled = Outcome::Skipped(SkipReason::Cancelled);
    let delivered = Outcome::Delivered(200);
    assert_eq!(all, [cancelled, delivered, delivered]);
    assert_eq!(engine.load().memory_used, 0);
}

#[test]
fn a_message_whose_last_pin_is_taken_away_while_the_lock_is_kept_gives_its_memory_back() {
    let engine = engine();
    start(&engine, &["sip:a@h"]);
    let attempt = engine.next(|| NOW).unwrap();
    engine.completed(attempt.cookie(), 200);
    engine.released(attempt.cookie());
    let pins: Vec<_> = (0..3).map(|_| engine.under_way().unwrap()).collect();
    assert_eq!(outcomes(&engine), [Outcome::Delivered(200)]);
    assert_eq!(engine.load().messages, 1);
    while_blocked(&engine, || {
        drop(attempt);
        drop(pins);
    });
    let load = engine.load();
    assert_eq!(
        (load.messages, load.transactions, load.memory_used),
        (0, 0, 0)
    );
}

#[test]
fn commands_say_who_keeps_the_lock_and_figures_need_none() {
    let engine = engine();
    start(&engine, &["sip:a@h", "sip:b@h"]);
    assert_eq!(engine.blocked(), None);
    let (listed, cancelled, load) = while_blocked(&engine, || {
        let fanouts = engine.fanouts().unwrap_err();
        assert!(engine.blocked().is_some());
        (fanouts, engine.cancel(1).unwrap_err(), engine.load())
    });
    for blocked in [listed, cancelled] {
        assert_eq!(blocked.process, std::process::id());
        assert!(blocked.milliseconds >= 100, "{blocked}");
        let said = format!("process {} has held the lock", blocked.process);
        assert!(blocked.to_string().starts_with(&said), "{blocked}");
    }
    assert_eq!((load.messages, load.waiting), (1, 2));
    assert_eq!(engine.blocked(), None);
    assert_eq!(engine.fanouts().unwrap().len(), 1);
}

#[test]
fn who_comes_later_does_not_wait_for_a_lock_that_has_been_kept_for_long() {
    let engine = engine();
    let names: Vec<String> = (0..60).map(|n| format!("sip:u{n}@h")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    start(&engine, &names);
    let cookies: Vec<u64> = attempts(&engine).iter().map(Attempt::cookie).collect();
    assert_eq!(cookies.len(), 60);
    // One after the other: at ten milliseconds for each it would be 1.2 s.
    while_blocked(&engine, || {
        let begin = Instant::now();
        for &cookie in &cookies {
            engine.completed(cookie, 200);
            engine.released(cookie);
        }
        assert!(begin.elapsed() < AT_ONCE / 4, "{:?}", begin.elapsed());
    });
    assert_eq!(outcomes(&engine).len(), 60);
    assert_eq!(engine.load().transactions, 0);
}

#[test]
fn a_message_that_is_not_taken_up_again_gives_back_its_memory_and_nothing_else() {
    // S-5.
    let engine = engine_with(Settings {
        rate: 1,
        ..limits()
    });
    let own = || std::iter::once(Own::plain(b"sip:a@h"));
    start(&engine, &["sip:a@h"]);
    let used = engine.load().memory_used;
    let looks = Cell::new(0);
    let (kept, is_kept) = channel();
    let (over, is_over) = channel();
    let is_over = Mutex::new(is_over);
    std::thread::scope(|scope| {
        // The second time they are written: there is memory for them then, and the message is not started yet.
        let recipients = || {
            looks.set(looks.get() + 1);
            if looks.get() == 2 {
                let (engine, kept, is_over) = (&engine, kept.clone(), &is_over);
                scope.spawn(move || {
                    engine.queue.with(|_| {
                        kept.send(()).unwrap();
                        is_over.lock().unwrap().recv().unwrap();
                    });
                });
                is_kept.recv().unwrap();
            }
            own()
        };
        let restored = engine.restore(&submission(), recipients, Origin::default(), []);
        assert!(matches!(restored, Err(NotRestored::Blocked(_))));
        over.send(()).unwrap();
    });
    assert_eq!(engine.load().memory_used, used);
    let refused = engine.reserve(&submission(), own, NOW).unwrap_err();
    assert_eq!(refused.reason, Reason::Rate);
}
