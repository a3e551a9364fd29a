//! What a group or service can do, told to whoever asks with OPTIONS: U-3, RFC 3261 §11.2.
//!
//! OPTIONS has no feature tag, so what it asks about decides whether it is ours: a group or service of
//! this server that takes messages. Where groups are hidden none of them answers.

use super::decision::Answer;
use super::directory::{Directory, Target, Unavailable};
use super::policy::Policy;
use super::reason_table::phrase;
use super::request_checks::LIST_MESSAGE;
use crate::sip::name_addr::tag_of;
use crate::sip::text::tokens;
use crate::sip::{HeaderName, Request, SipUri, Uri};

/// What a service takes: a list, and beside it content of any type.
const OF_SERVICE: &[u8] = b"Allow: MESSAGE, OPTIONS\r\n\
    Accept: multipart/mixed, application/resource-lists+xml, */*\r\n\
    Accept-Encoding: identity\r\nAccept-Language: *\r\nSupported: recipient-list-message\r\n";

/// What a group takes: content of any type and encoding, which goes to its members as it is.
const OF_GROUP: &[u8] = b"Allow: MESSAGE, OPTIONS\r\nAccept: */*\r\nAccept-Encoding: *\r\n\
    Accept-Language: *\r\n";

/// An OPTIONS that may be about a group or service of this server.
#[derive(Debug)]
pub struct Inquiry<'m> {
    request: Request<'m>,
    target: SipUri<'m>,
}

impl<'m> Inquiry<'m> {
    /// Reads an OPTIONS to a user of a served domain, outside of any dialog. Everything else is left
    /// to the script.
    pub fn read(policy: &Policy, bytes: &'m [u8]) -> Option<Self> {
        if Request::method_of(bytes) != b"OPTIONS" {
            return None;
        }
        let request = Request::read(bytes).ok()?;
        if request.defect.is_some() {
            return None;
        }
        let Ok(Uri::Sip(target)) = Uri::parse(request.uri) else {
            return None;
        };
        let to = tag_of("To", request.value(HeaderName::To)?);
        let is_outside = to.is_ok_and(|tag| tag.is_none());
        let is_ours = target.user.is_some() && policy.addressing.serves(target.host);
        (is_ours && is_outside).then_some(Self { request, target })
    }

    /// The answer; `None` where the address is neither a group nor a service.
    pub fn answer(
        &self,
        policy: &Policy,
        directory: &mut impl Directory,
    ) -> Result<Option<Answer>, Unavailable> {
        if policy.settings.hide_groups || !policy.settings.pager_mode {
            return Ok(None);
        }
        let target = directory.find(&self.target)?;
        Ok(target.filter(Target::pager_mode).map(|target| {
            let (code, headers) = match self.unsupported() {
                Some(unsupported) => (420, unsupported),
                None => match target {
                    Target::UriListService(_) => (200, OF_SERVICE.to_vec()),
                    Target::Group(_) => (200, OF_GROUP.to_vec()),
                },
            };
            Answer {
                code,
                phrase: phrase(code),
                headers,
            }
        }))
    }

    /// The header field that names what Require asks for and is not known here (RFC 3261 §8.2.2.3).
    fn unsupported(&self) -> Option<Vec<u8>> {
        let rows = self.request.rows(HeaderName::Require);
        let options = rows.flat_map(|row| tokens("Require", row).filter_map(Result::ok));
        let unknown: Vec<_> = options
            .filter(|option| !option.eq_ignore_ascii_case(LIST_MESSAGE))
            .collect();
        let is_any = !unknown.is_empty();
        is_any.then(|| {
            [
                b"Unsupported: ",
                unknown.join(&b", "[..]).as_slice(),
                b"\r\n",
            ]
            .concat()
        })
    }
}
