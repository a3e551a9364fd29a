//! Rooms and members of the proxies' own module `imc`, taken over as groups.
//!
//! ```text
//! dump, SQLite, PostgreSQL ──► ImcTables ──► Takeover ──► Editor::put_groups
//!                               rows          groups, and what is left out
//! ```
//!
//! Kamailio and OpenSIPS have the same tables: `imc_rooms` (id, name, domain, flag) and `imc_members` (id, username,
//! domain, room, flag), where `room` is the address of the room.

#![forbid(unsafe_code)]

mod imc_error;
mod imc_tables;
mod other_files;
mod sql_dump;
mod sqlite_file;
mod takeover;

pub use imc_error::ImcError;
pub use imc_tables::{ImcTables, Place};
pub use takeover::{LeftOut, Takeover};

/// The largest dump that is read: the two tables with a million members take a tenth of it.
pub const MAX_DUMP_BYTES: usize = 1024 * 1024 * 1024;
