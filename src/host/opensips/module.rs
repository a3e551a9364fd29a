//! The state of the module that all processes of OpenSIPS share, made before they are forked.

use super::core::Core;
use super::events::Events;
use super::message::{Layout, SourceReader};
use super::mi::Mi;
use super::tm::Transactions;
use crate::host::commands::Errands;
use crate::host::core_socket::CoreSocket;
use crate::server::Server;
use std::sync::OnceLock;

/// Everything that is the same in all processes, made before they are forked.
pub struct Module {
    pub core: Core,
    pub layout: Layout,
    pub transactions: Transactions,
    pub source: SourceReader,
    pub events: Events,
    pub mi: Mi,
    pub server: &'static Server,
    /// The way to the process that carries out commands about groups.
    pub errands: Errands,
    /// The listener from which copies leave, where the administrator names one.
    pub core_socket: Option<CoreSocket>,
}

static MODULE: OnceLock<Module> = OnceLock::new();

/// Keeps the module, at its start.
pub fn keep(module: Module) {
    let _ = MODULE.set(module);
}

/// The module, once it has started.
pub fn module() -> Option<&'static Module> {
    MODULE.get()
}
