//! Commands for `kamcmd` and Kamailio's other RPC transports: `cimf.stats`, `cimf.fanouts`, `cimf.cancel ID`,
//! `cimf.kept [ADDRESS]`, `cimf.kept_drop ADDRESS`, `cimf.nodes`, `cimf.drain` and `cimf.undrain`.

use super::abi::{Rpc, RpcExport};
use super::module::module;
use crate::fanout::Blocked;
use crate::host::abi::{Str, Table};
use crate::host::figures::{age, figures, states};
use crate::host::guard::guarded;
use crate::host::{kept_commands, node_commands};
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr::null_mut;

/// The commands; a row of zeros ends the table.
pub static COMMANDS: Table<[RpcExport; 9]> = Table([
    RpcExport {
        name: c"cimf.stats".as_ptr(),
        function: Some(stats),
        documentation: STATS.0.as_ptr(),
        flags: 0,
    },
    RpcExport {
        name: c"cimf.fanouts".as_ptr(),
        function: Some(fanouts),
        documentation: FANOUTS.0.as_ptr(),
        flags: RET_ARRAY,
    },
    RpcExport {
        name: c"cimf.cancel".as_ptr(),
        function: Some(cancel),
        documentation: CANCEL.0.as_ptr(),
        flags: 0,
    },
    RpcExport {
        name: c"cimf.kept".as_ptr(),
        function: Some(kept),
        documentation: KEPT.0.as_ptr(),
        flags: RET_ARRAY,
    },
    RpcExport {
        name: c"cimf.kept_drop".as_ptr(),
        function: Some(kept_drop),
        documentation: KEPT_DROP.0.as_ptr(),
        flags: 0,
    },
    RpcExport {
        name: c"cimf.nodes".as_ptr(),
        function: Some(nodes),
        documentation: NODES.0.as_ptr(),
        flags: RET_ARRAY,
    },
    RpcExport {
        name: c"cimf.drain".as_ptr(),
        function: Some(drain),
        documentation: DRAIN.0.as_ptr(),
        flags: 0,
    },
    RpcExport {
        name: c"cimf.undrain".as_ptr(),
        function: Some(undrain),
        documentation: UNDRAIN.0.as_ptr(),
        flags: 0,
    },
    RpcExport {
        name: std::ptr::null(),
        function: None,
        documentation: std::ptr::null(),
        flags: 0,
    },
]);

type Documentation = Table<[*const c_char; 2]>;

static STATS: Documentation = document(c"All counts of cimf.");
static FANOUTS: Documentation = document(c"The group messages that are under way.");
static CANCEL: Documentation =
    document(c"Sends no more copies of the message with this number: cimf.cancel ID");

static KEPT: Documentation =
    document(c"What is kept for members who are away, or for one of them: cimf.kept [ADDRESS]");
static KEPT_DROP: Documentation =
    document(c"Drops what is kept for a member: cimf.kept_drop ADDRESS");

static NODES: Documentation = document(c"The nodes that share the ledger (durability=cluster).");
static DRAIN: Documentation =
    document(c"Refuses new messages before maintenance; says what is left.");
static UNDRAIN: Documentation = document(c"Accepts new messages again.");

const fn document(text: &'static CStr) -> Documentation {
    Table([text.as_ptr(), std::ptr::null()])
}

/// `RPC_RET_ARRAY`: the command may answer with several values.
const RET_ARRAY: c_uint = 1;

/// A structure of an answer.
struct Struct<'r> {
    rpc: &'r Rpc,
    handle: *mut c_void,
}

impl<'r> Struct<'r> {
    /// # Safety
    /// `rpc` and `context` must be those of a command under way.
    unsafe fn add(rpc: &'r Rpc, context: *mut c_void) -> Option<Self> {
        let mut handle = null_mut::<c_void>();
        // SAFETY: the format asks for one structure, whose handle goes where the pointer says.
        let result = unsafe { (rpc.add)(context, c"{".as_ptr(), &raw mut handle) };
        (result >= 0 && !handle.is_null()).then_some(Self { rpc, handle })
    }

    /// Adds a number. Kamailio's numbers have 32 bits in all versions; a larger one stays there.
    fn number(&self, name: &CStr, number: u64) {
        let number = c_uint::try_from(number).unwrap_or(c_uint::MAX);
        // SAFETY: the format takes a name and one unsigned int. An answer that is too long fails,
        // and Kamailio tells the client.
        unsafe { (self.rpc.struct_add)(self.handle, c"u".as_ptr(), name.as_ptr(), number) };
    }

    /// Adds text.
    fn text(&self, name: &CStr, text: &[u8]) {
        let mut text = Str::of(text);
        // SAFETY: the format takes a name and one text, which Kamailio copies.
        unsafe { (self.rpc.struct_add)(self.handle, c"S".as_ptr(), name.as_ptr(), &raw mut text) };
    }

