//! The administrator's choices about lists: what each parameter changes on the wire.

use crate::checks::refused;
use crate::lists::{HEAD, SERVICE, TEXT, entries, list, message, sent, start};
use crate::support::client::Transport;
use crate::support::proxy::{is_left_out_with_opensips, leave_out, proxy};
use crate::support::rig::{HIKERS, Rig, Setup};
use crate::support::sip::{Message, find};

const BOB: &str = "sip:bob@home1.net";
const DEE: &str = "sip:dee@home1.net";
const TEL: &str = "tel:+15551230003";

fn rig(transport: Transport, name: &str, value: &str) -> Rig {
    let setup = Setup::new(transport);
    start(match value.parse() {
        Ok(number) => setup.number(name, number),
        Err(_) => setup.text(name, value),
    })
}

fn has(message: &Message, text: &str) -> bool {
    find(&message.body, text.as_bytes()).is_some()
}

/// A-4, T 23.
pub fn t23_the_list_parameter_points_at_a_part(transport: Transport) {
    let named = list(&entries(&[DEE])).replace(
        "Content-Disposition: recipient-list",
        "Content-ID: <l1@home1.net>",
    );
    let uri = |id: &str| format!("{SERVICE};list=cid:{id}%40home1.net");
    let rig = rig(transport, "DRAFT_LIST_PARAM", "1");
    let mut client = rig.client();
    let request = message(&client, &[TEXT, &named]).request_uri(&uri("l1"));
    sent(&rig, &mut client, &request, &[DEE]);
    let request = message(&client, &[TEXT, &named]).request_uri(&uri("l2"));
    refused(&rig, &mut client, &request, 400);
    // Without the parameter the module takes a list for what its disposition says.
    let rig = start(Setup::new(transport));
    let mut client = rig.client();
    let other = list(&entries(&[BOB]));
    let request = message(&client, &[TEXT, &named, &other]).request_uri(&uri("l2"));
    sent(&rig, &mut client, &request, &[BOB]);
}

/// A-4, T 24: nobody can be sent to a body part; what others say to one is not ours.
pub fn t24_a_request_uri_that_names_a_body_part_is_refused(transport: Transport) {
    let rig = start(Setup::new(transport));
    let mut client = rig.client();
    let list = list(&entries(&[BOB]));
    let request = message(&client, &[TEXT, &list]).request_uri("cid:x");
    let response = refused(&rig, &mut client, &request, 416);
    assert_eq!(response.reason(), "Unsupported URI Scheme");
    let request = message(&client, &[TEXT, &list])
        .request_uri("cid:x")
        .without("Accept-Contact");
    let before = rig.counter("refused");
    client.send(&request.bytes());
    client.receive();
    assert_eq!(rig.counter("refused"), before, "it is not cimf's");
}

/// K-5: bcc recipients find their own entry; the others find nothing of it.
pub fn a_bcc_recipient_finds_their_own_entry_with_bcc_mode_self(transport: Transport) {
    let rig = rig(transport, "BCC_MODE", "self");
    let mut client = rig.client();
    let list = list(&format!(
        "<entry uri=\"{BOB}\" cp:copyControl=\"to\"/><entry uri=\"{DEE}\" cp:copyControl=\"bcc\"/>"
    ));
    let request = message(&client, &[TEXT, &list]);
    let forks = sent(&rig, &mut client, &request, &[BOB, DEE]);
    let own = format!("<entry uri=\"{DEE}\" cp:copyControl=\"bcc\"/>\r\n</list>");
    for fork in forks {
        let message = &fork.message;
        let is_dee = message.request_uri() == DEE;
        assert_eq!(has(message, &own), is_dee, "{message}");
        assert_eq!(has(message, "dee"), is_dee, "{message}");
        assert!(has(message, "bob@home1.net\" cp:copyControl=\"to\""));
    }
}

