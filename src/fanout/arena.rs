//! Memory for blocks of any size. A piece that is given back becomes one with its free neighbours,
//! so that at the end everything is one piece again.
//!
//! Each piece starts with one word: its size, whether it is used, and the size of the piece before
//! it. Free pieces are listed by the power of two below their size.

#![forbid(unsafe_code)]

use super::layout::{ARENA_BINS, ARENA_FREE, ARENA_MAP};
use super::lock::Held;

/// Words before what is given out.
const HEADER: usize = 1;
/// The least size of a piece: a rest smaller than this stays with the piece it was cut from.
const LEAST: usize = 8;
/// How many free pieces of about the right size are looked at.
const TRIES: usize = 64;
const USED: u32 = 1 << 31;

/// Where the arena is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arena {
    /// Its first word.
    pub(super) start: usize,
    /// How many words it has, the last of them being its end mark.
    pub(super) words: usize,
}

/// The first word of a piece.
#[derive(Clone, Copy)]
struct Header {
    size: usize,
    used: bool,
    before: usize,
}

fn header(held: &Held<'_>, piece: usize) -> Header {
    let (size, before) = held.pair(piece);
    Header {
        size: (size & !USED) as usize,
        used: size & USED != 0,
        before: before as usize,
    }
}

fn set_header(held: &Held<'_>, piece: usize, header: Header) {
    let used = if header.used { USED } else { 0 };
    held.set_pair(piece, header.size as u32 | used, header.before as u32);
}

/// The list in which a piece of this size is.
fn bin(size: usize) -> usize {
    size.ilog2() as usize
}

fn insert(held: &Held<'_>, piece: usize, size: usize) {
    let anchor = ARENA_BINS + bin(size);
    let first = held.get(anchor) as u32;
    held.set_pair(piece + 1, first, 0);
    if first != 0 {
        let (next, _) = held.pair(first as usize + 1);
        held.set_pair(first as usize + 1, next, piece as u32);
    }
    held.set(anchor, piece as u64);
    held.set(ARENA_MAP, held.get(ARENA_MAP) | 1 << bin(size));
}

fn remove(held: &Held<'_>, piece: usize, size: usize) {
    let (next, previous) = held.pair(piece + 1);
    if next != 0 {
        let (after, _) = held.pair(next as usize + 1);
        held.set_pair(next as usize + 1, after, previous);
    }
    if previous != 0 {
        let (_, before) = held.pair(previous as usize + 1);
        held.set_pair(previous as usize + 1, next, before);
    } else {
        held.set(ARENA_BINS + bin(size), u64::from(next));
        if next == 0 {
            held.set(ARENA_MAP, held.get(ARENA_MAP) & !(1 << bin(size)));
        }
    }
}

impl Arena {
    /// Makes all of it one free piece.
    pub(super) fn prepare(self, held: &Held<'_>) {
        let size = self.words - 1;
        let free = Header {
            size,
            used: false,
            before: 0,
        };
        set_header(held, self.start, free);
        let end = Header {
            size: 1,
            used: true,
            before: size,
        };
        set_header(held, self.start + size, end);
        insert(held, self.start, size);
        held.set(ARENA_FREE, size as u64);
    }

    /// A piece of at least `words` words.
    pub(super) fn allocate(self, held: &Held<'_>, words: usize) -> Option<usize> {
        let need = words.checked_add(HEADER)?.max(LEAST);
        if need >= self.words {
            return None;
        }
        let piece = find(held, need)?;
        let Header { size, before, .. } = header(held, piece);
        remove(held, piece, size);
        let rest = size - need;
        let taken = if rest >= LEAST { need } else { size };
        if taken < size {
            let free = Header {
                size: rest,
                used: false,
                before: taken,
            };
            set_header(held, piece + taken, free);
            insert(held, piece + taken, rest);
            let after = header(held, piece + size);
            set_header(
                held,
                piece + size,
                Header {
                    before: rest,
                    ..after
                },
            );
        }
        // What it is used for starts as nothing, should this process die here.
        for word in 0..LEAST - HEADER {
            held.set(piece + HEADER + word, 0);
        }
        let used = Header {
            size: taken,
            used: true,
            before,
        };
        set_header(held, piece, used);
        held.subtract(ARENA_FREE, taken as u64);
        Some(piece + HEADER)
    }

