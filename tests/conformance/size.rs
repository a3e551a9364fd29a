//! How large an outgoing message may get (M-2).

use crate::checks::{Before, accepted, forked, is_202, refused, sent};
use crate::lists::{list, message, rig, start};
use crate::support::client::{Client, Transport};
use crate::support::core::Fork;
use crate::support::flow::Request;
use crate::support::rig::{ANN, BOB, Setup, TEL};

/// RFC 3261 §18.1.1.
const LIMIT: usize = 1300;

fn of_size(client: &Client, size: usize) -> Request {
    let mut request = Request::another(client).set("Content-Length", &size.to_string());
    request.body = vec![b'x'; size];
    request
}

fn on_the_wire(fork: &Fork) -> usize {
    fork.message.to_string().len()
}

/// M-2, T 101: the largest message that is taken makes forks of at most 1300 bytes, and of not much
/// less: what is kept free is for the longest Via.
pub fn t101_no_fork_has_more_than_1300_bytes(transport: Transport) {
    let rig = Setup::new(transport).number("TRUSTED_NEXT_HOP", 1).start();
    let mut client = rig.client();
    let (mut fits, mut too_large) = (0, LIMIT);
    let mut largest = 0;
    while too_large - fits > 1 {
        let size = (fits + too_large) / 2;
        let request = of_size(&client, size);
        let before = Before::of(&rig);
        client.send(&request.bytes());
        let response = client.receive();
        if response.status() == 202 {
            is_202(&response, &request);
            let forks = forked(&rig, &mut client, &before, 2);
            largest = forks.iter().map(on_the_wire).max().expect("forks");
            fits = size;
        } else {
            assert_eq!(response.status(), 413, "{response}");
            too_large = size;
        }
    }
    assert!((LIMIT - 200..=LIMIT).contains(&largest), "{largest} bytes");
    let request = of_size(&client, too_large);
    let response = refused(&rig, &mut client, &request, 413);
    assert_eq!(response.reason(), "Request Entity Too Large");
}

/// M-2, T 101: the history of recipients goes first.
pub fn t101_a_history_that_makes_a_message_too_large_is_left_out(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let uris: Vec<String> = (0..10)
        .map(|n| format!("sip:member-{n}@home1.net"))
        .collect();
    let visible: String = uris
        .iter()
        .map(|uri| format!("<entry uri=\"{uri}\" cp:copyControl=\"to\"/>\r\n"))
        .collect();
    let list = list(&visible);
    let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
    let text = |size| format!("Content-Type: text/plain\r\n\r\n{}", "x".repeat(size));
    let request = message(&client, &[&text(400), &list]);
    for fork in crate::lists::sent(&rig, &mut client, &request, &uris) {
        assert_eq!(fork.message.one("Content-Type"), "text/plain");
        assert_eq!(fork.message.body.len(), 400);
        assert!(on_the_wire(&fork) <= LIMIT);
    }
    let request = message(&client, &[&text(LIMIT), &list]);
    refused(&rig, &mut client, &request, 413);
    let rig = start(Setup::new(transport).number("LARGE_OK", 1));
    let mut client = rig.client();
    let request = message(&client, &[&text(LIMIT), &list]);
    for fork in crate::lists::sent(&rig, &mut client, &request, &uris) {
        assert!(
            fork.message
                .one("Content-Type")
                .starts_with("multipart/mixed")
        );
        assert_eq!(fork.transport, Transport::Tcp);
    }
}

/// M-2, RFC 3261 §18.1.1: with `large_ok=1` large messages go by TCP, small ones as core_route says.
pub fn t101_large_messages_go_by_tcp(transport: Transport) {
    let rig = Setup::new(transport).number("LARGE_OK", 1).start();
    let mut client = rig.client();
    for (size, expected) in [(31, transport), (3000, Transport::Tcp), (31, transport)] {
        let request = of_size(&client, size);
        let (_, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
        assert!(
            forks.iter().all(|fork| fork.transport == expected),
            "{size}"
        );
    }
}

/// M-2, A-12 (4): to the members' own addresses too.
pub fn t101_large_messages_go_by_tcp_to_members_as_well(transport: Transport) {
    let setup = Setup::new(transport)
        .without("CORE_ROUTE")
        .number("DIRECT", 1)
        .number("LARGE_OK", 1);
    let host = format!("127.0.0.1:{}", setup.core_port());
    let (dan, eve) = (
        format!("sip:dan@{host};transport=udp;x=1"),
        format!("sip:eve@{host}"),
    );
    let rig = setup
        .group("sip:near@im.home1.net", &[ANN, &dan, &eve])
        .start();
    let mut client = rig.client();
    for (size, expected) in [(31, Transport::Udp), (3000, Transport::Tcp)] {
        let request = of_size(&client, size).group("sip:near@im.home1.net");
        let (_, forks) = sent(&rig, &mut client, &request, 2);
        let mut reached: Vec<_> = forks
            .iter()
            .map(|fork| fork.message.request_uri())
            .collect();
        reached.sort_unstable();
        assert_eq!(reached, [dan.as_str(), eve.as_str()]);
        assert!(
            forks.iter().all(|fork| fork.transport == expected),
            "{size}"
        );
    }
}
