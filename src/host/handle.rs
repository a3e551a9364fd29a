//! One message from its bytes to the forks in three steps, the same in every proxy: `cimf_check()`,
//! `cimf_reply()`, `cimf_fork()`; `cimf_handle()` is the three in a row.

#![forbid(unsafe_code)]

use super::describe::describe;
use super::told::{self, Told};
use super::verdict::{Progress, Room, Verdict};
use crate::control::{Answer, Decision, Fork, NotOurs, Source};
use crate::fanout::{Attempt, Counter, NotSent};
use crate::server::{Server, Worker};
use crate::sip::lines::unfolded;
use std::borrow::Cow;
use std::cell::Cell;

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

/// What sends forks, in whichever process.
pub trait Sender {
    /// Sends one fork to the URI `next_hop`, whose host is an address and no name, or to its own Request-URI
    /// if that is empty; or says why not. Of one that it took, the proxy tells [`completed`] and
    /// [`released`] with its cookie, in whichever process, perhaps before this returns; of others,
    /// neither.
    fn send(&mut self, fork: &Fork<'_>, next_hop: &str, cookie: u64) -> Result<(), NotSent>;
}

/// What the controlling function needs of a proxy while it handles one request.
pub trait Proxy: Sender {
    /// Makes a server transaction of the request, if it has none.
    fn transaction(&mut self) -> Transaction;

    /// Answers the request, within its transaction if it has one; says whether that worked.
    fn reply(&mut self, answer: &Answer, transaction: Transaction) -> bool;
}

/// Checks the request in `bytes`, answers it, and sends it to the members. The verdict is there to be
/// read.
pub fn handle<'s>(
    server: &'s Server,
    worker: &mut Worker,
    proxy: &mut impl Proxy,
    bytes: &[u8],
    source: &Source<'_>,
) -> (ScriptResult, Option<Verdict<'s>>) {
    let mut verdict = match check(server, worker, proxy, bytes, source) {
        Ok(verdict) => verdict,
        Err(result) => return (result, None),
    };
    let mut result = reply(server, proxy, &mut verdict);
    if result == ScriptResult::Accepted {
        result = fork(server, proxy, &mut verdict);
    }
    (result, Some(verdict))
}

/// Checks the request in `bytes` and answers nothing, but for the repetition of a request that was
/// accepted and an OPTIONS about a group or service: there is nothing to decide about them. Room for
/// an accepted message is taken.
///
/// The request has a transaction then, so that repetitions that come before the script has decided
/// are told apart, and whatever the script answers in it is repeated for them.
pub fn check<'s>(
    server: &'s Server,
    worker: &mut Worker,
    proxy: &mut impl Proxy,
    bytes: &[u8],
    source: &Source<'_>,
) -> Result<Verdict<'s>, ScriptResult> {
    let bytes = &*unfolded(bytes);
    let message = match worker.recognise(server.decider(), bytes, source) {
        Ok(message) => message,
        Err(NotOurs::Method) => return Err(describe(server, worker, proxy, bytes)),
        Err(reason) => {
            let level = match reason {
                NotOurs::Unavailable(_) => log::Level::Error,
                NotOurs::Unreadable(_) | NotOurs::Unknown(_) | NotOurs::Untagged(_) => {
                    log::Level::Info
                }
                _ => log::Level::Debug,
            };
            log::log!(level, "left to the script: {reason}");
            return Err(ScriptResult::NotOurs);
        }
    };
    let transaction = proxy.transaction();
    if transaction == Transaction::Retransmission {
        server.decider().counters().add(Counter::Retransmissions);
        return Err(ScriptResult::Stop);
    }
    let mut decision = worker.decide(server.decider(), &message, source);
    if transaction == Transaction::Impossible && !matches!(decision, Decision::Refused(_)) {
        log::error!(
            "the proxy made no transaction for a message that is well formed, nothing is sent"
        );
        return Err(ScriptResult::InternalError);
    }
    let mut room = None;
    if let Decision::Accepted(accepted) = &decision {
        match server.reserve(accepted, &message, &mut worker.identifiers) {
            Ok(ticket) => room = Some(Room { server, ticket }),
            Err(refusal) => decision = Decision::Refused(*refusal),
        }
    }
    let mut verdict = Verdict {
        answer: server.decider().answer(&message, &decision, source),
        decision,
        transaction,
        progress: Progress::Checked,
        room,
    };
    match verdict.result() {
        ScriptResult::Stop => Err(reply(server, proxy, &mut verdict)),
        _ => Ok(verdict),
    }
}

