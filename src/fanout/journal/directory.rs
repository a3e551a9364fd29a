//! The directory of a journal: it is made if need be, and belongs to one proxy at a time.
//!
//! The main process locks a file in it before it forks. The workers inherit the lock, and it goes
//! with the last of them: a worker that outlives a killed main process could still append, so the
//! next proxy must wait for it.

use super::error::JournalError;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// The file that the proxy locks; it holds the main process's id.
const LOCK: &str = "proxy.lock";

/// How long a lock may still be held by processes that were just killed.
const GRACE: Duration = Duration::from_secs(1);

/// Makes the directory, with those above it, unless it is there.
pub(super) fn prepare(directory: &Path) -> Result<(), JournalError> {
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory);
    made.map_err(JournalError::io("make the directory", directory))
}

/// Takes the directory for this proxy, for as long as the file stays open in any of its processes.
pub(super) fn lock(directory: &Path) -> Result<File, JournalError> {
    let path = directory.join(LOCK);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options
        .mode(0o600)
        .open(&path)
        .map_err(JournalError::io("open", &path))?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if start.elapsed() < GRACE => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => return Err(held(directory, file)),
            Err(TryLockError::Error(source)) => {
                return Err(JournalError::io("lock", &path)(source));
            }
        }
    }
    let note = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    note.map_err(JournalError::io("write", &path))?;
    Ok(file)
}

fn held(directory: &Path, mut file: File) -> JournalError {
    let mut text = String::new();
    let read = file.read_to_string(&mut text);
    let holder = read.ok().and_then(|_| text.trim().parse().ok());
    let process = holder.and_then(|pid: u32| rustix::process::Pid::from_raw(pid.try_into().ok()?));
    let alive = process.is_some_and(|pid| {
        // A process of another user is there, too.
        !matches!(rustix::process::test_kill_process(pid), Err(error) if error == rustix::io::Errno::SRCH)
    });
    JournalError::Held {
        directory: directory.to_owned(),
        holder,
        alive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_missing_directory_is_made_for_its_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("lib/journal");
        prepare(&directory).unwrap();
        let mode = directory.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        prepare(&directory).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = prepare(&file.path().join("journal"))
            .unwrap_err()
            .to_string();
        let path = file.path().display();
        assert!(
            error.starts_with(&format!("cannot make the directory {path}/journal: ")),
            "{error}"
        );
    }

    #[test]
    fn a_second_proxy_is_told_the_process_of_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let first = lock(directory.path()).unwrap();
        let error = lock(directory.path()).unwrap_err().to_string();
        let expected = format!(
            "the journal in {} is in use by process {}: ",
            directory.path().display(),
            std::process::id()
        );
        assert!(error.starts_with(&expected), "{error}");
        drop(first);
        lock(directory.path()).unwrap();
    }
}
