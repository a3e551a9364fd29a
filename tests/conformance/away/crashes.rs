//! What is kept outlives the proxy.

use super::{bodies, keeping, missed, numbered, of_bob, register};
use crate::durability::frozen::{kill_one, stop_one, telling_process};
use crate::support::client::{Client, Transport};
use crate::support::core::Answer;
use crate::support::rig::{BOB, Rig};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often the proxy is killed, if `CIMF_KILLS` does not say otherwise.
const ROUNDS: u64 = 12;

/// U-4: with `durability=journal` none of the copies of a 202 is lost, kept or being kept or being delivered, and
/// none is delivered under a second Call-ID. A copy that was answered 200 to is not sent again later than in the
/// crash in which it was.
pub fn of_proxies_killed_while_keeping_and_delivering_none_loses_a_copy(transport: Transport) {
    let mut rig = keeping(
        transport,
        &[("durability", "journal"), ("away_per_member", "10000")],
    )
    .start();
    let mut accepted = BTreeSet::new();
    let mut number = 0;
    let rounds = std::env::var("CIMF_KILLS").map_or(ROUNDS, |text| text.parse().expect("a number"));
    for round in 0..rounds {
        let mut client = rig.client();
        rig.core.answer("bob", Answer::Code(480));
        let (before, until) = match round % 2 {
            // While copies are kept.
            0 => (0, 8),
            // While they are delivered.
            _ => (6, 6),
        };
        for sent in 0..until {
            if round % 2 == 1 && sent == before - 1 {
                break;
            }
            client.send(&numbered(&client, number).bytes());
            if client.receive().status() == 202 {
                accepted.insert(number);
            }
            number += 1;
        }
        if round % 2 == 1 {
            rig.core
                .answer("bob", Answer::Late(Duration::from_millis(3)));
            register(&mut client, BOB);
        }
        let moment = (round * 7919 + u64::from(std::process::id())) % 40;
        std::thread::sleep(Duration::from_millis(moment));
        kill(&mut rig);
        rig.start_again();
    }
    rig.core.answer("bob", Answer::Code(200));
    // What is unfinished goes on by itself and what is kept waits for the member.
    let mut client: Client = rig.client();
    rig.wait_for_gauge("messages", 0);
    register(&mut client, BOB);
    rig.wait_for_gauge("kept", 0);
    rig.wait_for_gauge("messages", 0);
    let mut call_ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for fork in of_bob(&rig.core.forks()) {
        let body = String::from_utf8_lossy(&fork.message.body).into_owned();
        let call_id = fork.message.one("Call-ID").to_owned();
        call_ids.entry(body).or_default().insert(call_id);
    }
    for number in accepted {
        let ids = call_ids.get(&format!("message {number}"));
        let count = ids.map_or(0, BTreeSet::len);
        assert_eq!(count, 1, "message {number}: {ids:?}");
    }
}

/// A stop loses no copy of members who are away, though nobody has been told of it yet; nor does it repeat one that is
/// kept already.
pub fn a_stop_keeps_what_nobody_was_told_of(transport: Transport) {
    for durability in ["none", "journal"] {
        let mut rig = keeping(transport, &[("durability", durability)]).start();
        rig.core.answer("bob", Answer::Code(480));
        let mut client = rig.client();
        let request = numbered(&client, 0);
        missed(&rig, &mut client, &request);
        let telling = telling_process(&rig);
        stop_one(telling);
        for number in 1..=3 {
            client.send(&numbered(&client, number).bytes());
            assert_eq!(client.receive().status(), 202);
        }
        rig.wait_for_counter("forks_failed", 4);
        rig.wait_for_counter("forks_delivered", 4);
        // The proxy ends with it, in order.
        kill_one(telling);
        rig.has_ended();
        rig.start_again();
        rig.wait_for_gauge("kept", 4);
        rig.wait_for_gauge("messages", 0);
        let before = of_bob(&rig.core.forks()).len();
        rig.core.answer("bob", Answer::Code(200));
        let mut client = rig.client();
        assert_eq!(register(&mut client, BOB), 1, "durability={durability}");
        rig.wait_for_gauge("kept", 0);
        rig.wait_for_gauge("messages", 0);
        let delivered = of_bob(&rig.core.forks()).split_off(before);
        let expected: Vec<String> = (0..=3).map(|number| format!("message {number}")).collect();
        assert_eq!(bodies(&delivered), expected, "durability={durability}");
    }
}

fn kill(rig: &mut Rig) {
    let group = rig.main_process();
    let killed = std::process::Command::new("kill")
        .args(["-9", "--", &format!("-{group}")])
        .status()
        .expect("kill");
    assert!(killed.success());
    rig.has_ended();
}
