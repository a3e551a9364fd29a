//! How much of a thing that all share one originator may take, so that others always find room in it: of the
//! copies in flight (`forks_in_flight`), and of the places in a member's queue (`target_queue` is what one alone may take).
//!
//! **One takes another place only while it has less of the whole than the square of what is free of it.** Alone it
//! gets 38 of 100 places (x = (1 - x)²). Whatever k originators do, in whatever order they come and however long they
//! keep what they have, one place in k + 1 stays free, but for rounding:
//!
//! Let f1 … fk be the parts that they have, in the order in which each took its last place, and s(i) what those up to
//! the i-th leave of the whole. When the i-th took its last, no more than s(i) was free, as those before it took
//! nothing more. So f(i) ≤ s(i)², s(i - 1) = s(i) + f(i) ≤ s(i) + s(i)², and from this 1/s(i) ≤ 1/s(i - 1) + 1. As s(0)
//! is 1, 1/s(k) is at most k + 1.
//!
//! Who has nothing finds a place as long as one is free. As each takes one place at least, those that come one after
//! the other fill n places when they are some 2 √n: 85 those of a `forks_in_flight` of 2000, 31 those of a
//! member's queue with a `target_queue` of 100. They have little each then, and what comes free goes to whose turn it is.

#![forbid(unsafe_code)]

/// Whether somebody who has `own` of `size` places may take one more of the `free` ones.
#[inline]
pub(super) fn fits(own: u64, free: u64, size: u64) -> bool {
    own * size < free * free
}

/// How many places there have to be so that one alone may take `most` of them.
#[inline]
pub(super) fn size_for(most: u64) -> u64 {
    most * 21 / 8 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each of so many has who take all they can get, one after the other or in turn.
    fn taken(size: u64, count: usize, in_turn: bool) -> Vec<u64> {
        let mut own = vec![0; count];
        let free = |own: &[u64]| size - own.iter().sum::<u64>();
        let mut takes = true;
        while takes {
            takes = false;
            for index in 0..count {
                while fits(own[index], free(&own), size) {
                    own[index] += 1;
                    takes = true;
                    if in_turn {
                        break;
                    }
                }
            }
        }
        own
    }

    #[test]
    fn one_alone_leaves_more_than_half() {
        for (size, most) in [(1, 1), (2, 1), (3, 2), (10, 4), (100, 39), (2000, 764)] {
            assert_eq!(taken(size, 1, false), [most], "of {size}");
        }
    }

    #[test]
    fn one_alone_may_take_what_the_size_is_made_for() {
        for most in (1..1000).chain([1_000_000]) {
            let size = size_for(most);
            assert!(fits(most - 1, size - (most - 1), size), "{most} of {size}");
        }
    }

    #[test]
    fn so_many_leave_one_part_more_than_they_are() {
        for size in [100u64, 2000, 250_000] {
            for count in [1, 2, 5, size.isqrt() as usize / 2] {
                for in_turn in [false, true] {
                    let own = taken(size, count, in_turn);
                    let free = size - own.iter().sum::<u64>();
                    let least = size / (count as u64 + 1);
                    // Rounding costs a place or two, and a few parts in a hundred.
                    let enough = free + 2 + least / 20 >= least;
                    assert!(enough, "{count} leave {free} of {size}");
                }
            }
        }
    }

    #[test]
    fn it_takes_many_to_fill_it() {
        for (size, fewest) in [(100, 18), (2000, 84)] {
            let own = taken(size, fewest, false);
            assert!(own.iter().sum::<u64>() < size, "{fewest} fill {size}");
        }
    }

    #[test]
    fn who_has_nothing_finds_the_last_place() {
        for size in [1, 2, 100, 250_000] {
            assert!(fits(0, 1, size));
            assert!(!fits(0, 0, size));
        }
    }
}
