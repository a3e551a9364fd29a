//! `cimfctl explain`: what it says is what the proxy does.

// Helpers of tests count as tests.
#![allow(clippy::unwrap_used)]

#[path = "support/built.rs"]
mod built;

use cimf::config::{DbUrl, Settings};
use cimf::control::{Decision, Reason, RefusalReason, Source, Transport};
use cimf::server::Decider;
use serde_json::Value;
use std::collections::HashSet;
use std::path::PathBuf;
use std::process::{Command, Output};

const GROUP_FLOW: &str = include_str!("flows/1-F1-message-in.sip");
const LIST_FLOW: &str = include_str!("flows/2-F1-message-in.sip");
const ANONYMOUS_FLOW: &str = include_str!("flows/3-F1-message-in.sip");

/// The parameters of the flows' server.
const PARAMETERS: [(&str, &str); 4] = [
    ("domains", "im.home1.net,home1.net"),
    ("trusted_peers", "127.0.0.1"),
    ("core_route", "sip:icscf.home1.net;transport=tcp"),
    ("trusted_next_hop", "1"),
];

/// A group whose rules let its members send, anonymous or not, and ann's domain at another time.
const MASKED: &str = r#"<group xmlns="urn:oma:xml:poc:list-service"
  xmlns:cp="urn:ietf:params:xml:ns:common-policy" xmlns:ocp="urn:oma:xml:xdm:common-policy">
  <list-service uri="sip:masked@im.home1.net">
    <list><entry uri="sip:ann@home1.net"/><entry uri="sip:bob@home1.net"/></list>
    <cp:ruleset>
      <cp:rule id="members">
        <cp:conditions><is-list-member/></cp:conditions>
        <cp:actions>
          <allow-initiate-conference>true</allow-initiate-conference>
          <allow-anonymity>true</allow-anonymity>
        </cp:actions>
      </cp:rule>
      <cp:rule id="past">
        <cp:conditions><cp:validity>
          <cp:from>2020-01-01T00:00:00Z</cp:from><cp:until>2021-01-01T00:00:00Z</cp:until>
        </cp:validity></cp:conditions>
        <cp:actions><allow-initiate-conference>true</allow-initiate-conference></cp:actions>
      </cp:rule>
    </cp:ruleset>
  </list-service>
</group>"#;

struct Rig {
    folder: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let rig = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let group = "sip:hikers@im.home1.net";
        let members = ["sip:ann@home1.net", "sip:bob@home1.net", "tel:+15551230003"];
        rig.done(&["init"]);
        rig.done(&[&["group", "add", group][..], &members].concat());
        rig.done(&["group", "add", "sip:solo@im.home1.net", "sip:ann@home1.net"]);
        let off = ["--no-pager-mode", "sip:ann@home1.net"];
        rig.done(&[&["group", "add", "sip:off@im.home1.net"][..], &off].concat());
        rig.done(&["service", "add", "sip:listsvc@im.home1.net"]);
        std::fs::write(rig.folder.path().join("masked.xml"), MASKED).unwrap();
        rig.done(&["import", "masked.xml"]);
        rig
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("cimf.db")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(built::program());
        command.current_dir(self.folder.path());
        command.arg("--db").arg(self.database()).args(arguments);
        command.output().unwrap()
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {complaint}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn explain(&self, message: &str, parameters: &[(&str, &str)], more: &[&str]) -> String {
        std::fs::write(self.folder.path().join("message.sip"), message).unwrap();
        let set = PARAMETERS.iter().chain(parameters);
        let set: Vec<_> = set
            .map(|(name, value)| format!("--set={name}={value}"))
            .collect();
        let set = set.iter().map(String::as_str);
        let words = ["explain", "message.sip"].into_iter().chain(set);
        self.done(&words.chain(more.iter().copied()).collect::<Vec<_>>())
    }

    fn json(&self, message: &str, parameters: &[(&str, &str)], more: &[&str]) -> Value {
        let text = self.explain(message, parameters, &[more, &["--json"]].concat());
        serde_json::from_str(&text).unwrap()
    }

