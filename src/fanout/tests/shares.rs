//! That no originator keeps another one from being sent for.

use super::{NOW, engine, engine_with, limits, outcomes, send, start_as, submission};
use crate::config::Settings;
use crate::fanout::{Engine, Outcome, SkipReason, Submission};

/// Starts a message of an originator to so many recipients that no other message has.
fn start_for(engine: &Engine, originator: &str, recipients: usize) -> u64 {
    let number = engine.load().messages;
    let names: Vec<String> = (0..recipients)
        .map(|n| format!("sip:m{number}.u{n}@h"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    start_as(engine, &of(originator), &names)
}

fn of(originator: &str) -> Submission<'_> {
    Submission {
        originator: originator.as_bytes(),
        group: originator.as_bytes(),
        ..submission()
    }
}

/// Sends all that may be sent now; gives the messages and the cookies.
fn send_all(engine: &Engine) -> Vec<(u64, u64)> {
    let sent = std::iter::from_fn(|| send(engine));
    sent.map(|(_, message, cookie)| (message, cookie)).collect()
}

fn messages(sent: &[(u64, u64)]) -> Vec<u64> {
    sent.iter().map(|(message, _)| *message).collect()
}

#[test]
fn originators_take_turns_and_then_the_messages_of_each() {
    let engine = engine();
    let ann = [2, 1, 2].map(|recipients| start_for(&engine, "sip:ann@h", recipients));
    let bob = start_for(&engine, "sip:bob@h", 3);
    // Those of ann are put in line first.
    let expected = [bob, ann[0], bob, ann[1], bob, ann[2], ann[0], ann[2]];
    assert_eq!(messages(&send_all(&engine)), expected);
}

#[test]
fn who_sends_to_the_silent_leaves_most_of_the_window_to_others() {
    let engine = engine();
    for _ in 0..40 {
        start_for(&engine, "sip:eve@h", 60);
    }
    assert_eq!(send_all(&engine).len(), 382);
    for name in ["sip:ann@h", "sip:bob@h"] {
        let message = start_for(&engine, name, 60);
        assert_eq!(messages(&send_all(&engine)), [message; 60], "{name}");
    }
}

#[test]
fn what_many_leave_is_enough_to_go_on_with() {
    let engine = engine();
    for number in 0..20 {
        for _ in 0..10 {
            start_for(&engine, &format!("sip:eve{number}@h"), 60);
        }
        send_all(&engine);
    }
    let free = 1000 - engine.load().in_flight;
    assert!(free >= 1000 / 21 - 2, "{free} are free");
    let message = start_for(&engine, "sip:ann@h", 60);
    let mut sent = 0;
    while sent < 60 {
        let now = send_all(&engine);
        assert!(!now.is_empty(), "only {sent} were sent");
        for (of, cookie) in now {
            assert_eq!(of, message);
            engine.completed(cookie, 200);
            sent += 1;
        }
    }
}

#[test]
fn where_transactions_are_short_one_originator_leaves_some_too() {
    let engine = engine();
    engine.set_transaction_limit(300);
    for _ in 0..40 {
        start_for(&engine, "sip:eve@h", 60);
    }
    assert_eq!(send_all(&engine).len(), 115);
    start_for(&engine, "sip:ann@h", 50);
    assert_eq!(send_all(&engine).len(), 50);
}

#[test]
fn who_is_held_back_goes_on_when_anybodys_copies_land() {
    let engine = engine_with(Settings {
        forks_in_flight: 10,
        ..limits()
    });
    let eve = start_for(&engine, "sip:eve@h", 20);
    let of_eve = send_all(&engine);
    assert_eq!(messages(&of_eve), [eve; 4]);
    let bob = start_for(&engine, "sip:bob@h", 20);
    let of_bob = send_all(&engine);
    assert_eq!(messages(&of_bob), [bob; 2]);
    // Another one's make room, and its own.
    engine.completed(of_bob[0].1, 200);
    assert_eq!(messages(&send_all(&engine)), [bob]);
    assert!(engine.cancel(bob).unwrap().is_some());
    engine.completed(of_bob[1].1, 200);
    assert!(messages(&send_all(&engine)).is_empty());
    engine.completed(of_eve[0].1, 200);
    assert_eq!(messages(&send_all(&engine)), [eve]);
    // All that was held back and has nothing more to send is forgotten.
    assert!(engine.cancel(eve).unwrap().is_some());
    engine.tick(NOW);
    assert_eq!(engine.load().waiting, engine.load().in_flight);
}

#[test]
fn one_originator_leaves_places_for_others_in_a_members_queue() {
    // M-3.
    let engine = engine();
    for _ in 0..150 {
        start_as(&engine, &of("sip:eve@h"), &["sip:victim@h"]);
    }
    let (_, _, cookie) = send(&engine).unwrap();
    assert_eq!(send(&engine), None);
    let skipped = outcomes(&engine);
    assert!(
        skipped
            .iter()
            .all(|outcome| *outcome == Outcome::Skipped(SkipReason::TargetQueueFull))
    );
    let message = start_as(&engine, &of("sip:ann@h"), &["sip:victim@h", "sip:bob@h"]);
    let (recipient, sent, other) = send(&engine).unwrap();
    assert_eq!((recipient.as_str(), sent), ("sip:bob@h", message));
    assert_eq!(send(&engine), None);
    assert_eq!(outcomes(&engine), []);
    engine.completed(other, 200);
    // What waited before goes before.
    let mut cookie = cookie;
    let mut before = 0;
    loop {
        engine.completed(cookie, 200);
        let next = send(&engine).unwrap();
        cookie = next.2;
        if next.1 == message {
            break;
        }
        before += 1;
    }
    assert_eq!(before, 150 - 1 - skipped.len());
    assert_eq!(before, 100);
}

/// An engine in which eve has as many silent recipients as she may, and her copy for the victim waits behind one of
/// bob's, whose cookie this gives, with those of all her silent recipients.
fn held_up() -> (Engine, u64, Vec<(u64, u64)>) {
    let engine = engine_with(Settings {
        forks_in_flight: 20,
        ..limits()
    });
    start_as(&engine, &of("sip:bob@h"), &["sip:victim@h"]);
    let (_, _, bobs) = send(&engine).unwrap();
    start_as(&engine, &of("sip:eve@h"), &["sip:victim@h"]);
    assert_eq!(send(&engine), None);
    start_for(&engine, "sip:eve@h", 60);
    let silent = send_all(&engine);
    assert_eq!(silent.len(), 8);
    (engine, bobs, silent)
}

/// Who gets the copies that are sent now, and of which message.
fn sent(engine: &Engine) -> Vec<(String, u64, u64)> {
    std::iter::from_fn(|| send(engine)).collect()
}

#[test]
fn who_is_held_back_keeps_no_member_from_getting_others_messages() {
    // M-3.
    let (engine, bobs, silent) = held_up();
    engine.completed(bobs, 200);
    // The victim is kept for eve's copy now, which may not be sent.
    assert_eq!(sent(&engine), []);
    for _ in 0..3 {
        let message = start_as(&engine, &of("sip:ann@h"), &["sip:victim@h"]);
        let (recipient, of, cookie) = send(&engine).unwrap();
        assert_eq!((recipient.as_str(), of), ("sip:victim@h", message));
        assert_eq!(sent(&engine), []);
        engine.completed(cookie, 200);
    }
    // Once it may, it is.
    silent
        .iter()
        .for_each(|&(_, cookie)| engine.completed(cookie, 408));
    let now = sent(&engine);
    assert!(now.iter().any(|(to, ..)| to == "sip:victim@h"), "{now:?}");
}

#[test]
fn others_that_wait_overtake_who_is_held_back_and_are_overtaken_in_no_group() {
    // M-3.
    let (engine, bobs, silent) = held_up();
    let in_her_group = start_as(
        &engine,
        &Submission {
            group: b"sip:eve@h",
            ..of("sip:cho@h")
        },
        &["sip:victim@h"],
    );
    let anns = start_as(&engine, &of("sip:ann@h"), &["sip:victim@h"]);
    let dans = start_as(&engine, &of("sip:dan@h"), &["sip:victim@h"]);
    assert_eq!(sent(&engine), []);
    let mut cookie = bobs;
    for expected in [anns, dans] {
        engine.completed(cookie, 200);
        let now = sent(&engine);
        assert_eq!(now.len(), 1);
        assert_eq!(now[0].1, expected);
        cookie = now[0].2;
    }
    engine.completed(cookie, 200);
    assert_eq!(sent(&engine), []);
    // In her group eve's is the first, and the other one follows.
    silent
        .iter()
        .for_each(|&(_, cookie)| engine.completed(cookie, 408));
    let to_victim = |now: &[(String, u64, u64)]| {
        let found = now.iter().find(|(to, ..)| to == "sip:victim@h");
        found.map(|&(_, of, cookie)| (of, cookie)).unwrap()
    };
    let (of, cookie) = to_victim(&sent(&engine));
    assert!(of < in_her_group, "{of}");
    engine.completed(cookie, 200);
    assert_eq!(to_victim(&sent(&engine)).0, in_her_group);
}

#[test]
fn who_was_overtaken_and_comes_to_its_turn_waits_as_the_first() {
    // M-3.
    let (engine, bobs, silent) = held_up();
    engine.completed(bobs, 200);
    start_as(&engine, &of("sip:ann@h"), &["sip:victim@h"]);
    let (_, _, anns) = send(&engine).unwrap();
    // Eve has nothing more to send to the silent.
    assert!(engine.cancel(3).unwrap().is_some());
    silent
        .iter()
        .for_each(|&(_, cookie)| engine.completed(cookie, 408));
    assert!(sent(&engine).iter().all(|(to, ..)| to != "sip:victim@h"));
    start_as(&engine, &of("sip:dan@h"), &["sip:victim@h"]);
    assert!(sent(&engine).iter().all(|(to, ..)| to != "sip:victim@h"));
    engine.completed(anns, 200);
    let now = sent(&engine);
    assert_eq!(now.len(), 1, "{now:?}");
    assert_eq!(now[0].0, "sip:victim@h");
    assert_eq!(now[0].1, 2, "eve's");
}
