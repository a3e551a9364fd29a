//! Every parameter once.
//!
//! The module parameters of the proxies, the parameters of the C interface and the table in
//! docs/parameters.md all come from [`PARAMETERS`].

#![forbid(unsafe_code)]

mod choices;
mod error;
mod parameter;
mod settings;
mod table;
#[cfg(test)]
mod tests;

pub use choices::{
    Composing, ForeignRecipients, ForkFrom, FromMismatch, GroupWithList, IdentityMode,
    Notifications, SkipOriginator, UnknownGroup, Untagged,
};
pub use error::SettingError;
pub use parameter::{Kind, Parameter};
pub use settings::Settings;
pub use table::{PARAMETERS, markdown_table, queue_parameters};
