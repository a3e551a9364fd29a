//! Group documents: OMA's `list-service` (G-1), resource lists of RFC 4826, rulesets of RFC 4745.
//!
//! Anything in a document that cannot be stored is reported with its line, never silently dropped. What
//! is stored is exported with the same meaning. Documents are untrusted: see [`crate::sip::xml`] for
//! the checks.

#![forbid(unsafe_code)]

mod address;
mod error;
mod escape;
mod group;
mod list;
mod ruleset;
#[cfg(test)]
mod tests;
mod walker;
mod write;
mod xcap;
mod xcap_tree;

pub use error::{DocumentError, Notes};
pub use group::{Document, GroupDocument};
pub use list::{Entry, Item, List, Reference};
pub use ruleset::{read_ruleset, write_ruleset};
pub use write::{Format, Written};
pub use xcap::{Flat, XcapRoot, flatten};
pub use xcap_tree::XcapTree;

/// The longest document that is accepted: a group of 100,000 members with names takes 10 MB.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Namespaces.
mod namespace {
    pub const COMMON_POLICY: &str = "urn:ietf:params:xml:ns:common-policy";
    pub const RESOURCE_LISTS: &str = "urn:ietf:params:xml:ns:resource-lists";
    pub const LIST_SERVICE: &str = "urn:oma:xml:poc:list-service";
    pub const OMA_POLICY: &str = "urn:oma:xml:xdm:common-policy";
    /// Common prefix of OMA's namespaces: its releases moved elements from one to another.
    pub const OMA: &str = "urn:oma:xml:";

    /// Whether it is one of OMA's.
    pub fn is_oma(namespace: &str) -> bool {
        namespace.starts_with(OMA)
    }
}
