//! The request that OpenSIPS handles: its transaction and its answer. Without a transaction sl answers.

use super::copies::Uac;
use super::module::Module;
use super::tm::Transactions;
use crate::control::{Answer, Fork};
use crate::fanout::NotSent;
use crate::host::abi::{HDR_EOH, LUMP_RPL_HDR, Str};
use crate::host::proxy::{Proxy, Sender, Transaction};
use crate::host::request;
use std::ffi::c_int;
use std::ptr::null;

/// OpenSIPS while it handles one request.
pub type Request<'c> = request::Request<'c, Module, *const Str>;

impl Proxy for Request<'_> {
    fn transaction(&mut self) -> Transaction {
        // SAFETY: `message` is the request that OpenSIPS is handling.
        unsafe { self.module.transactions.server.make(self.message) }
    }

    fn is_in_transaction(&mut self) -> bool {
        let server = self.module.transactions.server;
        // SAFETY: `message` is the request that OpenSIPS is handling.
        unsafe { server.is_of_another(self.message) }
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
            server,
            reply,
            stateless_reply,
            ..
        } = self.module.transactions;
        // SAFETY: `message` is the request that OpenSIPS is handling, and the phrase lives until the
        // call returns.
        let result = unsafe {
            // OpenSIPS copies Record-Route into each 2xx, but a MESSAGE makes no dialog. It is known once all header
            // fields are parsed; where they cannot be, the answer fails too.
            (self.module.core.parse_headers)(self.message, HDR_EOH, 0, 1);
            let hidden = self.module.layout.take_record_route(self.message);
            let result = match server.is_there() {
                true => reply(self.message, code.cast_unsigned(), &phrase),
                false => stateless_reply(self.message, code, &phrase, null()),
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
