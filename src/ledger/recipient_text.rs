//! The recipients of a message as readable text: one address per line. Individual content follows after
//! tabs: the word `entry` if the recipient's own entry is inserted in the body, and the recipient's
//! header fields.

use crate::control::Own;
use memchr::{memchr, memchr_iter};

/// The recipients of a message, in the order of their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients {
    /// Addresses and header fields, concatenated.
    bytes: Vec<u8>,
    each: Vec<Ends>,
}

/// Where the parts of one recipient end in `bytes`; they start at the end of the previous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    address: usize,
    headers: usize,
    has_entry: bool,
}

impl Recipients {
    /// The number of recipients.
    pub fn len(&self) -> usize {
        self.each.len()
    }

    /// Whether there are no recipients.
    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// The recipient with this number.
    pub fn get(&self, number: usize) -> Option<Own<'_>> {
        let ends = self.each.get(number)?;
        let before = number
            .checked_sub(1)
            .and_then(|before| self.each.get(before));
        let start = before.map_or(0, |before| before.headers);
        Some(Own {
            address: self.bytes.get(start..ends.address)?,
            headers: self.bytes.get(ends.address..ends.headers)?,
            has_entry: ends.has_entry,
        })
    }

    /// All recipients.
    pub fn iter(&self) -> impl Iterator<Item = Own<'_>> {
        (0..self.len()).filter_map(|number| self.get(number))
    }

    /// Parses the output of [`write`]; `None` if it was altered.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut recipients = Self::default();
        recipients.bytes.reserve(text.len());
        let mut start = 0;
        for end in memchr_iter(b'\n', text) {
            recipients.push(text.get(start..end)?)?;
            start = end + 1;
        }
        (start == text.len()).then_some(recipients)
    }

    /// Parses only the recipient with this number.
    pub(super) fn parse_one(text: &[u8], number: u32) -> Option<Self> {
        let mut ends = memchr_iter(b'\n', text);
        let start = match number.checked_sub(1) {
            Some(before) => ends.nth(before as usize)? + 1,
            None => 0,
        };
        let mut recipients = Self::default();
        recipients.push(text.get(start..ends.next()?)?)?;
        Some(recipients)
    }

    fn push(&mut self, line: &[u8]) -> Option<()> {
        let mut fields = line.splitn(3, |&byte| byte == b'\t');
        unescape(fields.next()?, &mut self.bytes)?;
        let address = self.bytes.len();
        let has_entry = match fields.next() {
            None | Some(b"") => false,
            Some(b"entry") => true,
            Some(_) => return None,
        };
        unescape(fields.next().unwrap_or_default(), &mut self.bytes)?;
        self.each.push(Ends {
            address,
            headers: self.bytes.len(),
            has_entry,
        });
        Some(())
    }
}

/// Appends the lines of `recipients`.
pub(super) fn write(recipients: &[Own<'_>], out: &mut Vec<u8>) {
    for own in recipients {
        escape(own.address, out);
        if own.has_entry || !own.headers.is_empty() {
            out.push(b'\t');
            out.extend_from_slice(if own.has_entry { b"entry" } else { b"" });
        }
        if !own.headers.is_empty() {
            out.push(b'\t');
            escape(own.headers, out);
        }
        out.push(b'\n');
    }
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        let letter = match byte {
            b'\\' => b'\\',
            b'\t' => b't',
            b'\r' => b'r',
            b'\n' => b'n',
            _ => {
                out.push(byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', letter]);
    }
}

fn unescape(mut text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    while let Some(at) = memchr(b'\\', text) {
        let (plain, rest) = text.split_at(at);
        out.extend_from_slice(plain);
        out.push(match rest.get(1)? {
            b'\\' => b'\\',
            b't' => b'\t',
            b'r' => b'\r',
            b'n' => b'\n',
            _ => return None,
        });
        text = rest.get(2..)?;
    }
    out.extend_from_slice(text);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn own<'a>(address: &'a [u8], headers: &'a [u8], has_entry: bool) -> Own<'a> {
        Own {
            address,
            headers,
            has_entry,
        }
    }

    #[test]
    fn recipients_are_one_per_line_in_readable_text() {
        let mut text = Vec::new();
        let recipients = [
            own(b"sip:ann@home1.net", b"", false),
            own(b"tel:+15551230003", b"", true),
            own(b"sip:bob@home1.net", b"P-A: \\x\r\n\tfolded\r\n", false),
        ];
        write(&recipients, &mut text);
        let expected = "sip:ann@home1.net\ntel:+15551230003\tentry\n\
             sip:bob@home1.net\t\tP-A: \\\\x\\r\\n\\tfolded\\r\\n\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn altered_text_is_rejected() {
        for text in ["no end", "a\\x\n", "a\\\n", "a\tEntry\n", "a\t\t\\\n"] {
            assert_eq!(Recipients::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Recipients::parse_one(b"a\n", 1), None);
        assert_eq!(Recipients::parse(b""), Some(Recipients::default()));
    }

    proptest! {
        #[test]
        fn written_recipients_are_read_back(
            each in proptest::collection::vec(any::<(Vec<u8>, Vec<u8>, bool)>(), 0..20),
        ) {
            let expected: Vec<Own<'_>> = each.iter().map(|(address, headers, entry)| own(address, headers, *entry)).collect();
            let mut text = Vec::new();
            write(&expected, &mut text);
            let read = Recipients::parse(&text).unwrap();
            prop_assert_eq!(read.iter().collect::<Vec<_>>(), expected.clone());
            for (number, expected) in expected.into_iter().enumerate() {
                let one = Recipients::parse_one(&text, number as u32).unwrap();
                prop_assert_eq!(one.iter().collect::<Vec<_>>(), [expected]);
            }
        }
    }
}
