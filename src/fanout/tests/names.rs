//! What is promised to copies whose next hop is a name.

use super::{NOW, engine, engine_with, limits, start, submission};
use crate::config::Settings;
use crate::control::Own;
use crate::fanout::lock::death::{self, End};
use crate::fanout::{Engine, Event, NotResolved, Outcome, Question, SkipReason, Submission};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// As long as what was known serves when nobody answers, in milliseconds.
const STALE: u64 = 3_600_000;
/// The longest between two look-ups, in milliseconds.
const LONGEST_PAUSE: u64 = 30_000;
/// The most names for which one originator's copies wait.
const SHARE: usize = 1024;

fn address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5060))
}

/// Takes what can be sent now to the hosts of its recipients; gives to whom it was, and the cookies.
fn send_at(engine: &Engine, now: u64) -> Vec<(String, u64)> {
    let mut sent = Vec::new();
    while let Some(attempt) = engine.next(|| now) {
        let recipient = String::from_utf8(attempt.fork().recipient.to_vec()).unwrap();
        let host = recipient.split('@').next_back().unwrap();
        if let Some((attempt, found)) = attempt.by_name(format!("udp:0:{host}").as_bytes(), now) {
            assert_eq!(found, address());
            sent.push((recipient.clone(), attempt.cookie()));
        }
    }
    sent
}

fn names_of(sent: &[(String, u64)]) -> Vec<&str> {
    sent.iter()
        .map(|(recipient, _)| recipient.as_str())
        .collect()
}

fn question(engine: &Engine) -> Question {
    engine.next_question().expect("a question")
}

fn outcomes(engine: &Engine) -> Vec<Outcome> {
    let events = std::iter::from_fn(|| engine.next_event());
    let outcomes = events.filter_map(|event| match event {
        Event::Ended(outcome) => Some(outcome.outcome),
        Event::Finished(_) => None,
    });
    outcomes.collect()
}

#[test]
fn a_name_is_asked_once_and_lets_all_go_that_wait_for_it() {
    let engine = engine();
    start(&engine, &["sip:a@h.net", "sip:b@h.net", "sip:c@other.net"]);
    start(&engine, &["sip:a@h.net"]);
    assert_eq!(send_at(&engine, NOW), []);
    let load = engine.load();
    assert_eq!(
        (load.in_flight, load.transactions),
        (0, 0),
        "no place of the window"
    );
    assert_eq!((load.names_asked, load.waiting_for_names), (2, 3));
    let (first, second) = (question(&engine), question(&engine));
    assert_eq!(
        (first.name(), second.name()),
        (&b"udp:0:h.net"[..], &b"udp:0:other.net"[..])
    );
    assert_eq!(engine.next_question(), None);
    engine.name_leads(&first, &[address()], MINUTE, NOW);
    let sent = send_at(&engine, NOW);
    assert_eq!(names_of(&sent), ["sip:a@h.net", "sip:b@h.net"]);
    // M-3: the other message to the same member comes after it.
    engine.completed(sent[0].1, 200);
    assert_eq!(names_of(&send_at(&engine, NOW)), ["sip:a@h.net"]);
    assert_eq!(engine.next_question(), None);
    assert_eq!(engine.load().waiting_for_names, 1);
}

