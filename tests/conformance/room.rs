//! What ordinary phones need beside the standard: messages without a feature tag, addresses that people and
//! groups share, copies that come from the group., U-4, I-3, M-9.

use crate::checks::{Before, accepted, not_ours, nothing_was_sent, refused, sent, warning};
use crate::support::client::{Client, Transport};
use crate::support::core::Fork;
use crate::support::flow::Request;
use crate::support::rig::{BOB, HIKERS, Rig, Setup, TEL};

/// The address of nobody that the rig knows, in a domain of its groups.
const PERSON: &str = "sip:cho@home1.net";

/// As an ordinary phone sends it.
fn untagged(client: &Client) -> Request {
    Request::another(client).without("Accept-Contact")
}

/// A message that is answered 202 and sent to nobody.
#[track_caller]
fn ends(rig: &Rig, client: &mut Client, request: &Request) {
    let before = Before::of(rig);
    let response = client.ask(request);
    assert_eq!(response.status(), 202, "{response}");
    nothing_was_sent(rig, client, &before);
}

/// with `untagged=groups` a message without a feature tag to a group is one like any other, and its copies
/// ask for no tag; a tagged one keeps its own.
pub fn a_phone_without_feature_tag_reaches_a_group(transport: Transport) {
    let rig = Setup::new(transport).text("UNTAGGED", "groups").start();
    let mut client = rig.client();
    let request = untagged(&client);
    let (_, forks) = sent(&rig, &mut client, &request, 2);
    for fork in forks {
        assert!(!fork.message.has("Accept-Contact"), "{}", fork.message);
    }
    let other = untagged(&client).with("Accept-Contact: *;audio");
    let (_, forks) = sent(&rig, &mut client, &other, 2);
    for fork in forks {
        assert!(!fork.message.has("Accept-Contact"), "{}", fork.message);
    }
    let tagged = Request::another(&client);
    accepted(&rig, &mut client, &tagged, &[BOB, TEL]);
    // Every check but the tag's applies.
    let stranger = untagged(&client).sender("sip:dora@home1.net");
    let response = refused(&rig, &mut client, &stranger, 403);
    assert_eq!(warning(&response), "Originator not authorised");
    let repeated = untagged(&client);
    sent(&rig, &mut client, &repeated, 2);
    ends(&rig, &mut client, &repeated);
}

/// an address that is no group may be a person's: the script goes on, and nothing is counted.
pub fn an_untagged_message_to_no_group_is_the_scripts(transport: Transport) {
    let rig = Setup::new(transport).text("UNTAGGED", "groups").start();
    let mut client = rig.client();
    let request = untagged(&client).group(PERSON);
    not_ours(&rig, &mut client, &request, 403, "Feature Tag Missing");
    let broken = untagged(&client)
        .group(PERSON)
        .without("From")
        .with("From: x");
    not_ours(&rig, &mut client, &broken, 403, "Feature Tag Missing");
    let tagged = Request::another(&client).group(PERSON);
    let response = refused(&rig, &mut client, &tagged, 404);
    assert_eq!(warning(&response), "No such group");
}

/// by default such a message is the script's, and one line names the parameter that would serve it.
pub fn the_log_names_the_parameter_that_serves_untagged_messages(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = untagged(&client);
    not_ours(&rig, &mut client, &request, 403, "Feature Tag Missing");
    let line = rig.wait_for_log("untagged=groups");
    assert!(line.contains(HIKERS), "{line}");
    let other = untagged(&client).group(PERSON);
    not_ours(&rig, &mut client, &other, 403, "Feature Tag Missing");
    let lines = rig.log().matches("untagged=groups").count();
    assert_eq!(lines, 1, "{}", rig.log());
}

/// with `unknown_group=script` a tagged message to no group is the script's, and is neither counted nor
/// logged as refused.
pub fn people_and_groups_share_a_domain(transport: Transport) {
    let rig = Setup::new(transport)
        .text("UNKNOWN_GROUP", "script")
        .start();
    let mut client = rig.client();
    let request = Request::another(&client).group(PERSON);
    not_ours(&rig, &mut client, &request, 403, "Feature Tag Missing");
    assert!(!rig.log().contains("refused 404"), "{}", rig.log());
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let stranger = Request::another(&client).sender("sip:dora@home1.net");
    refused(&rig, &mut client, &stranger, 403);
}

