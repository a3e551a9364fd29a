//! `event_callback`: the function that is told of events where the site's script is in Lua, Python or another language.

use super::abi::EVENT_ROUTE;
use super::core::{Core, missing};
use super::script_functions::ScriptFunctions;
use crate::host::abi::{SipMsg, Str};
use crate::host::symbol::function;
use std::ffi::{CStr, CString, c_int, c_uint, c_void};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The interval between log lines that say that the script has no such function.
const MISSED: Duration = Duration::from_secs(60);

/// `sr_kemi_route`: the engine, a message, the kind of the route, the function's name and its argument.
type Route =
    unsafe extern "C" fn(*const c_void, *mut SipMsg, c_uint, *const Str, *const Str) -> c_int;

/// The function, and the engine that runs it.
pub struct EventCallback {
    engine: *const c_void,
    route: Route,
    name: CString,
    /// What says whether the script has it, where something does.
    functions: Option<ScriptFunctions>,
    /// When it was last said that the script does not have it.
    missed: Mutex<Option<Instant>>,
}

// SAFETY: the pointer is to a variable of the core, which is not written once the script has been read.
unsafe impl Send for EventCallback {}
// SAFETY: as above.
unsafe impl Sync for EventCallback {}

impl EventCallback {
    /// The function of this name.
    pub fn find(core: &Core, name: &str) -> Result<Self, String> {
        // SAFETY: it has this signature in all known versions.
        let route = unsafe { function(c"sr_kemi_route") }.map_err(missing)?;
        // SAFETY: the function reads a variable of the core.
        let engine = unsafe { (core.sr_kemi_eng_get)() };
        if engine.is_null() {
            return Err(format!(
                "event_callback is \"{name}\", but the script is in Kamailio's own language: expected cfgengine with \
                 \"lua\", \"python\" or the like, or event_callback \"\" and event_route[cimf:...]"
            ));
        }
        // SAFETY: `sr_kemi_eng_t` starts with the name of the engine, which ends with NUL, in all known versions.
        let language = unsafe { CStr::from_ptr(engine.cast()) };
        let name = CString::new(name).map_err(|error| format!("event_callback: {error}"))?;
        Ok(Self {
            engine,
            route,
            name,
            functions: ScriptFunctions::of(language),
            missed: Mutex::new(None),
        })
    }

    /// Says if the script does not have the function, at most once a minute. Kamailio itself calls it in vain then, and
    /// is silent.
    ///
    /// # Safety
    /// To be called in a process of Kamailio's, while no function of the script runs.
    pub unsafe fn look_for_function(&self) {
        let Some(functions) = &self.functions else {
            return;
        };
        // SAFETY: as is required above.
        if unsafe { functions.have(&self.name) } != Some(false) {
            return;
        }
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        if missed.is_some_and(|last| last.elapsed() < MISSED) {
            return;
        }
        *missed = Some(Instant::now());
        log::error!(
            "event_callback is \"{}\", which the script does not have: expected {}; no event is told until it is there",
            self.name.to_string_lossy(),
            functions.place(),
        );
    }

    /// Calls it with the name of an event.
    ///
    /// # Safety
    /// `message` must be a message of Kamailio's, in one of its processes.
    pub unsafe fn call(&self, message: *mut SipMsg, event: &CStr) {
        let (name, event) = (Str::of(self.name.to_bytes()), Str::of(event.to_bytes()));
        // SAFETY: the message is one of Kamailio's, as is required above, and both texts end with NUL, which engines
        // rely on. An engine says by itself what goes wrong within the function, and reads a changed script before it
        // calls.
        unsafe {
            (self.route)(self.engine, message, EVENT_ROUTE, &name, &event);
            self.look_for_function();
        }
    }
}
