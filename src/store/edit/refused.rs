//! Given addresses that are refused: all of them are told at once.

use super::address::{checked_name, member_uri};
use super::error::EditError;
use super::members_change::NewMember;
use crate::sip::uri::Uri;

/// Checks addresses and names of members as they are checked when they are added.
///
/// # Errors
///
/// Nothing can be sent to an address, or a name is unprintable: all of them are told.
pub fn check_members<'a>(
    members: impl IntoIterator<Item = NewMember<'a>>,
) -> Result<(), EditError> {
    let mut refused = Refused::default();
    for (at, member) in members.into_iter().enumerate() {
        refused.checked(at, member);
    }
    refused.finish()
}

/// Which of the given addresses are refused, and why.
#[derive(Default)]
pub(super) struct Refused(Vec<(usize, EditError)>);

impl Refused {
    /// The address of the member that was given as number `at`, unless it or its name is refused.
    pub fn checked<'a>(&mut self, at: usize, member: NewMember<'a>) -> Option<Uri<'a>> {
        let named = member.name.map(checked_name).transpose();
        self.unless(at, named.and_then(|_| member_uri(member.address)))
    }

    pub fn push(&mut self, at: usize, reason: EditError) {
        self.0.push((at, reason));
    }

    /// What was found of number `at`, unless it is refused.
    pub fn unless<T>(&mut self, at: usize, found: Result<T, EditError>) -> Option<T> {
        found.map_err(|reason| self.push(at, reason)).ok()
    }

    /// Fails if any was refused.
    pub fn finish(self) -> Result<(), EditError> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(EditError::Addresses(self.0)),
        }
    }
}
