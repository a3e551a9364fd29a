//! The script functions: `cimf_handle()` and its three steps.

use super::abi::{AFTER_REQUEST_ROUTE, REQUEST_ROUTE, SipMsg};
use super::core::{Core, function};
use super::guard::guarded;
use super::message::{MessageId, bytes, parameter_text};
use super::module::{Module, module};
use super::tm::Request;
use crate::control::Source;
use crate::host::handle::{ScriptResult, check, fork, handle, reply};
use crate::host::verdict::Verdict;
use crate::server::Worker;
use std::ffi::{c_int, c_uint, c_void};
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, TryLockError};

/// What a process has of its own.
struct Process {
    worker: Worker,
    /// The verdict on the message that is being handled.
    verdict: Option<(MessageId, Verdict<'static>)>,
}

/// Made at the first message of a process.
static PROCESS: Mutex<Option<Process>> = Mutex::new(None);

/// The process's own, or `None` while one of its functions is at work: a route that Kamailio runs
/// meanwhile, as for each fork, comes here again.
fn process() -> Option<MutexGuard<'static, Option<Process>>> {
    match PROCESS.try_lock() {
        Ok(process) => Some(process),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// A step of the way of a message.
#[derive(Clone, Copy)]
enum Step {
    Handle,
    Check,
    Reply,
    Fork,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Handle => "cimf_handle()",
            Self::Check => "cimf_check()",
            Self::Reply => "cimf_reply()",
            Self::Fork => "cimf_fork()",
        }
    }
}

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
    // SAFETY: as Kamailio promises.
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
    // SAFETY: as Kamailio promises.
    unsafe { run(Step::Check, message, identity) }
}

/// `cimf_reply()`.
///
/// # Safety
/// Kamailio calls it with the request it is handling.
pub unsafe extern "C" fn cimf_reply(message: *mut SipMsg, _: *mut c_void, _: *mut c_void) -> c_int {
    // SAFETY: as Kamailio promises.
    unsafe { run(Step::Reply, message, null_mut()) }
}

/// `cimf_fork()`.
///
/// # Safety
/// Kamailio calls it with the request it is handling.
pub unsafe extern "C" fn cimf_fork(message: *mut SipMsg, _: *mut c_void, _: *mut c_void) -> c_int {
    // SAFETY: as Kamailio promises.
    unsafe { run(Step::Fork, message, null_mut()) }
}

/// # Safety
/// As for [`cimf_handle`].
unsafe fn run(step: Step, message: *mut SipMsg, identity: *mut c_void) -> c_int {
    let result = guarded(ScriptResult::InternalError, || {
        let Some(module) = module() else {
            return ScriptResult::InternalError;
        };
        let name = step.name();
        // Elsewhere the message is not the one that came, and its transaction not ours to answer:
        // in event_route[tm:local-request] it is one of our own forks.
        if module.core.route() != REQUEST_ROUTE {
            log::error!("{name} works in request_route only, and was called in another route");
            return ScriptResult::NotOurs;
        }
        let Some(mut process) = process() else {
            log::error!("{name} was called while another function of cimf is at work");
            return ScriptResult::InternalError;
        };
        let process = process.get_or_insert_with(|| Process {
            worker: module.server.worker(),
            verdict: None,
        });
        // SAFETY: as the caller promises.
        unsafe {
            match step {
                Step::Handle | Step::Check => process.judge(module, step, message, identity),
                Step::Reply | Step::Fork => process.carry_out(module, step, message),
            }
        }
    });
    result as c_int
}

impl Process {
    /// Checks a message, and does all the rest too if the step is to handle it.
    ///
    /// # Safety
    /// As for [`cimf_handle`].
    unsafe fn judge(
        &mut self,
        module: &'static Module,
        step: Step,
        message: *mut SipMsg,
        identity: *mut c_void,
    ) -> ScriptResult {
        // Whatever there was has been dropped by its script.
        self.verdict = None;
        // SAFETY: `message` is the request that Kamailio is handling.
        let (id, bytes, source) = unsafe {
            (
                MessageId::of(message),
                bytes(message),
                module.source.read(message),
            )
        };
        let (Some(bytes), Some(source)) = (bytes, source) else {
            log::error!("the request or its source cannot be read from Kamailio");
            return ScriptResult::InternalError;
        };
        // SAFETY: as the caller promises.
        let Ok(given) = (unsafe { given_identity(module, step, message, identity) }) else {
            return ScriptResult::InternalError;
        };
        let source = Source {
            identity: given.as_deref(),
            ..source
        };
        let mut request = request(module, message);
        let worker = &mut self.worker;
        let (result, verdict) = match step {
            Step::Handle => handle(module.server, worker, &mut request, bytes, &source),
            _ => match check(module.server, worker, &mut request, bytes, &source) {
                Ok(verdict) => (verdict.result(), Some(verdict)),
                Err(result) => (result, None),
            },
        };
        self.verdict = verdict.map(|verdict| (id, verdict));
        result
    }

