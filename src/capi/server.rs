//! A server: opened from parameters, asked for decisions.

use super::decision::Decision;
use super::error::{Failure, Status, boundary};
use super::guarded;
use super::text::{Str, bytes, c_text, handle, put};
use crate::config::{self, Needs, Settings};
use crate::control::{Source, Transport};
use crate::server::{Decider, Worker};
use crate::sip::lines::unfolded;
use std::ffi::c_char;
use std::mem::ManuallyDrop;
use std::sync::{Mutex, PoisonError};

/// A server with its parameters, its groups and the memory that its processes share. It may be
/// used from several threads, which take turns, and after a `fork` in parent and child; no thread
/// may be inside `cimf_server_decide` while another one forks.
pub struct Server {
    decider: Decider,
    worker: Mutex<OwnedWorker>,
}

/// The worker of one process. The database handle of a process must not be closed in its child, so
/// a worker that was inherited is kept and never used or dropped.
struct OwnedWorker {
    process: u32,
    worker: ManuallyDrop<Worker>,
    inherited: Option<Box<OwnedWorker>>,
}

impl OwnedWorker {
    fn new(decider: &Decider) -> Self {
        Self {
            process: std::process::id(),
            worker: ManuallyDrop::new(decider.worker()),
            inherited: None,
        }
    }

    fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }
}

impl Drop for OwnedWorker {
    fn drop(&mut self) {
        if self.is_ours() {
            // SAFETY: the worker is not used after this, its only drop.
            unsafe { ManuallyDrop::drop(&mut self.worker) };
        }
    }
}

/// One parameter of a server: its name and its value as text, both ending with NUL. The names,
/// values and defaults are those of the proxy module; see docs/parameters.md. Those that concern only the
/// module's queue, such as "rate" or "durability", cannot be set: the program sends the forks itself.
#[repr(C)]
pub struct Parameter {
    /// The name, such as "domains".
    pub name: *const c_char,
    /// The value, such as "home1.net" or "1".
    pub value: *const c_char,
}

/// Where a message came from.
#[repr(C)]
pub struct RequestSource {
    /// The peer's IPv4 or IPv6 address as text, without a port.
    pub address: Str,
    /// "udp", "tcp", "tls" or another name of a transport, in any case.
    pub transport: Str,
    /// The URI of the user whose credentials the caller has checked, or a name-addr; empty if there
    /// is none. It counts when the parameter "identity_mode" is "digest" or "either".
    pub identity: Str,
}

/// Opens a server. The settings and the database are checked; nothing is kept open. A parameter that
/// concerns only the module's queue is `CIMF_STATUS_CONFIGURATION`, like one that is unknown.
///
/// On success `*out` is a handle for `cimf_server_free`.
///
/// # Safety
/// `parameters` points to `count` parameters, and may be NULL when `count` is 0. `out` points to
/// room for a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cimf_server_new(
    parameters: *const Parameter,
    count: usize,
    out: *mut *mut Server,
) -> Status {
    boundary(|| {
        if count > 0 && parameters.is_null() {
            return Err(Failure::argument("parameters: NULL with a count"));
        }
        let mut settings = Settings::new();
        for index in 0..count {
            // SAFETY: `parameters` points to `count` parameters with their texts, as is required above.
            let (name, value) = unsafe {
                let parameter = &*parameters.add(index);
                let name = c_text("name of a parameter", parameter.name)?;
                (name, c_text(name, parameter.value)?)
            };
            set(&mut settings, name, value)?;
        }
        let decider = Decider::open(&settings)?;
        let worker = Mutex::new(OwnedWorker::new(&decider));
        let server = Box::into_raw(Box::new(Server { decider, worker }));
        // SAFETY: `out` points to room for a handle, as is required above, or is NULL.
        unsafe { put("out", out, server) }.inspect_err(|_| {
            // SAFETY: the handle was made just now and nobody else has it.
            drop(unsafe { Box::from_raw(server) });
        })
    })
}

/// Sets a parameter. One that concerns only the queue or a proxy's script would have no effect, so it is an error.
fn set(settings: &mut Settings, name: &str, value: &str) -> Result<(), Failure> {
    let known = config::Parameter::find(name);
    if known.is_some_and(|parameter| parameter.needs != Needs::Nothing) {
        let text = format!(
            "parameter {name}: expected only in a proxy, found \"{}\"; it concerns how accepted \
             messages are kept, sent and reported, and the C interface does none of it: the program itself sends the \
             forks, and limits, delays or keeps what it sends",
            value.escape_debug()
        );
        return Err(Failure::new(Status::Configuration, text));
    }
    let set = settings.set(name, value);
    set.map_err(|error| Failure::new(Status::Configuration, error.to_string()))
}