#[test]
fn what_was_known_serves_while_it_is_asked_anew() {
    let engine = engine();
    let send_one = |now| {
        start(&engine, &["sip:a@h.net"]);
        let sent = send_at(&engine, now);
        sent.iter()
            .for_each(|(_, cookie)| engine.completed(*cookie, 200));
        sent.len()
    };
    assert_eq!(send_one(NOW), 0);
    engine.name_leads(&question(&engine), &[address()], MINUTE, NOW);
    // The second follows the first, to the same member.
    assert_eq!((send_one(NOW), send_one(NOW)), (1, 1));
    send_at(&engine, NOW)
        .iter()
        .for_each(|(_, cookie)| engine.completed(*cookie, 200));
    assert_eq!(send_one(NOW + 47_000), 1);
    assert_eq!(engine.next_question(), None, "it is not old");
    // Nobody waits for the answer, and there is none.
    let mut now = NOW + 48_000;
    assert_eq!(send_one(now), 1);
    let asked = question(&engine);
    assert_eq!(engine.name_fails(&asked, NotResolved::NoAnswer, now), None);
    assert_eq!(send_one(now), 1);
    assert_eq!(engine.next_question(), None, "not at once");
    now = NOW + 60_000 + STALE - 1;
    assert_eq!(send_one(now), 1);
    let asked = question(&engine);
    assert_eq!(engine.name_fails(&asked, NotResolved::NoAnswer, now), None);
    // Not for ever.
    assert_eq!(send_one(NOW + 60_000 + STALE), 0);
}

#[test]
fn a_name_that_leads_nowhere_any_more_is_forgotten() {
    let engine = engine();
    start(&engine, &["sip:a@h.net"]);
    assert_eq!(send_at(&engine, NOW), []);
    engine.name_leads(&question(&engine), &[address()], MINUTE, NOW);
    assert_eq!(send_at(&engine, NOW + 50_000).len(), 1);
    let asked = question(&engine);
    assert_eq!(
        engine.name_fails(&asked, NotResolved::LeadsNowhere, NOW + 50_000),
        None
    );
    start(&engine, &["sip:b@h.net"]);
    assert_eq!(send_at(&engine, NOW + 50_000), []);
}

#[test]
fn each_copy_is_tried_for_as_long_as_the_queue_says() {
    let engine = engine_with(Settings {
        queue_lifetime: 100,
        ..limits()
    });
    let start_at = |accepted_at, recipients: &[&str]| {
        let submission = Submission {
            accepted_at,
            ..submission()
        };
        let own = || recipients.iter().map(|name| Own::plain(name.as_bytes()));
        engine.start(engine.reserve(&submission, own, accepted_at).unwrap());
        assert_eq!(send_at(&engine, accepted_at), []);
    };
    // The third one waits for its target, and has no more time than the second.
    start_at(NOW, &["sip:a@h.net"]);
    let asked = question(&engine);
    let (mut now, mut pauses, mut ended) = (NOW, Vec::new(), Vec::new());
    while let Some(again) = engine.name_fails(&asked, NotResolved::NoAnswer, now) {
        assert_eq!(send_at(&engine, now), []);
        ended.extend(
            outcomes(&engine)
                .iter()
                .map(|outcome| (*outcome, now - NOW)),
        );
        if pauses.len() == 5 {
            start_at(now, &["sip:b@h.net"]);
            start_at(now, &["sip:b@h.net"]);
        }
        pauses.push(again - now);
        now = again;
        assert!(pauses.len() < 20, "asked for ever");
    }
    assert_eq!(send_at(&engine, now), []);
    ended.extend(
        outcomes(&engine)
            .iter()
            .map(|outcome| (*outcome, now - NOW)),
    );
    assert_eq!(
        pauses[..6],
        [1_000, 2_000, 4_000, 8_000, 16_000, LONGEST_PAUSE]
    );
    let unresolved = Outcome::Unreachable(478);
    // The first look-up was at the same time as the first message, the sixth 31 seconds later.
    assert_eq!(
        ended,
        [
            (unresolved, 121_000),
            (unresolved, 151_000),
            (unresolved, 151_000)
        ]
    );
    let load = engine.load();
    let left = (load.waiting_for_names, load.names_asked, load.waiting);
    assert_eq!(left, (0, 0, 0));
}

