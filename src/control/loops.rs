//! A message that comes back from another server: H-5. The retransmission of a request, or the same one on another path, is
//! another matter (`request_checks`).

use super::accepted::Accepted;
use super::check_reasons::Reason;
use super::checks::Check;
use super::directory::Target;
use super::failure::Failure;
use super::mandatory_headers::MandatoryHeaders;
use super::observer::Observer;
use super::policy::Policy;
use super::request_memory::{Circulating, RecentRequests};
use super::shared_headers::DEFAULT_MAX_FORWARDS;
use super::world::World;

/// The message has not been here with more hops left (H-5).
pub(super) fn check_loop<D, R: RecentRequests>(
    accepted: &Accepted<'_>,
    target: &Target,
    mandatory: &MandatoryHeaders<'_>,
    payload: &[u8],
    policy: &Policy,
    world: &World<'_, D, R>,
    observer: &mut impl Observer,
) -> Result<(), Failure> {
    observer.check(Check::Loop);
    let circulating = Circulating {
        originator: &accepted.originator,
        target: target.uri().as_bytes(),
        payload,
        max_forwards: mandatory.max_forwards.unwrap_or(DEFAULT_MAX_FORWARDS),
    };
    match policy.settings.loop_cache && world.recent.has_come_back(&circulating) {
        true => Err(Reason::Loop.into()),
        false => Ok(()),
    }
}
