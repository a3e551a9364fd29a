//! The search for lists of recipients in a body: U-1, U-2, A-4, K-7, M-6; RFC 5363 §4.1,
//! RFC 5621 §7 and §8.

use super::body_part::{Multipart, body, check_encoding};
use super::check_reasons::Reason;
use super::failure::Failure;
use super::observer::{Note, Observer};
use crate::sip::Malformed;
use crate::sip::list_error::{ListError, ListErrorKind};
use crate::sip::media_type::{Disposition, MediaType};
use crate::sip::multipart::{Part, join_parts};
use crate::sip::resource_list::{MAX_BYTES, ResourceList};
use crate::sip::text::trim_end;
use crate::sip::transfer::{TransferError, decoded};
use std::borrow::Cow;

/// The disposition of a list of recipients.
pub(super) const LIST: &str = "recipient-list";
/// The disposition of a list of those who were visible.
pub(super) const HISTORY: &str = "recipient-list-history";

/// The search for lists.
pub(super) struct Search<'s, O> {
    max_entries: usize,
    /// The Content-ID, without its angle brackets, of a part that is a list whatever else it says
    ///
    content_id: Option<&'s [u8]>,
    /// All lists as one (U-2).
    pub list: ResourceList,
    /// Whether there is any list, broken or not.
    pub found: bool,
    /// Whether any of them is the part that Content-ID names.
    pub found_by_id: bool,
    /// Whether anything was taken out.
    pub changed: bool,
    pub observer: &'s mut O,
}

/// A part that stays.
pub(super) struct Kept<'m> {
    pub bytes: Cow<'m, [u8]>,
    /// How long its header fields are.
    pub head: usize,
    /// Where its content starts.
    pub content: usize,
}

/// What becomes of a part that is no list.
enum Fate<'m> {
    /// It stays as it is.
    Stays,
    /// It stays without the lists that stood in it.
    Rebuilt(Kept<'m>),
    /// There was nothing in it but lists.
    Goes,
}

impl<'s, O: Observer> Search<'s, O> {
    pub fn new(max_entries: usize, content_id: Option<&'s [u8]>, observer: &'s mut O) -> Self {
        Self {
            max_entries,
            content_id,
            list: ResourceList::default(),
            found: false,
            found_by_id: false,
            changed: false,
            observer,
        }
    }

