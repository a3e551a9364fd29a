//! Records from one process to another in shared memory: whatever is read stays until the reader is done with it,
//! so that nothing is lost with a reader that ends in between, and the process that is left can read it again.
//! The writer never waits: where there is no room it is told so.
//!
//! ```text
//!            done                    written
//!    free     │  records: length, bytes │   free, up to `done` again
//!  ───────────┴─────────────────────────┴─────────────
//!             └─► moved by the reader   └─► moved by the writer, when the record is whole
//! ```
//!
//! Both only grow, each has one process that writes it, and no lock is needed: the words of a record are written while
//! they are free, and read while they are not.

#![deny(unsafe_code)]

use super::shared_memory::{Mapped, shared};
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Bytes of a word.
const BYTES: usize = size_of::<u64>();
/// Words for records: some 30,000 outcomes. Miri looks at all of them with each reference, so it gets fewer.
const WORDS: u64 = if cfg!(miri) { 1 << 9 } else { 1 << 17 };

shared! {
    struct Ring {
        /// How many words were ever written.
        written: AtomicU64,
        _rest_of_the_first_line: [AtomicU64; 7],
        /// With how many of them the reader is done.
        done: AtomicU64,
        _rest_of_the_second_line: [AtomicU64; 7],
        words: [AtomicU64; WORDS as usize],
    }
}

impl Ring {
    #[inline]
    fn word(&self, number: u64) -> &AtomicU64 {
        &self.words[(number % WORDS) as usize]
    }

    #[inline]
    fn written(&self) -> u64 {
        self.written.load(Acquire)
    }

    #[inline]
    fn done(&self) -> u64 {
        self.done.load(Acquire)
    }
}

/// The pipe, made before its processes are forked.
#[derive(Debug)]
pub struct Pipe {
    ring: Mapped<Ring>,
}

impl Pipe {
    pub(super) fn new() -> io::Result<Self> {
        Mapped::new().map(|ring| Self { ring })
    }

    /// Writes a record, for one process only; says whether there was room.
    pub fn write(&self, record: &[u8]) -> bool {
        let ring = &*self.ring;
        let (written, done) = (ring.written(), ring.done());
        debug_assert!(done <= written && written - done <= WORDS);
        let need = 1 + record.len().div_ceil(BYTES) as u64;
        if written - done + need > WORDS {
            return false;
        }
        ring.word(written).store(record.len() as u64, Relaxed);
        for (number, piece) in (written + 1..).zip(record.chunks(BYTES)) {
            let mut word = [0; BYTES];
            word[..piece.len()].copy_from_slice(piece);
            ring.word(number).store(u64::from_le_bytes(word), Relaxed);
        }
        ring.written.store(written + need, Release);
        true
    }

    /// Whether there is room for many records.
    pub fn is_half_empty(&self) -> bool {
        self.end() - self.first() < WORDS / 2
    }

    /// The place of the first record with which the reader is not done.
    pub fn first(&self) -> u64 {
        self.ring.done()
    }

    /// The place of the next record.
    pub fn end(&self) -> u64 {
        self.ring.written()
    }

    /// Reads the record at a place; gives the place of the next one.
    pub fn read(&self, place: u64) -> Option<(Vec<u8>, u64)> {
        let ring = &*self.ring;
        let written = ring.written();
        if place >= written {
            return None;
        }
        let length = ring.word(place).load(Relaxed) as usize;
        let words = length.div_ceil(BYTES) as u64;
        debug_assert!(place + words < written, "half a record at {place}");
        let bytes =
            (1..=words).flat_map(|number| ring.word(place + number).load(Relaxed).to_le_bytes());
        Some((bytes.take(length).collect(), place + 1 + words))
    }

    /// The reader is done with all records before this place.
    pub fn done(&self, place: u64) {
        debug_assert!((self.first()..=self.end()).contains(&place));
        self.ring.done.store(place, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_stays_until_the_reader_is_done_with_it() {
        let rounds = if cfg!(miri) { 200 } else { 100_000 };
        let pipe = Pipe::new().unwrap();
        for round in 0..rounds {
            let record: Vec<u8> = (0..round % 40).map(|byte| (round + byte) as u8).collect();
            assert!(pipe.write(&record) && pipe.write(b""));
            let first = pipe.first();
            let (read, next) = pipe.read(first).unwrap();
            assert_eq!(read, record);
            assert_eq!(pipe.read(first).unwrap().0, record);
            let (read, end) = pipe.read(next).unwrap();
            assert_eq!((read, pipe.read(end)), (Vec::new(), None));
            pipe.done(end);
        }
    }

    #[test]
    fn a_full_pipe_says_so_and_loses_nothing() {
        let pipe = Pipe::new().unwrap();
        let mut written = 0u32;
        while pipe.write(&written.to_le_bytes()) {
            written += 1;
        }
        assert_eq!(u64::from(written), WORDS / 2);
        let mut place = pipe.first();
        for number in 0..written {
            let (read, next) = pipe.read(place).unwrap();
            assert_eq!(read, number.to_le_bytes());
            place = next;
        }
        assert_eq!(pipe.read(place), None);
        pipe.done(place);
        assert!(pipe.write(b"more"));
    }
}
