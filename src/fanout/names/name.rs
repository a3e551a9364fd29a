//! A name: where it leads, since when it could not be resolved, and the copies that wait for it.

#![deny(unsafe_code)]

use crate::fanout::lists::Queue;
use crate::fanout::lock::Held;
use crate::fanout::shared_memory::{Locked, shared};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::AtomicU64;

/// The most addresses of a name that are kept.
pub(super) const MOST_ADDRESSES: usize = 4;
/// The most bytes of a name: that of a host has 255 at most, the rest says how it is meant.
pub const LONGEST_NAME: usize = TEXT_WORDS * BYTES;
const BYTES: usize = size_of::<u64>();
const TEXT_WORDS: usize = 36;

shared! {
    /// Where a name leads.
    struct Address {
        ip: [Locked<u64>; 2],
        port: Locked<u64>,
    }

    /// A name.
    pub(in super::super) struct Name {
        /// Its hash; 0 for an unused entry.
        hash: Locked<u64>,
        /// How often the entry has been used, and whether the name is asked.
        pub(super) use_number: Locked<u32>,
        pub(super) asked: Locked<u32>,
        /// The number of the next name to be asked, and the originator because of whose copies it is.
        pub(super) next: Locked<u32>,
        pub(super) owner: Locked<u32>,
        /// Bytes of the text, and how many addresses there are.
        length_of_text: Locked<u32>,
        count: Locked<u32>,
        /// Copies that wait for it, and how many they are.
        pub(super) queue: Queue,
        pub(super) length: Locked<u64>,
        /// When the first look-up was in vain since one was not.
        fails_since: Locked<u64>,
        /// From when on it is asked anew, when it is used.
        refresh_at: Locked<u64>,
        /// Until when its addresses serve.
        known_until: Locked<u64>,
        /// Before which it is not asked again, and how often in a row that was in vain.
        pub(super) ask_at: Locked<u64>,
        failures: Locked<u64>,
        /// When it was last used.
        pub(super) used_at: Locked<u64>,
        /// Which of its addresses is sent to.
        current: Locked<u64>,
        text: [Locked<u64>; TEXT_WORDS],
        addresses: [Address; MOST_ADDRESSES],
        _rest_of_the_line: [AtomicU64; 3],
    }
}

/// Words of a name, whole lines of the cache.
pub(super) const WORDS: usize = size_of::<Name>() / BYTES;
const _: () = assert!(WORDS.is_multiple_of(8));

impl Name {
    /// Whether it is the name with this hash.
    pub(super) fn is(&self, hash: u64) -> bool {
        self.hash.get() == hash | 1
    }

    /// Lets an entry that is not needed be that of another name.
    pub(super) fn begin(&self, held: &Held<'_>, hash: u64, name: &[u8], now: u64) {
        self.reset(held);
        self.used_at.set(held, now);
        self.length_of_text.set(held, name.len() as u32);
        self.count.set(held, 0);
        for (word, bytes) in self.text.iter().zip(name.chunks(BYTES)) {
            let mut whole = [0; BYTES];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.set(held, u64::from_le_bytes(whole));
        }
        self.hash.set(held, hash | 1);
    }

    /// Empties the entry and counts another use of it.
    pub(super) fn reset(&self, held: &Held<'_>) {
        self.hash.set(held, 0);
        let use_number = self.use_number.get().wrapping_add(1).max(1);
        self.use_number.set(held, use_number);
        self.asked.set(held, 0);
        let halves = [&self.next, &self.owner, &self.length_of_text, &self.count];
        for half in halves {
            half.set(held, 0);
        }
        self.queue.clear(held);
        for word in [
            &self.length,
            &self.fails_since,
            &self.refresh_at,
            &self.known_until,
            &self.ask_at,
            &self.failures,
            &self.used_at,
            &self.current,
        ] {
            word.set(held, 0);
        }
    }

    /// How many copies wait for the name.
    pub(in super::super) fn length(&self) -> u64 {
        self.length.get()
    }

