//! The engine's promises one by one.

use super::lock::death;
use super::targets::Occupied;
use super::{
    Counters, Engine, Event, FreeMemory, NotRestored, NotSent, Origin, Outcome, ProxyMemory,
    SkipReason, Submission,
};
use crate::config::{Quota, Settings};
use crate::control::Own;
use crate::control::Reason;
pub(super) use crate::sample::{NOW, submission};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// No limit that matters.
pub(super) fn limits() -> Settings {
    Settings {
        queue_memory: 1,
        queue_messages: 1000,
        forks_in_flight: 1000,
        patience: 2,
        target_order: true,
        target_queue: 100,
        queue_lifetime: 600,
        quota_originator: None,
        quota_group: None,
        rate: 0,
        ..Settings::new()
    }
}

pub(super) fn engine_with(limits: Settings) -> Engine {
    let engine = engine_of_no_proxy(limits);
    engine.leave_memory(ProxyMemory {
        free: Box::new(Plenty),
        whole: 1 << 40,
        reserve: 1 << 30,
        transaction: 10 << 10,
    });
    engine
}

/// Nobody has told it of the proxy's memory.
pub(super) fn engine_of_no_proxy(limits: Settings) -> Engine {
    Engine::new(limits, [7; 16], Arc::new(Counters::new().unwrap())).unwrap()
}

/// More than any test needs.
#[derive(Debug)]
struct Plenty;

impl FreeMemory for Plenty {
    fn bytes(&self) -> u64 {
        1 << 40
    }
}

pub(super) fn engine() -> Engine {
    engine_with(limits())
}

/// Accepts and starts a message; gives its number.
pub(super) fn start(engine: &Engine, names: &[&str]) -> u64 {
    start_as(engine, &submission(), names)
}

/// The same for a message of which at most `window` forks wait for their final responses at once.
pub(super) fn start_narrow(engine: &Engine, window: u32, names: &[&str]) -> u64 {
    let narrow = Submission {
        window,
        ..submission()
    };
    start_as(engine, &narrow, names)
}

pub(super) fn start_as(engine: &Engine, submission: &Submission<'_>, names: &[&str]) -> u64 {
    let own = || names.iter().map(|name| Own::plain(name.as_bytes()));
    engine.start(engine.reserve(submission, own, NOW).unwrap())
}

/// Sends the next fork; gives whom to, of which message, and its cookie.
pub(super) fn send(engine: &Engine) -> Option<(String, u64, u64)> {
    let attempt = engine.next(|| NOW)?;
    let recipient = String::from_utf8(attempt.fork().recipient.to_vec()).unwrap();
    Some((recipient, attempt.message(), attempt.cookie()))
}

