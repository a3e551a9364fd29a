//! Structures common to Kamailio and OpenSIPS, inherited from their common ancestor.

use std::ffi::{CString, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::net::IpAddr;

/// `str`: text that need not end with NUL.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Str {
    pub s: *const c_char,
    pub len: c_int,
}

impl Str {
    pub const NONE: Self = Self {
        s: std::ptr::null(),
        len: 0,
    };

    /// Borrows `text`, which must live as long as the host uses the result. Text longer than any SIP
    /// message is truncated.
    pub fn of(text: &[u8]) -> Self {
        Self {
            s: text.as_ptr().cast(),
            len: c_int::try_from(text.len()).unwrap_or(c_int::MAX),
        }
    }

    /// The bytes of the text.
    ///
    /// # Safety
    /// It must be a text of the host or of this module that lives as long as the result is used.
    pub unsafe fn bytes<'t>(&self) -> &'t [u8] {
        match usize::try_from(self.len) {
            Ok(length @ 1..) if !self.s.is_null() => {
                // SAFETY: the text has this length and lives, as is required above.
                unsafe { std::slice::from_raw_parts(self.s.cast(), length) }
            }
            _ => b"",
        }
    }
}

/// A text that ends with NUL and is there as long as the proxy, which keeps pointing to it.
pub fn lasting(text: String) -> *const c_char {
    CString::new(text).unwrap_or_default().into_raw()
}

/// `struct ip_addr`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct IpAddress {
    pub family: c_uint,
    pub length: c_uint,
    pub bytes: [u64; 2],
}

impl IpAddress {
    /// The address; `None` for one that is not set.
    pub fn read(&self) -> Option<IpAddr> {
        let bytes = self.bytes.map(u64::to_ne_bytes);
        let bytes = bytes.as_flattened();
        match (c_int::try_from(self.family).ok()?, self.length) {
            (libc::AF_INET, 4) => Some(<[u8; 4]>::try_from(&bytes[..4]).ok()?.into()),
            (libc::AF_INET6, 16) => Some(<[u8; 16]>::try_from(bytes).ok()?.into()),
            _ => None,
        }
    }
}

/// `struct sip_msg`, of which only a few words are read.
#[repr(C)]
pub struct SipMsg {
    _opaque: [u8; 0],
}

/// `pv_value_t` is only passed on.
#[repr(C)]
pub struct PvValue {
    _opaque: [u8; 0],
}

/// `param_func_t`: called with each value that the script sets.
pub type SetParameter = unsafe extern "C" fn(c_uint, *mut c_void) -> c_int;

/// `param_export_t`.
#[repr(C)]
pub struct ParamExport {
    pub name: *const c_char,
    pub kind: c_uint,
    pub set: Option<SetParameter>,
}

pub const PARAM_STRING: c_uint = 1;
pub const PARAM_INT: c_uint = 2;
/// The pointer of the row is a function to call.
pub const PARAM_USE_FUNC: c_uint = 1 << 31;

/// `REQUEST_ROUTE`: the route of requests, in which our functions work.
pub const REQUEST_ROUTE: c_uint = 1;

/// `LUMP_RPL_HDR`: a header field of the answer.
pub const LUMP_RPL_HDR: c_int = 1 << 1;

/// `HDR_OTHER_T` and `HDR_RECORDROUTE_T`.
pub const HDR_OTHER: c_int = 0;
pub const HDR_RECORD_ROUTE: c_int = 10;

/// `HDR_EOH_F`: all header fields are to be parsed.
pub const HDR_EOH: c_ulonglong = c_ulonglong::MAX;

/// `T_UNDEFINED`: nobody has asked yet for the transaction of a request.
pub const T_UNDEFINED: usize = usize::MAX;

/// `PV_NAME_INTSTR`: the name of a pseudo-variable is a number or a text.
pub const PV_NAME_INTSTR: c_int = 0;

/// The error of `t_newtran` if the script has created the transaction already.
pub const E_SCRIPT: c_int = -10;
/// `E_OUT_OF_MEM`.
pub const E_OUT_OF_MEM: c_int = -2;

/// `FAKED_REPLY`: a final response that tm generated because none was received.
pub const FAKED_REPLY: *mut SipMsg = usize::MAX as *mut SipMsg;

/// A table that the host reads: it holds pointers, and is not written after the start.
#[repr(transparent)]
pub struct Table<T>(pub T);

// SAFETY: the tables are constant; what they point to is constant or made for many callers.
unsafe impl<T> Sync for Table<T> {}

const _: () = {
    assert!(size_of::<Str>() == 16);
    assert!(size_of::<ParamExport>() == 24);
};

#[cfg(test)]
mod tests {
    use super::IpAddress;

    #[test]
    fn an_address_is_read_as_its_family_says() {
        let of = |family: i32, length, bytes: [u8; 16]| {
            let halves = bytes.as_chunks().0;
            let halves = [halves[0], halves[1]].map(u64::from_ne_bytes);
            let (family, bytes) = (family as u32, halves);
            let address = IpAddress {
                family,
                length,
                bytes,
            };
            address.read().map(|address| address.to_string())
        };
        let bytes = std::array::from_fn(|at| at as u8 + 1);
        assert_eq!(of(libc::AF_INET, 4, bytes).as_deref(), Some("1.2.3.4"));
        let six = "102:304:506:708:90a:b0c:d0e:f10";
        assert_eq!(of(libc::AF_INET6, 16, bytes).as_deref(), Some(six));
        assert_eq!(of(libc::AF_INET, 16, bytes), None);
        assert_eq!(of(0, 0, [0; 16]), None);
    }
}
