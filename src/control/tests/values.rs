//! Values that are read liberally and written strictly, and what may be read in two ways.

use super::*;
use crate::config::{ForkFrom, FromMismatch, IdentityMode, SenderLabel};
use crate::control::from_group::unlabelled;
use crate::sip::Request;

/// From of the copies, where From is this.
#[track_caller]
fn from_of_copies(from: &str) -> String {
    let accepted = Case::new().set(&format!("From: {from}")).accepted();
    String::from_utf8(accepted.from).unwrap()
}

#[test]
fn a_second_address_in_from_or_to_is_refused() {
    for policy in [
        None,
        Some(FromMismatch::Reject),
        Some(FromMismatch::Rewrite),
    ] {
        for value in [
            "<sip:ann@home1.net>;x=1,\"Boss\" <sip:boss@home1.net>;tag=1",
            "<sip:ann@home1.net>;tag=1, <sip:boss@home1.net>",
            "sip:ann@home1.net,sip:boss@home1.net;tag=1",
            "<sip:ann@home1.net>;tag=1;x=a\\\"b",
        ] {
            let mut case = Case::new().set(&format!("From: {value}"));
            case.policy.settings.from_mismatch = policy;
            assert_eq!(case.refused(), Reason::Malformed, "{value}");
        }
    }
    let case = Case::new().set("To: <sip:hikers@im.home1.net>, <sip:boss@home1.net>");
    assert_eq!(case.refused(), Reason::Malformed);
    let case = Case::new().set("P-Asserted-Identity: <sip:ann@home1.net>;x=1 <sip:boss@home1.net>");
    assert_eq!(case.refused(), Reason::BadIdentity);
    let case = Case::new().with("Reply-To: <sip:ann@home1.net>, <sip:boss@home1.net>");
    assert_eq!(case.refused(), Reason::Header);
}

#[test]
fn the_script_gives_one_identity() {
    let given = |identity: &'static str| {
        let mut case = Case::new().without("P-Asserted-Identity");
        case.policy.settings.identity_mode = IdentityMode::Either;
        case.source.identity = Some(identity.as_bytes());
        case
    };
    for identity in ["sip:ann@home1.net", "\"Ann\" <sip:ann@home1.net:5060>"] {
        assert_eq!(given(identity).accepted().count(), 2, "{identity}");
    }
    for identity in [
        "sip:ann@home1.net,sip:eve@home1.net",
        "sip:ann@home1.net, <tel:+15551230003>",
        "sip:ann@home1.net@home1.net",
        "mailto:ann@home1.net",
    ] {
        assert_eq!(given(identity).refused(), Reason::NoIdentity, "{identity}");
    }
}

#[test]
fn from_is_who_sends_and_not_how_to_get_there() {
    // RFC 3261 §19.1.1, table 1.
    for value in [
        "<sip:ann@home1.net:5060>",
        "<sip:ann@home1.net:5070;transport=tcp;maddr=192.0.2.1;ttl=1;lr;method=INVITE>",
        "<sip:ann@home1.net?Subject=a>",
        "<sip:ann:secret@home1.net;;>",
        "<sip:ann@home1.net>;",
    ] {
        let mut case = Case::new().set(&format!("From: {value};tag=1"));
        case.policy.settings.from_mismatch = Some(FromMismatch::Reject);
        assert_eq!(case.accepted().from, b"<sip:ann@home1.net>", "{value}");
        case.policy.settings.identity_mode = IdentityMode::None;
        let accepted = case.accepted();
        assert_eq!(accepted.from, b"<sip:ann@home1.net>", "{value}");
        assert_eq!(accepted.originator, b"sip:ann@home1.net");
    }
    let mut other = Case::new().set("From: <sip:bob@home1.net:5060>;tag=1");
    other.policy.settings.from_mismatch = Some(FromMismatch::Reject);
    assert_eq!(other.refused(), Reason::FromMismatch);
    let rewritten = Case::new()
        .set("P-Asserted-Identity: <sip:ann:pw@home1.net:5060;transport=tcp>")
        .set("From: <sip:bob@home1.net>;tag=1");
    let mut rewritten = rewritten;
    rewritten.policy.settings.from_mismatch = Some(FromMismatch::Rewrite);
    assert_eq!(rewritten.accepted().from, b"<sip:ann@home1.net>");
}

