//! Names of next hops, and where they lead (RFC 3263). No process that handles requests asks a name
//! server: it looks here, and a copy whose name is not known yet waits here. One process of the
//! module's own asks, and writes what it has heard.
//!
//! A name is known from its first answer on. It is asked anew before its time is over, while it is in use;
//! if no answer comes, what was known serves for another hour. A name that nobody waits for makes room
//! for another one, the one that was used least recently first. The names for which copies of one
//! originator wait are bounded: with more, that originator's copies wait for each other.
//!
//! ```text
//!  an entry:   unused ── make ──► known or not ── no copy waits, not asked, another name needs room (make) ──┐
//!              (hash 0)              ▲                                                                       │
//!                                    └──── the next use, with a new `use_number`: late answers are stale ◄───┘
//!
//!  its question:  asked = 0 ── ask: at the end of the list ──► 1, in the list ── next_to_ask ──► 1, being asked
//!                     ▲                                                                            │
//!                     └────────────────────────────── was_asked: an answer, or none ◄──────────────┘
//!
//!  a copy:        outside, by originator ── pop_outside: there is room ──► taken, and may wait at the name
//!                 at a name (`push`) ── pop: addresses are known, or it was in vain ──► taken
//!                 either ── take_out: its message sends nothing more ──► taken
//! ```
//!
//! A name for which copies wait has its bit in `waited`, and counts for one originator (`owner`).
//!
//! All words are changed with the lock. What is in the queues here has the place `AtName`.

#![deny(unsafe_code)]

use super::lists::Queue;
use super::lock::Held;
use super::recipient::Recipient;
use super::shared_memory::{At, Locked, SharedMemory, shared};
use super::transactions::{self, Transactions};
use std::array::from_fn;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::AtomicU64;

/// Buckets of the table.
const BUCKETS: usize = 1024;
/// Names of a bucket.
const BUCKET: usize = 8;
const NAMES: usize = BUCKETS * BUCKET;
/// Originators whose names are counted apart from each other; others that share a number share its bound.
const OWNERS: usize = 256;
/// The most names for which copies of one originator wait.
const SHARE: u64 = (NAMES / 8) as u64;
/// The most addresses of a name that are kept.
pub(super) const MOST_ADDRESSES: usize = 4;
/// The most bytes of a name: that of a host has 255 at most, the rest says how it is meant.
pub const LONGEST_NAME: usize = TEXT_WORDS * BYTES;
const BYTES: usize = size_of::<u64>();
const TEXT_WORDS: usize = 36;

/// Bits of what a transaction notes that say which address of which name it is.
const PLACE_MASK: u32 = u16::MAX as u32;
const _: () = assert!(NAMES * MOST_ADDRESSES <= PLACE_MASK as usize + 1);

shared! {
    /// What there is once.
    struct Head {
        /// The numbers of the first and the last name to be asked, from 1 on.
        first_to_ask: Locked<u32>,
        last_to_ask: Locked<u32>,
        /// Copies that wait for a name.
        waiting: Locked<u64>,
        /// Names that are to be asked or are being asked.
        asked: Locked<u64>,
        /// Copies that wait for room in the table.
        outside: Locked<u64>,
        /// Set when the clock has something to do here: a message that sends nothing more may have copies in the
        /// queues, or there was no room for a copy that may go on.
        look: Locked<u64>,
        _rest_of_the_line: [AtomicU64; 3],
        /// For which names copies wait, a bit each: these are looked at by the clock.
        waited: [Locked<u64>; NAMES / 64],
        owners: [Owner; OWNERS],
    }

    /// An originator, or several that share a number.
    struct Owner {
        /// For how many names its copies wait.
        names: Locked<u64>,
        /// Its copies for which there is no room.
        outside: Queue,
    }

    /// Where a name leads.
    struct Address {
        ip: [Locked<u64>; 2],
        port: Locked<u64>,
    }

    /// A name.
    pub(super) struct Name {
        /// Its hash; 0 for an unused entry.
        hash: Locked<u64>,
        /// How often the entry has been used, and whether the name is asked.
        use_number: Locked<u32>,
        asked: Locked<u32>,
        /// The number of the next name to be asked, and the originator because of whose copies it is.
        next: Locked<u32>,
        owner: Locked<u32>,
        /// Bytes of the text, and how many addresses there are.
        length_of_text: Locked<u32>,
        count: Locked<u32>,
        /// Copies that wait for it, and how many they are.
        queue: Queue,
        length: Locked<u64>,
        /// When the first look-up was in vain since one was not.
        fails_since: Locked<u64>,
        /// From when on it is asked anew, when it is used.
        refresh_at: Locked<u64>,
        /// Until when its addresses serve.
        known_until: Locked<u64>,
        /// Before which it is not asked again, and how often in a row that was in vain.
        ask_at: Locked<u64>,
        failures: Locked<u64>,
        /// When it was last used.
        used_at: Locked<u64>,
        /// Which of its addresses is sent to.
        current: Locked<u64>,
        text: [Locked<u64>; TEXT_WORDS],
        addresses: [Address; MOST_ADDRESSES],
        _rest_of_the_line: [AtomicU64; 3],
    }
}