/// Answers a request as its verdict says. An accepted message is on disk before, where that is wanted.
pub fn reply<'s>(
    server: &'s Server,
    proxy: &mut impl Proxy,
    verdict: &mut Verdict<'s>,
) -> ScriptResult {
    if verdict.progress != Progress::Checked {
        log::error!("cimf_reply(): the message has been answered already");
        return ScriptResult::InternalError;
    }
    verdict.progress = Progress::Ended;
    verdict.store(server);
    let Verdict {
        decision, answer, ..
    } = &*verdict;
    if !proxy.reply(answer, verdict.transaction) {
        // A refusal that a broken request lets nobody answer is nobody's loss.
        let level = match decision {
            Decision::Refused(_) => log::Level::Info,
            _ => log::Level::Error,
        };
        let code = answer.code;
        log::log!(
            level,
            "the proxy did not send the answer {code}, nothing is sent"
        );
        if let Some(room) = verdict.room.take() {
            server.outbox().withdraw(room.ticket);
        }
        return ScriptResult::InternalError;
    }
    if let Decision::Ended(ended) = decision {
        server.decider().ended(ended);
    }
    if let (Decision::Accepted(accepted), Some(room)) = (decision, &verdict.room) {
        let number = room.ticket.number();
        server.decider().answered(accepted, Some(number));
        verdict.progress = Progress::Answered(number);
    }
    verdict.result()
}

/// Starts to send an accepted message that has been answered 202 to its recipients, never before
/// the first of them here, all others as responses come.
pub fn fork(server: &Server, sender: &mut impl Sender, verdict: &mut Verdict<'_>) -> ScriptResult {
    let is_answered = matches!(verdict.progress, Progress::Answered(_));
    let Some(room) = is_answered.then(|| verdict.room.take()).flatten() else {
        let state = match (verdict.progress, &verdict.decision) {
            (Progress::Ended, Decision::Refused(_)) => return ScriptResult::Refused,
            (Progress::Ended, Decision::Ended(_)) => return ScriptResult::Accepted,
            (Progress::Checked, _) => "has not been answered: cimf_reply() comes first",
            _ => "has been sent already, or could not be answered",
        };
        log::error!("cimf_fork(): the message {state}; nothing is sent");
        return ScriptResult::InternalError;
    };
    verdict.progress = Progress::Ended;
    server.outbox().engine().start(room.ticket);
    pump(server, sender);
    verdict.result()
}

thread_local! {
    /// Whether this process is sending: what ends while it does is noticed by the loop that sends.
    static PUMPING: Cell<bool> = const { Cell::new(false) };
}

/// Sends what may be sent now, of whichever message. To be called when something was started, has
/// ended, or was given back; it never calls itself, though the proxy may end a fork while it takes it.
pub fn pump(server: &Server, sender: &mut impl Sender) {
    let engine = server.outbox().engine();
    if let Some(pumping) = Pumping::begin() {
        let first = engine.next(|| engine.now());
        pumping.send_all(server, sender, first);
    }
}

/// This process while it sends.
struct Pumping;

impl Pumping {
    /// Nothing while it does already.
    fn begin() -> Option<Self> {
        (!PUMPING.replace(true)).then_some(Self)
    }

    /// Sends the first fork, and then what may be sent.
    fn send_all(self, server: &Server, sender: &mut impl Sender, first: Option<Attempt<'_>>) {
        let engine = server.outbox().engine();
        let now = || engine.now();
        let mut next = first;
        while let Some(attempt) = next {
            if let Some(sent) = send(server, sender, attempt) {
                server.decider().counters().add(match sent {
                    Ok(()) => Counter::ForksSent,
                    Err(_) => Counter::ForksRefused,
                });
            }
            next = engine.next(now);
        }
    }
}

/// Sends a fork to its next hop; nothing if that is a name which has to be resolved first. The proxy is
/// never given a name: it would wait for the name server, and all its other messages with it.
fn send(
    server: &Server,
    sender: &mut impl Sender,
    attempt: Attempt<'_>,
) -> Option<Result<(), NotSent>> {
    let engine = server.outbox().engine();
    let now = || engine.now();
    let Some(hop) = server.next_hops().hop(&attempt.fork()) else {
        attempt.not_sent(NotSent::Failed, now());
        return Some(Err(NotSent::Failed));
    };
    let (attempt, next_hop) = match hop.name() {
        None => (attempt, Cow::Borrowed(hop.uri())),
        Some(name) => {
            let (attempt, address) = attempt.by_name(name.as_bytes(), now())?;
            (attempt, Cow::Owned(hop.uri_at(address)))
        }
    };
    let told = told::is_asked().then(|| {
        let [originator, group] = attempt.parties().map(<[u8]>::to_vec);
        Told {
            message: attempt.message(),
            code: None,
            recipient: Some(attempt.fork().recipient.to_vec()),
            group,
            originator,
        }
    });
    let send =
        |fork: &Fork<'_>, cookie| told::in_hand(told, || sender.send(fork, &next_hop, cookie));
    Some(attempt.hand_over(send, now))
}

impl Drop for Pumping {
    /// Even a panic ends the sending.
    fn drop(&mut self) {
        PUMPING.set(false);
    }
}

/// The fork with this cookie has its final response, or 408 for none in time; what that lets go is
/// sent.
pub fn completed(server: &Server, sender: &mut impl Sender, cookie: u64, code: u16) {
    let engine = server.outbox().engine();
    match Pumping::begin() {
        Some(pumping) => {
            let first = engine.completed_then_next(cookie, code, || engine.now());
            pumping.send_all(server, sender, first);
        }
        None => engine.completed(cookie, code),
    }
}

/// The proxy has given back the memory of a fork's transaction, some seconds after its end.
pub fn released(server: &Server, cookie: u64) {
    server.outbox().engine().released(cookie);
}
