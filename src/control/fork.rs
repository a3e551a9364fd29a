//! A fork: one new MESSAGE to one recipient, and what it shares with the others (A-12, U-4). [`Copies`] makes every one of
//! them, whether the module sends it, a C program reads it or `cimfctl explain` prints it.

use super::charging::FORK_START;
use super::copy_identifiers::CopyIdentifiers;
use super::from_header::FromHeader;
use super::identifiers::{CALL_ID_LENGTH, TAG_LENGTH, Token};
use crate::sip::history_list::write_own_entry;
use crate::sip::number::write_decimal;
use std::borrow::Cow;

/// What the forks of a message share.
#[derive(Clone, Copy)]
pub struct Shared<'a> {
    /// From without its tag.
    pub from: FromHeader<'a>,
    /// Header fields, each with its CRLF.
    pub headers: &'a [u8],
    /// What follows the charging identifier of each fork, with its CRLF; empty if there is none.
    pub charging: &'a [u8],
    /// The body.
    pub body: &'a [u8],
    /// Where in the body the own entry of a recipient stands.
    pub entry_at: usize,
    /// Whether the forks have to go by a transport that avoids congestion (M-2).
    pub needs_stream: bool,
}

/// What one recipient has of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own<'a> {
    /// The address: Request-URI and To (A-12, U-4).
    pub address: &'a [u8],
    /// Header fields that only this copy has, or that others have with other values (U-9), each with its CRLF; mostly
    /// none.
    pub headers: &'a [u8],
    /// Whether the recipient finds an entry of their own in the body (K-5).
    pub has_entry: bool,
}

impl<'a> Own<'a> {
    /// A recipient with nothing but an address.
    pub fn plain(address: &'a [u8]) -> Self {
        Self {
            address,
            headers: b"",
            has_entry: false,
        }
    }
}

/// What the copies of one message are made from.
#[derive(Clone, Copy)]
pub struct Copies<'a> {
    /// What they share.
    pub shared: Shared<'a>,
    /// Their Call-IDs and tags.
    pub identifiers: CopyIdentifiers,
}

impl<'a> Copies<'a> {
    /// The copy to the recipient with this number, counted from 0 among those of the message.
    #[inline]
    pub fn copy(&self, number: u32, own: Own<'a>) -> Fork<'a> {
        let (call_id, from_tag) = self.identifiers.of_copy(number);
        Fork {
            recipient: own.address,
            call_id,
            from_tag,
            shared: self.shared,
            own_headers: own.headers,
            has_entry: own.has_entry,
        }
    }
}

/// One new MESSAGE to one recipient.
#[derive(Clone, Copy)]
pub struct Fork<'a> {
    /// The member's address: Request-URI and To (A-12, U-4).
    pub recipient: &'a [u8],
    /// A Call-ID of its own.
    pub call_id: Token<CALL_ID_LENGTH>,
    /// The tag of From.
    pub from_tag: Token<TAG_LENGTH>,
    /// What it shares with the others.
    pub shared: Shared<'a>,
    /// Header fields that only this fork has, or that others have with other values (U-9).
    pub own_headers: &'a [u8],
    /// Whether the recipient finds an entry of their own in the body (K-5).
    pub has_entry: bool,
}

impl<'a> Fork<'a> {
    /// From without its tag.
    pub fn from(&self) -> FromHeader<'a> {
        self.shared.from
    }

    /// The header fields beside From, To, Call-ID, CSeq and Content-Length, each with its CRLF.
    pub fn headers(&self) -> Cow<'a, [u8]> {
        let Shared {
            headers, charging, ..
        } = self.shared;
        if charging.is_empty() && self.own_headers.is_empty() {
            return Cow::Borrowed(headers);
        }
        let length = headers.len() + self.own_headers.len() + charging.len() + 64;
        let mut all = Vec::with_capacity(length);
        all.extend_from_slice(headers);
        all.extend_from_slice(self.own_headers);
        for piece in self.charging() {
            all.extend_from_slice(piece);
        }
        Cow::Owned(all)
    }

    /// The charging vector in pieces; its identifier is the Call-ID: as unique, and a charging record
    /// leads to its fork.
    fn charging(&self) -> [&[u8]; 3] {
        match self.shared.charging {
            [] => [b"", b"", b""],
            end => [FORK_START, self.call_id.as_bytes(), end],
        }
    }

    /// The body: the shared one, but for a recipient who finds an entry of their own in it (K-5).
    pub fn body(&self) -> Cow<'a, [u8]> {
        let Shared { body, entry_at, .. } = self.shared;
        let split = body.split_at_checked(entry_at);
        let Some((before, after)) = split.filter(|_| self.has_entry) else {
            return Cow::Borrowed(body);
        };
        let mut own = Vec::with_capacity(body.len() + self.recipient.len() + 64);
        own.extend_from_slice(before);
        write_own_entry(self.recipient, &mut own);
        own.extend_from_slice(after);
        Cow::Owned(own)
    }

    /// How long the header fields are that not all forks have.
    pub(super) fn own_length(&self) -> usize {
        self.own_headers.len()
    }

    /// Whether the fork has to go by a transport that avoids congestion (M-2).
    pub fn needs_stream(&self) -> bool {
        self.shared.needs_stream
    }

    /// What [`Fork::write_headers`] writes before Content-Length.
    fn pieces(&self) -> [&[u8]; 14] {
        let Shared { from, headers, .. } = self.shared;
        let [start, identifier, end] = self.charging();
        [
            b"From: ",
            from.text(),
            b";tag=",
            self.from_tag.as_bytes(),
            b"\r\nTo: <",
            self.recipient,
            b">\r\nCall-ID: ",
            self.call_id.as_bytes(),
            b"\r\nCSeq: 1 MESSAGE\r\n",
            headers,
            self.own_headers,
            start,
            identifier,
            end,
        ]
    }

    /// How many bytes [`Fork::write_headers`] appends for a body of `body` bytes.
    pub(super) fn headers_length(&self, body: usize) -> usize {
        let digits = body.checked_ilog10().unwrap_or(0) as usize + 1;
        let pieces: usize = self.pieces().iter().map(|piece| piece.len()).sum();
        pieces + b"Content-Length: \r\n".len() + digits
    }

    /// Appends all header fields but Via, each with its CRLF.
    pub fn write_headers(&self, out: &mut Vec<u8>) {
        let length = self.body().len();
        out.reserve(self.headers_length(length));
        for piece in self.pieces() {
            out.extend_from_slice(piece);
        }
        out.extend_from_slice(b"Content-Length: ");
        write_decimal(length, out);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_as_long_as_it_says() {
        // M-2.
        let body = [b'x'; 1000];
        for (charging, length) in [
            (&b""[..], 0),
            (b"\";orig-ioi=h\r\n", 9),
            (b"", 10),
            (b"", 1000),
        ] {
            let fork = Fork {
                recipient: b"sip:bob@home1.net",
                call_id: Token::spell([7; CALL_ID_LENGTH]),
                from_tag: Token::spell([9; TAG_LENGTH]),
                shared: Shared {
                    from: FromHeader::of(b"<sip:ann@home1.net>"),
                    headers: b"Max-Forwards: 69\r\n",
                    charging,
                    body: &body[..length],
                    entry_at: 0,
                    needs_stream: false,
                },
                own_headers: b"Subject: x\r\n",
                has_entry: false,
            };
            let mut written = Vec::new();
            fork.write_headers(&mut written);
            assert_eq!(written.len(), fork.headers_length(length));
            let ours = fork.headers();
            assert!(written.windows(ours.len()).any(|part| part == &*ours));
        }
    }
}
