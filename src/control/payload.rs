//! The body of a message to a service: its lists are taken out, all else stays as it is, byte for
//! byte. U-1, U-2, U-7, K-7, M-6; RFC 5365 §7.3, RFC 5363 §4.1.

use super::failure::Failure;
use super::observer::{Note, Observer, Unobserved};
use super::refusal::Reason;
use crate::sip::list_error::{ListError, ListErrorKind};
use crate::sip::media_type::{Disposition, MediaType};
use crate::sip::multipart::{Part, content_type, join_parts, parts, write_parts};
use crate::sip::resource_list::{MAX_BYTES, ResourceList};
use crate::sip::text::unfold;
use crate::sip::transfer::{TransferError, decoded};
use crate::sip::{HeaderName, Malformed, Request};
use std::borrow::Cow;

const LIST: &str = "recipient-list";
const HISTORY: &str = "recipient-list-history";

/// A body without its lists.
pub(super) struct Payload<'m> {
    /// All lists as one (U-2).
    pub list: ResourceList,
    kept: Vec<Kept<'m>>,
}

/// A part that stays.
struct Kept<'m> {
    bytes: Cow<'m, [u8]>,
    /// How long its header fields are.
    head: usize,
    /// Where its content starts.
    content: usize,
}

/// What the forks carry: header fields, each with its CRLF, and the body.
pub(super) struct Content {
    pub headers: Vec<u8>,
    pub body: Vec<u8>,
}

/// Whether a body has a list of recipients, broken or not.
pub(super) fn has_list(request: &Request<'_>) -> bool {
    let may_have = memchr::memmem::find(request.body, LIST.as_bytes()).is_some();
    let media = request.value(HeaderName::ContentType).map(MediaType::parse);
    let (true, Some(Ok(media))) = (may_have, media) else {
        return false;
    };
    let boundary = media.boundary().ok();
    let Some(boundary) = boundary.filter(|_| media.is("multipart", "mixed")) else {
        return false;
    };
    let mut nobody = Unobserved;
    let mut reading = Reading::new(usize::MAX, &mut nobody);
    // What cannot be read is no concern of a group: its members get the body as it is.
    let _ = reading.take_lists(request.body, &boundary, 1);
    reading.found
}

impl<'m> Payload<'m> {
    /// Takes the lists out of a body; together they may have `max_entries`.
    pub fn read(
        request: &Request<'m>,
        max_entries: usize,
        observer: &mut impl Observer,
    ) -> Result<Self, Failure> {
        let no_list = || Failure::new(Reason::NoList, "the body is no multipart/mixed");
        let value = request.value(HeaderName::ContentType).ok_or_else(no_list)?;
        let media = MediaType::parse(value).map_err(body)?;
        if !media.is("multipart", "mixed") {
            return Err(no_list());
        }
        let boundary = media.boundary().map_err(body)?;
        let mut reading = Reading::new(max_entries, observer);
        let (kept, _) = reading.take_lists(request.body, &boundary, 1)?;
        if !reading.found {
            return Err(Failure::new(Reason::NoList, "no part is a recipient-list"));
        }
        if kept.is_empty() {
            return Err(Failure::new(
                Reason::NoList,
                "there is nothing but the list",
            ));
        }
        Ok(Self {
            list: reading.list,
            kept,
        })
    }

    /// The content of the forks: a single part without its wrapper (U-7), several, or those with the
    /// history behind them, under a new boundary.
    pub fn content(&self, history: Option<&[u8]>, boundary: &str) -> Result<Content, Failure> {
        if let ([only], None) = (self.kept.as_slice(), history) {
            return only.promoted();
        }
        let kept = self.kept.iter().map(|kept| kept.bytes.as_ref());
        let whole: Vec<&[u8]> = kept.chain(history).collect();
        let mut out = Content {
            headers: b"Content-Type: ".to_vec(),
            body: Vec::new(),
        };
        write_parts(&whole, boundary.as_bytes(), &mut out.body).map_err(body)?;
        out.headers.extend(content_type(boundary.as_bytes()));
        out.headers.extend_from_slice(b"\r\n");
        Ok(out)
    }
}

impl Kept<'_> {
    /// The part as the whole body: its MIME header fields become the message's.
    fn promoted(&self) -> Result<Content, Failure> {
        // The header of a part has the form of a message's.
        let head = [b"M sip:x SIP/2.0\r\n", &self.bytes[..self.head], b"\r\n"].concat();
        let fields = Request::read(&head).map_err(body)?;
        let mut headers = Vec::new();
        for field in fields.headers() {
            let is_mime = field.written.get(..8);
            if is_mime.is_some_and(|start| start.eq_ignore_ascii_case(b"Content-"))
                && field.name != HeaderName::ContentLength
            {
                headers.extend_from_slice(field.written);
                headers.extend_from_slice(b": ");
                unfold("body part header", field.value, &mut headers).map_err(body)?;
                headers.extend_from_slice(b"\r\n");
            }
        }
        if fields.value(HeaderName::ContentType).is_none() {
            headers.extend_from_slice(b"Content-Type: text/plain\r\n");
        }
        Ok(Content {
            headers,
            body: self.bytes[self.content..].to_vec(),
        })
    }
}

