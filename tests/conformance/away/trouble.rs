//! What goes wrong while copies are kept and delivered.

use super::{bodies, copies_of_bob, keeping, missed, numbered, of_bob, register};
use crate::checks::sent;
use crate::support::client::Transport;
use crate::support::core::Answer;
use crate::support::rig::{BOB, Rig};
use std::time::Duration;

/// A copy that expires while the one before it is under way says nothing of whether its member is there.
pub fn a_copy_that_expires_in_the_queue_holds_up_no_other(transport: Transport) {
    let rig = keeping(transport, &[]).start();
    rig.core.answer("bob", Answer::Code(480));
    let mut client = rig.client();
    let request = numbered(&client, 1);
    missed(&rig, &mut client, &request);
    let request = numbered(&client, 2).with("Expires: 3");
    missed(&rig, &mut client, &request);
    for number in 3..=4 {
        let request = numbered(&client, number);
        missed(&rig, &mut client, &request);
    }
    rig.core.answer("bob", Answer::Held);
    assert_eq!(register(&mut client, BOB), 1);
    copies_of_bob(&rig, 5);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(rig.core.release("bob"), 1);
    copies_of_bob(&rig, 6);
    rig.wait_for_counter("kept_expired", 1);
    assert_eq!(rig.core.release("bob"), 1);
    copies_of_bob(&rig, 7);
    assert_eq!(rig.core.release("bob"), 1);
    rig.wait_for_gauge("kept", 0);
    let got = bodies(&of_bob(&rig.core.forks()).split_off(4));
    assert_eq!(got, ["message 1", "message 3", "message 4"]);
}

fn alter(rig: &Rig, sql: &str) {
    let ledger = rusqlite::Connection::open(rig.folder().join("ledger.db")).expect("the ledger");
    ledger.busy_timeout(Duration::from_secs(5)).expect("a time");
    assert_eq!(ledger.execute(sql, []).expect(sql), 1, "{sql}");
}

/// What somebody has deleted or altered with `sqlite3` is lost, and holds up nothing else.
pub fn what_somebody_has_altered_in_the_ledger_holds_up_no_other(transport: Transport) {
    let rig = keeping(transport, &[("away_lifetime", "8")]).start();
    rig.core.answer("bob", Answer::Code(480));
    let mut client = rig.client();
    for number in 1..=4 {
        let request = numbered(&client, number);
        missed(&rig, &mut client, &request);
    }
    let oldest = "(SELECT min(id) FROM message)";
    alter(&rig, &format!("DELETE FROM message WHERE id = {oldest}"));
    alter(
        &rig,
        &format!("UPDATE message SET recipients = 'x' WHERE id = {oldest}"),
    );
    rig.core.answer("bob", Answer::Code(200));
    assert_eq!(register(&mut client, BOB), 1);
    rig.wait_for_counter("kept_delivered", 2);
    rig.wait_for_gauge("kept", 0);
    let got = bodies(&of_bob(&rig.core.forks()).split_off(4));
    assert_eq!(got, ["message 3", "message 4"]);
    // Where the time has come, too.
    rig.core.answer("bob", Answer::Code(480));
    for number in 5..=7 {
        let request = numbered(&client, number);
        missed(&rig, &mut client, &request);
    }
    alter(&rig, &format!("DELETE FROM message WHERE id = {oldest}"));
    alter(
        &rig,
        &format!("UPDATE message SET recipients = 'x' WHERE id = {oldest}"),
    );
    rig.wait_for_gauge("kept", 0);
    rig.wait_for_counter("kept_expired", 1);
}

/// With `durability=none` a ledger that cannot be written refuses no message, and the log does not say that it does.
pub fn the_log_says_what_a_ledger_that_is_gone_means_here(transport: Transport) {
    let rig = keeping(transport, &[]).start();
    rig.core.answer("bob", Answer::Code(480));
    let mut client = rig.client();
    std::fs::remove_file(rig.folder().join("ledger.db")).expect("no ledger");
    let line = rig.wait_for_log("ledger: ");
    eprintln!("{line}");
    let request = numbered(&client, 1);
    sent(&rig, &mut client, &request, 2);
    rig.wait_for_log("told undelivered:");
    assert!(!rig.log().contains("503"), "{}", rig.log());
}