/// A.1: with `hide_groups` too, a group that the sender may not use is like an address that is no group.
pub fn a_hidden_group_is_like_an_address_of_a_person(transport: Transport) {
    let setup = Setup::new(transport).text("UNKNOWN_GROUP", "script");
    let rig = setup.number("HIDE_GROUPS", 1).start();
    let mut client = rig.client();
    for sender in ["sip:dora@home1.net", "sip:ann@home2.net"] {
        for group in [HIKERS, PERSON] {
            let request = Request::another(&client).group(group).sender(sender);
            not_ours(&rig, &mut client, &request, 403, "Feature Tag Missing");
        }
    }
    let nobody = Request::another(&client).without("P-Asserted-Identity");
    not_ours(&rig, &mut client, &nobody, 403, "Feature Tag Missing");
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
}

fn group_rig(transport: Transport) -> Setup {
    Setup::new(transport)
        .text("FORK_FROM", "group")
        .text("ANONYMITY_POLICY", "group")
}

/// From without its tag, and the body, of every copy.
#[track_caller]
fn told(forks: &[Fork]) -> (String, Vec<u8>) {
    let of = |fork: &Fork| {
        let from = fork.message.one("From");
        let from = from.split(";tag=").next().unwrap_or_default().to_owned();
        (from, fork.message.body.clone())
    };
    let first = of(&forks[0]);
    assert!(forks.iter().all(|fork| of(fork) == first));
    first
}

/// U-4, I-3: with `fork_from=group` a copy comes from the group and names the sender by the name that the group
/// stores, else by the user part of the authenticated address; a change of the name counts at once.
pub fn copies_come_from_the_group_and_name_the_sender(transport: Transport) {
    let rig = group_rig(transport).start();
    let mut client = rig.client();
    let request = Request::another(&client)
        .set("From", "\"Bob\" <sip:ann@home1.net>;tag=9f2c;x=1")
        .with("Reply-To: <sip:ann@home1.net>");
    let (_, forks) = sent(&rig, &mut client, &request, 2);
    assert_eq!(
        told(&forks),
        (
            format!("\"ann\" <{HIKERS}>"),
            b"ann: Trail closed. Meet at the gate.".to_vec()
        )
    );
    for fork in &forks {
        assert!(!fork.message.has("Reply-To"), "{}", fork.message);
        assert!(!fork.message.has("P-Asserted-Identity"), "{}", fork.message);
    }
    let name = "Ann \"Bär\" \\ Li";
    rig.cimfctl(&["member", "name", HIKERS, "sip:ann@home1.net", name]);
    let request = Request::another(&client).set("Content-Type", "text/plain;charset=utf-8");
    let (_, forks) = sent(&rig, &mut client, &request, 2);
    assert_eq!(
        told(&forks),
        (
            format!("\"Ann \\\"Bär\\\" \\\\ Li\" <{HIKERS}>"),
            format!("{name}: Trail closed. Meet at the gate.").into_bytes()
        )
    );
    let request = Request::another(&client).set("Content-Type", "text/plain;charset=ISO-8859-1");
    let (_, forks) = sent(&rig, &mut client, &request, 2);
    let body = told(&forks).1;
    assert_eq!(body, b"Ann \"B?r\" \\ Li: Trail closed. Meet at the gate.");
}

/// M-8, M-10: only plain text takes a name; every other body stays byte for byte.
pub fn only_plain_text_is_labelled(transport: Transport) {
    let rig = group_rig(transport).start();
    let mut client = rig.client();
    for content_type in [
        "message/cpim",
        "text/html",
        "text/plain;charset=utf-16",
        "application/octet-stream",
        "multipart/mixed;boundary=b",
    ] {
        let request = Request::another(&client).set("Content-Type", content_type);
        let body = match content_type.starts_with("multipart") {
            true => b"--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b--\r\n".to_vec(),
            false => b"Content-Type: text/plain\r\n\r\nhi".to_vec(),
        };
        let request = request.with_body(&body);
        let (_, forks) = sent(&rig, &mut client, &request, 2);
        assert_eq!(told(&forks).1, body, "{content_type}");
    }
    let request = Request::another(&client).with("Content-Transfer-Encoding: base64");
    let (_, forks) = sent(&rig, &mut client, &request, 2);
    assert_eq!(told(&forks).1, b"Trail closed. Meet at the gate.");
}

