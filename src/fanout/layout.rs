//! Where what is shared stands in the memory, in words.

#![forbid(unsafe_code)]

use super::lists::{BlockList, Queue};

// What changes with each fork stands beside the lock, in one line of the processor's cache: it comes
// with the lock from the process that had it before.

/// Originators that have something to send, in the order of their turns.
pub(super) const TURNS: BlockList = BlockList {
    anchor: 1,
    link: originator::LINKS,
};
/// Forks without a final response.
pub(super) const IN_FLIGHT: usize = 2;
/// Transactions of the proxy in use.
pub(super) const CELLS_USED: usize = 3;
/// The first free entry of the table of transactions, and how many have ever been used.
pub(super) const CELLS_FREE: usize = 4;
/// The first free entry of the table of targets, and how many have ever been used.
pub(super) const TARGETS_FREE: usize = 5;
/// Recipients that have not ended.
pub(super) const WAITING: usize = 6;
/// How many originators are held back, and a number of copies in flight than which none of them has fewer.
pub(super) const HELD_BACK: usize = 7;

// What is looked at for each fork, and changes rarely.

/// Messages that send nothing more: what is left of them is being ended. No message is in both lists.
pub(super) const CLOSING: BlockList = BlockList { anchor: 8, link: 0 };
/// Messages that may send, but wait for room in the table of targets. No message is in the turns, too.
pub(super) const STUCK: BlockList = BlockList { anchor: 9, link: 0 };
/// Messages whose recipients are to be put in line before they take turns. They are in no other of these.
pub(super) const LINING: BlockList = BlockList {
    anchor: 10,
    link: 0,
};
/// The most transactions of the proxy that may be in use.
pub(super) const CELL_LIMIT: usize = 11;
/// The millisecond until which nothing is sent, for lack of the proxy's memory.
pub(super) const PAUSED_UNTIL: usize = 12;
/// How many targets are known to be silent.
pub(super) const SILENT: usize = 13;
/// Whether nobody wants to be told who has got a message.
pub(super) const DELIVERED_UNTOLD: usize = 14;
/// The millisecond at which sending began with few forks; 0 if there may be as many as ever.
pub(super) const RAMP: usize = 15;

/// Whether the process that tells outcomes has been woken, and has not looked yet.
pub(super) const AWAKE: usize = 16;
/// Recipients whose outcomes wait to be told.
pub(super) const OUTCOMES: Queue = Queue(17);
/// The message whose last outcome has been told, but not that it is finished.
pub(super) const FINISHED: usize = 18;
/// All messages that were started.
pub(super) const MESSAGES: BlockList = BlockList {
    anchor: 19,
    link: 1,
};
/// How many messages there are, started or not.
pub(super) const MESSAGES_LENGTH: usize = 20;
/// The number of the last message.
pub(super) const NUMBER: usize = 21;
/// When the global rate is as if nothing had been accepted.
pub(super) const RATE: usize = 22;
/// Words of the arena that are free.
pub(super) const ARENA_FREE: usize = 23;
/// Which lists of free pieces are not empty.
pub(super) const ARENA_MAP: usize = 24;
/// How many recipients had ended at the last measurement, and the millisecond of it.
pub(super) const MEASURED: usize = 25;
pub(super) const MEASURED_AT: usize = 26;
/// Recipients that ended in a second, as measured.
pub(super) const SPEED: usize = 27;
/// The first free entry of the table of originators, and how many have ever been used.
pub(super) const ORIGINATORS_FREE: usize = 28;
/// How many forks in flight are silent: they have had no final response for longer than `patience`.
pub(super) const SILENT_FORKS: usize = 29;
/// Bytes of the proxy's memory that copies in flight may take, and those that were charged to all that have landed.
pub(super) const OWED: usize = 30;
pub(super) const LANDED: usize = 31;
/// The lists of free pieces.
pub(super) const ARENA_BINS: usize = 32;

// What is looked at whenever the lock is taken, in a line of the cache that changes only while a process
// keeps the lock from the others.

/// Whether something was left without the lock (`left`), for its next holder to do.
pub(super) const LEFT: usize = 64;
/// Since when the holder is known to have the lock, by the clock of the memory; what it says counts while
/// the lock is blocked.
pub(super) const BLOCKED_SINCE: usize = 65;
/// When the log was last told that the lock is blocked, by the same clock; 0 if it is not.
pub(super) const BLOCKED_TOLD: usize = 66;
/// When the proxy did not take a fork whose attempt was left, by the engine's clock.
pub(super) const NOT_SENT_AT: usize = 67;
/// How many messages were left to be started.
pub(super) const STARTS_LEFT: usize = 68;
/// The thread that keeps the lock from the others; 0 if none is known to.
pub(super) const BLOCKED_BY: usize = 69;
/// Whether a change was left half done, by a death or a panic.
pub(super) const DIRTY: usize = 70;

// What the proxy has told of its memory (`proxy_memory`), in a line of the cache that changes when it is asked.

