//! `event_route[cimf:delivered]`, `[cimf:undelivered]`, `[cimf:kept]`, `[cimf:expired]` and `[cimf:finished]`, or the
//! function that `event_callback` names: they run in the module's own process, on the fork as it was sent, or would have
//! been.

use super::abi::EVENT_ROUTE;
use super::core::{Core, missing};
use super::environment::Environment;
use super::event_callback::EventCallback;
use super::message::Made;
use crate::config::Settings;
use crate::fanout::Outcome;
use crate::host::abi::SipMsg;
use crate::host::background::{Kind, Report, request};
use crate::host::event_values::Notification;
use crate::host::message::MessageId;
use crate::host::verdict::{Fact, Value};
use std::ffi::{CStr, c_void};
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The event routes that the script has, and what is called in their place.
pub struct Events {
    delivered: Option<usize>,
    undelivered: Option<usize>,
    kept: Option<usize>,
    expired: Option<usize>,
    finished: Option<usize>,
    callback: Option<EventCallback>,
    environment: Environment,
}

/// What is told of an event.
enum Receiver<'e> {
    /// An event route, by its actions.
    Route(*mut c_void),
    Function(&'e EventCallback),
}

impl Events {
    /// Looks the routes up once, so that a missing one costs nothing.
    pub fn find(core: &Core, settings: &Settings) -> Result<Self, String> {
        let route = |kind| {
            // SAFETY: the list is a variable of the core, and the name ends with NUL.
            let index = unsafe { (core.route_lookup)(core.event_routes, name(kind).as_ptr()) };
            usize::try_from(index).ok()
        };
        let callback = match settings.event_callback.as_str() {
            "" => None,
            name => Some(EventCallback::find(core, name)?),
        };
        Ok(Self {
            delivered: route(Kind::Delivered),
            undelivered: route(Kind::Undelivered),
            kept: route(Kind::Kept),
            expired: route(Kind::Expired),
            finished: route(Kind::Finished),
            callback,
            environment: Environment::find().map_err(missing)?,
        })
    }

    /// Says if the function that `event_callback` names is missing, before there is anything to tell.
    pub fn look_for_function(&self) {
        if let Some(callback) = &self.callback {
            // SAFETY: this is a process of Kamailio's which has read the script, and runs nothing of it.
            unsafe { callback.look_for_function() };
        }
    }

    /// Whether the script is told of deliveries.
    pub fn has_delivered(&self) -> bool {
        self.callback.is_some() || self.delivered.is_some()
    }

    /// What the script has for an event, if anything.
    fn receiver(&self, core: &Core, kind: Kind) -> Option<Receiver<'_>> {
        if let Some(callback) = &self.callback {
            return Some(Receiver::Function(callback));
        }
        let route = match kind {
            Kind::Delivered => self.delivered,
            Kind::Undelivered => self.undelivered,
            Kind::Kept => self.kept,
            Kind::Expired => self.expired,
            Kind::Finished => self.finished,
        }?;
        // SAFETY: the index is in the list, which does not change once the script has been read.
        let actions = unsafe { *(*core.event_routes).routes.add(route) };
        (!actions.is_null()).then_some(Receiver::Route(actions))
    }

    /// Tells the script of a report, if it wants to be told.
    pub fn run(&self, core: &Core, server_name: &str, report: &Report<'_>) {
        let Some(receiver) = self.receiver(core, report.kind) else {
            return;
        };
        let bytes = match &report.fork() {
            Some(fork) => request(fork, server_name),
            None => placeholder(server_name),
        };
        let Some(mut made) = Made::read(core, bytes) else {
            log::error!("Kamailio cannot read the message for an event route, which does not run");
            return;
        };
        let message = made.message();
        // SAFETY: `message` is a message of Kamailio's.
        let id = unsafe { MessageId::of(message) };
        *current() = Some((id, of_report(report)));
        // SAFETY: the actions are those of a route of the script, and the message lives until it has run; Kamailio runs
        // its own routes in the same way.
        unsafe {
            self.environment.apart(EVENT_ROUTE, || match receiver {
                Receiver::Route(actions) => {
                    (core.run_top_route)(actions, message, null_mut());
                }
                Receiver::Function(callback) => callback.call(message, name(report.kind)),
            });
        }
        *current() = None;
    }
}

/// The name of an event.
fn name(kind: Kind) -> &'static CStr {
    match kind {
        Kind::Delivered => c"cimf:delivered",
        Kind::Undelivered => c"cimf:undelivered",
        Kind::Kept => c"cimf:kept",
        Kind::Expired => c"cimf:expired",
        Kind::Finished => c"cimf:finished",
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
