//! The URI-list service: who gets a message to it, and with what content.

use crate::checks::{Before, forked, is_202, refused};
use crate::support::client::{Client, Transport};
use crate::support::core::Fork;
use crate::support::flow::{Request, file};
use crate::support::rig::{Rig, Setup};
use crate::support::sip::{Message, find};

pub const SERVICE: &str = "sip:listsvc@im.home1.net";
pub const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<resource-lists \
    xmlns=\"urn:ietf:params:xml:ns:resource-lists\" \
    xmlns:cp=\"urn:ietf:params:xml:ns:copycontrol\"><list>\r\n";
pub const TAIL: &str = "</list></resource-lists>";
pub const TEXT: &str = "Content-Type: text/plain;charset=UTF-8\r\n\r\nDraft is ready.";

pub fn start(setup: Setup) -> Rig {
    let rig = setup.start();
    rig.cimfctl(&["service", "add", SERVICE]);
    rig
}

pub fn rig(transport: Transport) -> Rig {
    start(Setup::new(transport).number("TRUSTED_NEXT_HOP", 1))
}

/// The same, for messages that get larger than a datagram may be (M-2).
pub fn rig_for_large(transport: Transport) -> Rig {
    let setup = Setup::new(transport).number("TRUSTED_NEXT_HOP", 1);
    start(setup.number("LARGE_OK", 1))
}

/// A list part of these entries.
pub fn list(entries: &str) -> String {
    let part = "Content-Type: application/resource-lists+xml\r\n\
        Content-Disposition: recipient-list\r\n\r\n";
    format!("{part}{HEAD}{entries}{TAIL}")
}

pub fn entries(uris: &[&str]) -> String {
    let entries = uris.iter().map(|uri| format!("<entry uri=\"{uri}\"/>\r\n"));
    entries.collect()
}

/// Flow 2 with these parts for a body.
pub fn message(client: &Client, parts: &[&str]) -> Request {
    let mut body = String::new();
    for part in parts {
        body += &format!("--b1\r\n{part}\r\n");
    }
    body += "--b1--\r\n";
    with_body(client, body.as_bytes())
}

pub fn with_body(client: &Client, body: &[u8]) -> Request {
    let another = Request::another(client);
    let mut request = Request::from_file("2-F1-message-in.sip")
        .set("Via", another.value("Via"))
        .set("Call-ID", another.value("Call-ID"))
        .set("Content-Length", &body.len().to_string());
    request.body = body.to_vec();
    request
}

/// Sends a message that has to be answered 202; the forks by their Request-URIs.
#[track_caller]
pub fn sent(rig: &Rig, client: &mut Client, request: &Request, recipients: &[&str]) -> Vec<Fork> {
    let before = Before::of(rig);
    client.send(&request.bytes());
    is_202(&client.receive(), request);
    let mut forks = forked(rig, client, &before, recipients.len());
    forks.sort_by_key(|fork| fork.message.request_uri().to_owned());
    let mut wanted = recipients.to_vec();
    wanted.sort_unstable();
    let got: Vec<_> = forks
        .iter()
        .map(|fork| fork.message.request_uri())
        .collect();
    assert_eq!(got, wanted);
    forks
}

/// K-4, K-5, U-4, U-7: flow 2 itself. Identifiers, the boundary and the order of headers vary.
pub fn t02_the_forks_are_those_of_flow_2(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let request = with_body(&client, &Request::from_file("2-F1-message-in.sip").body);
    let recipients = [
        "sip:bob@home1.net",
        "sip:cho@home2.net",
        "sip:dee@home1.net",
    ];
    let forks = sent(&rig, &mut client, &request, &recipients);
    let wanted = Message::read(&file("2-F3-fork-bob.sip")).expect("flow 2");
    for fork in &forks {
        let message = &fork.message;
        let value = message.one("Content-Type");
        let boundary = value
            .split("boundary=")
            .nth(1)
            .expect("a boundary")
            .trim_matches('"');
        let body = String::from_utf8(message.body.clone()).expect("UTF-8");
        let flow = String::from_utf8(wanted.body.clone()).expect("UTF-8");
        assert_eq!(body.replace(boundary, "b2"), flow);
        assert_eq!(message.one("P-Asserted-Identity"), "<sip:ann@home1.net>");
        assert!(!message.has("Require"));
        // K-5: bcc recipients appear in no byte of any fork but the address line of their own.
        if message.request_uri() != "sip:dee@home1.net" {
            assert!(find(message.to_string().as_bytes(), b"dee@").is_none());
        }
        // With its at sign: "dee" alone may be a part of a hexadecimal boundary, tag or Call-ID.
        let names = [&b"dee@"[..], b"cho@"];
        assert!(names.iter().all(|name| find(&message.body, name).is_none()));
    }
}