    /// Takes the lists out of a multipart/mixed; the parts that stay.
    pub fn take_lists<'m>(
        &mut self,
        whole: &Multipart<'m>,
        depth: usize,
    ) -> Result<Vec<Kept<'m>>, Failure> {
        let mut kept = Vec::new();
        whole.outside().into_iter().try_for_each(check_unread)?;
        for part in &whole.parts {
            let disposition = part.headers.disposition.map(Disposition::parse);
            let disposition = disposition.transpose().map_err(body)?;
            let is = |kind| disposition.is_some_and(|disposition| disposition.is(kind));
            if is(LIST) || self.is_named(part) {
                self.read_list(part)?;
                self.changed = true;
                continue;
            }
            if is(HISTORY) {
                let text = "a history of recipients: taken out, as only we may tell it (K-7)";
                self.observer.note(|| Note::left(type_of(part), text));
                self.changed = true;
                continue;
            }
            match self.inside(part, depth)? {
                Fate::Goes => {}
                Fate::Rebuilt(rebuilt) => kept.push(rebuilt),
                Fate::Stays => {
                    let length = part.content.len();
                    let text = || format!("a body part: passed on as it is, bytes: {length}");
                    self.observer.note(|| Note::taken(type_of(part), text()));
                    kept.push(Kept {
                        bytes: Cow::Borrowed(part.bytes),
                        head: part.head.len(),
                        content: part.bytes.len() - length,
                    });
                }
            }
        }
        Ok(kept)
    }

    /// Whether Content-ID names this part, so that it is a list.
    fn is_named(&self, part: &Part<'_>) -> bool {
        let id = part.headers.content_id.unwrap_or_default();
        let id = id.strip_prefix(b"<").and_then(|id| id.strip_suffix(b">"));
        id.is_some_and(|id| !id.is_empty() && self.content_id == Some(id))
    }

    fn inside<'m>(&mut self, part: &Part<'m>, depth: usize) -> Result<Fate<'m>, Failure> {
        let Some(inner) = Multipart::of_part(part, depth + 1)? else {
            check_leaf(part)?;
            return Ok(Fate::Stays);
        };
        if !inner.media.is("multipart", "mixed") {
            self.refuse_enclosed(&inner, depth + 1)?;
            return Ok(Fate::Stays);
        }
        let before = std::mem::replace(&mut self.changed, false);
        let kept = self.take_lists(&inner, depth + 1)?;
        let changed = std::mem::replace(&mut self.changed, true);
        if !changed {
            self.changed = before;
            return Ok(Fate::Stays);
        }
        if kept.is_empty() {
            return Ok(Fate::Goes);
        }
        let content = part.bytes.len() - part.content.len();
        let mut bytes = part.bytes[..content].to_vec();
        let whole: Vec<&[u8]> = kept.iter().map(|kept| kept.bytes.as_ref()).collect();
        join_parts(&whole, &inner.boundary, &mut bytes);
        Ok(Fate::Rebuilt(Kept {
            bytes: Cow::Owned(bytes),
            head: part.head.len(),
            content,
        }))
    }

    /// Refuses a list or a history inside a body that is opaque: from a signed one it could not be
    /// taken without breaking the signature, and left in any it would go to all recipients, bcc and
    /// all (M-6, K-5), or be believed to be ours (K-7).
    pub fn refuse_enclosed(&mut self, whole: &Multipart<'_>, depth: usize) -> Result<(), Failure> {
        whole.outside().into_iter().try_for_each(check_unread)?;
        for part in &whole.parts {
            let disposition = part.headers.disposition.map(Disposition::parse);
            let disposition = disposition.transpose().map_err(body)?;
            let is = |kind| disposition.is_some_and(|disposition| disposition.is(kind));
            let subtype = crate::sip::text::Printable(whole.media.subtype);
            let inside = || format!("inside a multipart/{subtype}, expected multipart/mixed");
            if is(LIST) || self.is_named(part) {
                self.found = true;
                let detail = format!("the list is {}", inside());
                return Err(Failure::new(Reason::ListType, detail));
            }
            if is(HISTORY) {
                let detail = format!("a history of recipients is {}", inside());
                return Err(Failure::new(Reason::Body, detail));
            }
            match Multipart::of_part(part, depth + 1)? {
                Some(inner) => self.refuse_enclosed(&inner, depth + 1)?,
                None => check_leaf(part)?,
            }
        }
        Ok(())
    }

    fn read_list(&mut self, part: &Part<'_>) -> Result<(), Failure> {
        self.found = true;
        self.found_by_id |= self.is_named(part);
        let before = self.counts();
        let value = part.headers.content_type.unwrap_or(b"text/plain");
        let media = MediaType::parse(value).map_err(body)?;
        if !media.is("application", "resource-lists+xml") {
            return Err(Failure::new(
                Reason::ListType,
                "the list is not a resource list",
            ));
        }
        check_encoding(part.headers.encoding)?;
        let document = decoded(part.headers.transfer_encoding, part.content, MAX_BYTES);
        let document = document.map_err(|error| {
            let reason = match &error {
                TransferError::Unknown => Reason::ListType,
                TransferError::TooLong => Reason::ListTooLong,
                TransferError::Malformed(_) => Reason::Body,
            };
            Failure::new(reason, error)
        })?;
        let read = self.list.append(&document, self.max_entries);
        read.map_err(|error: ListError| {
            let reason = match error.kind {
                ListErrorKind::Malformed => Reason::Body,
                ListErrorKind::TooManyEntries => Reason::TooManyRecipients,
                ListErrorKind::TooLong => Reason::ListTooLong,
            };
            Failure::new(reason, error)
        })?;
        let after = self.counts();
        let [entries, refs, externals] = std::array::from_fn(|at| after[at] - before[at]);
        self.observer.note(|| {
            let text = format!("a list of recipients: taken out, entries: {entries}");
            Note::taken(type_of(part), text)
        });
        let ignored = [("entry-ref", refs), ("external", externals)];
        self.observer.notes(|| {
            let ignored = ignored.into_iter().filter(|(_, count)| *count > 0);
            ignored.map(|(name, count)| {
                Note::left(
                    name,
                    format!("never followed in a message (X-3), found: {count}"),
                )
            })
        });
        Ok(())
    }

    /// Logs how many references the lists have, which are ignored: one line, and only where
    /// there are any.
    pub fn tell_of_references(&self, target: &[u8]) {
        let [_, refs, externals] = self.counts();
        if refs + externals > 0 {
            log::info!(
                "the list in a message to <{}> has references, which are never followed: \
                 entry-ref={refs} external={externals}; expected entries with addresses",
                crate::sip::text::Printable(target),
            );
        }
    }

    /// How many entries, `entry-ref` and `external` have been read.
    fn counts(&self) -> [usize; 3] {
        let list = &self.list;
        [list.entries.len(), list.entry_refs, list.externals]
    }
}

/// The type of a part as written; that of one that has none.
fn type_of<'m>(part: &Part<'m>) -> &'m [u8] {
    part.headers.content_type.unwrap_or(b"text/plain")
}

/// What stands before the header of a list for whoever divides the parts in another way than we do.
const HEADER: &[u8] = b"content-disposition";

/// A part that is no multipart hides no list; a message that is enclosed is another message.
fn check_leaf(part: &Part<'_>) -> Result<(), Failure> {
    let media = part.headers.content_type.map(MediaType::parse);
    let media = media.transpose().map_err(body)?;
    match media.is_some_and(|media| media.main.eq_ignore_ascii_case(b"message")) {
        true => Ok(()),
        false => check_unread(part.content),
    }
}

/// Refuses a text in which somebody else's reader could find a list or a history: one that takes a line
/// for a boundary because it starts like one, or another line end for ours, or that reads on behind the
/// last part.
fn check_unread(text: &[u8]) -> Result<(), Failure> {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    // Whatever divides parts starts with these.
    let Some(hyphens) = memchr::memmem::find(text, b"--") else {
        return Ok(());
    };
    let found = words(text).find(|&at| {
        let before = trim_end(&text[..at]).strip_suffix(b":").map(trim_end);
        let start = before.and_then(|before| before.len().checked_sub(HEADER.len()));
        start.is_some_and(|start| {
            let (earlier, name) = text.split_at(start);
            name[..HEADER.len()].eq_ignore_ascii_case(HEADER)
                && earlier.last().is_none_or(is_end)
                && hyphens < start
        })
    });
    match found {
        None => Ok(()),
        Some(at) => {
            let expected = "no second way to divide the body that finds a list in it";
            Err(body(Malformed::at("multipart body", text, at, expected)))
        }
    }
}

/// Where the word stands in a text, in any case, that every list and every history has.
fn words(text: &[u8]) -> impl Iterator<Item = usize> {
    const HYPHEN: usize = 9;
    memchr::memchr_iter(b'-', text).filter_map(|at| {
        let start = at.checked_sub(HYPHEN)?;
        let word = text.get(start..start + LIST.len())?;
        word.eq_ignore_ascii_case(LIST.as_bytes()).then_some(start)
    })
}
