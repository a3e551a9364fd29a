//! An application server behind an S-CSCF, run from the proxy's sample ims-as.cfg.

use crate::checks::{accepted, are_those_of_flow_1, not_ours, refused};
use crate::support::client::{Client, Transport, UNTRUSTED};
use crate::support::flow::{Request, file};
use crate::support::rig::{BOB, Rig, Setup, TEL};
use crate::support::sip::Message;
use std::time::Duration;

fn rig(transport: Transport) -> Rig {
    Setup::new(transport)
        .sample("ims-as.cfg")
        .without("SERVER_NAME")
        .text("TRUSTED_PEERS", "127.0.0.1/32")
        .text("DOMAINS", "im.home1.net")
        .number("TRUSTED_NEXT_HOP", 1)
        .start()
}

/// Flow 1 with the configuration as it stands: A-14, N-1 to N-4.
pub fn the_sample_for_ims_plays_flow_1(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let request = Request::b0(&client);
    let (response, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let expected = Message::read(&file("1-F2-202.sip")).expect("1-F2-202.sip");
    assert_eq!(
        response.one("P-Charging-Vector"),
        expected.one("P-Charging-Vector")
    );
    are_those_of_flow_1(&forks, &rig);
}

/// N-2: what the S-CSCF sends by way of us to a member, a fork of ours perhaps, goes back to it by its Route.
pub fn what_is_for_a_member_goes_back_to_the_core(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let route = format!("<sip:{};lr>, {}", rig.address, rig.route);
    let request = Request::another(&client)
        .group("sip:bob@home1.net")
        .set("Route", &route);
    client.send(&request.bytes());
    let response = client.receive();
    assert_eq!(response.status(), 200, "{response}");
    let passed = &rig.core.wait_for(1)[0].message;
    assert_eq!(passed.one("Call-ID"), request.value("Call-ID"));
    assert_eq!(passed.one("Max-Forwards"), "67");
    assert_eq!(passed.one("Route"), rig.route);
    assert_eq!(rig.counter("forks_sent"), 0);
}

/// A second message within the body of a first, which the core has let through: what the first says about its length
/// does not end it early on the connection to the core.
pub fn nobody_ends_early_what_goes_back_to_the_core(_: Transport) {
    let rig = rig(Transport::Udp);
    let route = format!(
        "<sip:{};lr>, <sip:127.0.0.1:{};transport=tcp;lr>",
        rig.address, rig.core.port
    );
    let mut client = rig.client();
    let another = |client: &Client| {
        let request = Request::another(client).group("sip:bob@home1.net");
        request.set("Route", &route)
    };
    let body = [b"hello".as_slice(), &another(&client).bytes()].concat();
    let whole = body.len();
    for length in [
        "Content-Length: 5".to_owned(),
        format!("Content-Length:\r\n {whole}"),
        format!("Content-Length: {whole}\r\n 5"),
        format!("Content-Length: {whole}\r\nContent-Length: 5"),
        format!("Content-Length: {whole}\r\nSubject: a\r\n Content-Length: 5"),
        format!("Subject: a\0\r\n Content-Length: 5\r\nContent-Length: {whole}"),
    ] {
        let request = another(&client).with_body(&body);
        client.send(&request.replace("Content-Length", &length).bytes());
        // Kamailio drops some without an answer.
        client.receive_within(Duration::from_secs(1));
    }
    let right = another(&client).with_body(b"the end");
    client.send(&right.bytes());
    let response = client.receive();
    assert_eq!(response.status(), 200, "{response}");
    let passed = rig.core.forks();
    let last = passed.last().expect("what is right");
    assert_eq!(last.message.body, b"the end");
    for request in passed.iter().rev().skip(1) {
        assert_eq!(request.message.body, body);
    }
}

/// Others get nothing relayed, and assert nothing.
pub fn others_than_the_core_are_refused(transport: Transport) {
    let rig = rig(transport);
    let mut stranger = rig.client_at(UNTRUSTED);
    let route = format!("<sip:{};lr>, {}", rig.address, rig.route);
    let request = Request::another(&stranger)
        .group("sip:bob@home1.net")
        .set("Route", &route);
    not_ours(&rig, &mut stranger, &request, 404, "Not Routed Here");
    let request = Request::another(&stranger);
    refused(&rig, &mut stranger, &request, 403);
}
