//! The request as OpenSIPS holds it: its bytes, and where they came from.

use super::abi::{HdrField, SIP_MSG_LAYOUTS, SIP_MSG_METHOD, SIP_MSG_ROOM};
use super::core::Core;
use super::version::EXPECTED;
use crate::control::{Source, Transport};
use crate::host::abi::{HDR_RECORD_ROUTE, SipMsg, Str};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

/// Where `struct sip_msg` of the running version has its bytes, checked on one that OpenSIPS has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    buf: usize,
    record_route: usize,
}

/// The bytes of a request.
const REQUEST: &CStr = c"OPTIONS sip:cimf@localhost SIP/2.0\r\n\
    Record-Route: <sip:localhost;lr>\r\nVia: SIP/2.0/UDP localhost;branch=z9hG4bKcimf\r\n\
    From: <sip:cimf@localhost>;tag=cimf\r\nTo: <sip:cimf@localhost>\r\n\
    Call-ID: cimf@localhost\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

/// Room for a `struct sip_msg`, aligned as it has to be.
#[repr(C, align(16))]
struct Room([usize; SIP_MSG_ROOM / 8]);

impl Layout {
    /// Finds out which of the known layouts this version has: OpenSIPS's own pseudo-variable has to find the bytes, and
    /// its parser has to leave method and Record-Route, where that layout has them.
    pub fn find(core: &Core) -> Result<Self, String> {
        let whole = Format::new(core, c"$mb").ok_or("OpenSIPS does not know the variable $mb")?;
        let mut bytes = REQUEST.to_bytes_with_nul().to_vec();
        let length = REQUEST.count_bytes();
        let mut layouts = SIP_MSG_LAYOUTS.into_iter();
        let found = layouts.find_map(|(buf, record_route)| {
            let layout = Self { buf, record_route };
            let mut room = Box::new(Room([0; SIP_MSG_ROOM / 8]));
            let message: *mut SipMsg = room.0.as_mut_ptr().cast();
            room.0[layout.buf / 8] = bytes.as_mut_ptr() as usize;
            room.0[layout.buf / 8 + 1] = length;
            let mut text = [0; 1024];
            // SAFETY: the message is zeros but for its bytes and their number, in room that is
            // larger than any known `struct sip_msg`, and OpenSIPS has zeros for what is not there.
            let printed = unsafe { whole.print(core, message, &mut text) };
            let holds = printed == Some(REQUEST.to_bytes())
                // SAFETY: as above, and the bytes have been found where they are.
                && unsafe { layout.reads(core, message, &mut bytes, length) };
            holds.then_some(layout)
        });
        found.ok_or_else(|| {
            format!("the layout of OpenSIPS's requests is unknown: expected that of {EXPECTED}")
        })
    }

    /// Whether OpenSIPS's parser leaves method and Record-Route where this layout has them.
    ///
    /// # Safety
    /// `message` must be a `struct sip_msg` that has these bytes and is zeros besides.
    unsafe fn reads(
        self,
        core: &Core,
        message: *mut SipMsg,
        bytes: &mut [u8],
        length: usize,
    ) -> bool {
        let text = bytes.as_mut_ptr();
        let mut holds = false;
        // SAFETY: the parser writes into the message, which is freed after it; what it keeps points
        // into the bytes.
        unsafe {
            if (core.parse_msg)(text.cast(), length as c_uint, message, 1) == 0 {
                let of_bytes = |place: *const c_char| {
                    let place = place.cast::<u8>();
                    place >= text.cast_const() && place < text.add(length).cast_const()
                };
                // In another layout some other field is there, or nothing.
                let field = self.record_route(message).read().as_ref();
                holds = self
                    .bytes(message)
                    .is_some_and(|found| found.len() == length)
                    && field.is_some_and(|field| {
                        field.kind == HDR_RECORD_ROUTE && of_bytes(field.name.s)
                    });
            }
            (core.free_sip_msg)(message);
        }
        holds
    }

