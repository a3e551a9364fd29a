//! Messages whose wait for the ledger was given up, in a small file in memory (tmpfs), where a write waits for no
//! disk: the commit may have reached the disk all the same, and must not be sent after a crash. The file outlives the
//! proxy; after a crash of the whole machine it is gone, and with it the clients' transactions.

#![forbid(unsafe_code)]

use crate::fanout::{Notes, SLOTS};
use siphasher::sip::SipHasher13;
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::Hasher;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where files in memory are.
const FOLDER: &str = "/dev/shm";
/// Bytes of a place.
const PLACE: usize = size_of::<u64>();

/// The file, or none where it cannot be used.
#[derive(Debug)]
pub struct NoteFile {
    path: PathBuf,
    file: Option<File>,
}

impl NoteFile {
    /// The file that belongs to a ledger with this key: not to another one that has got its inode since. One that
    /// cannot be used is named in the log.
    pub fn of(ledger: &Path, key: [u8; 16]) -> Self {
        let secret = SipHasher13::new_with_key(&key).finish();
        match ledger.metadata() {
            Ok(ledger) => Self::open(Path::new(FOLDER), [ledger.dev(), ledger.ino(), secret]),
            Err(error) => Self::none(ledger.to_owned(), &error),
        }
    }

    /// The file of a node that shares its ledger with others: of what leads there.
    ///
    /// # Errors
    ///
    /// Another proxy of this machine uses it.
    pub fn of_node(node: &str, url: &str) -> Result<Self, String> {
        let mut hasher = SipHasher13::new();
        hasher.write(node.as_bytes());
        hasher.write_u8(0);
        hasher.write(url.as_bytes());
        let notes = Self::open(Path::new(FOLDER), [0, 0, hasher.finish()]);
        // It is free again when the last process of this proxy has ended.
        let is_taken = notes
            .file
            .as_ref()
            .is_some_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
        match is_taken {
            true => Err(notes.path.display().to_string()),
            false => Ok(notes),
        }
    }

    fn open(folder: &Path, [device, inode, secret]: [u64; 3]) -> Self {
        let path = folder.join(format!("cimf-ledger-{device:x}-{inode:x}-{secret:x}"));
        match open(&path) {
            Ok(file) => Self {
                path,
                file: Some(file),
            },
            Err(error) => Self::none(path, &error),
        }
    }

    fn none(path: PathBuf, error: &io::Error) -> Self {
        log::warn!(
            "ledger: cannot use {}: {error}; a message whose commit was too slow is answered 503, but may be sent \
             after a crash in that moment",
            path.display()
        );
        Self { path, file: None }
    }

    /// The messages that the last run has given up and not withdrawn.
    pub fn given_up(&self) -> Vec<u64> {
        let Some(file) = &self.file else {
            return Vec::new();
        };
        let mut bytes = vec![0; SLOTS * PLACE];
        if let Err(error) = file.read_exact_at(&mut bytes, 0) {
            log::warn!("ledger: cannot read {}: {error}", self.path.display());
            return Vec::new();
        }
        let (places, _) = bytes.as_chunks();
        let ids = places.iter().map(|&place| u64::from_le_bytes(place));
        ids.filter(|&id| id != 0).collect()
    }

    /// Forgets these, which are withdrawn.
    pub fn forget(&self, withdrawn: &[u64]) {
        let Some(file) = &self.file else { return };
        let mut bytes = [0; PLACE];
        for place in 0..SLOTS {
            let read = file.read_exact_at(&mut bytes, (place * PLACE) as u64);
            if read.is_ok() && withdrawn.contains(&u64::from_le_bytes(bytes)) {
                self.note(place, 0);
            }
        }
    }

    /// Forgets all of them.
    pub fn clear(&self) {
        (0..SLOTS).for_each(|place| self.note(place, 0));
    }

    /// Leaves no file behind, where it says nothing.
    pub fn remove(&self) {
        if self.file.is_some() && self.given_up().is_empty() {
            // If it stays, it does no harm.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Notes for NoteFile {
    fn note(&self, place: usize, id: u64) {
        let Some(file) = &self.file else { return };
        let written = file.write_all_at(&id.to_le_bytes(), (place * PLACE) as u64);
        if let Err(error) = written {
            log::error!("ledger: cannot write {}: {error}", self.path.display());
        }
    }
}

/// Opens the file, which anybody may have made in a folder that anybody may write.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    let found = file.metadata()?;
    let own = rustix::process::geteuid().as_raw();
    let is_ours =
        found.is_file() && found.nlink() == 1 && found.uid() == own && found.mode() & 0o077 == 0;
    if !is_ours {
        return Err(io::Error::other(format!(
            "expected a file of user {own} that nobody else may read or write, found user {} and mode {:o}; remove \
             it",
            found.uid(),
            found.mode() & 0o7777
        )));
    }
    // All places are there from now on, so that none needs memory later.
    let missing = (SLOTS * PLACE) as u64 - found.len().min((SLOTS * PLACE) as u64);
    file.write_all_at(&vec![0; missing as usize], found.len())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn what_was_given_up_is_there_for_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let notes = || NoteFile::open(folder.path(), [5, 7, 9]);
        let first = notes();
        assert!(first.given_up().is_empty());
        first.note(3, 41);
        first.note(SLOTS - 1, u64::MAX >> 1);
        first.note(4, 42);
        first.note(4, 0);
        first.remove();
        drop(first);
        let second = notes();
        assert_eq!(second.given_up(), [41, u64::MAX >> 1]);
        second.clear();
        assert!(second.given_up().is_empty());
        second.remove();
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn a_ledger_that_got_the_inode_of_another_has_notes_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger.db");
        std::fs::write(&ledger, "").unwrap();
        let [first, second] = [[1; 16], [2; 16]].map(|key| NoteFile::of(&ledger, key));
        first.note(0, 41);
        assert_eq!(first.given_up(), [41]);
        assert!(second.given_up().is_empty());
        first.clear();
        first.remove();
        second.remove();
    }

    #[test]
    fn a_file_of_somebody_elses_making_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cimf-ledger-5-7-9");
        let target = folder.path().join("target");
        let is_used = || NoteFile::open(folder.path(), [5, 7, 9]).file.is_some();
        symlink(&target, &path).unwrap();
        assert!(!is_used() && !target.exists());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
        assert!(!is_used());
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::hard_link(&path, &target).unwrap();
        assert!(!is_used());
        std::fs::remove_file(&target).unwrap();
        assert!(is_used());
    }
}
