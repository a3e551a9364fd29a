//! A message in shared memory: its texts once, and its recipients. What it is made of is written
//! once, before anybody else sees it; only counters, lists and the recipients' states change.
//!
//! ```text
//! room ──► Unpublished: one has it, who may write ──► published: nobody writes what is Written ──► given back
//!                           │                                  with the lock, once nobody has pinned it
//!                           └──► given back with the lock
//! ```
//!
//! Whoever reads a block has its ticket, a pin of it, or the lock. To give one back needs the lock by `&mut`: so nothing
//! that was read of any by the lock is in use then.

use super::layout::{MESSAGE, Message, RECIPIENT};
use super::lock::Held;
use super::pin::Pin;
use super::recipient::{Recipient, Start};
use super::shared_memory::{At, IsUnpublished, SharedMemory};
use super::submission::Submission;
use crate::control::{Copies, CopyIdentifiers, FromHeader, Own, Shared, UriPlace};
use std::array::from_fn;
use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Relaxed, Release};

/// Bytes of a word.
const BYTES: usize = 8;
/// The texts that a block has once: originator, group, from, headers, charging, body, request.
const TEXTS: usize = 7;
/// Marks a recipient with header fields of its own: their length, and they, stand before its address.
const HAS_HEADERS: u32 = 1 << 31;
/// Marks a recipient with an entry of its own in the body.
const HAS_ENTRY: u32 = 1 << 30;
/// The other bits are its number.
const NUMBER_MASK: u32 = HAS_ENTRY - 1;
/// Where in the body an own entry stands; the bits above say whether the copies need a stream and whether the originator
/// stays anonymous.
const ENTRY_AT_MASK: u32 = u32::MAX >> 2;
const NEEDS_STREAM: u32 = 1 << 31;
const IS_ANONYMOUS: u32 = 1 << 30;
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
        let fits = size.recipients <= NUMBER_MASK as usize
            && size.text <= ENTRY_AT_MASK as usize
            && submission.from.text().len() <= FromHeader::MAX_BYTES;
        fits.then_some(size)
    }

    /// Words of the block.
    pub(super) fn words(self) -> usize {
        text_start(0, self.recipients) + self.text.div_ceil(BYTES)
    }
}

/// The window, and above it how many forks may be in flight with the silent ones.
fn windows(submission: &Submission<'_>) -> u32 {
    let most = submission
        .most_at_once
        .map_or(NO_BOUND, |most| most.clamp(1, NO_BOUND - 1));
    submission.window.min(WINDOW_MASK) | most << WINDOW_BITS
}

fn more(own: &Own<'_>) -> usize {
    match own.headers.len() {
        0 => 0,
        bytes => LENGTH + bytes,
    }
}

fn text_start(block: usize, recipients: usize) -> usize {
    block + MESSAGE + recipients * RECIPIENT + 1
}

/// Room for a message that nobody else knows of yet: who has this may write it.
#[derive(Debug)]
pub(super) struct Unpublished {
    at: At<Message>,
}

impl IsUnpublished for Unpublished {}

impl Unpublished {
    /// That of a piece of the arena that was just taken, for the arena alone.
    pub(super) fn of_piece(word: usize) -> Self {
        Self { at: At::word(word) }
    }

    /// That of a message which was handed over from one process to another, and is taken by one of them.
    pub(super) fn handed_over(word: &AtomicU64) -> Option<Self> {
        let at = word.swap(0, AcqRel) as usize;
        // `hand_over` has put it there, so that nobody else has it, and only one takes it out.
        (at != 0).then(|| Self::of_piece(at))
    }

    /// Hands it over by this word, which is used for nothing else.
    pub(super) fn hand_over(self, word: &AtomicU64) {
        word.store(self.at.to_word() as u64, Release);
    }

    /// It is to be read by others, too.
    pub(super) fn publish(self) -> At<Message> {
        self.at
    }

    /// What was written.
    pub(super) fn block<'a>(&'a self, memory: &'a SharedMemory) -> Block<'a> {
        Block {
            memory,
            at: self.at,
        }
    }

