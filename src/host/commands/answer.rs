//! What a command answers: an object of named numbers and texts, an array of such objects, or a fault.

#![forbid(unsafe_code)]

use crate::fanout::Blocked;
use crate::store::edit::EditError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// The answer to a command.
pub type Answer = Result<Value, Fault>;

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// As in HTTP: 400 for what is given wrongly, 404 for what is not there, 409 for what is in the way.
    pub code: u16,
    /// For the administrator, on one line.
    pub text: String,
}

impl Fault {
    /// Parameters that cannot be understood.
    pub fn given(text: impl Into<String>) -> Self {
        Self::of(400, text)
    }

    /// Something that is not there.
    pub fn missing(text: impl Into<String>) -> Self {
        Self::of(404, text)
    }

    /// Something that cannot be done here.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::of(500, text)
    }

    /// Something that cannot be done now.
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self::of(503, text)
    }

    /// Of texts on several lines the first is given, and the number of the others.
    pub fn of(code: u16, text: impl Into<String>) -> Self {
        let mut text = text.into();
        let more = text.lines().count().saturating_sub(1);
        if more > 0 {
            text.truncate(text.find(['\n', '\r']).unwrap_or(text.len()));
            text += &format!(" (and {more} more like this)");
        }
        Self { code, text }
    }

    /// The text in at most so many bytes.
    pub fn shortened(&self, most: usize) -> String {
        const CUT: &str = "...";
        match self.text.len() > most {
            true => {
                let mut end = most - CUT.len();
                while !self.text.is_char_boundary(end) {
                    end -= 1;
                }
                format!("{}{CUT}", &self.text[..end])
            }
            false => self.text.clone(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

impl From<Blocked> for Fault {
    fn from(blocked: Blocked) -> Self {
        Self::unavailable(blocked.to_string())
    }
}

impl From<EditError> for Fault {
    fn from(error: EditError) -> Self {
        Self::of(code(&error), error.to_string())
    }
}

fn code(error: &EditError) -> u16 {
    match error {
        EditError::Malformed(..)
        | EditError::NoGroupUri(_)
        | EditError::NoMemberUri(_)
        | EditError::DisplayName(_)
        | EditError::NoMembersGiven { .. } => 400,
        EditError::NoGroup(..)
        | EditError::NoService(..)
        | EditError::NoMember { .. }
        | EditError::NoConsent { .. } => 404,
        EditError::GroupExists(_)
        | EditError::IsService(_)
        | EditError::ServiceExists(_)
        | EditError::IsGroup(_)
        | EditError::MemberExists { .. }
        | EditError::Ambiguous { .. } => 409,
        EditError::TooManyMembers { .. } => 413,
        EditError::Addresses(all) => all.first().map_or(400, |(_, first)| code(first)),
        EditError::Store(_) | EditError::Replica(_) | EditError::Postgres(_) => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_on_one_line_and_may_be_short() {
        let fault = Fault::given("\"ä\" is none\n\"ö\" is none\nneither");
        assert_eq!(fault.text, "\"ä\" is none (and 2 more like this)");
        assert_eq!(fault.shortened(100), fault.text);
        assert_eq!(fault.shortened(5), "\"...");
        assert_eq!(fault.shortened(6), "\"ä...");
    }
}
