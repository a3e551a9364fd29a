//! How sending begins after the proxy's memory was short, and after a start that has taken messages up
//! again.
//!
//! tm gives transactions back by the thousand, at a tick of its timer: Kamailio's 16 times a second. Were
//! as many forks sent at once, their responses would overrun the proxy's socket, and each that is lost
//! costs half a second. So few begin, and more join them with each millisecond, until half a second later
//! there are as many in flight as there may be. From tick to tick that is as many as the receive buffer
//! holds that Linux gives a socket unless told: some 330 responses.
//!
//! ```text
//!            memory is short, or messages were taken up again
//! no limit ──────────────────────────────────────────────────► NOT_BEGUN ── a copy may be sent ──► begun at t
//!    ▲                                                             ▲        memory is short            │ │
//!    │                                                             └───────────────────────────────────┘ │
//!    └──────────────────────────── as many as there may be are allowed ──────────────────────────────────┘
//! ```
//!
//! All of it is one word, `slow_start`, that is changed with the lock alone.

#![forbid(unsafe_code)]

use super::lock::Held;

/// Forks at the beginning, beside those that are in flight.
const FIRST: u64 = 64;
/// Milliseconds until there are as many as there may be.
const TIME: u64 = 500;
/// Sending has not begun again.
const NOT_BEGUN: u64 = u64::MAX;

/// Lets sending begin with few forks when it begins the next time.
pub(super) fn prepare(held: &Held<'_>) {
    let slow_start = &held.root.flow.slow_start;
    if slow_start.get() != NOT_BEGUN {
        slow_start.set(held, NOT_BEGUN);
    }
}

/// Whether one more fork may be in flight at this millisecond; `most` may be in the end. The clock is
/// only asked while that is fewer.
#[inline]
pub(super) fn has_room(held: &Held<'_>, most: u64, now: impl Fn() -> u64) -> bool {
    held.root.flow.slow_start.get() == 0 || has_room_yet(held, most, now())
}

#[cold]
fn has_room_yet(held: &Held<'_>, most: u64, now: u64) -> bool {
    let slow_start = &held.root.flow.slow_start;
    let in_flight = held.root.hot.in_flight.get();
    let per_millisecond = most.div_ceil(TIME);
    if slow_start.get() == NOT_BEGUN {
        // As if those in flight had begun in this way: many of them may be silent.
        slow_start.set(held, now.saturating_sub(in_flight / per_millisecond));
    }
    let since = now.saturating_sub(slow_start.get());
    let allowed = FIRST.saturating_add(since.saturating_mul(per_millisecond));
    if allowed >= most {
        slow_start.set(held, 0);
    }
    in_flight < allowed
}

#[cfg(test)]
mod tests {
    use super::super::layout::map;
    use super::*;

    #[test]
    fn few_begin_and_more_join_them_until_there_is_no_limit() {
        let memory = map(0).unwrap();
        let held = Held::take(&memory);
        let begun = |now| {
            while has_room(&held, 2000, || now) && held.root.hot.in_flight.get() < 2000 {
                held.root.hot.in_flight.add(&held, 1);
            }
            held.root.hot.in_flight.get()
        };
        prepare(&held);
        assert_eq!(begun(5_000), 64);
        assert_eq!(begun(5_000), 64);
        assert_eq!(begun(5_002), 72);
        // What has landed makes room.
        held.root.hot.in_flight.subtract(&held, 10);
        assert_eq!(begun(5_002), 72);
        // Who is silent keeps nobody.
        prepare(&held);
        assert_eq!(begun(9_000), 72 + 64);
        assert_eq!(begun(9_500), 2000);
        assert!(has_room(&held, 2000, || unreachable!("no clock is needed")));
    }

    #[test]
    fn however_many_there_may_be_they_are_half_a_second_later() {
        for most in [1, 64, 1_000, 250_000] {
            let memory = map(0).unwrap();
            let held = Held::take(&memory);
            prepare(&held);
            assert!(has_room(&held, most, || 5_000));
            held.root.hot.in_flight.set(&held, most - 1);
            assert!(has_room(&held, most, || 5_500), "{most}");
        }
    }
}
