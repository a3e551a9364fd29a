//! The script functions as OpenSIPS calls them.

use super::abi::{AFTER_REQUEST_ROUTE, SCB_RUN_ALL};
use super::core::Core;
use super::module::module;
use super::request::Request;
use crate::control::Source;
use crate::host::abi::{REQUEST_ROUTE, SipMsg, Str};
use crate::host::commands::kept_commands;
use crate::host::message::MessageId;
use crate::host::request::Call;
use crate::host::script::{self, ScriptRequest, Step};
use crate::host::verdict::ScriptResult;
use crate::server::Server;
use std::ffi::{c_int, c_void};
use std::ptr::{null, null_mut};

/// What stands behind the one parameter that our functions have.
type Unused = *mut c_void;

/// `cimf_handle()` and `cimf_handle(identity)`.
///
/// # Safety
/// OpenSIPS calls it with the request it is handling and the text of the parameter, or null.
pub unsafe extern "C" fn cimf_handle(
    message: *mut SipMsg,
    identity: *const Str,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
) -> c_int {
    // SAFETY: OpenSIPS calls this with the request it is handling and the parameter, as `# Safety` says.
    unsafe { run(Step::Handle, message, identity) }
}

/// `cimf_check()` and `cimf_check(identity)`.
///
/// # Safety
/// As for [`cimf_handle`].
pub unsafe extern "C" fn cimf_check(
    message: *mut SipMsg,
    identity: *const Str,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
) -> c_int {
    // SAFETY: OpenSIPS calls this with the request it is handling and the parameter, as `# Safety` says.
    unsafe { run(Step::Check, message, identity) }
}

/// `cimf_reply()`.
///
/// # Safety
/// OpenSIPS calls it with the request it is handling.
pub unsafe extern "C" fn cimf_reply(
    message: *mut SipMsg,
    _: *const Str,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
) -> c_int {
    // SAFETY: OpenSIPS calls this with the request it is handling and the parameter, as `# Safety` says.
    unsafe { run(Step::Reply, message, null()) }
}

/// `cimf_fork()`.
///
/// # Safety
/// OpenSIPS calls it with the request it is handling.
pub unsafe extern "C" fn cimf_fork(
    message: *mut SipMsg,
    _: *const Str,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
) -> c_int {
    // SAFETY: OpenSIPS calls this with the request it is handling and the parameter, as `# Safety` says.
    unsafe { run(Step::Fork, message, null()) }
}

/// `cimf_retransmission()`.
///
/// # Safety
/// OpenSIPS calls it with the request it is handling.
pub unsafe extern "C" fn cimf_retransmission(
    message: *mut SipMsg,
    _: *const Str,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
) -> c_int {
    // SAFETY: OpenSIPS calls this with the request it is handling, as `# Safety` says.
    unsafe {
        with(message, null(), |server, request| {
            script::retransmission(server, request)
        })
    }
}

/// `cimf_is_copy()`.
///
/// # Safety
/// OpenSIPS calls it with the request it is handling.
pub unsafe extern "C" fn cimf_is_copy(
    message: *mut SipMsg,
    _: *const Str,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
) -> c_int {
    // SAFETY: OpenSIPS calls this with the request it is handling, as `# Safety` says.
    unsafe {
        with(message, null(), |server, request| {
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
    address: *const Str,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
) -> c_int {
    // SAFETY: OpenSIPS calls this with the message it is handling and the parameter, as `# Safety` says.
    unsafe {
        with(message, address, |server, request| {
            kept_commands::deliver(server, request.identity())
        })
    }
}

/// `cimf_is_utf8()`.
///
/// # Safety
/// OpenSIPS calls it with the request it is handling.
pub unsafe extern "C" fn cimf_is_utf8(
    message: *mut SipMsg,
    _: *const Str,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
    _: Unused,
) -> c_int {
    // SAFETY: OpenSIPS calls this with the request it is handling, as `# Safety` says.
    unsafe { with(message, null(), |_, request| script::is_utf8(request)) }
}

/// # Safety
/// As for [`cimf_handle`].
unsafe fn run(step: Step, message: *mut SipMsg, identity: *const Str) -> c_int {
    let run = |server, request: &mut Request<'_>| script::run(server, step, request);
    // SAFETY: as is required above.
    unsafe { with(message, identity, run) }
}

/// What a script function does with the request and its parameter, once the module has started.
///
/// # Safety
/// OpenSIPS calls the function with the message that it is handling, and with that parameter.
unsafe fn with(
    message: *mut SipMsg,
    parameter: *const Str,
    act: impl FnOnce(&'static Server, &mut Request<'_>) -> ScriptResult,
) -> c_int {
    let Some(module) = module() else {
        return ScriptResult::InternalError as c_int;
    };
    let call = Call;
    // SAFETY: OpenSIPS handles the message until the function that it has called returns, as is required
    // above, and `call` ends before.
    let mut request = unsafe { Request::during(&call, module, message, parameter) };
    act(module.server, &mut request) as c_int
}

impl<'c> ScriptRequest<'c> for Request<'c> {
    const ROUTE: &'static str = "request route";

    fn is_in_request_route(&self) -> bool {
        self.module.core.route() == REQUEST_ROUTE
    }

    fn id(&self) -> MessageId {
        // SAFETY: `message` is the request that OpenSIPS is handling.
        unsafe { MessageId::of(self.message) }
    }

    fn bytes(&self) -> Option<&'c [u8]> {
        // SAFETY: `message` is the request that OpenSIPS is handling during 'c, and its bytes stay.
        unsafe { self.module.layout.bytes(self.message) }
    }

    fn source(&self) -> Option<Source<'static>> {
        // SAFETY: as above.
        unsafe { self.module.source.read(self.message) }
    }

    fn identity(&self) -> Result<Option<Vec<u8>>, ()> {
        // SAFETY: OpenSIPS gives the parameter, or null where the script gives none.
        let Some(text) = (unsafe { self.identity.as_ref() }) else {
            return Ok(None);
        };
        let length = usize::try_from(text.len).map_err(|_| ())?;
        if length == 0 || text.s.is_null() {
            return if length == 0 {
                Ok(Some(Vec::new()))
            } else {
                Err(())
            };
        }
        // SAFETY: the text has this length, and is copied before the host uses its buffer again.
        Ok(Some(
            unsafe { std::slice::from_raw_parts(text.s.cast::<u8>(), length) }.to_vec(),
        ))
    }
}

/// Registers a callback for the end of a request's route: what the script has left undone is dropped then, not when
/// the next message comes.
pub fn watch_end(core: &Core) -> Result<(), String> {
    // SAFETY: the callback has the signature that OpenSIPS expects, and uses no parameter.
    let result = unsafe { (core.register_script_cb)(ended, AFTER_REQUEST_ROUTE, null_mut(), 0) };
    if result < 0 {
        return Err(
            "OpenSIPS refused the callback for the end of a route (register_script_cb)".into(),
        );
    }
    Ok(())
}

/// Drops the verdict on the message whose script has ended.
///
/// # Safety
/// OpenSIPS calls it with the request it has handled.
unsafe extern "C" fn ended(message: *mut SipMsg, _: *mut c_void) -> c_int {
    // SAFETY: OpenSIPS calls this with the request it has handled, which is still there.
    script::ended(unsafe { MessageId::of(message) });
    SCB_RUN_ALL
}
