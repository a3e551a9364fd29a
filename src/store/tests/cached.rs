//! What is read from the database, and how often.

use super::*;
use crate::store::directory::skipped_lines;
use crate::store::edit::Missing;

const READ_ONCE: Statistics = Statistics {
    opened: 1,
    looks: 0,
    version_checks: 1,
    group_queries: 1,
    loads: 1,
};

const UNTOUCHED: Statistics = Statistics {
    opened: 0,
    looks: 0,
    version_checks: 0,
    group_queries: 0,
    loads: 0,
};

#[test]
fn a_store_opens_nothing_before_the_first_lookup() {
    let mut store = store(Path::new("/nonexistent/cimf.db"), 1000);
    assert_eq!(store.statistics(), Statistics::default());
    let error = find(&mut store, HIKERS).unwrap_err();
    assert!(
        error
            .0
            .starts_with("/nonexistent/cimf.db: there is no such file")
    );
}

#[test]
fn an_unchanged_database_costs_no_group_query() {
    let rig = Rig::with_hikers();
    let mut store = rig.store();
    let look = |store: &mut Store| assert_eq!(recipients(store, HIKERS).unwrap().len(), 3);
    assert_eq!(cost(&mut store, look), READ_ONCE);
    assert_eq!(cost(&mut store, look), UNTOUCHED);
}

#[test]
fn a_write_that_changes_no_group_is_asked_about_once() {
    let rig = Rig::with_hikers();
    let mut store = rig.store();
    let look = |store: &mut Store| assert_eq!(recipients(store, HIKERS).unwrap().len(), 3);
    assert_eq!(cost(&mut store, look), READ_ONCE);
    rig.add("sip:others@im.home1.net", &[]);
    let asked = Statistics {
        loads: 0,
        opened: 0,
        ..READ_ONCE
    };
    assert_eq!(cost(&mut store, look), asked);
    assert_eq!(cost(&mut store, look), UNTOUCHED);
}

#[test]
fn every_commit_is_seen_by_the_next_lookup() {
    // Whoever commits, in this process or in another, and however soon.
    let rig = Rig::with_hikers();
    let mut store = rig.store();
    let hand = rig.by_hand();
    for round in 0..500 {
        let on = round % 2;
        hand.execute("UPDATE im_group SET pager_mode = ?1", [on])
            .unwrap();
        let found = find(&mut store, HIKERS).unwrap().unwrap();
        assert_eq!(found.pager_mode(), on == 1, "round {round}");
        if round % 50 == 0 {
            // The log begins anew with the next commit.
            hand.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()))
                .unwrap();
        }
    }
}

#[test]
fn without_a_log_sqlite_is_asked_each_time() {
    let rig = Rig::with_hikers();
    let hand = rig.by_hand();
    hand.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))
        .unwrap();
    let mut store = rig.store();
    let look = |store: &mut Store| assert_eq!(recipients(store, HIKERS).unwrap().len(), 3);
    assert_eq!(cost(&mut store, look), READ_ONCE);
    let asked = Statistics {
        version_checks: 1,
        ..UNTOUCHED
    };
    assert_eq!(cost(&mut store, look), asked);
    hand.execute("DELETE FROM member WHERE uri LIKE 'sip:bob%'", [])
        .unwrap();
    assert_eq!(recipients(&mut store, HIKERS).unwrap().len(), 2);
}

#[test]
fn an_address_that_is_not_a_group_is_cached_too() {
    let rig = Rig::with_hikers();
    let mut store = rig.store();
    let look =
        |store: &mut Store| assert!(find(store, "sip:nobody@im.home1.net").unwrap().is_none());
    assert_eq!(
        cost(&mut store, look),
        Statistics {
            loads: 0,
            ..READ_ONCE
        }
    );
    assert_eq!(cost(&mut store, look), UNTOUCHED);
    rig.add("sip:nobody@im.home1.net", &[]);
    assert!(
        find(&mut store, "sip:nobody@im.home1.net")
            .unwrap()
            .is_some()
    );
}

