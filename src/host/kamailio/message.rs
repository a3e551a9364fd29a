//! The request as Kamailio holds it: its bytes, and where they came from.

use super::abi::{SIP_MSG_BUF, SIP_MSG_LEN, SIP_MSG_METHOD};
use super::core::Core;
use crate::control::{Source, Transport};
use crate::host::abi::{SipMsg, Str};
use std::ffi::{c_char, c_int, c_uint, c_void};

/// The bytes of a request from its method on, valid while the host handles it. Kamailio passes over
/// line ends and blanks that stand before it.
///
/// `None` where `struct sip_msg` has its bytes elsewhere: the method stands inside the bytes.
///
/// # Safety
/// `message` must be a request of the host.
pub unsafe fn bytes<'m>(message: *const SipMsg) -> Option<&'m [u8]> {
    let base = message.cast::<u8>();
    // SAFETY: every known `struct sip_msg` is larger than the offsets read here.
    let (buf, length, method) = unsafe {
        (
            base.add(SIP_MSG_BUF).cast::<*const u8>().read(),
            base.add(SIP_MSG_LEN).cast::<c_uint>().read() as usize,
            base.add(SIP_MSG_METHOD).cast::<*const u8>().read(),
        )
    };
    let before = (method as usize).checked_sub(buf as usize)?;
    if buf.is_null() || before >= length || length > MOST_BYTES {
        return None;
    }
    // SAFETY: the method stands inside the bytes, so these are their start and their number.
    Some(unsafe { std::slice::from_raw_parts(method, length - before) })
}

/// More than any transport of Kamailio brings: a larger number is none of a length.
const MOST_BYTES: usize = 16 << 20;

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
        // Kamailio looks at the byte behind the text, too.
        let text = Str::of(c"$proto $si".to_bytes());
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
    // SAFETY: the request is being handled and the parameter was prepared by its fixup, as is required
    // above; the host writes where its text is.
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
