//! Files moved in, away or back while a worker has the database open.

use super::*;
use crate::store::file::beside;
use std::fs::{remove_file, rename};

const NEW: &str = "sip:new@im.home1.net";

fn remove_log(path: &Path) {
    for suffix in ["-wal", "-shm"] {
        let _ = remove_file(beside(path, suffix));
    }
}

#[test]
fn a_replaced_file_is_noticed_within_a_second() {
    let rig = Rig::with_hikers();
    let mut store = rig.store();
    assert!(find(&mut store, HIKERS).unwrap().is_some());
    let other = rig.other(NEW);
    remove_log(&rig.path);
    rename(other, &rig.path).unwrap();
    within_a_second(|| find(&mut store, NEW).unwrap().is_some());
    assert!(find(&mut store, HIKERS).unwrap().is_none());
    assert_eq!(store.statistics().opened, 2);
}

#[test]
fn the_path_is_checked_a_few_times_a_second() {
    let rig = Rig::with_hikers();
    let mut store = rig.store();
    within_a_second(|| {
        find(&mut store, HIKERS).unwrap();
        store.statistics().looks == 2
    });
    let spent = cost(&mut store, |store| {
        (0..100).for_each(|_| drop(find(store, HIKERS)));
    });
    assert!(spent.looks <= 1, "{spent:?}");
}

#[test]
fn a_file_moved_in_under_the_old_log_is_refused_until_the_log_is_gone() {
    let rig = Rig::with_hikers();
    let mut store = rig.store();
    find(&mut store, HIKERS).unwrap();
    rig.editor()
        .add_members(HIKERS, ["sip:cho@home2.net"], Existing::Refused)
        .unwrap();
    rename(rig.other(NEW), &rig.path).unwrap();
    within_a_second(|| match find(&mut store, NEW) {
        Err(error) => {
            let log = format!("remove {}-wal", rig.path.display());
            assert!(error.0.contains(&log), "{error}");
            true
        }
        Ok(found) => {
            assert!(found.is_none());
            false
        }
    });
    assert!(find(&mut store, HIKERS).is_err());
    remove_log(&rig.path);
    // Such a state is checked on each lookup, not every quarter of a second.
    assert_eq!(recipients(&mut store, NEW).unwrap(), ["sip:ann@home1.net"]);
    assert!(find(&mut store, HIKERS).unwrap().is_none());
}

#[test]
fn the_log_of_a_file_that_failed_is_remembered() {
    let rig = Rig::with_hikers();
    let mut store = rig.store();
    find(&mut store, HIKERS).unwrap();
    rig.by_hand().execute_batch("DELETE FROM revision").unwrap();
    assert!(find(&mut store, HIKERS).is_err());
    rename(rig.other(NEW), &rig.path).unwrap();
    let error = find(&mut store, NEW).unwrap_err();
    assert!(error.0.contains("over the log of the old one"), "{error}");
    remove_log(&rig.path);
    assert!(find(&mut store, NEW).unwrap().is_some());
}

#[test]
fn a_file_that_vanished_is_unavailable_until_it_is_back() {
    let rig = Rig::with_hikers();
    let mut store = rig.store();
    find(&mut store, HIKERS).unwrap();
    let away = rig.folder.path().join("away.db");
    rename(&rig.path, &away).unwrap();
    within_a_second(|| find(&mut store, HIKERS).is_err());
    let error = find(&mut store, HIKERS).unwrap_err().0;
    assert!(error.contains("there is no such file"), "{error}");
    rename(&away, &rig.path).unwrap();
    assert_eq!(recipients(&mut store, HIKERS).unwrap().len(), 3);
}

#[test]
fn a_redirected_symbolic_link_is_followed() {
    let rig = Rig::with_hikers();
    let link = rig.folder.path().join("link.db");
    std::os::unix::fs::symlink(&rig.path, &link).unwrap();
    let mut store = store(&link, 1000);
    assert!(find(&mut store, HIKERS).unwrap().is_some());
    let fresh = rig.folder.path().join("fresh.db");
    std::os::unix::fs::symlink(rig.other(NEW), &fresh).unwrap();
    rename(fresh, &link).unwrap();
    within_a_second(|| find(&mut store, NEW).unwrap().is_some());
}

#[test]
fn a_worker_recovers_once_a_bad_file_is_replaced_by_a_good_one() {
    let rig = Rig::with_hikers();
    let mut store = rig.store();
    find(&mut store, HIKERS).unwrap();
    let garbage = rig.folder.path().join("garbage.db");
    std::fs::write(&garbage, "no database ".repeat(1000)).unwrap();
    let broken = rig.other(NEW);
    super::refused::damage(&broken);
    for bad in [garbage, broken] {
        remove_log(&rig.path);
        rename(bad, &rig.path).unwrap();
        within_a_second(|| find(&mut store, NEW).is_err());
        let error = find(&mut store, NEW).unwrap_err().0;
        assert!(
            error.starts_with(&rig.path.display().to_string()),
            "{error}"
        );
    }
    remove_log(&rig.path);
    rename(rig.other(NEW), &rig.path).unwrap();
    within_a_second(|| find(&mut store, NEW).is_ok_and(|group| group.is_some()));
}
