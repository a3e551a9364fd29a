//! One message from its bytes to the forks in three steps, the same in every proxy: `cimf_check()`,
//! `cimf_reply()`, `cimf_fork()`; `cimf_handle()` is the three in a row.

#![forbid(unsafe_code)]

use super::options::describe;
use super::proxy::{Proxy, Sender, Transaction};
use super::sending::pump;
use super::verdict::{Progress, Room, ScriptResult, Verdict};
use crate::control::{Decision, NotOurs, Source, is_message};
use crate::fanout::Counter;
use crate::server::{Server, Worker};
use crate::sip::lines::unfolded;

/// Checks the request in `bytes`, answers it, and sends it to the members. Returns the verdict for the script to
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

/// Checks the request in `bytes` and takes room for an accepted message. Answers nothing but the retransmission of
/// an accepted request and an OPTIONS to a group or service, about which the script has nothing to decide.
///
/// Afterwards the request has a transaction, which recognises retransmissions that come before the script has decided
/// and repeats the script's answer for them.
pub fn check<'s>(
    server: &'s Server,
    worker: &mut Worker,
    proxy: &mut impl Proxy,
    bytes: &[u8],
    source: &Source<'_>,
) -> Result<Verdict<'s>, ScriptResult> {
    let bytes = &*unfolded(bytes);
    if !is_message(bytes) {
        return Err(describe(server, worker, proxy, bytes));
    }
    let message = match worker.recognise(server.decider(), bytes, source) {
        Ok(message) => message,
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
    let decision = worker.decide(server.decider(), &message, source);
    if transaction == Transaction::Impossible && !matches!(decision, Decision::Refused(_)) {
        log::error!(
            "the proxy made no transaction for a message that is well formed, nothing is sent"
        );
        return Err(ScriptResult::InternalError);
    }
    let (mut room, mut turned_away) = (None, None);
    if let Decision::Accepted(accepted) = &decision {
        match server.reserve(accepted, &message, &mut worker.identifiers) {
            Ok(ticket) => room = Some(Room { server, ticket }),
            Err(refusal) => turned_away = Some(refusal),
        }
    }
    let mut verdict = Verdict {
        headers_of_answers: message.headers_of_answers(server.decider().policy(), source),
        turned_away,
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

/// Answers a request as its verdict says. An accepted message is on disk before, where `durability` asks for that.
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
    let answer = verdict.answer(server.decider().server_name());
    if !proxy.reply(&answer, verdict.transaction) {
        // Where a request is too broken to be answered, a refusal that is not sent does no harm.
        let level = match verdict.refused() {
            Some(_) => log::Level::Info,
            None => log::Level::Error,
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
    if let Decision::Ended(ended) = &verdict.decision {
        server.decider().ended(ended);
    }
    if let (Decision::Accepted(accepted), Some(room)) = (&verdict.decision, &verdict.room) {
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
            (Progress::Ended, _) if verdict.refused().is_some() => return ScriptResult::Refused,
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
