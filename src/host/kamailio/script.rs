//! The script functions as Kamailio calls them.

use super::abi::AFTER_REQUEST_ROUTE;
use super::core::Core;
use super::message::{Parameter, bytes, prepared_text};
use super::module::module;
use super::request::Request;
use crate::control::Source;
use crate::host::abi::{REQUEST_ROUTE, SipMsg};
use crate::host::commands::kept_commands;
use crate::host::message::MessageId;
use crate::host::request::Call;
use crate::host::script::{self, ScriptRequest, Step};
use crate::host::symbol::function;
use crate::host::verdict::ScriptResult;
use crate::server::Server;
use std::ffi::{c_int, c_uint, c_void};
use std::ptr::null_mut;

/// `cimf_handle()` and `cimf_handle(identity)`.
///
/// # Safety
/// Kamailio calls it with the request it is handling and the parameter that [`fix_identity`] made,
/// or null.
pub unsafe extern "C" fn cimf_handle(
    message: *mut SipMsg,
    identity: *mut c_void,
    _: *mut c_void,
) -> c_int {
    // SAFETY: Kamailio calls this with the request it is handling and the parameter, as `# Safety` says.
    unsafe { run(Step::Handle, message, identity) }
}

/// `cimf_check()` and `cimf_check(identity)`.
///
/// # Safety
/// As for [`cimf_handle`].
pub unsafe extern "C" fn cimf_check(
    message: *mut SipMsg,
    identity: *mut c_void,
    _: *mut c_void,
) -> c_int {
    // SAFETY: Kamailio calls this with the request it is handling and the parameter, as `# Safety` says.
    unsafe { run(Step::Check, message, identity) }
}

/// `cimf_reply()`.
///
/// # Safety
/// Kamailio calls it with the request it is handling.
pub unsafe extern "C" fn cimf_reply(message: *mut SipMsg, _: *mut c_void, _: *mut c_void) -> c_int {
    // SAFETY: Kamailio calls this with the request it is handling and the parameter, as `# Safety` says.
    unsafe { run(Step::Reply, message, null_mut()) }
}

/// `cimf_fork()`.
///
/// # Safety
/// Kamailio calls it with the request it is handling.
pub unsafe extern "C" fn cimf_fork(message: *mut SipMsg, _: *mut c_void, _: *mut c_void) -> c_int {
    // SAFETY: Kamailio calls this with the request it is handling and the parameter, as `# Safety` says.
    unsafe { run(Step::Fork, message, null_mut()) }
}

/// `cimf_retransmission()`.
///
/// # Safety
/// Kamailio calls it with the request it is handling.
pub unsafe extern "C" fn cimf_retransmission(
    message: *mut SipMsg,
    _: *mut c_void,
    _: *mut c_void,
) -> c_int {
    // SAFETY: Kamailio calls this with the request it is handling, as `# Safety` says.
    unsafe {
        with(message, Parameter::None, |server, request| {
            script::retransmission(server, request)
        })
    }
}

/// `cimf_is_copy()`.
///
/// # Safety
/// Kamailio calls it with the request it is handling.
pub unsafe extern "C" fn cimf_is_copy(
    message: *mut SipMsg,
    _: *mut c_void,
    _: *mut c_void,
) -> c_int {
    // SAFETY: Kamailio calls this with the request it is handling, as `# Safety` says.
    unsafe {
        with(message, Parameter::None, |server, request| {
            script::is_copy(server, request)
        })
    }
}

/// `cimf_deliver(address)`.
///
/// # Safety
/// As for [`cimf_handle`], in whichever route.
pub unsafe extern "C" fn cimf_deliver(
    message: *mut SipMsg,
    address: *mut c_void,
    _: *mut c_void,
) -> c_int {
    // SAFETY: Kamailio calls this with the message it is handling and the parameter, as `# Safety` says.
    unsafe {
        with(message, Parameter::Prepared(address), |server, request| {
            kept_commands::deliver(server, request.identity())
        })
    }
}

/// `cimf_is_utf8()`.
///
/// # Safety
/// Kamailio calls it with the request it is handling.
pub unsafe extern "C" fn cimf_is_utf8(
    message: *mut SipMsg,
    _: *mut c_void,
    _: *mut c_void,
) -> c_int {
    // SAFETY: Kamailio calls this with the request it is handling, as `# Safety` says.
    unsafe {
        with(message, Parameter::None, |_, request| {
            script::is_utf8(request)
        })
    }
}

