//! The map of the queue's memory: the root, the tables behind it, and the arena with the messages.
//!
//! ```text
//! Root | quotas | silent targets | names | transactions | deferred work | targets | originators | groups | member queues | arena
//!                                                                                             Message, its recipients, text
//! ```
//!
//! Unsafe code is what the structures promise of themselves: that they may stand in shared memory (`shared!`).

#![deny(unsafe_code)]

use super::lists::{All, Links, List, Listed, Queue, Turn};
use super::recipient::Recipient;
use super::shared_memory::{IsUnpublished, Link, Locked, SharedMemory, Written, shared};
use crate::control::IDENTIFIER_WORDS;
use std::io;
use std::sync::atomic::Ordering::Release;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Lists of free pieces of the arena, by the power of two below their size.
pub(super) const ARENA_BINS: usize = 32;
/// Bytes of a line of the processor's cache.
const LINE: usize = 64;

shared! {
    /// What there is once.
    pub(super) struct Root {
        pub(super) hot: Hot,
        pub(super) flow: Flow,
        pub(super) arena: Free,
        pub(super) attention: Attention,
        pub(super) proxy: Proxy,
    }

    /// The lock, and what changes with each copy, in one line of the cache: it comes with the lock from the process that
    /// had it before.
    pub(super) struct Hot {
        pub(super) lock: AtomicU32,
        _unused: AtomicU32,
        /// Originators that have something to send, in the order of their turns.
        pub(super) turns: List<Originator, Turn>,
        /// Copies without a final response.
        pub(super) in_flight: Locked<u64>,
        /// Transactions of the proxy in use.
        pub(super) transactions: Locked<u64>,
        /// The first free entry of the table of transactions, from 1 on, and how many have ever been used.
        pub(super) transactions_free: Locked<u32>,
        pub(super) transactions_ever: Locked<u32>,
        /// The same of the table of targets.
        pub(super) targets_free: Locked<u32>,
        pub(super) targets_ever: Locked<u32>,
        /// Recipients that have not ended.
        pub(super) waiting: Locked<u64>,
        /// How many originators are held back, and a number of copies in flight than which none of them has fewer.
        pub(super) held_back: Locked<u32>,
        pub(super) lowest_held_back: Locked<u32>,
    }

    /// What is looked at for each copy and changes rarely, and what changes with each message.
    pub(super) struct Flow {
        /// Messages that send nothing more: what is left of them is being ended. No message is in two of these lists.
        pub(super) closing: List<Message, Turn>,
        /// Messages that may send, but wait for room in the table of targets. No message is in the turns, too.
        pub(super) stuck: List<Message, Turn>,
        /// Messages whose recipients are to be put into their member queues before they take turns. They are in no other of these.
        pub(super) queueing: List<Message, Turn>,
        /// The most transactions of the proxy that may be in use.
        pub(super) transaction_limit: Locked<u64>,
        /// The millisecond until which nothing is sent, for lack of the proxy's memory.
        pub(super) paused_until: Locked<u64>,
        /// How many targets are known to be silent.
        pub(super) silent_targets: Locked<u64>,
        /// Set when no event route for deliveries exists. Written without the lock.
        pub(super) delivered_unreported: AtomicU64,
        /// The millisecond at which sending began with few copies (slow start); 0 if there may be as many as ever.
        pub(super) slow_start: Locked<u64>,

        /// Whether the process that reports outcomes has been woken, and has not looked yet. Written without the lock.
        pub(super) awake: AtomicU64,
        /// Recipients whose outcomes wait to be reported.
        pub(super) outcomes: Queue,
        /// The message whose last outcome has been reported, but not its end.
        pub(super) finished: Link<Message>,
        /// The first free entry of the table of originators, from 1 on, and how many have ever been used.
        pub(super) originators_free: Locked<u32>,
        pub(super) originators_ever: Locked<u32>,
        _unused: AtomicU32,
        /// All messages that were started.
        pub(super) messages: List<Message, All>,
        /// How many messages there are, started or not.
        pub(super) messages_length: Locked<u64>,
        /// The number of the last message.
        pub(super) number: Locked<u64>,
        /// When the global rate is as if nothing had been accepted.
        pub(super) rate: Locked<u64>,
        /// How many recipients had ended at the last measurement, and the millisecond of it.
        pub(super) measured: Locked<u64>,
        pub(super) measured_at: Locked<u64>,
        /// Recipients that ended in a second, as measured.
        pub(super) speed: Locked<u64>,
        /// How many copies in flight are silent: they have had no final response for longer than `patience`.
        pub(super) silent_copies: Locked<u64>,
        /// Bytes of the proxy's memory that copies in flight may take, and those that were charged to all that have
        /// landed.
        pub(super) owed: Locked<u64>,
        pub(super) landed: Locked<u64>,
    }

    /// The free pieces of the arena.
    pub(super) struct Free {
        /// Words that are free.
        pub(super) words: Locked<u64>,
        /// Which lists of free pieces are not empty.
        pub(super) map: Locked<u64>,
        pub(super) bins: [Locked<u64>; ARENA_BINS],
    }

    /// What is looked at whenever the lock is taken, in a line of the cache that changes only while a process keeps the
    /// lock from the others. All of it is written without the lock, too.
    pub(super) struct Attention {
        /// Whether work was deferred without the lock (`deferred`), for its next holder to do.
        pub(super) deferred: AtomicU64,
        /// Since when the holder is known to have the lock, by the clock of the memory, while it is blocked.
        pub(super) blocked_since: AtomicU64,
        /// When it was last logged that the lock is blocked, by the same clock; 0 if it is not.
        pub(super) blocked_logged: AtomicU64,
        /// When the proxy did not take a copy whose attempt was deferred, by the engine's clock.
        pub(super) not_sent_at: AtomicU64,
        /// How many starts of messages were deferred.
        pub(super) starts_deferred: AtomicU64,
        _rest_of_the_line: [AtomicU64; 3],
    }

    /// What the proxy has said of its memory (`proxy_memory`), in a line of the cache that changes when it is asked. All
    /// of it is written without the lock.
    pub(super) struct Proxy {
        /// When the proxy was asked last how much of its shared memory is free, by the engine's clock.
        pub(super) asked_at: AtomicU64,
        /// The free bytes, by its answer.
        pub(super) free: AtomicU64,
        /// The bytes that may be owed and have been charged before copies wait.
        pub(super) limit: AtomicU64,
        /// Whether a copy has had to wait since that was last logged, and when that was.
        pub(super) is_short: AtomicU64,
        pub(super) logged_at: AtomicU64,
    }

    /// An originator that has messages under way (`originators`).
    pub(super) struct Originator {
        /// The hash of its address.
        pub(super) hash: Locked<u64>,
        /// Its messages that may send, in the order of their turns.
        pub(super) messages: List<Message, Turn>,
        /// How many of its copies are in flight, and how many messages it has under way.
        pub(super) in_flight: Locked<u32>,
        pub(super) under_way: Locked<u32>,
        /// Links of the list in which it takes turns or is held back.
        pub(super) links: Links<Originator>,
        /// The number of the next entry of its chain, or of the next free one, and its state.
        pub(super) chain: Locked<u32>,
        pub(super) state: Locked<u32>,
        /// How many of its copies in flight are silent.
        pub(super) silent: Locked<u64>,
    }

    /// A transaction, or a free entry.
    pub(super) struct Transaction {
        /// The bits below, which use of the entry it is, and since when it is in flight. Bits are taken away without
        /// the lock too, but never the last one.
        pub(super) word: AtomicU64,
        /// The recipient; of a free entry nothing.
        pub(super) entry: Link<Recipient>,
        /// The process that sends; of a free entry the number of the next one, from 1 on.
        pub(super) process: Locked<u32>,
        /// The hash of the target.
        pub(super) target: Locked<u64>,
        /// Deferred work (`deferred`).
        pub(super) deferred: AtomicU64,
    }

    /// A message: what changes, then what stays as it was written before anybody else saw it. Behind it come its
    /// recipients, and the text: originator, group, from, headers, charging, body, request, and each recipient's own.
    pub(super) struct Message {
        /// Links of the list of those that take turns, are stuck, closing or queueing.
        pub(super) links: Links<Message>,
        /// Links of the list of all.
        pub(super) links_of_all: Links<Message>,
        /// What the message is doing ([`flag`]).
        pub(super) flags: Locked<u32>,
        /// How many copies are kept for recipients who are away.
        pub(super) kept_for: Locked<u32>,
        /// How many use the text now, deferred work on the message, and whether it is to
        /// be given back. Written without the lock, too.
        pub(super) pins: AtomicU64,
        /// The number of the next recipient.
        pub(super) cursor: Locked<u32>,
        pub(super) in_flight: Locked<u32>,
        /// Recipients that go before the next one.
        pub(super) ready: Queue,
        /// Recipients that have not ended, and those whose outcome was not reported.
        pub(super) left: Locked<u32>,
        pub(super) unreported: Locked<u32>,
        // How those ended that have.
        pub(super) delivered: Locked<u32>,
        pub(super) refused: Locked<u32>,
        pub(super) unreachable: Locked<u32>,
        pub(super) expired: Locked<u32>,
        pub(super) skipped: Locked<u32>,
        /// Recipients put off to the second pass.
        pub(super) put_off: Locked<u32>,
        /// The millisecond since which the proxy has had no memory for this message; 0 if it has.
        pub(super) short_since: Locked<u64>,
        /// A hash of the group, by which its messages find their member queues.
        pub(super) group: Locked<u64>,
        pub(super) originator: Link<Originator>,
        /// How many copies in flight are silent.
        pub(super) silent: Locked<u32>,
        /// Deferred work on a message that is not started, by who has its ticket: the order in which it is to be, or the
        /// keys of its budgets.
        pub(super) deferred_unstarted: [AtomicU64; 2],
        /// The ledger's number of the message; 0 if it is in none. Written by who has the ticket, and by the process that
        /// reports outcomes.
        pub(super) ledger: AtomicU64,

        /// How many milliseconds the engine's clock was ahead of the system's when the message was accepted, as a signed
        /// number; 0 for one that was taken up again, as the engine's clock has just been set by the system's.
        pub(super) clock_ahead: Written<u64>,
        /// What the copies' Call-IDs have in common, as made from the seed.
        pub(super) identifiers: [Written<u64>; IDENTIFIER_WORDS],
        /// The ledger's number of the kept copy that the message is made of; 0 if it is made of none.
        pub(super) kept: Written<u64>,
        /// How many recipients there are, and the number of the first, by which its identifiers are made.
        pub(super) count: Written<u32>,
        pub(super) first: Written<u32>,
        /// The number of the message.
        pub(super) number: Written<u64>,
        /// Randomness, from which the copies' identifiers are made.
        pub(super) seed: [Written<u64>; 2],
        /// The millisecond of Unix time at which it was accepted.
        pub(super) accepted_at: Written<u64>,
        /// The millisecond of Unix time at which it expires; 0 for never.
        pub(super) expires_at: Written<u64>,
        /// The window, and how many copies may be in flight with the silent ones.
        pub(super) windows: Written<u32>,
        /// Where in the body the own entry of a recipient stands, whether a stream is needed, and whether the
        /// originator stays anonymous.
        pub(super) entry_at: Written<u32>,
        /// Lengths: originator, group, from, headers, charging, body, request.
        pub(super) lengths: [Written<u32>; 7],
        /// Where in From the URI starts and, above that, where it ends.
        pub(super) from_uri: Written<u32>,
    }
}