/// K-7; T 61: without the parameter there is no history, whatever the sender brings.
pub fn members_learn_of_each_other_with_group_history(transport: Transport) {
    let forged = list(&entries(&["sip:forged@home1.net"]))
        .replace("recipient-list", "recipient-list-history");
    for (history, value) in [(false, "0"), (true, "1")] {
        let rig = rig(transport, "GROUP_HISTORY", value);
        let mut client = rig.client();
        let request = message(&client, &[TEXT, &forged]).group(HIKERS);
        for fork in sent(&rig, &mut client, &request, &[BOB, TEL]) {
            let message = &fork.message;
            assert!(!has(message, "forged"), "{message}");
            for uri in ["sip:ann@home1.net", BOB, TEL] {
                let entry = format!("<entry uri=\"{uri}\" cp:copyControl=\"to\"/>\r\n");
                assert_eq!(has(message, &entry), history, "{message}");
            }
            match history {
                true => assert!(has(message, "\r\n\r\nDraft is ready.\r\n--")),
                false => assert_eq!(message.body, b"Draft is ready."),
            }
        }
    }
}

///
pub fn one_bad_entry_refuses_all_with_bad_entry_reject(transport: Transport) {
    let rig = rig(transport, "BAD_ENTRY", "reject");
    let mut client = rig.client();
    let bad = list(&entries(&[BOB, "mailto:x@h"]));
    let request = message(&client, &[TEXT, &bad]);
    refused(&rig, &mut client, &request, 400);
    rig.wait_for_log("the list names <mailto:x@h>");
    let good = list(&entries(&[BOB]));
    let request = message(&client, &[TEXT, &good]);
    sent(&rig, &mut client, &request, &[BOB]);
}

///
pub fn references_in_a_list_are_ignored_and_logged(transport: Transport) {
    let rig = start(Setup::new(transport));
    let mut client = rig.client();
    let references = "<external anchor=\"http://127.0.0.1/resource-lists/x\"/>\
        <list><entry-ref ref=\"resource-lists/x\"/><entry-ref ref=\"resource-lists/y\"/></list>";
    let both = list(&(entries(&[BOB]) + references));
    let request = message(&client, &[TEXT, &both]);
    sent(&rig, &mut client, &request, &[BOB]);
    rig.wait_for_log("never followed: entry-ref=2 external=1");
}

/// S-8, T 100.
pub fn t100_a_machine_is_a_recipient_with_literal_targets_allow(transport: Transport) {
    let machines = ["sip:x@192.0.2.1", "sip:x@home1.net;maddr=192.0.2.1"];
    let list = list(&entries(&[BOB, machines[0], machines[1]]));
    let rig1 = start(Setup::new(transport));
    let mut client = rig1.client();
    let request = message(&client, &[TEXT, &list]);
    sent(&rig1, &mut client, &request, &[BOB]);
    let rig2 = rig(transport, "LITERAL_TARGETS", "allow");
    let mut client = rig2.client();
    let request = message(&client, &[TEXT, &list]);
    let all = [BOB, machines[0], machines[1]];
    sent(&rig2, &mut client, &request, &all);
}

/// U-9, S-7.
pub fn an_entry_sets_the_headers_of_uri_headers(transport: Transport) {
    let rig = rig(transport, "URI_HEADERS", "Subject,Priority");
    let mut client = rig.client();
    let list = list(&entries(&[
        "sip:bob@home1.net?Subject=Hello%20Bob&amp;Route=%3csip:evil%3e",
        DEE,
        "sip:eve@home1.net?Priority=a%20b",
        "sip:fay@home1.net?Subject=x%0d%0aRoute:%20y",
    ]));
    let request = message(&client, &[TEXT, &list]).with("Subject: all");
    for fork in sent(&rig, &mut client, &request, &[BOB, DEE]) {
        let subject = match fork.message.request_uri() {
            BOB => "Hello Bob",
            _ => "all",
        };
        assert_eq!(fork.message.one("Subject"), subject);
        assert!(!fork.message.has("Priority"));
    }
}

///
pub fn a_list_chooses_among_the_members_with_intersect(transport: Transport) {
    let rig = rig(transport, "GROUP_WITH_LIST", "intersect");
    let mut client = rig.client();
    let chosen = list(&entries(&["tel:+1-555-123-0003", DEE]));
    let request = message(&client, &[TEXT, &chosen]).group(HIKERS);
    let forks = sent(&rig, &mut client, &request, &[TEL]);
    assert_eq!(forks[0].message.body, b"Draft is ready.");
    let nobody = list(&entries(&[DEE]));
    let request = message(&client, &[TEXT, &nobody]).group(HIKERS);
    refused(&rig, &mut client, &request, 400);
}