    /// Answers a message or sends it to its recipients, as its verdict says.
    ///
    /// # Safety
    /// As for [`cimf_reply`].
    unsafe fn carry_out(
        &mut self,
        module: &Module,
        step: Step,
        message: *mut SipMsg,
    ) -> ScriptResult {
        // SAFETY: `message` is the request that Kamailio is handling.
        let id = unsafe { MessageId::of(message) };
        let verdict = self.verdict.as_mut().filter(|(of, _)| *of == id);
        let Some((_, verdict)) = verdict else {
            let name = step.name();
            log::error!(
                "{name}: this message has no verdict; expected cimf_check() before, in the same \
                 run of request_route, with the result 1 or 2"
            );
            return ScriptResult::InternalError;
        };
        let mut request = request(module, message);
        match step {
            Step::Fork => fork(module.server, &mut request, verdict),
            _ => reply(module.server, &mut self.worker, &mut request, verdict),
        }
    }
}

fn request(module: &Module, message: *mut SipMsg) -> Request<'_> {
    Request {
        core: &module.core,
        message,
        uac: module.uac(),
    }
}

/// The identity that the script gives, if it gives one; an error where it cannot be read.
///
/// # Safety
/// As for [`cimf_handle`].
unsafe fn given_identity(
    module: &Module,
    step: Step,
    message: *mut SipMsg,
    identity: *mut c_void,
) -> Result<Option<Vec<u8>>, ()> {
    if identity.is_null() {
        return Ok(None);
    }
    let name = step.name();
    // SAFETY: `message` is the request that Kamailio is handling, and the parameter has been
    // prepared by `fix_identity`.
    let Some(given) = (unsafe { parameter_text(&module.core, message, identity) }) else {
        log::error!("the identity given to {name} cannot be read from Kamailio");
        return Err(());
    };
    if !module.server.believes_script() {
        log::debug!("the identity given to {name} does not count: see identity_mode");
    }
    Ok(Some(given))
}

/// Calls `read` with the verdict on `message`, if there is one.
///
/// # Safety
/// `message` must be a message of the host or null.
pub unsafe fn with_verdict<T>(
    message: *const SipMsg,
    read: impl FnOnce(&Verdict<'_>) -> T,
) -> Option<T> {
    if message.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    let id = unsafe { MessageId::of(message) };
    let process = process()?;
    let (of, verdict) = process.as_ref()?.verdict.as_ref()?;
    (*of == id).then(|| read(verdict))
}

/// Asks Kamailio to tell when a run of `request_route` has ended: what the script has left undone
/// is dropped then, not when the next message comes.
pub fn watch_end(core: &Core) -> Result<(), String> {
    // SAFETY: the callback has the signature that Kamailio expects, and uses no parameter.
    let result = unsafe { (core.register_script_cb)(ended, AFTER_REQUEST_ROUTE, null_mut()) };
    if result < 0 {
        return Err("Kamailio does not tell when request_route ends (register_script_cb)".into());
    }
    Ok(())
}

/// Drops the verdict on the message whose script has ended.
///
/// # Safety
/// Kamailio calls it with the request it has handled.
unsafe extern "C" fn ended(message: *mut SipMsg, _: c_uint, _: *mut c_void) -> c_int {
    guarded((), || {
        let Some(mut process) = process() else {
            return;
        };
        let Some(process) = process.as_mut() else {
            return;
        };
        // SAFETY: as Kamailio promises.
        let id = unsafe { MessageId::of(message) };
        if process.verdict.as_ref().is_some_and(|(of, _)| *of == id) {
            process.verdict = None;
        }
    });
    1
}

/// A function that prepares a parameter of a script function, or frees it.
type Fix = unsafe extern "C" fn(*mut *mut c_void, c_int) -> c_int;

/// Prepares the identity, text with pseudo-variables, by Kamailio's own function for such text.
///
/// # Safety
/// Kamailio calls it with a parameter of the script.
pub unsafe extern "C" fn fix_identity(parameter: *mut *mut c_void, number: c_int) -> c_int {
    // SAFETY: as Kamailio promises; the function has this signature in all versions.
    unsafe { function::<Fix>(c"fixup_spve_null").map_or(-1, |fix| fix(parameter, number)) }
}

/// Frees what [`fix_identity`] has made.
///
/// # Safety
/// Kamailio calls it with a parameter that [`fix_identity`] has prepared.
pub unsafe extern "C" fn free_identity(parameter: *mut *mut c_void, number: c_int) -> c_int {
    // SAFETY: as Kamailio promises; the function has this signature in all versions.
    unsafe { function::<Fix>(c"fixup_free_spve_null").map_or(-1, |free| free(parameter, number)) }
}
