//! The same message more than once (H-3).

use crate::checks::{Before, accepted, forked, is_202, nothing_was_sent, refused};
use crate::support::client::{Client, Transport, UNTRUSTED};
use crate::support::flow::Request;
use crate::support::rig::{BOB, Setup, TEL, until};
use crate::support::sip::Message;
use std::thread;

/// H-3: over UDP a sender that hears nothing retransmits.
pub fn t91_five_retransmissions_give_five_equal_answers_and_one_set_of_forks(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client);
    let before = Before::of(&rig);
    client.send(&request.bytes());
    let first = client.receive();
    is_202(&first, &request);
    for _ in 0..5 {
        client.send(&request.bytes());
    }
    for _ in 0..5 {
        assert_eq!(
            client.receive(),
            first,
            "the 202 that was sent before, To tag and all"
        );
    }
    forked(&rig, &mut client, &before, 2);
    assert_eq!(rig.counter("accepted"), 1);
    rig.wait_for_counter("retransmissions", 5);
}

/// H-3: one request that came by two paths.
pub fn the_same_request_on_another_branch_is_merged(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let other_way = Request::b0(&client).via(&client, "other-way");
    refused(&rig, &mut client, &other_way, 482);
    // Another CSeq is another request.
    let next = Request::b0(&client)
        .via(&client, "next")
        .set("CSeq", "42 MESSAGE");
    accepted(&rig, &mut client, &next, &[BOB, TEL]);
}

/// H-3: 64*T1 are 32 s, and tm forgets a transaction after `wt_timer`, here one second.
pub fn a_retransmission_after_tm_has_forgotten_is_still_absorbed(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client);
    let (first, _) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_counter("forks_delivered", 2);
    rig.wait_until_tm_holds_at_most(0);
    let before = Before::of(&rig);
    client.send(&request.bytes());
    let again = client.receive();
    is_202(&again, &request);
    assert_eq!(
        again.one("To"),
        first.one("To"),
        "the same answer as before"
    );
    nothing_was_sent(&rig, &mut client, &before);
}