#[test]
fn an_address_that_gives_no_answer_is_left_for_the_next_one() {
    let engine = engine();
    let others = [address(), SocketAddr::from(([192, 0, 2, 2], 5060))];
    let send_one = |now| {
        start(&engine, &["sip:a@h.net"]);
        let mut found = None;
        while let Some(attempt) = engine.next(|| now) {
            if let Some((attempt, address)) = attempt.by_name(b"udp:0:h.net", now) {
                found = Some((address, attempt.cookie()));
            }
        }
        found
    };
    assert_eq!(send_one(NOW), None);
    engine.name_leads(&question(&engine), &others, MINUTE, NOW);
    let (first, cookie) = send_one(NOW).expect("the first copy");
    assert_eq!(first, others[0]);
    engine.next_hop_failed(cookie);
    // Once for all copies that were sent there.
    engine.next_hop_failed(cookie);
    engine.completed(cookie, 408);
    let (second, cookie) = send_one(NOW + 50_000).expect("the second copy");
    assert_eq!(second, others[1]);
    engine.completed(cookie, 200);
    // A new answer changes nothing as long as it names the same address.
    engine.name_leads(&question(&engine), &others, MINUTE, NOW + 50_000);
    let (third, cookie) = send_one(NOW + 50_000).expect("the third copy");
    assert_eq!(third, others[1]);
    engine.next_hop_failed(cookie);
    engine.completed(cookie, 408);
    assert_eq!(
        send_one(NOW + 50_000).expect("the fourth copy").0,
        others[0]
    );
}

#[test]
fn a_cancelled_message_waits_for_no_name() {
    let engine = engine();
    let cancelled = start(&engine, &["sip:a@h.net", "sip:b@h.net"]);
    start(&engine, &["sip:a@h.net"]);
    assert_eq!(send_at(&engine, NOW), []);
    assert!(engine.cancel(cancelled).unwrap().is_some());
    engine.tick(NOW);
    assert_eq!(
        outcomes(&engine),
        [Outcome::Skipped(SkipReason::Cancelled); 2]
    );
    // The other message has the target now.
    assert_eq!(send_at(&engine, NOW), []);
    assert_eq!(engine.load().waiting_for_names, 1);
    engine.name_leads(&question(&engine), &[address()], MINUTE, NOW);
    assert_eq!(send_at(&engine, NOW).len(), 1);
}

fn start_many(engine: &Engine, originator: &[u8], from: usize, count: usize) -> u64 {
    let names: Vec<_> = (from..from + count)
        .map(|n| format!("sip:m@n{n}.net"))
        .collect();
    let submission = Submission {
        originator,
        ..submission()
    };
    let own = || names.iter().map(|name| Own::plain(name.as_bytes()));
    engine.start(engine.reserve(&submission, own, NOW).unwrap())
}

#[test]
fn one_originator_leaves_room_for_the_names_of_others() {
    let engine = engine();
    // A name in use, which nobody pushes out.
    start(&engine, &["sip:a@used.net"]);
    send_at(&engine, NOW);
    engine.name_leads(&question(&engine), &[address()], MINUTE, NOW);
    assert_eq!(send_at(&engine, NOW).len(), 1);
    start_many(&engine, b"sip:eve@home1.net", 0, 3 * SHARE);
    assert_eq!(send_at(&engine, NOW + 1), []);
    let load = engine.load();
    assert_eq!(load.waiting_for_names, 3 * SHARE as u64);
    assert!(load.names_asked <= SHARE as u64, "{load:?}");
    assert!(load.names_asked > SHARE as u64 / 2, "{load:?}");
    start_many(&engine, b"sip:bob@home1.net", 4 * SHARE, 10);
    send_at(&engine, NOW + 1);
    assert_eq!(engine.load().names_asked, load.names_asked + 10);
    start(&engine, &["sip:b@used.net"]);
    assert_eq!(send_at(&engine, NOW + 1).len(), 1);
    // Those for which there was no room have their turn.
    let mut sent = 0;
    for _ in 0..20 {
        while let Some(asked) = engine.next_question() {
            engine.name_leads(&asked, &[address()], MINUTE, NOW + 1);
        }
        loop {
            let now = send_at(&engine, NOW + 1);
            sent += now.len();
            now.iter().for_each(|(_, cookie)| {
                engine.completed(*cookie, 200);
                engine.released(*cookie);
            });
            if now.is_empty() {
                break;
            }
        }
        engine.tick(NOW + 1);
    }
    assert_eq!(sent, 3 * SHARE + 10);
    assert_eq!(engine.load().waiting_for_names, 0);
}

