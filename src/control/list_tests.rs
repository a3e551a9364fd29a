//! Messages that carry lists, from their bytes to the forks, without a proxy.

use super::fork::Fork;
use super::*;
use crate::config::{BadEntry, BccMode, GroupWithList, LiteralTargets, Settings, SkipOriginator};
use crate::control::member_list::MemberList;
use crate::sip::SipUri;
use crate::sip::Uri;
use crate::sip::uri::Form;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<resource-lists \
    xmlns=\"urn:ietf:params:xml:ns:resource-lists\" \
    xmlns:cp=\"urn:ietf:params:xml:ns:copycontrol\"><list>\r\n";
const TAIL: &str = "</list></resource-lists>";
pub(super) const TEXT: &str = "Content-Type: text/plain\r\n\r\nDraft is ready.";

/// The group hikers, the service listsvc, and nothing else.
pub(super) struct Stored(HashMap<String, Target>);

impl Directory for Stored {
    fn find(&mut self, uri: &SipUri<'_>) -> Result<Option<Target>, Unavailable> {
        let uri = Uri::Sip(*uri).print(Form::Provisioned);
        Ok(self.0.get(&uri).cloned())
    }
}

struct Forgetful;

impl RecentRequests for Forgetful {
    fn arrive(&self, _: &RequestKey<'_>) -> Arrival {
        Arrival::New(Receipt {
            place: 0,
            fingerprint: 1,
            transaction: 2,
        })
    }

    fn admit(&self, receipt: Receipt, _: &request_memory::RequestContent<'_>, _: bool) -> Arrival {
        Arrival::New(receipt)
    }

    fn accept(&self, _: Receipt) {}

    fn refuse(&self, _: Receipt) {}

    fn has_come_back(&self, _: &Circulating<'_>) -> bool {
        false
    }
}

/// The second address of listsvc.
const NUMBER: &str = "sip:+15550000000@im.home1.net";

/// A message from ann to listsvc, to be changed before the decision.
pub(super) struct Case {
    pub policy: Policy,
    pub members: Vec<&'static str>,
    pub uri: String,
    pub headers: String,
    pub content_type: String,
    pub body: Vec<u8>,
}

impl Case {
    /// A message whose body has these parts.
    pub fn new(parts: &[&str]) -> Self {
        Self {
            policy: Policy::example(),
            members: vec![
                "sip:ann@home1.net",
                "sip:bob@home1.net",
                "sip:cho@home1.net",
                "tel:+15551230003",
            ],
            uri: "sip:listsvc@im.home1.net".to_owned(),
            headers: String::new(),
            content_type: "multipart/mixed;boundary=b1".to_owned(),
            body: body("b1", parts).into_bytes(),
        }
    }

    pub fn for_group(mut self) -> Self {
        self.uri = "sip:hikers@im.home1.net".to_owned();
        self
    }

    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.policy.settings);
        self
    }

    fn message(&self) -> Vec<u8> {
        let head = format!(
            "MESSAGE {} SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nMax-Forwards: 68\r\n\
             From: <sip:ann@home1.net>;tag=1\r\nTo: <sip:listsvc@im.home1.net>\r\nCall-ID: 1\r\n\
             CSeq: 1 MESSAGE\r\nP-Asserted-Identity: <sip:ann@home1.net>\r\n\
             Accept-Contact: *;+g.oma.sip-im\r\n{}Content-Type: {}\r\n\
             Content-Length: {}\r\n\r\n",
            self.uri,
            self.headers,
            self.content_type,
            self.body.len()
        );
        [head.as_bytes(), &self.body].concat()
    }

    pub fn decide(&self) -> Decision<'static> {
        let addressing = &self.policy.addressing;
        let compile = |uri: &str, members: &[&str]| {
            let members = members.iter().copied();
            Group::compile(uri.to_owned(), true, members, addressing, |_| false)
        };
        let (group, service) = ("sip:hikers@im.home1.net", "sip:listsvc@im.home1.net");
        let consenting = MemberList::of(["sip:bob@home1.net"].into_iter(), addressing);
        let hikers = Target::Group(Arc::new(compile(group, &self.members)));
        let listsvc = Target::UriListService(Arc::new(UriListService {
            uri: service.to_owned(),
            pager_mode: true,
            consenting,
        }));
        let targets = [
            (group.to_owned(), hikers),
            (NUMBER.to_owned(), listsvc.clone()),
            (service.to_owned(), listsvc),
        ];
        let mut stored = Stored(HashMap::from(targets));
        let mut world = World {
            groups: &mut stored,
            recent: &Forgetful,
            now: SystemTime::now(),
            has_transaction: true,
        };
        let source = Source {
            address: [127, 0, 0, 1].into(),
            transport: Transport::Tcp,
            identity: None,
        };
        let message = self.message();
        let recognised = recognise(&self.policy, &message).unwrap();
        recognised
            .decide(&self.policy, &source, &mut world)
            .into_owned()
    }

    #[track_caller]
    pub fn accepted(&self) -> Accepted<'static> {
        match self.decide() {
            Decision::Accepted(accepted) => accepted,
            other => panic!("expected forks, found {other:?}"),
        }
    }

    #[track_caller]
    pub fn refused(&self) -> Reason {
        self.refusal().reason
    }

    #[track_caller]
    pub fn refusal(&self) -> Refusal {
        match self.decide() {
            Decision::Refused(refusal) => refusal,
            other => panic!("expected a refusal, found {other:?}"),
        }
    }
}

