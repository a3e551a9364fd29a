//! The message that goes out, made from the one that came in: clause 7.5.2.x.

use super::accepted::Accepted;
use super::failure::Failure;
use super::from_header::FromHeader;
use super::observer::Observer;
use super::own_content::OwnContent;
use super::own_content::OwnHeaders;
use super::payload::Content;
use super::recipients::Listed;
use super::request_memory::Receipt;
use super::shared_headers::{CopySource, SharedHeaders};
use crate::sip::Request;
use smallvec::SmallVec;
use std::borrow::Cow;

/// What a copy is made from, whatever its body will be.
pub(super) struct Draft<'d, 'm, 'o, 'e> {
    pub copy: CopySource<'d, 'm, 'o>,
    pub listed: &'d Listed<'e>,
    pub originator: &'d [u8],
    pub receipt: Receipt,
}

impl<'m> Draft<'_, 'm, '_, '_> {
    /// The message with this content, or with that of the message as it came. `with_entry` are the
    /// recipients who find an entry of themselves in it (K-5). Nobody is excluded yet, and
    /// how wide it is spread is not said (U-6).
    pub fn with(
        &self,
        content: Option<Content>,
        with_entry: Vec<u32>,
        observer: &mut impl Observer,
    ) -> Result<Accepted<'m>, Failure> {
        let copy = &self.copy;
        let of_body = content.as_ref().map(|content| content.headers.clone());
        let of_body = of_body.as_deref();
        let SharedHeaders {
            from,
            mut headers,
            charging,
        } = copy.share(of_body, observer)?;
        let own = OwnContent {
            headers: match copy.trust_domain.anonymous {
                // I-6: what a URI sets is the sender's word, as Subject is.
                true => OwnHeaders::default(),
                false => OwnHeaders::take(self.listed, copy.trust_domain.policy, &mut headers),
            },
            entry_at: content.as_ref().and_then(|content| content.entry_at),
            with_entry,
        };
        let mut body = match content {
            None => Cow::Borrowed(copy.request.body),
            Some(content) => Cow::Owned(content.body),
        };
        if let Some(from_group) = &copy.trust_domain.from_group {
            match of_body {
                None => from_group.label(copy.request, &mut body),
                Some(fields) => {
                    let head = [b"M sip:x SIP/2.0\r\n", fields, b"\r\n"].concat();
                    if let Ok(fields) = Request::read(&head) {
                        from_group.label(&fields, &mut body);
                    }
                }
            }
        }
        Ok(Accepted {
            excluded: SmallVec::new(),
            group: self.listed.group.clone(),
            originator: self.originator.to_vec(),
            anonymous: copy.trust_domain.anonymous,
            from_uri: FromHeader::of(&from).uri_place(),
            from,
            headers,
            charging,
            window: 1,
            most_at_once: None,
            expires_at: copy.lifetime.end(),
            needs_stream: false,
            body,
            own,
            receipt: self.receipt,
        })
    }
}
