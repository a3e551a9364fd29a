//! Which request of a proxy's it is.

use super::abi::SipMsg;
use std::ffi::c_uint;

/// Which message of this process it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageId {
    /// Proxies count the messages of each process.
    pub number: c_uint,
    /// Other routes may run on a copy that has the number of the first.
    place: usize,
}

impl MessageId {
    /// The number of a message and its place in memory.
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
