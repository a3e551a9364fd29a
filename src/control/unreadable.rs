//! What the standard has copied and this function cannot read: it is left out of the forks, and the log
//! says so.

use super::accepted::Accepted;
use super::caller_preferences;
use super::expires::date;
use super::policy::Policy;
use super::world::Source;
use crate::sip::charging_vector::ChargingVector;
use crate::sip::text::Printable;
use crate::sip::{HeaderName, Request};

/// Tells of every such header field of an accepted message, in one line each; `charging` is what could be
/// read of charging.
pub(super) fn tell(
    request: &Request<'_>,
    charging: Option<&ChargingVector<'_>>,
    accepted: &Accepted<'_>,
    policy: &Policy,
    source: &Source<'_>,
) {
    let tell = |name: HeaderName, why: &dyn std::fmt::Display| {
        log::info!(
            "{} is not copied: {why} (originator=<{}> group=<{}>)",
            name.as_str(),
            Printable(&accepted.originator),
            accepted.group.uri(),
        );
    };
    let name = HeaderName::PChargingVector;
    let mut rows = request.rows(name);
    let row = rows.next().filter(|_| charging.is_none());
    // Nobody has asked what others say of charging.
    if let Some(row) = row.filter(|_| policy.trusts(source)) {
        match (ChargingVector::parse(row), rows.next()) {
            (_, Some(_)) => tell(name, &"expected one such header, found more"),
            (Err(error), None) => tell(name, &error),
            (Ok(_), None) => {}
        }
    }
    let name = HeaderName::Date;
    if request
        .value(name)
        .is_some_and(|value| date(value).is_none())
    {
        tell(
            name,
            &"expected a date such as `Sun, 22 Nov 2026 16:00:00 GMT`",
        );
    }
    if let Some(error) = caller_preferences::unreadable(request, policy) {
        tell(HeaderName::AcceptContact, &error);
    }
}
