//! How much may be accepted (S-5): a rate for all messages, and quotas for each originator and each
//! group, all as GCRA: one number says from when on a key is as if it had sent nothing.

#![deny(unsafe_code)]

use super::lock::Held;
use super::shared_memory::{At, Locked, shared};
use crate::config::Quota;
use std::sync::atomic::AtomicU64;

/// Buckets of the table of quotas.
const BUCKETS: usize = 1 << 12;
/// Keys of a bucket.
const BUCKET: usize = 4;
shared! {
    /// A key.
    struct Key {
        hash: Locked<u64>,
        /// When it is as if nothing had been sent.
        time: Locked<u64>,
    }
}

/// Words of a key.
const WORDS: usize = size_of::<Key>() / size_of::<AtomicU64>();

impl Quota {
    /// Microseconds between two messages at an even pace.
    fn interval(self) -> u64 {
        u64::from(self.seconds) * 1_000_000 / u64::from(self.messages.max(1))
    }

    /// Takes one message from what is left at `now`; gives the new time of the key, or the seconds
    /// after which there is room again.
    fn take(self, time: u64, now: u64) -> Result<u64, u32> {
        let interval = self.interval();
        let burst = interval * u64::from(self.messages.max(1) - 1);
        let start = time.max(now);
        match start - now <= burst {
            true => Ok(start + interval),
            false => Err(((start - now - burst).div_ceil(1_000_000) as u32).max(1)),
        }
    }
}

/// The keys under which the originator and the group of a message have their quotas; 0 where there is none.
pub(super) type BudgetKeys = [u64; 2];

/// The table of quotas.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget(pub(super) usize);

impl Budget {
    /// Words of the table.
    pub(super) const WORDS: usize = BUCKETS * BUCKET * WORDS;

    /// The place of a key; where there is none, the one whose time is over or ends first.
    fn place<'h>(self, held: &'h Held<'_>, key: u64) -> (&'h Key, u64) {
        let start = self.0 + (key >> 32) as usize % BUCKETS * BUCKET * WORDS;
        let bucket: &[Key; BUCKET] = &held[At::word(start)];
        let mut oldest = (&bucket[0], u64::MAX);
        for place in bucket {
            let time = place.time.get();
            if place.hash.get() == key {
                return (place, time);
            }
            if time < oldest.1 {
                oldest = (place, time);
            }
        }
        (oldest.0, 0)
    }

    /// Takes one message from a key's quota; says the seconds to wait if there is none left.
    pub(super) fn take(
        self,
        held: &Held<'_>,
        key: u64,
        quota: Option<Quota>,
        now: u64,
    ) -> Result<(), u32> {
        let Some(quota) = quota else { return Ok(()) };
        let (place, time) = self.place(held, key);
        let time = quota.take(time, now * 1000)?;
        place.hash.set(held, key);
        place.time.set(held, time);
        Ok(())
    }

    /// Gives one message back to a key's quota.
    pub(super) fn give_back(self, held: &Held<'_>, key: u64, quota: Option<Quota>) {
        let Some(quota) = quota else { return };
        let (place, time) = self.place(held, key);
        if place.hash.get() == key {
            place.time.set(held, time.saturating_sub(quota.interval()));
        }
    }
}

/// A rate: that many messages in each second.
fn each_second(messages: u32) -> Quota {
    Quota {
        messages,
        seconds: 1,
    }
}

/// Takes one message from the rate of all; 0 is no limit.
pub(super) fn take_rate(held: &Held<'_>, rate: u32, now: u64) -> Result<(), u32> {
    if rate > 0 {
        let time = each_second(rate).take(held.root.flow.rate.get(), now * 1000)?;
        held.root.flow.rate.set(held, time);
    }
    Ok(())
}

/// Gives one message back to the rate of all.
pub(super) fn give_back_rate(held: &Held<'_>, rate: u32) {
    if rate > 0 {
        let time = held.root.flow.rate.get();
        held.root
            .flow
            .rate
            .set(held, time.saturating_sub(each_second(rate).interval()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::{HEAD, map};
    use super::*;

    #[test]
    fn a_quota_is_used_up_and_comes_back_with_time() {
        // S-5.
        let memory = map(Budget::WORDS).unwrap();
        let held = Held::take(&memory);
        let budget = Budget(HEAD);
        let quota = Some(Quota {
            messages: 3,
            seconds: 60,
        });
        let now = 1_800_000_000_000;
        for _ in 0..3 {
            assert_eq!(budget.take(&held, 7, quota, now), Ok(()));
        }
        assert_eq!(budget.take(&held, 7, quota, now), Err(20));
        assert_eq!(budget.take(&held, 8, quota, now), Ok(()));
        assert_eq!(budget.take(&held, 7, quota, now + 19_000), Err(1));
        budget.give_back(&held, 7, quota);
        assert_eq!(budget.take(&held, 7, quota, now + 19_000), Ok(()));
        assert_eq!(budget.take(&held, 7, quota, now + 21_000), Ok(()));
        assert_eq!(budget.take(&held, 7, None, now), Ok(()));
    }

    #[test]
    fn the_rate_counts_messages_of_a_second() {
        // S-5.
        let memory = map(0).unwrap();
        let held = Held::take(&memory);
        let accepted = (0..50).filter(|_| take_rate(&held, 10, 1_000_000).is_ok());
        assert_eq!(accepted.count(), 10);
        let accepted = (0..50).filter(|_| take_rate(&held, 10, 1_000_500).is_ok());
        assert_eq!(accepted.count(), 5);
        assert_eq!(take_rate(&held, 0, 0), Ok(()));
    }
}
