//! What members answer, what the sender and the log learn of it, and whom the sender's own copy concerns: M-11,
//! A-9, H-1, S-2, R-2, G-5.

use crate::checks::{accepted, not_ours};
use crate::lists::{self, TEXT, entries, list, message};
use crate::support::client::Transport;
use crate::support::core::Answer;
use crate::support::flow::Request;
use crate::support::rig::{ANN, BOB, HIKERS, Setup, TEL};

/// M-11, A-10: whatever a member answers is the end of its copy: no second try, no credentials, no second
/// final answer to the sender.
pub fn whatever_a_member_answers_is_final(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let codes = [301, 401, 407, 408, 413, 480, 488, 500, 503, 603];
    for (before, code) in codes.into_iter().enumerate() {
        rig.core.answer("bob", Answer::Code(code));
        let request = Request::another(&client);
        accepted(&rig, &mut client, &request, &[BOB, TEL]);
        rig.wait_for_counter("forks_failed", before as u64 + 1);
    }
    // A second try, or a second answer to the sender, would come before this one.
    client.fence();
    assert_eq!(rig.core.count(), 2 * codes.len());
    assert_eq!(rig.counter("forks_delivered"), codes.len() as u64);
    for fork in rig.core.forks() {
        assert_eq!(fork.message.one("CSeq"), "1 MESSAGE");
    }
}

/// `skip_originator` for groups and for lists.
pub fn whether_the_sender_gets_a_copy_is_a_setting(transport: Transport) {
    for (value, of_group, of_list) in [
        ("group", &[BOB, TEL][..], &[ANN, BOB][..]),
        ("always", &[BOB, TEL], &[BOB]),
        ("never", &[ANN, BOB, TEL], &[ANN, BOB]),
    ] {
        let setup = Setup::new(transport).text("SKIP_ORIGINATOR", value);
        let rig = lists::start(setup.number("TRUSTED_NEXT_HOP", 1));
        let mut client = rig.client();
        let request = Request::another(&client);
        accepted(&rig, &mut client, &request, of_group);
        let request = message(&client, &[TEXT, &list(&entries(&[ANN, BOB]))]);
        lists::sent(&rig, &mut client, &request, of_list);
    }
}

/// without the tag a message to another domain goes the way of all others.
pub fn without_the_tag_a_message_elsewhere_is_routed_on(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::b0(&client)
        .group("sip:hikers@home2.net")
        .without("Accept-Contact");
    not_ours(&rig, &mut client, &request, 404, "Not Routed Here");
}

/// H-1: `copy_headers` adds to what is copied, under whatever name the client writes.
pub fn further_headers_are_copied_where_the_configuration_names_them(transport: Transport) {
    let names = "X-Ticket, Supported";
    let rig = Setup::new(transport).text("COPY_HEADERS", names).start();
    let mut client = rig.client();
    let request = Request::another(&client)
        .with("x-ticket: 7")
        .with("k: path")
        .with("X-Other: no");
    let (_, forks) = crate::checks::sent(&rig, &mut client, &request, 2);
    for fork in forks {
        assert_eq!(fork.message.one("X-Ticket"), "7");
        assert_eq!(fork.message.all("Supported"), ["path"]);
        assert!(!fork.message.has("X-Other"));
    }
}

/// S-2: one line tells who sent to which group and how many copies there are, and no line tells what.
pub fn the_log_tells_who_sent_to_whom_and_not_what(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::another(&client).with("Subject: about the trail");
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let line = rig.wait_for_log("accepted message 1:");
    for piece in [
        "originator=<sip:ann@home1.net>",
        &format!("group=<{HIKERS}>"),
        "recipients=2",
        "skipped=0",
    ] {
        assert!(line.contains(piece), "{piece} in {line}");
    }
    let refusal = Request::another(&client).with("Privacy: id");
    crate::checks::refused(&rig, &mut client, &refusal, 403);
    let line = rig.wait_for_log("refused 403");
    assert!(line.contains("originator=<sip:ann@home1.net>") && line.contains(HIKERS));
    let log = rig.log();
    assert!(
        !log.contains("Trail closed") && !log.contains("about the trail"),
        "{log}"
    );
}

/// R-2, M-6, M-10: several bodies in one message to a group go to its members as they are.
pub fn a_message_of_three_bodies_goes_to_a_group_whole(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let body = "preamble\r\n--b\r\nContent-Type: application/vnd.3gpp.mcdata-signalling\r\n\r\n\u{1}\u{0}\r\n\
        --b\r\nContent-Type: application/vnd.3gpp.mcdata-payload\r\n\r\nhi\r\n\
        --b\r\nContent-Type: application/resource-lists+xml\r\n\r\n<resource-lists/>\r\n--b--\r\nepilogue";
    let mut request = Request::another(&client)
        .set("Content-Type", "multipart/mixed;boundary=b")
        .set("Content-Length", &body.len().to_string());
    request.body = body.as_bytes().to_vec();
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
}

/// G-5: what a document says of sessions and invitations is nothing to a message.
pub fn a_participant_count_does_not_limit_messages(transport: Transport) {
    let rig = Setup::new(transport).start();
    let document = format!(
        "<group xmlns=\"urn:oma:xml:poc:list-service\"><list-service uri=\"{HIKERS}\">\
         <list><entry uri=\"{ANN}\"/><entry uri=\"{BOB}\"/><entry uri=\"{TEL}\"/></list>\
         <invite-members>false</invite-members><max-participant-count>1</max-participant-count>\
         </list-service></group>"
    );
    let file = rig.folder().join("group.xml");
    std::fs::write(&file, document).expect("a document");
    rig.cimfctl(&["import", &file.display().to_string()]);
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
}
