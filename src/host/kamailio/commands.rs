//! The module's commands for `kamcmd` and Kamailio's other RPC transports.

use super::abi::{Rpc, RpcExport};
use super::module::{Module, module};
use super::rpc::{Call, DELAYED_REPLIES};
use crate::host::abi::lasting;
use crate::host::commands::{Answer, COMMANDS, Command, Errand, Fault, Run, of_each_command};
use crate::host::guard::guarded;
use std::ffi::{c_uint, c_void};
use std::ptr::null;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

type Function = unsafe extern "C" fn(*const Rpc, *mut c_void);

/// The functions of the commands, in the order of the table: Kamailio does not tell a function which command it is.
static FUNCTIONS: [Function; COMMANDS.len()] = of_each_command!(run);

/// `RPC_RET_ARRAY`: the command may answer with several values.
const RET_ARRAY: c_uint = 1;

/// Whether this is a process that receives SIP, or one that runs timers: a script may give commands there.
static HANDLES_SIP: AtomicBool = AtomicBool::new(false);

/// Notes that this process receives SIP or runs timers: it must not wait for a command.
pub fn will_not_wait() {
    HANDLES_SIP.store(true, Relaxed);
}

/// The table of commands, ended by a row of zeros. Kamailio keeps pointing to it.
pub fn exports() -> *const RpcExport {
    let rows = COMMANDS.iter().zip(FUNCTIONS).map(|(command, function)| {
        let documentation = [lasting(format!("{}: cimf.{command}", command.help)), null()];
        RpcExport {
            name: lasting(format!("cimf.{}", command.name)),
            function: Some(function),
            documentation: Box::leak(Box::new(documentation)).as_ptr(),
            flags: if command.is_list { RET_ARRAY } else { 0 },
        }
    });
    let end = RpcExport {
        name: null(),
        function: None,
        documentation: null(),
        flags: 0,
    };
    let table: Vec<_> = rows.chain([end]).collect();
    Vec::leak(table).as_ptr()
}

/// The command with this number in the table.
///
/// # Safety
/// Kamailio calls it with a command under way.
unsafe extern "C" fn run<const NUMBER: usize>(rpc: *const Rpc, context: *mut c_void) {
    guarded((), || {
        // SAFETY: Kamailio calls this with its functions for a command under way, or null.
        let (Some(module), Some(rpc)) = (module(), unsafe { rpc.as_ref() }) else {
            return;
        };
        // SAFETY: both are those of this command, which is under way.
        let call = unsafe { Call::new(rpc, context) };
        match asked(module, &call, NUMBER) {
            Asked::Done(answer) => call.answer(&answer),
            Asked::Later => {}
        }
    });
}

/// What a command that was called comes to.
enum Asked {
    /// It is answered.
    Done(Answer),
    /// The process `cimf groups` answers.
    Later,
}

fn asked(module: &'static Module, call: &Call<'_>, number: usize) -> Asked {
    let command: &Command = &COMMANDS[number];
    let given = call.texts().and_then(|texts| command.in_order(texts));
    let arguments = match given {
        Ok(arguments) => arguments,
        Err(fault) => return Asked::Done(Err(fault)),
    };
    let mut errand = match command.run {
        Run::Here(run) => return Asked::Done(run(module.server, &arguments)),
        Run::Reads(_) | Run::Changes(_) => Errand {
            command: number,
            arguments,
            later: None,
        },
    };
    if !HANDLES_SIP.load(Relaxed) {
        return Asked::Done(module.errands.wait(&errand));
    }
    let Some(delayed) = call.delay() else {
        return Asked::Done(Err(Fault::failed(DELAYED_REPLIES)));
    };
    errand.later = Some(delayed.place());
    if let Err(fault) = module.errands.send(&errand, None) {
        delayed.answer(&Err(fault));
    }
    Asked::Later
}
