//! Services, consents, rulesets and nested groups in the tables.

use super::*;
use crate::config::Nested;
use crate::control::{Asker, Permissions, UriListService};
use crate::sip::identity::AssertedIdentity;
use crate::store::edit::{EditError, Missing};
use crate::store::{Tables, schema};
use std::time::SystemTime;

const LIST: &str = "sip:listsvc@im.home1.net";

fn service(store: &mut Store) -> Option<Arc<UriListService>> {
    match Uri::parse(LIST.as_bytes()).unwrap() {
        Uri::Sip(sip) => store.find(&sip).unwrap().map(|target| match target {
            Target::UriListService(service) => service,
            Target::Group(group) => panic!("{} is a group", group.uri()),
        }),
        _ => unreachable!(),
    }
}

fn has_consented(store: &mut Store, uri: &str) -> bool {
    let uri = Uri::parse(uri.as_bytes()).unwrap();
    let service = service(store).unwrap();
    service.consenting.has(&uri, &addressing())
}

#[test]
fn a_service_is_found_and_each_change_takes_effect_at_once() {
    // A-5, U-12.
    let rig = Rig::with_hikers();
    let mut store = rig.store();
    assert!(service(&mut store).is_none());
    let mut editor = rig.editor();
    assert_eq!(
        editor
            .add_service("SIP:%6cistsvc@IM.Home1.net;x=1", true)
            .unwrap()
            .uri,
        LIST
    );
    assert!(service(&mut store).unwrap().pager_mode);
    assert!(!has_consented(&mut store, "sip:cho@home2.net"));
    editor
        .add_consents(LIST, ["sip:%63ho@home2.net", "tel:+1-555"])
        .unwrap();
    assert!(has_consented(&mut store, "sip:cho@HOME2.net"));
    assert!(has_consented(&mut store, "sip:+1555@home1.net;user=phone"));
    let look = |store: &mut Store| assert!(service(store).is_some());
    assert_eq!(cost(&mut store, look), Statistics::default());
    editor
        .delete_consents(LIST, ["sip:cho@home2.net"], Missing::Refused)
        .unwrap();
    assert!(!has_consented(&mut store, "sip:cho@home2.net"));
    let hand = rig.by_hand();
    hand.execute("UPDATE consent SET uri = 'sip:dee@home1.net'", [])
        .unwrap();
    assert!(has_consented(&mut store, "sip:dee@home1.net"));
    hand.execute("UPDATE service SET pager_mode = 0", [])
        .unwrap();
    assert!(!service(&mut store).unwrap().pager_mode);
    hand.execute("DELETE FROM service", []).unwrap();
    assert!(service(&mut store).is_none());
    let left = hand.query_row("SELECT count(*) FROM consent", [], |row| row.get(0));
    assert_eq!(left, Ok(0));
}

#[test]
fn an_address_is_a_groups_or_a_services() {
    let rig = Rig::with_hikers();
    let mut editor = rig.editor();
    let error = editor.add_service(HIKERS, true).unwrap_err();
    assert_eq!(error, EditError::IsGroup(HIKERS.to_owned()));
    editor.add_service(LIST, true).unwrap();
    assert_eq!(
        editor.add_service(LIST, true).unwrap_err(),
        EditError::ServiceExists(LIST.to_owned())
    );
    let new = NewGroup {
        uri: LIST,
        display_name: None,
        pager_mode: true,
    };
    let error = editor.add_group(new, [""; 0]).unwrap_err();
    assert_eq!(error, EditError::IsService(LIST.to_owned()));
    // The same with manual SQL.
    let hand = rig.by_hand();
    for (sql, reason) in [
        (
            "INSERT INTO service (uri) VALUES ('sip:hikers@im.home1.net')",
            "a group has this address",
        ),
        (
            "UPDATE service SET uri = 'sip:hikers@im.home1.net'",
            "a group has this address",
        ),
        (
            "INSERT INTO im_group (uri) VALUES ('sip:listsvc@im.home1.net')",
            "a service has this address",
        ),
        (
            "UPDATE im_group SET uri = 'sip:listsvc@im.home1.net'",
            "a service has this address",
        ),
        (
            "INSERT INTO service (uri) VALUES ('sip:A@H')",
            "in lower case after the '@'",
        ),
        (
            "UPDATE service SET id = 99",
            "the id of a service cannot change",
        ),
        (
            "INSERT INTO consent VALUES (99, 'sip:x@h')",
            "no service has this service_id",
        ),
        (
            "INSERT INTO consent SELECT id, 'bob' FROM service",
            "a consenting URI is a scheme",
        ),
        (
            "INSERT INTO rule_list VALUES (99, 'a', 'sip:x@h')",
            "no group has this group_id",
        ),
    ] {
        let error = hand.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains(reason), "{sql}: {error}");
    }
}

