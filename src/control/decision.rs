//! What is to be done with a message, and the answer to it.

use super::accepted::Accepted;
use super::reason_table::{RefusalReason, phrase};
use super::refusal::Refusal;
use super::request_memory::Receipt;

/// The outcome of the checks.
#[derive(Debug)]
pub enum Decision<'m> {
    /// The message is answered with a refusal, and nothing is sent.
    Refused(Refusal),
    /// The message is answered 202 and sent to the recipients.
    Accepted(Accepted<'m>),
    /// The message is answered 202 and goes nowhere.
    Ended(Ended),
    /// The message was accepted before: it is answered 202 again, and nothing is sent (H-3).
    Retransmission,
    /// Without a server transaction there is no decision.
    Undecided(Undecided),
}

/// Why there is no decision about a request without a server transaction (H-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// Some worker is deciding about the same request: it will answer.
    InHand,
    /// It was refused before: its first transaction knows the answer. If there is none any more, it is to be decided
    /// in one.
    RefusedBefore,
    /// It cannot be noted: it is to be decided in a transaction, which knows its retransmissions.
    NoRoom,
}

/// A message that ends with its answer.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What it is, and the parameter that says so, for the log.
    pub what: &'static str,
    /// The originator's first asserted address.
    pub originator: Vec<u8>,
    /// The address of the group or service.
    pub group: String,
    /// Where the request is remembered, to be marked once it is answered.
    pub receipt: Receipt,
}

/// The answer to a message.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub code: u16,
    /// The reason phrase.
    pub phrase: &'static str,
    /// Further header fields, each with its CRLF.
    pub headers: Vec<u8>,
}

impl Decision<'_> {
    /// The same decision, which borrows nothing of the request.
    pub fn into_owned(self) -> Decision<'static> {
        match self {
            Self::Accepted(accepted) => Decision::Accepted(accepted.into_owned()),
            Self::Refused(refusal) => Decision::Refused(refusal),
            Self::Ended(ended) => Decision::Ended(ended),
            Self::Retransmission => Decision::Retransmission,
            Self::Undecided(why) => Decision::Undecided(why),
        }
    }

    /// Where the request is noted, if its originator may send.
    pub fn receipt(&self) -> Option<Receipt> {
        match self {
            Self::Refused(refusal) => refusal.receipt,
            Self::Accepted(accepted) => Some(accepted.receipt),
            Self::Ended(ended) => Some(ended.receipt),
            Self::Retransmission | Self::Undecided(_) => None,
        }
    }

    /// The answer that the decision asks for. `of_request` are the header fields that every answer to the request has.
    pub fn answer(&self, server_name: &str, of_request: &[u8]) -> Answer {
        match self {
            Self::Refused(refusal) => Answer::refusing(refusal, server_name, of_request),
            Self::Accepted(_) | Self::Ended(_) | Self::Retransmission | Self::Undecided(_) => {
                Answer::accepted(of_request)
            }
        }
    }
}

impl Answer {
    /// With the reason phrase of its code.
    fn new(code: u16, headers: Vec<u8>) -> Self {
        Self {
            code,
            phrase: phrase(code),
            headers,
        }
    }

    /// The answer to an accepted message.
    pub fn accepted(of_request: &[u8]) -> Self {
        Self::new(202, of_request.to_vec())
    }

    /// The answer that refuses a message.
    pub fn refusing<R: RefusalReason>(
        refusal: &Refusal<R>,
        server_name: &str,
        of_request: &[u8],
    ) -> Self {
        let mut headers = refusal.headers(server_name);
        headers.extend_from_slice(of_request);
        Self::new(refusal.reason.code(), headers)
    }
}
