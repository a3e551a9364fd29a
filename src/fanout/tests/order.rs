//! Who is sent to next: turns of originators and messages, one message at a time for a member, order within a group.

use super::{
    NOW, engine, engine_with, limits, outcomes, send, start, start_as, start_narrow, submission,
};
use crate::config::{Quota, Settings};
use crate::control::Own;
use crate::fanout::lock::death;
use crate::fanout::targets::Occupied;
use crate::fanout::{Outcome, SkipReason, Submission};

#[test]
fn messages_take_turns() {
    let engine = engine();
    let first = start(&engine, &["sip:a@h", "sip:b@h", "sip:c@h"]);
    let second = start(&engine, &["sip:d@h", "sip:e@h"]);
    let sent = std::iter::from_fn(|| send(&engine));
    let messages: Vec<u64> = sent.map(|(_, message, _)| message).collect();
    assert_eq!(messages, [first, second, first, second, first]);
}

#[test]
fn a_breadth_of_one_sends_one_after_the_other() {
    // U-6, T 89.
    let engine = engine();
    let narrow = Submission {
        window: 1,
        ..submission()
    };
    start_as(&engine, &narrow, &["sip:a@h", "sip:b@h"]);
    let attempt = engine.next(|| NOW).unwrap();
    assert!(engine.next(|| NOW).is_none());
    engine.completed(attempt.cookie(), 404);
    drop(attempt);
    assert_eq!(send(&engine).unwrap().0, "sip:b@h");
}

#[test]
fn who_was_silent_goes_last() {
    let engine = engine();
    start(&engine, &["sip:a@h"]);
    let (_, _, cookie) = send(&engine).unwrap();
    engine.completed(cookie, 408);
    start(&engine, &["sip:a@h", "sip:b@h", "sip:c@h"]);
    let sent = std::iter::from_fn(|| send(&engine));
    let order: Vec<String> = sent.map(|(recipient, _, _)| recipient).collect();
    assert_eq!(order, ["sip:b@h", "sip:c@h", "sip:a@h"]);
}

#[test]
fn a_target_gets_messages_one_by_one_and_in_order() {
    // M-3, T 102.
    let engine = engine();
    let messages: Vec<u64> = (0..4).map(|_| start(&engine, &["sip:a@h"])).collect();
    for message in messages {
        let (_, sent, cookie) = send(&engine).unwrap();
        assert_eq!(sent, message);
        assert_eq!(send(&engine), None);
        engine.completed(cookie, 200);
    }
    assert_eq!(send(&engine), None);
    assert_eq!(outcomes(&engine), [Outcome::Delivered(200); 4]);
}

#[test]
fn without_order_a_target_gets_all_at_once() {
    // M-3.
    let engine = engine_with(Settings {
        target_order: false,
        ..limits()
    });
    for _ in 0..4 {
        start(&engine, &["sip:a@h"]);
    }
    assert_eq!(std::iter::from_fn(|| send(&engine)).count(), 4);
}

#[test]
fn a_full_target_queue_skips_the_recipient_and_nobody_else() {
    // M-3.
    let engine = engine_with(Settings {
        target_queue: 1,
        ..limits()
    });
    for _ in 0..3 {
        start(&engine, &["sip:a@h", "sip:b@h"]);
    }
    assert_eq!(std::iter::from_fn(|| send(&engine)).count(), 2);
    let skipped = Outcome::Skipped(SkipReason::TargetQueueFull);
    assert_eq!(outcomes(&engine), [skipped, skipped]);
}

#[test]
fn messages_that_wait_for_room_in_the_table_of_targets_go_on_in_their_order_and_cost_nothing() {
    // M-3.
    let engine = engine();
    let more = 20_000;
    let taken = 0..more;
    let free = engine.queue.with(|held| {
        taken
            .into_iter()
            .take_while(|&hash| {
                !matches!(
                    engine.queue.scheduler.targets.occupy(held, hash),
                    Occupied::NoRoom
                )
            })
            .count() as u64
    });
    assert!(free < more);
    let names: Vec<[String; 2]> = (0..500)
        .map(|n| ["a", "b"].map(|user| format!("sip:{user}{n}@h")))
        .collect();
    for pair in &names {
        start(&engine, &[&pair[0], &pair[1]]);
    }
    assert_eq!(send(&engine), None);
    death::after(death::End::Death, u32::MAX);
    assert_eq!(send(&engine), None);
    let changes = death::changes();
    death::over();
    assert!(changes < 50, "{changes} changes to find nothing");
    // One comes free, and serves one after the other: the first of each message, then the second.
    engine
        .queue
        .with(|held| engine.queue.scheduler.targets.leave(held, 0));
    for user in [0, 1] {
        for pair in &names {
            let (recipient, _, cookie) = send(&engine).unwrap();
            assert_eq!(recipient, pair[user]);
            assert_eq!(send(&engine), None);
            engine.completed(cookie, 200);
            engine.released(cookie);
        }
    }
    assert_eq!(outcomes(&engine), [Outcome::Delivered(200); 1000]);
    assert_eq!(engine.load().memory_used, 0);
}

