//! Names of next hops, and where they lead (RFC 3263). No process that handles requests asks a name
//! server: it looks here, and a copy whose name is not known yet waits here. One process of the
//! module's own asks, and writes what it has heard.
//!
//! A name is known from its first answer on. It is asked anew before its time is over, while it is in use;
//! if no answer comes, what was known serves for another hour. A name that nobody waits for makes room
//! for another one, the one that was used least recently first. The names for which copies of one
//! originator wait are bounded: with more, that originator's copies wait for each other.
//!
//! All words are changed with the lock. What is in the queues here has the place `AtName`.

#![forbid(unsafe_code)]

use super::cells::{self, Cells};
use super::lists::Queue;
use super::lock::Held;
use super::shared_memory::SharedMemory;
use std::array::from_fn;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

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
const ADDRESS_WORDS: usize = 3;

/// Bits of what a transaction notes that say which address of which name it is.
const PLACE_MASK: u32 = u16::MAX as u32;
const _: () = assert!(NAMES * MOST_ADDRESSES <= PLACE_MASK as usize + 1);

// Words of the table's head.
/// The first and the last name to be asked.
const TO_ASK: usize = 0;
/// Copies that wait for a name.
const WAITING: usize = 1;
/// Names that are to be asked or are being asked.
const ASKED: usize = 2;
/// Copies that wait for room in the table.
const OUTSIDE: usize = 3;
/// Set when the clock has something to do here: a message that sends nothing more may have copies in the
/// queues, or there was no room for a copy that may go on.
const LOOK: usize = 4;
/// For which names copies wait, a bit each: these are looked at by the clock.
const WAITED: usize = 8;
const HEAD: usize = WAITED + NAMES / 64;

// Words of each originator: for how many names its copies wait, and its copies for which there is no room.
const OWNER_WORDS: usize = 2;

// Words of a name.
/// Its hash; 0 for an unused entry.
const HASH: usize = 0;
/// How often the entry has been used, and whether the name is asked.
const USE: usize = 1;
/// The next name to be asked, and the originator because of whose copies it is.
const LINK: usize = 2;
/// Bytes of the text, and how many addresses there are.
const LENGTHS: usize = 3;
/// Copies that wait for it, and how many they are.
const QUEUE: usize = 4;
const LENGTH: usize = 5;
/// When the first look-up was in vain since one was not.
const FAILS_SINCE: usize = 6;
/// From when on it is asked anew, when it is used.
const REFRESH_AT: usize = 7;
/// Until when its addresses serve.
const KNOWN_UNTIL: usize = 8;
/// Before which it is not asked again, and how often in a row that was in vain.
const ASK_AT: usize = 9;
const FAILURES: usize = 10;
/// When it was last used.
const USED_AT: usize = 11;
/// Which of its addresses is sent to.
const CURRENT: usize = 12;
const TEXT: usize = 13;
const ADDRESSES: usize = TEXT + TEXT_WORDS;
const NAME_WORDS: usize = (ADDRESSES + MOST_ADDRESSES * ADDRESS_WORDS).next_multiple_of(8);

/// Where the table starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names(pub(super) usize);

/// An entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(usize);

/// Whether copies of an originator may wait for a name.
#[derive(Clone, Copy)]
pub(super) enum Room {
    /// They may.
    At(Entry),
    /// They wait for room in this queue.
    Outside(Queue),
}

impl Names {
    /// Words of the table, and one for each transaction: to which address of which name its fork is sent.
    pub(super) const WORDS: usize = Self::TABLE + cells::MOST;
    const TABLE: usize = HEAD + OWNERS * OWNER_WORDS + NAMES * NAME_WORDS;

    fn owner(self, owner: u32) -> usize {
        self.0 + HEAD + owner as usize % OWNERS * OWNER_WORDS
    }

    fn outside(self, owner: u32) -> Queue {
        Queue(self.owner(owner) + 1)
    }

    pub(super) fn entry(self, index: u32) -> Option<Entry> {
        let index = index as usize;
        let start = self.0 + HEAD + OWNERS * OWNER_WORDS;
        (index < NAMES).then_some(Entry(start + index * NAME_WORDS))
    }

    fn index(self, entry: Entry) -> u32 {
        let start = self.0 + HEAD + OWNERS * OWNER_WORDS;
        ((entry.0 - start) / NAME_WORDS) as u32
    }

