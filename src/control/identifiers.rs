//! Identifiers that no other process makes: Call-IDs, tags and branches (U-4, RFC 3261 §8.1.1, §19.3).

/// A random token as text, kept in place.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token<const LENGTH: usize>([u8; LENGTH]);

impl<const LENGTH: usize> Token<LENGTH> {
    /// Spells random bytes as text, five bits to a character.
    pub fn spell(random: [u8; LENGTH]) -> Self {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        Self(random.map(|byte| ALPHABET[usize::from(byte & 31)]))
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Characters of a Call-ID: 130 random bits.
pub const CALL_ID_LENGTH: usize = 26;
/// Characters of a tag: 65 random bits, where RFC 3261 §19.3 wants 32.
pub const TAG_LENGTH: usize = 13;

/// Makes identifiers that are unique among all processes and cannot be guessed.
pub trait Identifiers {
    /// Random bytes.
    fn random<const LENGTH: usize>(&mut self) -> [u8; LENGTH];

    /// A new Call-ID, with nothing in it of client, server or time.
    fn call_id(&mut self) -> Token<CALL_ID_LENGTH> {
        Token::spell(self.random())
    }

    /// A new tag.
    fn tag(&mut self) -> Token<TAG_LENGTH> {
        Token::spell(self.random())
    }

    /// What follows `z9hG4bK` in a new branch.
    fn branch(&mut self) -> Token<CALL_ID_LENGTH> {
        Token::spell(self.random())
    }
}
