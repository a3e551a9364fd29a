//! The request that Kamailio handles: its transaction and its answer. Without a transaction sl answers.

use super::answered_header::AnsweredHeader;
use super::copies::Uac;
use super::message::Parameter;
use super::module::Module;
use crate::control::{Answer, Fork};
use crate::fanout::NotSent;
use crate::host::abi::{LUMP_RPL_HDR, Str};
use crate::host::proxy::{Proxy, Sender, Transaction};
use crate::host::request;
use std::ffi::{CString, c_int};

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
        let is_in_transaction = self.module.transactions.server.is_there();
        let reply = match is_in_transaction {
            true => self.module.transactions.reply,
            false => self.module.transactions.stateless_reply,
        };
        let is_whole = is_in_transaction || self.module.core.has_kemi_engine();
        // SAFETY: `message` is the request that Kamailio is handling, and the phrase ends with NUL.
        let result = unsafe {
            let _header = AnsweredHeader::prepare(&self.module.core, self.message, is_whole);
            reply(self.message, c_int::from(answer.code), phrase.as_ptr())
        };
        result >= 0
    }
}

impl Sender for Request<'_> {
    fn send(&mut self, fork: &Fork<'_>, next_hop: &str, cookie: u64) -> Result<(), NotSent> {
        Uac::of(self.module).send(fork, next_hop, cookie)
    }
}