/// Bits of a message's flags.
pub(super) mod flag {
    /// The message was answered, and is being sent.
    pub(in super::super) const STARTED: u32 = 1;
    /// It is among those that may send.
    pub(in super::super) const IN_TURNS: u32 = 2;
    /// It is among those that send nothing more.
    pub(in super::super) const CLOSING: u32 = 4;
    /// An administrator has cancelled it; otherwise it has expired.
    pub(in super::super) const CANCELLED: u32 = 8;
    /// The recipients that were put off are having their turn.
    pub(in super::super) const SECOND_PASS: u32 = 16;
    /// It is in the list of those, as some of its recipients have to be ended.
    pub(in super::super) const IN_CLOSING: u32 = 32;
    /// It is among those that wait for room in the table of targets.
    pub(in super::super) const STUCK: u32 = 64;
    /// Its recipients are being put into their member queues.
    pub(in super::super) const QUEUEING: u32 = 128;
    /// It is in one at most of these lists.
    pub(in super::super) const LISTS: u32 = IN_TURNS | IN_CLOSING | STUCK | QUEUEING;
    /// Its recipients that have not had their turn stand in their member queues, or are being put there.
    pub(in super::super) const QUEUED: u32 = 256;
}

impl Message {
    /// A time that the message has from the system's clock, by the engine's clock.
    pub(super) fn by_clock(&self, time: u64) -> u64 {
        time.saturating_add_signed(self.clock_ahead.get() as i64)
    }