const NAME_WORDS: usize = size_of::<Name>() / BYTES;
const HEAD: usize = size_of::<Head>() / BYTES;
const _: () = assert!(NAME_WORDS.is_multiple_of(8));

/// Where the table starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names(pub(super) usize);

/// An entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(At<Name>);

/// Whether copies of an originator may wait for a name.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// They may.
    At(Entry),
    /// They wait for room, by the number of their originator.
    Outside(u32),
}

impl Names {
    /// Words of the table, and one for each transaction: to which address of which name its fork is sent.
    pub(super) const WORDS: usize = Self::TABLE + transactions::MOST;
    const TABLE: usize = HEAD + NAMES * NAME_WORDS;

    fn head(self, memory: &SharedMemory) -> &Head {
        &memory[At::word(self.0)]
    }

    fn owner<'h>(self, held: &'h Held<'_>, owner: u32) -> &'h Owner {
        &self.head(held.memory).owners[owner as usize % OWNERS]
    }

    pub(super) fn entry(self, index: u32) -> Option<Entry> {
        let index = index as usize;
        let start = self.0 + HEAD;
        (index < NAMES).then(|| Entry(At::word(start + index * NAME_WORDS)))
    }

    fn index(self, entry: Entry) -> u32 {
        ((entry.0.to_word() - self.0 - HEAD) / NAME_WORDS) as u32
    }

    fn all(self) -> impl Iterator<Item = Entry> {
        (0..NAMES as u32).filter_map(move |index| self.entry(index))
    }

    /// The names for which copies wait.
    pub(super) fn waited_for(self, held: &Held<'_>) -> Vec<Entry> {
        let words = (0..NAMES as u32 / 64)
            .map(|word| (word, self.head(held.memory).waited[word as usize].get()))
            .filter(|(_, bits)| *bits != 0);
        let indices = words.flat_map(|(word, bits)| {
            let set = (0..64).filter(move |bit| bits >> bit & 1 != 0);
            set.map(move |bit| word * 64 + bit)
        });
        indices.filter_map(|index| self.entry(index)).collect()
    }

    fn bucket(self, hash: u64) -> [Entry; BUCKET] {
        let first = (hash >> 32) as usize % NAMES;
        let start = self.0 + HEAD;
        from_fn(|number| Entry(At::word(start + (first + number) * NAME_WORDS)))
    }

    /// Copies that wait for a name.
    pub(super) fn waiting(self, memory: &SharedMemory) -> u64 {
        self.head(memory).waiting.get()
    }

    /// Names that are to be asked or are being asked.
    pub(super) fn asked(self, memory: &SharedMemory) -> u64 {
        self.head(memory).asked.get()
    }

    /// Forgets all names. Answers that are still to come are known as stale.
    pub(super) fn clear(self, held: &Held<'_>) {
        let head = self.head(held.memory);
        for ends in [&head.first_to_ask, &head.last_to_ask] {
            ends.set(held, 0);
        }
        let counts = [&head.waiting, &head.asked, &head.outside, &head.look];
        for word in head.waited.iter().chain(counts) {
            word.set(held, 0);
        }
        for owner in &head.owners {
            owner.names.set(held, 0);
            owner.outside.clear(held);
        }
        for entry in self
            .all()
            .filter(|entry| held[entry.0].use_number.get() != 0)
        {
            entry.reset(held);
        }
    }

