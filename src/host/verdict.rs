//! The result of the checks of one request, and what a script may read of it.

#![forbid(unsafe_code)]

use crate::control::reason_table::phrase;
use crate::control::{Answer, Decision, Ended, Receipt, Refusal, RefusalReason, Row, Summary};
use crate::fanout::Ticket;
use crate::server::{NotStored, RefusedBy, Server};

/// The status code of an answer that is no refusal.
const ACCEPTED: u16 = 202;

/// The return value of `cimf_handle()` and of each of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum ScriptResult {
    /// Answered 202 and being sent to the members; from `cimf_check()`: would be accepted.
    Accepted = 1,
    /// Refused and answered; from `cimf_check()`: would be refused.
    Refused = 2,
    /// An OPTIONS to a group or service, which was answered.
    Described = 3,
    /// A retransmission: its answer was repeated, or is to come, and the script ends.
    Stop = 0,
    /// Not a message for cimf: nothing was answered.
    NotOurs = -1,
    /// An internal error, or a step out of order: nothing was answered or sent.
    InternalError = -2,
}

/// The verdict on one request, and how far it has been carried out. It belongs to that request, and
/// is dropped when the script ends, however far it got.
#[derive(Debug)]
pub struct Verdict<'s> {
    pub(super) decided: Decided,
    /// Why a message that has passed the checks is not sent: the queue has no room, or the ledger did not store it.
    pub(super) turned_away: Option<Box<Refusal<RefusedBy>>>,
    /// The header fields of every answer to the request.
    pub(super) headers_of_answers: Vec<u8>,
    /// Whether the request has a transaction, which knows its retransmissions.
    pub(super) has_transaction: bool,
    /// Where a request without a transaction is noted, until it is answered.
    pub(super) in_hand: Option<Receipt>,
    pub(super) progress: Progress,
    /// Room in the queue for an accepted message, until it is sent.
    pub(super) room: Option<Room<'s>>,
}

/// A decision without the content of an accepted message, which is in the queue by then.
#[derive(Debug)]
pub(super) enum Decided {
    Refused(Refusal),
    Accepted(Summary),
    Ended(Ended),
    /// There is nothing to decide: it was accepted before.
    Retransmission,
}

impl Decided {
    /// What is kept of a decision; nothing if there is none.
    pub fn of(decision: Decision<'_>) -> Option<Self> {
        match decision {
            Decision::Refused(refusal) => Some(Self::Refused(refusal)),
            Decision::Accepted(accepted) => Some(Self::Accepted(accepted.into_summary())),
            Decision::Ended(ended) => Some(Self::Ended(ended)),
            Decision::Retransmission => Some(Self::Retransmission),
            Decision::Undecided(_) => None,
        }
    }
}

/// Room in the queue for an accepted message. Dropped before the message is sent, it is given back.
#[derive(Debug)]
pub(super) struct Room<'s> {
    pub server: &'s Server,
    pub ticket: Ticket<'s>,
}

/// How far a verdict has been carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing was answered.
    Checked,
    /// The answer has been sent; an accepted message has this number, and its forks are to follow.
    Answered(u64),
    /// Nothing is left to do, or nothing can be done.
    Ended,
}

/// What a script may read of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The status code of its answer.
    Code,
    /// The text of the Warning header of a refusal, or "Accepted".
    Reason,
    /// The requirement that a refusal comes from.
    Requirement,
    /// The address of the group or service.
    Group,
    /// The originator's authenticated address.
    Originator,
    /// How many recipients an accepted message has.
    Count,
    /// The recipient whose outcome is reported.
    Recipient,
    /// The number of the message whose outcome is reported, as in the log.
    Id,
}

/// The value of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'v> {
    /// A number.
    Number(i64),
    /// Text; verbatim where it came from outside.
    Text(&'v [u8]),
}

impl Fact {
    /// All facts with the names that scripts use.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Code, "code"),
        (Self::Reason, "reason"),
        (Self::Requirement, "requirement"),
        (Self::Group, "group"),
        (Self::Originator, "originator"),
        (Self::Count, "count"),
        (Self::Recipient, "recipient"),
        (Self::Id, "id"),
    ];

    /// The index of the fact with this name; an unknown name is logged.
    pub fn index_of(word: &[u8]) -> Option<usize> {
        let mut names = Self::ALL.iter().map(|(_, name)| *name);
        let index = names.position(|name| name.as_bytes() == word);
        if index.is_none() {
            let names: Vec<_> = Self::ALL.iter().map(|(_, name)| *name).collect();
            let (names, word) = (names.join(", "), String::from_utf8_lossy(word));
            log::error!("$cimf({word}): expected one of {names}");
        }
        index
    }
}