/// A multipart body of these parts.
pub(super) fn body(boundary: &str, parts: &[&str]) -> String {
    let parts = parts
        .iter()
        .map(|part| format!("--{boundary}\r\n{part}\r\n"));
    parts.collect::<String>() + &format!("--{boundary}--\r\n")
}

/// A list part with these entries.
pub(super) fn list(entries: &str) -> String {
    format!(
        "Content-Type: application/resource-lists+xml\r\nContent-Disposition: recipient-list\r\n\
         \r\n{HEAD}{entries}{TAIL}"
    )
}

fn entry(uri: &str, attributes: &str) -> String {
    format!("<entry uri=\"{uri}\" {attributes}/>")
}

/// A list part with these addresses and no copy control.
pub(super) fn plain(uris: &[&str]) -> String {
    list(&uris.iter().map(|uri| entry(uri, "")).collect::<String>())
}

fn multipart(subtype: &str, boundary: &str, parts: &[&str]) -> String {
    let body = body(boundary, parts);
    format!("Content-Type: multipart/{subtype};boundary=\"{boundary}\"\r\n\r\n{body}")
}

pub(super) fn forks<'a>(accepted: &'a Accepted<'_>) -> Vec<Fork<'a>> {
    let copies = accepted.copies([7; 16]);
    let numbered = (0..).zip(accepted.owns());
    numbered
        .map(|(number, own)| copies.copy(number, own))
        .collect()
}

pub(super) fn addresses(accepted: &Accepted<'_>) -> Vec<String> {
    let recipients = accepted.recipients();
    recipients
        .map(|it| String::from_utf8(it.address.to_vec()).unwrap())
        .collect()
}

/// All of a fork but its Via.
pub(super) fn whole(fork: &Fork<'_>) -> String {
    let mut text = format!(
        "MESSAGE {} SIP/2.0\r\n",
        String::from_utf8_lossy(fork.recipient)
    );
    let mut headers = Vec::new();
    fork.write_headers(&mut headers);
    text += &String::from_utf8_lossy(&headers);
    text + "\r\n" + &String::from_utf8_lossy(&fork.body())
}

#[track_caller]
fn text_of(accepted: &Accepted<'_>) -> String {
    String::from_utf8(accepted.body.to_vec()).unwrap()
}

#[test]
fn a_list_inside_an_opaque_body_is_refused_at_any_depth() {
    // M-6, K-5: left where it is, it would tell everybody of all bcc recipients.
    let list = plain(&["sip:dee@home1.net"]);
    for subtype in ["signed", "alternative", "related", "x-other"] {
        let inner = multipart(subtype, "in", &[TEXT, &list]);
        let deeper = multipart("mixed", "mid", &[&inner]);
        let other = plain(&["sip:bob@home1.net"]);
        for part in [&inner, &deeper] {
            assert_eq!(Case::new(&[part]).refused(), Reason::ListType, "{subtype}");
            let case = Case::new(&[part, &other]);
            assert_eq!(case.refused(), Reason::ListType, "{subtype}");
        }
        let nested = multipart(subtype, "x", &[&multipart("mixed", "y", &[&list])]);
        assert_eq!(Case::new(&[&nested, &other]).refused(), Reason::ListType);
        let mut whole = Case::new(&[TEXT, &list]);
        whole.content_type = format!("multipart/{subtype};boundary=b1");
        assert_eq!(whole.refused(), Reason::ListType, "{subtype}");
        // Without a list inside it is opaque, unless it is broken.
        let opaque = multipart(subtype, "in", &["X: recipient-list\r\n\r\nrecipient-list"]);
        let accepted = Case::new(&[&opaque, &other]).accepted();
        let content = opaque.split_once("\r\n\r\n").unwrap().1;
        assert_eq!(text_of(&accepted), content);
        let broken = opaque.replace("--in--", "");
        assert_eq!(Case::new(&[&broken, &other]).refused(), Reason::Body);
    }
}

