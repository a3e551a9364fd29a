//! What a C caller learns of a failure: a status, and a text until the next call.

use super::guarded;
use crate::server::StartError;
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a function that can fail returns.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It worked, and the outputs are written.
    Ok = 0,
    /// An argument cannot be used, such as NULL with a length or an index beyond the end.
    InvalidArgument = 1,
    /// A parameter of the server is unknown, concerns only the module's queue, or has a value that it
    /// cannot have.
    Configuration = 2,
    /// The database is missing, locked, corrupt or of another version.
    Store = 3,
    /// The operating system refused something.
    System = 4,
    /// An error inside cimf.
    InternalError = 5,
}

/// A failure on its way to the caller.
pub struct Failure {
    status: Status,
    text: String,
}

impl Failure {
    /// A failure with its text.
    pub fn new(status: Status, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    /// An argument that cannot be used.
    pub fn argument(text: impl Into<String>) -> Self {
        Self::new(Status::InvalidArgument, text)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let status = match error {
            StartError::Setting(_) | StartError::NoWayOut => Status::Configuration,
            StartError::Store(_) => Status::Store,
            StartError::OldJournal(_)
            | StartError::Ledger(_)
            | StartError::Cluster(_)
            | StartError::Kept(_)
            | StartError::System(_) => Status::System,
        };
        Self::new(status, error.to_string())
    }
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// Runs `work` for a C caller: its failure or panic becomes a status, with the text kept for
/// `cimf_last_error`.
pub fn boundary(work: impl FnOnce() -> Result<(), Failure>) -> Status {
    let outcome = catch_unwind(AssertUnwindSafe(work));
    let outcome = outcome.unwrap_or_else(|_| {
        let text = "internal error, please report it".to_owned();
        Err(Failure::new(Status::InternalError, text))
    });
    keep(outcome)
}

/// Keeps the text of a failure, and gives its status.
fn keep(outcome: Result<(), Failure>) -> Status {
    let Err(failure) = outcome else {
        return Status::Ok;
    };
    let text = CString::new(failure.text.replace('\0', " ")).unwrap_or_default();
    LAST.with_borrow_mut(|last| *last = text);
    failure.status
}

/// The text of the last failure in this thread: what was wrong, what was expected and what was
/// found. Empty if nothing has failed yet. It ends with NUL and is valid until the next call of a
/// cimf function that returns a `cimf_status` in this thread.
#[unsafe(no_mangle)]
pub extern "C" fn cimf_last_error() -> *const c_char {
    guarded(c"".as_ptr(), || LAST.with_borrow(|last| last.as_ptr()))
}