/// Frees a server; NULL does nothing. Decisions that it made stay valid.
///
/// # Safety
/// `server` is NULL or a handle of `cimf_server_new` that is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cimf_server_free(server: *mut Server) {
    guarded((), || {
        if !server.is_null() {
            // SAFETY: `cimf_server_new` has made it by `Box::into_raw`, and it is not used any more, as is
            // required above.
            drop(unsafe { Box::from_raw(server) });
        }
    });
}

/// Decides what is to be done with one SIP request: `length` bytes at `data`, exactly as received.
///
/// A message that is not for this server is no error: the decision says so. An accepted message
/// counts as answered, so the caller has to send the answer and the forks.
///
/// On success `*out` is a handle for `cimf_decision_free`.
///
/// # Safety
/// `server` is a handle of `cimf_server_new`. `data` points to `length` bytes, and may be NULL when
/// `length` is 0. `source` points to a source with its texts. `out` points to room for a handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cimf_server_decide(
    server: *const Server,
    data: *const u8,
    length: usize,
    source: *const RequestSource,
    out: *mut *mut Decision,
) -> Status {
    boundary(|| {
        // SAFETY: the handle, the bytes and the source are what is required above.
        let (server, message, source) = unsafe {
            let server = handle("server", server)?;
            let message = bytes("data", data, length)?;
            (server, message, read_source(handle("source", source)?)?)
        };
        if out.is_null() {
            return Err(Failure::argument(
                "out: expected room for a decision, found NULL",
            ));
        }
        let decision = Box::into_raw(Box::new(decide(server, message, &source)));
        // SAFETY: `out` points to room for a handle, as is required above, or is NULL.
        unsafe { put("out", out, decision) }
    })
}

fn decide(server: &Server, message: &[u8], source: &Source<'_>) -> Decision {
    let message = unfolded(message);
    let mut worker = server.worker.lock().unwrap_or_else(PoisonError::into_inner);
    if !worker.is_ours() {
        let inherited = std::mem::replace(&mut *worker, OwnedWorker::new(&server.decider));
        worker.inherited = Some(Box::new(inherited));
    }
    let worker = &mut worker.worker;
    let Ok(message) = worker.recognise(&server.decider, &message, source) else {
        return Decision::not_ours();
    };
    let decision = worker.decide(&server.decider, &message, source);
    let answer = server.decider.answer(&message, &decision, source);
    Decision::made(&server.decider, answer, decision, &mut worker.identifiers)
}

/// # Safety
/// The texts of `source` must be readable.
unsafe fn read_source(source: &RequestSource) -> Result<Source<'_>, Failure> {
    // SAFETY: the texts of the source can be read, as is required above.
    let (identity, address, transport) = unsafe {
        let text = |what, text: Str| bytes(what, text.data.cast(), text.length);
        (
            text("identity", source.identity)?,
            text("address", source.address)?,
            text("transport", source.transport)?,
        )
    };
    let parsed = std::str::from_utf8(address).ok();
    let parsed = parsed.and_then(|address| address.parse().ok());
    let found = address.escape_ascii();
    let wrong = || {
        Failure::argument(format!(
            "address: expected an IP address, found \"{found}\""
        ))
    };
    Ok(Source {
        address: parsed.ok_or_else(wrong)?,
        transport: Transport::of(transport),
        identity: Some(identity),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PARAMETERS;

    #[test]
    fn a_parameter_of_the_queue_is_an_error_and_any_other_is_taken() {
        let mut of_queue = 0;
        for parameter in PARAMETERS {
            let status = boundary(|| set(&mut Settings::new(), parameter.name, parameter.default));
            let is_taken = parameter.needs == Needs::Nothing;
            let expected = match is_taken {
                true => Status::Ok,
                false => Status::Configuration,
            };
            assert_eq!(status, expected, "{}", parameter.name);
            of_queue += usize::from(!is_taken);
        }
        assert!(of_queue >= 12, "only {of_queue}");
    }
}