    fn all(self) -> impl Iterator<Item = Entry> {
        (0..NAMES as u32).filter_map(move |index| self.entry(index))
    }

    /// The names for which copies wait.
    pub(super) fn waited_for(self, held: &Held<'_>) -> Vec<Entry> {
        let words = (0..NAMES as u32 / 64)
            .map(|word| (word, held.get(self.0 + WAITED + word as usize)))
            .filter(|(_, bits)| *bits != 0);
        let indices = words.flat_map(|(word, bits)| {
            let set = (0..64).filter(move |bit| bits >> bit & 1 != 0);
            set.map(move |bit| word * 64 + bit)
        });
        indices.filter_map(|index| self.entry(index)).collect()
    }

    fn bucket(self, hash: u64) -> [Entry; BUCKET] {
        let first = (hash >> 32) as usize % NAMES;
        let start = self.0 + HEAD + OWNERS * OWNER_WORDS;
        from_fn(|number| Entry(start + (first + number) * NAME_WORDS))
    }

    /// Copies that wait for a name.
    pub(super) fn waiting(self, memory: &SharedMemory) -> u64 {
        memory.get(self.0 + WAITING)
    }

    /// Names that are to be asked or are being asked.
    pub(super) fn asked(self, memory: &SharedMemory) -> u64 {
        memory.get(self.0 + ASKED)
    }

    /// Forgets all names. Answers that are still to come are known as stale.
    pub(super) fn clear(self, held: &Held<'_>) {
        for word in 0..HEAD + OWNERS * OWNER_WORDS {
            held.set(self.0 + word, 0);
        }
        for entry in self.all().filter(|entry| held.get(entry.0 + USE) != 0) {
            entry.reset(held);
        }
    }

    /// The entry of a name.
    pub(super) fn find(self, held: &Held<'_>, hash: u64) -> Option<Entry> {
        let mut bucket = self.bucket(hash).into_iter();
        bucket.find(|entry| held.get(entry.0 + HASH) == hash | 1)
    }

    /// The entry of a name, for which copies of this originator are to wait.
    pub(super) fn take(
        self,
        held: &Held<'_>,
        hash: u64,
        name: &[u8],
        owner: u32,
        now: u64,
    ) -> Room {
        let found = self.find(held, hash);
        if let Some(entry) = found.filter(|entry| entry.has_waiting(held)) {
            return Room::At(entry);
        }
        // Its own number of the originator, so that it gets its room back.
        let has_share = held.get(self.owner(owner)) < SHARE;
        let Some(entry) = has_share
            .then(|| found.or_else(|| self.make(held, hash, name, now)))
            .flatten()
        else {
            return Room::Outside(self.outside(owner));
        };
        let (link, _) = held.pair(entry.0 + LINK);
        held.set_pair(entry.0 + LINK, link, owner % OWNERS as u32);
        Room::At(entry)
    }

    /// Takes the entry of its bucket that was used least recently and is not needed now.
    fn make(self, held: &Held<'_>, hash: u64, name: &[u8], now: u64) -> Option<Entry> {
        let free = |entry: &Entry| !entry.has_waiting(held) && !entry.is_asked(held);
        let bucket = self.bucket(hash).into_iter().filter(free);
        let entry = bucket.min_by_key(|entry| held.get(entry.0 + USED_AT))?;
        entry.reset(held);
        held.set(entry.0 + USED_AT, now);
        held.set_pair(entry.0 + LENGTHS, name.len() as u32, 0);
        for (word, bytes) in name.chunks(BYTES).take(TEXT_WORDS).enumerate() {
            let mut whole = [0; BYTES];
            whole[..bytes.len()].copy_from_slice(bytes);
            held.set(entry.0 + TEXT + word, u64::from_le_bytes(whole));
        }
        held.set(entry.0 + HASH, hash | 1);
        Some(entry)
    }

    /// Lets a copy wait.
    pub(super) fn push(self, held: &Held<'_>, room: Room, copy: usize, now: u64) {
        held.add(self.0 + WAITING, 1);
        match room {
            Room::At(entry) => {
                self.has_come(held, entry);
                entry.queue().push(held, copy);
                held.add(entry.0 + LENGTH, 1);
                held.set(entry.0 + USED_AT, now);
            }
            Room::Outside(queue) => {
                held.add(self.0 + OUTSIDE, 1);
                queue.push(held, copy);
            }
        }
    }

