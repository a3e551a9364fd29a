//! The identifiers of a fork, made from the random bytes of its message and the recipient's number:
//! a message that is taken up again after a crash has the same Call-ID and From tag for the same
//! recipient, so that he can tell a repetition (U-4).

#![forbid(unsafe_code)]

use crate::control::Token;
use crate::control::identifiers::{CALL_ID_LENGTH, TAG_LENGTH};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// Bits of a character.
const CHARACTER: u32 = 5;
/// Characters that a hash has bits for.
const EACH: usize = (u128::BITS / CHARACTER) as usize;
/// Characters beside those.
const MORE: usize = CALL_ID_LENGTH + TAG_LENGTH - EACH;
/// The golden ratio, which spreads all bits of a hash over the highest ones.
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// Call-ID and From tag of the fork to the recipient with this number. The tag says no more than the
/// Call-ID, which stands beside it in every message.
pub fn identifiers(seed: [u8; 16], number: u32) -> (Token<CALL_ID_LENGTH>, Token<TAG_LENGTH>) {
    let mut hasher = SipHasher13::new_with_key(&seed);
    hasher.write_u64(u64::from(number));
    let hash = hasher.finish128().as_u128();
    let more = hash.wrapping_mul(SPREAD) >> (u128::BITS - CHARACTER * MORE as u32);
    let mut characters = [0u8; CALL_ID_LENGTH + TAG_LENGTH];
    let (first, rest) = characters.split_at_mut(EACH);
    for (part, mut bits) in [(first, hash), (rest, more)] {
        for character in part {
            *character = bits as u8;
            bits >>= CHARACTER;
        }
    }
    let mut call_id = [0; CALL_ID_LENGTH];
    let mut tag = [0; TAG_LENGTH];
    let (first, rest) = characters.split_at(CALL_ID_LENGTH);
    call_id.copy_from_slice(first);
    tag.copy_from_slice(rest);
    (Token::spell(call_id), Token::spell(tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn of_100_000_forks_none_has_an_identifier_of_another() {
        let mut seen = HashSet::new();
        for message in 0..100u8 {
            let mut seed = [7; 16];
            seed[0] = message;
            for number in 0..1000 {
                let (call_id, tag) = identifiers(seed, number);
                assert!(seen.insert(call_id.as_bytes().to_vec()));
                assert!(seen.insert(tag.as_bytes().to_vec()));
            }
        }
    }

    #[test]
    fn a_fork_has_the_same_identifiers_each_time() {
        let (call_id, tag) = identifiers([3; 16], 5);
        let (again, tag_again) = identifiers([3; 16], 5);
        assert!(call_id == again && tag == tag_again);
    }
}
