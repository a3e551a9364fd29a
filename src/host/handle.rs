//! One message from its bytes to the forks in three steps, the same in every proxy: `cimf_check()`,
//! `cimf_reply()`, `cimf_fork()`; `cimf_handle()` is the three in a row.

#![forbid(unsafe_code)]

use super::options::describe;
use super::proxy::{Proxy, Sender, Transaction};
use super::sending::pump;
use super::verdict::{Decided, Progress, Room, ScriptResult, Verdict};
use crate::control::{Decision, NotOurs, Source, Undecided, is_message, recognise};
use crate::fanout::Counter;
use crate::server::{Decider, Server, Worker};
use crate::sip::lines::unfolded;

/// Checks the request in `bytes`, answers it, and sends it to the members. Returns the verdict for the script to
/// read.
///
/// It needs no transaction (RFC 3261 §8.2.7): the memory of recent requests knows a retransmission of what is being
/// decided and of what was accepted, and whoever is not authenticated is refused anew. What that memory does not know
/// gets one: the refusal of an authenticated originator, and a message for which it has no room.
pub fn handle<'s>(
    server: &'s Server,
    worker: &mut Worker,
    proxy: &mut impl Proxy,
    bytes: &[u8],
    source: &Source<'_>,
) -> (ScriptResult, Option<Verdict<'s>>) {
    let mut verdict = match judge(server, worker, proxy, bytes, source, false) {
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
    judge(server, worker, proxy, bytes, source, true)
}

/// Answers the request in `bytes` again if it is a retransmission: of a message that was accepted, or of anything that has
/// a transaction. One of a message that is being decided has its answer to come.
pub fn retransmission(
    server: &Server,
    proxy: &mut impl Proxy,
    bytes: &[u8],
    source: &Source<'_>,
) -> ScriptResult {
    let bytes = &*unfolded(bytes);
    let decider = server.decider();
    let message = match is_message(bytes) {
        true => recognise(decider.policy(), bytes).ok(),
        false => None,
    };
    if proxy.is_in_transaction() {
        return match message {
            Some(_) => stopped(decider),
            None => ScriptResult::Stop,
        };
    }
    let known = message.and_then(|message| Some((decider.arrival(&message)?, message)));
    let Some((decision, message)) = known else {
        return ScriptResult::NotOurs;
    };
    decider.note(&decision);
    if matches!(decision, Decision::Retransmission)
        && !proxy.reply(&decider.answer(&message, &decision, source))
    {
        log::error!("the proxy did not send the answer 202 to a retransmission");
    }
    ScriptResult::Stop
}

/// The verdict on the request in `bytes`, which gets a transaction before the checks, or where it must have one.
fn judge<'s>(
    server: &'s Server,
    worker: &mut Worker,
    proxy: &mut impl Proxy,
    bytes: &[u8],
    source: &Source<'_>,
    wants_transaction: bool,
) -> Result<Verdict<'s>, ScriptResult> {
    let bytes = &*unfolded(bytes);
    if !is_message(bytes) {
        return Err(describe(server, worker, proxy, bytes));
    }
    let decider = server.decider();
    let message = match worker.recognise(decider, bytes, source) {
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
    let mut decided = match wants_transaction {
        true => None,
        false => Some(worker.judge(decider, &message, source, false)),
    };
    let mut without_room = false;
    let has_transaction = match &decided {
        None => true,
        Some(Decision::Undecided(Undecided::InHand)) => return Err(stopped(decider)),
        Some(Decision::Undecided(why)) => {
            without_room = *why == Undecided::NoRoom;
            decided = None;
            true
        }
        // Whoever has answered in a transaction repeats that answer.
        Some(Decision::Retransmission) if proxy.is_in_transaction() => {
            return Err(stopped(decider));
        }
        // Another message from the same originator may be decided otherwise, but not the same one again.
        Some(Decision::Refused(refusal)) => refusal.originator.is_some(),
        Some(_) => false,
    };
    let in_hand = decided.as_ref().and_then(|decided| decided.receipt());
    let transaction = has_transaction.then(|| proxy.transaction());
    if transaction == Some(Transaction::Retransmission) {
        in_hand.inspect(|&receipt| decider.not_accepted(receipt));
        return Err(stopped(decider));
    }
    if without_room {
        decider.counters().add(Counter::NotRemembered);
    }
    let decision = decided.unwrap_or_else(|| worker.judge(decider, &message, source, true));
    decider.note(&decision);
    if transaction == Some(Transaction::Impossible) && !matches!(decision, Decision::Refused(_)) {
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
    let Some(decided) = Decided::of(decision) else {
        log::error!("a message that has a transaction was not decided, nothing is sent");
        return Err(ScriptResult::InternalError);
    };
    let mut verdict = Verdict {
        headers_of_answers: message.headers_of_answers(decider.policy(), source),
        turned_away,
        decided,
        has_transaction,
        in_hand,
        progress: Progress::Checked,
        room,
    };
    match verdict.result() {
        ScriptResult::Stop => Err(reply(server, proxy, &mut verdict)),
        _ => Ok(verdict),
    }
}

/// Counts a retransmission for which nothing is to be done.
fn stopped(decider: &Decider) -> ScriptResult {
    decider.counters().add(Counter::Retransmissions);
    ScriptResult::Stop
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
    if verdict.turned_away.is_some() && !verdict.has_transaction {
        // The same refusal again, whatever room there is by then.
        let transaction = proxy.transaction();
        if transaction == Transaction::Retransmission {
            verdict.is_not_accepted(server);
            return stopped(server.decider());
        }
        verdict.has_transaction = transaction == Transaction::Present;
    }
    let answer = verdict.answer(server.decider().server_name());
    let mut is_sent = proxy.reply(&answer);
    if !is_sent && !verdict.has_transaction && proxy.transaction() == Transaction::Present {
        // Where the connection is gone a transaction takes the answer all the same, and the message is not lost.
        is_sent = proxy.reply(&answer);
    }
    if !is_sent {
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
        verdict.is_not_accepted(server);
        return ScriptResult::InternalError;
    }
    if verdict.refused().is_some() {
        verdict.is_not_accepted(server);
    }
    if let Decided::Ended(ended) = &verdict.decided {
        server.decider().ended(ended);
    }
    if let (Decided::Accepted(accepted), Some(room)) = (&verdict.decided, &verdict.room) {
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
        let state = match (verdict.progress, &verdict.decided) {
            (Progress::Ended, _) if verdict.refused().is_some() => return ScriptResult::Refused,
            (Progress::Ended, Decided::Ended(_)) => return ScriptResult::Accepted,
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
