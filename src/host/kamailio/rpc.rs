//! How commands read what they are given from Kamailio's RPC transports, and answer.

use super::abi::{Rpc, RpcDelayed};
use crate::host::abi::Str;
use crate::host::commands::{Answer, Fault};
use serde_json::Value;
use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::ptr::null_mut;

/// The bytes of a fault's text for which jsonrpcs has room.
const FAULT_BYTES: usize = 127;

/// The same of ctl.
const FAULT_BYTES_OF_CTL: usize = 254;

/// The answer where a SIP worker or a timer would have to wait. jsonrpcs keeps no longer id until the answer.
pub const DELAYED_REPLIES: &str = "a SIP worker or timer cannot wait for this command: give it by kamcmd, or by JSON-RPC over HTTP with an id of up to 63 bytes";

/// The answer in place of one of which a part would be missing.
const NO_ROOM: &str = "done, but a structure of the answer does not fit into this interface (8 KiB of ctl): ask by JSON-RPC";

/// `RPC_DELAYED_REPLY`: the transport can answer later, from another process.
const DELAYED_REPLY: c_uint = 1;

/// What comes next among what a command is given.
enum Scanned {
    /// A text, or a number as a text.
    Text(Str),
    /// Neither.
    SomethingElse,
    /// Nothing more.
    Nothing,
}

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
        if self.is_ctl()
            && let Some(found) = self.scan_double()
        {
            return match found.fract() == 0.0 {
                true => Ok(Some(format!("{found:.0}"))),
                false => Err(Fault::given(format!(
                    "parameter {number}: expected a text or a whole number; kamcmd takes what follows s: for a text, as in s:2.5"
                ))),
            };
        }
        let unreadable = || {
            Fault::given(format!(
                "parameter {number}: expected a text or a number; members are given one by one, not as an array"
            ))
        };
        match self.scan() {
            Scanned::Text(text) => {
                // SAFETY: Kamailio keeps the text while the command is under way.
                match std::str::from_utf8(unsafe { text.bytes() }) {
                    Ok(text) => Ok(Some(text.to_owned())),
                    Err(_) => Err(Fault::given(format!("parameter {number}: expected UTF-8"))),
                }
            }
            Scanned::SomethingElse => Err(unreadable()),
            // ctl passes over a structure as it says that nothing follows; what follows would be lost.
            Scanned::Nothing => match self.is_ctl() && !matches!(self.scan(), Scanned::Nothing) {
                true => Err(unreadable()),
                false => Ok(None),
            },
        }
    }

    /// Reads on. Of ctl, a number with a fraction or a structure is nothing, too.
    fn scan(&self) -> Scanned {
        // What is left as it is where nothing more is given, and what jsonrpcs makes null of where it is no text.
        let mut text = Str::of(b"");
        let untouched = text.s;
        // SAFETY: the format asks for one text, a number being made one, which goes where the pointer says.
        let read = unsafe { (self.rpc.scan)(self.context, c"*.S".as_ptr(), &raw mut text) };
        match text.s {
            found if found.is_null() => Scanned::SomethingElse,
            found if read < 1 || found == untouched => Scanned::Nothing,
            _ => Scanned::Text(text),
        }
    }

    /// Reads on if a number with a fraction is next, which ctl would not make a text of; from 6.0 on other numbers are
    /// read so, too. Anything else stays where it is.
    fn scan_double(&self) -> Option<f64> {
        let mut number = 0_f64;
        // SAFETY: the format asks for one double, which goes where the pointer says.
        let read = unsafe { (self.rpc.scan)(self.context, c"*f".as_ptr(), &raw mut number) };
        (read > 0).then_some(number)
    }

    /// Whether it came by ctl: that has no functions for answers that are given later.
    fn is_ctl(&self) -> bool {
        self.rpc.capabilities.is_none()
    }

    /// Answers. Where the transport has no room for all of it, the client is told so, and not given a part.
    pub fn answer(&self, answer: &Answer) {
        let fits = match answer {
            Ok(Value::Array(all)) => all.iter().all(|one| self.add(one)),
            Ok(one) => self.add(one),
            Err(fault) => return self.fault(fault),
        };
        if !fits {
            self.fault(&Fault::failed(NO_ROOM));
        }
    }

    /// Adds a structure with the numbers and texts of an object; gives whether it has room for them.
    fn add(&self, object: &Value) -> bool {
        let mut handle = null_mut::<c_void>();
        // SAFETY: the format asks for one structure, whose handle goes where the pointer says.
        let added = unsafe { (self.rpc.add)(self.context, c"{".as_ptr(), &raw mut handle) };
        if added < 0 || handle.is_null() {
            // Kamailio has told the client.
            return true;
        }
        object
            .as_object()
            .into_iter()
            .flatten()
            .all(|(name, value)| {
                let name = CString::new(name.as_str()).unwrap_or_default();
                let added = match value {
                    // SAFETY: the handle is that of a structure of this answer.
                    Value::Number(number) => unsafe {
                        self.number(handle, name.as_ptr(), number.as_u64().unwrap_or_default())
                    },
                    // SAFETY: as above.
                    other => unsafe {
                        self.text(handle, name.as_ptr(), other.as_str().unwrap_or_default())
                    },
                };
                added >= 0
            })
    }

    /// Kamailio's numbers have 32 bits in all versions; a larger one stays there.
    ///
    /// # Safety
    /// `handle` must be a structure of this answer, and `name` end with NUL.
    unsafe fn number(&self, handle: *mut c_void, name: *const c_char, number: u64) -> c_int {
        let number = c_uint::try_from(number).unwrap_or(c_uint::MAX);
        // SAFETY: the format takes a name and one unsigned int.
        unsafe { (self.rpc.struct_add)(handle, c"u".as_ptr(), name, number) }
    }

    /// # Safety
    /// As for [`Call::number`].
    unsafe fn text(&self, handle: *mut c_void, name: *const c_char, text: &str) -> c_int {
        let mut text = Str::of(text.as_bytes());
        // SAFETY: the format takes a name and one text, which Kamailio copies.
        unsafe { (self.rpc.struct_add)(handle, c"S".as_ptr(), name, &raw mut text) }
    }

    fn fault(&self, fault: &Fault) {
        let most = match self.is_ctl() {
            true => FAULT_BYTES_OF_CTL,
            false => FAULT_BYTES,
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