    /// The entry of a name.
    pub(super) fn find(self, held: &Held<'_>, hash: u64) -> Option<Entry> {
        let mut bucket = self.bucket(hash).into_iter();
        bucket.find(|entry| held[entry.0].hash.get() == hash | 1)
    }

    /// The entry of a name, for which copies of this originator are to wait.
    pub(super) fn take(
        self,
        held: &Held<'_>,
        hash: u64,
        name: &[u8],
        owner: u32,
        now: u64,
    ) -> Place {
        let found = self.find(held, hash);
        if let Some(entry) = found.filter(|entry| entry.has_waiting(held)) {
            return Place::At(entry);
        }
        // Its own number of the originator, so that it gets its room back.
        let has_share = self.owner(held, owner).names.get() < SHARE;
        let Some(entry) = has_share
            .then(|| found.or_else(|| self.make(held, hash, name, now)))
            .flatten()
        else {
            return Place::Outside(owner);
        };
        held[entry.0].owner.set(held, owner % OWNERS as u32);
        Place::At(entry)
    }

    /// Takes the entry of its bucket that was used least recently and is not needed now.
    fn make(self, held: &Held<'_>, hash: u64, name: &[u8], now: u64) -> Option<Entry> {
        let free = |entry: &Entry| !entry.has_waiting(held) && !entry.is_asked(held);
        let bucket = self.bucket(hash).into_iter().filter(free);
        let entry = bucket.min_by_key(|entry| held[entry.0].used_at.get())?;
        entry.reset(held);
        held[entry.0].used_at.set(held, now);
        held[entry.0].length_of_text.set(held, name.len() as u32);
        held[entry.0].count.set(held, 0);
        for (word, bytes) in name.chunks(BYTES).take(TEXT_WORDS).enumerate() {
            let mut whole = [0; BYTES];
            whole[..bytes.len()].copy_from_slice(bytes);
            held[entry.0].text[word].set(held, u64::from_le_bytes(whole));
        }
        held[entry.0].hash.set(held, hash | 1);
        Some(entry)
    }

    /// Lets a copy wait.
    pub(super) fn push(self, held: &Held<'_>, place: Place, copy: At<Recipient>, now: u64) {
        self.head(held.memory).waiting.add(held, 1);
        match place {
            Place::At(entry) => {
                self.has_come(held, entry);
                held[entry.0].queue.push(held, copy);
                held[entry.0].length.add(held, 1);
                held[entry.0].used_at.set(held, now);
            }
            Place::Outside(owner) => {
                self.head(held.memory).outside.add(held, 1);
                self.owner(held, owner).outside.push(held, copy);
            }
        }
    }

    /// Lets the name be asked; says whether it was not being asked.
    pub(super) fn ask(self, held: &Held<'_>, entry: Entry) -> bool {
        let asked = held[entry.0].asked.get();
        if asked != 0 {
            return false;
        }
        held[entry.0].asked.set(held, 1);
        self.head(held.memory).asked.add(held, 1);
        held[entry.0].next.set(held, 0);
        let number = self.index(entry) + 1;
        let list = self.head(held.memory);
        let tail = list.last_to_ask.get();
        match tail.checked_sub(1).and_then(|tail| self.entry(tail)) {
            None => list.first_to_ask.set(held, number),
            Some(last) => {
                held[last.0].next.set(held, number);
            }
        }
        list.last_to_ask.set(held, number);
        true
    }

    /// Takes the next name to be asked.
    pub(super) fn next_to_ask(self, held: &Held<'_>) -> Option<Entry> {
        let list = self.head(held.memory);
        let entry = self.entry(list.first_to_ask.get().checked_sub(1)?)?;
        let next = held[entry.0].next.get();
        list.first_to_ask.set(held, next);
        if next == 0 {
            list.last_to_ask.set(held, 0);
        }
        held[entry.0].next.set(held, 0);
        Some(entry)
    }

