//! Wire types: a borrowed view of a request and of the header fields that the decision needs.
//!
//! Nothing here reads a clock, a file or the network, and no input causes a panic. A syntax error gives
//! a [`Malformed`] that says where.

#![forbid(unsafe_code)]

pub mod accept_contact;
pub mod address_text;
pub mod byte_set;
pub mod charging_vector;
pub mod credentials;
pub mod escape;
pub mod header;
pub mod history_list;
pub mod identity;
pub mod lines;
pub mod list_error;
pub mod malformed;
pub mod media_type;
pub mod message;
pub mod multipart;
pub mod name_addr;
pub mod number;
pub mod part_headers;
pub mod privacy;
pub mod resource_list;
pub mod tel;
pub mod tel_conversion;
pub mod text;
pub mod transfer;
pub mod transport;
pub mod uri;
pub mod uri_equality;
mod uri_parameters;
pub mod xml;
pub mod xml_text;

pub use header::HeaderName;
pub use malformed::Malformed;
pub use message::Request;
pub use name_addr::NameAddr;
pub use transport::Transport;
pub use uri::{SipUri, Uri};
