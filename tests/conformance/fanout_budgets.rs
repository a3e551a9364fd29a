//! What is refused before its 202 because there is no room for it (S-5, A.1 rows 9 and 13).

use crate::checks::{accepted, is_202, refused, warning};
use crate::fanout_breadth::{group, with_group};
use crate::support::client::{Client, Transport};
use crate::support::core::Answer;
use crate::support::flow::Request;
use crate::support::rig::{ANN, BOB, HIKERS, Rig, Setup, TEL};
use crate::support::sip::Message;

const OTHERS: &str = "sip:others@im.home1.net";

/// A refusal with Retry-After in these seconds.
#[track_caller]
fn may_retry(response: &Message, seconds: std::ops::RangeInclusive<u32>) {
    let value = response.one("Retry-After");
    let number: u32 = value.parse().expect("seconds in Retry-After");
    assert!(seconds.contains(&number), "Retry-After: {value}");
}

fn other(client: &Client) -> Request {
    Request::another(client).group(OTHERS)
}

/// S-5, T 110, first half: by originator, whatever the group.
pub fn t110_who_has_sent_too_much_is_refused(transport: Transport) {
    let rig = Setup::new(transport)
        .text("QUOTA_ORIGINATOR", "2/60")
        .group(OTHERS, &[ANN, BOB])
        .start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let request = other(&client);
    accepted(&rig, &mut client, &request, &[BOB]);
    for request in [Request::another(&client), other(&client)] {
        let response = refused(&rig, &mut client, &request, 480);
        may_retry(&response, 1..=30);
    }
    assert_eq!(rig.counter("refused_originator_quota"), 2);
    // Others have quotas of their own.
    let request = Request::another(&client).sender(BOB);
    accepted(&rig, &mut client, &request, &[ANN, TEL]);
}

/// S-5, T 110, first half: by group, whoever sends.
pub fn t110_a_group_that_has_got_too_much_gets_no_more(transport: Transport) {
    let rig = Setup::new(transport)
        .text("QUOTA_GROUP", "2/60")
        .group(OTHERS, &[ANN, BOB])
        .start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let request = Request::another(&client).sender(BOB);
    accepted(&rig, &mut client, &request, &[ANN, TEL]);
    for request in [
        Request::another(&client),
        Request::another(&client).sender(BOB),
    ] {
        let response = refused(&rig, &mut client, &request, 480);
        may_retry(&response, 1..=30);
    }
    assert_eq!(rig.counter("refused_group_quota"), 2);
    let request = other(&client);
    accepted(&rig, &mut client, &request, &[BOB]);
}

/// Fills what there is room for with messages to members that hold their answers.
#[track_caller]
fn fill(rig: &Rig, client: &mut Client, group: &str, in_flight: u64) {
    rig.core.answer("", Answer::Held);
    let request = Request::another(client).group(group);
    client.send(&request.bytes());
    is_202(&client.receive(), &request);
    rig.core.wait_for(in_flight as usize);
    rig.wait_for_gauge("in_flight", in_flight);
    rig.wait_for_counter("forks_sent", in_flight);
}

/// S-5, T 110, second half: as many messages as `queue_messages` are under way.
pub fn t110_a_full_queue_refuses_and_takes_again(transport: Transport) {
    let rig = Setup::new(transport)
        .number("QUEUE_MESSAGES", 1)
        .group(OTHERS, &[ANN, "sip:cho@home1.net"])
        .start();
    let mut client = rig.client();
    fill(&rig, &mut client, HIKERS, 2);
    // Bob waits for nobody: it is the queue that is full.
    let request = other(&client);
    let response = refused(&rig, &mut client, &request, 503);
    may_retry(&response, 1..=120);
    assert_eq!(rig.counter("refused_queue_full"), 1);
    rig.core.answer("", Answer::Code(200));
    assert_eq!(rig.core.release(""), 2);
    rig.wait_for_gauge("messages", 0);
    let request = other(&client);
    accepted(&rig, &mut client, &request, &["sip:cho@home1.net"]);
}

/// S-5, A.1 row 13: there is no room for the message in `queue_memory`.
pub fn t110_without_memory_a_message_is_refused_before_its_202(transport: Transport) {
    let setup = Setup::new(transport).number("QUEUE_MEMORY", 1);
    let rig = with_group(setup, 15_000).start();
    let mut client = rig.client();
    fill(&rig, &mut client, &group(15_000), 60);
    let used = rig.counter("memory_used");
    assert!(used > 512 << 10, "{used} bytes");
    let request = Request::another(&client).group(&group(15_000));
    let response = refused(&rig, &mut client, &request, 503);
    may_retry(&response, 1..=120);
    assert_eq!(rig.counter("refused_queue_memory"), 1);
    assert_eq!(
        rig.counter("memory_used"),
        used,
        "what was refused takes no room"
    );
    // A small one has its place.
    rig.core.answer("bob", Answer::Code(200));
    rig.core.answer("+1555", Answer::Code(200));
    let request = Request::another(&client);
    client.send(&request.bytes());
    is_202(&client.receive(), &request);
    // The rest of the large one would take its time.
    rig.cancel("1").expect("message 1");
    rig.wait_for_counter("forks_skipped", 15_000 - 60);
    rig.core.release("");
    rig.wait_for_gauge("memory_used", 0);
}

/// S-5: so many messages in a second, from all senders together.
pub fn a_rate_bounds_what_all_send_together(transport: Transport) {
    let rig = Setup::new(transport).number("RATE", 1).start();
    let mut client = rig.client();
    let requests: Vec<_> = (0..5).map(|_| Request::another(&client)).collect();
    for request in &requests {
        client.send(&request.bytes());
    }
    let answers: Vec<_> = requests.iter().map(|_| client.receive()).collect();
    let refusals: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status() == 503)
        .collect();
    assert!(
        refusals.len() >= 3,
        "refused {} of 5 at once",
        refusals.len()
    );
    for refusal in &refusals {
        warning(refusal);
        may_retry(refusal, 1..=1);
    }
    let taken = answers
        .iter()
        .filter(|answer| answer.status() == 202)
        .count();
    assert_eq!(taken + refusals.len(), 5);
    assert_eq!(rig.counter("refused_rate"), refusals.len() as u64);
    rig.core.wait_for(2 * taken);
    rig.wait_for_counter("forks_sent", 2 * taken as u64);
}
