//! `event_route[cimf:delivered]`, `[cimf:undelivered]` and `[cimf:finished]`: they run in the
//! module's own process, on the fork as it was sent, or would have been.

use super::abi::{EVENT_ROUTE, SIP_MSG_BUF, SIP_MSG_ROOM};
use super::core::Core;
use crate::fanout::Ending;
use crate::host::abi::SipMsg;
use crate::host::background::{Kind, News, request};
use crate::host::message::MessageId;
use crate::host::verdict::{Fact, Value};
use std::ffi::{CStr, c_int};
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The routes that the script has.
#[derive(Clone, Copy)]
pub struct Events {
    delivered: Option<usize>,
    undelivered: Option<usize>,
    finished: Option<usize>,
}

impl Events {
    /// Looks the routes up, once: one that the script does not have costs nothing.
    pub fn find(core: &Core) -> Self {
        let route = |name: &CStr| {
            // SAFETY: the list is a variable of the core, and the name ends with NUL.
            let index = unsafe { (core.route_lookup)(core.event_routes, name.as_ptr()) };
            usize::try_from(index).ok()
        };
        Self {
            delivered: route(c"cimf:delivered"),
            undelivered: route(c"cimf:undelivered"),
            finished: route(c"cimf:finished"),
        }
    }

    /// Whether the script wants to know of each recipient that has got a message.
    pub fn has_delivered(&self) -> bool {
        self.delivered.is_some()
    }

    fn route(&self, kind: Kind) -> Option<usize> {
        match kind {
            Kind::Delivered => self.delivered,
            Kind::Undelivered => self.undelivered,
            Kind::Finished => self.finished,
        }
    }

    /// Runs the route for a piece of news, if the script has one.
    pub fn run(&self, core: &Core, server_name: &str, news: &News<'_>) {
        let Some(route) = self.route(news.kind) else {
            return;
        };
        // SAFETY: the index is one of the list, which nobody changes once the script is read.
        let actions = unsafe { *(*core.event_routes).routes.add(route) };
        if actions.is_null() {
            return;
        }
        match &news.fork() {
            Some(fork) => {
                let mut bytes = request(fork, server_name);
                let length = bytes.len();
                // Kamailio's parser may look at the byte behind the text.
                bytes.push(0);
                let mut room = Box::new(Room {
                    _bytes: [0; SIP_MSG_ROOM / 8],
                });
                let message: *mut SipMsg = std::ptr::from_mut(&mut *room).cast();
                // SAFETY: the room is larger than any known `struct sip_msg`, which Kamailio
                // clears; the bytes live until the message is taken apart again. It would free
                // the bytes too where it had made them, so they are taken out first.
                unsafe {
                    let number = (core.inc_msg_no)();
                    let start = bytes.as_mut_ptr().cast();
                    if (core.build_sip_msg_from_buf)(message, start, length as c_int, number) < 0 {
                        log::error!("Kamailio cannot read a fork, and no event route runs for it");
                        return;
                    }
                    run_on(core, actions, message, news);
                    message
                        .cast::<u8>()
                        .add(SIP_MSG_BUF)
                        .cast::<*mut u8>()
                        .write(null_mut());
                    (core.free_sip_msg)(message);
                }
            }
            // SAFETY: the message is one that Kamailio keeps for such purposes.
            None => unsafe { run_on(core, actions, (core.faked_msg_next)(), news) },
        }
    }
}

/// Room for a `struct sip_msg`, aligned as it has to be.
#[repr(align(16))]
struct Room {
    _bytes: [u64; SIP_MSG_ROOM / 8],
}

/// # Safety
/// `actions` must be a route of the script, and `message` a message.
unsafe fn run_on(
    core: &Core,
    actions: *mut std::ffi::c_void,
    message: *mut SipMsg,
    news: &News<'_>,
) {
    // SAFETY: `message` is a message of Kamailio's, as is required above.
    let id = unsafe { MessageId::of(message) };
    *told() = Some((id, Told::new(news)));
    // SAFETY: the variable is an int of the core; the route is run as Kamailio runs its own.
    unsafe {
        core.set_route(EVENT_ROUTE);
        (core.run_top_route)(actions, message, null_mut());
    }
    *told() = None;
}

/// What `$cimf(…)` says in an event route.
struct Told {
    message: u64,
    code: Option<u16>,
    recipient: Option<Vec<u8>>,
    group: Vec<u8>,
    originator: Vec<u8>,
}

impl Told {
    fn new(news: &News<'_>) -> Self {
        Self {
            message: news.message,
            code: news.ending().and_then(Ending::code),
            recipient: news.fork().map(|fork| fork.recipient.to_vec()),
            group: news.group.to_vec(),
            originator: news.originator.to_vec(),
        }
    }

    fn fact(&self, fact: Fact) -> Option<Value<'_>> {
        match fact {
            Fact::Code => self.code.map(|code| Value::Number(i64::from(code))),
            Fact::Recipient => self.recipient.as_deref().map(Value::Text),
            Fact::Group => Some(Value::Text(&self.group)),
            Fact::Originator => Some(Value::Text(&self.originator)),
            Fact::Id => Some(Value::Number(self.message as i64)),
            Fact::Reason | Fact::Requirement | Fact::Count => None,
        }
    }
}

/// The news whose route is running in this process.
static TOLD: Mutex<Option<(MessageId, Told)>> = Mutex::new(None);

fn told() -> MutexGuard<'static, Option<(MessageId, Told)>> {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `read` with a fact of the news whose route runs on `message`, if there is one.
///
/// # Safety
/// `message` must be a message of the host or null.
pub unsafe fn with_news<T>(
    message: *const SipMsg,
    fact: Fact,
    read: impl FnOnce(Value<'_>) -> T,
) -> Option<T> {
    if message.is_null() {
        return None;
    }
    // SAFETY: `message` is a message of Kamailio's, as is required above.
    let id = unsafe { MessageId::of(message) };
    let told = told();
    let (of, told) = told.as_ref()?;
    let value = told.fact(fact).filter(|_| *of == id)?;
    Some(read(value))
}

// The route's message is looked at by its offsets, which have to be inside the room.
const _: () = assert!(SIP_MSG_BUF + 16 <= SIP_MSG_ROOM);
