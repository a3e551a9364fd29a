//! What one fork of a message has beside what all of them share (K-5, U-9): little enough to be made
//! when the fork is sent.

use super::group::Group;
use super::own_headers::OwnHeaders;
use crate::sip::history_list::write_own_entry;
use std::borrow::Cow;

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
            write_own_entry(group.address(recipient).unwrap_or_default(), &mut entry);
            entry.len()
        });
        self.headers.longest() + entries.max().unwrap_or_default()
    }

    /// The body of one recipient's fork: the shared one, or that with his own entry in its history,
    /// under the address by which the list names him.
    pub fn body<'b>(&self, shared: &'b [u8], recipient: u32, group: &Group) -> Cow<'b, [u8]> {
        let has_entry = self.with_entry.binary_search(&recipient).is_ok();
        let address = group.address(recipient).filter(|_| has_entry);
        let split = self.entry_at.and_then(|at| shared.split_at_checked(at));
        let Some((address, (before, after))) = address.zip(split) else {
            return Cow::Borrowed(shared);
        };
        let mut body = Vec::with_capacity(shared.len() + address.len() + 64);
        body.extend_from_slice(before);
        write_own_entry(address, &mut body);
        body.extend_from_slice(after);
        Cow::Owned(body)
    }
}
