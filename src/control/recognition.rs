//! Which messages are ours: table A.1, row 2, and what row 1 says of others' requests.

use super::policy::Policy;
use crate::sip::accept_contact::{self, Wish};
use crate::sip::{HeaderName, Malformed, Request, SipUri, Uri};

/// The IM feature tag (F-3).
const IM_TAG: &[u8] = b"+g.oma.sip-im";

/// Why a message is left to the routing script, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOurs {
    /// It is no SIP request.
    Unreadable(Malformed),
    /// Its method is not MESSAGE.
    Method,
    /// It does not want the IM feature tag, or its Accept-Contact cannot be read.
    NoImTag,
    /// Its Request-URI is in no served domain.
    ForeignDomain,
}

impl std::fmt::Display for NotOurs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "it is no SIP request ({error})"),
            Self::Method => f.write_str("its method is not MESSAGE"),
            Self::NoImTag => f.write_str("Accept-Contact does not ask for +g.oma.sip-im"),
            Self::ForeignDomain => f.write_str("its Request-URI is in none of `domains`"),
        }
    }
}

/// A MESSAGE that this function answers, whatever the answer will be.
#[derive(Debug)]
pub struct Recognised<'m> {
    pub(super) request: Request<'m>,
    pub(super) accept_contact: Option<Malformed>,
    pub(super) target: Result<SipUri<'m>, Malformed>,
}

/// Row 2 of table A.1, and what row 1 says of others' requests: is the message ours?
pub fn recognise<'m>(policy: &Policy, bytes: &'m [u8]) -> Result<Recognised<'m>, NotOurs> {
    let request = Request::read(bytes).map_err(NotOurs::Unreadable)?;
    if request.method != b"MESSAGE" {
        return Err(NotOurs::Method);
    }
    let wish = accept_contact::wish(request.rows(HeaderName::AcceptContact), IM_TAG);
    let accept_contact = match wish {
        Ok(Wish::Wanted) => None,
        Ok(Wish::Broken(error)) => Some(error),
        Ok(Wish::Absent) | Err(_) => return Err(NotOurs::NoImTag),
    };
    let target = match Uri::parse(request.uri) {
        Ok(Uri::Sip(sip)) if policy.addressing.serves(sip.host) => Ok(sip),
        Ok(_) => return Err(NotOurs::ForeignDomain),
        Err(error) => Err(error.within("Request-URI")),
    };
    Ok(Recognised {
        request,
        accept_contact,
        target,
    })
}