impl<'s> Verdict<'s> {
    /// What the check returns to the script.
    pub fn result(&self) -> ScriptResult {
        match self.decided {
            Decided::Accepted(_) if self.turned_away.is_some() => ScriptResult::Refused,
            Decided::Accepted(_) | Decided::Ended(_) => ScriptResult::Accepted,
            Decided::Refused(_) => ScriptResult::Refused,
            Decided::Retransmission => ScriptResult::Stop,
        }
    }

    /// The answer to the request, sent or still to be sent.
    pub(super) fn answer(&self, server_name: &str) -> Answer {
        let headers = &self.headers_of_answers;
        match (&self.turned_away, &self.decided) {
            (Some(refusal), _) => Answer::refusing(refusal, server_name, headers),
            (None, Decided::Refused(refusal)) => Answer::refusing(refusal, server_name, headers),
            (None, _) => Answer::accepted(headers),
        }
    }

    /// The row of the reason, where the message is refused.
    pub(super) fn refused(&self) -> Option<Row> {
        match (&self.turned_away, &self.decided) {
            (Some(refusal), _) => Some(refusal.reason.row()),
            (None, Decided::Refused(refusal)) => Some(refusal.reason.row()),
            (None, _) => None,
        }
    }

    /// Writes an accepted message to disk before its 202, where `durability` asks for that.
    pub(super) fn store(&mut self, server: &'s Server) {
        let (Decided::Accepted(accepted), Some(room)) = (&self.decided, self.room.take()) else {
            return;
        };
        match server.store(accepted, room.ticket) {
            Ok(ticket) => self.room = Some(Room { server, ticket }),
            Err(NotStored::Refused(refusal)) => self.turned_away = Some(refusal),
            Err(NotStored::Answered) => self.decided = Decided::Retransmission,
        }
    }

    /// Notes that the message is not accepted, where it has no transaction that knows.
    pub(super) fn is_not_accepted(&mut self, server: &Server) {
        if let Some(receipt) = self.in_hand.take() {
            server.decider().not_accepted(receipt);
        }
    }

    /// One fact; `None` where the verdict does not have it.
    pub fn fact(&self, fact: Fact) -> Option<Value<'_>> {
        let text = |text| Some(Value::Text(text));
        let number = |number| Some(Value::Number(number));
        match (fact, self.refused(), &self.decided) {
            (Fact::Code, Some(row), _) => number(row.code.into()),
            (Fact::Code, None, _) => number(ACCEPTED.into()),
            (Fact::Reason, Some(row), _) => text(row.warning.as_bytes()),
            (Fact::Reason, None, _) => text(phrase(ACCEPTED).as_bytes()),
            (Fact::Requirement, Some(row), _) => text(row.requirement.as_bytes()),
            (Fact::Group, _, Decided::Refused(refusal)) => text(&refusal.group),
            (Fact::Group, _, Decided::Accepted(accepted)) => text(accepted.group.uri().as_bytes()),
            (Fact::Group, _, Decided::Ended(ended)) => text(ended.group.as_bytes()),
            (Fact::Originator, _, Decided::Refused(refusal)) => {
                refusal.originator.as_deref().map(Value::Text)
            }
            (Fact::Originator, _, Decided::Accepted(accepted)) => text(&accepted.originator),
            (Fact::Originator, _, Decided::Ended(ended)) => text(&ended.originator),
            (Fact::Count, None, Decided::Accepted(accepted)) => number(accepted.count as i64),
            (Fact::Count, None, Decided::Ended(_)) => number(0),
            _ => None,
        }
    }
}

/// A message that was answered 202 and is not sent ends as cancelled, so that the outcomes of its recipients are
/// reported like all others.
impl Drop for Verdict<'_> {
    fn drop(&mut self) {
        if let (Progress::Answered(message), Some(room)) = (self.progress, self.room.take()) {
            log::warn!(
                "message {message} was answered 202, but the script ended without cimf_fork(): \
                 its recipients get nothing"
            );
            let engine = room.server.outbox().engine();
            engine.start_cancelled(room.ticket);
        }
    }
}
