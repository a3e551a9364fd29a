//! What is kept outlives the proxy.

use super::{keeping, numbered, of_bob, register};
use crate::support::client::{Client, Transport};
use crate::support::core::Answer;
use crate::support::rig::{BOB, Rig};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often the proxy is killed.
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
    for round in 0..ROUNDS {
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

fn kill(rig: &mut Rig) {
    let group = rig.main_process();
    let killed = std::process::Command::new("kill")
        .args(["-9", "--", &format!("-{group}")])
        .status()
        .expect("kill");
    assert!(killed.success());
    rig.has_ended();
}
