//! Structures and numbers that the module shares with OpenSIPS, in all known versions on x86_64.

use crate::host::abi::{ParamExport, PvValue, SipMsg, Str};
use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void};

/// Where `struct sip_msg` has the method of a request.
pub const SIP_MSG_METHOD: usize = 16;
/// Where it has its bytes, followed by their number, and its first Record-Route: from 3.2 to 3.4, in
/// 3.5, in 3.6, and in 4.0.
pub const SIP_MSG_LAYOUTS: [(usize, usize); 4] = [(584, 184), (608, 184), (608, 176), (672, 176)];
/// More than any known `struct sip_msg` has.
pub const SIP_MSG_ROOM: usize = 8192;

/// `struct hdr_field`.
#[repr(C)]
pub struct HdrField {
    pub kind: c_int,
    pub name: Str,
    pub body: Str,
    pub len: c_int,
    pub parsed: *mut c_void,
    pub next: *mut HdrField,
    pub sibling: *mut HdrField,
}

/// `cmd_function`, with the values of its eight parameters.
pub type ScriptFunction = unsafe extern "C" fn(
    *mut SipMsg,
    *const Str,
    *mut c_void,
    *mut c_void,
    *mut c_void,
    *mut c_void,
    *mut c_void,
    *mut c_void,
    *mut c_void,
) -> c_int;

/// `struct cmd_param`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CmdParam {
    pub flags: c_int,
    pub fixup: *const c_void,
    pub free_fixup: *const c_void,
}

/// `CMD_PARAM_STR`: text, with its pseudo-variables replaced.
pub const TEXT: c_int = 1 << 1;

/// `CMD_PARAM_STR` and `CMD_PARAM_OPT`: text, with its pseudo-variables replaced, that may be left out.
pub const OPTIONAL_TEXT: c_int = TEXT | 1 << 4;

/// `ALL_ROUTES`.
pub const ALL_ROUTES: c_uint = (1 << 9) - 1;

/// `cmd_export_t`.
#[repr(C)]
pub struct CmdExport {
    pub name: *const c_char,
    pub function: Option<ScriptFunction>,
    pub params: [CmdParam; 9],
    pub flags: c_uint,
}

/// `proc_export_t`.
#[repr(C)]
pub struct ProcExport {
    pub name: *const c_char,
    pub pre_fork: Option<unsafe extern "C" fn() -> c_int>,
    pub post_fork: Option<unsafe extern "C" fn() -> c_int>,
    pub function: Option<unsafe extern "C" fn(c_int)>,
    pub number: c_uint,
    pub flags: c_uint,
}

/// `PROC_FLAG_INITCHILD`, `PROC_FLAG_HAS_IPC` and `PROC_FLAG_NEEDS_SCRIPT`: without the script tm
/// cannot send.
pub const PROC_FLAGS: c_uint = 1 | 1 << 1 | 1 << 2;

/// `module_dependency_t`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ModuleDependency {
    pub module_type: c_int,
    pub name: *const c_char,
    pub flags: c_uint,
}

/// `dep_export_t`, without parameters that depend on modules.
#[repr(C)]
pub struct Dependencies {
    pub modules: [ModuleDependency; 10],
    pub parameters: [*const c_void; 2],
}

/// `MOD_TYPE_DEFAULT`.
pub const MOD_TYPE_DEFAULT: c_int = 1;
/// `DEP_SILENT`: such a module starts before this one, if it is loaded.
pub const DEP_SILENT: c_uint = 1;

/// The version of a module until 3.3.
#[repr(C)]
pub struct Version {
    pub version: *const c_char,
    pub compile_flags: *const c_char,
}

/// The version of a module since 3.4.
#[repr(C)]
pub struct ScmVersion {
    pub version: Version,
    pub scm_type: *const c_char,
    pub scm_revision: *const c_char,
}

