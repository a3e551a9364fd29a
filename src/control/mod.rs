//! The controlling function of the OMA change request, clause 7.5: the checks in their order, the
//! members, and the content of the requests that go out.
//!
//! It does no I/O of its own. What it needs from outside are the traits [`Directory`],
//! [`Identifiers`] and [`RecentRequests`], and the time.

#![forbid(unsafe_code)]

pub mod access;
mod anonymity;
mod anonymous_body;
mod breadth;
pub mod capabilities;
pub mod charging;
pub mod checks;
mod claim;
mod content;
pub mod conversation;
pub mod copying;
pub mod date_time;
pub mod decision;
mod delivery;
pub mod directory;
mod draft;
mod essentials;
mod expiry;
mod failure;
pub mod group;
mod history;
pub mod identifiers;
#[cfg(test)]
mod list_numbers;
#[cfg(test)]
mod list_properties;
mod list_search;
#[cfg(test)]
mod list_tests;
pub mod lists;
mod nesting;
mod notification;
pub mod observer;
mod originator;
pub mod own_content;
pub mod own_headers;
mod passage;
mod payload;
pub mod policy;
mod preferences;
pub mod procedure;
pub mod reach;
pub mod recent;
mod recipients;
pub mod recognition;
pub mod refusal;
mod request_checks;
pub mod rules;
pub mod size;
mod structure;
#[cfg(test)]
mod tests;
pub mod trust;
mod unread;

pub use crate::sip::Transport;
pub use access::{Objection, ServiceAcl};
pub use capabilities::Inquiry;
pub use checks::Check;
pub use decision::{Accepted, Answer, Decision, Ended, Fork, Recipient, Shared};
pub use directory::{Directory, Service, Target, Unavailable};
pub use group::{Addressing, Group};
pub use identifiers::{Identifiers, Token};
pub use observer::{Note, Observer, Record, Unobserved, Use};
pub use policy::Policy;
pub use procedure::World;
pub use reach::Reach;
pub use recent::{Arrival, Circulating, Receipt, RecentRequests, RequestKey};
pub use recognition::{NotOurs, Recognised, recognise, recognise_observed};
pub use refusal::{Reason, Refusal};
pub use rules::{Asker, Permissions, Rules, Ruleset};
pub use trust::Source;
