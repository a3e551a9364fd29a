//! Commands for the proxy's management interface, RPC in Kamailio and MI in OpenSIPS: the same ones, with the same answers.
//!
//! ```text
//! kamcmd, FIFO, HTTP ─► kamailio/commands.rs ─┐            ┌─ figures, messages, kept copies, nodes: memory of this process
//!                       opensips/commands.rs ─┴─ command ──┤
//!                                                          └─ groups: errand ─► process cimf groups ─► store::edit
//! ```

mod answer;
mod arguments;
mod command;
mod command_table;
mod errands;
mod group_commands;
mod groups_process;
mod keeper;
pub mod kept_commands;
mod member_commands;
mod member_sets;
mod node_commands;
mod page_arguments;
mod parameter;
mod queue_commands;
mod service_commands;

pub use answer::{Answer, Fault};
pub use command::{Command, Run};
pub use command_table::COMMANDS;
pub(in crate::host) use command_table::of_each_command;
pub use errands::{Errand, Errands};
pub use groups_process::work;
pub use parameter::{Kind, Parameter};
