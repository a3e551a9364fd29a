//! Addresses and names as an administrator gives them: of groups and services, and of members.

use super::error::EditError;
use crate::sip::uri::{Form, Uri};

/// The canonical form of a group's or service's address.
pub(in crate::store) fn group_uri(given: &str) -> Result<String, EditError> {
    match parse(given)? {
        Uri::Sip(sip) if sip.user.is_some() => Ok(Uri::Sip(sip).print(Form::Provisioned)),
        _ => Err(EditError::NoGroupUri(given.to_owned())),
    }
}

/// A member's address, in the form in which it is stored.
pub(super) fn member_uri(given: &str) -> Result<Uri<'_>, EditError> {
    match parse(given)? {
        uri @ (Uri::Sip(_) | Uri::Tel(_)) => Ok(uri.as_address()),
        _ => Err(EditError::NoMemberUri(given.to_owned())),
    }
}

pub(super) fn parse(given: &str) -> Result<Uri<'_>, EditError> {
    Uri::parse(given.as_bytes()).map_err(|error| EditError::Malformed(given.to_owned(), error))
}

/// Checks that a display name is printable and on one line.
pub(super) fn checked_name(name: &str) -> Result<&str, EditError> {
    match name.chars().any(char::is_control) || name.trim().is_empty() {
        true => Err(EditError::DisplayName(name.to_owned())),
        false => Ok(name),
    }
}
