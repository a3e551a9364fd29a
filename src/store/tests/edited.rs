//! Changes by cimfctl.

use super::*;
use crate::store::audit;
use crate::store::edit::{EditError, Missing};

fn new(uri: &str) -> NewGroup<'_> {
    NewGroup {
        uri,
        display_name: Some("The hikers"),
        pager_mode: false,
    }
}

#[test]
fn a_group_is_stored_in_canonical_form() {
    //
    let rig = Rig::new();
    let mut editor = rig.editor();
    let added = editor
        .add_group(new("SIP:%68ikers@IM.home1.net;x=1?a=b"), ["tel:+1555"])
        .unwrap();
    assert_eq!((added.group.as_str(), added.added.len()), (HIKERS, 1));
    let (group, members) = editor.group("sip:hikers@IM.HOME1.NET").unwrap();
    assert_eq!((group.uri.as_str(), group.pager_mode), (HIKERS, false));
    assert_eq!(group.display_name.as_deref(), Some("The hikers"));
    assert_eq!(members, [("tel:+1555".to_owned(), None)]);
}

#[test]
fn adding_is_all_or_nothing() {
    let rig = Rig::with_hikers();
    let mut editor = rig.editor();
    for bad in [
        "sip:%62ob@HOME1.net",   // C-1
        "tel:+1-555-123-0003",   // C-3
        "sip:cho@home2.net;x=1", // twice in one command
        "im:x@h",
        "urn:service:sos",
        "nonsense",
        "sip:x%0d@h", // S-7
    ] {
        let added = editor.add_members(HIKERS, ["sip:cho@home2.net", bad], Existing::Refused);
        assert!(added.is_err(), "{bad}");
        assert_eq!(editor.group(HIKERS).unwrap().1.len(), 3);
    }
    let group = "sip:climbers@im.home1.net";
    assert!(
        editor
            .add_group(new(group), ["sip:a@h", "nonsense"])
            .is_err()
    );
    assert!(matches!(editor.group(group), Err(EditError::NoGroup(..))));
}

#[test]
fn a_refused_duplicate_names_the_existing_member() {
    let rig = Rig::with_hikers();
    let error = rig
        .editor()
        .add_members(HIKERS, ["SIP:%62ob@HOME1.net"], Existing::Refused)
        .unwrap_err();
    let expected = EditError::MemberExists {
        group: HIKERS.to_owned(),
        member: "SIP:%62ob@HOME1.net".to_owned(),
        existing: "sip:bob@home1.net".to_owned(),
    };
    assert_eq!(error, EditError::Addresses(vec![(0, expected)]));
    let error = rig
        .editor()
        .add_group(new("sip:hikers@IM.home1.net"), [""; 0])
        .unwrap_err();
    assert_eq!(error, EditError::GroupExists(HIKERS.to_owned()));
}

#[test]
fn the_address_of_a_group_must_have_a_user() {
    let rig = Rig::new();
    for uri in ["sip:im.home1.net", "tel:+1555", "urn:x:y", "hikers", ""] {
        assert!(rig.editor().add_group(new(uri), [""; 0]).is_err(), "{uri}");
    }
    let named = NewGroup {
        display_name: Some("a\nb"),
        ..new(HIKERS)
    };
    assert!(rig.editor().add_group(named, [""; 0]).is_err());
}

#[test]
fn more_members_than_the_limit_are_refused() {
    // S-3.
    let rig = Rig::with_hikers();
    let mut editor = Editor::open(&DbUrl::Sqlite(rig.path.clone()), 4).unwrap();
    let error = editor
        .add_members(HIKERS, ["sip:c@h", "sip:d@h"], Existing::Refused)
        .unwrap_err();
    assert!(matches!(
        error,
        EditError::TooManyMembers {
            count: 5,
            limit: 4,
            ..
        }
    ));
    assert_eq!(
        editor
            .add_members(HIKERS, ["sip:c@h"], Existing::Refused)
            .unwrap()
            .added
            .len(),
        1
    );
}

