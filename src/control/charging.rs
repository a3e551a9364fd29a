//! P-Charging-Vector: what answers and forks say of charging, N-4, RFC 7315 §4.6 and §5.6.
//!
//! A message without one is answered, and sent on, without one.

use super::observer::Note;
use super::passage::Passage;
use super::policy::Policy;
use super::trust::Source;
use crate::sip::charging_vector::ChargingVector;
use crate::sip::{HeaderName, Request};

/// What stands before the identifier of each fork.
pub(super) const FORK_START: &[u8] = b"P-Charging-Vector: icid-value=\"";

/// How forks name their charging.
#[derive(Clone, Debug)]
pub struct Charging {
    /// The operator's name: `term-ioi` of answers, `orig-ioi` of forks.
    pub ioi: String,
    /// Whether forks have the identifier of their message, and no new one each.
    pub copies_icid: bool,
}

/// What forks say of charging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ForkCharging {
    /// Nothing.
    Absent,
    /// The same header field for all, with its CRLF.
    Shared(Vec<u8>),
    /// An identifier for each; this is what follows it, with its CRLF.
    Each(Vec<u8>),
}

/// The one vector of the request, if somebody who is believed has written it and it can be read.
fn received<'m>(request: &Request<'m>) -> Option<ChargingVector<'m>> {
    let mut rows = request.rows(HeaderName::PChargingVector);
    let row = rows.next().filter(|_| rows.next().is_none())?;
    ChargingVector::parse(row).ok()
}

/// The vector of the answer with its CRLF, whatever the answer is; empty if there is none.
pub(super) fn of_answer(request: &Request<'_>, policy: &Policy, source: &Source<'_>) -> Vec<u8> {
    let Some(vector) = received(request).filter(|_| policy.trusts(source)) else {
        return Vec::new();
    };
    let mut header = b"P-Charging-Vector: icid-value=".to_vec();
    header.extend_from_slice(vector.icid);
    if let Some(orig_ioi) = vector.orig_ioi {
        header.extend_from_slice(b";orig-ioi=");
        header.extend_from_slice(orig_ioi);
    }
    header.extend_from_slice(b";term-ioi=");
    header.extend_from_slice(policy.charging.ioi.as_bytes());
    header.extend_from_slice(b"\r\n");
    header
}

/// The vector of the forks: we originate them, so the identifier and `orig-ioi` are ours.
pub(super) fn of_forks(request: &Request<'_>, passage: &Passage<'_, '_>) -> ForkCharging {
    let Some(vector) = received(request).filter(|_| passage.is_inside()) else {
        return ForkCharging::Absent;
    };
    let policy = passage.policy;
    let ioi = &policy.charging.ioi;
    if !policy.charging.copies_icid {
        let name = &policy.server_name;
        return ForkCharging::Each(
            format!("\";icid-generated-at={name};orig-ioi={ioi}\r\n").into_bytes(),
        );
    }
    let mut header = b"P-Charging-Vector: icid-value=".to_vec();
    header.extend_from_slice(vector.icid);
    if let Some(place) = vector.generated_at {
        header.extend_from_slice(b";icid-generated-at=");
        header.extend_from_slice(place);
    }
    header.extend_from_slice(format!(";orig-ioi={ioi}\r\n").as_bytes());
    ForkCharging::Shared(header)
}

impl ForkCharging {
    /// What becomes of the charging vector.
    pub fn note(&self) -> Note {
        let name = HeaderName::PChargingVector.as_str();
        match self {
            Self::Absent => Note::left(
                name,
                "the outgoing messages have none: this one is not believed, or the next hop not \
                 trusted (N-4, N-9)",
            ),
            Self::Shared(_) => Note::taken(name, "the identifier is copied: icid_mode=copy (N-4)"),
            Self::Each(_) => Note::taken(name, "every outgoing message has a new one (N-4)"),
        }
    }
}