/// # Safety
/// As for [`cimf_handle`].
unsafe fn run(step: Step, message: *mut SipMsg, identity: *mut c_void) -> c_int {
    let run = |server, request: &mut Request<'_>| script::run(server, step, request);
    let identity = match identity.is_null() {
        true => Parameter::None,
        false => Parameter::Prepared(identity),
    };
    // SAFETY: as is required above.
    unsafe { with(message, identity, run) }
}

/// What a script function does with the request and its parameter, once the module has started.
///
/// # Safety
/// Kamailio calls the function with the message that it is handling, and with that parameter.
pub(super) unsafe fn with(
    message: *mut SipMsg,
    parameter: Parameter,
    act: impl FnOnce(&'static Server, &mut Request<'_>) -> ScriptResult,
) -> c_int {
    let Some(module) = module() else {
        return ScriptResult::InternalError as c_int;
    };
    let call = Call;
    // SAFETY: Kamailio handles the message until the function that it has called returns, as is required
    // above, and `call` ends before.
    let mut request = unsafe { Request::during(&call, module, message, parameter) };
    act(module.server, &mut request) as c_int
}

impl<'c> ScriptRequest<'c> for Request<'c> {
    const ROUTE: &'static str = "request_route";

    fn is_in_request_route(&self) -> bool {
        self.module.core.route() == REQUEST_ROUTE
    }

    fn id(&self) -> MessageId {
        // SAFETY: `message` is the request that Kamailio is handling.
        unsafe { MessageId::of(self.message) }
    }

    fn bytes(&self) -> Option<&'c [u8]> {
        // SAFETY: `message` is the request that Kamailio is handling during 'c, and its bytes stay.
        unsafe { bytes(self.message) }
    }

    fn source(&self) -> Option<Source<'static>> {
        // SAFETY: as above.
        unsafe { self.module.source.read(self.message) }
    }

    fn identity(&self) -> Result<Option<Vec<u8>>, ()> {
        match self.identity {
            Parameter::None => Ok(None),
            Parameter::Prepared(parameter) => {
                // SAFETY: as above, and the parameter has been prepared by `fix_identity`.
                let text = unsafe { prepared_text(&self.module.core, self.message, parameter) };
                text.map(Some).ok_or(())
            }
            // SAFETY: Kamailio gives the text, and keeps it during 'c.
            Parameter::Text(text) => Ok(unsafe { text.as_ref().map(|text| text.bytes().to_vec()) }),
        }
    }
}

/// Registers a callback for the end of `request_route`: what the script has left undone is dropped then, not when the
/// next message comes.
pub fn watch_end(core: &Core) -> Result<(), String> {
    // SAFETY: the callback has the signature that Kamailio expects, and uses no parameter.
    let result = unsafe { (core.register_script_cb)(ended, AFTER_REQUEST_ROUTE, null_mut()) };
    if result < 0 {
        return Err(
            "Kamailio refused the callback for the end of request_route (register_script_cb)"
                .into(),
        );
    }
    Ok(())
}

/// Drops the verdict on the message whose script has ended.
///
/// # Safety
/// Kamailio calls it with the request it has handled.
unsafe extern "C" fn ended(message: *mut SipMsg, _: c_uint, _: *mut c_void) -> c_int {
    // SAFETY: Kamailio calls this with the request it has handled, which is still there.
    script::ended(unsafe { MessageId::of(message) });
    1
}

/// A function that prepares a parameter of a script function, or frees it.
type Fix = unsafe extern "C" fn(*mut *mut c_void, c_int) -> c_int;

/// Prepares the identity, text with pseudo-variables, by Kamailio's own function for such text.
///
/// # Safety
/// Kamailio calls it with a parameter of the script.
pub unsafe extern "C" fn fix_identity(parameter: *mut *mut c_void, number: c_int) -> c_int {
    // SAFETY: Kamailio calls this with a parameter of the script, as it would the function, which has
    // this signature in all versions.
    unsafe { function::<Fix>(c"fixup_spve_null").map_or(-1, |fix| fix(parameter, number)) }
}

/// Frees what [`fix_identity`] has made.
///
/// # Safety
/// Kamailio calls it with a parameter that [`fix_identity`] has prepared.
pub unsafe extern "C" fn free_identity(parameter: *mut *mut c_void, number: c_int) -> c_int {
    // SAFETY: Kamailio calls this with what `fix_identity` has made by the function's counterpart; it has
    // this signature in all versions.
    unsafe { function::<Fix>(c"fixup_free_spve_null").map_or(-1, |free| free(parameter, number)) }
}