#[test]
fn any_spelling_of_the_address_finds_the_group() {
    // A-3, C-1.
    let rig = Rig::with_hikers();
    let mut store = rig.store();
    for uri in [
        HIKERS,
        "SIP:%68ikers@IM.Home1.NET;x=1?Subject=a",
        "sip:hikers@im.home1.net:5060;",
        "sip:hikers@im.home1.net;transport=tcp;user=phone;lr",
        "sip:hikers@im.home1.net:5061;transport=tls",
    ] {
        assert_eq!(find(&mut store, uri).unwrap().unwrap().uri(), HIKERS);
    }
    for uri in [
        "sips:hikers@im.home1.net",
        "sip:Hikers@im.home1.net",
        "sip:hikers@im.home1.net:5070",
        "sip:hikers@im.home1.net:5061",
        "sip:im.home1.net",
    ] {
        assert!(find(&mut store, uri).unwrap().is_none(), "{uri}");
    }
}

#[test]
fn pager_mode_is_the_groups_own() {
    // A-2.
    let rig = Rig::with_hikers();
    let mut store = rig.store();
    assert!(find(&mut store, HIKERS).unwrap().unwrap().pager_mode());
    rig.by_hand()
        .execute("UPDATE im_group SET pager_mode = 0", [])
        .unwrap();
    assert!(!find(&mut store, HIKERS).unwrap().unwrap().pager_mode());
}

#[test]
fn editing_one_group_reloads_only_that_group() {
    let rig = Rig::with_hikers();
    let other = "sip:climbers@im.home1.net";
    rig.add(other, &["sip:ann@home1.net"]);
    let mut store = rig.store();
    for uri in [HIKERS, other] {
        find(&mut store, uri).unwrap();
    }
    rig.editor()
        .add_members(other, ["sip:cho@home2.net"], Existing::Refused)
        .unwrap();
    let asked = Statistics {
        version_checks: 1,
        group_queries: 1,
        ..UNTOUCHED
    };
    let look = |store: &mut Store| assert_eq!(recipients(store, HIKERS).unwrap().len(), 3);
    assert_eq!(cost(&mut store, look), asked);
    assert_eq!(cost(&mut store, look), UNTOUCHED);
    let look = |store: &mut Store| assert_eq!(recipients(store, other).unwrap().len(), 2);
    let read = Statistics {
        version_checks: 0,
        loads: 1,
        ..asked
    };
    assert_eq!(cost(&mut store, look), read);
    assert_eq!(cost(&mut store, look), UNTOUCHED);
}

#[test]
fn a_group_without_members_is_a_group() {
    // T 41.
    let rig = Rig::new();
    rig.add(HIKERS, &[]);
    let group = find(&mut rig.store(), HIKERS).unwrap().unwrap();
    assert_eq!((group.members(), group.recipients()), (0, 0));
}

#[test]
fn a_member_that_is_a_group_gets_no_message_as_long_as_it_is_one() {
    // H-4, T 86.
    let rig = Rig::with_hikers();
    let nested = "sip:%63limbers@IM.home1.net;x=1";
    let mut editor = rig.editor();
    editor
        .add_members(HIKERS, [nested], Existing::Refused)
        .unwrap();
    let mut store = rig.store();
    let count = |store: &mut Store| recipients(store, HIKERS).unwrap().len();
    assert_eq!(count(&mut store), 4);
    rig.add("sip:climbers@im.home1.net", &[]);
    assert_eq!(count(&mut store), 3);
    editor.delete_group("sip:climbers@im.home1.net").unwrap();
    assert_eq!(count(&mut store), 4);
    // The same after a change of address.
    rig.add("sip:walkers@im.home1.net", &[]);
    let hand = rig.by_hand();
    for (uri, expected) in [("climbers", 3), ("walkers", 4)] {
        let sql = "UPDATE im_group SET uri = ?1 WHERE uri <> ?2";
        let uri = format!("sip:{uri}@im.home1.net");
        assert_eq!(hand.execute(sql, [&uri, HIKERS]), Ok(1));
        assert_eq!(count(&mut store), expected);
    }
}

#[test]
fn a_new_group_that_is_not_a_member_reloads_nothing() {
    let rig = Rig::with_hikers();
    let mut store = rig.store();
    find(&mut store, HIKERS).unwrap();
    rig.add("sip:climbers@im.home1.net", &["sip:ann@home1.net"]);
    let spent = cost(&mut store, |store| {
        find(store, HIKERS).unwrap();
    });
    assert_eq!((spent.group_queries, spent.loads), (1, 0));
}