/// `struct module_exports`.
#[repr(C)]
pub struct ModuleExports<V> {
    pub name: *const c_char,
    pub module_type: c_int,
    pub version: V,
    pub dlflags: c_uint,
    pub load_f: *const c_void,
    pub deps: *const Dependencies,
    pub cmds: *const CmdExport,
    pub acmds: *const c_void,
    pub params: *const ParamExport,
    pub stats: *const c_void,
    pub mi_cmds: *const c_void,
    pub items: *const PvExport,
    pub trans: *const c_void,
    pub procs: *const ProcExport,
    pub preinit_f: *const c_void,
    pub init_f: Option<unsafe extern "C" fn() -> c_int>,
    pub response_f: *const c_void,
    pub destroy_f: Option<unsafe extern "C" fn()>,
    pub init_child_f: Option<unsafe extern "C" fn(c_int) -> c_int>,
    pub reload_ack_f: *const c_void,
}

/// `pv_param_t`: what stands between the brackets of a pseudo-variable. Later versions append a number.
#[repr(C)]
pub struct PvParam {
    pub name_kind: c_int,
    pub name: PvName,
    pub index_kind: c_int,
    pub index: *mut c_void,
    pub value: Str,
}

/// What the name of a pseudo-variable is.
#[repr(C)]
pub struct PvName {
    pub kind: c_int,
    pub value: [usize; 2],
}

/// The start of `pv_spec_t`.
#[repr(C)]
pub struct PvSpec {
    pub kind: c_int,
    pub get: *mut c_void,
    pub set: *mut c_void,
    pub param: PvParam,
}

/// `pv_getf_t`.
pub type GetVariable = unsafe extern "C" fn(*mut SipMsg, *mut PvParam, *mut PvValue) -> c_int;
/// `pv_parse_name_f`.
pub type ParseVariableName = unsafe extern "C" fn(*mut PvSpec, *const Str) -> c_int;

/// `pv_export_t`.
#[repr(C)]
pub struct PvExport {
    pub name: Str,
    pub kind: c_int,
    pub get: Option<GetVariable>,
    pub set: *const c_void,
    pub parse_name: Option<ParseVariableName>,
    pub parse_index: *const c_void,
    pub init_param: *const c_void,
    pub iparam: c_int,
}

/// A kind beyond `PVT_EXTRA` of all versions, as modules use it.
pub const PVT_MODULE: c_int = 1000;

/// `cb_function` of the script callbacks.
pub type ScriptCallback = unsafe extern "C" fn(*mut SipMsg, *mut c_void) -> c_int;
/// `POST_SCRIPT_CB | REQ_TYPE_CB`: called when the route of a request has ended.
pub const AFTER_REQUEST_ROUTE: c_int = 1 << 1 | 1 << 2;
/// `SCB_RUN_ALL`: all else goes on.
pub const SCB_RUN_ALL: c_int = 3;

/// `dlg_seq_t`.
#[repr(C)]
pub struct DlgSeq {
    pub value: c_uint,
    pub is_set: u8,
}

/// `dlg_t`. `S` are the pointers to sockets: one until 3.4.1, two since 3.4.2.
#[repr(C)]
pub struct Dlg<S> {
    pub call_id: Str,
    pub rem_tag: Str,
    pub loc_tag: Str,
    pub loc_seq: DlgSeq,
    pub rem_seq: DlgSeq,
    pub loc_uri: Str,
    pub rem_uri: Str,
    pub obp: Str,
    pub forced_to_su: [u32; 7],
    pub rem_target: Str,
    pub loc_dname: Str,
    pub rem_dname: Str,
    pub t_flags: c_uint,
    pub state: c_uint,
    pub route_set: *mut c_void,
    pub ru: Str,
    pub nh: Str,
    pub request_uri: *const Str,
    pub next_hop: *const Str,
    pub routes: [*mut c_void; 2],
    pub sockets: S,
    pub mf_enforced: u16,
    pub mf_value: u16,
    /// The context of a dialog, AVPs, a callback with its parameter, and room for more.
    pub rest: [usize; 16],
}

/// `DLG_CONFIRMED`.
pub const DLG_CONFIRMED: c_uint = 2;

/// The start of `struct tmcb_params`.
#[repr(C)]
pub struct TmcbParams {
    pub req: *mut SipMsg,
    pub rpl: *mut SipMsg,
    pub code: c_int,
    pub param: *mut *mut c_void,
}

/// `transaction_cb`.
pub type TransactionCallback = unsafe extern "C" fn(*mut c_void, c_int, *mut TmcbParams);
/// `release_tmcb_param`.
pub type ReleaseCallback = unsafe extern "C" fn(*mut c_void);
/// `TMCB_LOCAL_COMPLETED`: a request sent by the module has its final response, or none in time.
pub const TMCB_LOCAL_COMPLETED: c_int = 1 << 8;

