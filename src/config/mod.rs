//! Every parameter once, from its text to a value of its own type.
//!
//! A row of `table` makes a field of [`Settings`] and an item of [`PARAMETERS`]; the module parameters of the proxies,
//! the parameters of the C interface, docs/parameters.md and the sample configurations all come from these. Whoever
//! decides by a parameter reads its field of [`Settings`].

#![forbid(unsafe_code)]

mod choices;
mod core_socket;
mod db_url;
mod error;
mod feature;
mod parameter;
mod quota;
mod readers;
mod sender_label;
mod table;
#[cfg(test)]
mod tests;
mod trusted_peer;
mod values;

pub use choices::{
    AnonymityPolicy, Away, BadEntry, BccMode, Composing, Durability, ForeignRecipients, ForkFrom,
    ForkPai, FromMismatch, GroupWithList, IcidMode, IdentityMode, LiteralTargets, Nested,
    Notifications, SkipOriginator, TelMode, UnknownGroup, Untagged,
};
pub use core_socket::CoreSocket;
pub use db_url::{DbUrl, PostgresUrl, Tls, Verify};
pub use error::SettingError;
pub use feature::Feature;
pub use parameter::{Group, Needs};
pub use quota::Quota;
pub use sender_label::SenderLabel;
pub use table::{PARAMETERS, Parameter, Settings};
pub use trusted_peer::TrustedPeer;
pub use values::Kind;