/// H-3: what a stranger writes is not remembered, so that it makes nobody else forgotten.
pub fn strangers_do_not_make_a_retransmission_new(transport: Transport) {
    let rig = Setup::new(transport).number("RECENT_REQUESTS", 64).start();
    let mut client = rig.client();
    let request = Request::b0(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let mut stranger = rig.client_at(UNTRUSTED);
    for _ in 0..1_000 {
        let other = Request::another(&stranger);
        assert_eq!(stranger.ask(&other).status(), 403);
    }
    rig.wait_for_counter("forks_delivered", 2);
    rig.wait_until_tm_holds_at_most(0);
    let before = Before::of(&rig);
    client.send(&request.bytes());
    is_202(&client.receive(), &request);
    nothing_was_sent(&rig, &mut client, &before);
}

/// H-3: a stranger who knows the identifiers of a message is refused, and the message is accepted.
pub fn a_stranger_with_the_same_identifiers_makes_no_message_a_merged_one(transport: Transport) {
    let rig = Setup::new(transport).start();
    let (mut client, mut stranger) = (rig.client(), rig.client_at(UNTRUSTED));
    let copied = Request::b0(&stranger).via(&stranger, "stranger");
    refused(&rig, &mut stranger, &copied, 403);
    let request = Request::b0(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let again = Request::b0(&stranger).via(&stranger, "again");
    refused(&rig, &mut stranger, &again, 482);
}

/// H-3: to whichever worker they come, and while one of them is being decided.
pub fn of_a_thousand_at_once_one_is_sent(transport: Transport) {
    // As many as the receive buffer of a UDP socket takes.
    const AT_ONCE: usize = 100;
    let rig = Setup::new(transport)
        .number("CHILDREN", 4)
        .number("TCP_CHILDREN", 4)
        .start();
    let clients = match transport {
        Transport::Udp => 1,
        Transport::Tcp => 4,
    };
    let mut clients: Vec<Client> = (0..clients).map(|_| rig.client()).collect();
    let request = Request::b0(&clients[0]);
    let (bytes, before) = (request.bytes(), Before::of(&rig));
    let each = AT_ONCE / clients.len();
    let mut answers: Vec<Message> = Vec::new();
    for round in 1..=10 {
        thread::scope(|scope| {
            for client in &mut clients {
                scope.spawn(|| (0..each).for_each(|_| client.send(&bytes)));
            }
        });
        rig.wait_for_counter("retransmissions", (round * AT_ONCE - 1) as u64);
        for client in &mut clients {
            let collected = client.fence_collecting();
            answers.extend(collected.iter().map(|bytes| Message::read(bytes).unwrap()));
        }
    }
    assert!(!answers.is_empty());
    for answer in &answers {
        is_202(answer, &request);
        assert_eq!(answer.one("To"), answers[0].one("To"));
    }
    forked(&rig, &mut clients[0], &before, 2);
    assert_eq!(rig.counter("accepted"), 1);
}

/// H-3, S-5: a refusal after authentication is the same again, whatever would be decided by then, and counted once.
pub fn a_refusal_is_repeated_and_counted_once(transport: Transport) {
    let rig = Setup::new(transport)
        .text("QUOTA_ORIGINATOR", "1/5")
        .number("TM_WT_TIMER", 30_000)
        .start();
    let mut client = rig.client();
    let anonymous = Request::another(&client).with("Privacy: id");
    let forbidden = refused(&rig, &mut client, &anonymous, 403);
    let sent = Request::another(&client);
    accepted(&rig, &mut client, &sent, &[BOB, TEL]);
    let early = Request::another(&client);
    let too_many = refused(&rig, &mut client, &early, 480);
    let is_accepted = || {
        let response = client.ask(&Request::another(&client));
        (response.status() == 202).then_some(())
    };
    until(is_accepted).expect("a 202 after five seconds");
    rig.wait_for_counter("forks_delivered", 4);
    let before = Before::of(&rig);
    let (refusals, repeated) = (rig.counter("refused"), rig.counter("retransmissions"));
    for (request, answer) in [(&anonymous, &forbidden), (&early, &too_many)] {
        client.send(&request.bytes());
        assert_eq!(&client.receive(), answer, "the answer that was sent before");
    }
    nothing_was_sent(&rig, &mut client, &before);
    assert_eq!(rig.counter("refused"), refusals);
    assert_eq!(rig.counter("retransmissions"), repeated + 2);
}

/// H-3: a full memory pushes nobody out; what it has no room for is known by its transaction.
pub fn a_full_memory_makes_no_retransmission_new(transport: Transport) {
    const MESSAGES: usize = 300;
    let rig = Setup::new(transport)
        .number("RECENT_REQUESTS", 64)
        .number("TM_WT_TIMER", 30_000)
        // Nobody is passed over who has not answered in time.
        .number("TARGET_QUEUE", 4 * MESSAGES as i64)
        .start();
    let mut client = rig.client();
    let requests: Vec<Request> = (0..MESSAGES).map(|_| Request::another(&client)).collect();
    let mut answers = Vec::new();
    for request in &requests {
        let answer = client.ask(request);
        is_202(&answer, request);
        answers.push(answer);
    }
    rig.wait_for_counter("forks_delivered", 2 * MESSAGES as u64);
    let without_room = rig.counter("not_remembered");
    assert!(without_room > 100, "only {without_room} found no room");
    assert!(without_room < 280, "{without_room} found no room");
    let before = Before::of(&rig);
    for (request, answer) in requests.iter().zip(&answers) {
        client.send(&request.bytes());
        assert_eq!(client.receive().one("To"), answer.one("To"));
    }
    nothing_was_sent(&rig, &mut client, &before);
    assert_eq!(rig.counter("accepted"), MESSAGES as u64);
    assert_eq!(rig.counter("retransmissions"), MESSAGES as u64);
}
