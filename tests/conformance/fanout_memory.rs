//! The promise of the 202 with little memory.

use crate::fanout_breadth::{group, with_group};
use crate::support::client::Transport;
use crate::support::core::Answer;
use crate::support::flow::Request;
use crate::support::rig::Setup;
use std::collections::HashMap;
use std::time::{Duration, Instant};

const MEMBERS: usize = 1000;
/// Each member is silent for a second with each message, one after the other.
const LONG: Duration = Duration::from_secs(150);

/// Sends `messages` to members that are all silent; each 202 has to be followed by an attempt for every member.
/// Says how often the proxy had no memory for a copy.
#[track_caller]
fn keeps_its_word(setup: Setup, messages: usize) -> u64 {
    let setup = setup
        .number("CHILDREN", 4)
        .number("TM_FR_TIMER", 1000)
        .number("TM_WT_TIMER", 1000);
    let rig = with_group(setup, MEMBERS).start();
    rig.core.answer("", Answer::Silence);
    let mut client = rig.client();
    let mut taken = 0;
    for number in 0..messages {
        let request = Request::another(&client)
            .group(&group(MEMBERS))
            .with(&format!("Subject: {number}"));
        match client.ask(&request).status() {
            202 => taken += 1,
            status => assert_eq!(status, 503),
        }
    }
    println!("{taken} of {messages} messages were answered 202");
    assert!(taken > 0, "nothing was taken");

    let deadline = Instant::now() + LONG;
    while rig.counter("messages") > 0 {
        assert!(
            Instant::now() < deadline,
            "after {LONG:?} there is left: {:?}",
            rig.fanouts()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    let mut attempts: HashMap<(String, String), usize> = HashMap::new();
    for fork in rig.core.forks() {
        let message = fork.message;
        let of = (
            message.one("Subject").to_owned(),
            message.request_uri().to_owned(),
        );
        *attempts.entry(of).or_default() += 1;
    }
    assert_eq!(attempts.len(), taken * MEMBERS, "members attempted");
    let twice: Vec<_> = attempts.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "attempted more than once: {twice:?}");
    let log = rig.log();
    let ends = log.lines().filter(|line| {
        line.contains(&format!(
            "is finished: delivered=0 refused=0 unreachable={MEMBERS} expired=0 skipped=0;"
        ))
    });
    assert_eq!(ends.count(), taken);
    assert_eq!(rig.counter("accepted"), taken as u64);
    assert_eq!(rig.counter("forks_failed"), (taken * MEMBERS) as u64);
    for gauge in ["waiting", "in_flight", "transactions", "memory_used"] {
        rig.wait_for_gauge(gauge, 0);
    }
    rig.wait_until_tm_holds_at_most(0);
    rig.counter("forks_refused")
}

/// S-5, A.1 row 13: with 64 MiB of shared memory, the rest being refused.
pub fn every_202_is_followed_by_an_attempt_for_every_member(transport: Transport) {
    let setup = Setup::new(transport).shared_memory(64);
    // `tm_memory` sees to it that the proxy's own messages find room too.
    assert_eq!(keeps_its_word(setup, 20), 0);
}

/// Issue 4, item 3: where the proxy has no memory for a copy although `tm_memory` and `memory_reserve` allow it, the copy is tried
/// again when there is some.
pub fn a_copy_for_which_there_is_no_memory_is_tried_again(transport: Transport) {
    let setup = Setup::new(transport)
        .shared_memory(7)
        .number("TM_MEMORY", 1024)
        .number("MEMORY_RESERVE", 0)
        .number("MAX_BREADTH", 0)
        .number("CONCURRENCY", 2000);
    let refused = keeps_its_word(setup, 1);
    assert!(refused > 0, "there was memory for all copies");
}