    /// What the proxy does with the message: the outcome as `explain` names it, and the reason.
    fn decided(&self, message: &str, parameters: &[(&str, &str)]) -> (String, Option<Reason>) {
        let mut settings = Settings::new();
        for (name, value) in PARAMETERS.iter().chain(parameters) {
            settings.set(name, value).unwrap();
        }
        settings.db_url = DbUrl::Sqlite(self.database());
        let decider = Decider::open(&settings).unwrap();
        let source = Source {
            address: [127, 0, 0, 1].into(),
            transport: Transport::Udp,
            identity: None,
        };
        let mut worker = decider.worker();
        let Ok(recognised) = worker.recognise(&decider, message.as_bytes(), &source) else {
            return ("not-ours".to_owned(), None);
        };
        match worker.decide(&decider, &recognised, &source) {
            Decision::Accepted(_) => ("accepted".to_owned(), None),
            Decision::Refused(refusal) => ("refused".to_owned(), Some(refusal.reason)),
            Decision::Ended(_) => ("ended".to_owned(), None),
            Decision::Retransmission | Decision::Undecided(_) => ("repeated".to_owned(), None),
        }
    }
}

/// The message of flow 1 with `line` in place of the header field of that name, or added.
fn group(line: &str) -> String {
    with(GROUP_FLOW, line)
}

fn with(message: &str, line: &str) -> String {
    let name = line.split(':').next().unwrap();
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    let kept = head
        .split("\r\n")
        .filter(|it| !it.starts_with(&format!("{name}:")));
    let head: Vec<_> = kept
        .chain(line.split("\r\n").filter(|it| !it.ends_with(": ")))
        .collect();
    format!("{}\r\n\r\n{body}", head.join("\r\n"))
}

/// The message of flow 2 with another body, in which `from` is replaced by `to`.
fn list(from: &str, to: &str) -> String {
    let (head, body) = LIST_FLOW.split_once("\r\n\r\n").unwrap();
    assert!(body.contains(from), "{from}");
    let body = body.replace(from, to);
    let head = head.replace(
        "Content-Length: 529",
        &format!("Content-Length: {}", body.len()),
    );
    format!("{head}\r\n\r\n{body}")
}

