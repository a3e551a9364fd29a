//! An application server behind an S-CSCF, run from the proxy's sample ims-as.cfg.

use crate::checks::{accepted, are_those_of_flow_1, not_ours, refused};
use crate::support::client::{Transport, UNTRUSTED};
use crate::support::flow::{Request, file};
use crate::support::rig::{BOB, Rig, Setup, TEL};
use crate::support::sip::Message;

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