#[test]
fn an_asserted_identity_is_an_address_of_record() {
    for value in [
        "<sip:ann@home1.net:5060>",
        "<sip:%61nn:secret@HOME1.net;transport=udp;x=7?Subject=a>",
    ] {
        let case = Case::new().set(&format!("P-Asserted-Identity: {value}"));
        let accepted = case.accepted();
        assert_eq!(accepted.originator, b"sip:ann@home1.net", "{value}");
        assert_eq!(
            recipients(&accepted),
            ["sip:bob@home1.net", "tel:+15551230003"]
        );
    }
    let case = Case::new().set("P-Asserted-Identity: <tel:+1-555-123-0003;cpc=ordinary>");
    let accepted = case.accepted();
    assert_eq!(accepted.originator, b"tel:+15551230003");
    assert_eq!(
        recipients(&accepted),
        ["sip:ann@home1.net", "sip:bob@home1.net"]
    );
}

#[test]
fn what_should_have_been_escaped_is_copied_escaped() {
    let mut case = Case::new().set("P-Asserted-Identity: <sip:*21#@home1.net>");
    case.members.push("sip:*21%23@home1.net");
    assert_eq!(case.accepted().count(), 3);
    let asserted = "P-Asserted-Identity: <sip:*21%23@home1.net>".to_owned();
    assert!(case.shared().contains(&asserted));
    assert_eq!(
        from_of_copies("<sip:*21#@home1.net>;tag=1"),
        "<sip:*21%23@home1.net>"
    );
}

#[test]
fn an_escaped_control_character_in_from_is_refused_with_a_true_text() {
    // RFC 4475 §3.1.1.4.
    let case = Case::new().set("From: <sip:nul-%00-nul@home1.net>;tag=1");
    let Ok(Decision::Refused(refusal)) = case.decide() else {
        panic!("expected a refusal");
    };
    let detail = "From: expected no escaped control character, such as %00, at byte 9, found '%'";
    assert_eq!(refusal.detail, detail);
    Case::new()
        .set("To: sip:nul-%00-nul@example.com")
        .accepted();
}

#[test]
fn a_password_leaves_in_no_copy_and_no_log_line() {
    let case = Case::new()
        .set("From: \"Bob\" <sip:ann:secret@home1.net;user=phone>;tag=1")
        .set("P-Asserted-Identity: <sip:ann:secret@home1.net>")
        .with("Reply-To: Ann <sip:ann:secret@home1.net:5070>;x=a@b");
    let accepted = case.accepted();
    assert_eq!(accepted.from, b"\"Bob\" <sip:ann@home1.net;user=phone>");
    assert_eq!(accepted.originator, b"sip:ann@home1.net");
    let shared = case.shared();
    assert!(!shared.concat().contains("secret"), "{shared:?}");
    let reply_to = "Reply-To: Ann <sip:ann@home1.net:5070>;x=\"a@b\"".to_owned();
    assert!(shared.contains(&reply_to), "{shared:?}");
    for case in [
        case.to("sip:nobody:secret@im.home1.net"),
        Case::new().to("sip:hikers:secret@im.home1.net;x="),
        Case::new()
            .set("P-Asserted-Identity: <sip:eve@home2.net>")
            .set("From: <sip:eve:secret@home2.net>;tag=1"),
    ] {
        let Ok(Decision::Refused(refusal)) = case.decide() else {
            panic!("expected a refusal");
        };
        assert!(!refusal.to_string().contains("secret"), "{refusal}");
    }
}

#[test]
fn a_header_of_one_value_stands_once() {
    // RFC 3261 §7.3.1.
    for (name, value) in [
        ("Subject", "a"),
        ("Date", "Sun, 22 Nov 2026 16:00:00 GMT"),
        ("Priority", "urgent"),
        ("Reply-To", "<sip:ann@home1.net>"),
        ("Organization", "OMA"),
        ("MIME-Version", "1.0"),
        ("Conversation-ID", "c"),
        ("Contribution-ID", "d"),
        ("InReplyTo-Contribution-ID", "e"),
        ("P-Asserted-Service", "urn:urn-7:x"),
        ("Content-ID", "<1@h>"),
        ("Content-Disposition", "render"),
        ("Content-Transfer-Encoding", "binary"),
        ("Expires", "60"),
        ("Content-Location", "x"),
        ("X-Listed", "1"),
    ] {
        let line = format!("{name}: {value}");
        let once = Case::new().with(&line);
        once.accepted();
        let twice = once.with(&format!("{}: {value}", name.to_ascii_uppercase()));
        let reason = twice.refused();
        assert!(
            matches!(reason, Reason::Malformed | Reason::Header),
            "{name}"
        );
    }
    let twice = Case::new().with("Content-Type: text/html");
    assert_eq!(twice.refused(), Reason::Malformed);
    for line in [
        "Supported: path",
        "Call-Info: <http://h>",
        "Content-Language: en",
        "X-Other: 1",
    ] {
        Case::new().with(line).with(line).accepted();
    }
}

