//! `cimfctl ledger` as an administrator runs it, beside a proxy and without one.

// Helpers of tests count as tests.
#![allow(clippy::unwrap_used)]

#[path = "support/built.rs"]
mod built;
#[path = "support/json_fields.rs"]
mod json_fields;
#[path = "support/sample.rs"]
mod sample;

use cimf::control::Own;
use cimf::fanout::{Outcome, Submission};
use cimf::ledger::{
    CommitMode, Entry, KeptCopy, Ledger, LedgerFile, OutcomeRecord, Promise, Reader,
};
use json_fields::check_fields;
use sample::submission;
use serde_json::Value;
use std::borrow::Cow;
use std::path::PathBuf;
use std::process::{Command, Output};

/// 14 November 2023, 22:13:20.
const NOW: u64 = 1_700_000_000_000;

struct Rig {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Rig {
    /// A ledger with three messages: of Ann, unfinished; anonymous; and finished but for a kept copy.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let file = LedgerFile::open(&path).unwrap();
        let mut ledger = file.writer().unwrap();
        let outcome = |recipient, ending: Outcome| {
            let (outcome, code) = ending.to_bytes();
            OutcomeRecord {
                recipient,
                outcome,
                code,
            }
        };
        let anonymous = Promise {
            anonymous: true,
            ..message(2)
        };
        let kept = KeptCopy {
            message: 3,
            recipient: 1,
            address_hash: 8,
            address: b"tel:+15551230003",
            code: 480,
            kept_at: NOW,
            expires_at: NOW + 86_400_000,
        };
        let (delivered, refused) = (Outcome::Delivered(200), Outcome::Refused(603));
        let ended = [
            outcome(0, delivered),
            outcome(1, Outcome::Refused(480)),
            outcome(2, delivered),
        ];
        let entries = [
            Entry::Promise(Box::new(message(1))),
            Entry::Outcomes {
                id: 1,
                outcomes: Cow::Owned(vec![outcome(0, delivered), outcome(2, refused)]),
            },
            Entry::Promise(Box::new(anonymous)),
            Entry::Promise(Box::new(message(3))),
            Entry::Outcomes {
                id: 3,
                outcomes: Cow::Borrowed(&ended),
            },
            Entry::Kept(kept),
            Entry::Finished { id: 3 },
        ];
        ledger.commit(&entries, CommitMode::Synced).unwrap();
        Self { folder, path }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(built::program());
        let db = self.folder.path().join("cimf.db");
        command.arg("--db").arg(db).arg("ledger").args(arguments);
        command.output().unwrap()
    }

    /// Standard output of a command that succeeds.
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {complaint}");
        text(&output.stdout)
    }

    /// What a refused command writes to standard error.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {complaint}");
        complaint
    }

    fn line(&self, rest: &str) -> String {
        format!("cimfctl: {}: {rest}\n", self.path.display())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn message(id: u64) -> Promise<'static> {
    let recipients: [&[u8]; 3] = [
        b"sip:bob@home1.net",
        b"tel:+15551230003",
        b"sip:carol@home1.net",
    ];
    Promise {
        id,
        promised: true,
        anonymous: false,
        submission: Submission {
            body: b"Hello",
            accepted_at: NOW,
            expires_at: if id == 1 { NOW + 3_600_000 } else { 0 },
            ..submission()
        },
        recipients: recipients.map(Own::plain).to_vec(),
        request: None,
    }
}

const LIST: &str =
    "1\tTue, 14 Nov 2023 22:13:20 GMT\tsip:ann@home1.net\tsip:hikers@im.home1.net\t3\t1\t0\t5
2\tTue, 14 Nov 2023 22:13:20 GMT\tanonymous\tsip:hikers@im.home1.net\t3\t3\t0\t5
3\tTue, 14 Nov 2023 22:13:20 GMT\tsip:ann@home1.net\tsip:hikers@im.home1.net\t3\t0\t1\t5
";

#[test]
fn messages_are_listed_oldest_first() {
    let rig = Rig::new();
    assert_eq!(rig.done(&["list"]), LIST);
    let elsewhere = tempfile::tempdir().unwrap();
    let elsewhere = elsewhere.path().join("promises.db");
    drop(LedgerFile::open(&elsewhere).unwrap());
    let option = ["list", "--ledger", elsewhere.to_str().unwrap()];
    assert_eq!(rig.done(&option), "");
}

#[test]
fn a_message_is_shown_with_what_became_of_each_recipient() {
    let rig = Rig::new();
    assert_eq!(
        rig.done(&["show", "1"]),
        "message 1
log-number 1
accepted Tue, 14 Nov 2023 22:13:20 GMT
expires Tue, 14 Nov 2023 23:13:20 GMT
originator sip:ann@home1.net
group sip:hikers@im.home1.net
body 5 bytes
recipients 3
open 1
kept 0
recipient sip:bob@home1.net\tanswered 200
recipient tel:+15551230003\tno outcome yet
recipient sip:carol@home1.net\tanswered 603
"
    );
    let kept = rig.done(&["show", "3"]);
    let expected = "open 0
kept 1
recipient sip:bob@home1.net\tanswered 200
recipient tel:+15551230003\tkept until Wed, 15 Nov 2023 22:13:20 GMT (480)
recipient sip:carol@home1.net\tanswered 200
";
    assert!(kept.ends_with(expected), "{kept}");
    assert_eq!(
        rig.refused(&["show", "9"]),
        rig.line("there is no message 9; see `cimfctl ledger list`")
    );
}

