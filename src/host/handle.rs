//! `cimf_handle()`: one message from its bytes to the forks, the same in every proxy.

#![forbid(unsafe_code)]

use super::describe::describe;
use crate::control::{Accepted, Answer, Decision, Fork, NotOurs, Source};
use crate::fanout::Counter;
use crate::server::{Server, Worker};

/// What a script gets from `cimf_handle()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum ScriptResult {
    /// Answered 202, and sent to the members.
    Accepted = 1,
    /// Refused, and answered.
    Refused = 2,
    /// No message, but an OPTIONS about a group or service, and answered.
    Described = 3,
    /// A retransmission: the proxy has answered it again, and the script ends.
    Stop = 0,
    /// Not ours: nothing was answered.
    NotOurs = -1,
    /// An internal error: nothing was answered.
    InternalError = -2,
}

/// What became of the attempt to make a server transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// The request has a transaction.
    Present,
    /// The request belongs to a transaction that has answered it again.
    Retransmission,
    /// The proxy cannot make one, as for a request without Call-ID.
    Impossible,
}

/// What the controlling function needs of a proxy while it handles one request.
pub trait Proxy {
    /// Makes a server transaction of the request, if it has none.
    fn transaction(&mut self) -> Transaction;

    /// Answers the request, within its transaction if it has one; says whether that worked.
    fn reply(&mut self, answer: &Answer, transaction: Transaction) -> bool;

    /// Sends one fork of the message with this number; says whether the proxy took it.
    fn send(&mut self, fork: &Fork<'_>, message: u64) -> bool;
}

/// Checks the request in `bytes`, answers it, and sends it to the members.
pub fn handle(
    server: &Server,
    worker: &mut Worker,
    proxy: &mut impl Proxy,
    bytes: &[u8],
    source: &Source<'_>,
) -> ScriptResult {
    let message = match server.recognise(bytes) {
        Ok(message) => message,
        Err(NotOurs::Method) => return describe(server, worker, proxy, bytes),
        Err(reason) => {
            log::debug!("left to the script: {reason}");
            return ScriptResult::NotOurs;
        }
    };
    let transaction = proxy.transaction();
    if transaction == Transaction::Retransmission {
        server.counters().add(Counter::Retransmissions);
        return ScriptResult::Stop;
    }
    let decision = worker.decide(server, &message, source);
    if transaction == Transaction::Impossible && !matches!(decision, Decision::Refused(_)) {
        log::error!(
            "the proxy made no transaction for a message that is well formed, nothing is sent"
        );
        return ScriptResult::InternalError;
    }
    let answer = server.answer(&message, &decision, source);
    if !proxy.reply(&answer, transaction) {
        // A refusal that a broken request lets nobody answer is nobody's loss.
        let level = match decision {
            Decision::Refused(_) => log::Level::Info,
            Decision::Accepted(_) | Decision::Repeated => log::Level::Error,
        };
        let code = answer.code;
        log::log!(
            level,
            "the proxy did not send the answer {code}, nothing is sent"
        );
        return ScriptResult::InternalError;
    }
    match decision {
        Decision::Accepted(accepted) => {
            send_all(server, worker, proxy, &accepted);
            ScriptResult::Accepted
        }
        Decision::Repeated => ScriptResult::Stop,
        Decision::Refused(_) => ScriptResult::Refused,
    }
}

/// Sends the forks of a message that has been answered, and counts what the proxy did not take.
fn send_all(server: &Server, worker: &mut Worker, proxy: &mut impl Proxy, accepted: &Accepted) {
    let message = server.answered(accepted);
    let mut refused = 0;
    for recipient in accepted.recipients() {
        let fork = accepted.fork(recipient, &mut worker.identifiers);
        if proxy.send(&fork, message) {
            server.counters().add(Counter::ForksSent);
        } else {
            server.counters().add(Counter::ForksRefused);
            refused += 1;
        }
    }
    if refused > 0 {
        let count = accepted.count();
        log::error!("message {message}: the proxy refused to send {refused} of {count} forks");
    }
}
