//! Who follows the checks of a message: nobody in a proxy, `cimfctl explain` on a command line.
//!
//! The procedure says which check starts; a refusal belongs to the check that started last. What a
//! check saw is told as a note, which is made only if somebody wants it: all of this costs a proxy
//! nothing.

use super::checks::Check;

/// Follows the checks of one message.
pub trait Observer {
    /// `check` starts, so the one before it has passed.
    fn check(&mut self, check: Check);

    /// The check that started last has seen something; `note` says what, if it is called.
    fn note(&mut self, note: impl FnOnce() -> Note);

    /// As [`Observer::note`], for what there may be many of; `notes` is called in the same way.
    fn notes<I: IntoIterator<Item = Note>>(&mut self, notes: impl FnOnce() -> I);
}

/// Nobody: for the proxy.
#[derive(Clone, Copy, Debug)]
pub struct Unobserved;

impl Observer for Unobserved {
    #[inline(always)]
    fn check(&mut self, _: Check) {}

    #[inline(always)]
    fn note(&mut self, _: impl FnOnce() -> Note) {}

    #[inline(always)]
    fn notes<I: IntoIterator<Item = Note>>(&mut self, _: impl FnOnce() -> I) {}
}

/// What became of the thing that a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Nothing: it is a fact.
    Fact,
    /// It counts: an identity that is taken, a rule that applies, a header field that is copied.
    Taken,
    /// It does not count, for the reason that the note tells.
    Left,
}

/// What a check has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What became of it.
    pub used: Use,
    /// What the note is about: a header field, an address, a rule, a body part. Bytes from outside,
    /// not escaped.
    pub subject: String,
    /// What of it, in words for an administrator.
    pub text: String,
}

impl Note {
    fn new(used: Use, subject: impl AsRef<[u8]>, text: impl Into<String>) -> Self {
        Self {
            used,
            subject: String::from_utf8_lossy(subject.as_ref()).into_owned(),
            text: text.into(),
        }
    }

    /// A fact.
    pub fn fact(subject: impl AsRef<[u8]>, text: impl Into<String>) -> Self {
        Self::new(Use::Fact, subject, text)
    }

    /// Something that counts.
    pub fn taken(subject: impl AsRef<[u8]>, text: impl Into<String>) -> Self {
        Self::new(Use::Taken, subject, text)
    }

    /// Something that does not count.
    pub fn left(subject: impl AsRef<[u8]>, text: impl Into<String>) -> Self {
        Self::new(Use::Left, subject, text)
    }
}

/// What has been seen of one message, in order.
#[derive(Debug, Default)]
pub struct Record {
    /// The checks that were made, each with what it saw.
    pub checks: Vec<(Check, Vec<Note>)>,
}

impl Observer for Record {
    fn check(&mut self, check: Check) {
        self.checks.push((check, Vec::new()));
    }

    fn note(&mut self, note: impl FnOnce() -> Note) {
        self.notes(|| [note()]);
    }

    fn notes<I: IntoIterator<Item = Note>>(&mut self, notes: impl FnOnce() -> I) {
        if let Some((_, seen)) = self.checks.last_mut() {
            seen.extend(notes());
        }
    }
}