    /// The bytes of a request from its method on, valid while the host handles it. `None` where they
    /// are not where they should be: the method stands inside the bytes.
    ///
    /// # Safety
    /// `message` must be a request of the host.
    pub unsafe fn bytes<'m>(self, message: *const SipMsg) -> Option<&'m [u8]> {
        let base = message.cast::<u8>();
        // SAFETY: every known `struct sip_msg` is larger than the offsets read here.
        let (buf, length, method) = unsafe {
            (
                base.add(self.buf).cast::<*const u8>().read(),
                base.add(self.buf + 8).cast::<c_uint>().read() as usize,
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

    /// Where the message has its first Record-Route.
    ///
    /// # Safety
    /// `message` must be a message of the host.
    unsafe fn record_route(self, message: *mut SipMsg) -> *mut *mut HdrField {
        // SAFETY: every known `struct sip_msg` is larger than the offset.
        unsafe { message.cast::<u8>().add(self.record_route).cast() }
    }

    /// Takes the Record-Route out of a request, for [`Layout::put_record_route`].
    ///
    /// # Safety
    /// `message` must be the request that OpenSIPS is handling.
    pub unsafe fn take_record_route(self, message: *mut SipMsg) -> *mut HdrField {
        // SAFETY: `message` is the request that OpenSIPS is handling, as is required above: nobody else
        // uses it. Nothing in a request means that it has none.
        unsafe { self.record_route(message).replace(std::ptr::null_mut()) }
    }

    /// Puts it back.
    ///
    /// # Safety
    /// It must be what [`Layout::take_record_route`] has taken out of the same request.
    pub unsafe fn put_record_route(self, message: *mut SipMsg, taken: *mut HdrField) {
        // SAFETY: `taken` was taken out of this request, as is required above.
        unsafe { self.record_route(message).write(taken) };
    }
}

/// Upper bound of what any transport of OpenSIPS brings; anything larger is not a valid length.
const MOST_BYTES: usize = 16 << 20;

/// A text with pseudo-variables.
#[derive(Clone, Copy)]
struct Format(*mut c_void);

impl Format {
    fn new(core: &Core, text: &'static CStr) -> Option<Self> {
        let text = Str::of(text.to_bytes());
        let mut format = std::ptr::null_mut();
        // SAFETY: both arguments are valid for the call; the text is constant, as the compiled
        // format keeps pointing to it.
        let result = unsafe { (core.pv_parse_format)(&text, &mut format) };
        (result >= 0 && !format.is_null()).then_some(Self(format))
    }

    /// The text for this message.
    ///
    /// # Safety
    /// `message` must be a message of the host.
    unsafe fn print<'t>(
        self,
        core: &Core,
        message: *mut SipMsg,
        room: &'t mut [u8],
    ) -> Option<&'t [u8]> {
        let mut length = c_int::try_from(room.len()).ok()?;
        // SAFETY: the room has the length that is given, and the host writes the used one back.
        let result = unsafe {
            let text = room.as_mut_ptr().cast::<c_char>();
            (core.pv_printf)(message, self.0, text, &mut length)
        };
        let length = usize::try_from(length).ok()?;
        room.get(..length).filter(|_| result >= 0)
    }
}

/// Reads the source of a request by OpenSIPS's own pseudo-variables, whose place in `struct sip_msg`
/// need not be known.
#[derive(Clone, Copy)]
pub struct SourceReader {
    format: Format,
    core: Core,
}

// SAFETY: the format is made once, before the fork, and then only read.
unsafe impl Send for SourceReader {}
// SAFETY: as above.
unsafe impl Sync for SourceReader {}

impl SourceReader {
    /// Compiles the format.
    pub fn new(core: &Core) -> Option<Self> {
        Some(Self {
            format: Format::new(core, c"$socket_in(proto) $si")?,
            core: *core,
        })
    }

    /// Where `message` came from.
    ///
    /// # Safety
    /// `message` must be the request that the host is handling.
    pub unsafe fn read(&self, message: *mut SipMsg) -> Option<Source<'static>> {
        let mut room = [0; 128];
        // SAFETY: `message` is the request that the host is handling, as is required above.
        let text = unsafe { self.format.print(&self.core, message, &mut room) }?;
        let (transport, address) = std::str::from_utf8(text).ok()?.split_once(' ')?;
        Some(Source {
            address: address.trim_matches(['[', ']']).parse().ok()?,
            transport: Transport::of(transport.as_bytes()),
            identity: None,
        })
    }
}