#[test]
fn an_anonymous_sender_stays_anonymous() {
    let rig = Rig::new();
    let shown = rig.done(&["show", "2"]);
    assert!(shown.contains("\noriginator anonymous\n"), "{shown}");
    assert!(!shown.contains("ann@"), "{shown}");
    // Nor is the hash of use to anybody who has none to compare.
    let file = LedgerFile::open(&rig.path).unwrap();
    let mut originators = Vec::new();
    let mut reader = file.reader().unwrap();
    reader
        .unfinished(&mut |found| originators.push(found.message.originator))
        .unwrap();
    let hash = text(&originators[1]);
    assert!(!shown.contains(&hash), "{shown}");
}

/// Start x 4,294,967,296 and the number in the log.
const SECOND_START: u64 = 8_589_934_592;

#[test]
fn a_message_is_found_by_its_number_in_the_log() {
    let rig = Rig::new();
    let file = LedgerFile::open(&rig.path).unwrap();
    let mut ledger = file.writer().unwrap();
    let mut accept = |id| {
        let entry = Entry::Promise(Box::new(message(id)));
        ledger.commit(&[entry], CommitMode::Synced).unwrap();
    };
    accept(SECOND_START + 4);
    let shown = rig.done(&["show", "4"]);
    assert!(
        shown.starts_with("message 8589934596\nlog-number 4\naccepted "),
        "{shown}"
    );
    assert_eq!(rig.done(&["show", "8589934596"]), shown);
    let json: Value = serde_json::from_str(&rig.done(&["show", "4", "--json"])).unwrap();
    assert_eq!(
        (&json["message"], &json["log_number"]),
        (&8_589_934_596_u64.into(), &4.into())
    );
    let json: Value = serde_json::from_str(&rig.done(&["list", "--json"])).unwrap();
    assert_eq!(json[3]["log_number"], 4);
    // As of two nodes.
    accept(2 * SECOND_START + 4);
    let several = rig.line(
        "message 4 of the log may be any of 8589934596 17179869188; give one of these, see `cimfctl ledger list`",
    );
    assert_eq!(rig.refused(&["show", "4"]), several);
    drop((ledger, file));
    assert_eq!(rig.refused(&["drop", "4"]), several);
    rig.done(&["drop", "17179869188"]);
    assert_eq!(
        rig.done(&["drop", "4"]),
        "dropped 8589934596 with 3 recipients and 0 kept copies\n"
    );
    assert_eq!(rig.done(&["list"]), LIST);
}

#[test]
fn a_message_is_dropped_but_not_while_a_proxy_runs() {
    let rig = Rig::new();
    let proxy = LedgerFile::open(&rig.path).unwrap();
    let _ledger = proxy.writer().unwrap();
    assert_eq!(
        rig.refused(&["drop", "3"]),
        rig.line(
            "a proxy is using it; tell the proxy to drop the copies kept for an address (cimf.kept_drop ADDRESS, by RPC \
             or MI), or stop it first; nothing was changed"
        )
    );
    assert_eq!(rig.done(&["list"]), LIST);
    drop((_ledger, proxy));
    assert_eq!(
        rig.done(&["drop", "3"]),
        "dropped 3 with 3 recipients and 1 kept copy\n"
    );
    assert_eq!(
        rig.done(&["drop", "1"]),
        "dropped 1 with 3 recipients and 0 kept copies\n"
    );
    let left = rig.done(&["list"]);
    assert_eq!(left, format!("{}\n", LIST.lines().nth(1).unwrap()));
    let complaint = rig.refused(&["drop", "3"]);
    assert!(complaint.contains("there is no message 3"), "{complaint}");
}

#[test]
fn a_ledger_that_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let rig = Rig { folder, path };
    let missing = rig.line(
        "there is no such file; the proxy makes it with durability=journal or away=keep, and if its parameter ledger names another one, give that with --ledger FILE",
    );
    for arguments in [&["list"][..], &["show", "1"], &["drop", "1"]] {
        assert_eq!(rig.refused(arguments), missing);
    }
    assert!(!rig.path.exists());
    let output = rig.run(&["show", "x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("expected a number, such as 8589934593 or 1"));
}

#[test]
fn json_has_the_fields_of_the_manual() {
    let rig = Rig::new();
    let json = |words: &[&str]| -> Value {
        serde_json::from_str(&rig.done(&[words, &["--json"]].concat())).unwrap()
    };
    let list = json(&["list"]);
    check_fields("ledger list", &list);
    assert_eq!(list[0]["accepted"], "2023-11-14T22:13:20.000Z");
    assert_eq!(
        (&list[1]["originator"], &list[2]["kept_count"]),
        (&"anonymous".into(), &1.into())
    );
    let shown = json(&["show", "3"]);
    check_fields("ledger show", &shown);
    let kept = &shown["recipients"][1];
    assert_eq!(
        (&kept["state"], &kept["code"]),
        (&"kept".into(), &480.into())
    );
    assert_eq!(kept["kept_until"], "2023-11-15T22:13:20.000Z");
    let shown = json(&["show", "1"]);
    let states: Vec<_> = shown["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["state"])
        .collect();
    assert_eq!(states, ["delivered", "open", "refused"]);
    assert_eq!(shown["open_count"], 1);
}
