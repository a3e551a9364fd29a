//! The request that OpenSIPS handles: its transaction and its answer. Without a transaction sl answers.

use super::copies::Uac;
use super::module::Module;
use super::tm::Transactions;
use crate::control::{Answer, Fork};
use crate::fanout::NotSent;
use crate::host::abi::{E_SCRIPT, HDR_EOH, LUMP_RPL_HDR, Str, T_UNDEFINED};
use crate::host::proxy::{Proxy, Sender, Transaction};
use crate::host::request;
use std::ffi::c_int;
use std::ptr::null;

/// OpenSIPS while it handles one request.
pub type Request<'c> = request::Request<'c, Module, *const Str>;

impl Proxy for Request<'_> {
    fn transaction(&mut self) -> Transaction {
        // SAFETY: `message` is the request that OpenSIPS is handling.
        match unsafe { (self.module.transactions.newtran)(self.message) } {
            0 => Transaction::Retransmission,
            E_SCRIPT | 1.. => Transaction::Present,
            _ => Transaction::Impossible,
        }
    }

    fn is_in_transaction(&mut self) -> bool {
        // SAFETY: the function only reads a variable of this process.
        let current = unsafe { (self.module.transactions.current)() };
        if !matches!(current, 0 | T_UNDEFINED) {
            // It is the one that the script has made for it.
            return false;
        }
        // SAFETY: `message` is the request that OpenSIPS is handling.
        unsafe { (self.module.transactions.check_transaction)(self.message) == 0 }
    }

    fn reply(&mut self, answer: &Answer) -> bool {
        let phrase = Str::of(answer.phrase.as_bytes());
        if !answer.headers.is_empty() {
            let headers = Str::of(&answer.headers);
            let add = self.module.core.add_lump_rpl;
            // SAFETY: OpenSIPS copies the text into its own memory.
            if unsafe { add(self.message, headers.s, headers.len, LUMP_RPL_HDR) }.is_null() {
                return false;
            }
        }
        let code = c_int::from(answer.code);
        let Transactions {
            reply,
            stateless_reply,
            current,
            ..
        } = self.module.transactions;
        // SAFETY: `message` is the request that OpenSIPS is handling, and the phrase lives until the
        // call returns.
        let result = unsafe {
            // OpenSIPS copies Record-Route into each 2xx, but a MESSAGE makes no dialog. It is known once all header
            // fields are parsed; where they cannot be, the answer fails too.
            (self.module.core.parse_headers)(self.message, HDR_EOH, 0, 1);
            let hidden = self.module.layout.take_record_route(self.message);
            let result = match current() {
                0 | T_UNDEFINED => stateless_reply(self.message, code, &phrase, null()),
                _ => reply(self.message, code.cast_unsigned(), &phrase),
            };
            self.module.layout.put_record_route(self.message, hidden);
            result
        };
        result >= 0
    }
}

impl Sender for Request<'_> {
    fn send(&mut self, fork: &Fork<'_>, next_hop: &str, cookie: u64) -> Result<(), NotSent> {
        Uac::of(self.module).send(fork, next_hop, cookie)
    }
}
