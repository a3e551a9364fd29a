//! The body of a message without its lists; all else stays as it is, byte for byte. U-7, K-7, M-10;
//! RFC 5365 §7.3.

use super::body_part::{Multipart, body};
use super::check_reasons::Reason;
use super::failure::Failure;
use super::list_search::{HISTORY, Kept, LIST, Search};
use super::mime_headers::{as_message, write_mime};
use super::observer::{Note, Observer};
use super::policy::Policy;
use crate::config::GroupWithList;
use crate::sip::history_list;
use crate::sip::media_type::Disposition;
use crate::sip::multipart::{closing_length, content_type, write_parts};
use crate::sip::resource_list::Entry;
use crate::sip::{HeaderName, Request};
use std::borrow::Cow;

/// A body without its lists.
pub(super) struct Payload<'m> {
    /// The entries of all lists (U-2); `None` where there was no list.
    pub entries: Option<Vec<Entry>>,
    kept: Vec<Kept<'m>>,
}

/// What the forks carry: header fields, each with its CRLF, and the body.
pub(super) struct Content {
    pub headers: Vec<u8>,
    pub body: Vec<u8>,
    /// Where in the body the history takes one entry more (K-5).
    pub entry_at: Option<usize>,
}

impl<'m> Payload<'m> {
    /// Takes the lists out of the body of a message to a service. `content_id` names a part that is
    /// a list whatever it says.
    pub fn of_service(
        request: &Request<'m>,
        content_id: Option<&[u8]>,
        policy: &Policy,
        observer: &mut impl Observer,
    ) -> Result<Self, Failure> {
        let no_list = |detail| Failure::new(Reason::NoList, detail);
        let mut search = Search::new(policy.settings.max_entries as usize, content_id, observer);
        let kept = search_body(request, &mut search);
        search.tell_of_references(request.uri);
        let kept = kept?.ok_or_else(|| no_list("the body is not multipart/mixed"))?;
        if !search.found {
            return Err(no_list("no part is a recipient-list"));
        }
        if content_id.is_some() && !search.found_by_id {
            return Err(no_list(
                "no part has the Content-ID of the parameter `list`",
            ));
        }
        if kept.is_empty() {
            return Err(no_list("there is nothing but the list"));
        }
        Ok(Self {
            entries: Some(search.list.entries),
            kept,
        })
    }

    /// Takes the lists and the forged histories (K-7) out of the body of a message to a stored
    /// group; `None` where it has neither, and goes to the members as it is.
    pub fn of_group(
        request: &Request<'m>,
        content_id: Option<&[u8]>,
        policy: &Policy,
        observer: &mut impl Observer,
    ) -> Result<Option<Self>, Failure> {
        let whole = disposition(request)?;
        if whole.is_some_and(|whole| whole.is(LIST)) {
            return Err(Reason::GroupWithList.into());
        }
        if whole.is_some_and(|whole| whole.is(HISTORY)) {
            let detail = "the body is nothing but a history of recipients";
            return Err(Failure::new(Reason::Body, detail));
        }
        let mut search = Search::new(policy.settings.max_entries as usize, content_id, observer);
        let kept = search_body(request, &mut search);
        search.tell_of_references(request.uri);
        if search.found && policy.settings.group_with_list == GroupWithList::Reject {
            return Err(Reason::GroupWithList.into());
        }
        let Some(kept) = kept?.filter(|_| search.changed) else {
            search.observer.note(|| goes_as_it_is(request));
            return Ok(None);
        };
        if kept.is_empty() {
            let detail = "there is nothing but lists and histories of recipients";
            return Err(Failure::new(Reason::Body, detail));
        }
        Ok(Some(Self {
            entries: search.found.then_some(search.list.entries),
            kept,
        }))
    }

    /// The whole body as one part, to stand beside a history (K-7).
    pub fn whole(request: &Request<'m>, anonymous: bool) -> Result<Self, Failure> {
        let mut bytes = Vec::with_capacity(request.body.len() + 128);
        for header in request.headers() {
            write_mime(header, anonymous, &mut bytes)?;
        }
        let head = bytes.len();
        bytes.extend_from_slice(b"\r\n");
        let content = bytes.len();
        bytes.extend_from_slice(request.body);
        Ok(Self {
            entries: None,
            kept: vec![Kept {
                bytes: Cow::Owned(bytes),
                head,
                content,
            }],
        })
    }

    /// The content of the forks: a single part without its wrapper (U-7), several, or those with the
    /// history behind them, under a new boundary.
    pub fn content(
        &self,
        history: Option<&[u8]>,
        boundary: impl FnOnce() -> String,
        anonymous: bool,
    ) -> Result<Content, Failure> {
        if let ([only], None) = (self.kept.as_slice(), history) {
            return only.promoted(anonymous);
        }
        let boundary = boundary();
        let kept = self.kept.iter().map(|kept| kept.bytes.as_ref());
        let whole: Vec<&[u8]> = kept.chain(history).collect();
        let mut out = Content {
            headers: b"Content-Type: ".to_vec(),
            body: Vec::new(),
            entry_at: None,
        };
        write_parts(&whole, boundary.as_bytes(), &mut out.body).map_err(body)?;
        out.headers.extend(content_type(boundary.as_bytes()));
        out.headers.extend_from_slice(b"\r\n");
        out.entry_at = history.map(|_| {
            out.body.len() - closing_length(boundary.as_bytes()) - history_list::END.len()
        });
        Ok(out)
    }
}

/// The parts of a body that stay; `None` where it is no multipart/mixed.
fn search_body<'m, O: Observer>(
    request: &Request<'m>,
    search: &mut Search<'_, O>,
) -> Result<Option<Vec<Kept<'m>>>, Failure> {
    let Some(whole) = Multipart::of_request(request)? else {
        return Ok(None);
    };
    if !whole.media.is("multipart", "mixed") {
        search.refuse_enclosed(&whole, 1)?;
        return Ok(None);
    }
    search.take_lists(&whole, 1).map(Some)
}

fn goes_as_it_is(request: &Request<'_>) -> Note {
    let length = request.body.len();
    let text = format!("goes to every member as it is, bytes: {length}");
    Note::taken("body", text)
}

/// What the body as a whole is for.
fn disposition<'m>(request: &Request<'m>) -> Result<Option<Disposition<'m>>, Failure> {
    let value = request.value(HeaderName::ContentDisposition);
    value.map(Disposition::parse).transpose().map_err(body)
}

impl Kept<'_> {
    /// The part as the whole body: its MIME header fields become the message's.
    fn promoted(&self, anonymous: bool) -> Result<Content, Failure> {
        let head = as_message(&self.bytes[..self.head]);
        let fields = Request::read(&head).map_err(body)?;
        let mut headers = Vec::new();
        for field in fields.headers() {
            write_mime(field, anonymous, &mut headers)?;
        }
        let has_content = self.content < self.bytes.len();
        if has_content && fields.value(HeaderName::ContentType).is_none() {
            headers.extend_from_slice(b"Content-Type: text/plain\r\n");
        }
        Ok(Content {
            headers,
            body: self.bytes[self.content..].to_vec(),
            entry_at: None,
        })
    }
}
