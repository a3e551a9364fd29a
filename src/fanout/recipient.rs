//! One recipient of a message, and where it stands.
//!
//! ```text
//!                    another has the target (M-3)              its turn comes
//!   ┌──────► Waiting ───────────────────────────► AtTarget ──────────────────► Ready
//!   │          │ its turn                            ▲                          │ │
//!   │          ▼          the name is not known      └── it was overtaken ──────┘ │
//!   │       InFlight ────────────────────────────► AtName ──► the name is known ──┤
//!   │        ▲ │ │ └── no memory, or its process died ──────────────────────────► │
//!   │        │ │ └───────────────────────────────────────────────────────────────┘
//!   │        └─┼──────────────────────────────── its turn ───────────────────────┘
//!   │          ▼
//!   │       Delivered, Refused, Unreachable ──► Kept (the copy is, for a member who is away)
//!   │       Expired, Skipped ◄── from all but InFlight, when the message sends nothing more
//!   └── from InFlight, after a death with the lock, and from all that have not ended
//! ```
//!
//! The state and the link are changed with the lock alone. All of the state is in one word, so that who has the message
//! pinned can read it without.

#![deny(unsafe_code)]

use super::shared_memory::{HasLock, IsUnpublished, Link, Locked, Written, shared};
use std::fmt;

shared! {
    /// Where the text of a recipient starts, and which number it has; behind the last one, where its text ends.
    pub(super) struct Start {
        pub(super) text: Written<u32>,
        pub(super) number: Written<u32>,
    }

    /// A recipient.
    pub(super) struct Recipient {
        pub(super) start: Start,
        /// The next one in the same queue.
        link: Link<Recipient>,
        /// Its code, its state, whether it may have been sent before, and whether its outcome was reported.
        word: Locked<u32>,
    }
}

/// Bits of the state, from the lowest: code, state, whether it may have been sent before, whether its outcome was reported.
const CODE_MASK: u32 = 0x3ff;
const STATE: u32 = 10;
const STATE_MASK: u32 = 0xf;
const REPEATED: u32 = 1 << 14;
const REPORTED: u32 = 1 << 15;

/// Where a recipient is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum RecipientState {
    /// Its turn has not come.
    Waiting = 0,
    /// It waits until another message to the same target has its final response (M-3).
    AtTarget = 1,
    /// Its target is kept for it, and it goes before those that wait.
    Ready = 2,
    /// Its fork has no final response yet.
    InFlight = 3,
    /// It has ended in one of these ways.
    Delivered = 4,
    Refused = 5,
    Unreachable = 6,
    Expired = 7,
    Skipped = 8,
    /// It waits until it is known where the name of its next hop leads.
    AtName = 9,
    /// It has ended, and its copy is kept.
    Kept = 10,
}

impl RecipientState {
    const ALL: [Self; 11] = [
        Self::Waiting,
        Self::AtTarget,
        Self::Ready,
        Self::InFlight,
        Self::Delivered,
        Self::Refused,
        Self::Unreachable,
        Self::Expired,
        Self::Skipped,
        Self::AtName,
        Self::Kept,
    ];

    /// Whether nothing follows it.
    fn is_end(self) -> bool {
        use RecipientState::{Delivered, Expired, Kept, Refused, Skipped, Unreachable};
        matches!(
            self,
            Delivered | Refused | Unreachable | Expired | Skipped | Kept
        )
    }

    #[inline]
    fn of(word: u32) -> Self {
        let state = Self::ALL.get((word >> STATE & STATE_MASK) as usize);
        state.copied().unwrap_or(Self::Skipped)
    }
}

/// Why a recipient got no fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// `target_queue` other messages wait for the same target (M-3), or as many of the same originator as may.
    TargetQueueFull,
    /// An administrator has cancelled the message.
    Cancelled,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered(code) => write!(f, "answered {code}"),
            Self::Refused(code) => write!(f, "answered {code}"),
            Self::Unreachable(408) => f.write_str("not answered in time (408)"),
            Self::Unreachable(478) => f.write_str("no name server knows its next hop (478)"),
            Self::Unreachable(code) => write!(f, "could not be sent ({code})"),
            Self::Kept(code) => write!(f, "away ({code}), the copy is kept"),
            Self::Expired => f.write_str("the message was out of time before the copy was sent"),
            Self::Skipped(SkipReason::TargetQueueFull) => f.write_str(
                "not sent: too many messages wait for this member already (target_queue)",
            ),
            Self::Skipped(SkipReason::Cancelled) => f.write_str("not sent: cancelled"),
        }
    }
}

/// How a recipient ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The fork was answered 2xx.
    Delivered(u16),
    /// The fork was answered with 300 or more.
    Refused(u16),
    /// The fork was not answered in time (408), could not be sent (503), or the name of its next hop
    /// could not be resolved (478).
    Unreachable(u16),
    /// The fork was answered with this code, which says that the member is away, and is kept.
    Kept(u16),
    /// The message expired before the recipient's turn came (M-4), or it could not be sent for
    /// lack of memory for too long.
    Expired,
    /// The recipient got no fork.
    Skipped(SkipReason),
}