#[test]
fn a_member_that_is_a_service_gets_no_message() {
    // H-4; T 86.
    let rig = Rig::with_hikers();
    let mut editor = rig.editor();
    editor
        .add_members(HIKERS, [LIST], Existing::Refused)
        .unwrap();
    let mut store = rig.store();
    assert_eq!(recipients(&mut store, HIKERS).unwrap().len(), 4);
    editor.add_service(LIST, true).unwrap();
    assert_eq!(recipients(&mut store, HIKERS).unwrap().len(), 3);
    editor.delete_service(LIST).unwrap();
    assert_eq!(recipients(&mut store, HIKERS).unwrap().len(), 4);
}

#[test]
fn a_database_of_version_1_is_refused_until_it_is_migrated() {
    let rig = Rig::new();
    let path = rig.folder.path().join("one.db");
    let hand = Connection::open(&path).unwrap();
    hand.pragma_update(None, "journal_mode", "wal").unwrap();
    hand.execute_batch(include_str!("../schema_1.sql")).unwrap();
    hand.pragma_update(None, "application_id", schema::APPLICATION_ID)
        .unwrap();
    hand.pragma_update(None, "user_version", 1).unwrap();
    hand.execute_batch(
        "INSERT INTO im_group (uri) VALUES ('sip:hikers@im.home1.net');
         INSERT INTO member SELECT id, 'sip:ann@home1.net' FROM im_group",
    )
    .unwrap();
    let error = Store::check(&path).unwrap_err().to_string();
    let expected = format!(
        "expected version 3 of the tables, found 1; bring it up to date with `cimfctl --db {} init`",
        path.display()
    );
    assert!(error.contains(&expected), "{error}");
    assert_eq!(init(&path).unwrap().tables, Tables::Migrated(1));
    assert_eq!(Store::check(&path), Ok(()));
    assert_eq!(
        recipients(&mut store(&path, 1000), HIKERS).unwrap(),
        ["sip:ann@home1.net"]
    );
    // A migrated database is identical to one created by `init`.
    let mut findings = Vec::new();
    let found = crate::store::audit(
        &DbUrl::Sqlite(path.clone()),
        &addressing(),
        Nested::Skip,
        1000,
        &mut |it| findings.push(it),
    );
    assert_eq!(found.unwrap().findings, 0, "{findings:?}");
}

fn permissions(store: &mut Store, who: &str) -> Permissions {
    let group = find(store, HIKERS).unwrap().unwrap();
    let row = format!("<{who}>");
    let identity =
        AssertedIdentity::parse("P-Asserted-Identity", std::iter::once(row.as_bytes())).unwrap();
    let asker = Asker {
        identity: &identity,
        anonymous: false,
        now: SystemTime::now(),
    };
    let policy = crate::control::Policy {
        addressing: addressing(),
        ..crate::control::Policy::example()
    };
    group.permissions(&asker, &policy)
}

/// A ruleset with one rule: these conditions, and permission to send and to be anonymous.
fn ruleset(conditions: &str) -> String {
    format!(
        r#"<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:o="urn:oma:xml:xdm:common-policy">
        <rule id="a"><conditions>{conditions}</conditions><actions>
        <allow-initiate-conference xmlns="urn:oma:xml:poc:list-service">true</allow-initiate-conference>
        </actions></rule></ruleset>"#
    )
}

#[test]
fn a_changed_ruleset_takes_effect_with_the_next_message() {
    // G-3, G-4.
    let rig = Rig::with_hikers();
    let (mut store, hand) = (rig.store(), rig.by_hand());
    let may = |store: &mut Store, who: &str| permissions(store, who).send;
    assert!(may(&mut store, "sip:ann@home1.net"));
    let set = |text: Option<&str>| {
        hand.execute("UPDATE im_group SET ruleset = ?1", [text])
            .unwrap();
    };
    set(Some(&ruleset(
        "<identity><one id='sip:eve@home2.net'/></identity>",
    )));
    assert!(!may(&mut store, "sip:ann@home1.net"));
    assert!(may(&mut store, "sip:eve@home2.net"));
    // A malformed one lets nobody send, rather than everybody.
    set(Some("<ruleset"));
    assert!(!may(&mut store, "sip:ann@home1.net"));
    set(None);
    assert!(may(&mut store, "sip:ann@home1.net"));
}