    /// Writes all that does not change.
    pub(super) fn write<'s, I: Iterator<Item = Own<'s>>>(
        &mut self,
        memory: &SharedMemory,
        size: Size,
        submission: &Submission<'_>,
        recipients: I,
        facts: &Facts,
    ) {
        let message = &memory[self.at];
        message.clear(self);
        message.count.write(self, size.recipients as u32);
        message.first.write(self, facts.first);
        message.number.write(self, facts.number);
        message.ledger.store(facts.ledger, Release);
        message.kept.write(self, facts.kept);
        let (low, high) = submission.seed.split_at(BYTES);
        for (word, half) in message.seed.iter().zip([low, high]) {
            let half = half.try_into().unwrap_or_default();
            word.write(self, u64::from_le_bytes(half));
        }
        let identifiers = CopyIdentifiers::of(submission.seed).to_words();
        for (word, made) in message.identifiers.iter().zip(identifiers) {
            word.write(self, made);
        }
        let UriPlace { start, end } = submission.from.uri_place();
        message
            .from_uri
            .write(self, u32::from(start) | u32::from(end) << u16::BITS);
        message.clock_ahead.write(self, facts.clock_ahead);
        message.accepted_at.write(self, submission.accepted_at);
        message.expires_at.write(self, submission.expires_at);
        message.windows.write(self, windows(submission));
        let bit = |is_set, bit| if is_set { bit } else { 0 };
        let bits =
            bit(submission.needs_stream, NEEDS_STREAM) | bit(submission.anonymous, IS_ANONYMOUS);
        let entry_at = submission.entry_at & ENTRY_AT_MASK;
        message.entry_at.write(self, entry_at | bits);
        let texts = submission.texts();
        for (length, text) in message.lengths.iter().zip(texts) {
            length.write(self, text.len() as u32);
        }
        let text = text_start(self.at.to_word(), size.recipients) * BYTES;
        let mut end = 0;
        let mut put = |bytes: &[u8]| {
            // SAFETY: the bytes are in room that nobody else knows of, and whoever had read any text of it by this has
            // given that back, as it is borrowed mutably.
            unsafe { memory.write(text + end, bytes) };
            end += bytes.len();
            end as u32
        };
        let mut start = 0;
        for bytes in texts {
            start = put(bytes);
        }
        let numbered = recipients.take(size.recipients).enumerate();
        numbered.for_each(|(number, own)| {
            let entry = &memory[entry(self.at, number)];
            let has_more = more(&own) > 0;
            let headers = if has_more { HAS_HEADERS } else { 0 };
            let has_entry = if own.has_entry { HAS_ENTRY } else { 0 };
            entry.start.text.write(self, start);
            entry
                .start
                .number
                .write(self, number as u32 | headers | has_entry);
            entry.prepare(self);
            if has_more {
                put(&(own.headers.len() as u32).to_le_bytes());
                put(own.headers);
            }
            start = put(own.address);
        });
        let end: At<Start> = At::word(text / BYTES - 1);
        memory[end].text.write(self, start);
    }
}

/// The recipient of a message with this number.
#[inline]
fn entry(message: At<Message>, number: usize) -> At<Recipient> {
    At::word(message.to_word() + MESSAGE + number * RECIPIENT)
}

/// Where it stands where the text of a recipient ends: where that of the next one starts.
#[inline]
fn end_of(entry: At<Recipient>) -> At<Start> {
    At::word(entry.to_word() + RECIPIENT)
}

/// A message whose text stays what and where it is, for who has pinned it or not published it yet, or has the lock:
/// then it is not given back as long as this is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    memory: &'a SharedMemory,
    at: At<Message>,
}

impl<'a> Block<'a> {
    /// That of a message that is not given back for as long as this lives.
    ///
    /// # Safety
    /// It was written, and nobody gives it back for as long as `'a` lasts.
    pub(super) unsafe fn new(memory: &'a SharedMemory, at: At<Message>) -> Self {
        Self { memory, at }
    }

    /// Where it is.
    #[inline]
    pub(super) fn at(self) -> At<Message> {
        self.at
    }

