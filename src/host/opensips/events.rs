//! The events E_CIMF_DELIVERED, E_CIMF_UNDELIVERED, E_CIMF_KEPT, E_CIMF_EXPIRED and E_CIMF_FINISHED, raised in the
//! module's own process for whoever has subscribed: an `event_route` of the script, or a program outside.

use super::abi::{EVI_NUMBER, EVI_TEXT, EviParam, EviParams, EviValue};
use super::core::Core;
use crate::host::abi::Str;
use crate::host::background::{Kind, Report, request};
use std::ffi::{CStr, c_int};
use std::ptr::null_mut;

/// The numbers of the events.
#[derive(Clone, Copy)]
pub struct Events {
    delivered: c_int,
    undelivered: c_int,
    kept: c_int,
    expired: c_int,
    finished: c_int,
}

impl Events {
    /// Makes the events known, before OpenSIPS forks.
    pub fn publish(core: &Core) -> Result<Self, String> {
        let publish = |name: &'static CStr| {
            let text = Str::of(name.to_bytes());
            // An event route of the script may have made it known.
            // SAFETY: the name is constant.
            let number = unsafe {
                match (core.evi_get_id)(&text) {
                    known @ 0.. => known,
                    _ => (core.evi_publish_event)(text),
                }
            };
            if number < 0 {
                return Err(format!(
                    "OpenSIPS refused the event {}",
                    name.to_string_lossy()
                ));
            }
            Ok(number)
        };
        Ok(Self {
            delivered: publish(c"E_CIMF_DELIVERED")?,
            undelivered: publish(c"E_CIMF_UNDELIVERED")?,
            kept: publish(c"E_CIMF_KEPT")?,
            expired: publish(c"E_CIMF_EXPIRED")?,
            finished: publish(c"E_CIMF_FINISHED")?,
        })
    }

    fn number(self, kind: Kind) -> c_int {
        match kind {
            Kind::Delivered => self.delivered,
            Kind::Undelivered => self.undelivered,
            Kind::Kept => self.kept,
            Kind::Expired => self.expired,
            Kind::Finished => self.finished,
        }
    }

    /// Whether the event of deliveries has a subscriber.
    pub fn has_delivered(self, core: &Core) -> bool {
        is_wanted(core, self.delivered)
    }

    /// Raises the event of a report, if there are subscribers.
    pub fn raise(self, core: &Core, server_name: &str, report: &Report<'_>) {
        let event = self.number(report.kind);
        if !is_wanted(core, event) {
            return;
        }
        let fork = report.fork();
        let message = fork.as_ref().map(|fork| request(fork, server_name));
        let mut parameters = Vec::with_capacity(6);
        if let Some(fork) = &fork {
            parameters.push(text(c"recipient", fork.recipient));
        }
        if let Some(ending) = report.outcome() {
            // 0 where nothing was sent, because OpenSIPS logs a warning when a script reads a missing parameter.
            let code = ending.code().unwrap_or_default();
            parameters.push(number(c"code", c_int::from(code)));
        }
        parameters.push(text(c"group", report.group()));
        parameters.push(text(c"originator", report.originator()));
        parameters.push(number(
            c"id",
            c_int::try_from(report.message).unwrap_or(c_int::MAX),
        ));
        if let Some(message) = &message {
            parameters.push(text(c"message", message));
        }
        raise(core, event, &mut parameters);
    }
}

fn is_wanted(core: &Core, event: c_int) -> bool {
    // SAFETY: the function takes the number of an event.
    unsafe { (core.evi_probe_event)(event) > 0 }
}

fn raise(core: &Core, event: c_int, parameters: &mut [EviParam]) {
    let mut next: *mut EviParam = null_mut();
    let mut last = next;
    for parameter in parameters.iter_mut().rev() {
        parameter.next = next;
        next = parameter;
        if last.is_null() {
            last = next;
        }
    }
    let mut list = EviParams {
        flags: 0,
        first: next,
        last,
    };
    // SAFETY: the list and its texts live until the call returns; without a flag OpenSIPS does not
    // free it, and whoever needs it longer makes a copy.
    if unsafe { (core.evi_raise_event)(event, &mut list) } < 0 {
        log::error!("OpenSIPS could not tell a subscriber of an event (evi_raise_event)");
    }
}

fn text(name: &'static CStr, text: &[u8]) -> EviParam {
    EviParam {
        flags: EVI_TEXT,
        value: EviValue {
            text: Str::of(text),
        },
        name: Str::of(name.to_bytes()),
        next: null_mut(),
    }
}

fn number(name: &'static CStr, number: c_int) -> EviParam {
    EviParam {
        flags: EVI_NUMBER,
        value: EviValue { number },
        name: Str::of(name.to_bytes()),
        next: null_mut(),
    }
}
