//! One recipient of a block: two words. The first has where its text starts and which number it has;
//! the second all that changes: where it is, its final code, and the link of the queue it is in.

#![forbid(unsafe_code)]

use super::lock::Held;
use super::shared_memory::SharedMemory;
use std::fmt;

/// Words of a recipient.
pub(super) const WORDS: usize = 2;
/// The second word of a recipient.
const STATE: usize = 1;

/// Bits of the second word, from the lowest: link, code, place, whether it may be a repetition, whether
/// its outcome was told.
const LINK_MASK: u64 = u32::MAX as u64;
const CODE: u32 = 32;
const CODE_MASK: u64 = 0x3ff;
const PLACE: u32 = 42;
const PLACE_MASK: u64 = 0xf;
const REPEATED: u64 = 1 << 46;
const TOLD: u64 = 1 << 47;

/// Where a recipient is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Place {
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
}

impl Place {
    const ALL: [Self; 10] = [
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
    ];

    #[inline]
    fn of(state: u64) -> Self {
        let place = Self::ALL.get((state >> PLACE & PLACE_MASK) as usize);
        place.copied().unwrap_or(Self::Skipped)
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

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered(code) => write!(f, "answered {code}"),
            Self::Refused(code) => write!(f, "answered {code}"),
            Self::Unreachable(408) => f.write_str("not answered in time (408)"),
            Self::Unreachable(478) => f.write_str("no name server knows its next hop (478)"),
            Self::Unreachable(code) => write!(f, "could not be sent ({code})"),
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
pub enum Ending {
    /// The fork was answered 2xx.
    Delivered(u16),
    /// The fork was answered with 300 or more.
    Refused(u16),
    /// The fork was not answered in time (408), could not be sent (503), or the name of its next hop
    /// could not be resolved (478).
    Unreachable(u16),
    /// The message expired before the recipient's turn came (M-4), or it could not be sent for
    /// lack of memory for too long.
    Expired,
    /// The recipient got no fork.
    Skipped(SkipReason),
}

impl Ending {
    /// The ending as the ledger keeps it: what it was, and the code.
    pub fn to_bytes(self) -> (u8, u16) {
        let (place, code) = self.pack();
        (place as u8, code)
    }

    /// Reads what [`Ending::to_bytes`] gave; nothing for what no ending is.
    pub fn from_bytes(place: u8, code: u16) -> Option<Self> {
        let place = Place::ALL.get(usize::from(place))?;
        Self::unpack(*place, code)
    }

    /// The status code, if the fork was sent.
    pub fn code(self) -> Option<u16> {
        match self {
            Self::Delivered(code) | Self::Refused(code) | Self::Unreachable(code) => Some(code),
            Self::Expired | Self::Skipped(_) => None,
        }
    }

    fn unpack(place: Place, code: u16) -> Option<Self> {
        Some(match place {
            Place::Delivered => Self::Delivered(code),
            Place::Refused => Self::Refused(code),
            Place::Unreachable => Self::Unreachable(code),
            Place::Expired => Self::Expired,
            Place::Skipped if code == 0 => Self::Skipped(SkipReason::TargetQueueFull),
            Place::Skipped => Self::Skipped(SkipReason::Cancelled),
            Place::Waiting | Place::AtTarget | Place::Ready | Place::InFlight | Place::AtName => {
                return None;
            }
        })
    }

    fn pack(self) -> (Place, u16) {
        match self {
            Self::Delivered(code) => (Place::Delivered, code),
            Self::Refused(code) => (Place::Refused, code),
            Self::Unreachable(code) => (Place::Unreachable, code),
            Self::Expired => (Place::Expired, 0),
            Self::Skipped(SkipReason::TargetQueueFull) => (Place::Skipped, 0),
            Self::Skipped(SkipReason::Cancelled) => (Place::Skipped, 1),
        }
    }

    /// The ending that a final response means: 482 to what may be a repetition says that the
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

fn state(held: &Held<'_>, entry: usize) -> u64 {
    held.get(entry + STATE)
}

fn change(held: &Held<'_>, entry: usize, shift: u32, mask: u64, value: u64) {
    let word = state(held, entry) & !(mask << shift);
    held.set(entry + STATE, word | (value & mask) << shift);
}

/// The next recipient in the same queue, or 0.
#[inline]
pub(super) fn link(held: &Held<'_>, entry: usize) -> u32 {
    state(held, entry) as u32
}

/// Changes the next recipient in the same queue.
#[inline]
pub(super) fn set_link(held: &Held<'_>, entry: usize, next: u32) {
    change(held, entry, 0, LINK_MASK, u64::from(next));
}

/// Where the recipient is.
#[inline]
pub(super) fn place(held: &Held<'_>, entry: usize) -> Place {
    Place::of(state(held, entry))
}

/// Changes where the recipient is.
#[inline]
pub(super) fn set_place(held: &Held<'_>, entry: usize, place: Place) {
    change(held, entry, PLACE, PLACE_MASK, place as u64);
}

/// Whether the recipient may have got the message before the proxy was started again.
#[inline]
pub(super) fn is_repeated(held: &Held<'_>, entry: usize) -> bool {
    state(held, entry) & REPEATED != 0
}

/// Notes that the recipient may have got the message already.
pub(super) fn set_repeated(held: &Held<'_>, entry: usize) {
    held.set(entry + STATE, state(held, entry) | REPEATED);
}

/// Whether its outcome was told.
pub(super) fn is_told(held: &Held<'_>, entry: usize) -> bool {
    state(held, entry) & TOLD != 0
}

/// Notes that its outcome was told.
#[inline]
pub(super) fn set_told(held: &Held<'_>, entry: usize) {
    held.set(entry + STATE, state(held, entry) | TOLD);
}

/// Ends the recipient.
#[inline]
pub(super) fn end(held: &Held<'_>, entry: usize, ending: Ending) {
    let (place, code) = ending.pack();
    let kept = state(held, entry) & !(CODE_MASK << CODE | PLACE_MASK << PLACE);
    let ended = u64::from(code) << CODE | (place as u64) << PLACE;
    held.set(entry + STATE, kept | ended);
}

/// How the recipient ended; nothing if it has not.
pub(super) fn ending(held: &Held<'_>, entry: usize) -> Option<Ending> {
    ending_in(held.memory, entry)
}

/// The same without the lock: all of it is in one word.
pub(super) fn ending_in(memory: &SharedMemory, entry: usize) -> Option<Ending> {
    let state = memory.get(entry + STATE);
    let code = (state >> CODE & CODE_MASK) as u16;
    Ending::unpack(Place::of(state), code)
}