/// A message, further parameters, and the refusal that they bring about.
type Sample = (String, &'static [(&'static str, &'static str)], Reason);

/// One for every refusal but those that take two messages.
fn refused() -> Vec<Sample> {
    let to = |uri: &str| {
        GROUP_FLOW.replace("MESSAGE sip:hikers@im.home1.net", &format!("MESSAGE {uri}"))
    };
    let expired = "Expires: 1\r\nDate: Sun, 22 Nov 2020 15:00:00 GMT";
    let cpim = to("sip:masked@im.home1.net");
    let cpim = with(&with(&cpim, "Privacy: id"), "Content-Type: message/cpim");
    let part = "--b1\r\nContent-Disposition: recipient-list\r\nContent-Type: application/resource-lists+xml\r\n\r\n<x/>\r\n--b1--\r\n";
    let both = GROUP_FLOW.replace("Trail closed. Meet at the gate.", part);
    let both = with(&both, "Content-Type: multipart/mixed;boundary=b1");
    let both = with(&both, &format!("Content-Length: {}", part.len()));
    let long = format!(
        "<!--{}--><entry uri=\"sip:bob@home1.net\"",
        "x".repeat(65_600)
    );
    let long_subject = format!("Subject: {}", "x".repeat(1300));
    let only = "<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"><list><entry uri=\"mailto:x@h\"/></list></resource-lists>\r\n--b1--\r\n";
    let (before, _) = LIST_FLOW.split_once("<?xml").unwrap();
    let (head, start) = before.split_once("\r\n\r\n").unwrap();
    let nobody = format!("{head}\r\n\r\n{start}{only}");
    let nobody = with(
        &nobody,
        &format!("Content-Length: {}", start.len() + only.len()),
    );
    vec![
        (GROUP_FLOW.replace(";tag=9f2c", ""), &[], Reason::Malformed),
        (
            group("Accept-Contact: *;+g.oma.sip-im;require;require"),
            &[],
            Reason::AcceptContact,
        ),
        (
            group("To: <sip:hikers@im.home1.net>;tag=1"),
            &[],
            Reason::InDialog,
        ),
        (group("Max-Forwards: 0"), &[], Reason::TooManyHops),
        (group("Max-Breadth: 0"), &[], Reason::NoBreadth),
        (to("cid:x"), &[], Reason::Scheme),
        (
            GROUP_FLOW.to_owned(),
            &[("pager_mode", "0")],
            Reason::PagerMode,
        ),
        (to("sip:off@im.home1.net"), &[], Reason::PagerMode),
        (to("sip:nobody@im.home1.net"), &[], Reason::UnknownGroup),
        (
            to("sip:nobody@im.home1.net"),
            &[("hide_groups", "1")],
            Reason::NotAuthorised,
        ),
        (group("Require: foo"), &[], Reason::Extension),
        (
            with(LIST_FLOW, "Require: "),
            &[("strict_require", "1")],
            Reason::OptionTagMissing,
        ),
        (group("P-Asserted-Identity: "), &[], Reason::NoIdentity),
        (
            GROUP_FLOW.to_owned(),
            &[("trusted_peers", "")],
            Reason::NoIdentity,
        ),
        (
            group("P-Asserted-Identity: <sip:an n@h>"),
            &[],
            Reason::BadIdentity,
        ),
        (
            group("From: <sip:x@h>;tag=1"),
            &[("from_mismatch", "reject")],
            Reason::FromMismatch,
        ),
        (
            group("P-Asserted-Identity: <sip:dora@home1.net>"),
            &[],
            Reason::NotAuthorised,
        ),
        (
            with(LIST_FLOW, "P-Asserted-Identity: <sip:eve@h>"),
            &[],
            Reason::NotAuthorised,
        ),
        (group("Privacy: none;id"), &[], Reason::Privacy),
        (ANONYMOUS_FLOW.to_owned(), &[], Reason::Anonymity),
        (cpim, &[("anonymity_policy", "group")], Reason::NotCleanable),
        (group("Expires: soon"), &[], Reason::Header),
        (group("Subject: a\u{1}b"), &[], Reason::Header),
        (group(expired), &[], Reason::Expired),
        (group("Content-Type: "), &[], Reason::ContentType),
        (
            group("Content-Encoding: gzip"),
            &[("utf8_only", "1")],
            Reason::NotText,
        ),
        (
            group("Content-Type: message/imdn+xml"),
            &[],
            Reason::Notification,
        ),
        (both, &[], Reason::GroupWithList),
        (list("</list>", ""), &[], Reason::Body),
        (
            with(LIST_FLOW, "Content-Type: text/plain"),
            &[],
            Reason::NoList,
        ),
        (
            list("application/resource-lists+xml", "text/csv"),
            &[],
            Reason::ListType,
        ),
        (
            list("<entry uri=\"sip:bob@home1.net\"", &long),
            &[],
            Reason::ListTooLong,
        ),
        (nobody, &[], Reason::NobodyListed),
        (
            list("sip:bob@home1.net", "mailto:bob@home1.net"),
            &[("bad_entry", "reject")],
            Reason::BadEntry,
        ),
        (
            LIST_FLOW.to_owned(),
            &[("max_recipients", "2")],
            Reason::TooManyRecipients,
        ),
        (
            list("sip:bob@home1.net", "sip:hikers@im.home1.net"),
            &[],
            Reason::GroupListed,
        ),
        (
            LIST_FLOW.to_owned(),
            &[("foreign_recipients", "deny")],
            Reason::ForeignListed,
        ),
        (LIST_FLOW.to_owned(), &[("consent", "1")], Reason::NoConsent),
        (group(&long_subject), &[], Reason::TooLarge),
        (
            GROUP_FLOW.to_owned(),
            &[("max_members", "2")],
            Reason::Unavailable,
        ),
        (to("sip:solo@im.home1.net"), &[], Reason::NoRecipients),
    ]
}

#[test]
fn every_refusal_is_explained_as_the_proxy_decides() {
    // A.1.
    let rig = Rig::new();
    let mut seen = HashSet::new();
    for (message, parameters, reason) in refused() {
        let decided = rig.decided(&message, parameters);
        assert_eq!(decided, ("refused".to_owned(), Some(reason)), "{message}");
        // Without --from it is assumed that a trusted peer sent it, as the library was told.
        let json = rig.json(&message, parameters, &[]);
        assert_eq!(json["outcome"], "refused", "{reason:?}");
        assert_eq!(json["reason"]["warning"], reason.warning());
        assert_eq!(json["reason"]["requirement"], reason.row().requirement);
        assert_eq!(json["answer"]["code"], reason.code());
        let headers = json["answer"]["headers"].to_string();
        assert!(headers.contains(reason.warning()), "{headers}");
        assert!(json["forks"].is_null());
        let checks = json["checks"].as_array().unwrap();
        let of = |result: &str| {
            checks
                .iter()
                .filter(|check| check["result"] == result)
                .count()
        };
        assert_eq!(of("failed"), 1, "{reason:?}");
        let behind = checks
            .iter()
            .skip_while(|check| check["result"] != "failed");
        let mut behind = behind.skip(1);
        assert!(
            behind.all(|check| check["result"] == "not-made"),
            "{reason:?}"
        );
        let text = rig.explain(&message, parameters, &[]);
        // Paragraphs are broken where the line ends.
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "REFUSED with",
            "FAILED",
            "What to do",
            reason.row().meaning,
            reason.warning(),
        ] {
            assert!(text.contains(part), "no `{part}` in {text}");
        }
        seen.insert(reason.warning());
    }
    for &reason in Reason::ALL {
        // What depends on other messages cannot be seen from one message alone.
        let takes_more = matches!(reason, Reason::Merged | Reason::Loop);
        assert!(
            takes_more || seen.contains(reason.warning()),
            "{reason:?} is not sampled"
        );
    }
}

