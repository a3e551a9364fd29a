//! How messages end before all of their copies were sent, and what an administrator sees until then.

use super::{NOW, engine, outcomes, send, start, start_as, submission};
use crate::control::Own;
use crate::fanout::{Cancelled, Outcome, SkipReason, Submission};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

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
    assert_eq!(engine.cancel(number + 1), Ok(None));
    let cancelled = Cancelled {
        skipped: 2,
        in_flight: 1,
        ended: 0,
    };
    assert_eq!(engine.cancel(number), Ok(Some(cancelled)));
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
fn what_is_under_way_is_known_by_message_and_recipient() {
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