#[test]
fn skipped_members_are_logged_in_ten_lines_and_a_count() {
    let rig = Rig::new();
    rig.add(HIKERS, &[]);
    let hand = rig.by_hand();
    for number in 0..13 {
        let member = format!("im:bob{number:02}@home1.net");
        hand.execute("INSERT INTO member SELECT id, ?1 FROM im_group", [member])
            .unwrap();
    }
    let group = find(&mut rig.store(), HIKERS).unwrap().unwrap();
    let lines = skipped_lines(&group);
    assert_eq!(lines.len(), 11);
    assert_eq!(
        lines[0],
        "group sip:hikers@im.home1.net: member im:bob00@home1.net gets no message: only sip, sips and tel can be sent to"
    );
    assert_eq!(
        lines[10],
        "group sip:hikers@im.home1.net: 3 more members get no message"
    );
}

#[test]
fn text_from_the_database_is_escaped_in_the_log() {
    let rig = Rig::new();
    rig.add(HIKERS, &[]);
    // The tables refuse such text, but a file of another origin may contain it.
    let hand = rig.by_hand();
    hand.pragma_update(None, "ignore_check_constraints", true)
        .unwrap();
    let raw = "INSERT INTO member SELECT id, CAST(x'7369703a0a1bff' AS TEXT) FROM im_group";
    hand.execute(raw, []).unwrap();
    let group = find(&mut rig.store(), HIKERS).unwrap().unwrap();
    let line = skipped_lines(&group).remove(0);
    assert!(
        line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
        "{line:?}"
    );
    assert!(line.contains(r"member sip:\n\x1b"), "{line}");
}

#[test]
fn the_cache_keeps_the_most_recently_used() {
    let rig = Rig::new();
    let members: Vec<String> = (0..30).map(|n| format!("sip:m{n}@home1.net")).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let uris: Vec<String> = (0..4).map(|n| format!("sip:g{n}@im.home1.net")).collect();
    uris.iter().for_each(|uri| rig.add(uri, &members));
    // Room for three groups of 31: an eighth of 112 is kept for absences.
    let mut store = store(&rig.path, 112);
    let look = |store: &mut Store, at: usize| {
        cost(store, |store| {
            assert_eq!(recipients(store, &uris[at]).unwrap().len(), 30)
        })
        .loads
    };
    let loads: Vec<u64> = [0, 1, 2, 0, 3, 0, 2, 1]
        .map(|at| look(&mut store, at))
        .into();
    assert_eq!(loads, [1, 1, 1, 0, 1, 0, 0, 1]);
}

#[test]
fn made_up_addresses_do_not_evict_groups() {
    let rig = Rig::with_hikers();
    let mut store = store(&rig.path, 100);
    find(&mut store, HIKERS).unwrap();
    for number in 0..1000 {
        let uri = format!("sip:nobody{number}@im.home1.net");
        assert!(find(&mut store, &uri).unwrap().is_none());
    }
    let look = |store: &mut Store| assert!(find(store, HIKERS).unwrap().is_some());
    assert_eq!(cost(&mut store, look), UNTOUCHED);
}

#[test]
fn a_group_larger_than_the_cache_is_served() {
    let rig = Rig::with_hikers();
    let mut store = store(&rig.path, 1);
    for _ in 0..3 {
        let look = |store: &mut Store| assert_eq!(recipients(store, HIKERS).unwrap().len(), 3);
        assert_eq!(cost(&mut store, look).loads, 1);
    }
}

#[test]
fn a_group_over_the_limit_is_unavailable_and_not_read_repeatedly() {
    // S-3.
    let rig = Rig::with_hikers();
    let mut store = Store::new(&rig.path, addressing(), 2, 1000);
    let error = find(&mut store, HIKERS).unwrap_err().to_string();
    let expected = "the group sip:hikers@im.home1.net has 3 members, and max_members allows 2";
    assert!(error.contains(expected), "{error}");
    let look = |store: &mut Store| assert_eq!(find(store, HIKERS).unwrap_err().0, error);
    assert_eq!(cost(&mut store, look), UNTOUCHED);
    rig.editor()
        .delete_members(HIKERS, ["sip:bob@home1.net"], Missing::Refused)
        .unwrap();
    assert_eq!(recipients(&mut store, HIKERS).unwrap().len(), 2);
}