/// `stat_function`.
pub type ReadStatistic = unsafe extern "C" fn(*mut c_void) -> c_ulong;
/// `STAT_IS_FUNC`.
pub const STAT_IS_FUNC: u16 = 1 << 3;

/// `stat_export_t`.
#[repr(C)]
pub struct StatExport {
    pub name: *const c_char,
    pub flags: u16,
    /// A function, with `STAT_IS_FUNC`.
    pub place: *mut c_void,
}

/// `evi_param_t`.
#[repr(C)]
pub struct EviParam {
    pub flags: c_int,
    /// A text, or a number in its first half.
    pub value: EviValue,
    pub name: Str,
    pub next: *mut EviParam,
}

/// The value of an event's parameter.
#[repr(C)]
pub union EviValue {
    pub number: c_int,
    pub text: Str,
}

/// `EVI_INT_VAL` and `EVI_STR_VAL`.
pub const EVI_NUMBER: c_int = 1;
pub const EVI_TEXT: c_int = 2;

/// `evi_params_t`.
#[repr(C)]
pub struct EviParams {
    pub flags: c_int,
    pub first: *mut EviParam,
    pub last: *mut EviParam,
}

/// `mi_export_t`, whose recipes have room for their own number of parameters in each version. What follows the last
/// recipe are zeros: the end of the recipes, and of the table of commands.
#[repr(C)]
pub struct MiExport {
    pub name: *const c_char,
    pub help: *const c_char,
    pub flags: c_uint,
    pub init_f: *const c_void,
    pub recipes: [*const c_char; MI_ROOM],
}

/// `mi_recipe_t`: a command with as many of its parameters as are given.
pub struct MiRecipe<'p> {
    pub command: MiCommand,
    pub parameters: &'p [*const c_char],
}

impl MiRecipe<'_> {
    /// The words of a recipe: ten parameters, and 20 since 4.0.
    pub fn words(version: (u32, u32)) -> usize {
        match version >= (4, 0) {
            true => 21,
            false => 11,
        }
    }

    /// Writes it where zeros were.
    pub fn write(&self, words: &mut [*const c_char]) {
        words[0] = self.command as *const c_char;
        words[1..=self.parameters.len()].copy_from_slice(self.parameters);
    }
}

/// Words enough for two rows of the largest table known: 8,128 bytes each, in 4.0.
pub const MI_ROOM: usize = 2560;

/// `mi_cmd_f`.
pub type MiCommand = unsafe extern "C" fn(*const c_void, *mut c_void) -> *mut c_void;

const _: () = {
    assert!(size_of::<ModuleExports<Version>>() == 168);
    assert!(size_of::<ModuleExports<ScmVersion>>() == 184);
    assert!(size_of::<CmdExport>() == 240);
    assert!(size_of::<ProcExport>() == 40);
    assert!(std::mem::offset_of!(Dependencies, parameters) == 240);
    assert!(size_of::<PvExport>() == 72);
    assert!(std::mem::offset_of!(PvSpec, param) == 24);
    assert!(std::mem::offset_of!(PvParam, name) == 8);
    assert!(std::mem::offset_of!(PvName, value) == 8);
    assert!(std::mem::offset_of!(PvParam, index_kind) == 32);
    assert!(size_of::<HdrField>() == 72);
    assert!(std::mem::offset_of!(Dlg<[usize; 1]>, rem_target) == 144);
    assert!(std::mem::offset_of!(Dlg<[usize; 1]>, ru) == 208);
    assert!(std::mem::offset_of!(Dlg<[usize; 1]>, mf_enforced) == 280);
    assert!(std::mem::offset_of!(Dlg<[usize; 2]>, sockets) == 272);
    assert!(std::mem::offset_of!(Dlg<[usize; 2]>, mf_enforced) == 288);
    assert!(std::mem::offset_of!(TmcbParams, param) == 24);
    assert!(size_of::<EviParam>() == 48);
    assert!(size_of::<EviParams>() == 24);
    assert!(std::mem::offset_of!(MiExport, recipes) == 32);
    assert!(size_of::<MiExport>() >= 2 * 8128);
};