#[test]
fn an_empty_list_is_an_absent_one() {
    for line in [
        "Require:",
        "Require: ,",
        "Privacy:",
        "Privacy: none;",
        "Privacy: ;",
    ] {
        Case::new().with(line).accepted();
    }
    let known = "Require: recipient-list-message,";
    Case::new().with(known).accepted();
    assert_eq!(
        Case::new().with("Require: ,foo,").refused(),
        Reason::Extension
    );
}

#[test]
fn a_date_that_cannot_be_read_is_absent() {
    // RFC 4475 §3.1.2.12.
    let unread = "Date: Tue, 3 Feb 2026 10:11:12 UTC";
    let shared = Case::new().with(unread).with("Expires: 60").shared();
    let dates: Vec<_> = shared
        .iter()
        .filter(|line| line.starts_with("Date"))
        .collect();
    assert_eq!(dates, ["Date: Sun, 22 Nov 2026 16:00:00 GMT"]);
    let shared = Case::new().with(unread).shared();
    assert!(!shared.iter().any(|line| line.starts_with("Date")));
    let folded = "Date: Sun, 22 Nov 2026\r\n 15:59:30 GMT";
    let shared = Case::new().with(folded).with("Expires: 60").shared();
    assert!(shared.contains(&"Date: Sun, 22 Nov 2026 15:59:30 GMT".to_owned()));
}

#[test]
fn one_value_that_cannot_be_read_hides_no_other() {
    let unread = "Accept-Contact: *;+g.3gpp.icsi-ref=\"urn%3Aurn-7";
    Case::new().with(unread).accepted();
    Case::new()
        .set("Accept-Contact: *;=x, *;+g.oma.sip-im;")
        .accepted();
    let left = Case::new().set(unread).decide().err();
    assert!(matches!(left, Some(NotOurs::Unknown(_))));
}

#[test]
fn how_to_get_to_a_group_says_nothing_of_which_it_is() {
    for uri in [
        "sip:hikers@im.home1.net;transport=udp",
        "sip:hikers@im.home1.net:5060;user=phone;lr;",
    ] {
        Case::new().to(uri).accepted();
    }
}

#[test]
fn a_request_line_that_cannot_be_read_is_refused_if_it_may_be_ours() {
    let with_line = |line: &str| {
        let mut case = Case::new();
        case.lines[0] = line.to_owned();
        case
    };
    with_line("MESSAGE sip:hikers@im.home1.net SIP/2.0  ").accepted();
    for line in [
        "MESSAGE sip:hik\u{e9}rs@im.home1.net SIP/2.0",
        "MESSAGE sip:hikers@im.home1.net;x=\u{e9} SIP/2.0",
        "MESSAGE sip:hikers@im.home1.net; lr SIP/2.0",
        "MESSAGE sip:hik@ers@im.home1.net SIP/2.0",
        "MESSAGE sip:hikers@im.home1.net SIP/3.0",
        "message sip:hikers@im.home1.net SIP/2.0",
    ] {
        assert_eq!(with_line(line).refused(), Reason::Malformed, "{line}");
    }
    for line in [
        "MESSAGE sip:hik\u{e9}rs@home2.net SIP/2.0",
        "MESSAGE sip:bob@home2.net; lr SIP/2.0",
    ] {
        assert!(with_line(line).decide().is_err(), "{line}");
    }
}

#[test]
fn lines_that_end_in_two_ways_are_refused() {
    for line in [
        "Subject: a\nX: b",
        "Subject: a\rX: b",
        "Subject: a\n b",
        "Subject: a\r",
    ] {
        assert_eq!(
            Case::new().with(line).refused(),
            Reason::Malformed,
            "{line:?}"
        );
    }
}

#[test]
fn a_text_that_comes_back_is_known_whatever_names_servers_have_put_before_it() {
    // H-5: what stands before the text changes with each server that the message has passed.
    let of = |content_type: &str, body: &str| {
        let mut policy = Policy::example();
        policy.settings.fork_from = ForkFrom::Group;
        policy.settings.sender_label = SenderLabel {
            display_name: false,
            body: true,
        };
        let message =
            format!("MESSAGE sip:g@h SIP/2.0\r\nContent-Type: {content_type}\r\n\r\n{body}");
        let request = Request::read(message.as_bytes()).unwrap();
        unlabelled(&request, &policy).to_vec()
    };
    for body in ["ann: see you", "hikers: ann: see you", "Bär Li: see you"] {
        assert_eq!(of("text/plain;charset=utf-8", body), b"see you", "{body}");
    }
    assert_eq!(of("text/plain", "at 9:30"), b"at 9:30");
    assert_eq!(of("text/html", "ann: see you"), b"ann: see you");
}
