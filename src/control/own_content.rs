//! What one fork of a message has beside what all of them share (K-5, U-9): little enough to be made
//! when the fork is sent.

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
    /// The most bytes that a fork to `address` may have of its own.
    pub(super) fn longest(&self, address: &[u8]) -> usize {
        let mut entry = Vec::new();
        if !self.with_entry.is_empty() {
            write_own_entry(address, &mut entry);
        }
        self.headers.longest() + entry.len()
    }

    /// Whether a recipient finds an entry of himself in the body.
    pub fn has_entry(&self, recipient: u32) -> bool {
        self.entry_at.is_some() && self.with_entry.binary_search(&recipient).is_ok()
    }
}