/// Bodies that say multipart and that some readers cannot read, or read as another one than others:
/// what is wrong, the type, and the body.
fn unreadable() -> Vec<(&'static str, String, String)> {
    let list = plain(&["sip:dee@home1.net"]);
    let good = body("b1", &[TEXT, &list]);
    let mixed = |parameters: &str| format!("multipart/mixed{parameters}");
    let b1 = || mixed(";boundary=b1");
    let forged = format!("\r\n--b1\r\n{list}\r\n--b1--\r\n");
    let inner =
        |head: &str, content: &str| body("b1", &[TEXT, &format!("{head}\r\n\r\n{content}")]);
    let within = body("in", &[TEXT, &list]);
    let encoded = {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(&within)
    };
    let deep = ["b2", "b3", "b4", "b5"]
        .iter()
        .rev()
        .fold(list.clone(), |part, boundary| {
            multipart("related", boundary, &[TEXT, &part])
        });
    vec![
        ("no closing boundary", b1(), good.replace("--b1--\r\n", "")),
        (
            "a closing boundary that goes on",
            b1(),
            good.replace("--b1--\r\n", "--b1--x\r\n"),
        ),
        (
            "a broken header",
            b1(),
            good.replace("Content-Disposition:", "no header\r\nContent-Disposition:"),
        ),
        (
            "two dispositions",
            b1(),
            good.replace(
                "Content-Disposition:",
                "Content-Disposition: render\r\nContent-Disposition:",
            ),
        ),
        (
            "a disposition of two values",
            b1(),
            good.replace(": recipient-list", ": render;x=y, recipient-list"),
        ),
        ("no boundary", mixed(""), good.clone()),
        (
            "two boundaries",
            mixed(";boundary=b1;Boundary=b2"),
            good.clone(),
        ),
        (
            "a boundary in pieces",
            mixed(";boundary=b1;boundary*0=b2"),
            good.clone(),
        ),
        ("another boundary", mixed(";boundary=b2"), good.clone()),
        (
            "two types",
            "text/plain;x=y, multipart/mixed;boundary=b1".to_owned(),
            good.clone(),
        ),
        ("two types", mixed(";boundary=b1, text/plain"), good.clone()),
        (
            "no type",
            "multipart mixed;boundary=b1".to_owned(),
            good.clone(),
        ),
        (
            "an open quote",
            "text/plain;x=\";multipart/mixed;boundary=b1".to_owned(),
            good.clone(),
        ),
        (
            "bare CR for all line ends",
            b1(),
            good.replace("\r\n", "\r"),
        ),
        (
            "bare CR in a header",
            b1(),
            good.replace("+xml\r\nContent-Disposition", "+xml\rContent-Disposition"),
        ),
        (
            "bare CR before a boundary",
            b1(),
            good.replace("ready.\r\n--b1", "ready.\r--b1"),
        ),
        (
            "bare CR behind a boundary",
            b1(),
            good.replace("ready.\r\n--b1\r\n", "ready.\r\n--b1\r"),
        ),
        (
            "a part behind the last one",
            b1(),
            body("b1", &[TEXT]) + &forged,
        ),
        (
            "a part behind the last one, for who takes LF for no line end",
            b1(),
            good.replace("ready.\r\n--b1", "ready.\n--b1--\n\r\n--b1"),
        ),
        (
            "a boundary that starts like ours",
            b1(),
            good.replace("ready.\r\n--b1", "ready.\r\n--b1x"),
        ),
        (
            "a part before the first one",
            b1(),
            forged.replace("b1", "b1x") + &body("b1", &[TEXT]),
        ),
        (
            "a part behind the last one with a boundary like ours",
            b1(),
            body("b1", &[TEXT]) + &forged.replace("--b1", "--b1x"),
        ),
        (
            "a header in an encoded word",
            b1(),
            good.replace(": recipient-list", ": =?us-ascii?q?recipient-list?="),
        ),
        (
            "a multipart in base64",
            b1(),
            inner(
                "Content-Type: multipart/mixed;boundary=in\r\nContent-Transfer-Encoding: base64",
                &encoded,
            ),
        ),
        (
            "a multipart in quoted-printable",
            b1(),
            inner(
                "Content-Type: multipart/mixed;boundary=in\r\nContent-Transfer-Encoding: quoted-printable",
                &within.replace("Disposition", "=44isposition"),
            ),
        ),
        (
            "a part of two types",
            b1(),
            inner(
                "Content-Type: text/plain;x=y,multipart/mixed;boundary=in",
                &within,
            ),
        ),
        (
            "a part without a boundary",
            b1(),
            inner("Content-Type: multipart/mixed", &within),
        ),
        (
            "an opaque part that does not end",
            b1(),
            inner(
                "Content-Type: multipart/alternative;boundary=in",
                &within.replace("--in--", ""),
            ),
        ),
        (
            "a part of a broken type",
            b1(),
            inner("Content-Type: multipart\r\nX: y", &within),
        ),
        (
            "five multiparts in each other",
            b1(),
            body("b1", &[TEXT, &deep]),
        ),
        (
            "65 parts",
            b1(),
            body("b1", &["Content-Type: text/plain\r\n\r\nx"; 65]),
        ),
        ("no part", b1(), String::new()),
    ]
}

