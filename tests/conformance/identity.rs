//! Who the sender is, who says so, and who learns it.

use crate::checks::{accepted, refused, warning};
use crate::script;
use crate::support::client::{Transport, UNTRUSTED};
use crate::support::flow::{Request, file};
use crate::support::rig::{BOB, Setup, TEL};
use crate::support::sip::Message;

///
pub fn t25_a_sender_who_is_no_member_is_refused(transport: Transport) {
    refuses(transport, |request| request.sender("sip:dora@home1.net"));
}

/// From alone never suffices.
pub fn t26_a_message_without_asserted_identity_is_refused(transport: Transport) {
    refuses(transport, |request| request.without("P-Asserted-Identity"));
}

/// I-1.
pub fn t27_an_identity_from_an_untrusted_peer_is_no_identity(transport: Transport) {
    let rig = Setup::new(transport).number("TRUSTED_NEXT_HOP", 1).start();
    let mut client = rig.client_at(UNTRUSTED);
    let request = Request::b0(&client);
    refused(&rig, &mut client, &request, 403);
    // The same bytes from the trusted peer are fine: it is the peer that makes the difference.
    let mut trusted = rig.client();
    let request = Request::another(&trusted);
    accepted(&rig, &mut trusted, &request, &[BOB, TEL]);
}

/// I-2.
pub fn t29_both_asserted_identities_are_copied(transport: Transport) {
    let rig = Setup::new(transport).number("TRUSTED_NEXT_HOP", 1).start();
    let mut client = rig.client();
    let one_row = Request::another(&client);
    let two_rows = Request::another(&client)
        .set("P-Asserted-Identity", "\"Ann\" <sip:ann@home1.net>")
        .with("P-Asserted-Identity: <tel:+15551230001>");
    for request in [one_row, two_rows] {
        let (_, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
        for fork in forks {
            let value = fork.message.all("P-Asserted-Identity").join(", ");
            assert_eq!(value, "\"Ann\" <sip:ann@home1.net>, <tel:+15551230001>");
        }
    }
}

/// A-8, I-5.
pub fn t33_privacy_id_is_refused(transport: Transport) {
    refuses(transport, |request| request.with("Privacy: id"));
}

///
pub fn t35_privacy_none_is_no_anonymity(transport: Transport) {
    accepts_privacy(transport, "none");
}

///
pub fn t36_privacy_session_is_no_anonymity(transport: Transport) {
    accepts_privacy(transport, "session");
}

///
pub fn t38_an_anonymous_from_is_refused(transport: Transport) {
    refuses(transport, |request| {
        request.set(
            "From",
            "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=9f2c",
        )
    });
}

/// I-3, N-9.
pub fn t40_an_untrusted_next_hop_learns_no_identity(transport: Transport) {
    let rig = Setup::new(transport).number("TRUSTED_NEXT_HOP", 0).start();
    let mut client = rig.client();
    let request = Request::b0(&client).with("P-Charging-Function-Addresses: ccf=192.0.2.1");
    let (_, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    for fork in forks {
        for (name, _) in &fork.message.headers {
            assert!(
                !name.to_ascii_lowercase().starts_with("p-"),
                "{name} reached an untrusted next hop"
            );
        }
    }
}

/// A-8, S-9: the refusal that the flows show.
pub fn flow_3_is_answered_as_written(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::from_file("3-F1-message-in.sip").via(&client, "s1-d9");
    let response = refused(&rig, &mut client, &request, 403);
    let expected = Message::read(&file("3-F2-403.sip")).expect("3-F2-403.sip");
    assert_eq!(response.start, expected.start);
    assert_eq!(response.one("Warning"), expected.one("Warning"));
    assert_eq!(warning(&response), "Anonymity not allowed");
}

/// what the script hands over counts only with digest or either; here identities come from the network.
pub fn an_identity_from_the_script_does_not_count_in_pai_mode(transport: Transport) {
    let rig = script::setup(transport, "cimf_handle(\"sip:ann@home1.net\"); }").start();
    let mut client = rig.client();
    let request = Request::another(&client).without("P-Asserted-Identity");
    refused(&rig, &mut client, &request, 403);
    // And does not stand in the way of one that does.
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
}

#[track_caller]
fn refuses(transport: Transport, change: impl Fn(Request) -> Request) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = change(Request::b0(&client));
    refused(&rig, &mut client, &request, 403);
}

#[track_caller]
fn accepts_privacy(transport: Transport, value: &str) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client).with(&format!("Privacy: {value}"));
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
}