/// How the sender is named is a choice.
pub fn the_label_is_a_choice(transport: Transport) {
    for (label, from, body) in [
        ("none", format!("<{HIKERS}>"), ""),
        ("body", format!("<{HIKERS}>"), "ann: "),
        ("display_name", format!("\"ann\" <{HIKERS}>"), ""),
    ] {
        let rig = group_rig(transport).text("SENDER_LABEL", label).start();
        let mut client = rig.client();
        let request = Request::another(&client);
        let (_, forks) = sent(&rig, &mut client, &request, 2);
        let body = format!("{body}Trail closed. Meet at the gate.").into_bytes();
        assert_eq!(told(&forks), (from, body), "{label}");
    }
}

/// P-Asserted-Identity follows `fork_pai` to a trusted next hop, whatever From says.
pub fn a_trusted_next_hop_learns_the_sender_of_a_conversation(transport: Transport) {
    let rig = group_rig(transport).number("TRUSTED_NEXT_HOP", 1).start();
    let mut client = rig.client();
    let request = Request::another(&client);
    let (_, forks) = sent(&rig, &mut client, &request, 2);
    for fork in forks {
        let asserted = fork.message.one("P-Asserted-Identity");
        assert!(asserted.contains("sip:ann@home1.net"), "{asserted}");
    }
}

/// "Is typing" and receipts end with their answer where the administrator wants that (M-9).
pub fn what_tells_of_typing_and_reading_ends_with_its_answer(transport: Transport) {
    const TYPING: &str = "application/im-iscomposing+xml";
    const RECEIPT: &str = "message/imdn+xml";
    let rig = Setup::new(transport)
        .text("COMPOSING", "drop")
        .text("NOTIFICATIONS", "accept")
        .start();
    let mut client = rig.client();
    for content_type in [TYPING, RECEIPT] {
        let request = Request::another(&client).set("Content-Type", content_type);
        ends(&rig, &mut client, &request);
        // Its retransmission is answered as it was.
        ends(&rig, &mut client, &request);
        let stranger = Request::another(&client)
            .set("Content-Type", content_type)
            .sender("sip:dora@home1.net");
        refused(&rig, &mut client, &stranger, 403);
    }
    assert!(rig.log().contains("composing=drop"), "{}", rig.log());
    assert!(rig.log().contains("notifications=accept"), "{}", rig.log());
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::another(&client).set("Content-Type", TYPING);
    sent(&rig, &mut client, &request, 2);
    let request = Request::another(&client).set("Content-Type", RECEIPT);
    refused(&rig, &mut client, &request, 403);
}

/// RFC 6455 §5.6: a browser closes its connection at a text frame that is no UTF-8.
pub fn what_a_browser_cannot_read_is_refused(transport: Transport) {
    let rig = Setup::new(transport).number("UTF8_ONLY", 1).start();
    let mut client = rig.client();
    let latin = Request::another(&client).with_body(b"Caf\xe9");
    let encoded = Request::another(&client).with("Content-Encoding: deflate");
    let header = Request::another(&client).with_body("Café".as_bytes());
    for request in [latin, encoded] {
        let response = refused(&rig, &mut client, &request, 415);
        assert_eq!(warning(&response), "Message is not plain UTF-8");
    }
    sent(&rig, &mut client, &header, 2);
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let latin = Request::another(&client).with_body(b"Caf\xe9");
    sent(&rig, &mut client, &latin, 2);
}

/// Copies leave from the listener that the administrator names, and a name of none stops the start.
pub fn copies_leave_from_the_listener_that_is_named(transport: Transport) {
    let setup = Setup::new(transport).text("CORE_SOCKET", &socket(transport, "@ADDRESS@"));
    let rig = setup.start();
    let mut client = rig.client();
    let request = Request::another(&client);
    let (_, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    for fork in forks {
        let via = fork.message.one("Via");
        assert!(via.contains(&rig.address.to_string()), "{via}");
    }
    let setup = Setup::new(transport).text("CORE_SOCKET", &socket(transport, "127.0.0.1:9"));
    setup.provision();
    let (_, log) = setup.fails_to_start();
    assert!(
        log.contains("core_socket: expected an address on which this proxy listens"),
        "{log}"
    );
}

fn socket(transport: Transport, address: &str) -> String {
    format!("{}:{address}", transport.in_uri())
}
