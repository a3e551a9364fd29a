//! Which messages are ours: table A.1, row 2, and what row 1 says of others' requests.

use super::charging;
use super::checks::Check;
use super::directory::Unavailable;
use super::failure::Failure;
use super::mandatory_headers::{MESSAGE, MandatoryHeaders};
use super::observer::{Note, Observer, Unobserved};
use super::policy::Policy;
use crate::config::Untagged;
use crate::sip::accept_contact::{self, Wish};
use crate::sip::charging_vector::ChargingVector;
use crate::sip::text::Printable;
use crate::sip::{HeaderName, Malformed, Request, SipUri, Uri};

/// Why a message is left to the routing script, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOurs {
    /// It is no SIP request.
    Unreadable(Malformed),
    /// Its method is not MESSAGE.
    Method,
    /// It wants none of the feature tags.
    NoImTag,
    /// It wants none of the feature tags as far as its Accept-Contact can be read (A.1 row 1).
    Unknown(Malformed),
    /// Its Request-URI is in no served domain.
    ForeignDomain,
    /// Its Request-URI is no stored group or service, and may be a person's address.
    NoGroup,
    /// It wants none of the feature tags, and goes to this stored group or service.
    Untagged(String),
    /// Its sender may not learn that the group exists.
    Hidden,
    /// It wants none of the feature tags, and the groups cannot be read now.
    Unavailable(Unavailable),
}

impl std::fmt::Display for NotOurs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "it is no SIP request ({error})"),
            Self::Method => f.write_str("its method is not MESSAGE"),
            Self::NoImTag => f.write_str("Accept-Contact asks for none of `feature_tags`"),
            Self::Unknown(error) => write!(
                f,
                "Accept-Contact asks for none of `feature_tags` as far as it can be read ({error})"
            ),
            Self::ForeignDomain => f.write_str("its Request-URI is in none of `domains`"),
            Self::NoGroup => f.write_str("its Request-URI is no stored group or service"),
            Self::Untagged(group) => {
                let group = Printable(group.as_bytes());
                write!(
                    f,
                    "it is for the group <{group}>, but its Accept-Contact asks for none of `feature_tags`; \
                     untagged=groups serves such messages too"
                )
            }
            Self::Hidden => f.write_str(
                "its sender may not use the group, and hide_groups=1 keeps from them that it exists",
            ),
            Self::Unavailable(error) => {
                write!(f, "it has no feature tag, and the groups cannot be read: {error}")
            }
        }
    }
}

/// A MESSAGE that this function answers, whatever the answer will be.
#[derive(Debug)]
pub struct Recognised<'m> {
    pub(super) request: Request<'m>,
    /// Which of the policy's features the message wants; or why it wants none, where it is ours only if
    /// its address is a stored one (see `claim`).
    pub(super) feature: Result<usize, NotOurs>,
    pub(super) target: Result<SipUri<'m>, Malformed>,
    /// Whether the Request-URI names a body part, `cid:`, and so has no domain.
    pub(super) names_body_part: bool,
    /// The header fields that every request must have, or why they cannot be read (row 1).
    pub(super) mandatory: Result<MandatoryHeaders<'m>, Failure>,
    /// P-Charging-Vector, which the answer and the forks go by.
    pub(super) charging: Option<ChargingVector<'m>>,
}

/// Whether a request has the method of this function, in any case as proxies take it: by its first word, without reading
/// the rest.
pub fn is_message(bytes: &[u8]) -> bool {
    Request::method_of(bytes).eq_ignore_ascii_case(MESSAGE)
}

/// Row 2 of table A.1, and what row 1 says of others' requests: is the message ours?
pub fn recognise<'m>(policy: &Policy, bytes: &'m [u8]) -> Result<Recognised<'m>, NotOurs> {
    recognise_observed(policy, bytes, &mut Unobserved)
}

