//! Identifiers that no other process makes: Call-IDs, tags and branches (U-4, RFC 3261 §8.1.1, §19.3).

/// A random token as text, kept in place.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token<const LENGTH: usize>([u8; LENGTH]);

impl<const LENGTH: usize> Token<LENGTH> {
    /// Spells random bytes as text, five bits to a character.
    pub fn spell(random: [u8; LENGTH]) -> Self {
        Self(random.map(|byte| character(byte.into())))
    }

    /// Text whose every byte is a [`character`].
    pub fn spelled(text: [u8; LENGTH]) -> Self {
        Self(text)
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The character for the lowest five bits.
#[inline]
pub fn character(bits: u64) -> u8 {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    ALPHABET[(bits & 31) as usize]
}

/// Characters of a Call-ID: 130 random bits.
pub const CALL_ID_LENGTH: usize = 26;
/// Characters of a tag: 64 random bits at least, where RFC 3261 §19.3 wants 32.
pub const TAG_LENGTH: usize = 13;

/// Characters of a branch: the magic cookie of RFC 3261 §8.1.1.7 and 130 random bits.
pub const BRANCH_LENGTH: usize = COOKIE.len() + CALL_ID_LENGTH;
const COOKIE: &[u8; 7] = b"z9hG4bK";

/// Makes identifiers that are unique among all processes and cannot be guessed.
pub trait Identifiers {
    /// Random bytes.
    fn random<const LENGTH: usize>(&mut self) -> [u8; LENGTH];

    /// A new branch.
    fn branch(&mut self) -> Token<BRANCH_LENGTH> {
        let mut branch = Token::spell(self.random());
        branch.0[..COOKIE.len()].copy_from_slice(COOKIE);
        branch
    }
}
