//! The request that Kamailio handles: its transaction and its answer. Without a transaction sl answers.

use super::abi::HdrField;
use super::copies::Uac;
use super::core::Core;
use super::message::Parameter;
use super::module::Module;
use crate::control::{Answer, Fork};
use crate::fanout::NotSent;
use crate::host::abi::{HDR_EOH, HDR_OTHER, HDR_RECORD_ROUTE, LUMP_RPL_HDR, SipMsg, Str};
use crate::host::proxy::{Proxy, Sender, Transaction};
use crate::host::request;
use std::ffi::{CString, c_char, c_int};

/// Kamailio while it handles one request.
pub type Request<'c> = request::Request<'c, Module, Parameter>;

impl Proxy for Request<'_> {
    fn transaction(&mut self) -> Transaction {
        // SAFETY: `message` is the request that Kamailio is handling.
        unsafe { self.module.transactions.server.make(self.message) }
    }

    fn is_in_transaction(&mut self) -> bool {
        let server = self.module.transactions.server;
        // SAFETY: `message` is the request that Kamailio is handling.
        unsafe { server.is_of_another(self.message) }
    }

    fn reply(&mut self, answer: &Answer) -> bool {
        let Ok(phrase) = CString::new(answer.phrase) else {
            return false;
        };
        if !answer.headers.is_empty() {
            let headers = Str::of(&answer.headers);
            // SAFETY: Kamailio copies the text into its own memory.
            let lump = unsafe {
                (self.module.core.add_lump_rpl2)(self.message, headers.s, headers.len, LUMP_RPL_HDR)
            };
            if lump.is_null() {
                return false;
            }
        }
        let reply = match self.module.transactions.server.is_there() {
            true => self.module.transactions.reply,
            false => self.module.transactions.stateless_reply,
        };
        // SAFETY: `message` is the request that Kamailio is handling.
        let hidden = unsafe { hide_record_route(&self.module.core, self.message) };
        // SAFETY: `message` is the request that Kamailio is handling, and the phrase ends with NUL.
        let result = unsafe { reply(self.message, c_int::from(answer.code), phrase.as_ptr()) };
        for field in hidden {
            // SAFETY: the header fields of a request live as long as the request.
            unsafe { (*field).kind = HDR_RECORD_ROUTE };
        }
        result >= 0
    }
}

impl Sender for Request<'_> {
    fn send(&mut self, fork: &Fork<'_>, next_hop: &str, cookie: u64) -> Result<(), NotSent> {
        Uac::of(self.module).send(fork, next_hop, cookie)
    }
}

/// Hides the Record-Route fields of a request under an unknown type, and returns them so that they can be restored:
/// Kamailio copies them into each 2xx, but a MESSAGE makes no dialog.
///
/// # Safety
/// `message` must be the request that Kamailio is handling.
unsafe fn hide_record_route(core: &Core, message: *mut SipMsg) -> Vec<*mut HdrField> {
    const NAME: &[u8] = b"Record-Route";
    let mut hidden = Vec::new();
    // SAFETY: the function finds the first field of a name among those that are parsed, which all are then; each field
    // points to the next one or to nothing.
    unsafe {
        if (core.parse_headers)(message, HDR_EOH, 0) < 0 {
            return hidden;
        }
        let name = NAME.as_ptr().cast::<c_char>();
        let mut field = (core.get_hdr_by_name)(message, name, NAME.len() as c_int);
        while let Some(current) = field.as_mut() {
            if current.kind == HDR_RECORD_ROUTE {
                current.kind = HDR_OTHER;
                hidden.push(field);
            }
            field = current.next;
        }
    }
    hidden
}
