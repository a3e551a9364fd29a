//! What the checks of one request have come to, and what a script may read of it.

#![forbid(unsafe_code)]

use super::handle::{ScriptResult, Transaction};
use crate::control::{Answer, Decision};

/// The verdict on one request, and how far it has been carried out. It belongs to that request, and
/// is dropped when the script ends, wherever the script has left it.
#[derive(Debug)]
pub struct Verdict {
    pub(super) decision: Decision,
    pub(super) answer: Answer,
    pub(super) transaction: Transaction,
    pub(super) progress: Progress,
}

/// How far a verdict has been carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing was answered.
    Checked,
    /// The answer has been sent; an accepted message has this number, and its forks are to follow.
    Answered(u64),
    /// There is nothing left to do, or nothing that could be done.
    Ended,
}

/// What a script may read of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The status code that it asks for.
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
    /// The recipient whose outcome is told.
    Recipient,
    /// The number of the message whose outcome is told, as in the log.
    Id,
}

/// The value of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'v> {
    /// A number.
    Number(i64),
    /// Text, as it came from outside where it did.
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
}

impl Verdict {
    /// What a script gets from the check.
    pub fn result(&self) -> ScriptResult {
        match self.decision {
            Decision::Accepted(_) => ScriptResult::Accepted,
            Decision::Refused(_) => ScriptResult::Refused,
            Decision::Repeated => ScriptResult::Stop,
        }
    }

    /// One fact; `None` where there is none.
    pub fn fact(&self, fact: Fact) -> Option<Value<'_>> {
        let text = |text| Some(Value::Text(text));
        match (fact, &self.decision) {
            (Fact::Code, _) => Some(Value::Number(i64::from(self.answer.code))),
            (Fact::Reason, Decision::Refused(refusal)) => text(refusal.reason.warning().as_bytes()),
            (Fact::Reason, _) => text(self.answer.phrase.as_bytes()),
            (Fact::Requirement, Decision::Refused(refusal)) => {
                text(refusal.reason.requirement().as_bytes())
            }
            (Fact::Group, Decision::Refused(refusal)) => text(&refusal.group),
            (Fact::Group, Decision::Accepted(accepted)) => text(accepted.group.uri().as_bytes()),
            (Fact::Originator, Decision::Refused(refusal)) => {
                refusal.originator.as_deref().map(Value::Text)
            }
            (Fact::Originator, Decision::Accepted(accepted)) => text(&accepted.originator),
            (Fact::Count, Decision::Accepted(accepted)) => {
                Some(Value::Number(accepted.count() as i64))
            }
            _ => None,
        }
    }
}

impl Drop for Verdict {
    fn drop(&mut self) {
        if let (Progress::Answered(message), Decision::Accepted(accepted)) =
            (self.progress, &self.decision)
        {
            let count = accepted.count();
            log::warn!(
                "message {message} was answered 202, but the script ended without cimf_fork(): \
                 its {count} recipients get nothing"
            );
        }
    }
}
