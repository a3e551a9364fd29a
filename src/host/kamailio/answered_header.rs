//! The header of a request as an answer takes it: Kamailio copies Via, From, To, Call-ID and CSeq, and parses the whole
//! header for these, as a Via may stand anywhere. Where none stands behind the part that is parsed already, the rest
//! need not be parsed. (OpenSIPS parses the whole header of each request before the script runs.)

use super::abi::HdrField;
use super::core::Core;
use super::message::{ANSWERED, bytes, first_header, parsed_flag};
use crate::host::abi::{HDR_EOH, HDR_OTHER, HDR_RECORD_ROUTE, SipMsg};
use memchr::memchr;
use std::ffi::c_ulonglong;

/// A request whose header an answer takes. Dropped, it is again as it was.
pub struct AnsweredHeader {
    message: *mut SipMsg,
    /// Its Record-Route fields, as fields of an unknown type: Kamailio copies them into each 2xx, but a MESSAGE makes no
    /// dialog.
    record_routes: Vec<*mut HdrField>,
    /// What `parsed_flag` said before it said that the whole header is parsed.
    parsed: Option<c_ulonglong>,
}

impl AnsweredHeader {
    /// Parses what an answer takes: all of the header if `is_whole`, or if Kamailio may find a Via in the rest.
    ///
    /// # Safety
    /// `message` must be the request that Kamailio is handling, as long as this lives.
    pub unsafe fn prepare(core: &Core, message: *mut SipMsg, is_whole: bool) -> Self {
        let mut header = Self {
            message,
            record_routes: Vec::new(),
            parsed: None,
        };
        // SAFETY: the caller's promise; the layout was checked at the start.
        unsafe {
            let parses = |flags| (core.parse_headers)(message, flags, 0) >= 0;
            if !parses(ANSWERED) {
                return header;
            }
            if !is_whole && has_no_via(rest(message)) {
                header.parsed = Some(parsed_flag(message).replace(HDR_EOH));
            } else if !parses(HDR_EOH) {
                return header;
            }
            header.hide_record_routes();
        }
        header
    }

    /// Hides those that are parsed.
    ///
    /// # Safety
    /// As for [`Self::prepare`].
    unsafe fn hide_record_routes(&mut self) {
        // SAFETY: each field points to the next one or to nothing.
        unsafe {
            let mut field = first_header(self.message);
            while let Some(current) = field.as_mut() {
                if current.kind == HDR_RECORD_ROUTE {
                    current.kind = HDR_OTHER;
                    self.record_routes.push(field);
                }
                field = current.next;
            }
        }
    }
}

impl Drop for AnsweredHeader {
    fn drop(&mut self) {
        for &field in &self.record_routes {
            // SAFETY: the header fields of a request live as long as the request.
            unsafe { (*field).kind = HDR_RECORD_ROUTE };
        }
        if let Some(parsed) = self.parsed {
            // SAFETY: the request lives longer than this, as `prepare` requires.
            unsafe { parsed_flag(self.message).write(parsed) };
        }
    }
}

/// The bytes behind the last header field that is parsed; `None` if that is not known, or if fields are there twice: so
/// they are after Kamailio has failed to parse the rest and has tried again.
///
/// # Safety
/// As for [`AnsweredHeader::prepare`].
unsafe fn rest<'m>(message: *const SipMsg) -> Option<&'m [u8]> {
    // SAFETY: the caller's promise; each field points to the next one or to nothing, and what is parsed lies inside the
    // bytes, which is looked at before they are read.
    unsafe {
        let mut last = first_header(message).as_ref()?;
        while let Some(next) = last.next.as_ref() {
            if next.name.s <= last.name.s {
                return None;
            }
            last = next;
        }
        let bytes = bytes(message)?;
        let start = (last.name.s as usize).checked_sub(bytes.as_ptr() as usize)?;
        bytes.get(start + usize::try_from(last.len).ok()?..)
    }
}

/// Whether no line before the empty one starts like a Via or its short form. Other names with this letter are taken for
/// one: they cost a look at the whole header, and nothing else.
fn has_no_via(rest: Option<&[u8]>) -> bool {
    let Some(mut lines) = rest else {
        return false;
    };
    loop {
        match lines.first() {
            None | Some(b'v' | b'V') => return false,
            Some(b'\r' | b'\n') => return true,
            Some(_) => {}
        }
        let Some(end) = memchr(b'\n', lines) else {
            return false;
        };
        lines = &lines[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::has_no_via;

    #[test]
    fn a_via_may_stand_anywhere() {
        let cases: [(&[u8], bool); 9] = [
            (b"\r\nbody", true),
            (b"\nbody", true),
            (b"Accept: text/plain\r\nContent-Length: 4\r\n\r\nVia:", true),
            (b"Accept: text/plain\r\n Via: folded\r\n\r\n", true),
            (b"Via: SIP/2.0/UDP a\r\n\r\n", false),
            (b"Accept: text/plain\r\nvia: SIP/2.0/UDP a\r\n\r\n", false),
            (b"Accept: text/plain\nv:SIP/2.0/UDP a\n\n", false),
            (b"Accept: text/plain\r\n", false),
            (b"", false),
        ];
        for (rest, expected) in cases {
            let shown = rest.escape_ascii();
            assert_eq!(has_no_via(Some(rest)), expected, "{shown}");
        }
        assert!(!has_no_via(None));
    }
}
