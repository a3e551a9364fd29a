//! The table of recent requests that all workers share: bounded, and lost with the proxy.
//!
//! A request is filed in one of many small buckets by a keyed hash. A full bucket forgets its
//! oldest entry, so that a flood costs memory of the past and nothing else.

#![forbid(unsafe_code)]

use super::shared_memory::SharedMemory;
use crate::control::recent::{
    Arrival, Circulating, LOOP_MEMORY, MEMORY, Receipt, RecentRequests, RequestKey,
};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Words of a bucket: its lock, one unused, and the entries.
const BUCKET: usize = 16;
/// Words of an entry: the fingerprint of the request, and the rest.
const ENTRY: usize = 2;
/// Entries of a bucket.
const ENTRIES: usize = (BUCKET - ENTRY) / ENTRY;

/// How often the processor is given away before a held lock is taken for that of a dead process.
/// Its holder needs some 50 ns, unless it lost its own processor in between.
const PATIENCE: u32 = 10_000;

/// By how much the clocks of two processes may seem to differ, as one of them waited.
const CLOCK_SLACK: Duration = Duration::from_secs(10);

/// The table.
#[derive(Debug)]
pub struct RecentTable {
    memory: SharedMemory,
    key: [u8; 16],
    mask: usize,
}

impl RecentTable {
    /// Room for at least `entries` requests. To be made before the workers are forked; `key` keeps
    /// strangers from choosing the bucket.
    pub fn new(entries: u32, key: [u8; 16]) -> io::Result<Self> {
        let buckets = (entries as usize).div_ceil(ENTRIES).next_power_of_two();
        Ok(Self {
            memory: SharedMemory::new(buckets * BUCKET)?,
            key,
            mask: buckets - 1,
        })
    }

    fn hash(&self, parts: &[&[u8]]) -> (u64, u64) {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        let hash = hasher.finish128();
        (hash.h1, hash.h2)
    }

    fn receipt(&self, key: &RequestKey<'_>) -> Receipt {
        let cseq = key.cseq.to_be_bytes();
        let (place, fingerprint) = self.hash(&[key.from_tag, key.call_id, &cseq]);
        Receipt {
            place,
            // 0 means an empty entry.
            fingerprint: fingerprint | 1,
        }
    }

    /// Does `work` on the bucket of a request while no other process touches it.
    fn with_bucket<T>(&self, receipt: Receipt, work: impl FnOnce(Bucket<'_>) -> T) -> T {
        let start = (receipt.place as usize & self.mask) * BUCKET;
        let words = &self.memory.words()[start..start + BUCKET];
        let _lock = Lock::take(&words[0]);
        work(Bucket(&words[ENTRY..]))
    }
}

impl RecentRequests for RecentTable {
    fn arrive(&self, key: &RequestKey<'_>, now: SystemTime) -> Arrival {
        let now = seconds(now);
        let transaction = self.hash(&[key.via]).0 as u32 >> 1;
        let receipt = self.receipt(key);
        self.with_bucket(receipt, |bucket| {
            let known = bucket.find(receipt.fingerprint);
            match known.filter(|(_, entry)| entry.counts(now, MEMORY)) {
                Some((_, entry)) if entry.mark != transaction => Arrival::Merged,
                Some((_, entry)) if entry.accepted => Arrival::Repeated,
                Some(_) => Arrival::New(receipt),
                None => {
                    let entry = Entry {
                        until: now.saturating_add(MEMORY.as_secs() as u32),
                        mark: transaction,
                        accepted: false,
                    };
                    let place = known.map_or_else(|| bucket.oldest(), |(place, _)| place);
                    bucket.put(place, receipt.fingerprint, entry);
                    Arrival::New(receipt)
                }
            }
        })
    }

    fn accept(&self, receipt: Receipt) {
        self.with_bucket(receipt, |bucket| {
            if let Some((place, entry)) = bucket.find(receipt.fingerprint) {
                let accepted = Entry {
                    accepted: true,
                    ..entry
                };
                bucket.put(place, receipt.fingerprint, accepted);
            }
        });
    }

