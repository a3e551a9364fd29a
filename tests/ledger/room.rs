//! Disks that are full or read-only, and files that belong to somebody else.

use super::messages::{ids, open, promise, refused};
use super::processes::{alone, fork, wait};
use cimf::ledger::{CommitMode, Entry, Ledger, SqliteLedger};
use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

const NOBODY: u32 = 65534;
/// The exit status of a child that may not do what it has to.
const NOT_ALLOWED: i32 = 77;

fn limit_files_to(bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the signal is only ignored and the limit read from a local.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
    }
}

fn commit(ledger: &mut SqliteLedger, id: u64, body: &[u8]) -> Result<(), String> {
    let entries = [promise(id, body)];
    let done = ledger.commit(&entries, CommitMode::Synced);
    done.map(drop).map_err(|error| error.to_string())
}

#[test]
fn a_file_that_may_not_grow_is_an_error_and_room_makes_it_work_again() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let file = open(&path);
    let child = fork(|| {
        let mut ledger = file.writer().unwrap();
        commit(&mut ledger, 1, b"one").unwrap();
        // The file of the log is longer than what it holds.
        limit_files_to(40_000);
        // The first is written in part, and then not even the file can grow.
        for id in [2, 3] {
            let error = commit(&mut ledger, id, &[7; 30_000]).unwrap_err();
            assert!(error.ends_with(
                "; see what the kernel reports about the disk (`dmesg`), and whether it is full or read-only"
            ));
        }
        limit_files_to(libc::RLIM_INFINITY);
        ledger.probe().unwrap();
        commit(&mut ledger, 4, &[7; 30_000]).unwrap();
    });
    assert_eq!(wait(child), 0);
    assert_eq!(ids(&file), [1, 4]);
    drop(file);
    assert_eq!(ids(&open(&path)), [1, 4]);
}

/// Gives this process a tmpfs of its own; false if it may not have one.
fn mounts(folder: &Path, options: &str) -> bool {
    // SAFETY: plain system calls; this process has one thread.
    let (user, group) = unsafe { (libc::getuid(), libc::getgid()) };
    let spaces = libc::CLONE_NEWNS | if user == 0 { 0 } else { libc::CLONE_NEWUSER };
    // SAFETY: as above.
    if unsafe { libc::unshare(spaces) } != 0 {
        return false;
    }
    if user != 0 {
        fs::write("/proc/self/setgroups", "deny").unwrap();
        fs::write("/proc/self/uid_map", format!("0 {user} 1")).unwrap();
        fs::write("/proc/self/gid_map", format!("0 {group} 1")).unwrap();
    }
    mount("/", None, libc::MS_REC | libc::MS_PRIVATE, "")
        && mount(folder.to_str().unwrap(), Some("tmpfs"), 0, options)
}

fn mount(target: &str, kind: Option<&str>, flags: u64, options: &str) -> bool {
    let text = |text: &str| CString::new(text).unwrap();
    let (target, options) = (text(target), text(options));
    let kind = kind.map(text);
    let kind = kind.as_ref().map_or(std::ptr::null(), |kind| kind.as_ptr());
    // SAFETY: the texts end with NUL and outlive the call.
    unsafe { libc::mount(kind, target.as_ptr(), kind, flags, options.as_ptr().cast()) == 0 }
}

/// Runs `work` in a child that may mount a tmpfs of 1 MiB on a folder.
fn with_a_small_disk(work: impl FnOnce(&Path)) {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let child = fork(|| {
        if !mounts(folder.path(), "size=1m") {
            // SAFETY: the child ends here.
            unsafe { libc::_exit(NOT_ALLOWED) };
        }
        work(folder.path());
    });
    match wait(child) {
        NOT_ALLOWED => println!("not run: this user may not mount a file system of their own"),
        status => assert_eq!(status, 0),
    }
}

#[test]
fn a_full_disk_is_an_error_and_room_makes_it_work_again() {
    with_a_small_disk(|folder| {
        let path = folder.join("ledger.db");
        let file = open(&path);
        let mut ledger = file.writer().unwrap();
        commit(&mut ledger, 1, b"one").unwrap();
        let filler = folder.join("filler");
        let error = (0..).find_map(|_| {
            use std::io::Write;
            let mut options = fs::OpenOptions::new();
            let mut filler = options.create(true).append(true).open(&filler).unwrap();
            filler.write_all(&[0; 4096]).err()
        });
        assert_eq!(error.unwrap().raw_os_error(), Some(libc::ENOSPC));
        let expected = format!(
            "{}: no space is left on the disk (or within the quota of the proxy's user); free some, and the \
             proxy continues by itself",
            path.display()
        );
        for id in [2, 3] {
            assert_eq!(commit(&mut ledger, id, &[7; 30_000]).unwrap_err(), expected);
        }
        // Another proxy cannot even begin.
        let other = folder.join("other.db");
        assert!(refused(&other).to_string().contains("no space is left"));
        fs::remove_file(&filler).unwrap();
        ledger.probe().unwrap();
        commit(&mut ledger, 4, &[7; 30_000]).unwrap();
        drop((ledger, file));
        assert_eq!(ids(&open(&path)), [1, 4]);
    });
}

#[test]
fn a_disk_that_the_log_itself_has_filled_stops_nobody_for_long() {
    with_a_small_disk(|folder| {
        let path = folder.join("ledger.db");
        let file = open(&path);
        let mut ledger = file.writer().unwrap();
        let mut failed = 0;
        // Many times what the disk holds, and never a moment without work.
        for id in 1..2_000 {
            let entries = [promise(id, b"body"), Entry::Finished { id: id - 1 }];
            if ledger.commit(&entries, CommitMode::Synced).is_err() {
                failed += 1;
                ledger.probe().unwrap();
                ledger.commit(&entries, CommitMode::Synced).unwrap();
            }
        }
        assert!((1..50).contains(&failed), "{failed} failed");
        drop((ledger, file));
        assert_eq!(ids(&open(&path)), [1_999]);
    });
}

#[test]
fn a_read_only_disk_is_refused() {
    with_a_small_disk(|folder| {
        let path = folder.join("ledger.db");
        drop(open(&path));
        let target = folder.to_str().unwrap();
        let flags = libc::MS_REMOUNT | libc::MS_RDONLY;
        assert!(mount(target, Some("tmpfs"), flags, ""));
        let expected = |path: &Path| {
            format!(
                "{0}: Read-only file system (os error 30); the proxy's user must be able to write the file, {0}-wal, \
                 {0}-shm and their folder, on a file system that is not read-only",
                path.display()
            )
        };
        assert_eq!(refused(&path).to_string(), expected(&path));
        let new = folder.join("new.db");
        assert_eq!(refused(&new).to_string(), expected(&new));
    });
}

#[test]
fn a_file_that_the_user_may_not_write_is_refused() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    drop(open(&path));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    if folder.path().metadata().unwrap().uid() == 0 {
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let child = fork(|| {
        // SAFETY: plain system calls; this process has one thread.
        unsafe {
            if libc::getuid() == 0 {
                assert_eq!(libc::setgid(NOBODY), 0);
                assert_eq!(libc::setuid(NOBODY), 0);
            }
        }
        let expected = format!(
            "{0}: Permission denied (os error 13); the proxy's user must be able to write the file, {0}-wal, {0}-shm \
             and their folder, on a file system that is not read-only",
            path.display()
        );
        assert_eq!(refused(&path).to_string(), expected);
    });
    assert_eq!(wait(child), 0);
}