    /// Lets the name be asked; says whether it was not being asked.
    pub(super) fn ask(self, held: &Held<'_>, entry: Entry) -> bool {
        let (use_number, asked) = held.pair(entry.0 + USE);
        if asked != 0 {
            return false;
        }
        held.set_pair(entry.0 + USE, use_number, 1);
        held.add(self.0 + ASKED, 1);
        let (_, owner) = held.pair(entry.0 + LINK);
        held.set_pair(entry.0 + LINK, 0, owner);
        let number = self.index(entry) + 1;
        let (head, tail) = held.pair(self.0 + TO_ASK);
        match tail.checked_sub(1).and_then(|tail| self.entry(tail)) {
            None => held.set_pair(self.0 + TO_ASK, number, number),
            Some(last) => {
                let (_, owner) = held.pair(last.0 + LINK);
                held.set_pair(last.0 + LINK, number, owner);
                held.set_pair(self.0 + TO_ASK, head, number);
            }
        }
        true
    }

    /// Takes the next name to be asked.
    pub(super) fn next_to_ask(self, held: &Held<'_>) -> Option<Entry> {
        let (head, tail) = held.pair(self.0 + TO_ASK);
        let entry = self.entry(head.checked_sub(1)?)?;
        let (next, owner) = held.pair(entry.0 + LINK);
        let tail = if next == 0 { 0 } else { tail };
        held.set_pair(self.0 + TO_ASK, next, tail);
        held.set_pair(entry.0 + LINK, 0, owner);
        Some(entry)
    }

    /// What is said of a name to who asks it.
    pub(super) fn question(self, held: &Held<'_>, entry: Entry) -> Question {
        Question {
            index: self.index(entry),
            use_number: held.pair(entry.0 + USE).0,
            owner: held.pair(entry.0 + LINK).1,
            not_before: held.get(entry.0 + ASK_AT),
            name: entry.text(held),
        }
    }

    /// The entry that a question was about, unless it is over.
    pub(super) fn of_question(self, held: &Held<'_>, question: &Question) -> Option<Entry> {
        let entry = self.entry(question.index)?;
        (held.pair(entry.0 + USE) == (question.use_number, 1)).then_some(entry)
    }

    /// The name is not asked any more.
    pub(super) fn was_asked(self, held: &Held<'_>, entry: Entry) {
        let (use_number, _) = held.pair(entry.0 + USE);
        held.set_pair(entry.0 + USE, use_number, 0);
        held.subtract(self.0 + ASKED, 1);
    }

    /// Notes to which address of a name a fork is sent.
    pub(super) fn note_way(self, held: &Held<'_>, cookie: u64, entry: Entry) {
        held.set(self.way_of(cookie), self.way(held, cookie, entry));
    }

    /// Whether a fork is sent to an address of a name.
    pub(super) fn has_way(self, memory: &SharedMemory, cookie: u64) -> bool {
        Cells::index_of(cookie) < cells::MOST
            && memory.get(self.way_of(cookie)) >> 32 == u64::from(Cells::use_of(cookie))
    }

    fn way_of(self, cookie: u64) -> usize {
        self.0 + Self::TABLE + Cells::index_of(cookie)
    }

    /// The use of the transaction and, of the name, the use of its entry and which address is sent to.
    fn way(self, held: &Held<'_>, cookie: u64, entry: Entry) -> u64 {
        let (use_number, _) = held.pair(entry.0 + USE);
        let place = self.index(entry) * MOST_ADDRESSES as u32 + held.get(entry.0 + CURRENT) as u32;
        u64::from(Cells::use_of(cookie)) << 32 | u64::from(use_number << 16 | place)
    }

    /// Nobody has answered at the address that a fork was sent to: the next copies go to another one of the same
    /// name, if it has any.
    pub(super) fn turn_from(self, held: &Held<'_>, cookie: u64) {
        let way = held.get(self.way_of(cookie));
        let place = way as u32 & PLACE_MASK;
        let entry = self.entry(place / MOST_ADDRESSES as u32);
        let Some(entry) = entry.filter(|entry| self.way(held, cookie, *entry) == way) else {
            return;
        };
        let (_, count) = held.pair(entry.0 + LENGTHS);
        let next = u64::from(place % MOST_ADDRESSES as u32) + 1;
        held.set(entry.0 + CURRENT, next % u64::from(count.max(1)));
    }

