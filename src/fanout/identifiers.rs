//! The identifiers of a fork, made from the random bytes of its message and the recipient's number:
//! a message that is taken up again after a crash has the same Call-ID and From tag for the same
//! recipient, so that they can recognise a repetition (U-4).
//!
//! The Call-IDs of a message begin alike and end with the number in disguise: one search finds all of a
//! message, and whoever has one cannot tell how many others there are. The proxies file transactions by
//! sums over the Call-ID, so that those of a message stand close together, which costs less than if they
//! were scattered.

#![forbid(unsafe_code)]

use crate::control::Token;
use crate::control::identifiers::{CALL_ID_LENGTH, TAG_LENGTH, character};
use siphasher::sip::SipHasher13;
use std::array::from_fn;
use std::hash::Hasher;

/// Bits of a character.
const CHARACTER: usize = 5;
/// Characters in which the Call-IDs of a message differ: room for every number of a recipient.
const OWN: usize = 6;
/// Characters that they have in common: 100 random bits.
const COMMON: usize = CALL_ID_LENGTH - OWN;
/// Words of a [`Beginning`].
pub(super) const WORDS: usize = 3;
/// What is hashed beside the numbers of recipients, which have 32 bits.
const FIRST: u64 = 1 << 32;

/// What the Call-IDs of a message have in common, and the disguise of the numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    text: [u8; COMMON],
    disguise: u32,
}

impl Beginning {
    /// The beginning for a message with these random bytes.
    pub(super) fn of(seed: [u8; 16]) -> Self {
        let [low, high, disguise] = from_fn(|index| hash(seed, FIRST + index as u64));
        let bits = u128::from(low) | u128::from(high) << 64;
        Self {
            text: from_fn(|index| character((bits >> (index * CHARACTER)) as u64)),
            disguise: disguise as u32,
        }
    }

    /// The same in words of a block.
    pub(super) fn to_words(self) -> [u64; WORDS] {
        let mut bytes = [0; WORDS * 8];
        let (text, disguise) = bytes.split_at_mut(COMMON);
        text.copy_from_slice(&self.text);
        disguise.copy_from_slice(&self.disguise.to_le_bytes());
        from_fn(|word| u64::from_le_bytes(from_fn(|byte| bytes[word * 8 + byte])))
    }

    /// Reads what [`Beginning::to_words`] gave.
    pub(super) fn from_words(words: [u64; WORDS]) -> Self {
        let byte = |index: usize| words[index / 8].to_le_bytes()[index % 8];
        Self {
            text: from_fn(byte),
            disguise: (words[WORDS - 1] >> 32) as u32,
        }
    }
}

/// Call-ID and From tag of the fork to the recipient with this number.
pub(super) fn identifiers(
    seed: [u8; 16],
    beginning: Beginning,
    number: u32,
) -> (Token<CALL_ID_LENGTH>, Token<TAG_LENGTH>) {
    let own = u64::from(number ^ beginning.disguise);
    let mut call_id = [0; CALL_ID_LENGTH];
    let (common, last) = call_id.split_at_mut(COMMON);
    common.copy_from_slice(&beginning.text);
    for (index, place) in last.iter_mut().rev().enumerate() {
        *place = character(own >> (index * CHARACTER));
    }
    let tag = hash(seed, u64::from(number));
    let tag = from_fn(|index| character(tag >> (index * CHARACTER)));
    (Token::spelled(call_id), Token::spelled(tag))
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
        let kept = Beginning::from_words(Beginning::of(seed).to_words());
        identifiers(seed, kept, number)
    }

    #[test]
    fn of_100_000_forks_none_has_an_identifier_of_another() {
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
    fn a_fork_has_the_same_identifiers_each_time() {
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
