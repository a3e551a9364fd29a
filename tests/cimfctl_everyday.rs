//! `cimfctl` in everyday work, with a file and with PostgreSQL alike.

// Helpers of tests count as tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "support/both.rs"]
#[allow(dead_code)]
mod both;

#[path = "support/json_fields.rs"]
mod json_fields;

#[path = "support/mod.rs"]
#[allow(unused_imports)]
mod support;

use both::Both;
use json_fields::check_fields;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Instant;
use support::PATIENCE;
use support::built::cimfctl_fed;

const HIKERS: &str = "sip:hikers@im.home1.net";
const SET: &str = "member set sip:hikers@im.home1.net -";

fn with_hikers() -> Both {
    let both = Both::new();
    both.run(
        "group add sip:hikers@im.home1.net sip:ann@home1.net sip:bob@home1.net tel:+15551230003",
    );
    both.run_words(&["member", "name", HIKERS, "sip:ann@home1.net", "Ann Lee"]);
    both
}

/// The members of a group as `group show` has them.
fn members(both: &Both, group: &str) -> Vec<String> {
    let shown = both.done(&format!("group show {group}"), "");
    let members = shown
        .lines()
        .filter_map(|line| line.strip_prefix("member "));
    members.map(str::to_owned).collect()
}

#[test]
fn members_become_exactly_those_of_a_list() {
    // C-1, C-3.
    let both = with_hikers();
    let list = "SIP:%61nn@HOME1.net\ntel:+1-555-123-0003\n\"Cho Li\" <sip:cho@home2.net>\nsip:dee@home1.net\n";
    assert_eq!(
        both.done(SET, list),
        "added sip:cho@home2.net\nadded sip:dee@home1.net\ndeleted sip:bob@home1.net\nset sip:hikers@im.home1.net, 4 members, 2 added, 1 deleted\n"
    );
    let four = [
        "sip:ann@home1.net\tAnn Lee",
        "sip:cho@home2.net\tCho Li",
        "sip:dee@home1.net",
        "tel:+15551230003",
    ];
    assert_eq!(members(&both, HIKERS), four);
    let named = "Ann <sip:ann@home1.net>\nsip:cho@home2.net\nsip:dee@home1.net\ntel:+15551230003";
    assert_eq!(
        both.done(SET, named),
        "sip:ann@home1.net is named Ann\nset sip:hikers@im.home1.net, 4 members, 1 named\n"
    );
    // As arguments, and an address that is there twice.
    assert_eq!(
        both.run("member set sip:hikers@im.home1.net sip:ann@home1.net sip:ann@HOME1.net"),
        "deleted sip:cho@home2.net\ndeleted sip:dee@home1.net\ndeleted tel:+15551230003\nset sip:hikers@im.home1.net, 1 member, 3 deleted, 1 given more than once\n"
    );
}

#[test]
fn a_list_without_news_changes_nothing_and_news_only_their_rows() {
    let both = with_hikers();
    let list = "Ann Lee <sip:ann@home1.net>\nsip:bob@HOME1.net\ntel:+15551230003\n";
    let before = both.revisions();
    assert_eq!(
        both.done(SET, list),
        "not changed: sip:hikers@im.home1.net, 3 members\n"
    );
    assert_eq!(both.revisions(), before);
    let news = list.replace("bob", "eve");
    assert_eq!(
        both.done(&format!("{SET} --dry-run"), &news.replace("Ann Lee", "Ann")),
        "would add sip:eve@HOME1.net\nwould delete sip:bob@home1.net\nsip:ann@home1.net would be named Ann\nwould set sip:hikers@im.home1.net, 3 members, 1 added, 1 deleted, 1 named\n"
    );
    assert_eq!(both.revisions(), before);
    assert_eq!(members(&both, HIKERS)[1], "sip:bob@home1.net");
    both.done(SET, &news);
    let after = both.revisions();
    assert!(after.0 > before.0 && after.1 > before.1);
    let changed = "SELECT uri FROM cimf.changed_member WHERE revision > ";
    let changed = both.postgres.psql(&format!("{changed}{}", before.1));
    let changed: BTreeSet<&str> = changed.lines().collect();
    assert_eq!(changed, ["sip:bob@home1.net", "sip:eve@HOME1.net"].into());
}

