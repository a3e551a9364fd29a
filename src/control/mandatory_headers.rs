//! The header fields that every request must have: table A.1, row 1; RFC 3261 §8.1.1.

use super::check_reasons::Reason;
use super::failure::{Failure, malformed};
use super::request_memory::RequestKey;
use crate::sip::name_addr::tag_of;
use crate::sip::number::{cseq, max_breadth, max_forwards};
use crate::sip::text::{Nesting, split_first, tokens};
use crate::sip::{HeaderName, Malformed, NameAddr, Request};
use smallvec::SmallVec;

/// Header fields of one value that go into the forks or that a check goes by, and that nobody else looks at
/// twice: two of them would mean one thing here and another one there (RFC 3261 §7.3.1).
const SINGLE: [HeaderName; 14] = [
    HeaderName::ContentDisposition,
    HeaderName::ContentId,
    HeaderName::ContentTransferEncoding,
    HeaderName::ContentType,
    HeaderName::ContributionId,
    HeaderName::ConversationId,
    HeaderName::Date,
    HeaderName::InReplyToContributionId,
    HeaderName::MimeVersion,
    HeaderName::Organization,
    HeaderName::PAssertedService,
    HeaderName::Priority,
    HeaderName::ReplyTo,
    HeaderName::Subject,
];

/// The method of this function.
pub(super) const MESSAGE: &[u8] = b"MESSAGE";

/// The header fields that every request must have, read (row 1).
#[derive(Debug)]
pub(super) struct MandatoryHeaders<'m> {
    pub from: NameAddr<'m>,
    pub key: RequestKey<'m>,
    pub max_forwards: Option<u8>,
    pub max_breadth: Option<u32>,
    /// The option tags of Require.
    pub required: SmallVec<[&'m [u8]; 4]>,
    pub in_dialog: bool,
}

impl<'m> MandatoryHeaders<'m> {
    /// Reads them of a message that is well formed, unless `accept_contact` is what is wrong with its Accept-Contact.
    pub fn of(request: &Request<'m>, accept_contact: Option<Malformed>) -> Result<Self, Failure> {
        if let Some(defect) = request.defect {
            return Err(malformed(defect));
        }
        let method = request.method;
        if method != MESSAGE {
            let expected = "the method MESSAGE in capitals";
            return Err(malformed(Malformed::at(
                "request line",
                method,
                0,
                expected,
            )));
        }
        if let Some(error) = accept_contact {
            return Err(Failure::new(Reason::AcceptContact, error));
        }
        Self::read(request).map_err(malformed)
    }

    fn read(request: &Request<'m>) -> Result<Self, Malformed> {
        if let Some(error) = request.repeated_of(&SINGLE) {
            return Err(error);
        }
        let from = NameAddr::parse("From", request.required(HeaderName::From)?)?;
        let from_tag = from.tag().ok_or_else(|| {
            let value = request.value(HeaderName::From).unwrap_or_default();
            Malformed::at("From", value, value.len(), "a tag")
        })?;
        // To is never copied: whom it names has no say.
        let in_dialog = tag_of("To", request.required(HeaderName::To)?)?.is_some();
        let call_id = request.required(HeaderName::CallId)?;
        if call_id.is_empty() || call_id.iter().any(|byte| !byte.is_ascii_graphic()) {
            return Err(Malformed::at("Call-ID", call_id, 0, "one word"));
        }
        let sequence = request.required(HeaderName::CSeq)?;
        let (number, method) = cseq(sequence)?;
        if method != request.method {
            let offset = sequence.len() - method.len();
            return Err(Malformed::at(
                "CSeq",
                sequence,
                offset,
                "the method MESSAGE",
            ));
        }
        let via = request.value(HeaderName::Via).unwrap_or_default();
        if via.is_empty() {
            return Err(Malformed::at("Via", via, 0, "such a header"));
        }
        let hops = request.single(HeaderName::MaxForwards)?;
        let breadth = request.single(HeaderName::MaxBreadth)?;
        Ok(Self {
            from,
            key: RequestKey {
                from_tag,
                call_id,
                cseq: number,
                via: split_first("Via", via, b',', Nesting::Quotes)?.0,
            },
            required: request
                .rows(HeaderName::Require)
                .flat_map(|row| tokens(HeaderName::Require.as_str(), row))
                .collect::<Result<_, _>>()?,
            max_forwards: hops.map(max_forwards).transpose()?,
            max_breadth: breadth.map(max_breadth).transpose()?,
            in_dialog,
        })
    }
}
