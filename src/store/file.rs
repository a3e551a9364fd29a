//! The identity of the file at a path, determined without opening it.
//!
//! Nothing but SQLite may open a database file in a process that has it open: closing any
//! descriptor of it would drop the process's locks (POSIX).

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Device and inode, which identify a file whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file that is currently at `path`.
    pub fn at(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|metadata| Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }
}

/// `path`, with symbolic links resolved, followed by `suffix` (such as `-wal`): SQLite puts its files
/// beside the real file.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut name = OsString::from(real);
    name.push(suffix);
    name.into()
}
