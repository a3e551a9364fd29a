//! A message in shared memory: its texts once, and its recipients. What it is made of is written
//! once, before anybody else sees it; only counters, lists and the recipients' states change.
//!
//! Whoever reads a block has its ticket, a pin of it, or the lock: a block is given back with the lock
//! alone, once its ticket is dropped or its last pin is gone, so that its text stays what and where it is.
//! Whoever writes one has its ticket, or takes up a message again: [`Engine::reserve`](super::Engine::reserve)
//! and [`Engine::restore`](super::Engine::restore) publish it afterwards.

use super::identifiers::Beginning;
use super::layout::block::{
    ACCEPTED_AT, BEGINNING, CLOCK_AHEAD, COUNT, EXPIRES_AT, HEADER, KEPT, LEDGER, LENGTHS, NUMBER,
    SEED, WINDOW,
};
use super::recipient;
use super::shared_memory::SharedMemory;
use super::submission::{Own, Submission};
use std::array::from_fn;
use std::ops::Range;

/// Bytes of a word.
const BYTES: usize = 8;
/// The texts that a block has once: originator, group, from, headers, charging, body, request.
const TEXTS: usize = 7;
/// The place in the words of lengths that no text has: whether the originator is anonymous.
const ANONYMOUS: usize = TEXTS;
/// Marks a recipient with header fields of his own: their length, and they, stand before his address.
const HAS_HEADERS: u32 = 1 << 31;
/// Marks a recipient who finds an entry of himself in the body.
const HAS_ENTRY: u32 = 1 << 30;
/// The other bits are his number.
const NUMBER_MASK: u32 = HAS_ENTRY - 1;
/// Where in the body an own entry stands; the bit above says whether the forks need a stream.
const ENTRY_AT_MASK: u32 = u32::MAX >> 1;
/// Bits of the window. It is no larger than `concurrency` may be.
const WINDOW_BITS: u32 = 16;
const WINDOW_MASK: u32 = (1 << WINDOW_BITS) - 1;
/// Says that nothing but `forks_in_flight` bounds the forks in flight with the silent ones.
const NO_BOUND: u32 = WINDOW_MASK;
/// Bytes of the length of a recipient's own header fields.
const LENGTH: usize = 4;

/// How large a block becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) recipients: usize,
    text: usize,
}

impl Size {
    /// The size for a message, or nothing if it cannot be numbered.
    pub(super) fn of<'a, I: Iterator<Item = Own<'a>>>(
        submission: &Submission<'_>,
        recipients: I,
    ) -> Option<Self> {
        let shared: usize = submission.texts().iter().map(|text| text.len()).sum();
        let mut size = Self {
            recipients: 0,
            text: shared,
        };
        recipients.for_each(|own| {
            size.recipients += 1;
            size.text += own.address.len() + more(&own);
        });
        let fits = size.recipients <= NUMBER_MASK as usize && u32::try_from(size.text).is_ok();
        fits.then_some(size)
    }

    /// Words of the block.
    pub(super) fn words(self) -> usize {
        text_start(0, self.recipients) + self.text.div_ceil(BYTES)
    }
}

/// The window, and above it how many forks may be in flight with the silent ones.
fn windows(submission: &Submission<'_>) -> u64 {
    let most = submission
        .most_at_once
        .map_or(NO_BOUND, |most| most.clamp(1, NO_BOUND - 1));
    u64::from(submission.window.min(WINDOW_MASK) | most << WINDOW_BITS)
}

fn more(own: &Own<'_>) -> usize {
    match own.headers.len() {
        0 => 0,
        bytes => LENGTH + bytes,
    }
}

fn text_start(block: usize, recipients: usize) -> usize {
    block + HEADER + recipients * recipient::WORDS + 1
}

/// A block in memory, to be read by whoever has pinned it or not published it yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    pub(super) memory: &'a SharedMemory,
    pub(super) at: usize,
}

