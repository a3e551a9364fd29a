//! One proxy at a time has a ledger, as long as any process of it lives.

use super::messages::{open, refused};
use super::processes::{alone, fork, kill, wait};
use cimf::fanout::shared_memory::SharedMemory;
use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// Opens the ledger in a child that stays until it is killed; returns when it has it.
fn hold(path: &Path, also: impl FnOnce()) -> i32 {
    let ready = path.with_file_name("ready");
    let child = fork(|| {
        let _file = open(path);
        also();
        File::create(&ready).unwrap();
        std::thread::sleep(Duration::from_secs(600));
    });
    let start = Instant::now();
    while !ready.exists() {
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

fn assert_in_use(path: &Path) {
    let expected = format!(
        "{0}: another proxy, or a process left over from one, is using it (`fuser {0}` names it); stop that \
         one, or give this proxy a ledger of its own",
        path.display()
    );
    assert_eq!(refused(path).to_string(), expected);
}

#[test]
fn a_second_proxy_is_refused_until_the_last_process_of_the_first_has_ended() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let memory = SharedMemory::new(1).unwrap();
    let first = hold(&path, || {
        let worker = fork(|| std::thread::sleep(Duration::from_secs(600)));
        memory.words()[0].store(worker as u64, SeqCst);
    });
    assert_in_use(&path);
    kill(first);
    wait(first);
    assert_in_use(&path);
    // Not our child any more: nobody waits for it but init.
    kill(memory.words()[0].load(SeqCst) as i32);
    open(&path);
}

#[test]
fn nobody_gets_in_by_removing_what_lies_beside_the_file() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let first = hold(&path, || {
        let file = open(&path.with_file_name("other.db"));
        // Files of SQLite's own, and one that looks like a lock.
        std::mem::forget(file.writer());
        File::create(path.with_file_name("ledger.db.lock")).unwrap();
    });
    for file in fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap().path();
        if file != path {
            fs::remove_file(file).unwrap();
        }
    }
    assert_in_use(&path);
    kill(first);
    wait(first);
}
