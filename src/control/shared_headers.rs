//! What every fork of a message shares: clause 7.5.2.x, RFC 3428 §4 and §7.

use super::caller_preferences;
use super::charging::{self, ForkCharging};
use super::check_reasons::Reason;
use super::checks::Check;
use super::copying::{Single, note_of_copy};
use super::expires::{Lifetime, date};
use super::failure::Failure;
use super::mandatory_headers::MandatoryHeaders;
use super::mime_headers::is_of_content;
use super::observer::{Note, Observer};
use super::trust_domain::TrustDomain;
use crate::sip::charging_vector::ChargingVector;
use crate::sip::header::full_form;
use crate::sip::message::Header;
use crate::sip::number::write_decimal;
use crate::sip::text::unfold;
use crate::sip::uri::Form;
use crate::sip::{HeaderName, Malformed, NameAddr, Request};
use std::time::SystemTime;

/// Max-Forwards of a fork whose request had none (RFC 3261 §8.1.1.6).
pub(super) const DEFAULT_MAX_FORWARDS: u8 = 70;

/// What goes from a message into its forks.
pub(super) struct CopySource<'c, 'm, 'o> {
    pub request: &'c Request<'m>,
    pub mandatory: &'c MandatoryHeaders<'m>,
    pub trust_domain: &'c TrustDomain<'c, 'o>,
    /// P-Charging-Vector of the message.
    pub charging: Option<&'c ChargingVector<'m>>,
    /// What the forks ask for: Accept-Contact with its CRLF.
    pub accept_contact: &'c [u8],
    pub lifetime: Lifetime,
    pub now: SystemTime,
}

/// What all forks share beside the body.
pub(super) struct SharedHeaders {
    /// From without its tag.
    pub from: Vec<u8>,
    /// The header fields, each with its CRLF.
    pub headers: Vec<u8>,
    /// What follows the charging identifier of each fork.
    pub charging: Vec<u8>,
}

impl CopySource<'_, '_, '_> {
    /// Makes what all forks share. `of_body` are the header fields of another body, which take the
    /// place of those that tell of the message's.
    pub fn share(
        &self,
        of_body: Option<&[u8]>,
        observer: &mut impl Observer,
    ) -> Result<SharedHeaders, Failure> {
        observer.check(Check::Content);
        let unreadable = |error| Failure::new(Reason::Header, error);
        let from = self.trust_domain.from(&self.mandatory.from);
        let from = from.map_err(unreadable)?;
        let mut headers = self.headers(of_body, observer).map_err(unreadable)?;
        let charging = charging::of_forks(self.charging, self.trust_domain);
        observer.notes(|| {
            let received = self.request.value(HeaderName::PChargingVector);
            received.map(|_| charging.note())
        });
        let charging = match charging {
            ForkCharging::Absent => Vec::new(),
            ForkCharging::Shared(header) => {
                headers.extend_from_slice(&header);
                Vec::new()
            }
            ForkCharging::Each(tail) => tail,
        };
        Ok(SharedHeaders {
            from,
            headers,
            charging,
        })
    }

    fn headers(
        &self,
        of_body: Option<&[u8]>,
        observer: &mut impl Observer,
    ) -> Result<Vec<u8>, Malformed> {
        let Self {
            request,
            trust_domain,
            ..
        } = self;
        let mut out = Vec::with_capacity(512);
        let hops = hops_of_forks(self.mandatory.max_forwards);
        out.extend_from_slice(b"Max-Forwards: ");
        write_decimal(usize::from(hops), &mut out);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&trust_domain.policy.route_header);
        observer.note(|| trust_domain.note_of_assertions());
        trust_domain.write_assertions(request, &mut out)?;
        out.extend_from_slice(self.accept_contact);
        caller_preferences::write_others(
            request,
            trust_domain.policy,
            trust_domain.anonymous,
            &mut out,
        )?;
        let mut single = Single::default();
        for header in request.headers() {
            let obstacle = match of_body.is_some() && is_of_content(header) {
                true => Some("tells of the whole body, of which a part was taken out (U-7)"),
                false => trust_domain.obstacle(header),
            };
            let obstacle = obstacle.or_else(|| unreadable(header));
            observer.note(|| {
                let others = caller_preferences::note(header, trust_domain.policy);
                others.unwrap_or_else(|| note_of_copy(header, obstacle))
            });
            if obstacle.is_some() {
                continue;
            }
            single.check(header)?;
            let name = match header.name {
                HeaderName::Other => full_form(header.written),
                known => known.as_str().as_bytes(),
            };
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            match header.name {
                HeaderName::ReplyTo => write_reply_to(header.value, &mut out)?,
                name => unfold(name.as_str(), header.value, &mut out)?,
            }
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(of_body.unwrap_or_default());
        if matches!(self.lifetime, Lifetime::NeedsDate(_)) {
            let date = httpdate::fmt_http_date(self.now);
            out.extend_from_slice(format!("Date: {date}\r\n").as_bytes());
            observer.note(|| Note::taken("Date", "added, as Expires counts from it (M-4)"));
        }
        Ok(out)
    }
}

/// Why a header field that would be copied is not, by its value.
fn unreadable(header: &Header<'_>) -> Option<&'static str> {
    let is_bad = header.name == HeaderName::Date && date(header.value).is_none();
    is_bad.then_some("cannot be read, and counts as absent")
}

/// Reply-To is one address, as From is, and has no password either.
fn write_reply_to(value: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let address = NameAddr::parse(HeaderName::ReplyTo.as_str(), value)?;
    address.write(Form::Whole, out)?;
    address.write_parameters(out)
}

/// Max-Forwards of the forks (U-5).
pub(super) fn hops_of_forks(received: Option<u8>) -> u8 {
    received.map_or(DEFAULT_MAX_FORWARDS, |hops| hops.saturating_sub(1))
}
