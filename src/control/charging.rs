//! P-Charging-Vector: what answers and forks say of charging, N-4, RFC 7315 §4.6 and §5.6.
//!
//! A message without one is answered, and sent on, without one.

use super::observer::Note;
use super::policy::Policy;
use super::trust_domain::TrustDomain;
use super::world::Source;
use crate::config::IcidMode;
use crate::sip::charging_vector::ChargingVector;
use crate::sip::{HeaderName, Request};

/// What stands before the identifier of each fork.
pub(super) const FORK_START: &[u8] = b"P-Charging-Vector: icid-value=\"";

/// What stands before the identifier of a message where that is written again, its quotes included.
const START: &[u8] = b"P-Charging-Vector: icid-value=";

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

/// The one vector of the request, if it can be read.
pub(super) fn received<'m>(request: &Request<'m>) -> Option<ChargingVector<'m>> {
    let mut rows = request.rows(HeaderName::PChargingVector);
    let row = rows.next().filter(|_| rows.next().is_none())?;
    ChargingVector::parse(row).ok()
}

/// Writes the vector of the answer with its CRLF, whatever the answer is; nothing where nobody who is
/// believed has `received` one.
pub(super) fn write_of_answer(
    received: Option<&ChargingVector<'_>>,
    policy: &Policy,
    source: &Source<'_>,
    out: &mut Vec<u8>,
) {
    let Some(vector) = received.filter(|_| policy.trusts(source)) else {
        return;
    };
    let ioi = policy.settings.ioi().as_bytes();
    let orig_ioi = vector.orig_ioi.unwrap_or_default();
    out.reserve(START.len() + vector.icid.len() + orig_ioi.len() + ioi.len() + 32);
    out.extend_from_slice(START);
    out.extend_from_slice(vector.icid);
    if vector.orig_ioi.is_some() {
        out.extend_from_slice(b";orig-ioi=");
        out.extend_from_slice(orig_ioi);
    }
    out.extend_from_slice(b";term-ioi=");
    out.extend_from_slice(ioi);
    out.extend_from_slice(b"\r\n");
}

/// The vector of the forks: we originate them, so the identifier and `orig-ioi` are ours.
pub(super) fn of_forks(
    received: Option<&ChargingVector<'_>>,
    trust_domain: &TrustDomain<'_, '_>,
) -> ForkCharging {
    let Some(vector) = received.filter(|_| trust_domain.is_inside()) else {
        return ForkCharging::Absent;
    };
    let policy = trust_domain.policy;
    let ioi = policy.settings.ioi().as_bytes();
    if policy.settings.icid_mode == IcidMode::New {
        let name = policy.settings.server_name().as_bytes();
        let pieces = [b"\";icid-generated-at=", name, b";orig-ioi=", ioi, b"\r\n"];
        return ForkCharging::Each(pieces.concat());
    }
    let (generated_at, place) = match vector.generated_at {
        Some(place) => (&b";icid-generated-at="[..], place),
        None => (&b""[..], &b""[..]),
    };
    let identifier = [START, vector.icid, generated_at, place];
    let header = [&identifier[..], &[b";orig-ioi=", ioi, b"\r\n"]].concat();
    ForkCharging::Shared(header.concat())
}

impl ForkCharging {
    /// What becomes of the charging vector.
    pub fn note(&self) -> Note {
        let name = HeaderName::PChargingVector.as_str();
        match self {
            Self::Absent => Note::left(
                name,
                "the copies have none: this one is not believed, or the next hop not \
                 trusted (N-4, N-9)",
            ),
            Self::Shared(_) => Note::taken(name, "the identifier is copied: icid_mode=copy (N-4)"),
            Self::Each(_) => Note::taken(name, "every copy has a new one (N-4)"),
        }
    }
}