    fn has_come_back(&self, message: &Circulating<'_>, now: SystemTime) -> bool {
        let now = seconds(now);
        let mark = u32::from(message.max_forwards);
        // A fourth part: no request has the fingerprint of a message.
        let parts = [b"", message.originator, message.target, message.payload];
        let (place, fingerprint) = self.hash(&parts);
        let receipt = Receipt {
            place,
            fingerprint: fingerprint | 1,
        };
        self.with_bucket(receipt, |bucket| {
            let known = bucket.find(receipt.fingerprint);
            if let Some((_, entry)) = known.filter(|(_, entry)| entry.counts(now, LOOP_MEMORY)) {
                return mark < entry.mark;
            }
            let entry = Entry {
                until: now.saturating_add(LOOP_MEMORY.as_secs() as u32),
                mark,
                accepted: false,
            };
            let place = known.map_or_else(|| bucket.oldest(), |(place, _)| place);
            bucket.put(place, receipt.fingerprint, entry);
            false
        })
    }
}

fn seconds(time: SystemTime) -> u32 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as u32)
}

/// What is known of a request besides its fingerprint.
#[derive(Clone, Copy)]
struct Entry {
    /// The second of Unix time up to which it is remembered.
    until: u32,
    /// Of a request a hash of the topmost Via, of a message that may come back its Max-Forwards;
    /// 31 bits.
    mark: u32,
    accepted: bool,
}

impl Entry {
    /// Whether what is remembered for so long still counts. What would for longer was noted before the
    /// clock was set back, and is over.
    fn counts(self, now: u32, memory: Duration) -> bool {
        let most = (memory + CLOCK_SLACK).as_secs() as u32;
        self.until > now && self.until - now <= most
    }

    fn unpack(word: u64) -> Self {
        Self {
            until: (word >> 32) as u32,
            mark: word as u32 >> 1,
            accepted: word & 1 == 1,
        }
    }

    fn pack(self) -> u64 {
        u64::from(self.until) << 32 | u64::from(self.mark << 1) | u64::from(self.accepted)
    }
}

/// The entries of a bucket whose lock is held.
#[derive(Clone, Copy)]
struct Bucket<'a>(&'a [AtomicU64]);

impl Bucket<'_> {
    fn entry(&self, place: usize) -> (u64, Entry) {
        let words = &self.0[place * ENTRY..];
        (
            words[0].load(Relaxed),
            Entry::unpack(words[1].load(Relaxed)),
        )
    }

    fn find(&self, fingerprint: u64) -> Option<(usize, Entry)> {
        let mut places = (0..ENTRIES).map(|place| (place, self.entry(place)));
        places
            .find(|(_, (found, _))| *found == fingerprint)
            .map(|(place, (_, entry))| (place, entry))
    }

    /// The entry that ends first; an empty one has ended long ago.
    fn oldest(&self) -> usize {
        let oldest = (0..ENTRIES).min_by_key(|&place| self.entry(place).1.until);
        oldest.unwrap_or_default()
    }

    fn put(&self, place: usize, fingerprint: u64, entry: Entry) {
        let words = &self.0[place * ENTRY..];
        words[0].store(fingerprint, Relaxed);
        words[1].store(entry.pack(), Relaxed);
    }
}

/// The lock of a bucket, held.
struct Lock<'a>(&'a AtomicU64);

