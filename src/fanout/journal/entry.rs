//! What the records of a journal say. All numbers are little endian; each entry starts with its version.

use crate::control::recent::RequestKey;

/// The version of every entry that is written.
const VERSION: u8 = 1;

/// A message has been accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted<'a> {
    /// The message, unique over all runs of the proxy.
    pub id: u64,
    /// When it arrived, in milliseconds of Unix time.
    pub time: u64,
    /// When it expires (M-4), in milliseconds of Unix time; 0 is never.
    pub expiry: u64,
    /// The transaction that it came in.
    pub key: RequestKey<'a>,
    /// The fan-out's own bytes: headers, body, recipients.
    pub block: &'a [u8],
}

/// How it ended with one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which recipient, counted as in the block.
    pub recipient: u32,
    /// The fan-out's own byte.
    pub outcome: u8,
    /// The SIP status code, 0 if there is none.
    pub code: u16,
}

/// The bytes of one [`Outcome`].
const OUTCOME: usize = 4 + 1 + 2;

/// What one record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A message has been accepted.
    Accepted(Accepted<'a>),
    /// Some recipients of a message have an outcome.
    Outcomes {
        /// The message.
        id: u64,
        /// The outcomes.
        outcomes: Vec<Outcome>,
    },
    /// Nothing is left to do for a message.
    Finished {
        /// The message.
        id: u64,
    },
    /// A message was written, but not answered 202 after all: nothing is left to do for it, and its
    /// retransmissions are new.
    Withdrawn {
        /// The message.
        id: u64,
    },
    /// The transaction of a message that is finished: its retransmissions are still to be known.
    Recent {
        /// When the message arrived, in milliseconds of Unix time.
        time: u64,
        /// The transaction.
        key: RequestKey<'a>,
    },
}

impl Entry<'_> {
    /// The kind of its record.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Accepted(_) => 1,
            Self::Outcomes { .. } => 2,
            Self::Finished { .. } => 3,
            Self::Recent { .. } => 4,
            Self::Withdrawn { .. } => 5,
        }
    }

    /// The bytes of its record but for the block of a message, which stands behind them.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        match self {
            Self::Accepted(accepted) => {
                put(&mut out, &accepted.id.to_le_bytes());
                put(&mut out, &accepted.time.to_le_bytes());
                put(&mut out, &accepted.expiry.to_le_bytes());
                put_key(&mut out, &accepted.key);
            }
            Self::Outcomes { id, outcomes } => {
                put(&mut out, &id.to_le_bytes());
                out.reserve(outcomes.len() * OUTCOME);
                for outcome in outcomes {
                    put(&mut out, &outcome.recipient.to_le_bytes());
                    put(&mut out, &[outcome.outcome]);
                    put(&mut out, &outcome.code.to_le_bytes());
                }
            }
            Self::Finished { id } | Self::Withdrawn { id } => put(&mut out, &id.to_le_bytes()),
            Self::Recent { time, key } => {
                put(&mut out, &time.to_le_bytes());
                put_key(&mut out, key);
            }
        }
        out
    }
}

impl<'a> Entry<'a> {
    /// The block of a message; empty for all else.
    pub fn block(&self) -> &'a [u8] {
        match self {
            Self::Accepted(accepted) => accepted.block,
            Self::Outcomes { .. }
            | Self::Finished { .. }
            | Self::Withdrawn { .. }
            | Self::Recent { .. } => &[],
        }
    }

    /// Reads the bytes of a record; none if they are not of this version or not well formed.
    pub fn decode(kind: u8, bytes: &'a [u8]) -> Option<Self> {
        let mut rest = Rest(bytes);
        if rest.take::<1>()? != [VERSION] {
            return None;
        }
        let entry = match kind {
            1 => Self::Accepted(Accepted {
                id: rest.u64()?,
                time: rest.u64()?,
                expiry: rest.u64()?,
                key: rest.key()?,
                block: std::mem::take(&mut rest.0),
            }),
            2 => Self::Outcomes {
                id: rest.u64()?,
                outcomes: rest.outcomes()?,
            },
            3 => Self::Finished { id: rest.u64()? },
            5 => Self::Withdrawn { id: rest.u64()? },
            4 => Self::Recent {
                time: rest.u64()?,
                key: rest.key()?,
            },
            _ => return None,
        };
        rest.0.is_empty().then_some(entry)
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

fn put_key(out: &mut Vec<u8>, key: &RequestKey<'_>) {
    put(out, &key.cseq.to_le_bytes());
    for text in [key.from_tag, key.call_id, key.via] {
        // A header field of 4 GiB does not fit any message; the record would be too large anyway.
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        put(out, &length.to_le_bytes());
        put(out, text);
    }
}

/// Bytes not yet read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }

    fn key(&mut self) -> Option<RequestKey<'a>> {
        let cseq = self.u32()?;
        let from_tag = self.text()?;
        let call_id = self.text()?;
        let via = self.text()?;
        Some(RequestKey {
            from_tag,
            call_id,
            cseq,
            via,
        })
    }

    fn outcomes(&mut self) -> Option<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(self.0.len() / OUTCOME);
        while !self.0.is_empty() {
            outcomes.push(Outcome {
                recipient: self.u32()?,
                outcome: u8::from_le_bytes(self.take()?),
                code: u16::from_le_bytes(self.take()?),
            });
        }
        Some(outcomes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn whole(entry: &Entry<'_>) -> Vec<u8> {
        [&entry.encode(), entry.block()].concat()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            numbers in any::<(u64, u64, u64, u32)>(),
            texts in any::<(Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>)>(),
            outcomes in vec(any::<(u32, u8, u16)>(), 0..20),
        ) {
            let (id, time, expiry, cseq) = numbers;
            let key = RequestKey { from_tag: &texts.0, call_id: &texts.1, cseq, via: &texts.2 };
            let outcomes = outcomes.into_iter().map(|(recipient, outcome, code)| Outcome { recipient, outcome, code });
            let entries = [
                Entry::Accepted(Accepted { id, time, expiry, key, block: &texts.3 }),
                Entry::Outcomes { id, outcomes: outcomes.collect() },
                Entry::Finished { id },
                Entry::Withdrawn { id },
                Entry::Recent { time, key },
            ];
            for entry in entries {
                let bytes = whole(&entry);
                prop_assert_eq!(Entry::decode(entry.kind(), &bytes), Some(entry.clone()));
                // Cut short, it is refused or, where only a block or outcomes are missing, another.
                for end in 0..bytes.len() {
                    prop_assert_ne!(Entry::decode(entry.kind(), &bytes[..end]), Some(entry.clone()));
                }
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(kind in 0_u8..6, mut bytes in vec(any::<u8>(), 1..120)) {
            bytes[0] = VERSION;
            if let Some(entry) = Entry::decode(kind, &bytes) {
                prop_assert_eq!(whole(&entry), bytes);
            }
        }
    }

    #[test]
    fn an_entry_of_another_version_or_kind_is_refused() {
        let mut bytes = Entry::Finished { id: 3 }.encode();
        assert!(Entry::decode(3, &bytes).is_some());
        assert!(Entry::decode(9, &bytes).is_none());
        bytes[0] = VERSION + 1;
        assert!(Entry::decode(3, &bytes).is_none());
    }
}
