//! The request as Kamailio holds it: its bytes, and where they came from; and requests that the module makes.

use super::abi::{
    HdrField, SIP_MSG_BUF, SIP_MSG_HEADERS, SIP_MSG_LEN, SIP_MSG_METHOD, SIP_MSG_PARSED_FLAG,
    SIP_MSG_ROOM,
};
use super::core::Core;
use super::version::EXPECTED;
use crate::control::{Source, Transport};
use crate::host::abi::{HDR_EOH, HDR_RECORD_ROUTE, SipMsg, Str};
use crate::host::message::MessageId;
use std::ffi::{c_char, c_int, c_uint, c_ulonglong, c_void};

/// Room for a `struct sip_msg`, aligned as it has to be.
#[repr(align(16))]
struct Room([u64; SIP_MSG_ROOM / 8]);

/// A request that Kamailio has parsed from bytes of the module.
pub struct Made {
    core: Core,
    room: Box<Room>,
    /// What the message points to.
    _bytes: Vec<u8>,
}

impl Made {
    /// Has Kamailio parse a request, up to its first Via; `None` if it cannot.
    pub fn read(core: &Core, mut bytes: Vec<u8>) -> Option<Self> {
        let length = c_int::try_from(bytes.len()).ok()?;
        // Kamailio's parser may look at the byte behind the text.
        bytes.push(0);
        let mut room = Box::new(Room([0; SIP_MSG_ROOM / 8]));
        let message: *mut SipMsg = room.0.as_mut_ptr().cast();
        // SAFETY: the room is larger than any known `struct sip_msg`, which Kamailio clears; the bytes live as long
        // as the message.
        let result = unsafe {
            let number = (core.inc_msg_no)();
            (core.build_sip_msg_from_buf)(message, bytes.as_mut_ptr().cast(), length, number)
        };
        (result >= 0).then_some(Self {
            core: *core,
            room,
            _bytes: bytes,
        })
    }

    /// The message, which lives as long as this.
    pub fn message(&mut self) -> *mut SipMsg {
        self.room.0.as_mut_ptr().cast()
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let message = self.message();
        // SAFETY: Kamailio has made the message, and it is used no more. Where it had made the bytes it would free
        // them too, so they are taken out first.
        unsafe {
            let buf = message.cast::<u8>().add(SIP_MSG_BUF).cast::<*mut u8>();
            buf.write(std::ptr::null_mut());
            (self.core.free_sip_msg)(message);
        }
    }
}

/// Checks the layout of requests and of their header fields on one that Kamailio reads.
pub fn check_layout(core: &Core) -> Result<(), String> {
    const REQUEST: &[u8] = b"OPTIONS sip:cimf@localhost SIP/2.0\r\n\
        Record-Route: <sip:localhost;lr>\r\nVia: SIP/2.0/UDP localhost;branch=z9hG4bKcimf\r\n\
        From: <sip:cimf@localhost>;tag=cimf\r\nTo: <sip:cimf@localhost>\r\n\
        Call-ID: cimf@localhost\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    let mut made = Made::read(core, REQUEST.to_vec())
        .ok_or("Kamailio cannot read a request to check its layout with")?;
    let mut next = Made::read(core, REQUEST.to_vec())
        .ok_or("Kamailio cannot read a request to check its layout with")?;
    let (message, next) = (made.message(), next.message());
    // SAFETY: both are messages that Kamailio has made.
    let holds = unsafe {
        let number = MessageId::of(message).number.wrapping_add(1);
        let numbers = MessageId::of(next).number == number;
        numbers
            && bytes(message) == Some(REQUEST)
            && fields_hold(core, message)
            && flags_hold(core, message)
    };
    if holds {
        return Ok(());
    }
    Err(format!(
        "the layout of Kamailio's requests is unknown: expected that of {EXPECTED}"
    ))
}