/// C-1, C-3, U-2, X-5, A-9, S-8, A-12: each once, from all lists, without those who cannot be sent to.
pub fn t44_each_recipient_gets_one_message(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let first = list(&entries(&[
        "sip:bob@home1.net",
        "SIP:bob@HOME1.NET",
        "sip:%62ob@home1.net?Subject=x",
        "sip:bob@home1.net;method=INVITE",
        "tel:+1-555-123-0003",
        "tel:5551",
        "mailto:x@h",
        "im:y@h",
        "sip:x@127.0.0.1",
        "sip:x@home1.net;maddr=192.0.2.1",
    ]));
    let second = list(&entries(&["tel:+15551230003", "sip:ann@home1.net"]));
    let request = message(&client, &[TEXT, &first, &second]);
    // T 53: the originator has asked for their own copy.
    let recipients = [
        "sip:ann@home1.net",
        "sip:bob@home1.net",
        "tel:+1-555-123-0003",
    ];
    sent(&rig, &mut client, &request, &recipients);
}

/// K-2, U-7: without copy control everybody is bcc, and the one part that is left is the whole body.
pub fn t56_without_copy_control_there_is_no_history(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let list = list(&entries(&["sip:bob@home1.net"]));
    let text = "content-type: text/plain;charset=UTF-8\r\nContent-Language: en\r\nX-A: 1\r\n\r\n\
        --b1x\r\n\0";
    let request = message(&client, &[&list, text]);
    let forks = sent(&rig, &mut client, &request, &["sip:bob@home1.net"]);
    let message = &forks[0].message;
    assert_eq!(message.one("Content-Type"), "text/plain;charset=UTF-8");
    assert_eq!(message.one("Content-Language"), "en");
    assert!(!message.has("X-A"));
    assert_eq!(message.body, b"--b1x\r\n\0");
}

/// K-3, K-4, K-7: precedence, anonymity with counts, and no history of the sender's own making.
pub fn t57_the_history_tells_what_the_sender_lets_it(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let list = list(concat!(
        "<entry uri=\"sip:a@home1.net\" cp:copyControl=\"cc\"/>",
        "<entry uri=\"sip:a@home1.net\" cp:copyControl=\"to\"/>",
        "<entry uri=\"sip:b@home1.net\" cp:copyControl=\"to\" cp:anonymize=\"1\"/>",
        "<entry uri=\"sip:c@home1.net\" cp:copyControl=\"to\" cp:anonymize=\"true\"/>",
        "<entry uri=\"sip:d@home1.net\" cp:copyControl=\"cc\" cp:anonymize=\"false\"/>",
        "<entry uri=\"sip:e@home1.net\" cp:copyControl=\"bcc\" cp:anonymize=\"true\"/>",
        "<entry uri=\"sip:f@home1.net\" copyControl=\"to\"/>",
        "<entry uri=\"sip:g@home1.net\" cp:copyControl=\"what\" cp:count=\"7\"/>",
    ));
    let forged = format!(
        "Content-Type: application/resource-lists+xml\r\n\
         Content-Disposition: recipient-list-history; handling=optional\r\n\r\n\
         {HEAD}<entry uri=\"sip:forged@home1.net\" cp:copyControl=\"to\"/>{TAIL}"
    );
    let request = message(&client, &[TEXT, &list, &forged]);
    let all: Vec<String> = "abcdefg"
        .chars()
        .map(|user| format!("sip:{user}@home1.net"))
        .collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let forks = sent(&rig, &mut client, &request, &all);
    let wanted = format!(
        "{HEAD}<entry uri=\"sip:a@home1.net\" cp:copyControl=\"to\"/>\r\n\
         <entry uri=\"sip:anonymous@anonymous.invalid\" cp:copyControl=\"to\" cp:count=\"2\"/>\r\n\
         <entry uri=\"sip:d@home1.net\" cp:copyControl=\"cc\"/>\r\n{TAIL}"
    );
    for fork in forks {
        assert!(
            find(&fork.message.body, wanted.as_bytes()).is_some(),
            "{}",
            fork.message
        );
        assert!(find(&fork.message.body, b"forged").is_none());
    }
}

/// U-3: the option tag may be absent.
pub fn t63_the_option_tag_is_not_insisted_on(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let list = list(&entries(&["sip:bob@home1.net"]));
    let request = message(&client, &[TEXT, &list]).without("Require");
    sent(&rig, &mut client, &request, &["sip:bob@home1.net"]);
    let request = message(&client, &[TEXT, &list]).set("Require", "recipient-list-message, foo");
    let response = refused(&rig, &mut client, &request, 420);
    assert_eq!(response.one("Unsupported"), "foo");
}

/// A-15, T 66: a group has its members already.
pub fn t66_a_list_for_a_group_is_refused(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let list = list(&entries(&["sip:bob@home1.net"]));
    let request = message(&client, &[TEXT, &list]).group("sip:hikers@im.home1.net");
    refused(&rig, &mut client, &request, 403);
}

