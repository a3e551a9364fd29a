//! The same message more than once (H-3).

use crate::checks::{Before, accepted, forked, is_202, nothing_was_sent, refused};
use crate::support::client::{Transport, UNTRUSTED};
use crate::support::flow::Request;
use crate::support::rig::{BOB, Setup, TEL};

/// H-3: over UDP a sender that hears nothing retransmits.
pub fn t91_five_retransmissions_give_five_equal_answers_and_one_set_of_forks(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client);
    let before = Before::of(&rig);
    for _ in 0..6 {
        client.send(&request.bytes());
    }
    let first = client.receive();
    is_202(&first, &request);
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
