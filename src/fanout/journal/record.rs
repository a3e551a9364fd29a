//! How records stand in a segment, and how they are found again after damage.
//!
//! A record is its segment's marker, its length, its kind, a checksum (CRC32C) and its bytes. The
//! marker is random and new with each start of the proxy, so that no message can carry bytes that
//! pass for a record once its own record is damaged. The checksum covers the segment's number too:
//! blocks of an older segment that the file system leaves behind a torn end are no records.

use memchr::memmem;

/// Bytes before those of the record itself: marker, length, kind, checksum.
pub(super) const HEAD: usize = 8 + 4 + 1 + 4;

/// The most bytes of one record: 16 million recipients of 64 bytes. More is a mistake.
pub(super) const LIMIT: usize = 1 << 30;

/// What the records of one segment are known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which segment.
    pub number: u32,
    /// Random, the same for all segments of one run of the proxy.
    pub run: u64,
}

impl Mark {
    /// The head of a record whose bytes are `parts`, one behind the other; none if they are too many.
    pub(super) fn head(self, kind: u8, parts: &[&[u8]]) -> Option<[u8; HEAD]> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let length = u32::try_from(length).ok().filter(|_| length <= LIMIT)?;
        let mut checksum = self.checksum(length, kind);
        for part in parts {
            checksum = crc32c::crc32c_append(checksum, part);
        }
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&self.run.to_le_bytes());
        head[8..12].copy_from_slice(&length.to_le_bytes());
        head[12] = kind;
        head[13..].copy_from_slice(&checksum.to_le_bytes());
        Some(head)
    }

    fn checksum(self, length: u32, kind: u8) -> u32 {
        let mut covered = [kind; 9];
        covered[..4].copy_from_slice(&self.number.to_le_bytes());
        covered[4..8].copy_from_slice(&length.to_le_bytes());
        crc32c::crc32c(&covered)
    }

    /// The record that starts with these bytes, if a whole one does.
    pub(super) fn record(self, bytes: &[u8]) -> Option<(u8, &[u8])> {
        let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
        let [marker @ .., _, _, _, _, _, _, _, _, _] = head;
        let [.., l0, l1, l2, l3, kind, c0, c1, c2, c3] = *head;
        if *marker != self.run.to_le_bytes() {
            return None;
        }
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let payload = rest.get(..length as usize)?;
        let checksum = crc32c::crc32c_append(self.checksum(length, kind), payload);
        (checksum == u32::from_le_bytes([c0, c1, c2, c3])).then_some((kind, payload))
    }
}

/// One thing found in a segment. All places are bytes from where reading started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A record.
    Record {
        /// Where its head starts.
        at: usize,
        /// Its kind.
        kind: u8,
        /// Its bytes.
        payload: &'a [u8],
    },
    /// Bytes that are no record, with a record behind them.
    Damage {
        /// The first such byte.
        from: usize,
        /// Where the next record starts.
        to: usize,
    },
    /// Bytes that are no record, up to the end.
    Tail {
        /// The first such byte.
        from: usize,
    },
}

/// Reads the records of a segment, whatever else its bytes are.
#[derive(Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    mark: Mark,
    at: usize,
}

impl<'a> Records<'a> {
    /// The records in `bytes`, of which the first is expected at `at`.
    pub fn new(bytes: &'a [u8], at: usize, mark: Mark) -> Self {
        Self { bytes, mark, at }
    }

    fn next_record(&self) -> Option<usize> {
        let marker = self.mark.run.to_le_bytes();
        let start = self.at + 1;
        let rest = self.bytes.get(start..)?;
        memmem::find_iter(rest, &marker)
            .map(|place| start + place)
            .find(|&place| self.mark.record(&self.bytes[place..]).is_some())
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        let at = self.at;
        let rest = self.bytes.get(at..).filter(|rest| !rest.is_empty())?;
        if let Some((kind, payload)) = self.mark.record(rest) {
            self.at = at + HEAD + payload.len();
            return Some(Found::Record { at, kind, payload });
        }
        let found = self.next_record();
        self.at = found.unwrap_or(self.bytes.len());
        Some(match found {
            Some(to) => Found::Damage { from: at, to },
            None => Found::Tail { from: at },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MARK: Mark = Mark {
        number: 7,
        run: 0x0123_4567_89ab_cdef,
    };

    fn written(records: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for record in records {
            bytes.extend_from_slice(&MARK.head(1, &[record]).unwrap());
            bytes.extend_from_slice(record);
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Vec<Vec<u8>> {
        let found = Records::new(bytes, 0, MARK).filter_map(|found| match found {
            Found::Record { payload, .. } => Some(payload.to_vec()),
            Found::Damage { .. } | Found::Tail { .. } => None,
        });
        found.collect()
    }

    #[test]
    fn a_record_of_another_segment_or_run_is_none() {
        let bytes = written(&[b"one".to_vec()]);
        let other_number = Mark { number: 8, ..MARK };
        let other_run = Mark { run: 1, ..MARK };
        for mark in [other_number, other_run] {
            let found: Vec<_> = Records::new(&bytes, 0, mark).collect();
            assert_eq!(found, [Found::Tail { from: 0 }]);
        }
        assert_eq!(read(&bytes), [b"one".to_vec()]);
    }

    #[test]
    fn a_record_that_is_too_large_has_no_head() {
        let part = vec![0; LIMIT / 4 + 1];
        assert!(MARK.head(1, &[&part[..]; 4]).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..250) {
            let mut expected = at.min(bytes.len());
            for found in Records::new(&bytes, at, MARK) {
                expected = match found {
                    Found::Record { at, payload, .. } => { prop_assert_eq!(at, expected); at + HEAD + payload.len() }
                    Found::Damage { from, to } => { prop_assert_eq!(from, expected); to }
                    Found::Tail { from } => { prop_assert_eq!(from, expected); bytes.len() }
                };
            }
            prop_assert_eq!(expected, bytes.len());
        }

        #[test]
        fn one_wrong_byte_loses_one_record_at_most(
            records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..8),
            place in any::<proptest::sample::Index>(),
            change in 1_u8..,
        ) {
            let mut bytes = written(&records);
            let place = place.index(bytes.len());
            bytes[place] ^= change;
            let mut end = 0;
            let hit = records.iter().position(|record| { end += HEAD + record.len(); place < end });
            let mut expected = records.clone();
            expected.remove(hit.unwrap());
            prop_assert_eq!(read(&bytes), expected);
        }

        #[test]
        fn garbage_between_records_costs_none_of_them(
            first in proptest::collection::vec(any::<u8>(), 0..40),
            garbage in proptest::collection::vec(any::<u8>(), 1..100),
            second in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut bytes = written(std::slice::from_ref(&first));
            bytes.extend_from_slice(&garbage);
            bytes.extend_from_slice(&written(std::slice::from_ref(&second)));
            prop_assert_eq!(read(&bytes), [first, second]);
        }

        #[test]
        fn of_a_cut_segment_all_whole_records_are_read(
            records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..8),
        ) {
            let bytes = written(&records);
            for cut in 0..=bytes.len() {
                let mut end = 0;
                let whole = records.iter().take_while(|record| { end += HEAD + record.len(); end <= cut });
                prop_assert_eq!(read(&bytes[..cut]), whole.cloned().collect::<Vec<_>>());
            }
        }
    }
}