#[test]
fn the_flows_are_explained_with_every_message_that_goes_out() {
    // T 1, T 2, T 33.
    let rig = Rig::new();
    for (message, count) in [(GROUP_FLOW, 2), (LIST_FLOW, 3)] {
        assert_eq!(rig.decided(message, &[]), ("accepted".to_owned(), None));
        let json = rig.json(message, &[], &["--forks", "all"]);
        assert_eq!(json["outcome"], "accepted");
        assert_eq!(json["answer"]["code"], 202);
        let forks = &json["forks"];
        assert_eq!(forks["count"], count);
        let texts = forks["texts"].as_array().unwrap();
        let recipients = forks["recipients"].as_array().unwrap();
        assert_eq!((texts.len(), recipients.len()), (count, count));
        for (text, recipient) in texts.iter().zip(recipients) {
            let start = format!("MESSAGE {} SIP/2.0\r\nFrom: ", recipient.as_str().unwrap());
            assert!(text.as_str().unwrap().starts_with(&start), "{text}");
        }
        let text = rig.explain(message, &[], &[]);
        assert!(
            text.contains("Route: <sip:icscf.home1.net;transport=tcp;lr>"),
            "{text}"
        );
        assert!(
            text.contains("Message 1 in full") && !text.contains("Message 2"),
            "{text}"
        );
        // What a member sees besides is named, as it is not in the text.
        for added in ["Via", "User-Agent"] {
            assert!(
                text.split_once("the proxy").unwrap().1.contains(added),
                "{text}"
            );
        }
        // U-6: 60, shared among the copies.
        let share = format!("\n  Max-Breadth: {}\n", 60 / count);
        assert!(text.contains(&share), "{text}");
    }
    let text = rig.explain(ANONYMOUS_FLOW, &[], &[]);
    assert!(
        text.contains("REFUSED with 403 Forbidden, nothing is sent (A-8)"),
        "{text}"
    );
    assert!(
        text.contains("   4    8  FAILED  Is no anonymity wanted"),
        "{text}"
    );
}

