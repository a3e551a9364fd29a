//! The head of SQLite's WAL index: memory that all processes share which have the database open, and that each commit
//! changes. As long as it stays as it is, nothing was written (<https://www.sqlite.org/walformat.html>, section 2.3).

#![deny(unsafe_op_in_unsafe_fn)]

use rusqlite::{Connection, ffi};
use std::ffi::c_void;
use std::ops::Deref;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::{AtomicU64, fence};

/// Bytes of the part of the index that holds its head (`WALINDEX_PGSZ`).
const PART: i32 = 32_768;
/// Words of a copy of the head.
const WORDS: usize = 6;

/// What stands in the head of an index.
pub type Head = [u64; WORDS];

/// An open connection, and the head of its index. It stays in its journal mode: leaving WAL mode would take the index
/// away. Whoever has it only reads the database.
pub struct Watched {
    connection: Connection,
    /// The first of the two copies; nothing where the database has no index, as it is in no WAL mode. It is mapped as long
    /// as the connection is open.
    head: Option<NonNull<[AtomicU64; WORDS]>>,
}

// SAFETY: the head may be read in any thread, as others write to it in any process.
unsafe impl Send for Watched {}

impl Watched {
    /// Finds the head.
    pub fn new(connection: Connection) -> Self {
        let mode = connection.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
        let head = match mode.as_deref() {
            Ok("wal") => head_of(&connection),
            _ => None,
        };
        Self { connection, head }
    }

    /// What stands in the head now. A commit changes it before any reader of the database sees the commit.
    pub fn head(&self) -> Option<Head> {
        let head = self.head?;
        // SAFETY: SQLite has mapped it, aligned to a page, as long as the connection is open, which is ours. Others write
        // to it meanwhile.
        let words = unsafe { head.as_ref() };
        let head = std::array::from_fn(|word| words[word].load(Relaxed));
        fence(Acquire);
        Some(head)
    }
}

impl Deref for Watched {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

/// Where SQLite has mapped the head for a connection in WAL mode.
fn head_of(connection: &Connection) -> Option<NonNull<[AtomicU64; WORDS]>> {
    let mut file: *mut ffi::sqlite3_file = null_mut();
    let mut part: *mut c_void = null_mut();
    // SAFETY: the connection is open, and SQLite writes where its file is.
    let found = unsafe {
        let code = ffi::SQLITE_FCNTL_FILE_POINTER;
        let file = (&raw mut file).cast();
        ffi::sqlite3_file_control(connection.handle(), c"main".as_ptr(), code, file)
    };
    if found != ffi::SQLITE_OK {
        return None;
    }
    // SAFETY: the file and its methods are there as long as the connection is open.
    let methods = unsafe { file.as_ref()?.pMethods.as_ref()? };
    let map = methods.xShmMap.filter(|_| methods.iVersion >= 2)?;
    // SAFETY: SQLite calls it likewise, for the part that is there; it is not to make the index longer.
    let mapped = unsafe { map(file, 0, PART, 0, (&raw mut part).cast()) };
    if mapped != ffi::SQLITE_OK {
        return None;
    }
    NonNull::new(part.cast())
}