/// The search for lists.
struct Reading<'o, O> {
    max_entries: usize,
    list: ResourceList,
    found: bool,
    observer: &'o mut O,
}

impl<'o, O: Observer> Reading<'o, O> {
    fn new(max_entries: usize, observer: &'o mut O) -> Self {
        Self {
            max_entries,
            list: ResourceList::default(),
            found: false,
            observer,
        }
    }

    /// The parts that stay, and whether any went.
    fn take_lists<'m>(
        &mut self,
        text: &'m [u8],
        boundary: &[u8],
        depth: usize,
    ) -> Result<(Vec<Kept<'m>>, bool), Failure> {
        let mut kept = Vec::new();
        let mut changed = false;
        for part in parts(text, boundary, depth).map_err(body)? {
            let disposition = part.headers.disposition.map(Disposition::parse);
            let disposition = disposition.transpose().map_err(body)?;
            let is = |kind| disposition.is_some_and(|disposition| disposition.is(kind));
            if is(LIST) {
                self.read_list(&part)?;
                changed = true;
                continue;
            }
            if is(HISTORY) {
                let text = "a history of recipients: taken out, as only we may tell it (K-7)";
                self.observer.note(|| Note::left(type_of(&part), text));
                changed = true;
                continue;
            }
            let inner = self.inside(&part, depth)?;
            changed |= inner.is_some();
            match inner {
                Some(None) => {}
                Some(Some(rebuilt)) => kept.push(rebuilt),
                None => {
                    let length = part.content.len();
                    let text = || format!("a body part: passed on as it is, bytes: {length}");
                    self.observer.note(|| Note::taken(type_of(&part), text()));
                    kept.push(Kept {
                        bytes: Cow::Borrowed(part.bytes),
                        head: part.head.len(),
                        content: part.bytes.len() - length,
                    });
                }
            }
        }
        Ok((kept, changed))
    }

    /// What becomes of a multipart part from which lists were taken: nothing of it, or what is left.
    /// `None` where it stays as it is.
    fn inside<'m>(
        &mut self,
        part: &Part<'m>,
        depth: usize,
    ) -> Result<Option<Option<Kept<'m>>>, Failure> {
        let Some(Ok(media)) = part.headers.content_type.map(MediaType::parse) else {
            return Ok(None);
        };
        if media.is("multipart", "signed") {
            return self.refuse_signed(part, &media, depth);
        }
        if !media.is("multipart", "mixed") {
            return Ok(None);
        }
        let boundary = media.boundary().map_err(body)?;
        let (kept, changed) = self.take_lists(part.content, &boundary, depth + 1)?;
        if !changed {
            return Ok(None);
        }
        if kept.is_empty() {
            return Ok(Some(None));
        }
        let content = part.bytes.len() - part.content.len();
        let mut bytes = part.bytes[..content].to_vec();
        let whole: Vec<&[u8]> = kept.iter().map(|kept| kept.bytes.as_ref()).collect();
        join_parts(&whole, &boundary, &mut bytes);
        Ok(Some(Some(Kept {
            bytes: Cow::Owned(bytes),
            head: part.head.len(),
            content,
        })))
    }

    /// A list that is signed cannot be taken out without breaking the signature (M-6).
    fn refuse_signed<'m>(
        &self,
        part: &Part<'m>,
        media: &MediaType<'_>,
        depth: usize,
    ) -> Result<Option<Option<Kept<'m>>>, Failure> {
        let boundary = media.boundary().map_err(body)?;
        let inner = parts(part.content, &boundary, depth + 1).map_err(body)?;
        let is_list = |part: &Part<'_>| {
            let disposition = part.headers.disposition.map(Disposition::parse);
            disposition.is_some_and(|it| it.is_ok_and(|disposition| disposition.is(LIST)))
        };
        if inner.iter().any(is_list) {
            return Err(Failure::new(Reason::ListType, "the list is signed"));
        }
        Ok(None)
    }

    fn read_list(&mut self, part: &Part<'_>) -> Result<(), Failure> {
        self.found = true;
        let (entries, refs, externals) = self.counts();
        let value = part.headers.content_type.unwrap_or_default();
        let media = MediaType::parse(value).map_err(body)?;
        if !media.is("application", "resource-lists+xml") {
            return Err(Failure::new(
                Reason::ListType,
                "the list is no resource list",
            ));
        }
        let encoding = part.headers.encoding.unwrap_or(b"identity");
        if !encoding.eq_ignore_ascii_case(b"identity") {
            return Err(Failure::new(Reason::ListType, "the list is compressed"));
        }
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
        let (entries, refs, externals) = (after.0 - entries, after.1 - refs, after.2 - externals);
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

    /// How many entries, `entry-ref` and `external` have been read.
    fn counts(&self) -> (usize, usize, usize) {
        let list = &self.list;
        (list.entries.len(), list.entry_refs, list.externals)
    }
}

/// The type of a part as written; that of one that has none.
fn type_of<'m>(part: &Part<'m>) -> &'m [u8] {
    part.headers.content_type.unwrap_or(b"text/plain")
}

fn body(error: Malformed) -> Failure {
    Failure::new(Reason::Body, error)
}