///
pub fn a_list_adds_to_the_members_with_union(transport: Transport) {
    let rig = rig(transport, "GROUP_WITH_LIST", "union");
    let mut client = rig.client();
    let added = list(&entries(&[DEE, BOB]));
    let request = message(&client, &[TEXT, &added]).group(HIKERS);
    sent(&rig, &mut client, &request, &[BOB, DEE, TEL]);
    let service = list(&entries(&[SERVICE]));
    let request = message(&client, &[TEXT, &service]).group(HIKERS);
    let response = refused(&rig, &mut client, &request, 403);
    assert_eq!(response.one("P-Refused-URI-List"), format!("<{SERVICE}>"));
    // A member who is no subscriber of ours may write to the group, and to nobody else.
    rig.cimfctl(&["member", "add", HIKERS, "sip:eve@home2.net"]);
    let request = message(&client, &[TEXT, &added]).group(HIKERS);
    let request = request.sender("sip:eve@home2.net");
    refused(&rig, &mut client, &request, 403);
}

/// M-6, K-5: what must stay as it is hides no list.
pub fn a_list_inside_an_opaque_body_is_refused(transport: Transport) {
    let rig = start(Setup::new(transport));
    let mut client = rig.client();
    let hidden = list(&entries(&[DEE]));
    let good = list(&entries(&[BOB]));
    assert!(hidden.contains(HEAD));
    for subtype in ["alternative", "related", "signed"] {
        let inner = format!(
            "Content-Type: multipart/{subtype};boundary=in\r\n\r\n\
             --in\r\n{TEXT}\r\n--in\r\n{hidden}\r\n--in--\r\n"
        );
        let request = message(&client, &[&inner, &good]);
        let response = refused(&rig, &mut client, &request, 415);
        assert!(response.has("Accept") && response.has("Accept-Encoding"));
    }
}

/// Whether Kamailio takes these settings; 6.1.5 has bounds for them.
fn can_be_raised(setup: &Setup, settings: &str) -> bool {
    let path = setup.folder().join("raised.cfg");
    let text = format!("#!KAMAILIO\n{settings}request_route {{ exit; }}\n");
    std::fs::write(&path, text).expect("writing the configuration");
    let mut kamailio = std::process::Command::new(proxy().program());
    let output = kamailio.arg("-c").arg("-f").arg(path).output();
    let output = output.expect("Kamailio");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() || said.contains("value out of range"),
        "{said}"
    );
    output.status.success()
}

/// S-3, T 83: over TCP and with Kamailio's own limits raised; a datagram cannot be that long.
pub fn t83_a_list_of_more_than_64_kib_is_too_long(transport: Transport) {
    if is_left_out_with_opensips("it takes no message of more than 65,535 bytes") {
        return;
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/kamailio-config/");
    let sample = std::fs::read_to_string(format!("{folder}kamailio.cfg")).expect("the sample");
    let raised =
        "tcp_rd_buf_size=262144\n#!ifndef KAMAILIO_5_6\nmsg_recv_max_size=262144\n#!endif\n";
    let text = sample
        .replace("include_file \"", &format!("include_file \"{folder}"))
        .replace("tcp_rd_buf_size=65536\n", raised);
    assert!(text.contains(raised) && text.contains(folder));
    let setup = Setup::new(transport).configuration(&text);
    if !can_be_raised(&setup, raised) {
        return leave_out("it takes no message of more than 65,535 bytes");
    }
    let rig = start(setup);
    let mut client = rig.client();
    let short = list(&entries(&[BOB]));
    let document = short.len() - short.find("<?xml").expect("a document");
    let blanks = |total: usize| " ".repeat(total - document) + "</list></resource-lists>";
    let of = |total: usize| short.replace("</list></resource-lists>", &blanks(total));
    let request = message(&client, &[TEXT, &of(65536)]);
    sent(&rig, &mut client, &request, &[BOB]);
    let request = message(&client, &[TEXT, &of(65537)]);
    refused(&rig, &mut client, &request, 413);
}