    /// The copy that has waited longest for a name.
    pub(super) fn pop(self, held: &Held<'_>, entry: Entry) -> Option<usize> {
        let copy = entry.queue().pop(held)?;
        held.subtract(entry.0 + LENGTH, 1);
        self.has_left(held, entry);
        Some(copy)
    }

    fn waited(self, entry: Entry) -> (usize, u64) {
        let index = self.index(entry) as usize;
        (self.0 + WAITED + index / 64, 1 << (index % 64))
    }

    /// A copy is about to wait for a name.
    fn has_come(self, held: &Held<'_>, entry: Entry) {
        if !entry.has_waiting(held) {
            held.add(self.owner(held.pair(entry.0 + LINK).1), 1);
            let (word, bit) = self.waited(entry);
            held.set(word, held.get(word) | bit);
        }
    }

    fn has_left(self, held: &Held<'_>, entry: Entry) {
        held.subtract(self.0 + WAITING, 1);
        if !entry.has_waiting(held) {
            let (word, bit) = self.waited(entry);
            held.set(word, held.get(word) & !bit);
            held.subtract(self.owner(held.pair(entry.0 + LINK).1), 1);
            if held.get(self.0 + OUTSIDE) != 0 {
                held.set(self.0 + LOOK, 1);
                held.news.set(true);
            }
        }
    }

    /// A message sends nothing more: its copies here are to be ended.
    pub(super) fn look_again(self, held: &Held<'_>) {
        if held.get(self.0 + WAITING) != 0 {
            held.set(self.0 + LOOK, 1);
        }
    }

    /// Whether the clock has something to do here, once.
    pub(super) fn takes_a_look(self, held: &Held<'_>) -> bool {
        let wanted = held.get(self.0 + LOOK) != 0;
        if wanted {
            held.set(self.0 + LOOK, 0);
        }
        wanted
    }

    /// Whether copies wait for room in the table.
    pub(super) fn has_outside(self, held: &Held<'_>) -> bool {
        held.get(self.0 + OUTSIDE) != 0
    }

    /// All originators' numbers.
    pub(super) fn owners(self) -> std::ops::Range<u32> {
        0..OWNERS as u32
    }

    /// Takes a copy that has waited for room, if there may be some for it now.
    pub(super) fn pop_outside(self, held: &Held<'_>, owner: u32) -> Option<usize> {
        if held.get(self.owner(owner)) >= SHARE {
            return None;
        }
        let copy = self.outside(owner).pop(held)?;
        held.subtract(self.0 + OUTSIDE, 1);
        held.subtract(self.0 + WAITING, 1);
        Some(copy)
    }

    /// Takes from the queues what is not to wait any more.
    pub(super) fn take_out(
        self,
        held: &Held<'_>,
        entry: Entry,
        leaves: impl Fn(usize) -> bool,
    ) -> Vec<usize> {
        let mut left = Vec::new();
        let had_waiting = entry.has_waiting(held);
        entry.queue().take_out(held, &leaves, &mut left);
        held.subtract(entry.0 + LENGTH, left.len() as u64);
        held.subtract(self.0 + WAITING, left.len() as u64);
        if had_waiting && !entry.has_waiting(held) {
            // As when the last one leaves otherwise.
            held.add(self.0 + WAITING, 1);
            self.has_left(held, entry);
        }
        left
    }

    /// The same with those for which there is no room.
    pub(super) fn take_out_outside(
        self,
        held: &Held<'_>,
        owner: u32,
        leaves: impl Fn(usize) -> bool,
    ) -> Vec<usize> {
        let mut left = Vec::new();
        self.outside(owner).take_out(held, &leaves, &mut left);
        held.subtract(self.0 + OUTSIDE, left.len() as u64);
        held.subtract(self.0 + WAITING, left.len() as u64);
        left
    }
}

impl Entry {
    fn queue(self) -> Queue {
        Queue(self.0 + QUEUE)
    }

    /// How many copies wait for the name.
    pub(super) fn length(self, held: &Held<'_>) -> u64 {
        held.get(self.0 + LENGTH)
    }

    /// Empties the entry and counts another use of it.
    fn reset(self, held: &Held<'_>) {
        let (use_number, _) = held.pair(self.0 + USE);
        held.set(self.0 + HASH, 0);
        held.set_pair(self.0 + USE, use_number.wrapping_add(1).max(1), 0);
        for word in LINK..TEXT {
            held.set(self.0 + word, 0);
        }
    }

