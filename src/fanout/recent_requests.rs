//! The table of recent requests that all workers share: bounded, and lost with the proxy.
//!
//! A request is filed in one of many small buckets by a keyed hash, once it is known that its originator
//! may send: whoever is nobody writes nothing. Nobody pushes another out: what finds its bucket full is not noted, and
//! its server transaction knows its retransmissions, as long as the proxy keeps that. Until then nothing else that comes
//! to the bucket is noted without one either, as it may be such a retransmission.
//!
//! ```text
//!                        ┌──► in hand ──────────── answered 202 ──┐
//!  a place:  free, over ─┤   (no transaction)  ╲                   ├──► accepted ──► over, after its time
//!                        │                   refused              │
//!                        │                      ╲                 │
//!                        └──► refused, or decided in a transaction ──┘──────────────► over, after its time
//!  lock:     0, free ── compare and exchange ──► 1, held ──► 0
//! ```
//!
//! Messages that may come back (H-5) have a table of their own of the same kind, in which a new one takes the place of the
//! oldest.
//!
//! All of a bucket is read and written with its lock, by any worker. One who waited for it too long goes on without, as
//! its holder has died: each word is atomic, so one request may be misjudged, and no more.
//!
//! Requests of the run before stand beside it ([`PreviousRequests`]).

#![deny(unsafe_code)]

use super::previous_run::{PreviousRequest, PreviousRequests};
use super::shared_memory::{MappedTable, shared};
use crate::control::request_memory::{
    Arrival, Circulating, LOOP_MEMORY, MEMORY, Receipt, RecentRequests, RequestContent, RequestKey,
};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

/// Entries of a bucket.
const ENTRIES: usize = 7;

shared! {
    /// Two lines of the processor's cache.
    struct Bucket {
        lock: AtomicU64,
        /// The second up to which something is known by its transaction alone, as there was no room.
        full_until: AtomicU64,
        places: [Place; ENTRIES],
    }

    /// Room for an entry.
    struct Place {
        /// That of the request; 0 if none was ever here.
        fingerprint: AtomicU64,
        /// An [`Entry`], packed.
        entry: AtomicU64,
    }
}

const _: () = assert!(size_of::<Bucket>() == 128);

/// How often the processor is given away before a held lock is taken for that of a dead process.
/// Its holder needs some 50 ns, unless it lost its own processor in between.
const PATIENCE: u32 = 100_000;

/// The table.
#[derive(Debug)]
pub struct RecentTable {
    /// The requests; a power of two.
    buckets: MappedTable<Bucket>,
    /// Messages that may come back, as many.
    circulating: MappedTable<Bucket>,
    key: [u8; 16],
    former: OnceLock<PreviousRequests>,
    /// Whether another node may have asked for the answer to a request that was accepted here.
    is_shared: OnceLock<()>,
}