pub(super) fn outcomes(engine: &Engine) -> Vec<Outcome> {
    let events = std::iter::from_fn(|| engine.next_event());
    let outcomes = events.filter_map(|event| match event {
        Event::Ended(outcome) => Some(outcome.outcome),
        Event::Finished(_) => None,
    });
    outcomes.collect()
}

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
fn what_was_answered_and_is_not_to_be_sent_ends_as_cancelled() {
    // S-5: nobody sends to some of them between the start and the cancelling.
    let engine = engine();
    let own = || ["sip:a@h", "sip:b@h"].map(|name| Own::plain(name.as_bytes()));
    let ticket = engine.reserve(&submission(), || own().into_iter(), NOW);
    engine.start_cancelled(ticket.unwrap());
    assert_eq!(send(&engine), None);
    engine.tick(NOW);
    let cancelled = Outcome::Skipped(SkipReason::Cancelled);
    assert_eq!(outcomes(&engine), [cancelled; 2]);
    assert_eq!(engine.load().memory_used, 0);
    assert_eq!(engine.load().messages, 0);
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
fn what_the_proxy_has_no_memory_for_is_tried_again_for_a_while() {
    let engine = engine();
    start(&engine, &["sip:a@h"]);
    for second in 0..600 {
        let now = NOW + second * 1000;
        let attempt = engine.next(|| now).unwrap();
        attempt.not_sent(NotSent::OutOfMemory, now);
        assert!(engine.next(|| now).is_none());
    }
    assert_eq!(outcomes(&engine), []);
    let now = NOW + 600_000;
    let attempt = engine.next(|| now).unwrap();
    attempt.not_sent(NotSent::OutOfMemory, now);
    assert_eq!(outcomes(&engine), [Outcome::Expired]);
    assert_eq!(engine.load().memory_used, 0);
}

#[test]
fn memory_that_comes_free_ends_the_pause() {
    let engine = engine();
    start(&engine, &["sip:a@h", "sip:b@h"]);
    let (_, _, cookie) = send(&engine).unwrap();
    engine
        .next(|| NOW)
        .unwrap()
        .not_sent(NotSent::OutOfMemory, NOW);
    engine.completed(cookie, 200);
    assert!(engine.next(|| NOW).is_none());
    engine.released(cookie);
    assert_eq!(send(&engine).unwrap().0, "sip:b@h");
}

#[test]
fn a_panic_while_a_fork_is_handed_over_ends_its_recipient_and_leaks_nothing() {
    let engine = engine();
    start(&engine, &["sip:a@h", "sip:b@h"]);
    let attempt = engine.next(|| NOW).unwrap();
    let handed = catch_unwind(AssertUnwindSafe(|| {
        attempt.hand_over(|_, _| resume_unwind(Box::new("a defect")), || NOW)
    }));
    assert!(handed.is_err());
    let (_, _, cookie) = send(&engine).unwrap();
    engine.completed(cookie, 200);
    engine.released(cookie);
    let expected = [Outcome::Unreachable(503), Outcome::Delivered(200)];
    assert_eq!(outcomes(&engine), expected);
    let load = engine.load();
    assert_eq!(
        (load.messages, load.transactions, load.in_flight),
        (0, 0, 0)
    );
}

#[test]
fn what_is_left_of_an_expired_message_is_not_sent() {
    // M-4.
    let engine = engine();
    let short = Submission {
        expires_at: NOW + 1000,
        window: 1,
        ..submission()
    };
    start_as(&engine, &short, &["sip:a@h", "sip:b@h", "sip:c@h"]);
    let (_, _, cookie) = send(&engine).unwrap();
    engine.tick(NOW + 999);
    assert_eq!(outcomes(&engine), []);
    engine.tick(NOW + 1000);
    assert_eq!(outcomes(&engine), [Outcome::Expired; 2]);
    engine.completed(cookie, 200);
    assert_eq!(outcomes(&engine), [Outcome::Delivered(200)]);
}

#[test]
fn a_message_over_budget_is_refused_with_the_time_to_wait() {
    // S-5, T 110.
    let few = Quota {
        messages: 2,
        seconds: 60,
    };
    for (limits, reason, retry_after) in [
        (
            Settings {
                quota_originator: Some(few),
                ..limits()
            },
            Reason::OriginatorQuota,
            30,
        ),
        (
            Settings {
                quota_group: Some(few),
                ..limits()
            },
            Reason::GroupQuota,
            30,
        ),
        (
            Settings {
                rate: 2,
                ..limits()
            },
            Reason::Rate,
            1,
        ),
        (
            Settings {
                queue_messages: 2,
                ..limits()
            },
            Reason::QueueFull,
            2,
        ),
    ] {
        let engine = engine_with(limits);
        let own = || std::iter::once(Own::plain(b"sip:a@h"));
        for _ in 0..5 {
            // What is given back does not count.
            drop(engine.reserve(&submission(), own, NOW).unwrap());
        }
        start(&engine, &["sip:a@h"]);
        start(&engine, &["sip:a@h"]);
        let refused = engine.reserve(&submission(), own, NOW).unwrap_err();
        assert_eq!((refused.reason, refused.retry_after), (reason, retry_after));
        assert!([480, 503].contains(&refused.reason.code()));
    }
}

#[test]
fn a_message_that_does_not_fit_into_memory_is_refused() {
    // A.1 row 13.
    let engine = engine();
    let large = vec![b'x'; 600 << 10];
    let large = Submission {
        body: &large,
        ..submission()
    };
    let own = || std::iter::once(Own::plain(b"sip:a@h"));
    let ticket = engine.reserve(&large, own, NOW).unwrap();
    let refused = engine.reserve(&large, own, NOW).unwrap_err();
    assert_eq!(refused.reason, Reason::QueueMemory);
    drop(ticket);
    assert_eq!(engine.load().memory_used, 0);
    assert!(engine.reserve(&large, own, NOW).is_ok());
}

#[test]
fn a_message_taken_up_again_has_the_same_forks() {
    let engine = engine();
    let own = || {
        [
            Own::plain(b"sip:a@h"),
            Own {
                address: b"sip:b@h",
                headers: b"Subject: b\r\n",
                has_entry: true,
            },
            Own::plain(b"sip:c@h"),
        ]
        .into_iter()
    };
    let ticket = engine.reserve(&submission(), own, NOW).unwrap();
    // What the ledger is given lends the same.
    let lent = ticket.block().unwrap().submission();
    assert_eq!(format!("{lent:?}"), format!("{:?}", submission()));
    assert!(ticket.block().unwrap().recipients().eq(own()));
    let number = engine.start(ticket);
    let forks = |engine: &Engine| {
        let attempts = std::iter::from_fn(|| engine.next(|| NOW));
        let texts = attempts.map(|attempt| {
            let mut text = Vec::new();
            attempt.fork().write_headers(&mut text);
            text.extend_from_slice(&attempt.fork().body());
            (text, attempt.cookie())
        });
        texts.collect::<Vec<_>>()
    };
    let before = forks(&engine);
    let again = super::tests::engine();
    let told = [(0, Outcome::Delivered(200))];
    let origin = Origin {
        number: Some(number),
        ledger: 77,
        ..Origin::default()
    };
    let restored = again.restore(&submission(), own, origin, told);
    assert_eq!(restored, Ok(Some((number, 2))));
    assert_eq!(again.under_way().unwrap()[0].ledger(), 77);
    let after = forks(&again);
    assert_eq!(after.len(), 2);
    assert!(after.iter().zip(&before[1..]).all(|(a, b)| a.0 == b.0));
    for (_, cookie) in after {
        again.completed(cookie, 482);
        again.released(cookie);
    }
    assert_eq!(outcomes(&again), [Outcome::Delivered(482); 2]);
    assert_eq!(again.load().memory_used, 0);
    assert!(start(&again, &["sip:a@h"]) > number);
    // One that stays in the ledger keeps its number, too.
    again.skip_numbers(number + 50);
    assert_eq!(start(&again, &["sip:b@h"]), number + 51);
    let all = (0..3).map(|number| (number, Outcome::Expired));
    let restored = super::tests::engine().restore(&submission(), own, origin, all);
    assert_eq!(restored, Ok(None));
}

#[test]
fn one_copy_of_a_message_has_the_identifiers_that_it_had_among_the_others() {
    let engine = engine();
    start(&engine, &["sip:a@h", "sip:b@h", "sip:c@h"]);
    let first: Vec<_> = std::iter::from_fn(|| engine.next(|| NOW)).collect();
    let again = super::tests::engine();
    start(&again, &["sip:x@h"]);
    drop(again.next(|| NOW));
    let origin = Origin {
        kept: 9,
        first: 2,
        ..Origin::default()
    };
    let own = || std::iter::once(Own::plain(b"sip:c@h"));
    let restored = again.restore(&submission(), own, origin, []);
    assert_eq!(restored, Ok(Some((2, 1))));
    let copy = again.next(|| NOW).unwrap();
    let (copy, last) = (copy.fork(), first[2].fork());
    assert!(copy.call_id == last.call_id && copy.from_tag == last.from_tag);
    assert!(copy.call_id != first[0].fork().call_id);
    let own = || std::iter::empty();
    let nobody = again.restore(&submission(), own, origin, []);
    assert_eq!(nobody, Err(NotRestored::Damaged));
}

#[test]
fn an_administrator_sees_what_is_under_way_and_may_stop_it() {
    let engine = engine();
    let narrow = Submission {
        window: 1,
        ..submission()
    };
    let number = start_as(&engine, &narrow, &["sip:a@h", "sip:b@h", "sip:c@h"]);
    let (_, _, cookie) = send(&engine).unwrap();
    let fanouts = engine.fanouts().unwrap();
    assert_eq!(fanouts.len(), 1);
    let fanout = &fanouts[0];
    assert_eq!(
        (fanout.message, fanout.recipients, fanout.in_flight),
        (number, 3, 1)
    );
    assert_eq!(
        (fanout.group.as_slice(), fanout.accepted_at),
        (submission().group, NOW)
    );
    assert_eq!(engine.cancel(number + 1), Ok(false));
    assert_eq!(engine.cancel(number), Ok(true));
    assert!(engine.next(|| NOW).is_none());
    engine.tick(NOW);
    assert_eq!(
        outcomes(&engine),
        [Outcome::Skipped(SkipReason::Cancelled); 2]
    );
    engine.completed(cookie, 200);
    assert_eq!(outcomes(&engine), [Outcome::Delivered(200)]);
    assert!(engine.fanouts().unwrap().is_empty());
}

#[test]
fn messages_that_wait_for_room_in_the_table_of_targets_go_on_in_their_order_and_cost_nothing() {
    // M-3.
    let engine = engine();
    let more = 20_000;
    let taken = 0..more;
    let free = engine.with(|held| {
        taken
            .into_iter()
            .take_while(|&hash| {
                !matches!(
                    engine.scheduler.targets.occupy(held, hash),
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
    engine.with(|held| engine.scheduler.targets.leave(held, 0));
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
fn what_is_under_way_is_known_by_message_and_recipient() {
    // Issue 4.
    let engine = engine();
    let messages: Vec<u64> = (0..100)
        .map(|n| start(&engine, &[&format!("sip:a{n}@h"), &format!("sip:b{n}@h")]))
        .collect();
    while let Some((recipient, _, cookie)) = send(&engine) {
        if recipient.starts_with("sip:a") {
            engine.completed(cookie, 404);
        }
    }
    let under_way = engine.under_way().unwrap();
    let numbers: Vec<u64> = under_way.iter().map(|message| message.number()).collect();
    assert_eq!(numbers, messages);
    for (n, message) in under_way.iter().enumerate() {
        assert_eq!(message.remaining(), [format!("sip:b{n}@h").as_bytes()]);
        assert_eq!(message.outcomes(), [(0, Outcome::Refused(404))]);
        assert_eq!(
            (message.recipients(), message.group()),
            (2, submission().group)
        );
    }
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
    assert_eq!([third, first].map(|it| engine.cancel(it)), [Ok(true); 2]);
    engine.tick(NOW);
    let cancelled = Outcome::Skipped(SkipReason::Cancelled);
    assert_eq!(outcomes(&engine), [cancelled; 3]);
    assert_eq!(send(&engine).unwrap().0, "sip:b@h");
}

#[test]
fn after_a_lack_of_memory_sending_begins_with_few_forks() {
    // Issue 4.
    let engine = engine();
    engine.set_transaction_limit(400);
    let names: Vec<String> = (0..900).map(|n| format!("sip:u{n}@h")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let submission = Submission {
        window: 1000,
        ..submission()
    };
    start_as(&engine, &submission, &names);
    let send_at = |now| -> Vec<u64> {
        let attempts = std::iter::from_fn(|| engine.next(|| now));
        attempts.map(|attempt| attempt.cookie()).collect()
    };
    // Its answers come at once, so that in the end it has used all transactions.
    let mut first = Vec::new();
    loop {
        let sent = send_at(NOW);
        if sent.is_empty() {
            break;
        }
        sent.iter()
            .for_each(|&cookie| engine.completed(cookie, 200));
        first.extend(sent);
    }
    assert_eq!(first.len(), 400);
    first.iter().for_each(|&cookie| engine.released(cookie));
    let few = send_at(NOW + 60);
    assert!((1..100).contains(&few.len()), "{} at once", few.len());
    // A response makes room, and so does time.
    engine.completed(few[0], 200);
    assert_eq!(send_at(NOW + 60).len(), 1);
    let more = send_at(NOW + 62).len();
    assert!((1..=few.len()).contains(&more), "{more} more");
    let share = 153;
    assert_eq!(few.len() + more + send_at(NOW + 1060).len(), share);
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