/// The same, for somebody who wants to know why.
pub fn recognise_observed<'m>(
    policy: &Policy,
    bytes: &'m [u8],
    observer: &mut impl Observer,
) -> Result<Recognised<'m>, NotOurs> {
    observer.check(Check::Method);
    let request = Request::read(bytes).map_err(NotOurs::Unreadable)?;
    // Proxies take a method in any case; another case than this is refused later.
    if !request.method.eq_ignore_ascii_case(MESSAGE) {
        observer.note(|| Note::left(request.method, "expected MESSAGE"));
        return Err(NotOurs::Method);
    }
    observer.check(Check::FeatureTag);
    let mut otherwise = NotOurs::NoImTag;
    let mut features = policy.settings.feature_tags.iter().enumerate();
    let wanted = features.find_map(|(index, feature)| {
        let rows = request.rows(HeaderName::AcceptContact);
        match accept_contact::wish(rows, &feature.tag) {
            Ok(Wish::Wanted) => Some((index, None)),
            Ok(Wish::Broken(error)) => Some((index, Some(error))),
            Ok(Wish::Absent) => None,
            Err(error) => {
                otherwise = NotOurs::Unknown(error);
                None
            }
        }
    });
    observer.notes(|| rows_with_their_wishes(&request, policy));
    let (feature, accept_contact) = match wanted {
        Some((feature, error)) => (Ok(feature), error),
        None => (Err(otherwise), None),
    };
    // Whoever asks for the feature tag alone looks no further.
    if feature.is_ok() || policy.settings.untagged == Untagged::Groups {
        observer.check(Check::Domain);
        observer.note(|| Note::fact(request.uri, "the Request-URI"));
    }
    let parsed = Uri::parse(request.uri);
    let names_body_part =
        matches!(parsed, Ok(Uri::Other { scheme, .. }) if scheme.eq_ignore_ascii_case(b"cid"));
    let target = match parsed {
        Ok(Uri::Sip(sip)) if policy.addressing.serves(sip.host) => Ok(sip),
        _ if feature.is_err() => return Err(feature.err().unwrap_or(NotOurs::NoImTag)),
        Ok(_) if names_body_part => Err(Malformed::at("Request-URI", request.uri, 0, "an address")),
        Ok(_) => return Err(NotOurs::ForeignDomain),
        Err(error) if seems_served(request.uri, policy) => Err(error.within("Request-URI")),
        Err(_) => return Err(NotOurs::ForeignDomain),
    };
    Ok(Recognised {
        mandatory: MandatoryHeaders::of(&request, accept_contact),
        charging: charging::received(&request),
        request,
        feature,
        target,
        names_body_part,
    })
}

/// What each row of Accept-Contact asks for.
fn rows_with_their_wishes(request: &Request<'_>, policy: &Policy) -> Vec<Note> {
    let rows = request.rows(HeaderName::AcceptContact).map(|row| {
        let wishes = || {
            let features = policy.settings.feature_tags.iter();
            features.map(|feature| accept_contact::wish(std::iter::once(row), &feature.tag))
        };
        if wishes().any(|wish| matches!(wish, Ok(Wish::Wanted | Wish::Broken(_)))) {
            return Note::taken(row, "this Accept-Contact asks for it");
        }
        match wishes().find_map(Result::err) {
            Some(error) => Note::left(row, format!("this Accept-Contact cannot be read: {error}")),
            None => Note::left(row, "this Accept-Contact asks for other things only"),
        }
    });
    let mut notes: Vec<_> = rows.collect();
    if notes.is_empty() {
        notes.push(Note::left("Accept-Contact", "there is none"));
    }
    notes
}

/// Whether a Request-URI that cannot be read seems to have a served domain: others' odd requests are
/// not ours to refuse.
fn seems_served(uri: &[u8], policy: &Policy) -> bool {
    // Whichever '@' somebody takes for the one before the host.
    let ats = memchr::memchr_iter(b'@', uri);
    let starts = ats.chain(memchr::memchr(b':', uri)).map(|at| at + 1);
    starts.chain([0]).any(|start| {
        let rest = &uri[start..];
        let end = rest.iter().position(|byte| b":;?@ \t".contains(byte));
        policy.addressing.serves(&rest[..end.unwrap_or(rest.len())])
    })
}