    /// Whether copies wait for the name.
    pub(in super::super) fn has_waiting(&self) -> bool {
        self.queue.head().is_some()
    }

    /// Whether the name is to be asked or is being asked.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.get() != 0
    }

    /// The name, as it was given.
    pub(super) fn text(&self) -> Vec<u8> {
        let length = (self.length_of_text.get() as usize).min(LONGEST_NAME);
        let words = self.text.iter().map(Locked::get);
        let mut text: Vec<u8> = words
            .take(length.div_ceil(BYTES))
            .flat_map(u64::to_le_bytes)
            .collect();
        text.truncate(length);
        text
    }

    /// Whether it is known where the name leads.
    pub(in super::super) fn is_known(&self, now: u64) -> bool {
        self.count.get() > 0 && now < self.known_until.get()
    }

    /// Where the name leads, to be asked when it is known; and whether it is time to ask it anew.
    pub(in super::super) fn lead(&self, held: &Held<'_>, now: u64) -> (SocketAddr, bool) {
        self.used_at.set(held, now);
        let is_old = now >= self.refresh_at.get() && now >= self.ask_at.get();
        (self.address(self.current.get()), is_old)
    }

    fn address(&self, number: u64) -> SocketAddr {
        let address = &self.addresses[number as usize % MOST_ADDRESSES];
        let word = |word: usize| address.ip[word].get().to_le_bytes();
        let mut bytes = [0; 16];
        bytes[..BYTES].copy_from_slice(&word(0));
        bytes[BYTES..].copy_from_slice(&word(1));
        let ip = IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical();
        SocketAddr::new(ip, address.port.get() as u16)
    }

    /// Which of its addresses is sent to.
    pub(super) fn current(&self) -> u32 {
        self.current.get() as u32
    }

    /// Lets the next copies go to the address behind this one.
    pub(super) fn turn_from(&self, held: &Held<'_>, address: u32) {
        let count = u64::from(self.count.get().max(1));
        self.current.set(held, (u64::from(address) + 1) % count);
    }

    /// Writes where the name leads.
    pub(in super::super) fn learn(
        &self,
        held: &Held<'_>,
        addresses: &[SocketAddr],
        refresh_at: u64,
        known_until: u64,
    ) {
        // One that was turned to, as another gave no answer, is kept to.
        let current = self.address(self.current.get());
        let kept = &addresses[..addresses.len().min(MOST_ADDRESSES)];
        let place = kept.iter().position(|address| *address == current);
        self.current.set(held, place.unwrap_or(0) as u64);
        for (place, address) in self.addresses.iter().zip(kept) {
            let ip = match address.ip() {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            let octets = ip.octets();
            let (low, high) = octets.split_at(BYTES);
            for (word, half) in place.ip.iter().zip([low, high]) {
                let half = half.try_into().unwrap_or_default();
                word.set(held, u64::from_le_bytes(half));
            }
            place.port.set(held, u64::from(address.port()));
        }
        self.count.set(held, kept.len() as u32);
        self.refresh_at.set(held, refresh_at);
        self.known_until.set(held, known_until);
        self.ask_at.set(held, 0);
        self.failures.set(held, 0);
    }

    /// Forgets where the name leads.
    pub(in super::super) fn forget(&self, held: &Held<'_>) {
        self.count.set(held, 0);
    }

    /// Notes a look-up in vain; gives how many there were in a row.
    pub(in super::super) fn fail(&self, held: &Held<'_>, now: u64) -> u64 {
        if self.failures.get() == 0 {
            self.fails_since.set(held, now);
        }
        self.failures.add(held, 1);
        self.failures.get()
    }

    /// Since when all look-ups have been in vain, if the last one was.
    pub(in super::super) fn fails_since(&self) -> Option<u64> {
        (self.failures.get() > 0).then(|| self.fails_since.get())
    }

    /// Lets the name not be asked before this time.
    pub(in super::super) fn ask_not_before(&self, held: &Held<'_>, time: u64) {
        self.ask_at.set(held, time);
    }
}
