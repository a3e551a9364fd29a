//! Failures that make a promise impossible while the proxy runs.

use super::*;
use std::fs;
use std::time::{Duration, Instant};

impl Rig {
    fn beside(&self, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("ledger.db{suffix}"))
    }

    fn aside(&self, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("aside.db{suffix}"))
    }

    fn move_away(&self) {
        for suffix in ["", "-wal", "-shm"] {
            fs::rename(self.beside(suffix), self.aside(suffix)).unwrap();
        }
    }

    fn probed(&mut self) -> Result<(), LedgerError> {
        self.ledger.probe()
    }
}

#[test]
fn a_moved_file_is_noticed_and_used_again_once_it_is_back() {
    let mut rig = Rig::new();
    rig.write(&[promise(1)]);
    rig.move_away();
    let expected = rig.text(
        "the file was moved or deleted while the proxy was using it; put it back, or restart the proxy",
    );
    assert_eq!(rig.refused(&[promise(2)]), expected);
    assert_eq!(rig.refused(&[promise(3)]), expected);
    assert_eq!(rig.probed().unwrap_err().to_string(), expected);
    for suffix in ["", "-wal", "-shm"] {
        fs::rename(rig.aside(suffix), rig.beside(suffix)).unwrap();
    }
    rig.probed().unwrap();
    // A message that was written but not promised does not come back.
    assert_eq!(rig.ids(), [1]);
    rig.write(&[promise(2)]);
    assert_eq!(rig.again().ids(), [1, 2]);
}

#[test]
fn a_deleted_file_and_a_deleted_folder_are_noticed() {
    let mut rig = Rig::new();
    rig.write(&[promise(1)]);
    fs::remove_file(&rig.path).unwrap();
    assert!(rig.refused(&[promise(2)]).contains("was moved or deleted"));

    let mut rig = Rig::new();
    fs::remove_dir_all(rig.folder.path()).unwrap();
    assert!(rig.refused(&[promise(2)]).contains("was moved or deleted"));
    assert!(rig.probed().is_err());
}

#[test]
fn a_replaced_file_is_noticed_and_not_written() {
    let mut rig = Rig::new();
    rig.write(&[promise(1)]);
    rig.move_away();
    let other = LedgerFile::open(&rig.path).unwrap();
    let expected = rig.text(
        "another file was put in its place while the proxy was using it; put the original back, or restart \
         the proxy",
    );
    assert_eq!(rig.refused(&[promise(2)]), expected);
    assert_eq!(rig.probed().unwrap_err().to_string(), expected);
    assert_eq!(rig.reader.is_kept(1).unwrap_err().to_string(), expected);
    let mut reader = other.reader().unwrap();
    assert_eq!(reader.figures().unwrap().unfinished, 0);
}

#[test]
fn a_deleted_log_is_recreated_and_nothing_is_lost() {
    for suffixes in [&["-wal"][..], &["-shm"], &["-wal", "-shm"]] {
        let mut rig = Rig::new();
        rig.write(&[promise(1)]);
        for suffix in suffixes {
            fs::remove_file(rig.beside(suffix)).unwrap();
        }
        let expected = rig.text(&format!(
            "{0}-wal or {0}-shm was moved or deleted while the proxy was using it; leave both alone as long as a \
             proxy runs",
            rig.path.display()
        ));
        assert_eq!(rig.refused(&[promise(2)]), expected, "{suffixes:?}");
        rig.probed().unwrap();
        rig.write(&[promise(3)]);
        assert_eq!(rig.ids(), [1, 3], "{suffixes:?}");
        assert_eq!(rig.again().ids(), [1, 3], "{suffixes:?}");
    }
}

#[test]
fn a_replaced_log_is_noticed() {
    let mut rig = Rig::new();
    rig.write(&[promise(1)]);
    fs::copy(rig.beside("-wal"), rig.aside("-wal")).unwrap();
    fs::rename(rig.aside("-wal"), rig.beside("-wal")).unwrap();
    let expected = rig.text(&format!(
        "another {0}-wal or {0}-shm was put in place of the one that the proxy was using; restart the proxy, \
         and leave both alone as long as it runs",
        rig.path.display()
    ));
    assert_eq!(rig.refused(&[promise(2)]), expected);
    assert_eq!(rig.probed().unwrap_err().to_string(), expected);
}

#[test]
fn the_lock_of_an_administrator_delays_the_proxy_for_a_bounded_time() {
    let mut rig = Rig::new();
    let administrator = Connection::open(&rig.path).unwrap();
    administrator.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = Instant::now();
    let error = rig.refused(&[promise(1)]);
    assert!(start.elapsed() < Duration::from_millis(900));
    assert_eq!(
        error,
        rig.text(&format!(
            "another process keeps it locked; find it with `fuser {}` and stop it",
            rig.path.display()
        ))
    );
    administrator.execute_batch("ROLLBACK").unwrap();
    rig.write(&[promise(1)]);
}

#[test]
fn a_long_read_delays_no_commit() {
    let mut rig = Rig::new();
    let administrator = Connection::open(&rig.path).unwrap();
    administrator
        .execute_batch("BEGIN; SELECT * FROM message")
        .unwrap();
    let start = Instant::now();
    rig.write(&[promise(1)]);
    for _ in 0..2 {
        rig.ledger.tend(NOW).unwrap();
    }
    assert!(start.elapsed() < Duration::from_millis(250));
}
