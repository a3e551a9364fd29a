//! What is wrong with a parameter.

use super::db_url::without_password;
use std::fmt;

/// A parameter that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// The parameter, or the name that is none.
    pub parameter: String,
    /// The value as given.
    pub value: String,
    /// What was expected.
    pub expected: String,
}

impl SettingError {
    /// The error of a known parameter.
    pub fn new(parameter: &str, value: &str, expected: impl Into<String>) -> Self {
        Self {
            parameter: parameter.to_owned(),
            // That of a database may have a password in it.
            value: without_password(value),
            expected: expected.into(),
        }
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            parameter,
            value,
            expected,
        } = self;
        let value = value.escape_debug();
        write!(
            f,
            "parameter {parameter}: expected {expected}, found \"{value}\""
        )
    }
}

impl std::error::Error for SettingError {}