impl<'a> Block<'a> {
    /// Writes all that does not change. Nobody else knows of the block yet.
    pub(super) fn write<'s, I: Iterator<Item = Own<'s>>>(
        self,
        size: Size,
        submission: &Submission<'_>,
        recipients: I,
        facts: &Facts,
    ) {
        let Self { memory, at } = self;
        for word in 0..HEADER {
            memory.set(at + word, 0);
        }
        memory.set(
            at + COUNT,
            u64::from(facts.first) << 32 | size.recipients as u64,
        );
        memory.set(at + NUMBER, facts.number);
        memory.set(at + LEDGER, facts.ledger);
        memory.set(at + KEPT, facts.kept);
        let (low, high) = submission.seed.split_at(BYTES);
        for (word, half) in [low, high].into_iter().enumerate() {
            let half = half.try_into().unwrap_or_default();
            memory.set(at + SEED + word, u64::from_le_bytes(half));
        }
        self.set_beginning();
        memory.set(at + CLOCK_AHEAD, facts.clock_ahead);
        memory.set(at + ACCEPTED_AT, submission.accepted_at);
        memory.set(at + EXPIRES_AT, submission.expires_at);
        memory.set(
            at + WINDOW,
            windows(submission)
                | u64::from(submission.entry_at & ENTRY_AT_MASK) << 32
                | u64::from(submission.needs_stream) << 63,
        );
        let texts = submission.texts();
        for word in 0..TEXTS.div_ceil(2) {
            let length = |index: usize| match texts.get(index) {
                Some(text) => text.len() as u64,
                None => u64::from(submission.anonymous),
            };
            let (low, high) = (length(2 * word), length(2 * word + 1));
            memory.set(at + LENGTHS + word, low | high << 32);
        }
        let text = text_start(at, size.recipients) * BYTES;
        let mut end = 0;
        let mut put = |bytes: &[u8]| {
            // SAFETY: the bytes are in a block that `reserve` has taken for this message and not told
            // anybody of; nobody has read any text of it.
            unsafe { memory.write(text + end, bytes) };
            end += bytes.len();
            end
        };
        let mut start = 0;
        for bytes in texts {
            start = put(bytes);
        }
        let mut entry = at + HEADER;
        let numbered = recipients.take(size.recipients).enumerate();
        numbered.for_each(|(number, own)| {
            let has_more = more(&own) > 0;
            let headers = if has_more { HAS_HEADERS } else { 0 };
            let has_entry = if own.has_entry { HAS_ENTRY } else { 0 };
            let number = number as u32 | headers | has_entry;
            memory.set(entry, start as u64 | u64::from(number) << 32);
            memory.set(entry + 1, 0);
            if has_more {
                put(&(own.headers.len() as u32).to_le_bytes());
                put(own.headers);
            }
            start = put(own.address);
            entry += recipient::WORDS;
        });
        memory.set(entry, start as u64);
    }

    #[inline]
    fn pair(self, word: usize) -> (u32, u32) {
        let word = self.memory.get(self.at + word);
        (word as u32, (word >> 32) as u32)
    }

    /// How many recipients there are.
    pub(super) fn count(self) -> usize {
        self.pair(COUNT).0 as usize
    }

    /// The number of the message.
    pub(super) fn number(self) -> u64 {
        self.memory.get(self.at + NUMBER)
    }

    /// The ledger's number of the message; 0 if it is in none.
    pub(super) fn ledger(self) -> u64 {
        self.memory.get(self.at + LEDGER)
    }

    /// Gives it one, before anybody else sees the block.
    pub(super) fn set_ledger(self, ledger: u64) {
        self.memory.set(self.at + LEDGER, ledger);
    }

    /// The ledger's number of the kept copy that the message is made of; 0 if it is made of none.
    pub(super) fn kept(self) -> u64 {
        self.memory.get(self.at + KEPT)
    }