#[test]
fn whenever_a_process_dies_copies_that_wait_for_names_are_not_lost() {
    let mut deaths = 0;
    let ends = [End::Death, End::Panic];
    for (end, changes) in (1..4_000).flat_map(|changes| ends.map(|end| (end, changes))) {
        let engine = engine();
        start(&engine, &["sip:a@h.net", "sip:b@h.net", "sip:c@other.net"]);
        start(&engine, &["sip:c@other.net", "sip:a@h.net"]);
        let mut told = HashMap::new();
        let mut tell = || {
            while let Some(event) = engine.next_event() {
                if let Event::Ended(outcome) = event {
                    let key = (outcome.message(), outcome.recipient());
                    *told.entry(key).or_insert(0) += 1;
                }
            }
        };
        let complete = |sent: Vec<(String, u64)>| {
            for (_, cookie) in sent {
                engine.completed(cookie, 200);
                engine.released(cookie);
            }
        };
        death::after(end, changes);
        let _ = catch_unwind(AssertUnwindSafe(|| {
            complete(send_at(&engine, NOW));
            let (first, second) = (question(&engine), question(&engine));
            engine.name_leads(&first, &[address()], MINUTE, NOW);
            complete(send_at(&engine, NOW));
            let _ = engine.name_fails(&second, NotResolved::NoAnswer, NOW);
        }));
        let died = death::over();
        deaths += u32::from(died);
        let mut now = NOW + 1_000;
        for _ in 0..4 {
            now += 1_000;
            engine.tick(now);
            // What was about to be sent may have been handed over.
            let known =
                (0..1u64 << 4).flat_map(|transaction| (1..8).map(move |n| n << 20 | transaction));
            known.for_each(|cookie| {
                engine.completed(cookie, 200);
                engine.released(cookie);
            });
            complete(send_at(&engine, now));
            while let Some(asked) = engine.next_question() {
                engine.name_leads(&asked, &[address()], MINUTE, now);
            }
            tell();
        }
        if !died {
            break;
        }
        let load = engine.load();
        let left = (load.waiting, load.waiting_for_names, load.in_flight);
        assert_eq!(left, (0, 0, 0), "{changes}: {load:?}");
        assert!(
            told.values().all(|&times| times == 1),
            "{changes}: {told:?}"
        );
    }
    assert!(deaths > 100, "only {deaths} deaths");
}

#[test]
fn the_last_names_of_the_table_are_like_all_others() {
    let engine = engine();
    let keys = engine.queue.scheduler.keys;
    let is_last = |host: &String| {
        let hash = keys.of_name(format!("udp:0:{host}").as_bytes());
        (hash >> 32) % 8192 == 8191
    };
    let mut hosts = (0..).map(|n| format!("h{n}.net")).filter(is_last);
    for host in hosts.by_ref().take(9) {
        start(&engine, &[&format!("sip:a@{host}")]);
        assert_eq!(send_at(&engine, NOW), []);
        let question = question(&engine);
        assert_eq!(question.name(), format!("udp:0:{host}").as_bytes());
        engine.name_leads(&question, &[address()], MINUTE, NOW);
        let sent = send_at(&engine, NOW);
        assert_eq!(names_of(&sent), [format!("sip:a@{host}")]);
        engine.completed(sent[0].1, 200);
        engine.released(sent[0].1);
    }
    assert_eq!(outcomes(&engine), [Outcome::Delivered(200); 9]);
}