impl RecentTable {
    /// Room for at least `entries` requests. To be made before the workers are forked; `key` keeps
    /// strangers from choosing the bucket.
    pub fn new(entries: u32, key: [u8; 16]) -> io::Result<Self> {
        let buckets = (entries as usize).div_ceil(ENTRIES).next_power_of_two();
        Ok(Self {
            buckets: MappedTable::new(buckets)?,
            circulating: MappedTable::new(buckets)?,
            key,
            former: OnceLock::new(),
            is_shared: OnceLock::new(),
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
            transaction: self.hash(&[key.via]).0 as u32 >> 2,
        }
    }

    /// Notes the requests that were answered 202 by the last run of the proxy, each so long ago and with a content
    /// of which `key` makes this hash. To be done once, before the workers are forked.
    pub fn restore<'k>(
        &self,
        key: [u8; 16],
        requests: impl IntoIterator<Item = (RequestKey<'k>, Duration, [u8; 16])>,
    ) {
        let mut former = PreviousRequests::new(key);
        for (key, age, content) in requests {
            let Some(left) = MEMORY.checked_sub(age) else {
                continue;
            };
            let receipt = self.receipt(&key);
            let known = PreviousRequest {
                content,
                transaction: receipt.transaction,
                until: self.now() + whole_seconds(left),
            };
            former.insert(receipt, known);
        }
        let _ = self.former.set(former);
    }

    /// Lets an accepted request that comes again on another path count as new: the ledger that nodes share knows it by all
    /// that it asks for. To be done once, before the workers are forked.
    pub fn share(&self) {
        let _ = self.is_shared.set(());
    }

    /// The requests of the last run.
    fn former(&self) -> Option<&PreviousRequests> {
        self.former.get()
    }

    /// Does `work` on the bucket of a request while no other process touches it.
    fn with_bucket<T>(&self, receipt: Receipt, work: impl FnOnce(Entries<'_>) -> T) -> T {
        Self::with_bucket_of(&self.buckets, receipt, work)
    }

    fn with_bucket_of<T>(
        buckets: &[Bucket],
        receipt: Receipt,
        work: impl FnOnce(Entries<'_>) -> T,
    ) -> T {
        debug_assert!(buckets.len().is_power_of_two());
        let bucket = &buckets[receipt.place as usize & (buckets.len() - 1)];
        let _lock = Lock::take(&bucket.lock);
        work(Entries(bucket))
    }

    /// The second, by the clock that nobody sets.
    fn now(&self) -> u32 {
        self.buckets.age().as_secs() as u32
    }

    /// Says whether a request was here before.
    fn arrive_at(&self, receipt: Receipt, now: u32) -> Arrival {
        self.with_bucket(receipt, |bucket| self.arrival(bucket, receipt, now))
    }

    /// What is known of a request that comes now.
    fn arrival(&self, bucket: Entries<'_>, receipt: Receipt, now: u32) -> Arrival {
        match bucket.arrival(receipt, now) {
            (Arrival::Merged, Some(State::Accepted)) if self.is_shared.get().is_some() => {
                Arrival::New(receipt)
            }
            (arrival, _) => arrival,
        }
    }

    /// Notes a request in this state unless it was here, and says whether it was.
    fn admit_at(&self, receipt: Receipt, state: State, now: u32) -> Arrival {
        self.with_bucket(receipt, |bucket| {
            let arrival = self.arrival(bucket, receipt, now);
            if !matches!(arrival, Arrival::New(_)) {
                return arrival;
            }
            let until = now + whole_seconds(MEMORY);
            if state == State::InHand && bucket.is_full(now) {
                return Arrival::NoRoom(receipt);
            }
            if bucket.note(receipt, state, until, now) {
                return arrival;
            }
            bucket.is_full_until(until);
            Arrival::NoRoom(receipt)
        })
    }

    fn note(&self, receipt: Receipt, state: State) {
        let now = self.now();
        self.with_bucket(receipt, |bucket| {
            bucket.note(receipt, state, now + whole_seconds(MEMORY), now)
        });
    }

    fn has_come_back_at(&self, message: &Circulating<'_>, now: u32) -> bool {
        let mark = u32::from(message.max_forwards);
        // A fourth part: no request has the fingerprint of a message.
        let parts = [b"", message.originator, message.target, message.payload];
        let (place, fingerprint) = self.hash(&parts);
        let receipt = Receipt {
            place,
            fingerprint: fingerprint | 1,
            transaction: mark,
        };
        Self::with_bucket_of(&self.circulating, receipt, |bucket| {
            if let Some((_, entry)) = bucket.find(receipt.fingerprint, now) {
                return mark < entry.mark;
            }
            let until = now + LOOP_MEMORY.as_secs() as u32;
            bucket.put_in_place_of_oldest(receipt, until);
            false
        })
    }
}

impl RecentRequests for RecentTable {
    fn arrive(&self, key: &RequestKey<'_>) -> Arrival {
        let (receipt, now) = (self.receipt(key), self.now());
        match self.former() {
            Some(former) if former.is_repeated(receipt, now) => Arrival::Retransmission,
            _ => self.arrive_at(receipt, now),
        }
    }

    fn admit(
        &self,
        receipt: Receipt,
        content: &RequestContent<'_>,
        has_transaction: bool,
    ) -> Arrival {
        let now = self.now();
        let former = self.former();
        let known = former.and_then(|former| former.arrival(receipt, content, now));
        let state = match has_transaction {
            true => State::Refused,
            false => State::InHand,
        };
        known.unwrap_or_else(|| self.admit_at(receipt, state, now))
    }

    fn accept(&self, receipt: Receipt) {
        self.note(receipt, State::Accepted);
    }

    fn refuse(&self, receipt: Receipt) {
        self.note(receipt, State::Refused);
    }

    fn has_come_back(&self, message: &Circulating<'_>) -> bool {
        self.has_come_back_at(message, self.now())
    }
}

/// Seconds after which a time is over for sure, whenever in its second it has begun.
fn whole_seconds(duration: Duration) -> u32 {
    duration.as_secs() as u32 + 1
}

/// What is known of a request besides its fingerprint.
#[derive(Clone, Copy)]
struct Entry {
    /// The second up to which it is remembered.
    until: u32,
    /// Of a request a hash of the topmost Via, of a message that may come back its Max-Forwards;
    /// 30 bits.
    mark: u32,
    state: State,
}

/// How far a request is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It was refused, or its transaction knows what becomes of it.
    Refused,
    /// It was answered 202.
    Accepted,
    /// It has no transaction, and a worker is deciding about it.
    InHand,
}

impl Entry {
    fn unpack(word: u64) -> Self {
        Self {
            until: (word >> 32) as u32,
            mark: word as u32 >> 2,
            state: match word & 3 {
                0 => State::Refused,
                1 => State::Accepted,
                _ => State::InHand,
            },
        }
    }

    fn pack(self) -> u64 {
        u64::from(self.until) << 32 | u64::from(self.mark << 2) | self.state as u64
    }
}

/// The entries of a bucket whose lock is held.
#[derive(Clone, Copy)]
struct Entries<'a>(&'a Bucket);

impl Entries<'_> {
    fn entry(&self, place: usize) -> (u64, Entry) {
        let place = &self.0.places[place];
        (
            place.fingerprint.load(Relaxed),
            Entry::unpack(place.entry.load(Relaxed)),
        )
    }