#[test]
fn what_says_multipart_and_cannot_be_read_as_one_is_refused_by_groups_and_services() {
    // M-6, K-5; T 72: it would tell everybody of the bcc recipients.
    // A service needs a list that can be read as well.
    let list = format!("--b1\r\n{}\r\n--b1\r\n", plain(&["sip:bob@home1.net"]));
    for (what, content_type, body) in unreadable() {
        let listed = body.replacen("--b1\r\n", &list, 1);
        let group = ("sip:hikers@im.home1.net", body);
        for (uri, body) in [group, ("sip:listsvc@im.home1.net", listed)] {
            let mut case = Case::new(&[]);
            case.policy.settings.large_ok = true;
            case.uri = uri.to_owned();
            case.content_type.clone_from(&content_type);
            case.body = body.into_bytes();
            match case.decide() {
                Decision::Refused(refusal) => {
                    assert_eq!(refusal.reason.code(), 400, "{what}: {uri}");
                }
                other => panic!("{what}: {uri}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_multipart_encoded_as_a_whole_or_compressed_is_refused() {
    // M-6, RFC 2045 §6.4.
    let compressed = "Content-Type: multipart/mixed;boundary=in\r\nContent-Encoding: gzip\r\n\r\n0";
    for for_group in [true, false] {
        let case = |parts: &[&str]| match for_group {
            true => Case::new(parts).for_group(),
            false => Case::new(parts),
        };
        let mut encoded = case(&[TEXT]);
        encoded.headers = "Content-Transfer-Encoding: base64\r\n".to_owned();
        assert_eq!(encoded.refused(), Reason::Body);
        encoded.headers = "Content-Encoding: gzip\r\n".to_owned();
        assert_eq!(encoded.refused(), Reason::ListType);
        assert_eq!(case(&[TEXT, compressed]).refused(), Reason::ListType);
    }
    // A body of another type is opaque, whatever it is encoded in.
    let mut text = Case::new(&[]).for_group();
    text.content_type = "text/plain".to_owned();
    text.headers = "Content-Encoding: gzip\r\nContent-Transfer-Encoding: base64\r\n".to_owned();
    text.accepted();
}

#[test]
fn a_forged_history_that_cannot_be_taken_out_is_refused() {
    // K-7.
    let forged = plain(&["sip:forged@h"]).replace("recipient-list", "Recipient-List-History");
    let good = plain(&["sip:bob@home1.net"]);
    for subtype in ["alternative", "related", "signed"] {
        let inner = multipart(subtype, "in", &[TEXT, &forged]);
        let deeper = multipart("mixed", "mid", &[TEXT, &inner]);
        for part in [&inner, &deeper] {
            let case = Case::new(&[part]).for_group();
            assert_eq!(case.refused(), Reason::Body, "{subtype}");
            assert_eq!(
                Case::new(&[part, &good]).refused(),
                Reason::Body,
                "{subtype}"
            );
        }
        let mut whole = Case::new(&[TEXT, &forged]).for_group();
        whole.content_type = format!("multipart/{subtype};boundary=b1");
        assert_eq!(whole.refused(), Reason::Body, "{subtype}");
    }
}

#[test]
fn an_enclosed_message_and_a_text_that_speaks_of_lists_are_left_alone() {
    // M-10.
    let said = "\r\nContent-Disposition: recipient-list is what RFC 5365 says";
    let list = plain(&["sip:dee@home1.net"]);
    let mail = format!("Content-Type: message/rfc822\r\n\r\nX: y\r\n\r\n--x\r\n{list}");
    for parts in [&[said, TEXT][..], &[&mail, TEXT]] {
        let case = Case::new(parts).for_group();
        assert_eq!(case.accepted().body, case.body);
    }
}

#[test]
fn a_compressed_body_is_refused_by_its_encoding() {
    // M-6: 415 with Accept-Encoding, not 400.
    let mut case = Case::new(&[TEXT, &plain(&["sip:bob@home1.net"])]);
    case.headers = "Content-Encoding: gzip\r\n".to_owned();
    assert_eq!(case.refused(), Reason::ListType);
    case.headers = "e: Identity\r\n".to_owned();
    assert_eq!(case.accepted().count(), 1);
}

#[test]
fn a_list_part_without_a_type_is_text_and_no_list() {
    // U-1, RFC 2045 §5.2.
    let part = plain(&["sip:bob@home1.net"]);
    let untyped = part.replace("Content-Type: application/resource-lists+xml\r\n", "");
    assert_eq!(Case::new(&[TEXT, &untyped]).refused(), Reason::ListType);
}

#[test]
fn a_boundary_that_occurs_in_the_payload_is_no_obstacle() {
    // U-7, M-6: the inner boundary stands in a line of the text, as it may.
    let payload = "Content-Type: text/plain\r\n\r\n a --in line, in\r\n--inner too";
    let list = plain(&["sip:bob@home1.net"]);
    let inner = multipart("mixed", "in", &[payload, &list, TEXT]);
    let accepted = Case::new(&[&inner]).accepted();
    assert_eq!(text_of(&accepted), body("in", &[payload, TEXT]));
}

#[test]
fn the_compact_type_of_a_part_is_the_type_of_the_message() {
    // U-7: no fork has a body without a type.
    let part = "c: text/html\r\nl: 9\r\nX: y\r\nContent-ID:\r\n <a@b>\r\n\r\nhi";
    let case = Case::new(&[part, &plain(&["sip:bob@home1.net"])]);
    let accepted = case.accepted();
    let headers = String::from_utf8(accepted.headers.clone()).unwrap();
    assert!(headers.contains("\r\nContent-Type: text/html\r\nContent-ID: <a@b>\r\n"));
    assert!(!headers.contains("X: y") && !headers.contains("Content-Length"));
    assert_eq!(&*accepted.body, b"hi");
}

#[test]
fn a_list_for_a_group_is_found_in_any_case() {
    // A-15, U-2; T 66.
    let part = plain(&["sip:bob@home1.net"]);
    let odd = part.replace(
        ": recipient-list",
        ":\r\n Recipient-LIST ; handling=required",
    );
    for part in [&part, &odd] {
        let case = Case::new(&[TEXT, part]).for_group();
        assert_eq!(case.refused(), Reason::GroupWithList);
        let enclosed = multipart("alternative", "in", &[TEXT, part]);
        let case = Case::new(&[&enclosed]).for_group();
        assert_eq!(case.refused(), Reason::GroupWithList);
    }
    let mut alone = Case::new(&[]).for_group();
    alone.content_type = "application/resource-lists+xml".to_owned();
    alone.headers = "Content-Disposition: recipient-list\r\n".to_owned();
    assert_eq!(alone.refused(), Reason::GroupWithList);
}

#[test]
fn a_forged_history_goes_to_no_group_either() {
    // K-7; T 61.
    let forged = plain(&["sip:forged@h"]).replace("recipient-list", "Recipient-List-History");
    let case = Case::new(&[TEXT, &forged]).for_group();
    let accepted = case.accepted();
    assert_eq!(&*accepted.body, b"Draft is ready.");
    let headers = String::from_utf8(accepted.headers).unwrap();
    assert!(headers.contains("\r\nContent-Type: text/plain\r\n"));
    assert_eq!(Case::new(&[&forged]).for_group().refused(), Reason::Body);
    // Whoever only writes of lists is left alone.
    let mut text = Case::new(&["\r\nrecipient-list-history"]).for_group();
    assert_eq!(text.accepted().body, text.body);
    text.content_type = "text/plain".to_owned();
    assert_eq!(text.accepted().body, text.body);
}

#[test]
fn a_list_that_only_names_the_originator_yields_nobody() {
    // A-9, A.1 row 11: of a list 400, not the 403 of a group.
    let mut case = Case::new(&[TEXT, &plain(&["sip:ann@home1.net"])]);
    assert_eq!(addresses(&case.accepted()), ["sip:ann@home1.net"]);
    case.policy.settings.skip_originator = SkipOriginator::Always;
    assert_eq!(case.refused(), Reason::NobodyListed);
}

#[test]
fn entries_that_name_a_machine_or_hide_control_characters_are_skipped() {
    // S-7, S-8; T 100.
    let bad = [
        "sip:x@127.0.0.1",
        "sip:x@[::1]",
        "sip:x@LOCALHOST",
        "sip:x@localhost.",
        "sip:x@a.localhost",
        "sip:x@localhost.localdomain",
        "sip:x@0x7f000001",
        "sip:x@127.0.0.0x1",
        "sip:x@h;maddr=10.0.0.1",
    ];
    let mut uris = bad.to_vec();
    uris.push("sip:bob@home1.net");
    let case = Case::new(&[TEXT, &plain(&uris)]);
    assert_eq!(addresses(&case.accepted()), ["sip:bob@home1.net"]);
    assert_eq!(case.accepted().group.skipped().len(), bad.len());
    let case = case.settings(|settings| settings.literal_targets = LiteralTargets::Allow);
    assert_eq!(case.accepted().count(), uris.len());
    let named = |name: &str| {
        let dee = "<entry uri=\"sip:dee@home1.net\"><display-name>NAME</display-name></entry>";
        let list = list(&(dee.replace("NAME", name) + &entry("sip:bob@home1.net", "")));
        Case::new(&[TEXT, &list]).accepted().count()
    };
    assert_eq!(named("\r\n  Dee \u{e9}\r\n"), 2);
    for name in ["D&#13;ee", "D\r\nee", "D&#x9;ee", "D&#127;ee", "D&#x85;ee"] {
        assert_eq!(named(name), 1, "{name}");
    }
}

#[test]
fn one_bad_entry_refuses_the_message_if_the_setting_says_so() {
    // X-5.
    for bad in [
        "mailto:x@h",
        "sip:a b@h",
        "tel:5551",
        "sips:x@h",
        "sip:x@10.0.0.1",
    ] {
        let list = plain(&["sip:bob@home1.net", bad]);
        let case = Case::new(&[TEXT, &list]);
        assert_eq!(addresses(&case.accepted()), ["sip:bob@home1.net"], "{bad}");
        let case = case.settings(|settings| settings.bad_entry = BadEntry::Reject);
        assert_eq!(case.refused(), Reason::BadEntry, "{bad}");
    }
    let twice = plain(&["sip:bob@home1.net", "SIP:bob@HOME1.net"]);
    let case =
        Case::new(&[TEXT, &twice]).settings(|settings| settings.bad_entry = BadEntry::Reject);
    assert_eq!(case.accepted().count(), 1);
}

#[test]
fn a_skipped_entry_says_nothing_of_the_one_that_it_equals() {
    // S-7, K-3: it might make a bcc recipient visible.
    let hidden = "<entry uri=\"sip:bob@home1.net\" cp:copyControl=\"to\">\
        <display-name>&#1;</display-name></entry>";
    let case = Case::new(&[
        TEXT,
        &list(&(hidden.to_owned() + &entry("sip:bob@home1.net", ""))),
    ]);
    assert_eq!(&*case.accepted().body, b"Draft is ready.");
}

#[test]
fn the_groups_of_a_list_are_named_in_the_answer() {
    // H-4, U-13; T 84. RFC 5318.
    let list = plain(&[
        "sip:bob@home1.net",
        "sip:%68ikers@IM.home1.net;x=y?Subject=z",
        "sip:listsvc@im.home1.net",
    ]);
    let refusal = Case::new(&[TEXT, &list]).refusal();
    assert_eq!(refusal.reason, Reason::GroupListed);
    let headers = String::from_utf8(refusal.headers("h")).unwrap();
    let line =
        "P-Refused-URI-List: <sip:%68ikers@IM.home1.net;x=y>, <sip:listsvc@im.home1.net>\r\n";
    assert!(headers.starts_with(line), "{headers}");
}

#[test]
fn an_answer_that_names_recipients_still_fits_a_datagram() {
    // U-12: a hundred long addresses are more than UDP takes.
    let users: Vec<String> = (0..100)
        .map(|n| format!("sip:{n}{}@home1.net", "u".repeat(500)))
        .collect();
    let uris: Vec<&str> = users.iter().map(String::as_str).collect();
    let mut case = Case::new(&[TEXT, &plain(&uris)]);
    case.policy.settings.consent = true;
    let refusal = case.refusal();
    assert_eq!(refusal.reason, Reason::NoConsent);
    assert!((3500..4100).contains(&refusal.named.len()));
}

#[test]
fn a_list_of_64_kib_is_read_and_one_byte_more_is_too_long() {
    // S-3, X-4; T 83.
    let entry = entry("sip:bob@home1.net", "");
    let length = (HEAD.to_owned() + &entry + TAIL).len();
    let filled = |total: usize| list(&(entry.clone() + &" ".repeat(total - length)));
    assert_eq!(Case::new(&[TEXT, &filled(65536)]).accepted().count(), 1);
    let case = Case::new(&[TEXT, &filled(65537)]);
    assert_eq!(case.refused(), Reason::ListTooLong);
    assert_eq!(case.refused().code(), 413);
}

#[test]
fn the_limits_of_entries_and_recipients_count_what_they_say() {
    // S-3; T 82.
    let many = |count: usize, distinct: usize| {
        let uris: Vec<String> = (0..count)
            .map(|n| format!("sip:m{}@h", n % distinct))
            .collect();
        let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
        Case::new(&[TEXT, &plain(&uris)])
    };
    assert_eq!(many(100, 100).accepted().count(), 100);
    assert_eq!(many(101, 101).refused(), Reason::TooManyRecipients);
    assert_eq!(many(1000, 100).accepted().count(), 100);
    assert_eq!(many(1001, 1).refused(), Reason::TooManyRecipients);
}

#[test]
fn a_thousand_addresses_that_look_alike_take_no_time() {
    // X-4, C-2: all in one bucket, each compared with those before it.
    let uris: Vec<String> = (0..1000)
        .map(|n| format!("sip:a@h;b=1;c=1;d=1;e=1;f=1;x={n}"))
        .collect();
    let uris: Vec<&str> = uris.iter().map(String::as_str).collect();
    let case = Case::new(&[TEXT, &plain(&uris)]);
    let start = Instant::now();
    let accepted = case.accepted();
    assert!(
        start.elapsed() < Duration::from_millis(50),
        "{:?}",
        start.elapsed()
    );
    // What is left out is told.
    assert_eq!(accepted.count(), 16);
    assert_eq!(accepted.group.skipped().len(), 984);
}

#[test]
fn one_address_a_thousand_times_is_one() {
    let case = Case::new(&[TEXT, &plain(&["sip:a@h"; 1000])]);
    assert_eq!(case.accepted().count(), 1);
}

#[test]
fn a_request_uri_that_names_a_body_part_is_refused() {
    // A-4; T 24.
    let mut case = Case::new(&[TEXT]);
    for uri in ["cid:x", "CID:x@y"] {
        case.uri = uri.to_owned();
        assert_eq!(case.refused(), Reason::Scheme);
        assert_eq!(Reason::Scheme.code(), 416);
    }
    for (uri, method) in [("mid:x", "MESSAGE"), ("cid:x", "OPTIONS")] {
        case.uri = uri.to_owned();
        let message = String::from_utf8(case.message()).unwrap();
        let message = message.replace("MESSAGE", method);
        assert!(recognise(&case.policy, message.as_bytes()).is_err());
    }
    case.uri = "cid:x".to_owned();
    let message = String::from_utf8(case.message()).unwrap();
    let others = message.replace("+g.oma.sip-im", "audio");
    let left = recognise(&case.policy, others.as_bytes());
    assert!(matches!(left, Err(NotOurs::NoImTag)));
}

#[test]
fn the_list_parameter_points_at_a_part_whatever_its_disposition() {
    // A-4; T 23.
    let named = plain(&["sip:dee@home1.net"])
        .replace("Content-Disposition: recipient-list", "Content-ID: <l1@h>");
    let other = plain(&["sip:bob@home1.net"]);
    for (parameter, recipients) in [
        (";list=cid:l1%40h", Some(2)),
        (";x=y;LIST=CID:l1%40h", Some(2)),
        (";list=cid:l2%40h", None),
        (";list=cid:", None),
        (";list=l1%40h", None),
        (";list", None),
        ("", Some(1)),
    ] {
        let case = Case::new(&[TEXT, &named, &other]);
        let mut case = case.settings(|settings| settings.draft_list_param = true);
        case.uri += parameter;
        match recipients {
            Some(count) => assert_eq!(case.accepted().count(), count, "{parameter}"),
            None => assert_eq!(case.refused(), Reason::NoList, "{parameter}"),
        }
        let case = case.settings(|settings| settings.draft_list_param = false);
        assert_eq!(case.accepted().count(), 1, "{parameter}");
    }
    // Without any other list, in a nested body, and for a group.
    let inner = multipart("mixed", "in", &[&named]);
    let mut case = Case::new(&[TEXT, &inner]).settings(|settings| settings.draft_list_param = true);
    case.uri += ";list=cid:l1%40h";
    assert_eq!(addresses(&case.accepted()), ["sip:dee@home1.net"]);
    case.uri = "sip:hikers@im.home1.net;list=cid:l1%40h".to_owned();
    assert_eq!(case.refused(), Reason::GroupWithList);
}

#[test]
fn a_bcc_recipient_finds_their_own_entry_and_no_other() {
    // K-5.
    let entries = [
        entry("sip:bob@home1.net", "cp:copyControl=\"to\""),
        entry(
            "sip:d&amp;e@home1.net",
            "cp:copyControl=\"bcc\" cp:anonymize=\"true\"",
        ),
        entry("sip:fay@home1.net", ""),
    ];
    let case = Case::new(&[TEXT, &list(&entries.concat())]);
    let case = case.settings(|settings| settings.bcc_mode = BccMode::OwnCopy);
    let accepted = case.accepted();
    let bcc = "<entry uri=\"sip:d&amp;e@home1.net\" cp:copyControl=\"bcc\"/>\r\n</list>";
    for fork in forks(&accepted) {
        let text = whole(&fork);
        let own = String::from_utf8_lossy(fork.recipient).into_owned();
        let body = text.split_once("\r\n\r\n").unwrap().1;
        let length = format!("\r\nContent-Length: {}\r\n", body.len());
        assert!(text.contains(&length), "{text}");
        assert_eq!(text.contains(bcc), own.contains("d&e"), "{text}");
        assert_eq!(body.contains("fay"), own.contains("fay"), "{text}");
        assert!(
            body.contains("bob@home1.net\" cp:copyControl=\"to\""),
            "{text}"
        );
        assert!(body.contains("</list></resource-lists>\r\n--cimf-"));
    }
    // Nobody but bcc: each has a history with their own entry alone.
    let case = Case::new(&[TEXT, &plain(&["sip:bob@home1.net", "sip:fay@home1.net"])]);
    assert_eq!(&*case.accepted().body, b"Draft is ready.");
    let case = case.settings(|settings| settings.bcc_mode = BccMode::OwnCopy);
    let accepted = case.accepted();
    for fork in forks(&accepted) {
        let own = String::from_utf8_lossy(fork.recipient);
        let entry = format!("<list>\r\n<entry uri=\"{own}\" cp:copyControl=\"bcc\"/>\r\n</list>");
        let body = String::from_utf8(fork.body().into_owned()).unwrap();
        assert!(body.contains(&entry), "{body}");
    }
}

#[test]
fn a_group_tells_its_members_of_each_other_if_the_setting_says_so() {
    // K-7.
    let mut case = Case::new(&[]).for_group();
    case.content_type = "text/plain".to_owned();
    case.headers = "Content-Language: en\r\n".to_owned();
    case.body = b"Trail closed.\0".to_vec();
    assert_eq!(case.accepted().body, case.body);
    let mut case = case.settings(|settings| settings.group_history = true);
    let accepted = case.accepted();
    let text = text_of(&accepted);
    let part = "\r\nContent-Language: en\r\nContent-Type: text/plain\r\n\r\nTrail closed.\0\r\n--";
    assert!(text.contains(part), "{text}");
    for uri in &case.members {
        assert!(
            text.contains(&format!("\"{uri}\" cp:copyControl=\"to\"/>")),
            "{text}"
        );
    }
    let headers = String::from_utf8(accepted.headers).unwrap();
    assert!(!headers.contains("Content-Language") && headers.contains("multipart/mixed"));
    case.body.clear();
    assert_eq!(&*case.accepted().body, b"");
}

#[test]
fn a_list_may_choose_among_the_members() {
    // A-15.
    let entries = [
        entry("sip:stranger@home2.net", "cp:copyControl=\"to\""),
        entry("tel:+1-555-123-0003", "cp:copyControl=\"to\""),
        entry("sip:%62ob@home1.net", ""),
    ];
    let case = Case::new(&[TEXT, &list(&entries.concat())]).for_group();
    let case = case.settings(|settings| settings.group_with_list = GroupWithList::Intersect);
    let accepted = case.accepted();
    assert_eq!(
        addresses(&accepted),
        ["tel:+15551230003", "sip:bob@home1.net"]
    );
    let text = text_of(&accepted);
    assert!(text.contains("\"tel:+15551230003\" cp:copyControl=\"to\""));
    assert!(!text.contains("stranger") && !text.contains("bob") && !text.contains("cho"));
    // Whom the administrator has made a member may be a machine, S-8.
    let mut case = Case::new(&[TEXT, &plain(&["sip:gate@192.0.2.1"])]).for_group();
    case.members.push("sip:gate@192.0.2.1");
    let case = case.settings(|settings| settings.group_with_list = GroupWithList::Intersect);
    assert_eq!(addresses(&case.accepted()), ["sip:gate@192.0.2.1"]);
    let nobody = Case::new(&[TEXT, &plain(&["sip:stranger@home2.net"])]).for_group();
    let nobody = nobody.settings(|settings| settings.group_with_list = GroupWithList::Intersect);
    assert_eq!(nobody.refused(), Reason::NobodyListed);
    let alone = Case::new(&[TEXT, &plain(&["sip:ann@home1.net"])]).for_group();
    let alone = alone.settings(|settings| settings.group_with_list = GroupWithList::Intersect);
    assert_eq!(alone.refused(), Reason::NoRecipients);
}

#[test]
fn a_list_may_add_to_the_members_whom_a_service_would_send_to() {
    // A-15, H-4, U-12, A-7.
    let union = |uris: &[&str]| {
        let case = Case::new(&[TEXT, &plain(uris)]).for_group();
        case.settings(|settings| settings.group_with_list = GroupWithList::Union)
    };
    let members = ["sip:bob@home1.net", "sip:cho@home1.net", "tel:+15551230003"];
    let case = union(&["sip:dee@home1.net", "SIP:bob@HOME1.net", "sip:x@10.0.0.1"]);
    let accepted = case.accepted();
    assert_eq!(addresses(&accepted)[..3], members);
    assert_eq!(addresses(&accepted)[3..], ["sip:dee@home1.net"]);
    assert_eq!(accepted.group.skipped().len(), 1);
    let case = union(&["sip:bob@home1.net", "mailto:x@h"]);
    assert_eq!(addresses(&case.accepted()), members);
    let case = union(&["sip:listsvc@im.home1.net"]);
    assert_eq!(case.refused(), Reason::GroupListed);
    let mut case = union(&["sip:dee@home1.net", "sip:bob@home1.net"]);
    case.policy.settings.consent = true;
    let refusal = case.refusal();
    assert_eq!(refusal.reason, Reason::NoConsent);
    assert_eq!(refusal.named, b"<sip:dee@home1.net>");
    let mut case = union(&["sip:dee@home1.net"]);
    case.policy.addressing.domains = vec!["im.home1.net".to_owned()];
    assert_eq!(case.refused(), Reason::NotAuthorised);
    let mut case = union(&["sip:bob@home1.net"]);
    case.policy.addressing.domains = vec!["im.home1.net".to_owned()];
    assert_eq!(addresses(&case.accepted()), members);
}

#[test]
fn an_entry_may_set_the_headers_that_the_administrator_names() {
    // U-9, S-7: its own take the place of the message's, for that recipient alone.
    let entries = [
        entry(
            "sip:bob@home1.net?s=F%C3%BCr%20Bob&amp;Route=x&amp;Priority=urgent",
            "",
        ),
        entry("sip:bob@home1.net?Subject=twice", ""),
        entry("sip:cho@home1.net", ""),
        entry("sip:dee@home1.net?Priority=a%20b", ""),
        entry("sip:eve@home1.net?Subject=%ff", ""),
        entry("sip:fay@home1.net?Subject=%0d%0aRoute:x", ""),
        entry("sip:gus@home1.net?Body=x&amp;To=sip:x%40y", ""),
    ];
    let mut case = Case::new(&[TEXT, &list(&entries.concat())]);
    case.headers = "Subject: all\r\nPriority: normal\r\nOrganization: o\r\n".to_owned();
    let none = case.accepted();
    assert!(
        forks(&none)
            .iter()
            .all(|fork| whole(fork).contains("\r\nSubject: all\r\n"))
    );
    let case = case.settings(|settings| {
        settings.uri_headers = vec!["Subject".to_owned(), "Priority".to_owned()];
    });
    let accepted = case.accepted();
    let texts: Vec<_> = forks(&accepted).iter().map(whole).collect();
    assert_eq!(texts.len(), 3);

    for (text, subject, priority) in [
        (&texts[0], "F\u{fc}r Bob", "urgent"),
        (&texts[1], "all", "normal"),
        (&texts[2], "all", "normal"),
    ] {
        let rows = |name: &str| text.matches(&format!("\r\n{name}: ")).count();
        assert_eq!(
            (rows("Subject"), rows("Priority"), rows("Route")),
            (1, 1, 0),
            "{text}"
        );
        assert!(
            text.contains(&format!("\r\nSubject: {subject}\r\n")),
            "{text}"
        );
        assert!(
            text.contains(&format!("\r\nPriority: {priority}\r\n")),
            "{text}"
        );
        assert!(text.contains("\r\nOrganization: o\r\n"));
    }
}

#[test]
fn an_entry_is_read_liberally_and_sent_to_strictly() {
    // X-5, K-6: a password goes to nobody, and tells nobody apart.
    let entries = [
        entry("sip:*21#@home1.net;;", "cp:copyControl=\"to\""),
        entry("sip:bob:secret@home1.net", "cp:copyControl=\"cc\""),
        entry("sip:bob:other@home1.net", "cp:copyControl=\"to\""),
        entry("sip:cho:secret@home1.net;x=", ""),
    ];
    let accepted = Case::new(&[TEXT, &list(&entries.concat())]).accepted();
    assert_eq!(
        addresses(&accepted),
        ["sip:*21%23@home1.net", "sip:bob@home1.net"]
    );
    for fork in forks(&accepted) {
        let text = whole(&fork);
        assert!(
            !text.contains("secret") && !text.contains("other@"),
            "{text}"
        );
    }
    let skipped = accepted.group.skipped();
    assert!(
        skipped
            .iter()
            .all(|skipped| !skipped.uri.contains("secret"))
    );
    assert!(
        skipped
            .iter()
            .any(|skipped| skipped.uri.starts_with("sip:cho@"))
    );
}
