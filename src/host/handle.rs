//! One message from its bytes to the forks in three steps, the same in every proxy: `cimf_check()`,
//! `cimf_reply()`, `cimf_fork()`; `cimf_handle()` is the three in a row.

#![forbid(unsafe_code)]

use super::describe::describe;
use super::verdict::{Progress, Verdict};
use crate::control::{Accepted, Answer, Decision, Fork, NotOurs, Source};
use crate::fanout::Counter;
use crate::server::{Server, Worker};

/// What a script gets from `cimf_handle()` and from each of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum ScriptResult {
    /// Answered 202, and sent to the members; from a check: to be accepted.
    Accepted = 1,
    /// Refused, and answered; from a check: to be refused.
    Refused = 2,
    /// No message, but an OPTIONS about a group or service, and answered.
    Described = 3,
    /// A retransmission: the proxy has answered it again, and the script ends.
    Stop = 0,
    /// Not ours: nothing was answered.
    NotOurs = -1,
    /// An internal error, or a step that is not the next one: nothing was answered or sent.
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

/// How a fork that the proxy has taken ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Final {
    /// It was answered with this code.
    Received(u16),
    /// It was not answered in time or could not be delivered, and the proxy says this code.
    Made(u16),
}

impl std::fmt::Display for Final {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Received(code) => write!(f, "answered {code}"),
            Self::Made(code) => write!(f, "not answered ({code})"),
        }
    }
}

/// What the controlling function needs of a proxy while it handles one request.
pub trait Proxy {
    /// Makes a server transaction of the request, if it has none.
    fn transaction(&mut self) -> Transaction;

    /// Answers the request, within its transaction if it has one; says whether that worked.
    fn reply(&mut self, answer: &Answer, transaction: Transaction) -> bool;

    /// Sends one fork; says whether the proxy took it. Of one that it took, the proxy tells
    /// [`completed`] and [`released`] with its cookie, in whichever process, perhaps before this
    /// returns; of others, neither.
    fn send(&mut self, fork: &Fork<'_>, cookie: u64) -> bool;
}

/// Checks the request in `bytes`, answers it, and sends it to the members. The verdict is there to be
/// read.
pub fn handle(
    server: &Server,
    worker: &mut Worker,
    proxy: &mut impl Proxy,
    bytes: &[u8],
    source: &Source<'_>,
) -> (ScriptResult, Option<Verdict>) {
    let mut verdict = match check(server, worker, proxy, bytes, source) {
        Ok(verdict) => verdict,
        Err(result) => return (result, None),
    };
    let mut result = reply(server, proxy, &mut verdict);
    if result == ScriptResult::Accepted {
        result = fork(server, worker, proxy, &mut verdict);
    }
    (result, Some(verdict))
}

/// Checks the request in `bytes` and answers nothing, but for the repetition of a request that was
/// accepted and an OPTIONS about a group or service: there is nothing to decide about them.
///
/// The request has a transaction then, so that repetitions that come before the script has decided
/// are told apart, and whatever the script answers in it is repeated for them.
pub fn check(
    server: &Server,
    worker: &mut Worker,
    proxy: &mut impl Proxy,
    bytes: &[u8],
    source: &Source<'_>,
) -> Result<Verdict, ScriptResult> {
    let message = match server.recognise(bytes) {
        Ok(message) => message,
        Err(NotOurs::Method) => return Err(describe(server, worker, proxy, bytes)),
        Err(reason) => {
            log::debug!("left to the script: {reason}");
            return Err(ScriptResult::NotOurs);
        }
    };
    let transaction = proxy.transaction();
    if transaction == Transaction::Retransmission {
        server.counters().add(Counter::Retransmissions);
        return Err(ScriptResult::Stop);
    }
    let decision = worker.decide(server, &message, source);
    if transaction == Transaction::Impossible && !matches!(decision, Decision::Refused(_)) {
        log::error!(
            "the proxy made no transaction for a message that is well formed, nothing is sent"
        );
        return Err(ScriptResult::InternalError);
    }
    let answer = server.answer(&message, &decision, source);
    let mut verdict = Verdict {
        decision,
        answer,
        transaction,
        progress: Progress::Checked,
    };
    match verdict.result() {
        ScriptResult::Stop => Err(reply(server, proxy, &mut verdict)),
        _ => Ok(verdict),
    }
}

/// Answers a request as its verdict says.
pub fn reply(server: &Server, proxy: &mut impl Proxy, verdict: &mut Verdict) -> ScriptResult {
    if verdict.progress != Progress::Checked {
        log::error!("cimf_reply(): the message has been answered already");
        return ScriptResult::InternalError;
    }
    verdict.progress = Progress::Ended;
    let Verdict {
        decision, answer, ..
    } = &*verdict;
    if !proxy.reply(answer, verdict.transaction) {
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
    if let Decision::Accepted(accepted) = decision {
        verdict.progress = Progress::Answered(server.answered(accepted));
    }
    verdict.result()
}

/// Sends an accepted message that has been answered 202 to its recipients, never before.
pub fn fork(
    server: &Server,
    worker: &mut Worker,
    proxy: &mut impl Proxy,
    verdict: &mut Verdict,
) -> ScriptResult {
    let Progress::Answered(number) = verdict.progress else {
        let state = match (verdict.progress, &verdict.decision) {
            (Progress::Ended, Decision::Refused(_)) => return ScriptResult::Refused,
            (Progress::Checked, _) => "has not been answered: cimf_reply() comes first",
            _ => "has been sent already, or could not be answered",
        };
        log::error!("cimf_fork(): the message {state}; nothing is sent");
        return ScriptResult::InternalError;
    };
    verdict.progress = Progress::Ended;
    if let Decision::Accepted(accepted) = &verdict.decision {
        send_all(server, worker, proxy, accepted, number);
    }
    verdict.result()
}

/// Sends the forks of the message with this number, which is their cookie, and counts what the
/// proxy did not take.
fn send_all(
    server: &Server,
    worker: &mut Worker,
    proxy: &mut impl Proxy,
    accepted: &Accepted,
    message: u64,
) {
    let counters = server.counters();
    let mut refused = 0;
    for recipient in accepted.recipients() {
        let fork = accepted.fork(recipient, &mut worker.identifiers);
        counters.add(Counter::Transactions);
        if proxy.send(&fork, message) {
            counters.add(Counter::ForksSent);
        } else {
            counters.subtract(Counter::Transactions);
            counters.add(Counter::ForksRefused);
            refused += 1;
        }
    }
    if refused > 0 {
        let count = accepted.count();
        log::error!("message {message}: the proxy refused to send {refused} of {count} forks");
    }
}

/// The fork with this cookie has ended.
pub fn completed(server: &Server, cookie: u64, outcome: Final) {
    if matches!(outcome, Final::Received(200..300)) {
        server.counters().add(Counter::ForksDelivered);
    } else {
        server.counters().add(Counter::ForksFailed);
        log::info!("message {cookie}: a fork was {outcome}");
    }
}

/// The proxy has given back the memory of a fork's transaction, some seconds after its end.
pub fn released(server: &Server, _cookie: u64) {
    server.counters().subtract(Counter::Transactions);
}