/// Whether the fields before the first Via are where and what they should be.
///
/// # Safety
/// `message` must be the request that [`check_layout`] has made, and its bytes where they should be.
unsafe fn fields_hold(core: &Core, message: *mut SipMsg) -> bool {
    const NAME: &[u8] = b"Record-Route";
    // SAFETY: the caller's promise; a text of a field is read only if it lies inside the bytes.
    unsafe {
        let Some(request) = bytes(message) else {
            return false;
        };
        let is = |text: &Str, expected: &[u8]| {
            let inside = request.as_ptr_range();
            let start = text.s.cast::<u8>();
            usize::try_from(text.len) == Ok(expected.len())
                && inside.contains(&start)
                && std::slice::from_raw_parts(start, expected.len()) == expected
        };
        let field = (core.get_hdr_by_name)(message, NAME.as_ptr().cast(), NAME.len() as c_int);
        let is_first = |field: &HdrField| {
            field.kind == HDR_RECORD_ROUTE
                && is(&field.name, NAME)
                && is(&field.body, b"<sip:localhost;lr>")
        };
        let Some(first) = field.as_ref().filter(|field| is_first(field)) else {
            return false;
        };
        let second = first.next.as_ref();
        second.is_some_and(|field| is(&field.name, b"Via") && field.next.is_null())
    }
}

/// Whether `struct sip_msg` has its header fields where it should, and says there which are parsed: up to the first Via,
/// then what an answer takes, then all.
///
/// # Safety
/// As for [`fields_hold`], which holds.
unsafe fn flags_hold(core: &Core, message: *mut SipMsg) -> bool {
    /// `HDR_VIA1_F` and `HDR_RECORDROUTE_F`.
    const PARSED: c_ulonglong = 1 << 1 | 1 << HDR_RECORD_ROUTE;
    const NAME: &[u8] = b"Record-Route";
    // SAFETY: the caller's promise; every known `struct sip_msg` is larger than the offsets read here.
    unsafe {
        let first = (core.get_hdr_by_name)(message, NAME.as_ptr().cast(), NAME.len() as c_int);
        let flag = parsed_flag(message);
        let has_read = |flags| (core.parse_headers)(message, flags, 0) >= 0;
        first_header(message) == first
            && flag.read() == PARSED
            && has_read(ANSWERED)
            && flag.read() == PARSED | ANSWERED
            && has_read(HDR_EOH)
            && flag.read() == HDR_EOH
    }
}

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

/// Which kinds of header fields are parsed, one bit each, and all bits once the whole header is.
///
/// # Safety
/// `message` must be a request of Kamailio's.
pub unsafe fn parsed_flag(message: *mut SipMsg) -> *mut c_ulonglong {
    // SAFETY: every known `struct sip_msg` is larger.
    unsafe { message.cast::<u8>().add(SIP_MSG_PARSED_FLAG).cast() }
}

/// The first header field that is parsed, or nothing; each has the next one.
///
/// # Safety
/// `message` must be a request of Kamailio's.
pub unsafe fn first_header(message: *const SipMsg) -> *mut HdrField {
    // SAFETY: every known `struct sip_msg` is larger.
    unsafe {
        let place = message.cast::<u8>().add(SIP_MSG_HEADERS);
        place.cast::<*mut HdrField>().read()
    }
}

/// `HDR_TO_F`, `HDR_FROM_F`, `HDR_CSEQ_F` and `HDR_CALLID_F`: what an answer takes beside Via, the first of which is parsed
/// before any script runs.
pub const ANSWERED: c_ulonglong = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6;

/// Upper bound of what any transport of Kamailio brings; anything larger is not a valid length.
const MOST_BYTES: usize = 16 << 20;

/// Reads the source of a request by Kamailio's own pseudo-variables, whose place in `struct
/// sip_msg` need not be known.
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

/// The parameter of a script function.
#[derive(Clone, Copy)]
pub enum Parameter {
    None,
    /// What the fixup for text with pseudo-variables has made.
    Prepared(*mut c_void),
    /// The text itself.
    Text(*const Str),
}

/// The text of a prepared parameter for this request, as Kamailio's own function makes it; `None` if that fails.
///
/// # Safety
/// `message` must be the request that the host is handling, and `parameter` what the fixup for text
/// with pseudo-variables has made.
pub unsafe fn prepared_text(
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
