//! What becomes of copies that the proxy has no memory for.

use super::{NOW, engine, outcomes, send, start, start_as, submission};
use crate::fanout::{NotSent, Outcome, Submission};

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
fn after_a_lack_of_memory_sending_begins_with_few_forks() {
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
