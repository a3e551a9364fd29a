//! `event_route[cimf:delivered]`, `[cimf:undelivered]`, `[cimf:kept]`, `[cimf:expired]` and `[cimf:finished]`: they
//! run in the module's own process, on the fork as it was sent, or would have been.

use super::abi::EVENT_ROUTE;
use super::core::Core;
use super::environment::Environment;
use super::message::Made;
use crate::fanout::Outcome;
use crate::host::abi::SipMsg;
use crate::host::background::{Kind, Report, request};
use crate::host::event_values::Notification;
use crate::host::message::MessageId;
use crate::host::symbol::Missing;
use crate::host::verdict::{Fact, Value};
use std::ffi::CStr;
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The routes that the script has.
#[derive(Clone, Copy)]
pub struct Events {
    delivered: Option<usize>,
    undelivered: Option<usize>,
    kept: Option<usize>,
    expired: Option<usize>,
    finished: Option<usize>,
    environment: Environment,
}

impl Events {
    /// Looks the routes up once, so that a missing one costs nothing.
    pub fn find(core: &Core) -> Result<Self, Missing> {
        let route = |name: &CStr| {
            // SAFETY: the list is a variable of the core, and the name ends with NUL.
            let index = unsafe { (core.route_lookup)(core.event_routes, name.as_ptr()) };
            usize::try_from(index).ok()
        };
        Ok(Self {
            delivered: route(c"cimf:delivered"),
            undelivered: route(c"cimf:undelivered"),
            kept: route(c"cimf:kept"),
            expired: route(c"cimf:expired"),
            finished: route(c"cimf:finished"),
            environment: Environment::find()?,
        })
    }

    /// Whether the script has a route for deliveries.
    pub fn has_delivered(&self) -> bool {
        self.delivered.is_some()
    }

    fn route(&self, kind: Kind) -> Option<usize> {
        match kind {
            Kind::Delivered => self.delivered,
            Kind::Undelivered => self.undelivered,
            Kind::Kept => self.kept,
            Kind::Expired => self.expired,
            Kind::Finished => self.finished,
        }
    }

    /// Runs the route for a report, if the script has one.
    pub fn run(&self, core: &Core, server_name: &str, report: &Report<'_>) {
        let Some(route) = self.route(report.kind) else {
            return;
        };
        // SAFETY: the index is in the list, which does not change once the script has been read.
        let actions = unsafe { *(*core.event_routes).routes.add(route) };
        if actions.is_null() {
            return;
        }
        let bytes = match &report.fork() {
            Some(fork) => request(fork, server_name),
            None => placeholder(server_name),
        };
        let Some(mut made) = Made::read(core, bytes) else {
            log::error!("Kamailio cannot read the message for an event route, which does not run");
            return;
        };
        // SAFETY: the route is one of the script, and the message lives until it has run.
        unsafe { run_on(core, &self.environment, actions, made.message(), report) };
    }
}

/// The message for a route that concerns no copy. Made for each run: in the one that Kamailio keeps for such purposes
/// the changes of earlier routes remain.
fn placeholder(server_name: &str) -> Vec<u8> {
    format!(
        "OPTIONS sip:cimf@{server_name} SIP/2.0\r\nVia: SIP/2.0/UDP {server_name};branch=z9hG4bK-cimf\r\n\
         From: <sip:cimf@{server_name}>;tag=cimf\r\nTo: <sip:cimf@{server_name}>\r\n\
         Call-ID: cimf@{server_name}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// # Safety
/// `actions` must be a route of the script, and `message` a message.
unsafe fn run_on(
    core: &Core,
    environment: &Environment,
    actions: *mut std::ffi::c_void,
    message: *mut SipMsg,
    report: &Report<'_>,
) {
    // SAFETY: `message` is a message of Kamailio's, as is required above.
    let id = unsafe { MessageId::of(message) };
    *current() = Some((id, of_report(report)));
    // SAFETY: `actions` is a route of the script and `message` a message, as is required above; Kamailio runs its
    // own routes in the same way.
    unsafe {
        environment.apart(EVENT_ROUTE, || {
            (core.run_top_route)(actions, message, null_mut());
        });
    }
    *current() = None;
}

/// The values of `$cimf(…)` in an event route.
fn of_report(report: &Report<'_>) -> Notification {
    Notification {
        message: report.message,
        code: report.outcome().and_then(Outcome::code),
        recipient: report.fork().map(|fork| fork.recipient.to_vec()),
        group: report.group().to_vec(),
        originator: report.originator().to_vec(),
    }
}

/// The report whose route is running in this process.
static CURRENT: Mutex<Option<(MessageId, Notification)>> = Mutex::new(None);

fn current() -> MutexGuard<'static, Option<(MessageId, Notification)>> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `read` with a value of the report whose route runs on `message`, if there is one.
///
/// # Safety
/// `message` must be a message of the host or null.
pub unsafe fn with_notification<T>(
    message: *const SipMsg,
    fact: Fact,
    read: impl FnOnce(Value<'_>) -> T,
) -> Option<T> {
    if message.is_null() {
        return None;
    }
    // SAFETY: `message` is a message of Kamailio's, as is required above.
    let id = unsafe { MessageId::of(message) };
    let current = current();
    let (of, notification) = current.as_ref()?;
    let value = notification.fact(fact).filter(|_| *of == id)?;
    Some(read(value))
}
