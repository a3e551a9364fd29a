//! That copies which nobody answers hold up nobody else, for longer than `patience`.

use super::{NOW, engine, engine_with, limits, outcomes, start_as, submission};
use crate::config::Settings;
use crate::fanout::lock::death::{self, End};
use crate::fanout::{Bound, Engine, Origin, Submission};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Milliseconds between two looks, as in a proxy.
const LOOK: u64 = 100;

fn wide(window: u32, most_at_once: Option<u32>) -> Submission<'static> {
    Submission {
        window,
        most_at_once,
        ..submission()
    }
}

/// Starts a message to so many recipients that no other message has.
fn start(engine: &Engine, submission: &Submission<'_>, recipients: usize) -> u64 {
    let number = engine.load().messages;
    let names: Vec<String> = (0..recipients)
        .map(|n| format!("sip:m{number}.u{n}@h"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    start_as(engine, submission, &names)
}

/// Sends all that may be sent at this time; gives the cookies.
fn send_all(engine: &Engine, now: u64) -> Vec<u64> {
    std::iter::from_fn(|| engine.next(|| now).map(|attempt| attempt.cookie())).collect()
}

/// Looks from one time to another and gives when something could be sent, and how many.
fn look(engine: &Engine, from: u64, to: u64) -> Vec<(u64, usize)> {
    let times = (from..=to).step_by(LOOK as usize);
    let sent = times.map(|now| {
        engine.look_for_silent(now);
        (now - NOW, send_all(engine, now).len())
    });
    sent.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn a_copy_older_than_patience_takes_no_room_in_its_window() {
    let engine = engine();
    start(&engine, &wide(2, None), 5);
    let sent = send_all(&engine, NOW);
    assert_eq!(sent.len(), 2);
    assert_eq!(look(&engine, NOW, NOW + 2_000), []);
    let sent_then = look(&engine, NOW + 2_100, NOW + 2_300);
    assert!(
        matches!(sent_then[..], [(2_100..=2_200, 2)]),
        "{sent_then:?}"
    );
    assert_eq!((engine.load().in_flight, engine.load().silent), (4, 2));
    let fanouts = engine.fanouts().unwrap();
    assert_eq!((fanouts[0].in_flight, fanouts[0].silent), (4, 2));
    // One that lands after all has no room to give, as it took none.
    engine.completed(sent[0], 200);
    assert_eq!(send_all(&engine, NOW + 2_300).len(), 0);
    assert_eq!((engine.load().in_flight, engine.load().silent), (3, 1));
    engine.completed(sent[1], 408);
    assert_eq!(engine.load().silent, 0);
    assert_eq!(outcomes(&engine).len(), 2);
}

#[test]
fn one_that_is_seen_late_is_silent_late_and_never_early() {
    let engine = engine();
    start(&engine, &wide(1, None), 2);
    send_all(&engine, NOW);
    // Nobody has looked for an hour.
    assert_eq!(look(&engine, NOW + 3_600_000, NOW + 3_601_900), []);
    assert_eq!(look(&engine, NOW + 3_602_200, NOW + 3_602_300).len(), 1);
}

#[test]
fn without_patience_a_copy_counts_until_its_final_response() {
    let engine = engine_with(Settings {
        patience: 0,
        ..limits()
    });
    start(&engine, &wide(1, None), 2);
    send_all(&engine, NOW);
    assert_eq!(look(&engine, NOW, NOW + 60_000), []);
    assert_eq!(engine.load().silent, 0);
}

#[test]
fn three_hundred_silent_phones_before_all_others_cost_two_seconds_for_each_window() {
    // S-5: the numbers of small-site.cfg and the worst order of a group of 1,000.
    let engine = engine();
    start(&engine, &wide(150, None), 1_000);
    let mut last = 0;
    for now in (NOW..NOW + 10_000).step_by(LOOK as usize) {
        engine.look_for_silent(now);
        while let Some(attempt) = engine.next(|| now) {
            if attempt.recipient() >= 300 {
                last = now - NOW;
                let cookie = attempt.cookie();
                drop(attempt);
                engine.completed(cookie, 200);
            }
        }
    }
    assert!((4_000..=4_500).contains(&last), "the last after {last} ms");
    assert_eq!(outcomes(&engine).len(), 700);
    assert_eq!(engine.load().silent, 300);
}

#[test]
fn a_silent_copy_keeps_its_share_of_max_breadth() {
    // U-6.
    let engine = engine();
    start(&engine, &wide(40, Some(60)), 100);
    assert_eq!(send_all(&engine, NOW).len(), 40);
    assert_eq!(look(&engine, NOW, NOW + 4_000).len(), 1);
    assert_eq!(look(&engine, NOW + 4_100, NOW + 30_000), []);
    assert_eq!((engine.load().in_flight, engine.load().silent), (60, 60));
}

#[test]
fn silent_copies_of_one_originator_leave_others_room() {
    // S-5.
    let engine = engine();
    for _ in 0..40 {
        start(&engine, &wide(60, None), 60);
    }
    send_all(&engine, NOW);
    look(&engine, NOW, NOW + 30_000);
    assert_eq!((engine.load().in_flight, engine.load().silent), (382, 382));
    let bob = Submission {
        originator: b"sip:bob@h",
        ..wide(60, None)
    };
    start(&engine, &bob, 60);
    assert_eq!(send_all(&engine, NOW + 30_000).len(), 60);
}

/// What is said of the first message that is held up.
fn held_up(engine: &Engine, submission: &Submission<'_>) -> (Bound, String) {
    start(engine, submission, 100);
    send_all(engine, NOW);
    let mut looks = (NOW..NOW + 20_000).step_by(LOOK as usize);
    let held_up = looks.find_map(|now| {
        let held_up = engine.look_for_silent(now);
        send_all(engine, now);
        held_up
    });
    let held_up = held_up.unwrap();
    (held_up.bound, held_up.to_string())
}

#[test]
fn what_bounds_those_who_wait_behind_silent_ones_is_named() {
    let (bound, text) = held_up(&engine(), &wide(10, None));
    assert_eq!(bound, Bound::Concurrency(10));
    assert!(
        text.starts_with(
            "message 1 to <sip:hikers@im.home1.net>: 90 members wait behind 10 copies that were \
             not answered for 2 s (patience); concurrency=10 bounds"
        ),
        "{text}"
    );
    let (bound, text) = held_up(&engine(), &wide(60, Some(60)));
    assert_eq!(bound, Bound::Breadth(60));
    assert!(text.contains("40 members wait behind 60 copies"), "{text}");
    assert!(text.contains("set max_breadth=0"), "{text}");
    let narrow = Settings {
        forks_in_flight: 100,
        ..limits()
    };
    let (bound, text) = held_up(&engine_with(narrow), &wide(60, None));
    assert_eq!(bound, Bound::ForksInFlight(100));
    assert!(text.contains("61 members wait behind 39 copies"), "{text}");
    let short = engine();
    short.set_transaction_limit(100);
    let (bound, text) = held_up(&short, &wide(60, None));
    assert_eq!(bound, Bound::Transactions(100));
    assert!(text.contains("tm_memory"), "{text}");
}

#[test]
fn few_silent_phones_among_many_that_answer_are_not_worth_a_line() {
    let engine = engine();
    start(&engine, &wide(10, None), 10_000);
    let mut silent = 0;
    for now in (NOW..NOW + 5_000).step_by(LOOK as usize) {
        assert_eq!(engine.look_for_silent(now), None);
        for (number, cookie) in send_all(&engine, now).into_iter().enumerate() {
            if number == 0 && silent < 3 && now > NOW + 1_000 {
                silent += 1;
            } else {
                engine.completed(cookie, 200);
            }
        }
    }
    assert_eq!(engine.load().silent, 3);
}

#[test]
fn a_message_that_is_taken_up_again_keeps_its_bound() {
    // U-6: no more than Max-Breadth together.
    let names = ["sip:a@h", "sip:b@h", "sip:c@h"];
    let own = || {
        names
            .iter()
            .map(|name| crate::control::Own::plain(name.as_bytes()))
    };
    let first = engine();
    let ticket = first.reserve(&wide(2, Some(2)), own, NOW).unwrap();
    let second = engine();
    let origin = Origin::default();
    let submission = ticket.block().unwrap().submission();
    second.restore(&submission, own, origin, []).unwrap();
    assert_eq!(send_all(&second, NOW + 1_000).len(), 2);
    assert_eq!(look(&second, NOW + 1_000, NOW + 30_000), []);
    assert_eq!(second.load().silent, 2);
}

#[test]
fn whenever_a_process_ends_that_looks_the_others_send_to_all_that_are_left() {
    let mut deaths = 0;
    for end in [End::Death, End::Panic] {
        for changes in 1.. {
            let engine = engine();
            start(&engine, &wide(2, None), 6);
            let mut cookies = send_all(&engine, NOW);
            engine.look_for_silent(NOW);
            death::after(end, changes);
            let _ = catch_unwind(AssertUnwindSafe(|| {
                engine.look_for_silent(NOW + 2_200);
                engine.completed(cookies[0], 408);
            }));
            let died = death::over();
            deaths += u32::from(died);
            for now in (NOW + 2_300..NOW + 30_000).step_by(LOOK as usize) {
                engine.look_for_silent(now);
                cookies.extend(send_all(&engine, now));
            }
            // All six are sent to, and those that were not completed are silent.
            assert_eq!(cookies.len(), 6, "{changes}");
            let load = engine.load();
            assert_eq!(load.silent, load.in_flight, "{changes}: {load:?}");
            for cookie in cookies {
                engine.completed(cookie, 200);
                engine.released(cookie);
            }
            let load = engine.load();
            let left = (load.silent, load.in_flight, load.waiting, load.transactions);
            assert_eq!(left, (0, 0, 0, 0), "{changes}");
            if !died {
                break;
            }
        }
    }
    assert!(deaths > 20, "only {deaths} deaths");
}
