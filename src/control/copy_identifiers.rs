//! Call-ID and From tag of each copy, made from the random bytes of its message and the recipient's number: a message
//! that is resumed after a crash has the same ones for the same recipient, who can recognise a copy that comes again
//! (U-4).
//!
//! The Call-IDs of a message begin alike and end with the number in disguise: one search finds all of a
//! message, and whoever has one cannot tell how many others there are. The proxies file transactions by
//! sums over the Call-ID, so that those of a message stand close together, which costs less than if they
//! were scattered.

use super::identifiers::{CALL_ID_LENGTH, TAG_LENGTH, Token, character};
use siphasher::sip::SipHasher13;
use std::array::from_fn;
use std::hash::Hasher;

/// Bits of a character.
const CHARACTER: usize = 5;
/// Characters in which the Call-IDs of a message differ: room for every number of a recipient.
const OWN: usize = 6;
/// Characters that they have in common: 100 random bits.
const COMMON: usize = CALL_ID_LENGTH - OWN;
/// Words that the Call-IDs of a message need beside its seed.
pub const WORDS: usize = 3;
/// What is hashed beside the numbers of recipients, which have 32 bits.
const FIRST: u64 = 1 << 32;

/// What the identifiers of a message's copies are made from.
#[derive(Clone, Copy, Debug)]
pub struct CopyIdentifiers {
    seed: [u8; 16],
    /// What the Call-IDs have in common.
    common: [u8; COMMON],
    /// Disguises the recipients' numbers.
    disguise: u32,
}

impl CopyIdentifiers {
    /// As long as any others, for a copy that is only measured.
    pub const BLANK: Self = Self {
        seed: [0; 16],
        common: [b'0'; COMMON],
        disguise: 0,
    };

    /// Those of a message with these random bytes.
    pub fn of(seed: [u8; 16]) -> Self {
        let [low, high, disguise] = from_fn(|index| hash(seed, FIRST + index as u64));
        let bits = u128::from(low) | u128::from(high) << 64;
        Self {
            seed,
            common: from_fn(|index| character((bits >> (index * CHARACTER)) as u64)),
            disguise: disguise as u32,
        }
    }

    /// What was made from the seed, so that it is made once for each message.
    pub fn to_words(self) -> [u64; WORDS] {
        let mut bytes = [0; WORDS * 8];
        let (text, disguise) = bytes.split_at_mut(COMMON);
        text.copy_from_slice(&self.common);
        disguise.copy_from_slice(&self.disguise.to_le_bytes());
        from_fn(|word| u64::from_le_bytes(from_fn(|byte| bytes[word * 8 + byte])))
    }

    /// From the seed and what [`CopyIdentifiers::to_words`] gave.
    #[inline]
    pub fn from_words(seed: [u8; 16], words: [u64; WORDS]) -> Self {
        let byte = |index: usize| words[index / 8].to_le_bytes()[index % 8];
        Self {
            seed,
            common: from_fn(byte),
            disguise: (words[WORDS - 1] >> 32) as u32,
        }
    }

    /// Call-ID and From tag of the copy to the recipient with this number.
    #[inline]
    pub(super) fn of_copy(&self, number: u32) -> (Token<CALL_ID_LENGTH>, Token<TAG_LENGTH>) {
        let own = u64::from(number ^ self.disguise);
        let mut call_id = [0; CALL_ID_LENGTH];
        let (common, last) = call_id.split_at_mut(COMMON);
        common.copy_from_slice(&self.common);
        for (index, place) in last.iter_mut().rev().enumerate() {
            *place = character(own >> (index * CHARACTER));
        }
        let tag = hash(self.seed, u64::from(number));
        let tag = from_fn(|index| character(tag >> (index * CHARACTER)));
        (Token::spelled(call_id), Token::spelled(tag))
    }
}

fn hash(seed: [u8; 16], number: u64) -> u64 {
    let mut hasher = SipHasher13::new_with_key(&seed);
    hasher.write_u64(number);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn of(seed: [u8; 16], number: u32) -> (Token<CALL_ID_LENGTH>, Token<TAG_LENGTH>) {
        let words = CopyIdentifiers::of(seed).to_words();
        CopyIdentifiers::from_words(seed, words).of_copy(number)
    }

    #[test]
    fn of_100_000_copies_none_has_an_identifier_of_another() {
        let mut seen = HashSet::new();
        for message in 0..100u8 {
            let mut seed = [7; 16];
            seed[0] = message;
            for number in 0..1000 {
                let (call_id, tag) = of(seed, number);
                assert!(seen.insert(call_id.as_bytes().to_vec()));
                assert!(seen.insert(tag.as_bytes().to_vec()));
            }
        }
    }

    #[test]
    fn a_copy_has_the_same_identifiers_each_time() {
        let (call_id, tag) = of([3; 16], 5);
        let (again, tag_again) = of([3; 16], 5);
        assert!(call_id == again && tag == tag_again);
    }

    #[test]
    fn the_call_ids_of_a_message_begin_alike_and_those_of_another_do_not() {
        let begin = |seed, number| of(seed, number).0.as_bytes()[..COMMON].to_vec();
        assert_eq!(begin([3; 16], 0), begin([3; 16], u32::MAX >> 2));
        assert_ne!(begin([3; 16], 0), begin([4; 16], 0));
    }

    #[test]
    fn the_first_recipients_of_messages_have_call_ids_with_any_end() {
        let end = |message| of([message; 16], 0).0.as_bytes()[COMMON..].to_vec();
        let ends: HashSet<_> = (0..=u8::MAX).map(end).collect();
        assert_eq!(ends.len(), 256);
        for place in 0..OWN {
            let characters: HashSet<_> = ends.iter().map(|end| end[place]).collect();
            assert!(characters.len() > 24, "{place}: {characters:?}");
        }
    }
}
