//! What is to be done with a message, and the answer to it.

use super::accepted::Accepted;
use super::recent_requests::Receipt;
use super::refusal::{Refusal, phrase};

/// The outcome of the checks.
#[derive(Debug)]
pub enum Decision {
    /// The message is answered with a refusal, and nothing is sent.
    Refused(Refusal),
    /// The message is answered 202 and sent to the recipients.
    Accepted(Accepted),
    /// The message is answered 202 and goes nowhere.
    Ended(Ended),
    /// The message was accepted before: it is answered 202 again, and nothing is sent (H-3).
    Retransmission,
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

impl Decision {
    /// The answer that the decision asks for, whatever the message was.
    pub(super) fn answer(&self, server_name: &str) -> Answer {
        match self {
            Self::Refused(refusal) => {
                Answer::new(refusal.reason.code(), refusal.headers(server_name))
            }
            Self::Accepted(_) | Self::Ended(_) | Self::Retransmission => {
                Answer::new(202, Vec::new())
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

    /// Makes the answer to an accepted message one that refuses it after all. What it says of the
    /// request stays.
    pub fn refuse(&mut self, refusal: &Refusal, server_name: &str) {
        let mut headers = refusal.headers(server_name);
        headers.append(&mut self.headers);
        *self = Self::new(refusal.reason.code(), headers);
    }
}
