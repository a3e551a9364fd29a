//! The controlling function of the OMA change request, clause 7.5: the checks in their order, the
//! members, and the content of the requests that go out.
//!
//! It does no I/O of its own. What it needs from outside are the traits [`Directory`],
//! [`Identifiers`] and [`RecentRequests`], and the time.

#![forbid(unsafe_code)]

pub mod accepted;
pub mod access;
pub mod addressing;
mod anonymity;
mod anonymous_body;
mod anonymous_headers;
mod body_part;
mod caller_preferences;
pub mod capabilities;
pub mod charging;
mod check_reasons;
pub mod checks;
mod claim;
mod copy_identifiers;
pub mod copying;
pub mod date_time;
pub mod decision;
mod delivery;
pub mod directory;
mod draft;
mod expires;
mod failure;
pub mod fork;
pub mod from_group;
mod from_header;
pub mod group;
pub mod identifiers;
#[cfg(test)]
mod list_numbers;
#[cfg(test)]
mod list_properties;
mod list_search;
#[cfg(test)]
mod list_tests;
mod loops;
mod mandatory_headers;
mod max_breadth;
pub mod member_list;
mod mime_headers;
mod nested_groups;
pub mod next_hop_capabilities;
mod notification;
pub mod observer;
mod originator;
pub mod own_content;
mod payload;
pub mod permissions;
pub mod policy;
pub mod procedure;
pub mod reason_table;
mod recipient_list_history;
mod recipients;
pub mod recognition;
pub mod refusal;
mod request_checks;
pub mod request_memory;
pub mod rules;
pub mod ruleset;
pub mod service_acl;
mod shared_headers;
pub mod size;
mod skip_originator;
#[cfg(test)]
mod tests;
mod trust_domain;
mod unreadable;
pub mod uri_headers;
pub mod world;

pub use crate::sip::Transport;
pub use accepted::{Accepted, Recipient, Summary};
pub use access::Objection;
pub use addressing::Addressing;
pub use capabilities::Inquiry;
pub use check_reasons::Reason;
pub use checks::Check;
pub use copy_identifiers::{CopyIdentifiers, WORDS as IDENTIFIER_WORDS};
pub use decision::{Answer, Decision, Ended, Undecided};
pub use directory::{Directory, Target, Unavailable, UriListService};
pub use fork::{Copies, Fork, Own, Shared};
pub use from_header::{FromHeader, UriPlace};
pub use group::Group;
pub use identifiers::{Identifiers, Token};
pub use next_hop_capabilities::NextHopCapabilities;
pub use observer::{Note, Observer, Record, Unobserved, Use};
pub use permissions::Permissions;
pub use policy::Policy;
pub(crate) use reason_table::refusal_reasons;
pub use reason_table::{RefusalReason, Row};
pub use recognition::{NotOurs, Recognised, is_message, recognise, recognise_observed};
pub use refusal::Refusal;
pub use request_memory::{Arrival, Circulating, Receipt, RecentRequests, RequestKey};
pub use rules::{Asker, Rules};
pub use ruleset::Ruleset;
pub use service_acl::ServiceAcl;
pub use world::Source;
pub use world::World;
