//! The module's commands for OpenSIPS's management interface.

use super::abi::{MI_ROOM, MiCommand, MiExport, MiRecipe};
use super::core::Core;
use super::module::{Module, module};
use super::version::Number;
use crate::host::abi::lasting;
use crate::host::commands::{Answer, COMMANDS, Command, Errand, Fault, Kind, Run, of_each_command};
use crate::host::guard::guarded;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The functions of the commands, in the order of the table: OpenSIPS does not tell a function which command it is.
static FUNCTIONS: [MiCommand; COMMANDS.len()] = of_each_command!(run);

/// Whether this is a process that receives SIP: a script may give commands there (mi_script).
static IS_SIP_WORKER: AtomicBool = AtomicBool::new(false);

/// `init_child_f`: notes which process this is.
///
/// # Safety
/// OpenSIPS calls it in each process, with the rank of that process.
pub unsafe extern "C" fn start_process(rank: c_int) -> c_int {
    IS_SIP_WORKER.store(rank > 0, Relaxed);
    0
}

/// Makes the commands known.
pub fn register(core: &Core, version: Number) -> Result<(), String> {
    for (command, function) in COMMANDS.iter().zip(FUNCTIONS) {
        export(core, version, command, function)?;
    }
    Ok(())
}

/// Makes one command known, with a recipe for each number of its optional parameters.
fn export(
    core: &Core,
    version: Number,
    command: &Command,
    function: MiCommand,
) -> Result<(), String> {
    let names: Vec<*const c_char> = command
        .parameters
        .iter()
        .map(|parameter| lasting(parameter.name.to_owned()))
        .collect();
    let all = command.parameters.iter();
    let optional = all
        .filter(|parameter| parameter.kind == Kind::Optional)
        .count();
    let mut words = [null(); MI_ROOM];
    let recipes = (names.len() - optional)..=names.len();
    for (count, at) in recipes.zip((0..).step_by(MiRecipe::words((version.0, version.1)))) {
        let recipe = MiRecipe {
            command: function,
            parameters: &names[..count],
        };
        recipe.write(&mut words[at..]);
    }
    // OpenSIPS keeps pointing to it.
    let exported: &'static MiExport = Box::leak(Box::new(MiExport {
        name: lasting(format!("cimf_{}", command.name)),
        help: lasting(command.help.to_owned()),
        flags: 0,
        init_f: null(),
        recipes: words,
    }));
    // SAFETY: all texts are there for good, and a command of zeros follows the first, as a recipe of zeros
    // follows its last, wherever the version looks for them.
    if unsafe { (core.register_mi_mod)(c"cimf".as_ptr(), exported) } != 0 {
        return Err(format!(
            "OpenSIPS refused the MI command cimf_{}",
            command.name
        ));
    }
    Ok(())
}

/// The command with this number in the table.
///
/// # Safety
/// OpenSIPS calls it with the parameters of a command.
unsafe extern "C" fn run<const NUMBER: usize>(
    parameters: *const c_void,
    _: *mut c_void,
) -> *mut c_void {
    guarded(null_mut(), || {
        let Some(module) = module() else {
            return null_mut();
        };
        // SAFETY: the parameters are those of a command under way.
        let answer = unsafe { asked(module, parameters, NUMBER) };
        module.mi.answer(&answer)
    })
}

/// What a command that was called comes to.
///
/// # Safety
/// `parameters` must be those of a command under way.
unsafe fn asked(module: &'static Module, parameters: *const c_void, number: usize) -> Answer {
    let command: &Command = &COMMANDS[number];
    let given = command.parameters.iter().map(|parameter| {
        let name = CString::new(parameter.name).unwrap_or_default();
        // SAFETY: as is required above.
        unsafe {
            module
                .mi
                .texts(parameters, &name, parameter.kind == Kind::Several)
        }
    });
    let arguments = command.by_parameter(given.collect::<Result<_, _>>()?)?;
    match command.run {
        Run::Here(run) => run(module.server, &arguments),
        Run::Reads(_) | Run::Changes(_) if IS_SIP_WORKER.load(Relaxed) => Err(Fault::failed(
            "a SIP worker cannot wait for this command: give it by mi_fifo, mi_datagram or mi_http, not from a script",
        )),
        Run::Reads(_) | Run::Changes(_) => module.errands.wait(&Errand {
            command: number,
            arguments,
            later: None,
        }),
    }
}
