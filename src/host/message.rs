//! The identity of a proxy's request.

use super::abi::SipMsg;
use std::ffi::c_uint;

/// Identifies a message within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageId {
    /// The proxy's number of the message, counted per process.
    pub number: c_uint,
    /// Its address: other routes may run on a copy of the message with the same number.
    place: usize,
}

impl MessageId {
    /// The number and the address of a message.
    ///
    /// # Safety
    /// `message` must be a message of the host.
    pub unsafe fn of(message: *const SipMsg) -> Self {
        Self {
            // SAFETY: every known `struct sip_msg` starts with its number.
            number: unsafe { message.cast::<c_uint>().read() },
            place: message as usize,
        }
    }
}