    /// What is said of a name to who asks it.
    pub(super) fn question(self, held: &Held<'_>, entry: Entry) -> Question {
        Question {
            index: self.index(entry),
            use_number: held[entry.0].use_number.get(),
            owner: held[entry.0].owner.get(),
            not_before: held[entry.0].ask_at.get(),
            name: entry.text(held),
        }
    }

    /// The entry that a question was about, unless it is over.
    pub(super) fn of_question(self, held: &Held<'_>, question: &Question) -> Option<Entry> {
        let entry = self.entry(question.index)?;
        let name = &held[entry.0];
        ((name.use_number.get(), name.asked.get()) == (question.use_number, 1)).then_some(entry)
    }

    /// The name is not asked any more.
    pub(super) fn was_asked(self, held: &Held<'_>, entry: Entry) {
        held[entry.0].asked.set(held, 0);
        self.head(held.memory).asked.subtract(held, 1);
    }

    /// Notes to which address of a name a fork is sent.
    pub(super) fn note_way(self, held: &Held<'_>, cookie: u64, entry: Entry) {
        let way = self.way(held, cookie, entry);
        self.way_of(held.memory, cookie).set(held, way);
    }

    /// Whether a fork is sent to an address of a name.
    pub(super) fn has_way(self, memory: &SharedMemory, cookie: u64) -> bool {
        Transactions::index_of(cookie) < transactions::MOST
            && self.way_of(memory, cookie).get() >> 32 == u64::from(Transactions::use_of(cookie))
    }

    fn way_of(self, memory: &SharedMemory, cookie: u64) -> &Locked<u64> {
        &memory[At::word(self.0 + Self::TABLE + Transactions::index_of(cookie))]
    }

    /// The use of the transaction and, of the name, the use of its entry and which address is sent to.
    fn way(self, held: &Held<'_>, cookie: u64, entry: Entry) -> u64 {
        let use_number = held[entry.0].use_number.get();
        let place = self.index(entry) * MOST_ADDRESSES as u32 + held[entry.0].current.get() as u32;
        u64::from(Transactions::use_of(cookie)) << 32 | u64::from(use_number << 16 | place)
    }

    /// Nobody has answered at the address that a fork was sent to: the next copies go to another one of the same
    /// name, if it has any.
    pub(super) fn turn_from(self, held: &Held<'_>, cookie: u64) {
        let way = self.way_of(held.memory, cookie).get();
        let place = way as u32 & PLACE_MASK;
        let entry = self.entry(place / MOST_ADDRESSES as u32);
        let Some(entry) = entry.filter(|entry| self.way(held, cookie, *entry) == way) else {
            return;
        };
        let count = held[entry.0].count.get();
        let next = u64::from(place % MOST_ADDRESSES as u32) + 1;
        held[entry.0]
            .current
            .set(held, next % u64::from(count.max(1)));
    }

    /// The copy that has waited longest for a name.
    pub(super) fn pop(self, held: &Held<'_>, entry: Entry) -> Option<At<Recipient>> {
        let copy = held[entry.0].queue.pop(held)?;
        held[entry.0].length.subtract(held, 1);
        self.has_deferred(held, entry);
        Some(copy)
    }

