//! Start and stop of the module, as far as they are the same in every proxy.

#![forbid(unsafe_code)]

use super::figures::log_unfinished;
use super::listeners::{Listener, warn_of_own_addresses};
use super::local_addresses::local_addresses;
use super::parameters::SETTINGS;
use super::replica;
use crate::fanout::{Engine, FreeMemory, ProxyMemory};
use crate::server::Server;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether the start got as far as the workers, so that there is something to stop.
static STARTED: AtomicBool = AtomicBool::new(false);

/// The proxy's shared memory, which the transactions of copies use.
pub struct TransactionMemory {
    /// Size of the proxy's shared memory in bytes.
    pub shared: u64,
    /// Bytes used by the transaction of a copy of usual length.
    pub transaction: u64,
    /// Reads how much of it is free, or why that is unknown.
    pub free: Result<Box<dyn FreeMemory>, String>,
}

/// Checks parameters and database, and creates the shared state of the workers, before they are forked.
pub fn prepare(memory: TransactionMemory) -> Result<&'static Server, String> {
    let settings = SETTINGS.lock().unwrap_or_else(PoisonError::into_inner);
    let age = replica::prepare(&settings)?;
    let server = Server::open(&settings).map_err(|error| error.to_string())?;
    if let Some(age) = age {
        server.decider().groups_age().confirm(age);
    }
    // Never freed: the proxy reads its counters until the process ends.
    let server: &'static Server = Box::leak(Box::new(server));
    // `tm_memory`, or half of the shared memory.
    let bytes = match settings.tm_memory {
        0 => memory.shared / 2,
        mebibytes => u64::from(mebibytes) << 20,
    };
    let limit = bytes / memory.transaction;
    let engine = server.outbox().engine();
    engine.set_transaction_limit(usize::try_from(limit).unwrap_or(usize::MAX));
    if settings.memory_reserve > 0 {
        leave_memory(engine, memory, settings.memory_reserve);
    }
    Ok(server)
}

/// Reserves this percentage of the proxy's shared memory, which copies must leave free.
fn leave_memory(engine: &Engine, memory: TransactionMemory, reserve: u32) {
    let whole = memory.shared;
    let free = memory.free.and_then(|free| match free.bytes() {
        bytes if (1..=whole).contains(&bytes) => Ok(free),
        bytes => Err(format!("{bytes} bytes are reported to be free of {whole}")),
    });
    match free {
        Ok(free) => engine.leave_memory(ProxyMemory {
            free,
            whole,
            reserve: whole / 100 * u64::from(reserve),
            transaction: memory.transaction,
        }),
        Err(error) => log::warn!(
            "memory_reserve={reserve} has no effect: {error}. The transactions of copies are bounded by tm_memory \
             alone; where copies come back to this proxy, set it to a quarter of -m"
        ),
    }
}

/// Checks, with the permissions of the workers, that database and ledger can be opened. The last step
/// before the workers are forked; returns whether they may be. `listeners` are the proxy's sockets, if
/// they could be read.
pub fn check_as_worker(server: &Server, listeners: Option<&[Listener]>) -> bool {
    match listeners {
        Some(listeners) => {
            warn_of_own_addresses(server.decider().policy(), listeners, &local_addresses());
        }
        None => log::warn!(
            "the proxy's listeners are unknown: not checked whether trusted_peers includes one of their addresses"
        ),
    }
    let checked = server
        .decider()
        .check_database()
        .map_err(|error| error.to_string())
        .and_then(|()| server.open_ledger().map_err(|error| error.to_string()));
    match checked {
        Ok(()) => {
            STARTED.store(true, Relaxed);
            true
        }
        Err(error) => {
            log::error!("{error}");
            false
        }
    }
}

/// Logs what a stop leaves unfinished, and checkpoints the database into one file, after the workers
/// have ended.
pub fn stop(server: &Server) {
    if !STARTED.load(Relaxed) {
        return;
    }
    log_unfinished(server);
    if let Err(error) = server.decider().tidy_database() {
        log::warn!("{error}");
    }
}