    /// The entry with this fingerprint, if it is remembered still.
    fn find(&self, fingerprint: u64, now: u32) -> Option<(usize, Entry)> {
        let mut places = (0..ENTRIES).map(|place| (place, self.entry(place)));
        places
            .find(|(_, (found, entry))| *found == fingerprint && entry.until > now)
            .map(|(place, (_, entry))| (place, entry))
    }

    /// How a request relates to that in its place, and how far that one is.
    fn arrival(&self, receipt: Receipt, now: u32) -> (Arrival, Option<State>) {
        let Some((_, entry)) = self.find(receipt.fingerprint, now) else {
            return (Arrival::New(receipt), None);
        };
        let arrival = match entry.state {
            _ if entry.mark != receipt.transaction => Arrival::Merged,
            State::Refused => Arrival::Refused(receipt),
            State::Accepted => Arrival::Retransmission,
            State::InHand => Arrival::InHand(receipt),
        };
        (arrival, Some(entry.state))
    }

    /// Notes a request where it was noted before, or in a place that is free or over; says whether there was one.
    fn note(&self, receipt: Receipt, state: State, until: u32, now: u32) -> bool {
        let known = self.find(receipt.fingerprint, now);
        if let Some((_, entry)) = known
            && entry.state == State::Accepted
            && state != State::Accepted
        {
            // What becomes of it on another path does not change that it was accepted.
            return true;
        }
        let mut places = 0..ENTRIES;
        let place = match known {
            Some((place, _)) => Some(place),
            None => places.find(|&place| self.entry(place).1.until <= now),
        };
        let Some(place) = place else {
            return false;
        };
        let entry = Entry {
            until: known.map_or(until, |(_, entry)| entry.until),
            mark: receipt.transaction,
            state,
        };
        self.put(place, receipt.fingerprint, entry);
        true
    }

    /// Notes a message that may come back, in place of the one that is over first.
    fn put_in_place_of_oldest(&self, receipt: Receipt, until: u32) {
        let oldest = (0..ENTRIES).min_by_key(|&place| self.entry(place).1.until);
        let entry = Entry {
            until,
            mark: receipt.transaction,
            state: State::Refused,
        };
        self.put(oldest.unwrap_or_default(), receipt.fingerprint, entry);
    }

    /// Whether something that came here may be known by its transaction alone.
    fn is_full(&self, now: u32) -> bool {
        self.0.full_until.load(Relaxed) > u64::from(now)
    }

    fn is_full_until(&self, until: u32) {
        self.0.full_until.store(until.into(), Relaxed);
    }

