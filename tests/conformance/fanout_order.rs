//! One message at a time to each member, in order (M-3, RFC 3428 §8), and messages that run out of time while
//! they wait (M-4).

use crate::checks::is_202;
use crate::support::client::{Client, Transport};
use crate::support::core::{Answer, Fork};
use crate::support::flow::Request;
use crate::support::rig::{BOB, HIKERS, Rig, Setup, TEL, until};
use std::time::{Duration, Instant};

/// Sends a message with this Subject, which has to be answered 202.
#[track_caller]
pub fn send(client: &mut Client, subject: &str) {
    send_with(client, subject, "X-Nothing: 1");
}

#[track_caller]
fn send_with(client: &mut Client, subject: &str, line: &str) {
    let request = Request::another(client)
        .with(&format!("Subject: {subject}"))
        .with(line);
    client.send(&request.bytes());
    is_202(&client.receive(), &request);
}

/// The copies for a member so far.
fn copies(rig: &Rig, uri: &str) -> Vec<Fork> {
    let mut forks = rig.core.forks();
    forks.retain(|fork| fork.message.request_uri() == uri);
    forks
}

/// Waits until a member has got this many copies, and gives their subjects.
#[track_caller]
fn subjects(rig: &Rig, uri: &str, count: usize) -> Vec<String> {
    let found = until(|| Some(copies(rig, uri)).filter(|forks| forks.len() >= count));
    let forks = found.unwrap_or_else(|| panic!("{uri} has not got {count} copies"));
    forks
        .iter()
        .map(|fork| fork.message.one("Subject").to_owned())
        .collect()
}

/// The line that tells how a message has ended.
#[track_caller]
pub fn end(rig: &Rig, message: u32) -> String {
    rig.wait_for_log(&format!("message {message} to <{HIKERS}> is finished"))
}

/// M-3, T 102.
pub fn t102_a_second_message_waits_for_the_first_ones_answer(transport: Transport) {
    let rig = Setup::new(transport).start();
    rig.core.answer("bob", Answer::Held);
    let mut client = rig.client();
    for subject in ["one", "two", "three"] {
        send(&mut client, subject);
    }
    // The others wait for nobody.
    assert_eq!(subjects(&rig, TEL, 3), ["one", "two", "three"]);
    assert_eq!(subjects(&rig, BOB, 1), ["one"]);
    client.fence();
    rig.wait_for_gauge("in_flight", 1);
    assert_eq!(rig.counter("waiting"), 3);
    for (count, subject) in [(2, "two"), (3, "three")] {
        let before = Instant::now();
        assert_eq!(rig.core.release("bob"), 1);
        assert_eq!(subjects(&rig, BOB, count).last().expect("a copy"), subject);
        let last = copies(&rig, BOB).pop().expect("a copy");
        assert!(last.arrival >= before, "{subject} came before the answer");
        assert_eq!(copies(&rig, BOB).len(), count);
    }
    assert_eq!(rig.core.release("bob"), 1);
    for message in 1..=3 {
        let line = end(&rig, message);
        assert!(line.contains("delivered=2 refused=0"), "{line}");
    }
    rig.wait_for_gauge("messages", 0);
}

/// M-3: an administrator may choose otherwise.
pub fn without_target_order_nothing_waits(transport: Transport) {
    let rig = Setup::new(transport).number("TARGET_ORDER", 0).start();
    rig.core.answer("bob", Answer::Held);
    let mut client = rig.client();
    for subject in ["one", "two", "three"] {
        send(&mut client, subject);
    }
    let mut found = subjects(&rig, BOB, 3);
    found.sort();
    assert_eq!(found, ["one", "three", "two"]);
    rig.wait_for_gauge("in_flight", 3);
    assert_eq!(rig.core.release("bob"), 3);
    rig.wait_for_gauge("messages", 0);
}

/// M-3: what is too much for one member is told, and is no reason to refuse a message.
pub fn a_member_for_whom_too_much_waits_is_skipped_and_told_of(transport: Transport) {
    let rig = Setup::new(transport).number("TARGET_QUEUE", 1).start();
    rig.core.answer("bob", Answer::Held);
    let mut client = rig.client();
    for (before, subject) in ["one", "two", "three"].into_iter().enumerate() {
        send(&mut client, subject);
        // Too much is to wait for bob alone.
        rig.wait_for_counter("forks_delivered", before as u64 + 1);
    }
    let line = rig.wait_for_log(&format!(
        "message 3: <{BOB}> of <{HIKERS}> did not receive it"
    ));
    assert!(
        line.ends_with("not sent: too many messages wait for this member already (target_queue)"),
        "{line}"
    );
    let line = end(&rig, 3);
    let told = format!("delivered=1 refused=0 unreachable=0 expired=0 skipped=1; skipped: <{BOB}>");
    assert!(line.ends_with(&told), "{line}");
    assert_eq!(rig.counter("forks_skipped"), 1);
    assert_eq!(subjects(&rig, TEL, 3), ["one", "two", "three"]);
    assert_eq!(subjects(&rig, BOB, 1), ["one"]);
    assert_eq!(rig.core.release("bob"), 1);
    assert_eq!(subjects(&rig, BOB, 2), ["one", "two"]);
    assert_eq!(rig.core.release("bob"), 1);
    rig.wait_for_gauge("messages", 0);
    assert_eq!(copies(&rig, BOB).len(), 2);
}

/// M-4: what has expired before its turn came is dropped, whether it waited for the window or for its member.
pub fn what_expires_in_the_queue_is_not_sent_and_told_of(transport: Transport) {
    let rig = Setup::new(transport).number("CONCURRENCY", 1).start();
    rig.core.answer("", Answer::Held);
    let mut client = rig.client();
    // One of the two is under way and the other waits for it.
    send_with(&mut client, "one", "Expires: 2");
    let first = rig.core.wait_for(1).remove(0).message;
    let line = rig.wait_for_log("message 1: <");
    assert!(
        line.ends_with("did not receive it: the message was out of time before the copy was sent"),
        "{line}"
    );
    assert!(!line.contains(first.request_uri()), "{line}");
    assert_eq!(rig.counter("forks_expired"), 1);
    // The one under way is still waited for, and so is its member by the next message.
    send_with(&mut client, "two", "Expires: 2");
    let second = rig.core.wait_for(2).remove(1).message;
    assert_ne!(second.request_uri(), first.request_uri());
    // Until its time has passed.
    std::thread::sleep(Duration::from_millis(2500));
    // Out of time by now: an answer lets nothing more go to that member.
    assert_eq!(rig.core.release(""), 2);
    for message in [1, 2] {
        let line = end(&rig, message);
        let told = "delivered=1 refused=0 unreachable=0 expired=1 skipped=0; expired: <";
        assert!(line.contains(told), "{line}");
    }
    assert_eq!(rig.counter("forks_expired"), 2);
    assert_eq!(rig.core.count(), 2);
    rig.wait_for_gauge("messages", 0);
}