#[test]
fn a_message_that_is_not_ours_is_explained_too() {
    // A-1, A-6.
    let rig = Rig::new();
    for (message, check, text) in [
        (
            group("Accept-Contact: *;audio"),
            "feature-tag",
            "asks for other things only",
        ),
        (group("Accept-Contact: "), "feature-tag", "there is none"),
        (
            GROUP_FLOW.replace("@im.home1.net SIP", "@home9.net SIP"),
            "domain",
            "none of `domains`",
        ),
        (
            GROUP_FLOW.replace("MESSAGE", "OPTIONS"),
            "method",
            "expected MESSAGE",
        ),
        ("hello\r\n\r\n".to_owned(), "method", "it is no SIP request"),
    ] {
        assert_eq!(rig.decided(&message, &[]), ("not-ours".to_owned(), None));
        let json = rig.json(&message, &[], &[]);
        assert_eq!(json["outcome"], "not-ours");
        assert!(json["answer"].is_null());
        let checks = json["checks"].as_array().unwrap();
        let failed = checks.iter().find(|check| check["result"] == "failed");
        assert_eq!(failed.unwrap()["check"], check);
        let explained = rig.explain(&message, &[], &[]);
        assert!(explained.contains("LEFT TO THE SCRIPT"), "{explained}");
        assert!(explained.contains(text), "no `{text}` in {explained}");
    }
}

#[test]
fn the_rules_that_apply_and_those_that_do_not_are_named() {
    // G-3.
    let rig = Rig::new();
    let message = GROUP_FLOW.replace("MESSAGE sip:hikers", "MESSAGE sip:masked");
    let text = rig.explain(&message, &[], &[]);
    for line in [
        "a stored group with rules, members: 2",
        "+ rule members: applies, and allows to send and to stay anonymous",
        "- rule past: does not apply: its condition validity does not hold",
    ] {
        assert!(text.contains(line), "no `{line}` in {text}");
    }
}

#[test]
fn the_output_in_the_manual_is_real() {
    let rig = Rig::new();
    let message = GROUP_FLOW.replace("ann@", "dora@");
    let text = rig.explain(&message, &[], &["--from", "tcp:127.0.0.1"]);
    let start = text.find("     3    7  ok      Who is").unwrap();
    let end = text.find("\nOn the wire").unwrap();
    let shown = text[start..end]
        .lines()
        .map(|line| format!("    {line}").trim_end().to_owned());
    let shown = shown.collect::<Vec<_>>().join("\n");
    let manual = include_str!("../docs/refusals.md");
    assert!(manual.contains(&shown), "docs/refusals.md lacks:\n{shown}");
}

#[test]
fn the_source_and_the_scripts_identity_can_be_told() {
    // I-1, A-7.
    let rig = Rig::new();
    let stranger = rig.json(GROUP_FLOW, &[], &["--from", "tcp:10.0.0.7:5060"]);
    assert_eq!(stranger["source"]["trusted"], false);
    assert_eq!(stranger["reason"]["warning"], Reason::NoIdentity.warning());
    let digest = [("identity_mode", "digest")];
    let unknown = rig.json(GROUP_FLOW, &digest, &["--from", "10.0.0.7"]);
    assert_eq!(unknown["reason"]["detail"], "the script gave no identity");
    let known = ["--from", "10.0.0.7", "--identity", "sip:ann@home1.net"];
    assert_eq!(rig.json(GROUP_FLOW, &digest, &known)["outcome"], "accepted");
}

