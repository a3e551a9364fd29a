//! The script functions, the same in every proxy: `cimf_handle()` and its three steps.

#![forbid(unsafe_code)]

use super::guard::guarded;
use super::handle::{self, check, fork, handle, reply};
use super::message::MessageId;
use super::proxy::Proxy;
use super::verdict::{ScriptResult, Verdict};
use crate::control::Source;
use crate::server::{Server, Worker};
use std::sync::{Mutex, MutexGuard, TryLockError};

/// A request while its script runs, and the parameter of the script function: `'m` ends when that
/// function returns.
pub trait ScriptRequest<'m>: Proxy {
    /// The name of the request route in scripts.
    const ROUTE: &'static str;

    /// Whether the request route is running. In other routes the message is not the received one, and
    /// its transaction must not be answered: it may even be a copy.
    fn is_in_request_route(&self) -> bool;

    /// The identity of the request.
    fn id(&self) -> MessageId;

    /// Its bytes from the method on, which the proxy keeps during the call; `None` if they cannot be
    /// found.
    fn bytes(&self) -> Option<&'m [u8]>;

    /// Where it came from.
    fn source(&self) -> Option<Source<'static>>;

    /// The identity that the script passes, if any; an error if it cannot be read.
    fn identity(&self) -> Result<Option<Vec<u8>>, ()>;
}

/// A step in handling a message.
#[derive(Clone, Copy)]
pub enum Step {
    /// All steps.
    Handle,
    /// The checks.
    Check,
    /// The answer.
    Reply,
    /// The forks.
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

/// The state of a process.
struct Process {
    worker: Worker,
    /// The verdict on the message being handled.
    verdict: Option<(MessageId, Verdict<'static>)>,
}

/// Created at the first message of a process.
static PROCESS: Mutex<Option<Process>> = Mutex::new(None);

/// The state, or `None` while a function of cimf is running: a route that the proxy runs meanwhile,
/// such as that for each copy, may call one again.
fn process() -> Option<MutexGuard<'static, Option<Process>>> {
    match PROCESS.try_lock() {
        Ok(process) => Some(process),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Runs a script function on a request.
pub fn run<'m, R: ScriptRequest<'m>>(
    server: &'static Server,
    step: Step,
    request: &mut R,
) -> ScriptResult {
    guarded(ScriptResult::InternalError, || {
        let name = step.name();
        if !request.is_in_request_route() {
            let route = R::ROUTE;
            log::error!("{name} works in {route} only, and was called in another route");
            return ScriptResult::NotOurs;
        }
        // Read first: it may come from a `$cimf(…)` variable of the verdict that is dropped below.
        let Ok(given) = given_identity(server, step, request) else {
            return ScriptResult::InternalError;
        };
        let Some(mut process) = process() else {
            log::error!("{name} was called while another function of cimf is at work");
            return ScriptResult::InternalError;
        };
        let process = process.get_or_insert_with(|| Process {
            worker: server.decider().worker(),
            verdict: None,
        });
        match step {
            Step::Handle | Step::Check => process.judge(server, step, request, given.as_deref()),
            Step::Reply | Step::Fork => process.carry_out(server, step, request),
        }
    })
}

/// `cimf_retransmission()`: answers a message again that was answered before, and ends the script for it.
pub fn retransmission<'m, R: ScriptRequest<'m>>(server: &Server, request: &mut R) -> ScriptResult {
    guarded(ScriptResult::InternalError, || {
        if !request.is_in_request_route() {
            let route = R::ROUTE;
            log::error!(
                "cimf_retransmission() works in {route} only, and was called in another route"
            );
            return ScriptResult::NotOurs;
        }
        let (Some(bytes), Some(source)) = (request.bytes(), request.source()) else {
            log::error!("the request or its source cannot be read from the proxy");
            return ScriptResult::InternalError;
        };
        handle::retransmission(server, request, bytes, &source)
    })
}

/// `cimf_is_copy()`: whether a request is a copy of this server that has come back to this proxy.
pub fn is_copy<'m>(server: &Server, request: &impl ScriptRequest<'m>) -> ScriptResult {
    guarded(ScriptResult::InternalError, || {
        let mark = server.decider().copy_mark();
        match request
            .bytes()
            .zip(mark)
            .map(|(bytes, mark)| mark.is_in(bytes))
        {
            Some(true) => ScriptResult::Accepted,
            Some(false) => ScriptResult::NotOurs,
            None => {
                log::error!("cimf_is_copy(): copies have no mark; expected copy_mark=1");
                ScriptResult::InternalError
            }
        }
    })
}

/// `cimf_is_utf8()`: whether a request is UTF-8 throughout, headers and body, as a text frame of a
/// WebSocket must be.
pub fn is_utf8<'m>(request: &impl ScriptRequest<'m>) -> ScriptResult {
    guarded(ScriptResult::InternalError, || match request.bytes() {
        Some(bytes) if std::str::from_utf8(bytes).is_ok() => ScriptResult::Accepted,
        Some(_) => ScriptResult::NotOurs,
        None => {
            log::error!("cimf_is_utf8(): the request cannot be read from the proxy");
            ScriptResult::InternalError
        }
    })
}

impl Process {
    /// Checks a message, and does the remaining steps too for [`Step::Handle`].
    fn judge<'m>(
        &mut self,
        server: &'static Server,
        step: Step,
        request: &mut impl ScriptRequest<'m>,
        identity: Option<&[u8]>,
    ) -> ScriptResult {
        // An earlier verdict was abandoned by its script.
        self.verdict = None;
        let id = request.id();
        let (Some(bytes), Some(source)) = (request.bytes(), request.source()) else {
            log::error!("the request or its source cannot be read from the proxy");
            return ScriptResult::InternalError;
        };
        let source = Source { identity, ..source };
        let worker = &mut self.worker;
        let (result, verdict) = match step {
            Step::Handle => handle(server, worker, request, bytes, &source),
            _ => match check(server, worker, request, bytes, &source) {
                Ok(verdict) => (verdict.result(), Some(verdict)),
                Err(result) => (result, None),
            },
        };
        self.verdict = verdict.map(|verdict| (id, verdict));
        result
    }