/// When the proxy was asked last how much of its shared memory is free, by the engine's clock.
pub(super) const MEMORY_ASKED_AT: usize = 72;
/// The bytes that it has told.
pub(super) const MEMORY_FREE: usize = 73;
/// The bytes that may be owed and have been charged before copies wait.
pub(super) const MEMORY_LIMIT: usize = 74;
/// Whether a copy has had to wait since the log was told last, and when that was.
pub(super) const MEMORY_SHORT: usize = 75;
pub(super) const MEMORY_TOLD_AT: usize = 76;

/// The lock, in a line of the cache of its own.
pub(super) const LOCK: usize = 80;

/// Words before the tables.
pub(super) const HEAD: usize = 88;

/// Words of an originator's entry.
pub(super) mod originator {
    /// The hash of its address.
    pub(in super::super) const HASH: usize = 0;
    /// Its messages that may send, in the order of their turns.
    pub(in super::super) const MESSAGES: usize = 1;
    /// How many of its copies are in flight, and how many messages it has under way.
    pub(in super::super) const IN_FLIGHT: usize = 2;
    /// Links of the list in which it takes turns or is held back.
    pub(in super::super) const LINKS: usize = 3;
    /// The next entry of its chain, or the next free one, and its state.
    pub(in super::super) const CHAIN: usize = 4;
    /// How many of its copies in flight are silent.
    pub(in super::super) const SILENT: usize = 5;
    /// How many words these are.
    pub(in super::super) const WORDS: usize = 6;
}

/// Words of a block that change, then words that stay as they were written. Links of lists are words
/// 0 and 1.
pub(super) mod block {
    /// Bits: what the message is doing.
    pub(in super::super) const FLAGS: usize = 2;
    /// How many use the block's text now, what was left to be done with the message without the lock, and
    /// whether it is to be given back.
    pub(in super::super) const PINS: usize = 3;
    /// The next recipient, and how many forks are in flight.
    pub(in super::super) const CURSOR: usize = 4;
    /// Recipients that go before the next one.
    pub(in super::super) const READY: usize = 5;
    /// Recipients that have not ended, and those whose outcome was not told.
    pub(in super::super) const LEFT: usize = 6;
    /// Delivered and refused.
    pub(in super::super) const DELIVERED: usize = 7;
    /// Unreachable and expired.
    pub(in super::super) const UNREACHABLE: usize = 8;
    /// Skipped, and put off to the second pass.
    pub(in super::super) const SKIPPED: usize = 9;
    /// The millisecond since which the proxy has had no memory for this message; 0 if it has.
    pub(in super::super) const SHORT_SINCE: usize = 10;
    /// How many milliseconds the engine's clock was ahead of the system's when the message was
    /// accepted, as a signed number; 0 for one that was taken up again, as the engine's clock has just
    /// been set by the system's.
    pub(in super::super) const CLOCK_AHEAD: usize = 11;
    /// A hash of the group, by which its messages find their lines.
    pub(in super::super) const LINE: usize = 12;
    /// How the forks' Call-IDs begin, as made from the seed.
    pub(in super::super) const BEGINNING: usize = 13;
    /// The entry of its originator.
    pub(in super::super) const ORIGINATOR: usize = 16;
    /// How many forks in flight are silent: they have had no final response for longer than `patience`.
    pub(in super::super) const SILENT: usize = 17;
    /// The ledger's number of the message; 0 if it is in none.
    pub(in super::super) const LEDGER: usize = 18;
    /// The ledger's number of the kept copy that the message is made of; 0 if it is made of none.
    pub(in super::super) const KEPT: usize = 19;
    /// The number of the first recipient, by which its identifiers are made, and how many recipients there are.
    pub(in super::super) const COUNT: usize = 20;
    /// The number of the message.
    pub(in super::super) const NUMBER: usize = 21;
    /// Two words of randomness, from which the forks' identifiers are made.
    pub(in super::super) const SEED: usize = 22;
    /// The millisecond of Unix time at which it was accepted.
    pub(in super::super) const ACCEPTED_AT: usize = 24;
    /// The millisecond of Unix time at which it expires; 0 for never.
    pub(in super::super) const EXPIRES_AT: usize = 25;
    /// The window; how many forks may be in flight with the silent ones; where in the body the own entry of a
    /// recipient stands; and whether a stream is needed.
    pub(in super::super) const WINDOW: usize = 26;
    /// Lengths: originator, group.
    pub(in super::super) const LENGTHS: usize = 27;
    /// Lengths: from, headers. Behind them: charging, body. Behind them: request; and whether the originator
    /// is anonymous.
    /// How many copies are kept for recipients who are away.
    pub(in super::super) const KEPT_FOR: usize = 31;
    /// Words before the recipients.
    pub(in super::super) const HEADER: usize = 32;
    // Then come the recipients, one word that says where the text of the last one ends, and the
    // text: originator, group, from, headers, charging, body, request, and each recipient's own.
}
