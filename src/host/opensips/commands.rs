//! Commands for OpenSIPS's management interface: `cimf_stats`, `cimf_fanouts`, `cimf_cancel`, `cimf_kept`,
//! `cimf_kept_of`, `cimf_kept_drop`, `cimf_nodes`, `cimf_drain` and `cimf_undrain`.

use super::abi::{MI_ROOM, MiCommand, MiExport};
use super::core::Core;
use super::mi::Mi;
use super::module::module;
use crate::host::figures::{age, figures, states};
use crate::host::guard::guarded;
use crate::host::{kept_commands, node_commands};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{null, null_mut};

/// Makes the commands known.
pub fn register(core: &Core) -> Result<(), String> {
    export(core, c"cimf_stats", c"all counts of cimf", stats, null())?;
    export(
        core,
        c"cimf_fanouts",
        c"the group messages that are under way",
        fanouts,
        null(),
    )?;
    export(
        core,
        c"cimf_cancel",
        c"sends no more copies of the message with this number; parameter: id",
        cancel,
        c"id".as_ptr(),
    )?;
    export(
        core,
        c"cimf_kept",
        c"what is kept for members who are away",
        kept,
        null(),
    )?;
    export(
        core,
        c"cimf_kept_of",
        c"what is kept for a member who is away; parameter: address",
        kept_of,
        c"address".as_ptr(),
    )?;
    export(
        core,
        c"cimf_kept_drop",
        c"drops what is kept for a member; parameter: address",
        kept_drop,
        c"address".as_ptr(),
    )?;
    export(
        core,
        c"cimf_nodes",
        c"the nodes that share the ledger (durability=cluster)",
        nodes,
        null(),
    )?;
    export(
        core,
        c"cimf_drain",
        c"refuses new messages before maintenance; says what is left",
        drain,
        null(),
    )?;
    export(
        core,
        c"cimf_undrain",
        c"accepts new messages again",
        undrain,
        null(),
    )?;
    Ok(())
}

/// Makes one command known, with the only parameter that it has, or null.
fn export(
    core: &Core,
    name: &'static CStr,
    help: &'static CStr,
    command: MiCommand,
    parameter: *const c_char,
) -> Result<(), String> {
    let mut parameters = [null(); MI_ROOM];
    parameters[0] = parameter;
    // OpenSIPS keeps pointing to it.
    let exported: &'static MiExport = Box::leak(Box::new(MiExport {
        name: name.as_ptr(),
        help: help.as_ptr(),
        flags: 0,
        init_f: null(),
        command: Some(command),
        parameters,
    }));
    // SAFETY: all texts are constant, and a command of zeros follows the first, as a recipe of zeros
    // follows its first, wherever the version looks for them.
    if unsafe { (core.register_mi_mod)(c"cimf".as_ptr(), exported) } != 0 {
        let name = name.to_string_lossy();
        return Err(format!("OpenSIPS refused the MI command {name}"));
    }
    Ok(())
}

/// `cimf_stats`.
///
/// # Safety
/// OpenSIPS calls it with the parameters of a command.
unsafe extern "C" fn stats(_: *const c_void, _: *mut c_void) -> *mut c_void {
    guarded(null_mut(), || {
        let Some(module) = module() else {
            return null_mut();
        };
        let mi = &module.mi;
        let mut object = null_mut();
        // SAFETY: OpenSIPS makes an answer with an object, which is filled.
        unsafe {
            let answer = (mi.result_object)(&mut object);
            if !answer.is_null() {
                for (figure, name, _) in figures() {
                    mi.number(object, &name, figure.read(module.server));
                }
            }
            answer
        }
    })
}

/// Answers with an array of objects, one for each item, to which `fill` adds.
fn array<T>(
    mi: &Mi,
    items: impl IntoIterator<Item = T>,
    fill: impl Fn(*mut c_void, T),
) -> *mut c_void {
    let mut array = null_mut();
    // SAFETY: OpenSIPS makes an answer with an array, to which objects are added.
    unsafe {
        let answer = (mi.result_array)(&mut array);
        if answer.is_null() {
            return answer;
        }
        for item in items {
            let object = (mi.add_object)(array, null(), 0);
            if object.is_null() {
                break;
            }
            fill(object, item);
        }
        answer
    }
}

/// `cimf_fanouts`.
///
/// # Safety
/// OpenSIPS calls it with the parameters of a command.
unsafe extern "C" fn fanouts(_: *const c_void, _: *mut c_void) -> *mut c_void {
    guarded(null_mut(), || {
        let Some(module) = module() else {
            return null_mut();
        };
        let mi = &module.mi;
        let fanouts = match module.server.outbox().engine().fanouts() {
            Ok(fanouts) => fanouts,
            Err(blocked) => return mi.unavailable(blocked),
        };
        array(mi, fanouts, |object, fanout| {
            // SAFETY: the object is one of the answer under way.
            unsafe {
                mi.number(object, "id", fanout.message);
                mi.text(object, "group", &fanout.group);
                mi.text(object, "originator", &fanout.originator);
                mi.number(object, "seconds", age(module.server, &fanout));
                for (name, number) in states(&fanout) {
                    mi.number(object, name, number);
                }
            }
        })
    })
}