    /// Gives back what `allocate` gave.
    pub(super) fn free(self, held: &Held<'_>, given: usize) {
        let mut piece = given - HEADER;
        let Header {
            mut size,
            mut before,
            ..
        } = header(held, piece);
        held.add(ARENA_FREE, size as u64);
        let next = header(held, piece + size);
        if !next.used {
            remove(held, piece + size, next.size);
            size += next.size;
        }
        if before != 0 && !header(held, piece - before).used {
            piece -= before;
            let previous = header(held, piece);
            remove(held, piece, previous.size);
            size += previous.size;
            before = previous.before;
        }
        let free = Header {
            size,
            used: false,
            before,
        };
        set_header(held, piece, free);
        insert(held, piece, size);
        let after = header(held, piece + size);
        set_header(
            held,
            piece + size,
            Header {
                before: size,
                ..after
            },
        );
    }

    /// Lists the free pieces anew; gives the used ones. The size of a piece is changed by one write,
    /// so that one can always go from piece to piece.
    pub(super) fn recover(self, held: &Held<'_>) -> Vec<usize> {
        for bin in 0..u64::BITS as usize / 2 {
            held.set(ARENA_BINS + bin, 0);
        }
        held.set(ARENA_MAP, 0);
        held.set(ARENA_FREE, 0);
        let (mut piece, mut before, mut given) = (self.start, 0, Vec::new());
        let end = self.start + self.words - 1;
        while piece <= end {
            let found = Header {
                before,
                ..header(held, piece)
            };
            set_header(held, piece, found);
            match found.used {
                true if piece < end => given.push(piece + HEADER),
                true => {}
                false => {
                    insert(held, piece, found.size);
                    held.add(ARENA_FREE, found.size as u64);
                }
            }
            before = found.size;
            piece += found.size.max(1);
        }
        given
    }

    /// All pieces that are used.
    pub(super) fn used(self, held: &Held<'_>) -> Vec<usize> {
        let (mut piece, mut given) = (self.start, Vec::new());
        let end = self.start + self.words - 1;
        while piece < end {
            let found = header(held, piece);
            if found.used {
                given.push(piece + HEADER);
            }
            piece += found.size.max(1);
        }
        given
    }

    /// Whether all of it is one free piece.
    #[cfg(test)]
    pub(super) fn is_whole(self, held: &Held<'_>) -> bool {
        let first = header(held, self.start);
        !first.used && first.size == self.words - 1 && held.get(ARENA_FREE) == first.size as u64
    }
}

/// A free piece of at least `need` words.
fn find(held: &Held<'_>, need: usize) -> Option<usize> {
    let mut piece = held.get(ARENA_BINS + bin(need)) as usize;
    for _ in 0..TRIES {
        if piece == 0 {
            break;
        }
        if header(held, piece).size >= need {
            return Some(piece);
        }
        piece = held.pair(piece + 1).0 as usize;
    }
    // Every piece of a higher list is large enough.
    let higher = held.get(ARENA_MAP) >> (bin(need) + 1);
    let found = (higher != 0).then(|| bin(need) + 1 + higher.trailing_zeros() as usize)?;
    Some(held.get(ARENA_BINS + found) as usize)
}

#[cfg(test)]
mod tests {
    use super::super::layout::{HEAD, LOCK};
    use super::super::shared_memory::SharedMemory;
    use super::*;

    #[test]
    fn pieces_do_not_overlap_and_all_of_them_become_one_again() {
        let memory = SharedMemory::with_mutex(HEAD + 4096, LOCK).unwrap();
        let held = Held::take(&memory);
        let arena = Arena {
            start: HEAD,
            words: 4096,
        };
        arena.prepare(&held);
        let mut random = 7u64;
        let mut pieces: Vec<(usize, usize)> = Vec::new();
        let mut refused = 0;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1);
            let choice = (random >> 33) as usize;
            if choice.is_multiple_of(2) && !pieces.is_empty() {
                let (at, words) = pieces.swap_remove(choice / 2 % pieces.len());
                assert!((at..at + words).all(|word| held.get(word) == at as u64));
                arena.free(&held, at);
            } else {
                let words = 1 + choice / 2 % 300;
                match arena.allocate(&held, words) {
                    Some(at) => {
                        (at..at + words).for_each(|word| held.set(word, at as u64));
                        pieces.push((at, words));
                    }
                    None => refused += 1,
                }
            }
        }
        assert!(refused > 100, "the arena was never full");
        for (at, _) in pieces {
            arena.free(&held, at);
        }
        assert!(arena.is_whole(&held));
    }
}
