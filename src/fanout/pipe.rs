//! Records from one process to another in shared memory: whatever is read stays until the reader is done with it,
//! so that nothing is lost with a reader that ends in between, and the process that is left can read it again.
//! The writer never waits: where there is no room it is told so.

#![forbid(unsafe_code)]

use super::shared_memory::SharedMemory;
use std::io;
use std::sync::atomic::Ordering::{Acquire, Release};

/// Bytes of a word.
const BYTES: usize = size_of::<u64>();
/// Words for records: some 30,000 outcomes.
const WORDS: u64 = 1 << 17;
/// The words before them: how many words were ever written, and with how many the reader is done.
const WRITTEN: usize = 0;
const DONE: usize = 8;
const HEAD: usize = 16;

/// The pipe, made before its processes are forked.
#[derive(Debug)]
pub struct Pipe {
    memory: SharedMemory,
}

impl Pipe {
    pub(super) fn new() -> io::Result<Self> {
        SharedMemory::new(HEAD + WORDS as usize).map(|memory| Self { memory })
    }

    fn place(number: u64) -> usize {
        HEAD + (number % WORDS) as usize
    }

    /// Writes a record, for one process only; says whether there was room.
    pub fn write(&self, record: &[u8]) -> bool {
        let words = self.memory.words();
        let (written, done) = (words[WRITTEN].load(Acquire), words[DONE].load(Acquire));
        let need = 1 + record.len().div_ceil(BYTES) as u64;
        if written - done + need > WORDS {
            return false;
        }
        self.memory.set(Self::place(written), record.len() as u64);
        for (number, piece) in (written + 1..).zip(record.chunks(BYTES)) {
            let mut word = [0; BYTES];
            word[..piece.len()].copy_from_slice(piece);
            self.memory
                .set(Self::place(number), u64::from_le_bytes(word));
        }
        words[WRITTEN].store(written + need, Release);
        true
    }

    /// Whether there is room for many records.
    pub fn is_half_empty(&self) -> bool {
        let words = self.memory.words();
        words[WRITTEN].load(Acquire) - self.first() < WORDS / 2
    }

    /// The place of the first record with which the reader is not done.
    pub fn first(&self) -> u64 {
        self.memory.words()[DONE].load(Acquire)
    }

    /// Reads the record at a place; gives the place of the next one.
    pub fn read(&self, place: u64) -> Option<(Vec<u8>, u64)> {
        if place >= self.memory.words()[WRITTEN].load(Acquire) {
            return None;
        }
        let length = self.memory.get(Self::place(place)) as usize;
        let words = length.div_ceil(BYTES) as u64;
        let bytes = (1..=words)
            .flat_map(|number| self.memory.get(Self::place(place + number)).to_le_bytes());
        Some((bytes.take(length).collect(), place + 1 + words))
    }

    /// The reader is done with all records before this place.
    pub fn done(&self, place: u64) {
        self.memory.words()[DONE].store(place, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_stays_until_the_reader_is_done_with_it() {
        let pipe = Pipe::new().unwrap();
        for round in 0..100_000u64 {
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
        assert!(written > 60_000);
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