    fn waited<'h>(self, held: &'h Held<'_>, entry: Entry) -> (&'h Locked<u64>, u64) {
        let index = self.index(entry) as usize;
        let word = &self.head(held.memory).waited[index / 64];
        (word, 1 << (index % 64))
    }

    /// A copy is about to wait for a name.
    fn has_come(self, held: &Held<'_>, entry: Entry) {
        if !entry.has_waiting(held) {
            self.owner(held, held[entry.0].owner.get())
                .names
                .add(held, 1);
            let (word, bit) = self.waited(held, entry);
            word.set(held, word.get() | bit);
        }
    }

    fn has_deferred(self, held: &Held<'_>, entry: Entry) {
        self.head(held.memory).waiting.subtract(held, 1);
        if !entry.has_waiting(held) {
            let (word, bit) = self.waited(held, entry);
            word.set(held, word.get() & !bit);
            self.owner(held, held[entry.0].owner.get())
                .names
                .subtract(held, 1);
            if self.head(held.memory).outside.get() != 0 {
                self.head(held.memory).look.set(held, 1);
                held.notify.set(true);
            }
        }
    }

    /// A message sends nothing more: its copies here are to be ended.
    pub(super) fn look_again(self, held: &Held<'_>) {
        if self.head(held.memory).waiting.get() != 0 {
            self.head(held.memory).look.set(held, 1);
        }
    }

    /// Whether the clock has something to do here, once.
    pub(super) fn takes_a_look(self, held: &Held<'_>) -> bool {
        let wanted = self.head(held.memory).look.get() != 0;
        if wanted {
            self.head(held.memory).look.set(held, 0);
        }
        wanted
    }

    /// Whether copies wait for room in the table.
    pub(super) fn has_outside(self, held: &Held<'_>) -> bool {
        self.head(held.memory).outside.get() != 0
    }

    /// All originators' numbers.
    pub(super) fn owners(self) -> std::ops::Range<u32> {
        0..OWNERS as u32
    }

    /// Takes a copy that has waited for room, if there may be some for it now.
    pub(super) fn pop_outside(self, held: &Held<'_>, owner: u32) -> Option<At<Recipient>> {
        if self.owner(held, owner).names.get() >= SHARE {
            return None;
        }
        let copy = self.owner(held, owner).outside.pop(held)?;
        self.head(held.memory).outside.subtract(held, 1);
        self.head(held.memory).waiting.subtract(held, 1);
        Some(copy)
    }

    /// Takes from the queues what is not to wait any more.
    pub(super) fn take_out(
        self,
        held: &Held<'_>,
        entry: Entry,
        leaves: impl Fn(At<Recipient>) -> bool,
    ) -> Vec<At<Recipient>> {
        let mut left = Vec::new();
        let had_waiting = entry.has_waiting(held);
        held[entry.0].queue.take_out(held, &leaves, &mut left);
        held[entry.0].length.subtract(held, left.len() as u64);
        self.head(held.memory)
            .waiting
            .subtract(held, left.len() as u64);
        if had_waiting && !entry.has_waiting(held) {
            // As when the last one leaves otherwise.
            self.head(held.memory).waiting.add(held, 1);
            self.has_deferred(held, entry);
        }
        left
    }

    /// The same with those for which there is no room.
    pub(super) fn take_out_outside(
        self,
        held: &Held<'_>,
        owner: u32,
        leaves: impl Fn(At<Recipient>) -> bool,
    ) -> Vec<At<Recipient>> {
        let mut left = Vec::new();
        self.owner(held, owner)
            .outside
            .take_out(held, &leaves, &mut left);
        self.head(held.memory)
            .outside
            .subtract(held, left.len() as u64);
        self.head(held.memory)
            .waiting
            .subtract(held, left.len() as u64);
        left
    }
}

impl Entry {
    /// How many copies wait for the name.
    pub(super) fn length(self, held: &Held<'_>) -> u64 {
        held[self.0].length.get()
    }

    /// Empties the entry and counts another use of it.
    fn reset(self, held: &Held<'_>) {
        let use_number = held[self.0].use_number.get();
        held[self.0].hash.set(held, 0);
        held[self.0]
            .use_number
            .set(held, use_number.wrapping_add(1).max(1));
        held[self.0].asked.set(held, 0);
        let name = &held[self.0];
        for half in [&name.next, &name.owner, &name.length_of_text, &name.count] {
            half.set(held, 0);
        }
        name.queue.clear(held);
        for word in [
            &name.length,
            &name.fails_since,
            &name.refresh_at,
            &name.known_until,
            &name.ask_at,
            &name.failures,
            &name.used_at,
            &name.current,
        ] {
            word.set(held, 0);
        }
    }

    /// Whether copies wait for the name.
    pub(super) fn has_waiting(self, held: &Held<'_>) -> bool {
        held[self.0].queue.head().is_some()
    }

    /// Whether the name is to be asked or is being asked.
    pub(super) fn is_asked(self, held: &Held<'_>) -> bool {
        held[self.0].asked.get() != 0
    }