    fn put(&self, place: usize, fingerprint: u64, entry: Entry) {
        debug_assert!(fingerprint != 0 && entry.mark >> 30 == 0);
        let place = &self.0.places[place];
        place.fingerprint.store(fingerprint, Relaxed);
        place.entry.store(entry.pack(), Relaxed);
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

    fn content<'m>(originator: &'m str, body: &'m str) -> RequestContent<'m> {
        RequestContent {
            originator: originator.as_bytes(),
            request_uri: b"sip:hikers@im.home1.net",
            body: body.as_bytes(),
        }
    }

    /// A request without a transaction arrives and is admitted, at this second.
    fn arrive(table: &RecentTable, key: &RequestKey<'_>, second: u32) -> Arrival {
        let now = 1_000_000 + second;
        match table.arrive_at(table.receipt(key), now) {
            Arrival::New(receipt) => table.admit_at(receipt, State::InHand, now),
            known => known,
        }
    }

    fn note(table: &RecentTable, receipt: Receipt, state: State, second: u32) {
        let now = 1_000_000 + second;
        table.with_bucket(receipt, |bucket| {
            let until = now + whole_seconds(MEMORY);
            assert!(bucket.note(receipt, state, until, now));
        });
    }

    fn accept(table: &RecentTable, receipt: Receipt, second: u32) {
        note(table, receipt, State::Accepted, second);
    }

    fn comes_back(table: &RecentTable, message: &Circulating<'_>, second: u32) -> bool {
        table.has_come_back_at(message, 1_000_000 + second)
    }

    fn is_new(arrival: Arrival) -> bool {
        matches!(arrival, Arrival::New(_))
    }

    #[test]
    fn what_nodes_share_is_known_by_its_content_on_another_path() {
        let table = table(64);
        let Arrival::New(receipt) = table.arrive(&key("a", "one")) else {
            panic!("not new");
        };
        table.admit(receipt, &content("sip:ann@h", "hi"), false);
        table.share();
        // As long as it is not accepted nobody was answered for it.
        assert_eq!(table.arrive(&key("a", "two")), Arrival::Merged);
        table.accept(receipt);
        assert_eq!(table.arrive(&key("a", "one")), Arrival::Retransmission);
        let Arrival::New(again) = table.arrive(&key("a", "two")) else {
            panic!("not new");
        };
        let admitted = table.admit(again, &content("sip:ann@h", "hi"), false);
        assert_eq!(admitted, Arrival::New(again));
    }

    #[test]
    fn a_retransmission_and_a_merged_request_are_told_apart() {
        // H-3.
        let table = table(64);
        let Arrival::New(receipt) = arrive(&table, &key("a", "v1"), 0) else {
            panic!("the table is empty");
        };
        let in_hand = Arrival::InHand(receipt);
        assert_eq!(arrive(&table, &key("a", "v1"), 1), in_hand);
        assert_eq!(arrive(&table, &key("a", "v2"), 1), Arrival::Merged);
        note(&table, receipt, State::Refused, 1);
        let refused = Arrival::Refused(receipt);
        assert_eq!(arrive(&table, &key("a", "v1"), 1), refused);
        accept(&table, receipt, 1);
        assert_eq!(arrive(&table, &key("a", "v1"), 31), Arrival::Retransmission);
        assert_eq!(arrive(&table, &key("a", "v2"), 31), Arrival::Merged);
        assert!(is_new(arrive(&table, &key("b", "v2"), 31)));
    }

    #[test]
    fn a_request_is_forgotten_after_64_t1() {
        let table = table(64);
        assert!(is_new(arrive(&table, &key("a", "v1"), 0)));
        // The last retransmission comes after 31.5 s, and the second may have been nearly over.
        assert_eq!(arrive(&table, &key("a", "v2"), 32), Arrival::Merged);
        assert!(is_new(arrive(&table, &key("a", "v2"), 33)));
        assert_eq!(arrive(&table, &key("a", "v1"), 34), Arrival::Merged);
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
        let comes_back = |change: Circulating<'_>, second| comes_back(&table, &change, second);
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
    fn what_only_arrives_is_not_noted() {
        // H-3: whoever is nobody neither fills the table nor takes another's place.
        let table = table(1);
        let Arrival::New(receipt) = arrive(&table, &key("a", "v1"), 0) else {
            panic!("the table is empty");
        };
        accept(&table, receipt, 0);
        for number in 0..1_000 {
            let name = number.to_string();
            let stranger = table.receipt(&key(&name, "v9"));
            assert!(is_new(table.arrive_at(stranger, 1_000_001)));
        }
        let before = table.receipt(&key("b", "v9"));
        assert!(is_new(table.arrive_at(before, 1_000_001)));
        assert!(is_new(arrive(&table, &key("b", "v1"), 1)));
        assert_eq!(arrive(&table, &key("a", "v1"), 2), Arrival::Retransmission);
    }

    #[test]
    fn what_the_last_run_has_answered_is_remembered_for_the_rest_of_its_time() {
        // H-3.
        let table = table(64);
        let content = PreviousRequests::hash(&[3; 16], &content("ann", "ok"));
        let former = [("a", 20), ("b", 33)];
        let former = former.map(|(name, age)| (key(name, "v1"), Duration::from_secs(age), content));
        table.restore([3; 16], former);
        assert_eq!(table.arrive(&key("a", "v1")), Arrival::Retransmission);
        assert!(is_new(table.arrive(&key("b", "v1"))));
        let (a, former) = (table.receipt(&key("a", "v1")), table.former().unwrap());
        assert!(former.is_repeated(a, table.now() + 12));
        assert!(!former.is_repeated(a, table.now() + 13));
    }

    #[test]
    fn on_another_branch_a_request_of_the_last_run_is_known_by_its_content() {
        // H-3.
        let table = table(64);
        let known = PreviousRequests::hash(&[3; 16], &content("ann", "ok"));
        table.restore([3; 16], [(key("a", "v1"), Duration::ZERO, known)]);
        let Arrival::New(receipt) = table.arrive(&key("a", "v2")) else {
            panic!("who sends it is not known yet");
        };
        let admit = |originator, body| table.admit(receipt, &content(originator, body), false);
        assert_eq!(admit("ann", "ok"), Arrival::Retransmission);
        assert_eq!(admit("ann", "no"), Arrival::Merged);
        assert_eq!(admit("bob", "ok"), Arrival::Merged);
        let Arrival::New(other) = table.arrive(&key("b", "v2")) else {
            panic!("another request");
        };
        assert!(is_new(table.admit(other, &content("ann", "ok"), false)));
        // That one is of this run.
        assert_eq!(table.arrive(&key("b", "v3")), Arrival::Merged);
    }

    #[test]
    fn nobody_pushes_another_out_of_a_full_bucket() {
        // H-3.
        let table = table(1);
        let names: Vec<_> = (0..ENTRIES).map(|n| n.to_string()).collect();
        for (second, name) in names.iter().enumerate() {
            assert!(is_new(arrive(&table, &key(name, "v"), second as u32)));
        }
        for second in 7..33 {
            let late = key("late", "v");
            let no_room = Arrival::NoRoom(table.receipt(&late));
            assert_eq!(arrive(&table, &late, second), no_room);
            for name in &names {
                let in_hand = Arrival::InHand(table.receipt(&key(name, "v")));
                assert_eq!(arrive(&table, &key(name, "v"), second), in_hand);
            }
        }
        // The first is over. What came while there was no room may come again: only a transaction tells.
        let late = key("late", "v");
        let receipt = table.receipt(&late);
        let no_room = Arrival::NoRoom(receipt);
        assert_eq!(arrive(&table, &late, 33), no_room);
        let with_transaction = table.admit_at(receipt, State::Refused, 1_000_033);
        assert_eq!(with_transaction, Arrival::New(receipt));
        assert_eq!(arrive(&table, &late, 33), Arrival::Refused(receipt));
        let no_room = Arrival::NoRoom(table.receipt(&key("b", "v")));
        assert_eq!(arrive(&table, &key("b", "v"), 39), no_room);
        assert!(is_new(arrive(&table, &key("b", "v"), 40)));
    }

    #[test]
    fn messages_that_may_come_back_take_no_place_of_requests() {
        let table = table(1);
        let message = |number: u32| number.to_string();
        for number in 0..100 {
            let payload = message(number);
            let first = Circulating {
                originator: b"ann",
                target: b"hikers",
                payload: payload.as_bytes(),
                max_forwards: 70,
            };
            assert!(!comes_back(&table, &first, 0));
            let again = Circulating {
                max_forwards: 69,
                ..first
            };
            assert!(comes_back(&table, &again, 0), "{number}");
        }
        assert!(is_new(arrive(&table, &key("a", "v1"), 0)));
    }

    #[test]
    fn of_many_that_come_at_once_exactly_one_is_new() {
        let (rounds, requests) = if cfg!(miri) { (2, 20) } else { (20, 500) };
        for _ in 0..rounds {
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
                        for number in 0..requests {
                            let name = number.to_string();
                            let arrival = arrive(table, &key(&name, &via), 0);
                            new.fetch_add(usize::from(is_new(arrival)), Relaxed);
                        }
                    });
                }
            });
            assert_eq!(new.into_inner(), requests);
        }
    }

    #[test]
    fn the_lock_of_a_dead_process_does_not_stop_the_others() {
        let table = table(1);
        table.buckets[0].lock.store(1, Relaxed);
        assert!(is_new(arrive(&table, &key("a", "v1"), 0)));
    }
}