#[test]
fn a_later_message_overtakes_an_earlier_one_at_no_member() {
    // M-3.
    let engine = engine();
    let names: Vec<String> = (0..20).map(|n| format!("sip:u{n}@h")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // Neither of the first two goes to its own originator.
    let messages = [
        start_narrow(&engine, 2, &names[1..]),
        start_narrow(&engine, 2, &names[..19]),
        start_narrow(&engine, 2, &names),
    ];
    let mut sent: Vec<(String, u64)> = Vec::new();
    let mut open = std::collections::VecDeque::new();
    loop {
        while let Some((recipient, message, cookie)) = send(&engine) {
            sent.push((recipient, message));
            open.push_back(cookie);
        }
        let Some(cookie) = open.pop_front() else {
            break;
        };
        engine.completed(cookie, 200);
        engine.released(cookie);
    }
    for (n, name) in names.iter().enumerate() {
        let of_his = sent.iter().filter(|(to, _)| to == name);
        let got: Vec<u64> = of_his.map(|(_, message)| *message).collect();
        let expected = match n {
            0 => &messages[1..],
            19 => &[messages[0], messages[2]][..],
            _ => &messages[..],
        };
        assert_eq!(got, expected, "{name}");
    }
    assert_eq!(outcomes(&engine).len(), sent.len());
    assert_eq!(engine.load().memory_used, 0);
}

#[test]
fn a_message_of_another_group_waits_for_nobodys_turn() {
    // M-3.
    let engine = engine();
    let first = start_narrow(&engine, 1, &["sip:a@h", "sip:b@h"]);
    start_narrow(&engine, 1, &["sip:b@h"]);
    let other = Submission {
        group: b"sip:walkers@im.home1.net",
        window: 1,
        ..submission()
    };
    let other = start_as(&engine, &other, &["sip:b@h"]);
    let mut sent: Vec<(String, u64)> = std::iter::from_fn(|| send(&engine))
        .map(|(recipient, message, _)| (recipient, message))
        .collect();
    sent.sort();
    let expected = [("sip:a@h".to_owned(), first), ("sip:b@h".to_owned(), other)];
    assert_eq!(sent, expected);
}

#[test]
fn who_follows_a_message_that_is_cancelled_is_sent_to() {
    // M-3.
    let engine = engine();
    let first = start_narrow(&engine, 1, &["sip:a@h", "sip:b@h", "sip:c@h"]);
    start_narrow(&engine, 1, &["sip:b@h"]);
    let third = start_narrow(&engine, 1, &["sip:c@h"]);
    assert_eq!(send(&engine).unwrap().0, "sip:a@h");
    assert_eq!(send(&engine), None);
    // One that waits behind others' turns ends at once, and lets them go on.
    assert!(
        [third, first]
            .iter()
            .all(|it| engine.cancel(*it).unwrap().is_some())
    );
    engine.tick(NOW);
    let cancelled = Outcome::Skipped(SkipReason::Cancelled);
    assert_eq!(outcomes(&engine), [cancelled; 3]);
    assert_eq!(send(&engine).unwrap().0, "sip:b@h");
}

#[test]
fn all_spellings_of_an_address_are_one_target_and_one_originator() {
    // S-5, M-3.
    let engine = engine();
    start(&engine, &["sip:bob@h;x=1"]);
    start(&engine, &["sip:%62ob@H:5070;transport=tcp"]);
    let (_, _, cookie) = send(&engine).unwrap();
    assert_eq!(send(&engine), None, "bob has not answered the first");
    engine.completed(cookie, 408);
    engine.released(cookie);
    let (_, _, cookie) = send(&engine).unwrap();
    engine.completed(cookie, 408);
    engine.released(cookie);
    // Whoever was silent under one of them comes last under another.
    start(&engine, &["sip:bob@h;x=3", "sip:cho@h"]);
    let (recipient, _, _) = send(&engine).unwrap();
    assert_eq!(recipient, "sip:cho@h");

    let quota = Quota {
        messages: 2,
        seconds: 60,
    };
    let engine = engine_with(Settings {
        quota_originator: Some(quota),
        ..limits()
    });
    let reserve = |originator: &str| {
        let submission = Submission {
            originator: originator.as_bytes(),
            ..submission()
        };
        let own = || std::iter::once(Own::plain(b"sip:bob@h"));
        let ticket = engine.reserve(&submission, own, NOW);
        ticket.map(|ticket| engine.start(ticket)).is_ok()
    };
    assert!(reserve("sip:eve@home1.net;x=1") && reserve("sip:%65ve@HOME1.net;x=2"));
    assert!(!reserve("sip:eve@home1.net:5060"));
    assert!(reserve("sip:ann@home1.net"));
}