    /// Whether copies wait for the name.
    pub(super) fn has_waiting(self, held: &Held<'_>) -> bool {
        self.queue().head(held).is_some()
    }

    /// Whether the name is to be asked or is being asked.
    pub(super) fn is_asked(self, held: &Held<'_>) -> bool {
        held.pair(self.0 + USE).1 != 0
    }

    fn text(self, held: &Held<'_>) -> Vec<u8> {
        let (length, _) = held.pair(self.0 + LENGTHS);
        let length = (length as usize).min(LONGEST_NAME);
        let words = (0..length.div_ceil(BYTES)).map(|word| held.get(self.0 + TEXT + word));
        let mut text: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        text.truncate(length);
        text
    }

    /// Whether it is known where the name leads.
    pub(super) fn is_known(self, held: &Held<'_>, now: u64) -> bool {
        held.pair(self.0 + LENGTHS).1 > 0 && now < held.get(self.0 + KNOWN_UNTIL)
    }

    /// Where the name leads, to be asked when it is known; and whether it is time to ask it anew.
    pub(super) fn lead(self, held: &Held<'_>, now: u64) -> (SocketAddr, bool) {
        held.set(self.0 + USED_AT, now);
        let is_old = now >= held.get(self.0 + REFRESH_AT) && now >= held.get(self.0 + ASK_AT);
        (self.address(held, held.get(self.0 + CURRENT)), is_old)
    }

    fn address(self, held: &Held<'_>, number: u64) -> SocketAddr {
        let at = self.0 + ADDRESSES + number as usize % MOST_ADDRESSES * ADDRESS_WORDS;
        let word = |word| held.get(at + word).to_le_bytes();
        let mut bytes = [0; 16];
        bytes[..BYTES].copy_from_slice(&word(0));
        bytes[BYTES..].copy_from_slice(&word(1));
        let address = IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical();
        SocketAddr::new(address, held.get(at + 2) as u16)
    }

    /// Writes where the name leads.
    pub(super) fn learn(
        self,
        held: &Held<'_>,
        addresses: &[SocketAddr],
        refresh_at: u64,
        known_until: u64,
    ) {
        let (length, _) = held.pair(self.0 + LENGTHS);
        // One that was turned to, as another gave no answer, is kept to.
        let current = self.address(held, held.get(self.0 + CURRENT));
        let place = addresses.iter().position(|address| *address == current);
        held.set(
            self.0 + CURRENT,
            place.filter(|&place| place < MOST_ADDRESSES).unwrap_or(0) as u64,
        );
        let kept = addresses.iter().take(MOST_ADDRESSES);
        let count = kept.len() as u32;
        for (number, address) in kept.enumerate() {
            let at = self.0 + ADDRESSES + number * ADDRESS_WORDS;
            let ip = match address.ip() {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            let octets = ip.octets();
            let (low, high) = octets.split_at(BYTES);
            for (word, half) in [low, high].into_iter().enumerate() {
                let half = half.try_into().unwrap_or_default();
                held.set(at + word, u64::from_le_bytes(half));
            }
            held.set(at + 2, u64::from(address.port()));
        }
        held.set_pair(self.0 + LENGTHS, length, count);
        held.set(self.0 + REFRESH_AT, refresh_at);
        held.set(self.0 + KNOWN_UNTIL, known_until);
        held.set(self.0 + ASK_AT, 0);
        held.set(self.0 + FAILURES, 0);
    }

    /// Forgets where the name leads.
    pub(super) fn forget(self, held: &Held<'_>) {
        let (length, _) = held.pair(self.0 + LENGTHS);
        held.set_pair(self.0 + LENGTHS, length, 0);
    }

    /// Notes a look-up in vain; gives how many there were in a row.
    pub(super) fn fail(self, held: &Held<'_>, now: u64) -> u64 {
        if held.get(self.0 + FAILURES) == 0 {
            held.set(self.0 + FAILS_SINCE, now);
        }
        held.add(self.0 + FAILURES, 1);
        held.get(self.0 + FAILURES)
    }

    /// Since when all look-ups have been in vain, if the last one was.
    pub(super) fn fails_since(self, held: &Held<'_>) -> Option<u64> {
        (held.get(self.0 + FAILURES) > 0).then(|| held.get(self.0 + FAILS_SINCE))
    }

    /// Lets the name not be asked before this time.
    pub(super) fn ask_not_before(self, held: &Held<'_>, time: u64) {
        held.set(self.0 + ASK_AT, time);
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