    fn numbers<'n>(&self, numbers: impl IntoIterator<Item = (&'n str, u64)>) {
        for (name, number) in numbers {
            if let Ok(name) = CString::new(name) {
                self.number(&name, number);
            }
        }
    }
}

/// Answers a command with an error.
///
/// # Safety
/// `rpc` and `context` must be those of a command under way.
unsafe fn fault(rpc: &Rpc, context: *mut c_void, code: c_int, text: &CStr) {
    // SAFETY: the format takes one text that ends with NUL.
    unsafe { (rpc.fault)(context, code, c"%s".as_ptr(), text.as_ptr()) };
}

/// Answers a command that needs the lock of the queue while a process keeps it from the others.
///
/// # Safety
/// As for [`fault`].
unsafe fn unavailable(rpc: &Rpc, context: *mut c_void, blocked: Blocked) {
    let text = CString::new(blocked.to_string()).unwrap_or_default();
    // SAFETY: `rpc` and `context` are those of a command under way, as is required here too.
    unsafe { fault(rpc, context, 503, &text) };
}

/// `cimf.stats`.
///
/// # Safety
/// Kamailio calls it with a command under way.
unsafe extern "C" fn stats(rpc: *const Rpc, context: *mut c_void) {
    guarded((), || {
        // SAFETY: Kamailio calls this with its functions for a command under way, or null.
        let (Some(module), Some(rpc)) = (module(), unsafe { rpc.as_ref() }) else {
            return;
        };
        // SAFETY: `rpc` and `context` are those of this command, which is under way.
        if let Some(answer) = unsafe { Struct::add(rpc, context) } {
            for (figure, name, _) in figures() {
                answer.numbers([(name.as_str(), figure.read(module.server))]);
            }
        }
    });
}

/// `cimf.fanouts`.
///
/// # Safety
/// Kamailio calls it with a command under way.
unsafe extern "C" fn fanouts(rpc: *const Rpc, context: *mut c_void) {
    guarded((), || {
        // SAFETY: Kamailio calls this with its functions for a command under way, or null.
        let (Some(module), Some(rpc)) = (module(), unsafe { rpc.as_ref() }) else {
            return;
        };
        let fanouts = match module.server.outbox().engine().fanouts() {
            Ok(fanouts) => fanouts,
            Err(blocked) => {
                // SAFETY: `rpc` and `context` are those of this command, which is under way.
                return unsafe { unavailable(rpc, context, blocked) };
            }
        };
        for fanout in fanouts {
            // SAFETY: `rpc` and `context` are those of this command, which is under way.
            let Some(answer) = (unsafe { Struct::add(rpc, context) }) else {
                return;
            };
            answer.number(c"id", fanout.message);
            answer.text(c"group", &fanout.group);
            answer.text(c"originator", &fanout.originator);
            answer.number(c"seconds", age(module.server, &fanout));
            answer.numbers(states(&fanout));
        }
    });
}

/// `cimf.cancel ID`.
///
/// # Safety
/// Kamailio calls it with a command under way.
unsafe extern "C" fn cancel(rpc: *const Rpc, context: *mut c_void) {
    guarded((), || {
        // SAFETY: Kamailio calls this with its functions for a command under way, or null.
        let (Some(module), Some(rpc)) = (module(), unsafe { rpc.as_ref() }) else {
            return;
        };
        let mut id: c_uint = 0;
        // SAFETY: the format asks for one unsigned int, which goes where the pointer says. Where
        // there is none, Kamailio's own error is the answer.
        if unsafe { (rpc.scan)(context, c"u".as_ptr(), &raw mut id) } < 1 {
            return;
        }
        let cancelled = module.server.outbox().engine().cancel(u64::from(id));
        let text = c"no such message is under way: cimf.fanouts lists those that are";
        // SAFETY: `rpc` and `context` are those of this command, which is under way.
        unsafe {
            match cancelled {
                Ok(true) => {}
                Ok(false) => fault(rpc, context, 404, text),
                Err(blocked) => unavailable(rpc, context, blocked),
            }
        }
    });
}

/// Reads the text that a command has as its parameter, which `format` may let be missing.
///
/// # Safety
/// `rpc` and `context` must be those of a command under way.
unsafe fn text_parameter(rpc: &Rpc, context: *mut c_void, format: &CStr) -> Option<Vec<u8>> {
    let mut text = Str::of(b"");
    // SAFETY: the format asks for one text, which goes where the pointer says.
    if unsafe { (rpc.scan)(context, format.as_ptr(), &raw mut text) } < 1 {
        return None;
    }
    let length = usize::try_from(text.len)
        .ok()
        .filter(|_| !text.s.is_null())?;
    // SAFETY: Kamailio keeps the text while the command is under way, and it has this length.
    Some(unsafe { std::slice::from_raw_parts(text.s.cast::<u8>(), length) }.to_vec())
}

