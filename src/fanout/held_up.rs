//! A message whose recipients wait behind copies that nobody answers: what the log says of it, with the parameter that
//! bounds them.

#![forbid(unsafe_code)]

use crate::sip::text::Printable;
use std::fmt;

/// What bounds the copies of a message, with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The copies of one message that are not silent (`concurrency`).
    Concurrency(u32),
    /// The copies among which its Max-Breadth is shared (`max_breadth`, or what the message came with).
    Breadth(u32),
    /// The copies of all messages (`forks_in_flight`).
    ForksInFlight(u64),
    /// The proxy's transactions (`tm_memory`).
    Transactions(u64),
}

impl Bound {
    /// The parameter that an administrator may change.
    pub fn parameter(self) -> &'static str {
        match self {
            Self::Concurrency(_) => "concurrency",
            Self::Breadth(_) => "max_breadth",
            Self::ForksInFlight(_) => "forks_in_flight",
            Self::Transactions(_) => "tm_memory",
        }
    }
}

/// A message whose recipients wait behind copies that nobody answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldUp {
    /// Its number.
    pub message: u64,
    /// The URI of the group or service.
    pub group: Vec<u8>,
    /// How many of its recipients wait for their turn.
    pub waiting: u32,
    /// How many copies are silent: of this message, or, where all are bounded together, of its originator.
    pub silent: u64,
    /// What bounds them.
    pub bound: Bound,
    /// `patience`, in seconds.
    pub patience: u32,
}

impl fmt::Display for HeldUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            message,
            group,
            waiting,
            silent,
            bound,
            patience,
        } = self;
        let group = Printable(group);
        write!(
            f,
            "message {message} to <{group}>: {waiting} members wait behind {silent} copies that were not answered for \
             {patience} s (patience); "
        )?;
        match bound {
            Bound::Concurrency(most) => write!(
                f,
                "concurrency={most} bounds the other copies of a message: raise it if so many members are silent often"
            ),
            Bound::Breadth(most) => write!(
                f,
                "Max-Breadth bounds the copies of the message to {most}, silent ones included: where no other server \
                 spreads them, set max_breadth=0 and leave it to concurrency"
            ),
            Bound::ForksInFlight(most) => write!(
                f,
                "forks_in_flight={most} bounds the copies of all messages, and of one sender to a part of them: raise \
                 it, or take members out who never answer"
            ),
            Bound::Transactions(most) => write!(
                f,
                "tm_memory has room for {most} transactions of copies: raise it with the proxy's shared memory (-m), \
                 or take members out who never answer"
            ),
        }
    }
}