    /// What was submitted.
    pub(super) fn submission(self) -> Submission<'a> {
        let [originator, group, from, headers, charging, body, request] = self.texts();
        Submission {
            originator,
            group,
            from,
            headers,
            charging,
            body,
            entry_at: self.entry_at() as u32,
            needs_stream: self.needs_stream(),
            window: self.window(),
            most_at_once: match self.pair(WINDOW).0 >> WINDOW_BITS {
                NO_BOUND => None,
                most => Some(most),
            },
            accepted_at: self.accepted_at(),
            expires_at: self.memory.get(self.at + EXPIRES_AT),
            seed: self.seed(),
            anonymous: self.pair(LENGTHS + ANONYMOUS / 2).1 != 0,
            request,
        }
    }

    /// What its recipients have of their own, in their order.
    pub(super) fn recipients(self) -> impl Iterator<Item = Own<'a>> {
        (0..self.count()).map(move |number| self.own(self.entry(number)))
    }

    /// The number of a recipient, by which its identifiers are made: that among the recipients of the message as it
    /// was accepted.
    #[inline]
    pub(super) fn recipient(self, entry: usize) -> u32 {
        self.pair(COUNT).1 + number_of(self.memory, entry) as u32
    }

    /// When it was accepted, in milliseconds of Unix time.
    pub(super) fn accepted_at(self) -> u64 {
        self.memory.get(self.at + ACCEPTED_AT)
    }

    /// The random bytes of the message.
    pub(super) fn seed(self) -> [u8; 16] {
        let mut seed = [0; 16];
        for (word, half) in seed.chunks_mut(BYTES).enumerate() {
            half.copy_from_slice(&self.memory.get(self.at + SEED + word).to_le_bytes());
        }
        seed
    }

    /// How the Call-IDs of the forks begin.
    pub(super) fn beginning(self) -> Beginning {
        Beginning::from_words(from_fn(|word| self.memory.get(self.at + BEGINNING + word)))
    }

    fn set_beginning(self) {
        let words = Beginning::of(self.seed()).to_words();
        for (index, word) in words.into_iter().enumerate() {
            self.memory.set(self.at + BEGINNING + index, word);
        }
    }

    /// The most forks that may be in flight besides the silent ones.
    #[inline]
    pub(super) fn window(self) -> u32 {
        self.pair(WINDOW).0 & WINDOW_MASK
    }

    /// The most forks that may be in flight with the silent ones.
    pub(super) fn most_at_once(self) -> u32 {
        match self.pair(WINDOW).0 >> WINDOW_BITS {
            NO_BOUND => u32::MAX,
            most => most,
        }
    }

    /// Where in the body the own entry of a recipient stands.
    pub(super) fn entry_at(self) -> usize {
        (self.pair(WINDOW).1 & ENTRY_AT_MASK) as usize
    }

    /// Whether the forks have to go by a transport that avoids congestion.
    pub(super) fn needs_stream(self) -> bool {
        self.pair(WINDOW).1 & !ENTRY_AT_MASK != 0
    }

    /// The recipient with this number.
    pub(super) fn entry(self, number: usize) -> usize {
        self.at + HEADER + number * recipient::WORDS
    }

    fn text(self, range: Range<usize>) -> &'a [u8] {
        let start = text_start(self.at, self.count()) * BYTES;
        let length = range.end.saturating_sub(range.start);
        // SAFETY: text is written before its block is published and never again, and words that change
        // lie before it. Who reads it keeps the block where it is, as the head of this file says.
        unsafe { self.memory.bytes(start + range.start, length) }
    }

    /// The texts: originator, group, from, headers, charging, body, request.
    pub(super) fn texts(self) -> [&'a [u8]; TEXTS] {
        let lengths: [usize; TEXTS] = from_fn(|index| {
            let (low, high) = self.pair(LENGTHS + index / 2);
            (if index % 2 == 0 { low } else { high }) as usize
        });
        let mut rest = self.text(0..lengths.iter().sum());
        lengths.map(|length| {
            let (text, after) = rest.split_at(length);
            rest = after;
            text
        })
    }

    /// How many bytes of text all copies have, but for what is each recipient's own.
    pub(super) fn length_of_copies(self) -> u64 {
        let (from, headers) = self.pair(LENGTHS + 1);
        let (charging, body) = self.pair(LENGTHS + 2);
        [from, headers, charging, body]
            .into_iter()
            .map(u64::from)
            .sum()
    }

    /// What a recipient has of its own.
    pub(super) fn own(self, entry: usize) -> Own<'a> {
        let start = self.memory.get(entry) as u32 as usize;
        let end = self.memory.get(entry + recipient::WORDS) as u32 as usize;
        let text = self.text(start..end);
        let number = (self.memory.get(entry) >> 32) as u32;
        let has_entry = number & HAS_ENTRY != 0;
        let (headers, address) = match number & HAS_HEADERS {
            0 => (&text[..0], text),
            _ => split_headers(text).unwrap_or((&text[..0], text)),
        };
        Own {
            address,
            headers,
            has_entry,
        }
    }
}

/// The header fields of a recipient's own, and his address.
fn split_headers(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = text.split_at_checked(LENGTH)?;
    rest.split_at_checked(u32::from_le_bytes(length.try_into().ok()?) as usize)
}

/// The number of a recipient among those of its message.
#[inline]
pub(super) fn number_of(memory: &SharedMemory, entry: usize) -> usize {
    ((memory.get(entry) >> 32) as u32 & NUMBER_MASK) as usize
}

/// The block of a recipient.
#[inline]
pub(super) fn block_of(memory: &SharedMemory, entry: usize) -> usize {
    entry - number_of(memory, entry) * recipient::WORDS - HEADER
}

/// What a block says besides what was submitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) number: u64,
    pub(super) ledger: u64,
    pub(super) kept: u64,
    pub(super) first: u32,
    pub(super) clock_ahead: u64,
}