#[test]
fn an_import_may_be_rehearsed_and_writes_members_that_differ_only() {
    let both = with_hikers();
    let document = both.write("hikers.xml", both.done("export --lists", ""));
    let other = document.replace("hikers.xml", "other.xml");
    let text = std::fs::read_to_string(&document).unwrap();
    std::fs::write(&other, text.replace("ann@home1.net", "eve@home1.net")).unwrap();
    let before = both.revisions();
    let replaced = "replaced sip:hikers@im.home1.net with 3 members\n";
    assert_eq!(
        both.done(&format!("import --dry-run {other}"), ""),
        format!(
            "would replace{}nothing changed because of --dry-run\n",
            &replaced["replaced".len()..]
        )
    );
    assert_eq!(both.done(&format!("import {document}"), ""), replaced);
    assert_eq!(both.revisions(), before);
    both.done(&format!("import {other}"), "");
    assert_eq!(members(&both, HIKERS)[1], "sip:eve@home1.net\tAnn Lee");
}

#[test]
fn two_spellings_that_one_member_equals_are_two_members() {
    // C-2: equality is not transitive.
    let both = Both::new();
    both.run("group add sip:hikers@im.home1.net sip:c@h");
    let two = "sip:c@h;security=on\nsip:c@h;security=off\n";
    both.done(SET, two);
    assert_eq!(
        members(&both, HIKERS),
        ["sip:c@h;security=off", "sip:c@h;security=on"]
    );
    assert!(both.done(SET, two).starts_with("not changed"));
}

#[test]
fn an_empty_list_is_refused_unless_it_is_meant() {
    let both = with_hikers();
    for nothing in ["", "# none\n\n", "uri,name\n"] {
        assert_eq!(
            both.refused(SET, nothing),
            "cimfctl: group sip:hikers@im.home1.net: expected at least one member, found an empty list, which would delete all 3; nothing was changed, give --allow-empty if it shall have none\n"
        );
    }
    assert_eq!(members(&both, HIKERS).len(), 3);
    let emptied = both.done("-q member set sip:hikers@im.home1.net --allow-empty", "");
    assert_eq!(emptied, "");
    assert_eq!(members(&both, HIKERS), [""; 0]);
    let none = both.refused("member set sip:x@h -", "");
    assert!(none.contains("there is no group sip:x@h"), "{none}");
}

#[test]
fn ten_thousand_members_are_set_quickly() {
    let both = with_hikers();
    let list = |from: u32| -> String {
        let members = (from..from + 10_000).map(|n| format!("M {n} <sip:m{n}@home1.net>\n"));
        members.collect()
    };
    let start = Instant::now();
    let said = both.done(SET, &list(0));
    assert!(said.ends_with("10000 members, 10000 added, 3 deleted\n"));
    let said = both.done(SET, &list(5000));
    assert!(said.ends_with("10000 members, 5000 added, 5000 deleted\n"));
    let before = both.revisions();
    assert!(both.done(SET, &list(5000)).starts_with("not changed"));
    assert_eq!(both.revisions(), before);
    let took = start.elapsed();
    eprintln!("three lists of 10,000 in a file and in PostgreSQL: {took:?}");
    assert!(took < PATIENCE, "{took:?}");
}