    /// Answers a message or sends it to its recipients, according to its verdict.
    fn carry_out<'m, R: ScriptRequest<'m>>(
        &mut self,
        server: &'static Server,
        step: Step,
        request: &mut R,
    ) -> ScriptResult {
        let id = request.id();
        let verdict = self.verdict.as_mut().filter(|(of, _)| *of == id);
        let Some((_, verdict)) = verdict else {
            let (name, route) = (step.name(), R::ROUTE);
            log::error!(
                "{name}: this message has no verdict; expected cimf_check() before, in the same \
                 run of {route}, with the result 1 or 2"
            );
            return ScriptResult::InternalError;
        };
        match step {
            Step::Fork => fork(server, request, verdict),
            _ => reply(server, request, verdict),
        }
    }
}

/// The identity that the script passes, if any; an error if it cannot be read.
fn given_identity<'m>(
    server: &Server,
    step: Step,
    request: &impl ScriptRequest<'m>,
) -> Result<Option<Vec<u8>>, ()> {
    let name = step.name();
    let given = request.identity().map_err(|()| {
        log::error!("the identity given to {name} cannot be read from the proxy");
    })?;
    if given.is_some() && !server.decider().believes_script() {
        log::debug!("the identity given to {name} does not count: see identity_mode");
    }
    Ok(given)
}

/// Calls `read` with the verdict on the message, if there is one.
pub fn with_verdict<T>(id: MessageId, read: impl FnOnce(&Verdict<'_>) -> T) -> Option<T> {
    let process = process()?;
    let (of, verdict) = process.as_ref()?.verdict.as_ref()?;
    (*of == id).then(|| read(verdict))
}

/// Drops the verdict on a message whose script has ended, which ends whatever the script left undone
/// now and not at the next message.
pub fn ended(id: MessageId) {
    guarded((), || {
        let Some(mut process) = process() else {
            return;
        };
        let Some(process) = process.as_mut() else {
            return;
        };
        if process.verdict.as_ref().is_some_and(|(of, _)| *of == id) {
            process.verdict = None;
        }
    });
}