#[test]
fn members_are_deleted_by_equality() {
    let rig = Rig::with_hikers();
    let mut editor = rig.editor();
    let gone = ["tel:+1-555-1230003", "SIP:b%6fb@home1.NET;x=1"];
    let deleted = editor
        .delete_members(HIKERS, gone, Missing::Refused)
        .unwrap()
        .deleted;
    assert_eq!(deleted, ["tel:+15551230003", "sip:bob@home1.net"]);
    assert_eq!(
        editor.group(HIKERS).unwrap().1,
        [("sip:ann@home1.net".to_owned(), None)]
    );
    let error = editor.delete_members(
        HIKERS,
        ["sip:ann@home1.net", "sip:bob@home1.net"],
        Missing::Refused,
    );
    let only = |error: EditError| match error {
        EditError::Addresses(mut all) if all.len() == 1 => all.remove(0),
        other => panic!("{other}"),
    };
    let error = only(error.unwrap_err());
    assert!(matches!(error, (1, EditError::NoMember { .. })));
    assert_eq!(editor.group(HIKERS).unwrap().1.len(), 1);
}

#[test]
fn an_address_that_equals_two_members_deletes_neither() {
    // C-2: equality is not transitive.
    let rig = Rig::with_hikers();
    let mut editor = rig.editor();
    let two = ["sip:c@h;security=on", "sip:c@h;security=off"];
    editor.add_members(HIKERS, two, Existing::Refused).unwrap();
    let error = editor
        .delete_members(HIKERS, ["sip:c@h"], Missing::Skipped)
        .unwrap_err();
    let EditError::Addresses(all) = &error else {
        panic!("{error}");
    };
    assert!(
        matches!(all.as_slice(), [(0, EditError::Ambiguous { .. })]),
        "{error}"
    );
    let mut delete = |member| editor.delete_members(HIKERS, [member], Missing::Refused);
    assert_eq!(delete(two[1]).unwrap().deleted, [two[1]]);
    assert_eq!(delete("sip:c@h").unwrap().deleted, [two[0]]);
}

#[test]
fn a_malformed_member_can_be_deleted_by_its_stored_text() {
    let rig = Rig::with_hikers();
    rig.by_hand()
        .execute("INSERT INTO member SELECT id, 'x:%' FROM im_group", [])
        .unwrap();
    let deleted = rig
        .editor()
        .delete_members(HIKERS, ["x:%"], Missing::Refused);
    assert_eq!(deleted.unwrap().deleted, ["x:%"]);
}

#[test]
fn a_member_that_is_a_group_is_stored_and_reported() {
    // H-4.
    let rig = Rig::with_hikers();
    rig.add("sip:climbers@im.home1.net", &[]);
    let nested = "sip:climbers@IM.home1.net";
    let added = rig
        .editor()
        .add_members(HIKERS, [nested], Existing::Refused)
        .unwrap();
    assert_eq!(added.nested, [nested]);
}

fn findings(rig: &Rig) -> Vec<String> {
    let mut findings = Vec::new();
    let audit = audit(
        &DbUrl::Sqlite(rig.path.clone()),
        &addressing(),
        crate::config::Nested::Skip,
        100_000,
        &mut |finding| findings.push(finding),
    );
    assert_eq!(audit.unwrap().findings, findings.len() as u64);
    findings
}

#[test]
fn an_audit_of_an_intact_database_finds_nothing() {
    assert_eq!(findings(&Rig::with_hikers()), [""; 0]);
}

#[test]
fn an_audit_names_what_is_wrong() {
    let rig = Rig::with_hikers();
    rig.add("sip:climbers@im.home1.net", &[]);
    let hand = rig.by_hand();
    for (sql, expected) in [
        (
            "INSERT INTO member SELECT id, 'im:x@h' FROM im_group WHERE uri LIKE '%hikers%'",
            "member im:x@h gets no message: only sip, sips and tel",
        ),
        (
            "UPDATE member SET uri = 'sip:climbers@im.home1.net' WHERE uri = 'im:x@h'",
            "it is a group or service of this server",
        ),
        (
            "UPDATE im_group SET uri = 'sip:%63limbers@im.home1.net' WHERE uri LIKE '%climb%'",
            "expected the canonical form sip:climbers@im.home1.net",
        ),
        (
            "REPLACE INTO im_group (uri) VALUES ('sip:hikers@im.home1.net')",
            "4 members of group_id 1, which is not a group",
        ),
        (
            "DELETE FROM revision",
            "the row of the table revision is missing",
        ),
        (
            "DROP TRIGGER member_updated",
            "trigger member_updated is missing or was altered",
        ),
    ] {
        hand.execute(sql, []).unwrap();
        let findings = findings(&rig);
        assert!(
            findings.iter().any(|finding| finding.contains(expected)),
            "{sql}: {findings:?}"
        );
    }
}
