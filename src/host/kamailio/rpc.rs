//! How commands read what they are given from Kamailio's RPC transports, and answer.

use super::abi::{Rpc, RpcDelayed};
use crate::host::abi::Str;
use crate::host::commands::{Answer, Fault};
use serde_json::Value;
use std::ffi::{CString, c_char, c_uint, c_void};
use std::ptr::null_mut;

/// The bytes of a fault's text for which jsonrpcs has room.
const FAULT_BYTES: usize = 127;

/// The same of ctl.
const FAULT_BYTES_OF_CTL: usize = 254;

/// The answer where a SIP worker would have to wait.
pub const DELAYED_REPLIES: &str = "a SIP worker cannot wait for this command: give it by kamcmd, or by JSON-RPC over HTTP with an id";

/// `RPC_DELAYED_REPLY`: the transport can answer later, from another process.
const DELAYED_REPLY: c_uint = 1;

/// A command under way.
pub struct Call<'r> {
    rpc: &'r Rpc,
    context: *mut c_void,
}

impl<'r> Call<'r> {
    /// # Safety
    /// `rpc` and `context` must be those of a command under way, for as long as this is used.
    pub unsafe fn new(rpc: &'r Rpc, context: *mut c_void) -> Self {
        Self { rpc, context }
    }

    /// All that is given; numbers as texts.
    pub fn texts(&self) -> Result<Vec<String>, Fault> {
        let mut texts = Vec::new();
        while let Some(text) = self.next_text(texts.len() + 1)? {
            texts.push(text);
        }
        Ok(texts)
    }

    /// The next parameter, which has this number; none behind the last one.
    fn next_text(&self, number: usize) -> Result<Option<String>, Fault> {
        // What is left as it is where nothing more is given, and what jsonrpcs makes null of where it is no text.
        let mut text = Str::of(b"");
        let untouched = text.s;
        // SAFETY: the format asks for one text, a number being made one, which goes where the pointer says.
        let read = unsafe { (self.rpc.scan)(self.context, c"*.S".as_ptr(), &raw mut text) };
        if text.s.is_null() {
            return Err(Fault::given(format!(
                "parameter {number}: expected a text or a number; members are given one by one, not as an array"
            )));
        }
        if read < 1 || text.s == untouched {
            return Ok(None);
        }
        // SAFETY: Kamailio keeps the text while the command is under way.
        match std::str::from_utf8(unsafe { text.bytes() }) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(Fault::given(format!("parameter {number}: expected UTF-8"))),
        }
    }

    /// Answers. An answer for which the transport has no room fails, and Kamailio tells the client.
    pub fn answer(&self, answer: &Answer) {
        match answer {
            Ok(Value::Array(all)) => all.iter().for_each(|one| self.add(one)),
            Ok(one) => self.add(one),
            Err(fault) => self.fault(fault),
        }
    }

    /// Adds a structure with the numbers and texts of an object.
    fn add(&self, object: &Value) {
        let mut handle = null_mut::<c_void>();
        // SAFETY: the format asks for one structure, whose handle goes where the pointer says.
        let added = unsafe { (self.rpc.add)(self.context, c"{".as_ptr(), &raw mut handle) };
        if added < 0 || handle.is_null() {
            return;
        }
        for (name, value) in object.as_object().into_iter().flatten() {
            let Ok(name) = CString::new(name.as_str()) else {
                continue;
            };
            match value {
                // SAFETY: the handle is that of a structure of this answer.
                Value::Number(number) => unsafe {
                    self.number(handle, name.as_ptr(), number.as_u64().unwrap_or_default());
                },
                // SAFETY: as above.
                other => unsafe {
                    self.text(handle, name.as_ptr(), other.as_str().unwrap_or_default());
                },
            }
        }
    }

    /// Kamailio's numbers have 32 bits in all versions; a larger one stays there.
    ///
    /// # Safety
    /// `handle` must be a structure of this answer, and `name` end with NUL.
    unsafe fn number(&self, handle: *mut c_void, name: *const c_char, number: u64) {
        let number = c_uint::try_from(number).unwrap_or(c_uint::MAX);
        // SAFETY: the format takes a name and one unsigned int.
        unsafe { (self.rpc.struct_add)(handle, c"u".as_ptr(), name, number) };
    }

    /// # Safety
    /// As for [`Call::number`].
    unsafe fn text(&self, handle: *mut c_void, name: *const c_char, text: &str) {
        let mut text = Str::of(text.as_bytes());
        // SAFETY: the format takes a name and one text, which Kamailio copies.
        unsafe { (self.rpc.struct_add)(handle, c"S".as_ptr(), name, &raw mut text) };
    }

    fn fault(&self, fault: &Fault) {
        // It is the one that cannot answer later.
        let most = match self.rpc.capabilities {
            None => FAULT_BYTES_OF_CTL,
            Some(_) => FAULT_BYTES,
        };
        let text = CString::new(fault.shortened(most)).unwrap_or_default();
        let format = c"%s".as_ptr();
        // SAFETY: the format takes one text that ends with NUL.
        unsafe { (self.rpc.fault)(self.context, fault.code.into(), format, text.as_ptr()) };
    }

    /// Has this command answered later, where the transport can do that.
    pub fn delay(&self) -> Option<Delayed> {
        let capabilities = self.rpc.capabilities?;
        let new = self.rpc.delayed_ctx_new?;
        // SAFETY: both functions take the context of a command under way.
        let delayed = unsafe {
            match capabilities(self.context) & DELAYED_REPLY {
                0 => null_mut(),
                _ => new(self.context),
            }
        };
        (!delayed.is_null()).then_some(Delayed(delayed))
    }
}

/// A command that is answered later, perhaps in another process: it is in Kamailio's shared memory.
pub struct Delayed(*mut RpcDelayed);

impl Delayed {
    /// What stands for it in an errand.
    pub fn place(&self) -> usize {
        self.0.expose_provenance()
    }

    /// Answers, once and for all.
    pub fn answer(self, answer: &Answer) {
        // SAFETY: Kamailio has made it, and it is there until it is closed, which is done here alone.
        let (rpc, context) = unsafe { (&(*self.0).rpc, (*self.0).context) };
        // SAFETY: both are those of a command that is not answered yet.
        unsafe { Call::new(rpc, context) }.answer(answer);
        if let Some(close) = rpc.delayed_ctx_close {
            // SAFETY: the function takes what `delayed_ctx_new` has made.
            unsafe { close(self.0) };
        }
    }
}

/// Answers the command that [`Delayed::place`] stands for.
///
/// # Safety
/// `place` must be that of a command that is not answered yet.
pub unsafe fn later(place: usize, answer: &Answer) {
    Delayed(std::ptr::with_exposed_provenance_mut(place)).answer(answer);
}
