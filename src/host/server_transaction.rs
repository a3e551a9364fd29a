//! The server transaction of the request that a proxy handles, by the functions of its tm that are the same in both.

use super::abi::{E_SCRIPT, SipMsg, T_UNDEFINED};
use super::proxy::Transaction;
use std::ffi::c_int;

/// The functions of tm.
#[derive(Clone, Copy)]
pub struct ServerTransaction {
    pub newtran: unsafe extern "C" fn(*mut SipMsg) -> c_int,
    /// `t_check_trans`: 0 for a retransmission, whose answer it repeats.
    pub check_transaction: unsafe extern "C" fn(*mut SipMsg) -> c_int,
    /// Where the transaction of the request that is handled is, 0 or [`T_UNDEFINED`] without one.
    pub current: unsafe extern "C" fn() -> usize,
}

impl ServerTransaction {
    /// Makes the transaction of a request.
    ///
    /// # Safety
    /// `message` must be the request that the proxy is handling.
    pub unsafe fn make(&self, message: *mut SipMsg) -> Transaction {
        // SAFETY: as required above.
        match unsafe { (self.newtran)(message) } {
            0 => Transaction::Retransmission,
            E_SCRIPT | 1.. => Transaction::Present,
            _ => Transaction::Impossible,
        }
    }

    /// Whether the request that the proxy is handling has a transaction, made by the script or by [`Self::make`].
    pub fn is_there(&self) -> bool {
        // SAFETY: the function only reads a variable of this process.
        !matches!(unsafe { (self.current)() }, 0 | T_UNDEFINED)
    }

    /// Whether an earlier request has a transaction in which this one is a retransmission.
    ///
    /// # Safety
    /// `message` must be the request that the proxy is handling.
    pub unsafe fn is_of_another(&self, message: *mut SipMsg) -> bool {
        // A transaction that is there is this request's own, for which tm would take it too.
        // SAFETY: as required above.
        !self.is_there() && unsafe { (self.check_transaction)(message) == 0 }
    }
}
