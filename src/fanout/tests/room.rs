//! Room and budgets, which are taken before the 202.

use super::{NOW, engine, engine_with, limits, start, submission};
use crate::config::{Quota, Settings};
use crate::control::Own;
use crate::control::Reason;
use crate::fanout::Submission;

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