impl Outcome {
    /// The outcome as the ledger keeps it: what it was, and the code.
    pub fn to_bytes(self) -> (u8, u16) {
        let (state, code) = self.pack();
        (state as u8, code)
    }

    /// Reads what [`Outcome::to_bytes`] gave; nothing for what no outcome is.
    pub fn from_bytes(state: u8, code: u16) -> Option<Self> {
        let state = RecipientState::ALL.get(usize::from(state))?;
        Self::unpack(*state, code)
    }

    /// The kind of it in one word, for log lines and machines.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Delivered(_) => "delivered",
            Self::Refused(_) => "refused",
            Self::Unreachable(_) => "unreachable",
            Self::Kept(_) => "kept",
            Self::Expired => "expired",
            Self::Skipped(_) => "skipped",
        }
    }

    /// The status code, if the fork was sent.
    pub fn code(self) -> Option<u16> {
        match self {
            Self::Delivered(code)
            | Self::Refused(code)
            | Self::Unreachable(code)
            | Self::Kept(code) => Some(code),
            Self::Expired | Self::Skipped(_) => None,
        }
    }

    fn unpack(state: RecipientState, code: u16) -> Option<Self> {
        Some(match state {
            RecipientState::Delivered => Self::Delivered(code),
            RecipientState::Refused => Self::Refused(code),
            RecipientState::Unreachable => Self::Unreachable(code),
            RecipientState::Kept => Self::Kept(code),
            RecipientState::Expired => Self::Expired,
            RecipientState::Skipped if code == 0 => Self::Skipped(SkipReason::TargetQueueFull),
            RecipientState::Skipped => Self::Skipped(SkipReason::Cancelled),
            RecipientState::Waiting
            | RecipientState::AtTarget
            | RecipientState::Ready
            | RecipientState::InFlight
            | RecipientState::AtName => {
                return None;
            }
        })
    }

    fn pack(self) -> (RecipientState, u16) {
        match self {
            Self::Delivered(code) => (RecipientState::Delivered, code),
            Self::Refused(code) => (RecipientState::Refused, code),
            Self::Unreachable(code) => (RecipientState::Unreachable, code),
            Self::Kept(code) => (RecipientState::Kept, code),
            Self::Expired => (RecipientState::Expired, 0),
            Self::Skipped(SkipReason::TargetQueueFull) => (RecipientState::Skipped, 0),
            Self::Skipped(SkipReason::Cancelled) => (RecipientState::Skipped, 1),
        }
    }

    /// The outcome that a final response means: 482 to what may have been sent before says that the
    /// recipient has it already.
    pub(super) fn of(code: u16, repeated: bool) -> Self {
        match code {
            200..300 => Self::Delivered(code),
            482 if repeated => Self::Delivered(code),
            408 => Self::Unreachable(code),
            code => Self::Refused(code),
        }
    }
}

impl Recipient {
    /// Leads to the next recipient in the same queue.
    #[inline]
    pub(super) fn link(&self) -> &Link<Self> {
        &self.link
    }

    /// Where the recipient is.
    #[inline]
    pub(super) fn state(&self) -> RecipientState {
        RecipientState::of(self.word.get())
    }

    /// Changes where the recipient is.
    #[inline]
    pub(super) fn set_state(&self, held: &impl HasLock, state: RecipientState) {
        debug_assert!(!state.is_end());
        let word = self.word.get() & !(STATE_MASK << STATE);
        self.word.set(held, word | (state as u32) << STATE);
    }

    /// Whether the recipient may have got the message before the proxy was started again.
    #[inline]
    pub(super) fn is_repeated(&self) -> bool {
        self.word.get() & REPEATED != 0
    }

    /// Notes that the recipient may have got the message already.
    pub(super) fn set_repeated(&self, held: &impl HasLock) {
        self.word.set(held, self.word.get() | REPEATED);
    }

    /// Whether its outcome was reported.
    pub(super) fn is_reported(&self) -> bool {
        self.word.get() & REPORTED != 0
    }

    /// Notes that its outcome was reported.
    #[inline]
    pub(super) fn set_reported(&self, held: &impl HasLock) {
        debug_assert!(self.state().is_end());
        self.word.set(held, self.word.get() | REPORTED);
    }

    /// Ends the recipient.
    #[inline]
    pub(super) fn end(&self, held: &impl HasLock, outcome: Outcome) {
        let (state, code) = outcome.pack();
        debug_assert!(!self.state().is_end() || state == RecipientState::Kept);
        let word = self.word.get() & !(CODE_MASK | STATE_MASK << STATE);
        self.word
            .set(held, word | u32::from(code) | (state as u32) << STATE);
    }

    /// How the recipient ended; nothing if it has not.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        let word = self.word.get();
        Outcome::unpack(RecipientState::of(word), (word & CODE_MASK) as u16)
    }

    /// What stands before anybody else sees it: its turn has not come, and it is in no queue.
    pub(super) fn prepare(&self, unpublished: &impl IsUnpublished) {
        self.link.clear(unpublished);
        self.word.clear(unpublished);
    }
}