    #[inline]
    fn message(self) -> &'a Message {
        &self.memory[self.at]
    }

    /// How many recipients there are.
    pub(super) fn count(self) -> usize {
        self.message().count.get() as usize
    }

    /// The number of the message.
    pub(super) fn number(self) -> u64 {
        self.message().number.get()
    }

    /// The ledger's number of the message; 0 if it is in none.
    pub(super) fn ledger(self) -> u64 {
        self.message().ledger.load(Relaxed)
    }

    /// Gives it one.
    pub(super) fn set_ledger(self, ledger: u64) {
        self.message().ledger.store(ledger, Release);
    }

    /// The ledger's number of the kept copy that the message is made of; 0 if it is made of none.
    pub(super) fn kept(self) -> u64 {
        self.message().kept.get()
    }

    /// What was submitted.
    pub(super) fn submission(self) -> Submission<'a> {
        let [originator, group, from, headers, charging, body, request] = self.texts();
        Submission {
            originator,
            group,
            from: self.from(from),
            headers,
            charging,
            body,
            entry_at: self.entry_at() as u32,
            needs_stream: self.needs_stream(),
            window: self.window(),
            most_at_once: match self.message().windows.get() >> WINDOW_BITS {
                NO_BOUND => None,
                most => Some(most),
            },
            accepted_at: self.accepted_at(),
            expires_at: self.message().expires_at.get(),
            seed: self.seed(),
            anonymous: self.message().entry_at.get() & IS_ANONYMOUS != 0,
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
    pub(super) fn recipient(self, entry: At<Recipient>) -> u32 {
        self.message().first.get() + number_of(self.memory, entry) as u32
    }

    /// What the recipient with this number, as [`Block::recipient`] gives it, has of its own.
    pub(super) fn own_of(self, recipient: u32) -> Option<Own<'a>> {
        let index = recipient.checked_sub(self.message().first.get())? as usize;
        (index < self.count()).then(|| self.own(self.entry(index)))
    }

    /// When it was accepted, in milliseconds of Unix time.
    pub(super) fn accepted_at(self) -> u64 {
        self.message().accepted_at.get()
    }

    /// The random bytes of the message.
    pub(super) fn seed(self) -> [u8; 16] {
        let mut seed = [0; 16];
        for (word, half) in self.message().seed.iter().zip(seed.chunks_mut(BYTES)) {
            half.copy_from_slice(&word.get().to_le_bytes());
        }
        seed
    }

    /// What its copies are made from.
    #[inline]
    pub(super) fn copies(self) -> Copies<'a> {
        let words = &self.message().identifiers;
        let words = from_fn(|word| words[word].get());
        let [_, _, from, headers, charging, body, _] = self.texts();
        Copies {
            shared: Shared {
                from: self.from(from),
                headers,
                charging,
                body,
                entry_at: self.entry_at(),
                needs_stream: self.needs_stream(),
            },
            identifiers: CopyIdentifiers::from_words(self.seed(), words),
        }
    }

    fn from(self, text: &'a [u8]) -> FromHeader<'a> {
        let place = self.message().from_uri.get();
        let (start, end) = (place as u16, (place >> u16::BITS) as u16);
        FromHeader::with_place(text, UriPlace { start, end })
    }

    /// The most forks that may be in flight besides the silent ones.
    #[inline]
    pub(super) fn window(self) -> u32 {
        self.message().windows.get() & WINDOW_MASK
    }

    /// The most forks that may be in flight with the silent ones.
    pub(super) fn most_at_once(self) -> u32 {
        match self.message().windows.get() >> WINDOW_BITS {
            NO_BOUND => u32::MAX,
            most => most,
        }
    }

    /// Where in the body the own entry of a recipient stands.
    pub(super) fn entry_at(self) -> usize {
        (self.message().entry_at.get() & ENTRY_AT_MASK) as usize
    }

    /// Whether the forks have to go by a transport that avoids congestion.
    pub(super) fn needs_stream(self) -> bool {
        self.message().entry_at.get() & NEEDS_STREAM != 0
    }

    /// The recipient with this number.
    pub(super) fn entry(self, number: usize) -> At<Recipient> {
        entry(self.at, number)
    }

    fn text(self, range: Range<usize>) -> &'a [u8] {
        let start = text_start(self.at.to_word(), self.count()) * BYTES;
        let length = range.end.saturating_sub(range.start);
        // SAFETY: text is written before its message is published and never again, and words that change lie before it.
        // Its bytes are used for nothing else before it is given back, which is not as long as this lives.
        unsafe { self.memory.bytes(start + range.start, length) }
    }

    /// The texts: originator, group, from, headers, charging, body, request.
    pub(super) fn texts(self) -> [&'a [u8]; TEXTS] {
        let lengths = &self.message().lengths;
        let whole = lengths.iter().map(|length| length.get() as usize).sum();
        let mut rest = self.text(0..whole);
        let mut texts = [&rest[..0]; TEXTS];
        for (text, length) in texts.iter_mut().zip(lengths) {
            (*text, rest) = rest.split_at(length.get() as usize);
        }
        texts
    }

    /// How many bytes of text all copies have, but for what is each recipient's own.
    pub(super) fn length_of_copies(self) -> u64 {
        let [_, _, copied @ .., _] = &self.message().lengths;
        copied.iter().map(|length| u64::from(length.get())).sum()
    }

    /// What a recipient has of its own.
    pub(super) fn own(self, entry: At<Recipient>) -> Own<'a> {
        let start = &self.memory[entry].start;
        let end = self.memory[end_of(entry)].text.get();
        let text = self.text(start.text.get() as usize..end as usize);
        let number = start.number.get();
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

/// The header fields of a recipient's own, and its address.
fn split_headers(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = text.split_at_checked(LENGTH)?;
    rest.split_at_checked(u32::from_le_bytes(length.try_into().ok()?) as usize)
}

/// The number of a recipient among those of its message.
#[inline]
pub(super) fn number_of(memory: &SharedMemory, entry: At<Recipient>) -> usize {
    (memory[entry].start.number.get() & NUMBER_MASK) as usize
}

/// The message of a recipient.
#[inline]
pub(super) fn block_of(memory: &SharedMemory, entry: At<Recipient>) -> At<Message> {
    At::word(entry.to_word() - number_of(memory, entry) * RECIPIENT - MESSAGE)
}

impl<'p> Block<'p> {
    /// A message that is pinned.
    #[inline]
    pub(super) fn pinned(memory: &'p SharedMemory, pin: &'p Pin) -> Self {
        // SAFETY: a pin is set on what the lists lead to, which was written; as long as it is there, nobody gives the
        // message back.
        unsafe { Self::new(memory, pin.at()) }
    }
}

impl Held<'_> {
    /// A message under way.
    #[inline]
    pub(super) fn block(&self, at: At<Message>) -> Block<'_> {
        // SAFETY: what the lists lead to was written, and a message is given back by who has the lock by `&mut` alone.
        unsafe { Block::new(self.memory, at) }
    }

    /// The message of a recipient.
    #[inline]
    pub(super) fn block_of(&self, entry: At<Recipient>) -> Block<'_> {
        self.block(block_of(self.memory, entry))
    }
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
