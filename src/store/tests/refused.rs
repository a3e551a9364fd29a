//! Unusable databases, at start and while running.

use super::*;
use crate::store::schema::{APPLICATION_ID, VERSION};
use crate::store::{Problem, Tables};

/// The problem of the file at `path`, which the text must name.
fn problem(path: &Path) -> Problem {
    let error = Store::check(path).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(&format!("{}: ", path.display())), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    let found = find(&mut store(path, 1000), HIKERS).map(drop);
    assert_eq!(found.unwrap_err().0, text);
    error.problem
}

#[test]
fn a_current_database_passes() {
    assert_eq!(Store::check(&Rig::with_hikers().path), Ok(()));
}

#[test]
fn a_missing_file_is_refused_and_not_created() {
    let rig = Rig::new();
    let path = rig.folder.path().join("nosuch.db");
    assert_eq!(problem(&path), Problem::Missing);
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_not_a_database_of_cimf_is_refused() {
    let rig = Rig::new();
    let path = rig.folder.path().join("text.db");
    std::fs::write(&path, "This is no database.".repeat(100)).unwrap();
    assert_eq!(problem(&path), Problem::Foreign);
    assert_eq!(init(&path).unwrap_err().problem, Problem::Foreign);
    let path = rig.folder.path().join("foreign.db");
    let foreign = Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE im_group (x)").unwrap();
    assert_eq!(problem(&path), Problem::Foreign);
    assert_eq!(init(&path).unwrap_err().problem, Problem::Foreign);
    let path = rig.folder.path().join("empty.db");
    std::fs::write(&path, "").unwrap();
    assert_eq!(problem(&path), Problem::Empty);
    assert_eq!(problem(rig.folder.path()), Problem::NotAFile);
}

#[test]
fn another_version_is_refused() {
    let rig = Rig::with_hikers();
    let hand = rig.by_hand();
    let mut store = rig.store();
    find(&mut store, HIKERS).unwrap();
    for (version, expected) in [
        (VERSION + 1, Problem::Newer(VERSION + 1)),
        (VERSION - 1, Problem::Older(VERSION - 1)),
    ] {
        hand.pragma_update(None, "user_version", version).unwrap();
        assert_eq!(problem(&rig.path), expected);
        // The same while running.
        let error = find(&mut store, HIKERS).unwrap_err().0;
        assert!(error.contains(&format!("found {version}")), "{error}");
    }
    let newer = VERSION + 1;
    hand.pragma_update(None, "user_version", newer).unwrap();
    assert_eq!(init(&rig.path).unwrap_err().problem, Problem::Newer(newer));
    hand.pragma_update(None, "user_version", VERSION).unwrap();
    assert!(find(&mut store, HIKERS).unwrap().is_some());
}

#[test]
fn init_of_a_current_database_changes_nothing() {
    let rig = Rig::with_hikers();
    let before = std::fs::read(&rig.path).unwrap();
    assert_eq!(init(&rig.path).unwrap().tables, Tables::Current);
    assert_eq!(std::fs::read(&rig.path).unwrap(), before);
}

#[test]
fn an_interrupted_init_is_completed_by_the_next() {
    let rig = Rig::new();
    let path = rig.folder.path().join("short.db");
    std::fs::write(&path, "").unwrap();
    assert_eq!(init(&path).unwrap().tables, Tables::Created);
    assert_eq!(Store::check(&path), Ok(()));
    let id = Connection::open(&path)
        .unwrap()
        .query_row("PRAGMA application_id", [], |row| row.get(0));
    assert_eq!(id, Ok(APPLICATION_ID));
}

#[test]
fn init_migrates_from_an_older_version() {
    let rig = Rig::new();
    let path = rig.folder.path().join("older.db");
    let older = Connection::open(&path).unwrap();
    older
        .pragma_update(None, "application_id", APPLICATION_ID)
        .unwrap();
    assert_eq!(problem(&path), Problem::Older(0));
    assert_eq!(init(&path).unwrap().tables, Tables::Migrated(0));
    assert_eq!(Store::check(&path), Ok(()));
}

#[test]
fn a_locked_database_is_refused_quickly() {
    let rig = Rig::with_hikers();
    let mut store = rig.store();
    let hand = rig.by_hand();
    hand.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; UPDATE im_group SET pager_mode = 1; COMMIT",
    )
    .unwrap();
    let start = Instant::now();
    let error = Store::check(&rig.path).unwrap_err();
    let waited = start.elapsed();
    assert_eq!(error.problem, Problem::Locked);
    println!("locked: refused after {waited:?}");
    // The patience of 100 ms, with tolerance for a busy machine.
    let range = Duration::from_millis(80)..Duration::from_secs(1);
    assert!(range.contains(&waited), "{waited:?}");
    assert!(find(&mut store, HIKERS).unwrap_err().0.contains("locked"));
    drop(hand);
    assert!(find(&mut store, HIKERS).unwrap().is_some());
}

#[test]
fn a_damaged_database_is_refused() {
    let rig = Rig::new();
    let path = rig.other(HIKERS);
    damage(&path);
    let error = Store::check(&path).unwrap_err();
    assert!(matches!(error.problem, Problem::Corrupt(_)), "{error}");
}

#[test]
fn a_missing_table_is_reported_while_running() {
    let rig = Rig::with_hikers();
    let mut store = rig.store();
    find(&mut store, HIKERS).unwrap();
    rig.by_hand().execute_batch("DELETE FROM revision").unwrap();
    assert!(find(&mut store, HIKERS).is_err());
    rig.by_hand().execute_batch("DROP TABLE member").unwrap();
    let error = find(&mut store, HIKERS).unwrap_err().0;
    assert!(
        error.starts_with(&rig.path.display().to_string()),
        "{error}"
    );
}

/// Overwrites all pages except the first, which identifies the file.
pub(super) fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[4096..].fill(0x5a);
    std::fs::write(path, bytes).unwrap();
}
