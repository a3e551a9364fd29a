//! Sets of bytes that a grammar allows: one table lookup for each byte of a text.

/// A set of bytes.
pub struct ByteSet([bool; 256]);

impl ByteSet {
    /// No byte.
    pub const NONE: Self = Self([false; 256]);

    /// The letters and digits of ASCII.
    pub const ALPHANUMERIC: Self = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            table[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        Self(table)
    };

    /// The union of the set and `others`.
    pub const fn and(mut self, others: &[u8]) -> Self {
        let mut index = 0;
        while index < others.len() {
            self.0[others[index] as usize] = true;
            index += 1;
        }
        self
    }

    /// Whether `byte` is in the set.
    pub const fn has(&self, byte: u8) -> bool {
        self.0[byte as usize]
    }

    /// Whether every byte of `text` is in the set.
    pub fn has_all(&self, text: &[u8]) -> bool {
        text.iter().all(|&byte| self.has(byte))
    }

    /// The offset in `text` of the first byte that is not in the set.
    pub fn end(&self, text: &[u8]) -> Option<usize> {
        text.iter().position(|&byte| !self.has(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::ByteSet;

    #[test]
    fn a_set_has_what_it_was_given_and_nothing_else() {
        const SET: ByteSet = ByteSet::ALPHANUMERIC.and(b"-\xff");
        for byte in 0..=u8::MAX {
            let wanted = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | 0xff);
            assert_eq!(SET.has(byte), wanted, "{byte}");
        }
        assert_eq!(SET.end(b"a-Z9 b"), Some(4));
        assert!(SET.has_all(b"a-Z9") && SET.has_all(b""));
        assert_eq!(ByteSet::NONE.end(b"a"), Some(0));
    }
}