/// U-1, U-7, X-2, X-4, X-5, M-6, S-3, H-4: T 43, 67, 70, 72, 75, 76, 82, 84. T 83 stands in
/// `list_choices`.
pub fn lists_that_are_no_lists_are_refused(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let bob = entries(&["sip:bob@home1.net"]);
    let good = list(&bob);
    let many = |count: usize| -> String {
        let uris: Vec<String> = (0..count).map(|n| format!("sip:m{n}@h")).collect();
        list(&entries(
            &uris.iter().map(String::as_str).collect::<Vec<_>>(),
        ))
    };
    for (parts, code) in [
        (vec![TEXT, &list("")], 400),
        (vec![TEXT, &list("<entry uri=\"mailto:x@h\"/>")], 400),
        (vec![TEXT], 400),
        (vec![good.as_str()], 400),
        (vec![TEXT, &good.replace("recipient-list", "render")], 400),
        (
            vec![
                TEXT,
                &good.replace("application/resource-lists+xml", "text/csv"),
            ],
            415,
        ),
        (
            vec![
                TEXT,
                &good.replace("Content-Disp", "Content-Encoding: gzip\r\nContent-Disp"),
            ],
            415,
        ),
        (vec![TEXT, &good.replace("</list>", "")], 400),
        (
            vec![TEXT, &good.replace("resource-lists xmlns=", "other xmlns=")],
            400,
        ),
        (vec![TEXT, &list("<entry/>")], 400),
        (
            vec![
                TEXT,
                &good.replace(
                    "<resource",
                    "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><resource",
                ),
            ],
            400,
        ),
        (vec![TEXT, &many(101)], 403),
        (vec![TEXT, &many(1001)], 403),
        (
            vec![TEXT, &list(&entries(&["sip:hikers@im.home1.net"]))],
            403,
        ),
        (vec![TEXT, &list(&entries(&[SERVICE]))], 403),
    ] {
        // Kamailio drops more than 32,767 bytes from 5.7.3 on (msg_recv_max_size).
        let request = message(&client, &parts);
        assert!(request.bytes().len() < 32_000);
        let response = refused(&rig, &mut client, &request, code);
        assert_eq!(response.has("Accept"), code == 415, "{response}");
    }
    let mut broken = message(&client, &[TEXT, &good]);
    broken.body.truncate(broken.body.len() - 6);
    let broken = with_body(&client, &broken.body);
    refused(&rig, &mut client, &broken, 400);
    let no_boundary = message(&client, &[TEXT, &good]).set("Content-Type", "multipart/mixed");
    refused(&rig, &mut client, &no_boundary, 400);
}

/// M-6, M-10, T 73: what is not mixed is opaque, at any depth.
pub fn t73_a_payload_is_opaque(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let payload = "Content-Type: multipart/alternative; boundary=b1in\r\n\r\n\
        --b1in\r\nContent-Disposition: x\r\n\r\na\0b\r\n--b1in\r\n\r\n\r\n--b1in--\r\n";
    let inner = format!(
        "Content-Type: multipart/mixed;boundary=inner\r\n\r\n--inner\r\n{}\r\n--inner--",
        list(&entries(&["sip:bob@home1.net"]))
    );
    let request = message(&client, &[payload, &inner]);
    let forks = sent(&rig, &mut client, &request, &["sip:bob@home1.net"]);
    let content = payload.split_once("\r\n\r\n").expect("a head").1;
    assert_eq!(forks[0].message.body, content.as_bytes());
    let kind = forks[0].message.one("Content-Type");
    assert_eq!(kind, "multipart/alternative; boundary=b1in");
}

/// a service is for local subscribers and those whom `service_acl` names.
pub fn a_service_is_for_its_own_subscribers(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let list = list(&entries(&["sip:bob@home1.net"]));
    let request = message(&client, &[TEXT, &list]).sender("sip:eve@home2.net");
    refused(&rig, &mut client, &request, 403);
}

/// U-12, T 106: nobody gets anything while one has not consented.
pub fn t106_a_recipient_without_consent_is_named(transport: Transport) {
    let rig = start(Setup::new(transport).number("CONSENT", 1));
    rig.cimfctl(&["consent", "add", SERVICE, "sip:bob@home1.net"]);
    let mut client = rig.client();
    let both = list(&entries(&["sip:bob@home1.net", "sip:cho@home2.net"]));
    let request = message(&client, &[TEXT, &both]);
    let response = refused(&rig, &mut client, &request, 470);
    assert_eq!(response.one("Permission-Missing"), "<sip:cho@home2.net>");
    rig.cimfctl(&["consent", "add", SERVICE, "sip:cho@home2.net"]);
    let request = message(&client, &[TEXT, &both]);
    sent(
        &rig,
        &mut client,
        &request,
        &["sip:bob@home1.net", "sip:cho@home2.net"],
    );
}
