//! The values of `$cimf(…)` outside of the request route: about the copy being sent, in
//! `event_route[tm:local-request]` and `local_route`, or about the one whose outcome is reported.

#![forbid(unsafe_code)]

use super::verdict::{Fact, Value};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The data about a copy, or about a whole message.
pub struct Notification {
    /// The number of the message.
    pub message: u64,
    /// The status code of the final response, if there is one.
    pub code: Option<u16>,
    /// The recipient of the copy; `None` for a whole message.
    pub recipient: Option<Vec<u8>>,
    /// The address of the group or service.
    pub group: Vec<u8>,
    /// The originator's address.
    pub originator: Vec<u8>,
}

impl Notification {
    /// The value of a variable; `None` if it has none here.
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

/// Whether the script uses such a variable. Scripts that do not are spared the cost while copies are
/// sent.
static IS_ASKED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The copy that this process is currently sending.
    static IN_HAND: RefCell<Option<Notification>> = const { RefCell::new(None) };
}

/// Records that the script uses such a variable.
pub fn will_be_asked() {
    IS_ASKED.store(true, Relaxed);
}

/// Whether the script uses such a variable.
pub fn is_asked() -> bool {
    IS_ASKED.load(Relaxed)
}

/// Calls `send` with the data of the copy available to variables: a route of the script may run
/// meanwhile.
pub fn in_hand<T>(notification: Option<Notification>, send: impl FnOnce() -> T) -> T {
    let Some(notification) = notification else {
        return send();
    };
    IN_HAND.set(Some(notification));
    let _none_afterwards = NoneAfterwards;
    send()
}

/// Clears the data, even if sending panics.
struct NoneAfterwards;

impl Drop for NoneAfterwards {
    fn drop(&mut self) {
        IN_HAND.set(None);
    }
}

/// Calls `read` with the value for the copy being sent, if any.
pub fn with_copy_in_hand<T>(fact: Fact, read: impl FnOnce(Value<'_>) -> T) -> Option<T> {
    IN_HAND.with_borrow(|notification| notification.as_ref()?.fact(fact).map(read))
}
