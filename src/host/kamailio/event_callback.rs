//! `event_callback`: the function that is told of events where the site's script is in Lua, Python or another language.

use super::abi::EVENT_ROUTE;
use super::core::missing;
use crate::host::abi::{SipMsg, Str};
use crate::host::symbol::function;
use std::ffi::{CStr, CString, c_int, c_uint, c_void};

/// `sr_kemi_route`: the engine, a message, the kind of the route, the function's name and its argument.
type Route =
    unsafe extern "C" fn(*const c_void, *mut SipMsg, c_uint, *const Str, *const Str) -> c_int;

/// The function, and the engine that runs it.
pub struct EventCallback {
    engine: *const c_void,
    route: Route,
    name: CString,
}

// SAFETY: the pointer is to a variable of the core, which is not written once the script has been read.
unsafe impl Send for EventCallback {}
// SAFETY: as above.
unsafe impl Sync for EventCallback {}

impl EventCallback {
    /// The function of this name.
    pub fn find(name: &str) -> Result<Self, String> {
        type Engine = unsafe extern "C" fn() -> *const c_void;
        // SAFETY: both have these signatures in all known versions.
        let found = unsafe {
            function::<Engine>(c"sr_kemi_eng_get").and_then(|engine| {
                let route = function(c"sr_kemi_route")?;
                Ok((engine(), route))
            })
        };
        let (engine, route) = found.map_err(missing)?;
        if engine.is_null() {
            return Err(format!(
                "event_callback is \"{name}\", but the script is in Kamailio's own language: expected cfgengine with \
                 \"lua\", \"python\" or the like, or event_callback \"\" and event_route[cimf:...]"
            ));
        }
        let name = CString::new(name).map_err(|error| format!("event_callback: {error}"))?;
        Ok(Self {
            engine,
            route,
            name,
        })
    }

    /// Calls it with the name of an event.
    ///
    /// # Safety
    /// `message` must be a message of Kamailio's, in one of its processes.
    pub unsafe fn call(&self, message: *mut SipMsg, event: &CStr) {
        let (name, event) = (Str::of(self.name.to_bytes()), Str::of(event.to_bytes()));
        // SAFETY: the message is one of Kamailio's, as is required above, and both texts end with NUL, which engines
        // rely on. An engine says by itself what goes wrong.
        unsafe { (self.route)(self.engine, message, EVENT_ROUTE, &name, &event) };
    }
}