    fn text(self, held: &Held<'_>) -> Vec<u8> {
        let length = held[self.0].length_of_text.get();
        let length = (length as usize).min(LONGEST_NAME);
        let words = (0..length.div_ceil(BYTES)).map(|word| held[self.0].text[word].get());
        let mut text: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        text.truncate(length);
        text
    }

    /// Whether it is known where the name leads.
    pub(super) fn is_known(self, held: &Held<'_>, now: u64) -> bool {
        held[self.0].count.get() > 0 && now < held[self.0].known_until.get()
    }

    /// Where the name leads, to be asked when it is known; and whether it is time to ask it anew.
    pub(super) fn lead(self, held: &Held<'_>, now: u64) -> (SocketAddr, bool) {
        held[self.0].used_at.set(held, now);
        let is_old = now >= held[self.0].refresh_at.get() && now >= held[self.0].ask_at.get();
        (self.address(held, held[self.0].current.get()), is_old)
    }

    fn address(self, held: &Held<'_>, number: u64) -> SocketAddr {
        let address = &held[self.0].addresses[number as usize % MOST_ADDRESSES];
        let word = |word: usize| address.ip[word].get().to_le_bytes();
        let mut bytes = [0; 16];
        bytes[..BYTES].copy_from_slice(&word(0));
        bytes[BYTES..].copy_from_slice(&word(1));
        let ip = IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical();
        SocketAddr::new(ip, address.port.get() as u16)
    }

    /// Writes where the name leads.
    pub(super) fn learn(
        self,
        held: &Held<'_>,
        addresses: &[SocketAddr],
        refresh_at: u64,
        known_until: u64,
    ) {
        // One that was turned to, as another gave no answer, is kept to.
        let current = self.address(held, held[self.0].current.get());
        let place = addresses.iter().position(|address| *address == current);
        held[self.0].current.set(
            held,
            place.filter(|&place| place < MOST_ADDRESSES).unwrap_or(0) as u64,
        );
        let kept = addresses.iter().take(MOST_ADDRESSES);
        let count = kept.len() as u32;
        for (number, address) in kept.enumerate() {
            let place = &held[self.0].addresses[number];
            let ip = match address.ip() {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            let octets = ip.octets();
            let (low, high) = octets.split_at(BYTES);
            for (word, half) in [low, high].into_iter().enumerate() {
                let half = half.try_into().unwrap_or_default();
                place.ip[word].set(held, u64::from_le_bytes(half));
            }
            place.port.set(held, u64::from(address.port()));
        }
        held[self.0].count.set(held, count);
        held[self.0].refresh_at.set(held, refresh_at);
        held[self.0].known_until.set(held, known_until);
        held[self.0].ask_at.set(held, 0);
        held[self.0].failures.set(held, 0);
    }

    /// Forgets where the name leads.
    pub(super) fn forget(self, held: &Held<'_>) {
        held[self.0].count.set(held, 0);
    }

    /// Notes a look-up in vain; gives how many there were in a row.
    pub(super) fn fail(self, held: &Held<'_>, now: u64) -> u64 {
        if held[self.0].failures.get() == 0 {
            held[self.0].fails_since.set(held, now);
        }
        held[self.0].failures.add(held, 1);
        held[self.0].failures.get()
    }

    /// Since when all look-ups have been in vain, if the last one was.
    pub(super) fn fails_since(self, held: &Held<'_>) -> Option<u64> {
        (held[self.0].failures.get() > 0).then(|| held[self.0].fails_since.get())
    }

    /// Lets the name not be asked before this time.
    pub(super) fn ask_not_before(self, held: &Held<'_>, time: u64) {
        held[self.0].ask_at.set(held, time);
    }
}

/// A name to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    index: u32,
    use_number: u32,
    owner: u32,
    not_before: u64,
    name: Vec<u8>,
}

impl Question {
    /// The name, as it was given.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// A number of the originator whose copies wait for the name; a few may share one.
    pub fn owner(&self) -> u32 {
        self.owner
    }

    /// The millisecond of the engine's clock before which it is not to be asked.
    pub fn not_before(&self) -> u64 {
        self.not_before
    }
}