    /// Whether the message is out of time. The clock is only asked for one that may be.
    pub(super) fn has_expired(&self, now: impl Fn() -> u64) -> bool {
        let expires_at = self.expires_at.get();
        expires_at != 0 && self.by_clock(expires_at) <= now()
    }

    /// Empties what changes, before anybody else sees the message.
    pub(super) fn clear(&self, unpublished: &impl IsUnpublished) {
        for links in [&self.links, &self.links_of_all] {
            links.clear(unpublished);
        }
        self.ready.clear_unpublished(unpublished);
        self.originator.clear(unpublished);
        let halves = [
            &self.flags,
            &self.kept_for,
            &self.cursor,
            &self.in_flight,
            &self.left,
            &self.unreported,
            &self.delivered,
            &self.refused,
            &self.unreachable,
            &self.expired,
            &self.skipped,
            &self.put_off,
            &self.silent,
        ];
        for half in halves {
            half.clear(unpublished);
        }
        self.short_since.clear(unpublished);
        self.group.clear(unpublished);
        for word in self.deferred_unstarted.iter().chain([&self.pins]) {
            word.store(0, Release);
        }
    }
}

impl Listed<Turn> for Message {
    #[inline]
    fn links(&self) -> &Links<Self> {
        &self.links
    }
}

impl Listed<All> for Message {
    // Not those of the field with the method's name.
    #[allow(clippy::misnamed_getters)]
    #[inline]
    fn links(&self) -> &Links<Self> {
        &self.links_of_all
    }
}

impl Listed<Turn> for Originator {
    #[inline]
    fn links(&self) -> &Links<Self> {
        &self.links
    }
}

/// Words of a message before its recipients.
pub(super) const MESSAGE: usize = size_of::<Message>() / size_of::<AtomicU64>();
const _: () = assert!(MESSAGE == 32);
/// Words of a recipient.
pub(super) const RECIPIENT: usize = size_of::<Recipient>() / size_of::<AtomicU64>();
const _: () = assert!(RECIPIENT == 2);
/// Words before the tables, whole lines of the cache.
pub(super) const HEAD: usize = size_of::<Root>().next_multiple_of(LINE) / size_of::<AtomicU64>();
const _: () = assert!(size_of::<Hot>() == LINE);
const _: () = assert!(std::mem::offset_of!(Root, attention) % LINE == 0);

/// Memory with the root and so many words behind it.
pub(super) fn map(words: usize) -> io::Result<SharedMemory> {
    SharedMemory::new(HEAD + words)
}
