//! Edits by hand, as with the sqlite3 program.

use super::*;

#[test]
fn edits_by_hand_are_seen_at_the_next_look_up() {
    let rig = Rig::with_hikers();
    let (hand, mut store) = (rig.by_hand(), rig.store());
    assert_eq!(recipients(&mut store, HIKERS).unwrap().len(), 3);
    for (sql, members) in [
        (
            "INSERT INTO member SELECT id, 'sip:cho@home2.net' FROM im_group",
            Some(4),
        ),
        (
            "DELETE FROM member WHERE uri = 'sip:ann@home1.net'",
            Some(3),
        ),
        (
            "UPDATE member SET uri = 'im:x' WHERE uri = 'sip:bob@home1.net'",
            Some(2),
        ),
        (
            "REPLACE INTO member SELECT id, 'sip:dee@home1.net' FROM im_group",
            Some(3),
        ),
        ("UPDATE im_group SET uri = 'sip:walkers@im.home1.net'", None),
        (
            "UPDATE im_group SET uri = 'sip:hikers@im.home1.net'",
            Some(3),
        ),
        ("DELETE FROM im_group", None),
        (
            "INSERT INTO im_group (uri) VALUES ('sip:hikers@im.home1.net')",
            Some(0),
        ),
    ] {
        hand.execute(sql, []).unwrap();
        let found = recipients(&mut store, HIKERS);
        assert_eq!(found.map(|found| found.len()), members, "{sql}");
    }
    assert_eq!(store.statistics().opened, 1);
}

#[test]
fn a_group_that_is_deleted_and_made_anew_is_not_taken_for_the_old_one() {
    let rig = Rig::with_hikers();
    let mut store = rig.store();
    assert_eq!(recipients(&mut store, HIKERS).unwrap().len(), 3);
    let hand = rig.by_hand();
    hand.execute_batch(
        "BEGIN; DELETE FROM im_group; DELETE FROM sqlite_sequence;
         INSERT INTO im_group (uri) VALUES ('sip:hikers@im.home1.net');
         INSERT INTO member SELECT id, 'sip:cho@home2.net' FROM im_group; COMMIT",
    )
    .unwrap();
    assert_eq!(
        recipients(&mut store, HIKERS).unwrap(),
        ["sip:cho@home2.net"]
    );
}

#[test]
fn a_member_moved_to_another_group_changes_both() {
    let rig = Rig::with_hikers();
    let other = "sip:climbers@im.home1.net";
    rig.add(other, &[]);
    let mut store = rig.store();
    find(&mut store, HIKERS).unwrap();
    find(&mut store, other).unwrap();
    rig.by_hand()
        .execute(
            "UPDATE member SET group_id = (SELECT id FROM im_group WHERE uri = ?1)
             WHERE uri = 'sip:bob@home1.net'",
            [other],
        )
        .unwrap();
    assert_eq!(recipients(&mut store, HIKERS).unwrap().len(), 2);
    assert_eq!(
        recipients(&mut store, other).unwrap(),
        ["sip:bob@home1.net"]
    );
}

#[test]
fn members_go_with_their_group() {
    let rig = Rig::with_hikers();
    let hand = rig.by_hand();
    hand.execute("DELETE FROM im_group", []).unwrap();
    let left = "SELECT count(*) FROM member";
    assert_eq!(hand.query_row(left, [], |row| row.get(0)), Ok(0));
}

#[test]
fn what_can_never_work_is_refused_with_a_reason() {
    let rig = Rig::with_hikers();
    let hand = rig.by_hand();
    for (sql, reason) in [
        (
            "INSERT INTO member VALUES (99, 'sip:x@h')",
            "no group has this group_id: insert the group into im_group first",
        ),
        (
            "UPDATE member SET group_id = 99",
            "no group has this group_id",
        ),
        (
            "UPDATE im_group SET id = 99",
            "the id of a group cannot change",
        ),
        (
            "INSERT INTO im_group (uri) VALUES ('SIP:a@h')",
            "the scheme in lower case",
        ),
        (
            "INSERT INTO im_group (uri) VALUES ('tel:+1555')",
            "a group URI is sip:USER@HOST",
        ),
        (
            "INSERT INTO im_group (uri) VALUES ('sip:h')",
            "a group URI is sip:USER@HOST",
        ),
        (
            "INSERT INTO im_group (uri) VALUES ('sip:a@H')",
            "in lower case after the '@'",
        ),
        (
            "INSERT INTO im_group (uri) VALUES ('sip:a@h?b=c')",
            "no headers",
        ),
        (
            "INSERT INTO im_group (uri) VALUES ('sip:a@h ')",
            "no white space",
        ),
        (
            "INSERT INTO im_group (uri) VALUES (x'7369703a614068')",
            "a group URI is sip:USER@HOST",
        ),
        (
            "INSERT INTO im_group (uri, pager_mode) VALUES ('sip:a@h', 2)",
            "pager_mode is 0 or 1",
        ),
        (
            "INSERT INTO im_group (uri) VALUES ('sip:hikers@im.home1.net')",
            "UNIQUE",
        ),
        (
            "INSERT INTO member SELECT id, 'sip:a@h' || char(10) FROM im_group",
            "without white space",
        ),
        (
            "INSERT INTO member SELECT id, 'bob' FROM im_group",
            "a member URI is a scheme, a colon",
        ),
        (
            "INSERT INTO revision VALUES (2, 1, 1)",
            "revision has one row",
        ),
    ] {
        let error = hand.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains(reason), "{sql}: {error}");
    }
    for sql in [
        "INSERT INTO im_group (uri) VALUES ('sips:A?b@[::1]:5061;transport=tcp')",
        "INSERT INTO im_group (uri) VALUES ('sip:hikers@im.home1.net')
         ON CONFLICT (uri) DO UPDATE SET display_name = 'x'",
    ] {
        assert_eq!(hand.execute(sql, []), Ok(1), "{sql}");
    }
}

#[test]
fn an_edit_that_is_not_finished_is_not_seen() {
    let rig = Rig::with_hikers();
    let (hand, mut store) = (rig.by_hand(), rig.store());
    find(&mut store, HIKERS).unwrap();
    hand.execute_batch("BEGIN; DELETE FROM member").unwrap();
    assert_eq!(recipients(&mut store, HIKERS).unwrap().len(), 3);
    hand.execute_batch("COMMIT").unwrap();
    assert_eq!(recipients(&mut store, HIKERS).unwrap().len(), 0);
}

#[test]
fn a_worker_does_not_write() {
    let rig = Rig::with_hikers();
    let database = crate::store::database::Database::open(&rig.path).unwrap();
    let error = database.connection.execute("DELETE FROM im_group", []);
    assert!(error.is_err());
}
