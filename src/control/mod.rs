//! The controlling function of the OMA change request, clause 7.5: the checks in their order, the
//! members, and the content of the requests that go out.
//!
//! It does no I/O of its own. What it needs from outside are the traits [`GroupDirectory`],
//! [`Clock`], [`Identifiers`] and [`RecentRequests`].

#![forbid(unsafe_code)]

pub mod clock;
pub mod group;
pub mod identifiers;
pub mod reach;

pub use clock::Clock;
pub use group::{Group, GroupDirectory, Unavailable};
pub use identifiers::{Identifiers, Token};
pub use reach::Reach;
