//! Memory for blocks of any size. A piece that is given back becomes one with its free neighbours,
//! so that at the end everything is one piece again.
//!
//! Each piece starts with one word: its size, whether it is used, and the size of the piece before
//! it. Free pieces are listed by the power of two below their size.

#![deny(unsafe_code)]

use super::block::Unpublished;
use super::layout::{MESSAGE, Message};
use super::lock::Held;
use super::shared_memory::{At, Locked, SharedMemory, shared};

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

shared! {
    /// The first word of a piece: its size, with a bit that says whether it is used, and the size of the one before it.
    struct Piece {
        size: Locked<u32>,
        before: Locked<u32>,
    }

    /// The second word of a free piece: the next and the previous one in its list, 0 for none.
    struct Spare {
        next: Locked<u32>,
        previous: Locked<u32>,
    }
}

/// What the first word of a piece says.
#[derive(Clone, Copy)]
struct Header {
    size: usize,
    used: bool,
    before: usize,
}

fn header(held: &Held<'_>, piece: usize) -> Header {
    let piece: &Piece = &held[At::word(piece)];
    let size = piece.size.get();
    Header {
        size: (size & !USED) as usize,
        used: size & USED != 0,
        before: piece.before.get() as usize,
    }
}

fn set_header(held: &Held<'_>, piece: usize, header: Header) {
    let piece: &Piece = &held[At::word(piece)];
    let used = if header.used { USED } else { 0 };
    piece.before.set(held, header.before as u32);
    piece.size.set(held, header.size as u32 | used);
}

fn spare<'h>(held: &'h Held<'_>, piece: u32) -> &'h Spare {
    &held[At::word(piece as usize + HEADER)]
}

/// The list in which a piece of this size is.
fn bin(size: usize) -> usize {
    size.ilog2() as usize
}

fn insert(held: &Held<'_>, piece: usize, size: usize) {
    let (arena, bin, piece) = (&held.root.arena, bin(size), piece as u32);
    let first = arena.bins[bin].get() as u32;
    let links = spare(held, piece);
    links.next.set(held, first);
    links.previous.set(held, 0);
    if first != 0 {
        spare(held, first).previous.set(held, piece);
    }
    arena.bins[bin].set(held, piece.into());
    arena.map.set(held, arena.map.get() | 1 << bin);
}

fn remove(held: &Held<'_>, piece: usize, size: usize) {
    let (arena, bin) = (&held.root.arena, bin(size));
    let links = spare(held, piece as u32);
    let (next, previous) = (links.next.get(), links.previous.get());
    if next != 0 {
        spare(held, next).previous.set(held, previous);
    }
    if previous != 0 {
        spare(held, previous).next.set(held, next);
    } else {
        arena.bins[bin].set(held, next.into());
        if next == 0 {
            arena.map.set(held, arena.map.get() & !(1 << bin));
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
        held.root.arena.words.set(held, size as u64);
    }

    /// A piece of at least `words` words.
    pub(super) fn allocate(self, held: &Held<'_>, words: usize) -> Option<Unpublished> {
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
            let word: &Locked<u64> = &held[At::word(piece + HEADER + word)];
            word.set(held, 0);
        }
        let used = Header {
            size: taken,
            used: true,
            before,
        };
        set_header(held, piece, used);
        held.root.arena.words.subtract(held, taken as u64);
        Some(Unpublished::of_piece(piece + HEADER))
    }

    /// Gives back what `allocate` gave.
    pub(super) fn free(self, held: &mut Held<'_>, given: At<Message>) {
        let held = &*held;
        let mut piece = given.to_word() - HEADER;
        let Header {
            mut size,
            mut before,
            ..
        } = header(held, piece);
        debug_assert!(header(held, piece).used, "given back twice");
        held.root.arena.words.add(held, size as u64);
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
        debug_assert!(piece + size < self.start + self.words);
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
    pub(super) fn recover(self, held: &Held<'_>) -> Vec<At<Message>> {
        let free = &held.root.arena;
        for bin in &free.bins {
            bin.set(held, 0);
        }
        free.map.set(held, 0);
        free.words.set(held, 0);
        let (mut piece, mut before, mut given) = (self.start, 0, Vec::new());
        let end = self.start + self.words - 1;
        while piece <= end {
            let found = Header {
                before,
                ..header(held, piece)
            };
            set_header(held, piece, found);
            match found.used {
                true if piece < end => given.push(At::word(piece + HEADER)),
                true => {}
                false => {
                    insert(held, piece, found.size);
                    held.root.arena.words.add(held, found.size as u64);
                }
            }
            before = found.size;
            piece += found.size.max(1);
        }
        given
    }

    /// All pieces that are used.
    pub(super) fn used(self, held: &Held<'_>) -> Vec<At<Message>> {
        let (mut piece, mut given) = (self.start, Vec::new());
        let end = self.start + self.words - 1;
        while piece < end {
            let found = header(held, piece);
            if found.used {
                given.push(At::word(piece + HEADER));
            }
            piece += found.size.max(1);
        }
        given
    }

    /// Whether this piece is used, for whoever was given its place.
    pub(super) fn is_used(self, memory: &SharedMemory, given: At<Message>) -> bool {
        let pieces = self.start..self.start + self.words - MESSAGE;
        let piece = given.to_word() - HEADER;
        pieces.contains(&piece) && memory[At::<Piece>::word(piece)].size.get() & USED != 0
    }
}

/// A free piece of at least `need` words.
fn find(held: &Held<'_>, need: usize) -> Option<usize> {
    let mut piece = held.root.arena.bins[bin(need)].get() as usize;
    for _ in 0..TRIES {
        if piece == 0 {
            break;
        }
        if header(held, piece).size >= need {
            return Some(piece);
        }
        piece = spare(held, piece as u32).next.get() as usize;
    }
    // Every piece of a higher list is large enough.
    let higher = held.root.arena.map.get() >> (bin(need) + 1);
    let found = (higher != 0).then(|| bin(need) + 1 + higher.trailing_zeros() as usize)?;
    Some(held.root.arena.bins[found].get() as usize)
}

#[cfg(test)]
mod tests {
    use super::super::layout::{HEAD, map};
    use super::*;

    fn word_at<'h>(held: &'h Held<'_>, word: usize) -> &'h Locked<u64> {
        &held[At::word(word)]
    }

    #[test]
    fn pieces_do_not_overlap_and_all_of_them_become_one_again() {
        let memory = map(4096).unwrap();
        let mut held = Held::take(&memory);
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
                assert!((at..at + words).all(|word| word_at(&held, word).get() == at as u64));
                arena.free(&mut held, At::word(at));
            } else {
                let words = 1 + choice / 2 % 300;
                match arena.allocate(&held, words) {
                    Some(at) => {
                        let at = at.publish().to_word();
                        (at..at + words)
                            .for_each(|word| word_at(&held, word).set(&held, at as u64));
                        pieces.push((at, words));
                    }
                    None => refused += 1,
                }
            }
        }
        assert!(refused > 100, "the arena was never full");
        for (at, _) in pieces {
            arena.free(&mut held, At::word(at));
        }
        let first = header(&held, arena.start);
        assert!(!first.used && first.size == arena.words - 1);
        assert_eq!(held.root.arena.words.get(), first.size as u64);
    }
}
