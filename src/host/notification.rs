//! What `$cimf(…)` says outside of the route of requests: of the copy that is being sent, in
//! `event_route[tm:local-request]` and `local_route`, or of the one whose outcome is told.

#![forbid(unsafe_code)]

use super::verdict::{Fact, Value};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What is told of a copy, or of a whole message.
pub struct Told {
    /// The number of the message.
    pub message: u64,
    /// The final response, where there is one.
    pub code: Option<u16>,
    /// Whose copy it is; nothing for a whole message.
    pub recipient: Option<Vec<u8>>,
    /// The address of the group or service.
    pub group: Vec<u8>,
    /// The originator's address.
    pub originator: Vec<u8>,
}

impl Told {
    /// One fact; `None` where there is none.
    pub fn fact(&self, fact: Fact) -> Option<Value<'_>> {
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

/// Whether the script has such a variable, so that somebody may ask while a copy is sent. Scripts without
/// one pay nothing for it.
static IS_ASKED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The copy that this process is handing to the proxy.
    static IN_HAND: RefCell<Option<Told>> = const { RefCell::new(None) };
}

/// Notes that the script has such a variable.
pub fn will_be_asked() {
    IS_ASKED.store(true, Relaxed);
}

/// Whether anybody may ask.
pub fn is_asked() -> bool {
    IS_ASKED.load(Relaxed)
}

/// Calls `send` while what is told of the copy may be asked for: a route of the script may run for it.
pub fn in_hand<T>(told: Option<Told>, send: impl FnOnce() -> T) -> T {
    let Some(told) = told else {
        return send();
    };
    IN_HAND.set(Some(told));
    let _none_afterwards = NoneAfterwards;
    send()
}

/// Forgets the copy, even where a panic ends the sending.
struct NoneAfterwards;

impl Drop for NoneAfterwards {
    fn drop(&mut self) {
        IN_HAND.set(None);
    }
}

/// Calls `read` with a fact of the copy that is being sent, if one is.
pub fn with_copy_in_hand<T>(fact: Fact, read: impl FnOnce(Value<'_>) -> T) -> Option<T> {
    IN_HAND.with_borrow(|told| told.as_ref()?.fact(fact).map(read))
}