/// `cimf_cancel id`.
///
/// # Safety
/// OpenSIPS calls it with the parameters of a command.
unsafe extern "C" fn cancel(parameters: *const c_void, _: *mut c_void) -> *mut c_void {
    guarded(null_mut(), || {
        let Some(module) = module() else {
            return null_mut();
        };
        let mi = &module.mi;
        let mut id: c_int = 0;
        // SAFETY: the parameters are those of a command under way, and the number goes where the
        // pointer says. Where there is none, OpenSIPS's own error is the answer.
        unsafe {
            if (mi.int_parameter)(parameters, c"id".as_ptr(), &mut id) < 0 {
                return (mi.parameter_error)();
            }
        }
        let engine = module.server.outbox().engine();
        match u64::try_from(id).map_or(Ok(false), |id| engine.cancel(id)) {
            Ok(true) => mi.done(c"OK"),
            Ok(false) => mi.fault(
                404,
                c"no such message is under way: cimf_fanouts lists those that are",
            ),
            Err(blocked) => mi.unavailable(blocked),
        }
    })
}

/// `cimf_kept`.
///
/// # Safety
/// OpenSIPS calls it with the parameters of a command.
unsafe extern "C" fn kept(_: *const c_void, _: *mut c_void) -> *mut c_void {
    list(|_| Ok(None))
}

/// `cimf_kept_of address`.
///
/// # Safety
/// OpenSIPS calls it with the parameters of a command.
unsafe extern "C" fn kept_of(parameters: *const c_void, _: *mut c_void) -> *mut c_void {
    // SAFETY: the parameters are those of a command under way. Where there is none, OpenSIPS's own error is the
    // answer.
    list(|mi| match unsafe { mi.address(parameters) } {
        Some(address) => Ok(Some(address)),
        // SAFETY: the function takes nothing.
        None => Err(unsafe { (mi.parameter_error)() }),
    })
}

/// Lists the copies kept for the address that `address` returns, or all with `None`; its error is the answer.
fn list(address: impl FnOnce(&Mi) -> Result<Option<Vec<u8>>, *mut c_void>) -> *mut c_void {
    guarded(null_mut(), || {
        let Some(module) = module() else {
            return null_mut();
        };
        let mi = &module.mi;
        let address = match address(mi) {
            Ok(address) => address,
            Err(answer) => return answer,
        };
        let listed = match kept_commands::list(module.server, address.as_deref()) {
            Ok(listed) => listed,
            Err(why) => return mi.failed(&why),
        };
        array(mi, listed, |object, copy| {
            // SAFETY: the object is one of the answer under way.
            unsafe {
                mi.number(object, "id", copy.message);
                mi.text(object, "recipient", &copy.recipient);
                mi.text(object, "group", &copy.group);
                mi.text(object, "originator", &copy.originator);
                for (name, number) in copy.numbers() {
                    mi.number(object, name, number);
                }
            }
        })
    })
}

/// `cimf_kept_drop address`.
///
/// # Safety
/// OpenSIPS calls it with the parameters of a command.
unsafe extern "C" fn kept_drop(parameters: *const c_void, _: *mut c_void) -> *mut c_void {
    guarded(null_mut(), || {
        let Some(module) = module() else {
            return null_mut();
        };
        let mi = &module.mi;
        // SAFETY: the parameters are those of a command under way. Where there is none, OpenSIPS's own error is
        // the answer.
        let Some(address) = (unsafe { mi.address(parameters) }) else {
            // SAFETY: the function takes nothing.
            return unsafe { (mi.parameter_error)() };
        };
        let dropped = match kept_commands::drop_all(module.server, &address) {
            Ok(copies) => copies,
            Err(why) => return mi.failed(&why),
        };
        let mut object = null_mut();
        // SAFETY: OpenSIPS makes an answer with an object, which is filled.
        unsafe {
            let answer = (mi.result_object)(&mut object);
            if !answer.is_null() {
                mi.number(object, "copies", dropped);
            }
            answer
        }
    })
}

/// `cimf_nodes`.
///
/// # Safety
/// OpenSIPS calls it with the parameters of a command.
unsafe extern "C" fn nodes(_: *const c_void, _: *mut c_void) -> *mut c_void {
    guarded(null_mut(), || {
        let Some(module) = module() else {
            return null_mut();
        };
        let mi = &module.mi;
        let nodes = match node_commands::nodes(module.server) {
            Ok(nodes) => nodes,
            Err(why) => return mi.failed(&why),
        };
        array(mi, nodes, |object, node| {
            // SAFETY: the object is one of the answer under way.
            unsafe {
                mi.text(object, "node", node.name.as_bytes());
                for (name, number) in node_commands::numbers(&node) {
                    mi.number(object, name, number);
                }
            }
        })
    })
}

/// `cimf_drain`.
///
/// # Safety
/// OpenSIPS calls it with the parameters of a command.
unsafe extern "C" fn drain(_: *const c_void, _: *mut c_void) -> *mut c_void {
    set_draining(true)
}

/// `cimf_undrain`.
///
/// # Safety
/// OpenSIPS calls it with the parameters of a command.
unsafe extern "C" fn undrain(_: *const c_void, _: *mut c_void) -> *mut c_void {
    set_draining(false)
}

fn set_draining(drains: bool) -> *mut c_void {
    guarded(null_mut(), || {
        let Some(module) = module() else {
            return null_mut();
        };
        let mi = &module.mi;
        let drained = node_commands::drain(module.server, drains);
        let mut object = null_mut();
        // SAFETY: OpenSIPS makes an answer with an object, to which numbers are added.
        unsafe {
            let answer = (mi.result_object)(&mut object);
            if answer.is_null() {
                return answer;
            }
            for (name, number) in drained.numbers() {
                mi.number(object, name, number);
            }
            answer
        }
    })
}
