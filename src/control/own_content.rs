//! What one fork of a message has beside what all of them share (K-5, U-9): little enough to be made
//! when the fork is sent.

use super::group::Group;
use super::own_headers::OwnHeaders;
use crate::sip::history_list::write_own_entry;

/// What single forks have of their own.
#[derive(Debug, Default)]
pub struct OwnContent {
    /// Header fields from the URIs of entries.
    pub headers: OwnHeaders,
    /// Where in the shared body the own entry of a recipient stands, if anybody has one.
    pub entry_at: Option<usize>,
    /// The recipients who have one, sorted.
    pub with_entry: Vec<u32>,
}

impl OwnContent {
    /// The most bytes that any fork has of its own.
    pub(super) fn longest(&self, group: &Group) -> usize {
        let mut entry = Vec::new();
        let entries = self.with_entry.iter().map(|&recipient| {
            entry.clear();
            write_own_entry(group.recipient(recipient).unwrap_or_default(), &mut entry);
            entry.len()
        });
        self.headers.longest() + entries.max().unwrap_or_default()
    }

    /// Whether a recipient finds an entry of himself in the body.
    pub fn has_entry(&self, recipient: u32) -> bool {
        self.entry_at.is_some() && self.with_entry.binary_search(&recipient).is_ok()
    }
}
