//! Who gets a message, and with what content where that is not the message's own: table A.1, rows 10
//! to 12, K-5, K-7.

use super::check_reasons::Reason;
use super::checks::Check;
use super::directory::{Directory, Target, UriListService};
use super::failure::Failure;
use super::group::Group;
use super::nested_groups::{Expanded, expand};
use super::observer::{Note, Observer};
use super::payload::{Content, Payload};
use super::policy::Policy;
use super::recipient_list_history::{SharedHistory, history};
use super::recipients::{self, Listed, notes_of_members};
use super::request_memory::Receipt;
use super::rules::Asker;
use super::uri_headers::unescaped;
use crate::sip::{Request, SipUri};
use std::sync::Arc;

/// A message whose body may have lists.
pub(super) struct Listing<'m, 'r> {
    pub request: &'r Request<'m>,
    /// The Content-ID of a part that is a list, whatever it says.
    pub content_id: Option<Vec<u8>>,
    /// Where the request is remembered.
    pub receipt: Receipt,
    pub anonymous: bool,
    pub policy: &'r Policy,
}

/// Who gets the message, and with what content where that is not the message's own.
pub(super) struct Delivery<'e> {
    pub listed: Listed<'e>,
    pub content: Option<Content>,
    /// Whether the content has a history of recipients.
    pub has_history: bool,
    /// The recipients who find an entry of themselves in their copy (K-5).
    pub with_entry: Vec<u32>,
    /// Whether somebody gets no copy because the message is anonymous.
    pub kept_out: bool,
}

impl<'m> Listing<'m, '_> {
    /// Row 10: the body without its lists; `None` where it goes as it is.
    pub fn payload(
        &self,
        target: &Target,
        observer: &mut impl Observer,
    ) -> Result<Option<Payload<'m>>, Failure> {
        observer.check(Check::List);
        let (request, content_id) = (self.request, self.content_id.as_deref());
        match target {
            Target::Group(_) => {
                let payload = Payload::of_group(request, content_id, self.policy, observer)?;
                // What tells of the body names the originator, too (I-6).
                match payload {
                    None if self.anonymous => Payload::whole(request, true).map(Some),
                    payload => Ok(payload),
                }
            }
            Target::UriListService(_) => {
                Payload::of_service(request, content_id, self.policy, observer).map(Some)
            }
        }
    }

    /// Rows 11 and 12.
    pub fn delivery<'e>(
        &self,
        target: &Target,
        payload: Option<&'e Payload<'m>>,
        asker: &Asker<'_, '_>,
        directory: &mut impl Directory,
        observer: &mut impl Observer,
    ) -> Result<Delivery<'e>, Failure> {
        match target {
            Target::Group(group) => {
                observer.check(Check::Members);
                let expanded = expand(group.clone(), directory, asker, self.policy, observer)?;
                let Expanded { group, kept_out } = expanded;
                let delivery = self.to_group(payload, group, asker, directory, observer)?;
                Ok(Delivery {
                    kept_out: kept_out || delivery.kept_out,
                    ..delivery
                })
            }
            Target::UriListService(service) => {
                let payload = payload.ok_or(Reason::NoList)?;
                self.to_service(payload, service, directory, observer)
            }
        }
    }

    fn to_group<'e>(
        &self,
        payload: Option<&'e Payload<'m>>,
        group: Arc<Group>,
        asker: &Asker<'_, '_>,
        directory: &mut impl Directory,
        observer: &mut impl Observer,
    ) -> Result<Delivery<'e>, Failure> {
        let policy = self.policy;
        let entries = payload.and_then(|payload| payload.entries.as_ref());
        let listed = match entries {
            Some(entries) => {
                recipients::of_group(&group, entries, asker, directory, policy, observer)?
            }
            None => {
                observer.notes(|| notes_of_members(&group));
                Listed::nobody(group)
            }
        };
        observer.check(Check::Body);
        let has_body = !self.request.body.is_empty();
        let history = history(&listed, true, &policy.settings).filter(|_| has_body);
        let content = match (payload, &history) {
            (None, None) => None,
            (Some(payload), _) => Some(self.content(payload, history.as_ref())?),
            (None, Some(_)) => {
                let whole = Payload::whole(self.request, self.anonymous)?;
                Some(self.content(&whole, history.as_ref())?)
            }
        };
        Ok(delivery(listed, content, history, observer))
    }

    fn to_service<'e>(
        &self,
        payload: &'e Payload<'m>,
        service: &UriListService,
        directory: &mut impl Directory,
        observer: &mut impl Observer,
    ) -> Result<Delivery<'e>, Failure> {
        let policy = self.policy;
        let entries = payload.entries.as_deref().unwrap_or_default();
        let listed = recipients::of_service(entries, service, directory, policy, observer)?;
        observer.check(Check::Body);
        let history = history(&listed, false, &policy.settings);
        let content = Some(self.content(payload, history.as_ref())?);
        Ok(delivery(listed, content, history, observer))
    }

    /// The content as it is without a history (M-2): `None` for the message's own.
    pub fn without_history(
        &self,
        payload: Option<&Payload<'m>>,
    ) -> Result<Option<Content>, Failure> {
        let content = payload.map(|payload| self.content(payload, None));
        content.transpose()
    }

    fn content(
        &self,
        payload: &Payload<'m>,
        history: Option<&SharedHistory>,
    ) -> Result<Content, Failure> {
        let part = history.map(|history| history.part.as_slice());
        // The hash is keyed, so that no sender can foresee it and have it in a part.
        let boundary = || {
            let Receipt {
                place, fingerprint, ..
            } = self.receipt;
            format!("cimf-{place:016x}{fingerprint:016x}")
        };
        payload.content(part, boundary, self.anonymous)
    }
}

fn delivery<'e>(
    listed: Listed<'e>,
    content: Option<Content>,
    history: Option<SharedHistory>,
    observer: &mut impl Observer,
) -> Delivery<'e> {
    observer.note(|| match &history {
        Some(_) => Note::taken(
            "history",
            "the recipients are told of each other (K-4, K-7)",
        ),
        None => Note::fact(
            "history",
            "none: the recipients are told of nobody (K-4, K-7)",
        ),
    });
    Delivery {
        kept_out: listed.kept_out,
        listed,
        content,
        has_history: history.is_some(),
        with_entry: history.map(|history| history.own).unwrap_or_default(),
    }
}

/// The Content-ID that the parameter `list` of a Request-URI points at, where the policy wants
/// that; a value that is no `cid:` URL is one that no part has.
pub(super) fn content_id(address: &SipUri<'_>, policy: &Policy) -> Option<Vec<u8>> {
    if !policy.settings.draft_list_param {
        return None;
    }
    let value = unescaped(address.parameter(b"list")?.unwrap_or_default());
    let (scheme, id) = value.split_at_checked(4).unwrap_or_default();
    let is_cid = scheme.eq_ignore_ascii_case(b"cid:");
    Some(if is_cid { id.to_vec() } else { Vec::new() })
}