#[test]
fn the_time_can_be_told() {
    // M-4.
    let rig = Rig::new();
    let message = group("Expires: 60\r\nDate: Sun, 22 Nov 2020 15:00:00 GMT");
    let in_time = rig.json(&message, &[], &["--at", "2020-11-22T15:00:30Z"]);
    assert_eq!(in_time["outcome"], "accepted");
    let late = rig.json(&message, &[], &["--at", "2020-11-22T15:02:00Z"]);
    assert_eq!(late["reason"]["warning"], Reason::Expired.warning());
}

#[test]
fn a_capture_with_bare_line_feeds_is_read_and_told() {
    let rig = Rig::new();
    for (message, count) in [(GROUP_FLOW, 2), (LIST_FLOW, 3)] {
        let bare = message.replace("\r\n", "\n");
        let json = rig.json(&bare, &[], &[]);
        assert_eq!(json["message"]["line_ends"], "lf");
        assert_eq!(json["forks"]["count"], count);
        let text = rig.explain(&bare, &[], &[]);
        assert!(text.contains("its lines end with LF only"), "{text}");
    }
}

#[test]
fn the_sample_configuration_is_understood() {
    let rig = Rig::new();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/kamailio-config/kamailio.cfg");
    let message = rig.folder.path().join("message.sip");
    std::fs::write(&message, GROUP_FLOW).unwrap();
    let explain = |more: &[&str]| -> Value {
        let words = [
            &["explain", "message.sip", "--json", "--config", config],
            more,
        ]
        .concat();
        serde_json::from_str(&rig.done(&words)).unwrap()
    };
    // As it stands nobody is trusted.
    let json = explain(&[]);
    assert_eq!(json["reason"]["warning"], Reason::NoIdentity.warning());
    assert_eq!(json["settings"]["unread"], Value::Array(Vec::new()));
    let json = explain(&["-A", "TRUSTED_PEERS=\"10.0.0.7\""]);
    assert_eq!(json["outcome"], "accepted");
    let off = explain(&["-A", "PAGER_MODE=0"]);
    assert_eq!(off["reason"]["warning"], Reason::PagerMode.warning());
    let set = explain(&["--set", "pager_mode=0"]);
    assert_eq!(set["reason"]["warning"], Reason::PagerMode.warning());
}

#[test]
fn what_cannot_be_explained_is_one_line() {
    let rig = Rig::new();
    std::fs::write(rig.folder.path().join("empty.sip"), "\n").unwrap();
    std::fs::write(rig.folder.path().join("message.sip"), GROUP_FLOW).unwrap();
    for (words, text) in [
        (&["none.sip"][..], "none.sip: there is no such file"),
        (
            &["empty.sip"],
            "expected one SIP message as it came, found an empty file",
        ),
        (&["message.sip"], "parameter domains: expected"),
        (
            &["message.sip", "--set", "direct"],
            "--set: expected NAME=VALUE",
        ),
        (
            &["message.sip", "--set", "nosuch=1"],
            "expected a known parameter name",
        ),
        (
            &["message.sip", "--config", "none.cfg"],
            "none.cfg: there is no such file",
        ),
    ] {
        let output = rig.run(&[&["explain"], words].concat());
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
        assert!(complaint.contains(text), "{complaint}");
    }
}

#[test]
fn the_database_stays_as_it_is() {
    let rig = Rig::new();
    let before = std::fs::read(rig.database()).unwrap();
    rig.explain(GROUP_FLOW, &[], &[]);
    rig.explain(LIST_FLOW, &[], &[]);
    assert!(std::fs::read(rig.database()).unwrap() == before);
}

#[test]
fn what_came_from_outside_cannot_command_the_terminal() {
    // S-7.
    let rig = Rig::new();
    let text = rig.explain(&group("Subject: a\u{1b}[2Jb"), &[], &[]);
    let text = text + &rig.explain(&GROUP_FLOW.replace("Trail", "\u{1b}[2J"), &[], &[]);
    assert!(!text.contains('\u{1b}'), "{text}");
}
