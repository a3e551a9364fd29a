//! Table A.1, rows 1, 2 and 7, where a proxy in between would hide what is wrong.

use super::*;

/// The message with this line in place of the header field of that name, or without it.
fn with_line(name: &str, line: &str) -> Case {
    let case = Case::new().without(name);
    match line {
        "" => case,
        line => case.with(line),
    }
}

#[test]
fn a_message_that_breaks_rfc_3261_is_refused_if_it_is_ours_and_left_alone_otherwise() {
    // A.1 row 1, RFC 3261 §8.1.1 and §18.3.
    for (name, line) in [
        ("CSeq", "CSeq: 41 INVITE"),
        ("CSeq", "CSeq: MESSAGE"),
        ("CSeq", ""),
        ("To", ""),
        ("To", "To: <sip:hikers@im.home1.net"),
        ("From", "From: <sip:ann@home1.net>"),
        ("From", "From: <sip:ann@home1.net>;tag="),
        ("Call-ID", ""),
        ("Call-ID", "Call-ID: a b"),
        ("Via", ""),
        ("Max-Forwards", "Max-Forwards: some"),
        ("Content-Length", "Content-Length: 32"),
        ("Content-Length", "Content-Length: -1"),
    ] {
        let case = with_line(name, line);
        assert_eq!(case.refused(), Reason::Malformed, "{name} {line}");
        let others = case.without("Accept-Contact");
        let untagged = NotOurs::Untagged("sip:hikers@im.home1.net".to_owned());
        assert_eq!(others.decide().err(), Some(untagged), "{name}");
        // Nor is it ours to refuse where the wish cannot be read.
        let unread = others.with("Accept-Contact: *;+g.oma.sip-im;x=\"a");
        let left = unread.decide().err();
        assert!(
            matches!(left, Some(NotOurs::Unknown(_))),
            "{name}: {left:?}"
        );
    }
}

#[test]
fn another_method_is_not_ours_whatever_it_asks_for() {
    // A.1 row 2.
    let mut case = with_line("CSeq", "CSeq: 41 INFO");
    case.lines[0] = "INFO sip:hikers@im.home1.net SIP/2.0".to_owned();
    assert_eq!(case.decide().err(), Some(NotOurs::Method));
}

#[test]
fn a_wish_that_breaks_a_rule_of_its_own_is_refused() {
    // F-5.
    for value in [
        "*;+g.oma.sip-im;require;Require".to_owned(),
        "*;explicit;explicit, *;+g.oma.sip-im".to_owned(),
        "*;+g.oma.sip-im;+g.oma.sip-im".to_owned(),
        ["*;+g.oma.sip-im"; 21].join(","),
    ] {
        let case = Case::new().set(&format!("Accept-Contact: {value}"));
        assert_eq!(case.refused(), Reason::AcceptContact, "{value}");
    }
    assert_eq!(Reason::AcceptContact.code(), 400);
}

#[test]
fn of_the_asserted_addresses_the_first_of_each_kind_are_passed_on() {
    // I-2, RFC 5876 §4.5.
    let case = Case::new().set(
        "P-Asserted-Identity: <sip:ann@home1.net>, <sips:eve@home1.net>, <tel:+1555>, <tel:+1556>, \
         <mailto:ann@home1.net>",
    );
    let asserted = "P-Asserted-Identity: <sip:ann@home1.net>, <tel:+1555>";
    let shared = case.shared();
    let found: Vec<_> = shared
        .iter()
        .filter(|line| line.starts_with("P-A"))
        .collect();
    assert_eq!(found, [asserted]);
    // What is ignored authorises nobody.
    let case = Case::new()
        .set("P-Asserted-Identity: <sip:eve@home2.net>, <sip:ann@home1.net>, <tel:+1555>");
    assert_eq!(case.refused(), Reason::NotAuthorised);
}

#[test]
fn a_control_character_in_a_name_is_refused() {
    // S-7: From goes into every fork, and so does the asserted name.
    for line in [
        "From: \"A\x1b[2Jnn\" <sip:ann@home1.net>;tag=1",
        "From: <sip:ann@home1.net>;tag=1;x=\"\x07\"",
        "P-Asserted-Identity: \"A\x08nn\" <sip:ann@home1.net>",
    ] {
        assert_eq!(Case::new().set(line).refused(), Reason::Header, "{line:?}");
    }
}
