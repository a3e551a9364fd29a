//! How much is kept, and how long.

use super::{bodies, keeping, missed, numbered, of_bob, register};
use crate::checks::sent;
use crate::support::client::Transport;
use crate::support::core::Answer;
use crate::support::rig::{ANN, BOB, HIKERS};

/// `away_per_member`: the oldest goes, and is told.
pub fn one_more_than_may_be_pushes_out_the_oldest(transport: Transport) {
    let rig = keeping(transport, &[("away_per_member", "3")]).start();
    rig.core.answer("bob", Answer::Code(480));
    let mut client = rig.client();
    for number in 1..=5 {
        let request = numbered(&client, number);
        sent(&rig, &mut client, &request, 2);
        rig.wait_for_gauge("kept", number.min(3) as u64);
        rig.wait_for_counter("kept_pushed_out", number.saturating_sub(3) as u64);
    }
    let who = |number| format!("{BOB}|480|{HIKERS}|sip:ann@home1.net|{number}|");
    let line = rig.wait_for_log("told expired:");
    assert!(line.contains(&who(1)), "{line}");
    // The gauge is 3 before the fourth and the fifth have come, too.
    rig.wait_for_log(&format!("told kept: {}", who(5)));
    rig.core.answer("bob", Answer::Code(200));
    assert_eq!(register(&mut client, BOB), 1);
    rig.wait_for_gauge("kept", 0);
    let got = bodies(&of_bob(&rig.core.forks()).split_off(5));
    assert_eq!(got, ["message 3", "message 4", "message 5"]);
    assert_eq!(rig.counter("kept_expired"), 0);
}

/// `away_bytes`: what would be more is not kept, and pushes out nothing.
pub fn a_full_ledger_keeps_what_it_has(transport: Transport) {
    let rig = keeping(transport, &[("away_bytes", "3K"), ("large_ok", "1")]).start();
    rig.core.answer("bob", Answer::Code(480));
    let mut client = rig.client();
    let long = |client: &_, letter: u8| numbered(client, 0).with_body(&[letter; 1000]);
    let request = long(&client, b'a');
    missed(&rig, &mut client, &request);
    let request = numbered(&client, 1).with_body(&[b'b'; 4000]);
    sent(&rig, &mut client, &request, 2);
    rig.wait_for_log("away_bytes");
    rig.wait_for_log("told undelivered:");
    assert!(rig.counter("kept_bytes") <= 3072);
    let request = numbered(&client, 2);
    missed(&rig, &mut client, &request);
    rig.core.answer("bob", Answer::Code(200));
    assert_eq!(register(&mut client, BOB), 1);
    rig.wait_for_counter("kept_delivered", 2);
}

/// `away_bytes` counts a message once for all its copies, also while they are being kept, and also where the ledger has
/// the message already.
pub fn a_message_that_many_miss_is_counted_once(transport: Transport) {
    for durability in ["none", "journal"] {
        let group = "sip:many@im.home1.net";
        let absent: Vec<String> = (0..40)
            .map(|n| format!("sip:absent{n}@home1.net"))
            .collect();
        let mut members = vec![ANN];
        members.extend(absent.iter().map(String::as_str));
        let parameters = [("away_bytes", "8K"), ("durability", durability)];
        let rig = keeping(transport, &parameters)
            .group(group, &members)
            .start();
        for n in 0..40 {
            rig.core.answer(&format!("absent{n}"), Answer::Code(480));
        }
        let mut client = rig.client();
        let request = numbered(&client, 1).group(group).with_body(&[b'a'; 500]);
        sent(&rig, &mut client, &request, 40);
        rig.wait_for_gauge("messages", 0);
        assert_eq!(rig.counter("kept"), 40, "durability={durability}");
    }
}

/// M-4: a copy is kept until its Expires or `away_lifetime`.
pub fn a_copy_expires_with_its_message_or_its_time(transport: Transport) {
    let rig = keeping(transport, &[("away_lifetime", "4")]).start();
    rig.core.answer("bob", Answer::Code(480));
    let mut client = rig.client();
    let request = numbered(&client, 1);
    missed(&rig, &mut client, &request);
    let request = numbered(&client, 2).with("Expires: 2");
    missed(&rig, &mut client, &request);
    rig.wait_for_counter("kept_expired", 1);
    let line = rig.wait_for_log("told expired:");
    assert!(line.contains("|2|"), "{line}");
    rig.wait_for_counter("kept_expired", 2);
    rig.wait_for_gauge("kept", 0);
    assert_eq!(register(&mut client, BOB), -1);
    assert_eq!(rig.log().matches("told expired:").count(), 2);
}