/// Answers a command that cannot be carried out.
///
/// # Safety
/// As for [`fault`].
unsafe fn failed(rpc: &Rpc, context: *mut c_void, why: &str) {
    let text = CString::new(why).unwrap_or_default();
    // SAFETY: `rpc` and `context` are those of a command under way, as is required here too.
    unsafe { fault(rpc, context, 500, &text) };
}

/// `cimf.kept`.
///
/// # Safety
/// Kamailio calls it with a command under way.
unsafe extern "C" fn kept(rpc: *const Rpc, context: *mut c_void) {
    guarded((), || {
        // SAFETY: Kamailio calls this with its functions for a command under way, or null.
        let (Some(module), Some(rpc)) = (module(), unsafe { rpc.as_ref() }) else {
            return;
        };
        // SAFETY: `rpc` and `context` are those of this command, which is under way.
        let address = unsafe { text_parameter(rpc, context, c"*S") };
        let listed = match kept_commands::list(module.server, address.as_deref()) {
            Ok(listed) => listed,
            // SAFETY: as above.
            Err(why) => return unsafe { failed(rpc, context, &why) },
        };
        for copy in listed {
            // SAFETY: as above.
            let Some(answer) = (unsafe { Struct::add(rpc, context) }) else {
                return;
            };
            answer.number(c"id", copy.message);
            answer.text(c"recipient", &copy.recipient);
            answer.text(c"group", &copy.group);
            answer.text(c"originator", &copy.originator);
            answer.numbers(copy.numbers());
        }
    });
}

/// `cimf.kept_drop`.
///
/// # Safety
/// Kamailio calls it with a command under way.
unsafe extern "C" fn kept_drop(rpc: *const Rpc, context: *mut c_void) {
    guarded((), || {
        // SAFETY: Kamailio calls this with its functions for a command under way, or null.
        let (Some(module), Some(rpc)) = (module(), unsafe { rpc.as_ref() }) else {
            return;
        };
        // Where there is no address, Kamailio's own error is the answer.
        // SAFETY: `rpc` and `context` are those of this command, which is under way.
        let Some(address) = (unsafe { text_parameter(rpc, context, c"S") }) else {
            return;
        };
        match kept_commands::drop_all(module.server, &address) {
            Ok(copies) => {
                // SAFETY: as above.
                if let Some(answer) = unsafe { Struct::add(rpc, context) } {
                    answer.number(c"copies", copies);
                }
            }
            // SAFETY: as above.
            Err(why) => unsafe { failed(rpc, context, &why) },
        }
    });
}

/// `cimf.nodes`.
///
/// # Safety
/// Kamailio calls it with a command under way.
unsafe extern "C" fn nodes(rpc: *const Rpc, context: *mut c_void) {
    guarded((), || {
        // SAFETY: Kamailio calls this with its functions for a command under way, or null.
        let (Some(module), Some(rpc)) = (module(), unsafe { rpc.as_ref() }) else {
            return;
        };
        let nodes = match node_commands::nodes(module.server) {
            Ok(nodes) => nodes,
            // SAFETY: `rpc` and `context` are those of this command, which is under way.
            Err(why) => return unsafe { failed(rpc, context, &why) },
        };
        for node in nodes {
            // SAFETY: as above.
            let Some(answer) = (unsafe { Struct::add(rpc, context) }) else {
                return;
            };
            answer.text(c"node", node.name.as_bytes());
            answer.numbers(node_commands::numbers(&node));
        }
    });
}

/// `cimf.drain`.
///
/// # Safety
/// Kamailio calls it with a command under way.
unsafe extern "C" fn drain(rpc: *const Rpc, context: *mut c_void) {
    // SAFETY: as is required here too.
    unsafe { set_draining(rpc, context, true) };
}

/// `cimf.undrain`.
///
/// # Safety
/// Kamailio calls it with a command under way.
unsafe extern "C" fn undrain(rpc: *const Rpc, context: *mut c_void) {
    // SAFETY: as is required here too.
    unsafe { set_draining(rpc, context, false) };
}

/// # Safety
/// `rpc` and `context` must be those of a command under way.
unsafe fn set_draining(rpc: *const Rpc, context: *mut c_void, drains: bool) {
    guarded((), || {
        // SAFETY: Kamailio gives its functions for a command under way, or null.
        let (Some(module), Some(rpc)) = (module(), unsafe { rpc.as_ref() }) else {
            return;
        };
        let drained = node_commands::drain(module.server, drains);
        // SAFETY: `rpc` and `context` are those of this command, which is under way.
        if let Some(answer) = unsafe { Struct::add(rpc, context) } {
            answer.numbers(drained.numbers());
        }
    });
}