#[test]
fn everything_that_is_wrong_with_a_list_is_told_at_once() {
    let both = with_hikers();
    let before = both.revisions();
    let list = "# hikers\nsip:zoe@home1.net\nbob@home1.net\n\"Eve <sip:eve@home1.net>\n+15551230003\nmailto:fay@home1.net # new\nhikers\nsip:ann@home1.net\n";
    let lines = |words: &str, list: &str| {
        let complaint = both.refused(words, list);
        complaint.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let told = lines("member add sip:hikers@im.home1.net -", list);
    for (line, (number, reason)) in told.iter().zip([
        (3, "; if it is sip:bob@home1.net, write that"),
        (4, "expected a closing quote (\")"),
        (5, "; if it is tel:+15551230003, write that"),
        (6, "\"mailto:fay@home1.net\" cannot be sent to: expected a sip, sips or tel address"),
        (7, "\"hikers\" is not an address: URI: expected a scheme and a colon at byte 6, found the end"),
        (8, "sip:ann@home1.net is already a member as sip:ann@home1.net; nothing was added, omit it"),
    ]) {
        let start = format!("cimfctl: standard input: line {number}: ");
        assert!(line.starts_with(&start) && line.ends_with(reason), "{line}");
    }
    assert_eq!(
        told[6..],
        ["cimfctl: 6 addresses are refused; nothing was changed"]
    );
    // A member that is there is no fault of a list that says how it shall be.
    assert_eq!(lines(SET, list).len(), 6);
    let gone = "sip:ann@home1.net\nsip:zoe@home1.net\nsip:fay@home1.net\n";
    let told = lines("member del sip:hikers@im.home1.net -", gone);
    assert!(
        told[0]
            .contains("line 2: group sip:hikers@im.home1.net: sip:zoe@home1.net is not a member")
    );
    assert!(told[1].contains("line 3: ") && told.len() == 3, "{told:?}");
    assert_eq!(lines("group add sip:new@im.home1.net -", list).len(), 6);
    both.run("service add sip:listsvc@im.home1.net");
    assert_eq!(
        lines("consent add sip:listsvc@im.home1.net -", "a\nsip:a@h\nb\n").len(),
        3
    );
    assert_eq!(
        lines(
            "consent del sip:listsvc@im.home1.net -",
            "sip:a@h\nsip:b@h\n"
        )
        .len(),
        3
    );
    let told = both.refused(SET, "\"Eve\n");
    assert_eq!(
        told,
        "cimfctl: standard input: line 1: expected a closing quote (\")\n"
    );
    // Those of the command line have no line.
    let told = both.refused("group add im.home1.net@x", "");
    assert!(
        told.starts_with("cimfctl: \"im.home1.net@x\" is not an address"),
        "{told}"
    );
    assert!(both.revisions().0 > before.0, "the service");
    assert_eq!(members(&both, HIKERS).len(), 3);
}

#[test]
fn columns_names_and_comments_are_read() {
    let both = Both::new();
    let csv = "\u{feff}Name;Room;URI\r\n# no. 1\r\nAnn Lee;1;sip:ann@home1.net\r\n\"Li; Cho\";2;sip:cho@home2.net\r\n;;\r\n";
    both.done("group add sip:hikers@im.home1.net -", csv);
    let both_named = ["sip:ann@home1.net\tAnn Lee", "sip:cho@home2.net\tLi; Cho"];
    assert_eq!(members(&both, HIKERS), both_named);
    both.run("service add sip:listsvc@im.home1.net");
    assert_eq!(
        both.done("consent add sip:listsvc@im.home1.net -", csv),
        "added 2 consents to sip:listsvc@im.home1.net\n"
    );
    assert_eq!(
        both.run_words(&["member", "del", HIKERS, "\"Cho\" <sip:cho@home2.net>"]),
        "deleted sip:cho@home2.net\n"
    );
}

#[test]
fn members_who_are_there_are_skipped_where_that_is_wanted() {
    let both = with_hikers();
    let add = "member add --skip-existing sip:hikers@im.home1.net -";
    let list = "Other <SIP:%61nn@home1.net>\nCho <sip:cho@home2.net>\nsip:cho@HOME2.net\n";
    assert_eq!(
        both.done(add, list),
        "added 1 member to sip:hikers@im.home1.net, 1 had been there, 1 given more than once\n"
    );
    let before = both.revisions();
    assert_eq!(
        both.done(add, list),
        "added 0 members to sip:hikers@im.home1.net, 3 had been there\n"
    );
    assert_eq!(both.revisions(), before);
    assert_eq!(members(&both, HIKERS)[0], "sip:ann@home1.net\tAnn Lee");
}

#[test]
fn a_groups_name_and_pager_mode_are_set() {
    let both = with_hikers();
    let set = |more: &[&str]| both.run_words(&[&["group", "set", HIKERS], more].concat());
    assert_eq!(
        set(&["--display-name", "The hikers", "--no-pager-mode"]),
        "set sip:hikers@im.home1.net: pager-mode 0, display-name The hikers\n"
    );
    assert_eq!(
        both.done("group list", ""),
        "sip:hikers@im.home1.net\t3\t0\tThe hikers\n"
    );
    let before = both.revisions();
    assert!(set(&["--no-pager-mode"]).starts_with("not changed: sip:hikers@im.home1.net: "));
    assert_eq!(both.revisions(), before);
    assert_eq!(
        set(&["--no-display-name", "--pager-mode"]),
        "set sip:hikers@im.home1.net: pager-mode 1, no display-name\n"
    );
    let unprintable = set(&["--display-name", "a\tb"]);
    assert!(unprintable.contains("without control characters"));
    let nothing = both.outcome(&["group", "set", HIKERS], "");
    assert_eq!(nothing.0, Some(2));
}

#[test]
fn an_empty_name_is_refused_with_what_removes_one() {
    let both = with_hikers();
    let set = ["group", "set", HIKERS, "--display-name", ""];
    let add = [
        "group",
        "add",
        "sip:new@im.home1.net",
        "--display-name",
        " ",
    ];
    let name = ["member", "name", HIKERS, "sip:ann@home1.net", ""];
    let new = ["member", "add", HIKERS, "sip:zoe@home1.net", "--name", ""];
    for (words, reason) in [
        (&set[..], "--no-display-name removes the name"),
        (&add, "leave it out for a group without a name"),
        (
            &name,
            "`cimfctl member name sip:hikers@im.home1.net sip:ann@home1.net` without NAME removes it",
        ),
        (&new, "leave --name out for a member without a name"),
    ] {
        let (status, said, told) = both.outcome(words, "");
        assert_eq!((status, said.as_str()), (Some(1), ""), "{words:?}");
        assert!(
            told.contains("expected text, found none; nothing was ") && told.contains(reason),
            "{told}"
        );
    }
    both.run("member name sip:hikers@im.home1.net sip:ann@home1.net");
    assert_eq!(members(&both, HIKERS)[0], "sip:ann@home1.net");
}

#[test]
fn members_of_one_group_are_given_to_another_as_they_are_shown() {
    let both = with_hikers();
    both.run("group add sip:all@im.home1.net");
    let shown = members(&both, HIKERS).join("\n");
    both.done("member add --skip-existing sip:all@im.home1.net -", &shown);
    assert_eq!(
        members(&both, "sip:all@im.home1.net"),
        members(&both, HIKERS)
    );
}

#[test]
fn what_is_no_list_is_told_once_and_harmlessly() {
    let both = with_hikers();
    let told = both.refused(SET, "sip:ann@home1.net,Ann\nsip:bob@home1.net,Bob\n");
    assert_eq!(
        told,
        "cimfctl: standard input: line 1: expected a header before lines with columns, found `sip:ann@home1.net,Ann`; put one in front, such as `uri,name`: uri is the column with addresses, name the one with names, others are not read\n"
    );
    let told = both.refused(SET, "sip:ann@home1.net \x1b[31mAnn\n");
    assert!(told.contains("found `\\u{1b}[31mAnn` behind it"), "{told}");
    let told = both.refused(SET, "uri,name\nsip:ann@home1.net,Lee, Ann\n");
    assert!(
        told.starts_with(
            "cimfctl: standard input: line 2: expected 2 columns, as the header says, found 3"
        ),
        "{told}"
    );
    let output = cimfctl_fed(
        &both.file(),
        &["member", "set", HIKERS, "-"],
        b"sip:ann@home1.net\nM\xfcller <sip:b@h>\n",
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "cimfctl: standard input: line 2: expected text in UTF-8, found the byte 0xfc; if it is in Latin-1, as of Windows, convert it first: `iconv -f WINDOWS-1252 -t UTF-8 FILE`; nothing was changed\n"
    );
    assert_eq!(members(&both, HIKERS).len(), 3);
}

#[test]
fn a_group_gets_another_address_and_keeps_all_else() {
    let both = with_hikers();
    both.run("group add sip:all@im.home1.net sip:hikers@IM.home1.net");
    both.run("service add sip:listsvc@im.home1.net");
    let replica = both.folder.path().join("replica.db");
    let url = both.postgres.read_url();
    cimf::store::postgres::replicate(&url, &replica).unwrap();
    let kept = members(&both, HIKERS);
    for (to, reason) in [
        (
            "sip:all@im.home1.net",
            "there is a group sip:all@im.home1.net already; nothing was changed: choose another address, or move the members there with `cimfctl group show sip:hikers@im.home1.net | sed -n 's/^member //p' | cimfctl member add --skip-existing sip:all@im.home1.net -` and delete sip:hikers@im.home1.net",
        ),
        (
            "sip:listsvc@im.home1.net",
            "is a service, and a group needs an address of its own",
        ),
        ("tel:+1555", "cannot be the address of a group or service"),
        ("+1555", "if it has this number, write sip:+1555@HOST"),
    ] {
        let complaint = both.refused(&format!("group rename {HIKERS} {to}"), "");
        assert!(complaint.contains(reason), "{complaint}");
    }
    let rename = "group rename sip:hikers@im.home1.net sip:Walkers@IM.home1.net";
    assert_eq!(
        both.run(rename),
        "renamed to sip:Walkers@im.home1.net, 3 members\ncimfctl: note: group sip:all@im.home1.net has the old address as a member still: delete it with `cimfctl member del sip:all@im.home1.net sip:hikers@IM.home1.net`, and add the new one\n"
    );
    assert_eq!(members(&both, "sip:Walkers@im.home1.net"), kept);
    assert!(
        both.refused(rename, "")
            .contains("there is no group sip:hikers@im.home1.net")
    );
    assert_eq!(
        both.run("group rename sip:Walkers@im.home1.net sip:Walkers@IM.home1.net"),
        "not changed: sip:Walkers@im.home1.net, 3 members\n"
    );
    // A node that follows PostgreSQL has it too.
    cimf::store::postgres::replicate(&url, &replica).unwrap();
    let replica = rusqlite::Connection::open(replica).unwrap();
    let sql = "SELECT count(*) FROM member JOIN im_group g ON g.id = group_id WHERE g.uri = ?1";
    let count = |uri: &str| -> i64 { replica.query_row(sql, [uri], |row| row.get(0)).unwrap() };
    assert_eq!((count("sip:Walkers@im.home1.net"), count(HIKERS)), (3, 0));
}

#[test]
fn the_groups_of_somebody_are_found_in_any_spelling() {
    // C-1, C-3.
    let both = with_hikers();
    both.run("group add sip:all@im.home1.net sip:%61nn@home1.net tel:+1-555-123-0003");
    assert_eq!(
        both.done("member find sip:ann@HOME1.net", ""),
        "sip:all@im.home1.net\tsip:%61nn@home1.net\t\nsip:hikers@im.home1.net\tsip:ann@home1.net\tAnn Lee\n"
    );
    assert_eq!(
        both.done("member find tel:+15551230003", "")
            .lines()
            .count(),
        2
    );
    assert_eq!(
        both.run("member find sip:eve@home1.net"),
        "cimfctl: note: sip:eve@home1.net is in no group\n"
    );
    assert_eq!(both.done("-q member find sip:eve@home1.net", ""), "");
    let complaint = both.refused("member find ann@home1.net", "");
    assert!(complaint.ends_with("; if it is sip:ann@home1.net, write that\n"));
}

#[test]
fn quiet_leaves_confirmations_and_notes_out_and_nothing_else() {
    let both = with_hikers();
    for words in [
        "init",
        "group add sip:all@im.home1.net sip:hikers@im.home1.net",
        "group set sip:all@im.home1.net --no-pager-mode",
        "group rename sip:hikers@im.home1.net sip:walkers@im.home1.net",
        "member add sip:all@im.home1.net sip:walkers@im.home1.net",
        "member set sip:all@im.home1.net sip:walkers@im.home1.net sip:eve@home1.net",
        "member name sip:all@im.home1.net sip:eve@home1.net Eve",
        "member del sip:all@im.home1.net sip:eve@home1.net",
        "service add sip:listsvc@im.home1.net",
        "consent add sip:listsvc@im.home1.net sip:a@h",
        "consent del sip:listsvc@im.home1.net sip:a@h",
        "service del sip:listsvc@im.home1.net",
        "group del sip:all@im.home1.net",
        "check",
    ] {
        assert_eq!(both.done(&format!("--quiet {words}"), ""), "", "{words}");
    }
    assert!(
        both.done("-q group list", "")
            .contains("sip:walkers@im.home1.net\t3")
    );
    assert!(
        both.refused("-q group del sip:x@h", "")
            .contains("there is no group")
    );
}

#[test]
fn json_has_the_fields_of_the_manual() {
    let both = with_hikers();
    both.run("service add sip:listsvc@im.home1.net");
    both.run("consent add sip:listsvc@im.home1.net sip:a@h");
    let json = |words: &str, input: &str| -> Value {
        let text = both.json(&format!("{words} --json"), input);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    let list = json("group list", "");
    check_fields("group list", &list);
    assert_eq!(list[0]["member_count"], 3);
    let group = json("group show sip:hikers@im.home1.net", "");
    check_fields("group show", &group);
    assert_eq!(group["display_name"], Value::Null);
    assert_eq!(group["members"][0]["name"], "Ann Lee");
    assert!(group["changed"].as_str().unwrap().ends_with('Z'));
    let found = json("member find sip:ann@home1.net", "");
    check_fields("member find", &found);
    assert_eq!(
        json("member find sip:eve@home1.net", ""),
        Value::Array(vec![])
    );
    let set = json(SET, "A <sip:ann@home1.net>\nNew <sip:new@h>\nsip:new@h\n");
    check_fields("member set", &set);
    let new = &set["added_members"][0];
    assert_eq!(
        (&new["member"], &new["name"]),
        (&"sip:new@h".into(), &"New".into())
    );
    assert_eq!(
        (&set["added"][0], &set["named"][0]["name"]),
        (&"sip:new@h".into(), &"A".into())
    );
    assert_eq!(
        (&set["deleted"][1], &set["repeated_count"]),
        (&"tel:+15551230003".into(), &1.into())
    );
    assert_eq!(json("service list", "")[0]["consent_count"], 1);
    check_fields("service list", &json("service list", ""));
    check_fields(
        "consent list",
        &json("consent list sip:listsvc@im.home1.net", ""),
    );
    let found = json("check", "");
    check_fields("check", &found);
    assert_eq!(found["findings"], Value::Array(vec![]));
    both.run("member add sip:hikers@im.home1.net sip:listsvc@im.home1.net");
    let (status, text, _) = both.outcome(&["check", "--json"], "");
    assert_eq!(status, Some(1));
    let found: Value = serde_json::from_str(&text).unwrap();
    assert!(
        found["findings"][0]
            .as_str()
            .unwrap()
            .contains("gets no message")
    );
}

#[test]
fn what_is_shown_can_be_read_in_again() {
    let both = Both::new();
    let odd = "sip:o'neil\"x@home1.net\n";
    both.run("group add sip:hikers@im.home1.net");
    both.done(
        "member add sip:hikers@im.home1.net -",
        "sip:o'neil@home1.net\n",
    );
    let found = both.run("group show sip:hikers@im.home1.net");
    let member = found.lines().find_map(|line| line.strip_prefix("member "));
    let member = member.expect("a member").trim_end();
    assert_eq!(member, "sip:o'neil@home1.net");
    let said = both.done(
        "member set sip:hikers@im.home1.net -",
        &format!("{member}\n"),
    );
    assert!(said.contains("not changed"), "{said}");
    both.refused("member set sip:hikers@im.home1.net -", odd);
}
