//! The request as Kamailio holds it: its bytes, and where they came from.

use super::abi::{SIP_MSG_BUF, SIP_MSG_LEN, SIP_MSG_METHOD, SipMsg, Str};
use super::core::Core;
use crate::control::{Source, Transport};
use std::ffi::{c_char, c_int, c_uint, c_void};

/// Whether `struct sip_msg` has its bytes where we look for them: in a request the method stands
/// at the start of the bytes.
///
/// # Safety
/// `message` must be a request of the host.
pub unsafe fn layout_holds(message: *const SipMsg) -> bool {
    let base = message.cast::<u8>();
    // SAFETY: every known `struct sip_msg` is larger than the offsets read here.
    unsafe {
        let buf = base.add(SIP_MSG_BUF).cast::<*const u8>().read();
        let method = base.add(SIP_MSG_METHOD).cast::<*const u8>().read();
        !buf.is_null() && buf == method
    }
}

/// The bytes of a request, valid while the host handles it.
///
/// # Safety
/// `message` must be the request that the host is handling.
pub unsafe fn bytes<'m>(message: *const SipMsg) -> Option<&'m [u8]> {
    // SAFETY: as the caller promises.
    if !unsafe { layout_holds(message) } {
        return None;
    }
    let base = message.cast::<u8>();
    // SAFETY: the layout holds, so these are the start and the length of the received bytes.
    unsafe {
        let buf = base.add(SIP_MSG_BUF).cast::<*const u8>().read();
        let len = base.add(SIP_MSG_LEN).cast::<c_uint>().read();
        Some(std::slice::from_raw_parts(buf, len as usize))
    }
}

/// Reads the source of a request by Kamailio's own pseudo-variables, whose place in `struct
/// sip_msg` we need not know.
#[derive(Clone, Copy)]
pub struct SourceReader {
    format: *mut c_void,
    core: Core,
}

// SAFETY: the format is made once, before the fork, and then only read.
unsafe impl Send for SourceReader {}
// SAFETY: as above.
unsafe impl Sync for SourceReader {}

impl SourceReader {
    /// Compiles the format; `None` where the pv module is not loaded.
    pub fn new(core: &Core) -> Option<Self> {
        let text = Str::of(b"$proto $si");
        let mut format = std::ptr::null_mut();
        // SAFETY: both arguments are valid for the call; the text is constant, as the compiled
        // format keeps pointing to it.
        let result = unsafe { (core.pv_parse_format)(&text, &mut format) };
        (result >= 0 && !format.is_null()).then_some(Self {
            format,
            core: *core,
        })
    }

    /// Where `message` came from.
    ///
    /// # Safety
    /// `message` must be the request that the host is handling.
    pub unsafe fn read(&self, message: *mut SipMsg) -> Option<Source<'static>> {
        let mut buffer = [0_u8; 128];
        let mut length = buffer.len() as c_int;
        // SAFETY: the buffer has the length that is given, and the host writes the used one back.
        let result = unsafe {
            let text = buffer.as_mut_ptr().cast::<c_char>();
            (self.core.pv_printf)(message, self.format, text, &mut length)
        };
        let text = buffer.get(..usize::try_from(length).ok()?)?;
        let (transport, address) = std::str::from_utf8(text).ok()?.split_once(' ')?;
        let address = address.trim_matches(['[', ']']).parse().ok()?;
        (result >= 0).then_some(Source {
            address,
            transport: Transport::of(transport.as_bytes()),
            identity: None,
        })
    }
}

/// The text of a script function's parameter for this request, as Kamailio's own function makes it;
/// `None` if that fails.
///
/// # Safety
/// `message` must be the request that the host is handling, and `parameter` what the fixup for text
/// with pseudo-variables has made.
pub unsafe fn parameter_text(
    core: &Core,
    message: *mut SipMsg,
    parameter: *mut c_void,
) -> Option<Vec<u8>> {
    let mut text = Str::NONE;
    // SAFETY: as the caller promises; the host writes where its text is.
    let result = unsafe { (core.get_str_fparam)(&mut text, message, parameter) };
    let length = usize::try_from(text.len).ok()?;
    if result < 0 || (text.s.is_null() && length > 0) {
        return None;
    }
    if length == 0 {
        return Some(Vec::new());
    }
    // SAFETY: the text has this length, and is copied before the host uses its buffer again.
    Some(unsafe { std::slice::from_raw_parts(text.s.cast::<u8>(), length) }.to_vec())
}