#[test]
fn the_lists_of_a_ruleset_are_in_a_table() {
    let rig = Rig::with_hikers();
    let (mut store, hand) = (rig.store(), rig.by_hand());
    let text = ruleset("<o:external-list><o:entry anc='http://xcap/friends'/></o:external-list>");
    hand.execute("UPDATE im_group SET ruleset = ?1", [text])
        .unwrap();
    assert!(!permissions(&mut store, "sip:eve@home2.net").send);
    hand.execute(
        "INSERT INTO rule_list SELECT id, 'http://xcap/friends', 'sip:eve@home2.net' FROM im_group",
        [],
    )
    .unwrap();
    assert!(permissions(&mut store, "sip:eve@home2.net").send);
    hand.execute("DELETE FROM rule_list", []).unwrap();
    assert!(!permissions(&mut store, "sip:eve@home2.net").send);
}

#[test]
fn nested_groups_are_reported_only_if_they_get_nothing() {
    let rig = Rig::with_hikers();
    let walkers = "sip:walkers@im.home1.net";
    rig.add(walkers, &["sip:ann@home1.net"]);
    rig.editor()
        .add_members(HIKERS, [walkers], Existing::Refused)
        .unwrap();
    let skipped = |store: &mut Store| find(store, HIKERS).unwrap().unwrap().skipped().len();
    assert_eq!(skipped(&mut rig.store()), 1);
    let mut expanding = rig.store().with_nested(Nested::Expand);
    assert_eq!(skipped(&mut expanding), 0);
    assert_eq!(
        find(&mut expanding, HIKERS).unwrap().unwrap().nested(),
        [walkers]
    );
}

#[test]
fn a_union_is_composed_once_as_long_as_its_parts_are_unchanged() {
    let rig = Rig::with_hikers();
    let walkers = "sip:walkers@im.home1.net";
    rig.add(walkers, &["sip:ann@home1.net", "sip:cho@home2.net"]);
    let mut store = rig.store();
    let union = |store: &mut Store| {
        let parts = [HIKERS, walkers].map(|uri| find(store, uri).unwrap().unwrap());
        store.union(&parts, &[], &addressing())
    };
    let first = union(&mut store);
    assert_eq!((first.uri(), first.members()), (HIKERS, 4));
    assert!(Arc::ptr_eq(&first, &union(&mut store)));
    rig.editor()
        .add_members(walkers, ["sip:dee@home1.net"], Existing::Refused)
        .unwrap();
    let second = union(&mut store);
    assert_eq!(second.members(), 5);
    assert!(!Arc::ptr_eq(&first, &second));
}

#[test]
fn an_audit_covers_services_and_rulesets() {
    let rig = Rig::with_hikers();
    rig.editor().add_service(LIST, true).unwrap();
    rig.editor()
        .add_consents(LIST, ["sip:cho@home2.net"])
        .unwrap();
    let findings = || {
        let mut findings = Vec::new();
        let found = crate::store::audit(
            &DbUrl::Sqlite(rig.path.clone()),
            &addressing(),
            Nested::Skip,
            1000,
            &mut |it| findings.push(it),
        );
        assert_eq!(found.unwrap().services, 1);
        findings
    };
    assert_eq!(findings(), [""; 0]);
    let hand = rig.by_hand();
    let set = "UPDATE im_group SET ruleset = ?1";
    for (ruleset, expected) in [
        (
            "<ruleset".to_owned(),
            "its ruleset cannot be read, and nobody may send to it: line 1 of ruleset",
        ),
        (
            ruleset("<sphere value='work'/>"),
            "its ruleset: line 2: a sphere is not supported",
        ),
        (
            ruleset("<x xmlns='urn:x'/>"),
            "condition x is not supported: its rule never applies",
        ),
        (
            ruleset("<o:external-list><o:entry anc='friends'/></o:external-list>"),
            "rule a names the list friends, and its entries are unknown",
        ),
    ] {
        hand.execute(set, [ruleset]).unwrap();
        let findings = findings();
        assert!(
            findings.len() == 1 && findings[0].contains(expected),
            "{findings:?}"
        );
    }
    for (sql, expected) in [
        (
            "INSERT INTO consent SELECT id, 'im:x@h' FROM service",
            "consent of im:x@h has no effect",
        ),
        (
            "UPDATE service SET uri = 'sip:%6cistsvc@im.home1.net'",
            "service sip:%6cistsvc@im.home1.net: expected the canonical form",
        ),
        (
            "INSERT INTO member_name VALUES (99, 'sip:x@h', 'X')",
            "1 rows of member_name with group_id 99",
        ),
    ] {
        hand.execute(sql, []).unwrap();
        let findings = findings();
        assert!(
            findings.iter().any(|it| it.contains(expected)),
            "{sql}: {findings:?}"
        );
    }
}
