//! Checks that the files in use are still those at their paths. SQLite continues to write to a deleted
//! file, and its `SQLITE_FCNTL_HAS_MOVED` checks neither the device nor the log, which holds the
//! commits.
//!
//! Nothing but SQLite may open the files in a process that has them open: closing any descriptor of
//! them would drop the process's locks (POSIX). The descriptor that is the proxy's lock stays open
//! until the process ends.

use super::error::Problem;
use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Device and inode, which identify a file whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file at `path`.
    pub fn at(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|metadata| Self::of(&metadata))
    }

    /// The file with this metadata.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// `path`, with symbolic links resolved, followed by `suffix` (such as `-wal`): SQLite puts its files
/// beside the real file.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut name = OsString::from(real);
    name.push(suffix);
    name.into()
}

/// The identity of a connection's files when it was opened.
#[derive(Debug)]
pub(super) struct Watch {
    path: PathBuf,
    file: FileId,
    logs: [(PathBuf, Option<FileId>); 2],
}

impl Watch {
    /// Watches the current files; the database must be `file`.
    pub fn new(path: &Path, file: FileId) -> Self {
        let logs = ["-wal", "-shm"].map(|suffix| {
            let path = beside(path, suffix);
            let id = FileId::at(&path).ok();
            (path, id)
        });
        Self {
            path: path.to_owned(),
            file,
            logs,
        }
    }

    /// Reports the first problem of the files.
    pub fn look(&self) -> Result<(), Problem> {
        match FileId::at(&self.path) {
            Ok(found) if found == self.file => {}
            Ok(_) => return Err(Problem::Replaced),
            Err(_) => return Err(Problem::Gone),
        }
        for (path, expected) in &self.logs {
            match (FileId::at(path).ok(), expected) {
                (found, expected) if found == *expected => {}
                (None, _) => return Err(Problem::LogGone),
                (Some(_), _) => return Err(Problem::LogReplaced),
            }
        }
        Ok(())
    }

    /// The total size of file and log.
    pub fn bytes(&self) -> u64 {
        let paths = [&self.path, &self.logs[0].0];
        let lengths = paths.map(|path| std::fs::metadata(path).map_or(0, |found| found.len()));
        lengths.iter().sum()
    }
}