impl<'a> Lock<'a> {
    fn take(word: &'a AtomicU64) -> Self {
        for _ in 0..PATIENCE {
            if word.compare_exchange_weak(0, 1, Acquire, Relaxed).is_ok() {
                break;
            }
            std::thread::yield_now();
        }
        // After that much patience the holder was killed. All words are atomic, so going on
        // without the lock can at worst misjudge one request.
        Self(word)
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        self.0.store(0, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn table(entries: u32) -> RecentTable {
        RecentTable::new(entries, [7; 16]).unwrap()
    }

    fn key<'m>(call_id: &'m str, via: &'m str) -> RequestKey<'m> {
        RequestKey {
            from_tag: b"9f2c",
            call_id: call_id.as_bytes(),
            cseq: 41,
            via: via.as_bytes(),
        }
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    fn is_new(arrival: Arrival) -> bool {
        matches!(arrival, Arrival::New(_))
    }

    #[test]
    fn a_retransmission_and_a_merged_request_are_told_apart() {
        // H-3.
        let table = table(64);
        let Arrival::New(receipt) = table.arrive(&key("a", "v1"), at(0)) else {
            panic!("the table is empty");
        };
        assert_eq!(table.arrive(&key("a", "v1"), at(1)), Arrival::New(receipt));
        table.accept(receipt);
        assert_eq!(table.arrive(&key("a", "v1"), at(31)), Arrival::Repeated);
        assert_eq!(table.arrive(&key("a", "v2"), at(31)), Arrival::Merged);
        assert!(is_new(table.arrive(&key("b", "v2"), at(31))));
    }

    #[test]
    fn a_request_is_forgotten_after_64_t1() {
        let table = table(64);
        assert!(is_new(table.arrive(&key("a", "v1"), at(0))));
        assert!(is_new(table.arrive(&key("a", "v2"), at(32))));
        assert_eq!(table.arrive(&key("a", "v1"), at(33)), Arrival::Merged);
    }

    #[test]
    fn a_message_comes_back_with_fewer_hops_left() {
        // H-5.
        let table = table(64);
        let first = Circulating {
            originator: b"sip:ann@home1.net",
            target: b"sip:hikers@im.home1.net",
            payload: b"ok",
            max_forwards: 68,
        };
        let comes_back = |change: Circulating<'_>, second| table.has_come_back(&change, at(second));
        let with_hops = |max_forwards| Circulating {
            max_forwards,
            ..first
        };
        assert!(!comes_back(first, 0));
        assert!(!comes_back(first, 1) && !comes_back(with_hops(70), 1));
        assert!(comes_back(with_hops(67), 29));
        for other in [
            Circulating {
                originator: b"x",
                ..with_hops(1)
            },
            Circulating {
                target: b"x",
                ..with_hops(1)
            },
            Circulating {
                payload: b"x",
                ..with_hops(1)
            },
        ] {
            assert!(!comes_back(other, 1));
        }
        // Forgotten; and what is noted then is the new one.
        assert!(!comes_back(with_hops(60), 30));
        assert!(!comes_back(with_hops(60), 31) && comes_back(with_hops(59), 31));
    }

    #[test]
    fn what_was_noted_before_the_clock_was_set_back_does_not_count_for_longer() {
        // H-3, H-5.
        let table = table(64);
        let message = |max_forwards| Circulating {
            originator: b"sip:ann@home1.net",
            target: b"sip:hikers@im.home1.net",
            payload: b"ok",
            max_forwards,
        };
        assert!(is_new(table.arrive(&key("a", "v1"), at(7200))));
        assert!(!table.has_come_back(&message(68), at(7200)));
        // Another process has looked at its clock a little earlier.
        assert_eq!(table.arrive(&key("a", "v2"), at(7199)), Arrival::Merged);
        assert!(table.has_come_back(&message(67), at(7199)));
        assert!(is_new(table.arrive(&key("a", "v2"), at(3600))));
        assert!(!table.has_come_back(&message(60), at(3600)));
    }

    #[test]
    fn a_full_bucket_forgets_its_oldest() {
        let table = table(1);
        let names: Vec<_> = (0..ENTRIES + 1).map(|n| n.to_string()).collect();
        for (second, name) in names.iter().enumerate() {
            assert!(is_new(table.arrive(&key(name, "v"), at(second as u64))));
        }
        for name in &names[1..] {
            assert_eq!(table.arrive(&key(name, "w"), at(9)), Arrival::Merged);
        }
        assert!(is_new(table.arrive(&key(&names[0], "w"), at(9))));
    }

    #[test]
    fn of_many_that_come_at_once_exactly_one_is_new() {
        for _ in 0..20 {
            // Large enough that no bucket overflows, though it is one lock for many requests.
            let table = table(1 << 14);
            let new = AtomicUsize::new(0);
            let start = std::sync::Barrier::new(4);
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let (table, new, start) = (&table, &new, &start);
                    scope.spawn(move || {
                        let via = thread.to_string();
                        start.wait();
                        for number in 0..500 {
                            let name = number.to_string();
                            let arrival = table.arrive(&key(&name, &via), at(0));
                            new.fetch_add(usize::from(is_new(arrival)), Relaxed);
                        }
                    });
                }
            });
            assert_eq!(new.into_inner(), 500);
        }
    }

    #[test]
    fn the_lock_of_a_dead_process_does_not_stop_the_others() {
        let table = table(1);
        table.memory.words()[0].store(1, Relaxed);
        assert!(is_new(table.arrive(&key("a", "v1"), at(0))));
    }
}
