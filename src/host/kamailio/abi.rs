//! Structures and numbers that the module shares with Kamailio, the same in all known versions on x86_64.

use crate::host::abi::{IpAddress, ParamExport, PvValue, SipMsg, Str};
use std::ffi::{c_char, c_int, c_long, c_uint, c_ushort, c_void};
use std::ptr::null_mut;

/// Where `struct sip_msg` has the method of a request, the header fields that are parsed, their kinds, its bytes and
/// their number.
pub const SIP_MSG_METHOD: usize = 40;
pub const SIP_MSG_HEADERS: usize = 112;
pub const SIP_MSG_PARSED_FLAG: usize = 128;
pub const SIP_MSG_BUF: usize = 720;
pub const SIP_MSG_LEN: usize = 728;
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
}

/// `cmd_function`, with its two parameters as the script's parser left them.
pub type ScriptFunction = unsafe extern "C" fn(*mut SipMsg, *mut c_void, *mut c_void) -> c_int;
/// `fixup_function`.
pub type Fixup = unsafe extern "C" fn(*mut *mut c_void, c_int) -> c_int;

/// `cmd_export_t`.
#[repr(C)]
pub struct CmdExport {
    pub name: *const c_char,
    pub function: Option<ScriptFunction>,
    pub param_no: c_int,
    pub fixup: Option<Fixup>,
    pub free_fixup: Option<Fixup>,
    pub flags: c_uint,
}

/// `PROC_INIT`: the main process before it forks, with the rights of the workers.
pub const PROC_INIT: c_int = -127;

/// `ANY_ROUTE`.
pub const ANY_ROUTE: c_uint = c_uint::MAX;

/// `EVENT_ROUTE`: functions for requests may be used there too.
pub const EVENT_ROUTE: c_uint = crate::host::abi::REQUEST_ROUTE | 1 << 9;

/// `struct route_list`, which starts with its routes; the rest is not read.
#[repr(C)]
pub struct RouteList {
    pub routes: *const *mut c_void,
}

/// `PROC_MAIN`: the main process when it forks the others.
pub const PROC_MAIN: c_int = 0;

/// `PROC_TIMER`: a process that runs timers.
pub const PROC_TIMER: c_int = -1;

/// `pv_param_t`: what stands between the brackets of a pseudo-variable, as its parser left it.
#[repr(C)]
pub struct PvParam {
    pub name_kind: c_int,
    pub free_name: *mut c_void,
    pub inner_kind: c_int,
    pub inner: [usize; 2],
    pub index_kind: c_int,
    pub index: *mut c_void,
}

/// `PV_IDX_NONE`, which Kamailio writes before it asks for the name.
pub const PV_IDX_NONE: c_int = 4;

/// `pv_spec_t`.
#[repr(C)]
pub struct PvSpec {
    pub kind: c_int,
    pub get: *mut c_void,
    pub set: *mut c_void,
    pub param: PvParam,
    pub transformations: *mut c_void,
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

/// `PVT_OTHER`.
pub const PVT_OTHER: c_int = 22;

/// `cb_function` of the script callbacks.
pub type ScriptCallback = unsafe extern "C" fn(*mut SipMsg, c_uint, *mut c_void) -> c_int;
/// `POST_SCRIPT_CB | REQUEST_CB`: called when `request_route` has ended.
pub const AFTER_REQUEST_ROUTE: c_uint = 1 << 31 | 1;

/// `sr_kemi_t`.
#[repr(C)]
pub struct KemiExport {
    pub module: Str,
    pub name: Str,
    pub result: c_int,
    pub function: *const c_void,
    pub parameters: [c_int; 6],
}

/// `SR_KEMIP_INT` and `SR_KEMIP_STR`.
pub const KEMI_INT: c_int = 1;
pub const KEMI_STR: c_int = 1 << 1;

/// `rpc_export_t`.
#[repr(C)]
pub struct RpcExport {
    pub name: *const c_char,
    pub function: Option<unsafe extern "C" fn(*const Rpc, *mut c_void)>,
    pub documentation: *const *const c_char,
    pub flags: c_uint,
}

/// `module_exports_t`.
#[repr(C)]
pub struct ModuleExports {
    pub name: *const c_char,
    pub dlflags: c_uint,
    pub cmds: *const CmdExport,
    pub params: *const ParamExport,
    pub rpc_methods: *const RpcExport,
    pub pv_items: *const PvExport,
    pub response_f: Option<unsafe extern "C" fn(*mut SipMsg) -> c_int>,
    pub init_mod_f: Option<unsafe extern "C" fn() -> c_int>,
    pub init_child_f: Option<unsafe extern "C" fn(c_int) -> c_int>,
    pub destroy_mod_f: Option<unsafe extern "C" fn()>,
}

/// The start of `struct sr_module`.
#[repr(C)]
pub struct SrModule {
    pub path: *const c_char,
    pub handle: *mut c_void,
}

/// The start of `struct socket_info`.
#[repr(C)]
pub struct SocketInfo {
    pub socket: c_int,
    pub index: c_int,
    pub name: Str,
    pub address: IpAddress,
    pub address_text: Str,
    pub port_text: Str,
    pub flags: c_int,
    /// `union sockaddr_union`.
    pub system_address: [u64; 16],
    pub next: *const SocketInfo,
    pub previous: *const SocketInfo,
    pub port: c_ushort,
    pub protocol: c_char,
}

/// `dlg_seq_t`.
#[repr(C)]
pub struct DlgSeq {
    pub value: c_uint,
    pub is_set: u8,
}

impl DlgSeq {
    const NONE: Self = Self {
        value: 0,
        is_set: 0,
    };
}

/// `DLG_SEQ_VALSET`.
pub const DLG_SEQ_VALSET: u8 = 1;

/// `dlg_t`, with room for what later versions append.
#[repr(C)]
pub struct Dlg {
    pub call_id: Str,
    pub rem_tag: Str,
    pub loc_tag: Str,
    pub loc_seq: DlgSeq,
    pub rem_seq: DlgSeq,
    pub loc_uri: Str,
    pub rem_uri: Str,
    pub rem_target: Str,
    pub dst_uri: Str,
    pub loc_dname: Str,
    pub rem_dname: Str,
    pub secure: u8,
    pub state: c_uint,
    pub route_set: *mut c_void,
    pub hooks: [usize; 8],
    pub send_sock: *mut c_void,
    pub later: [usize; 32],
}

impl Dlg {
    /// A dialog about nothing.
    pub const NONE: Self = Self {
        call_id: Str::NONE,
        rem_tag: Str::NONE,
        loc_tag: Str::NONE,
        loc_seq: DlgSeq::NONE,
        rem_seq: DlgSeq::NONE,
        loc_uri: Str::NONE,
        rem_uri: Str::NONE,
        rem_target: Str::NONE,
        dst_uri: Str::NONE,
        loc_dname: Str::NONE,
        rem_dname: Str::NONE,
        secure: 0,
        state: 0,
        route_set: null_mut(),
        hooks: [0; 8],
        send_sock: null_mut(),
        later: [0; 32],
    };
}

/// `uac_req_t`, with room for what later versions append.
#[repr(C)]
pub struct UacReq {
    pub method: *const Str,
    pub headers: *const Str,
    pub body: *const Str,
    pub ssock: *const Str,
    pub ssockname: *const Str,
    pub dialog: *mut Dlg,
    pub cb_flags: c_uint,
    pub cb: Option<TransactionCallback>,
    pub cbp: *mut c_void,
    pub callid: *const Str,
    pub later: [usize; 22],
}

/// The start of `struct tmcb_params`.
#[repr(C)]
pub struct TmcbParams {
    pub req: *mut SipMsg,
    pub rpl: *mut SipMsg,
    pub param: *mut *mut c_void,
    pub code: c_int,
}

/// `transaction_cb`.
pub type TransactionCallback = unsafe extern "C" fn(*mut c_void, c_int, *mut TmcbParams);
/// `TMCB_LOCAL_COMPLETED`: a request sent by the module has its final response, or none in time.
pub const TMCB_LOCAL_COMPLETED: c_uint = 1 << 10;
/// `TMCB_DESTROY`: the memory of a transaction is given back.
pub const TMCB_DESTROY: c_uint = 1 << 17;
/// `struct lump_rpl` is only passed on.
pub type LumpRpl = c_void;
/// `counter_cbk_f`; the handle is a 16-bit number in a structure.
pub type ReadCounter = unsafe extern "C" fn(u16, *mut c_void) -> c_long;

/// `ksr_logdata_t`.
#[repr(C)]
pub struct LogData {
    pub facility: c_int,
    pub level: c_int,
    pub level_name: *const c_char,
    pub file: *const c_char,
    pub line: c_int,
    pub module: *const c_char,
    pub function: *const c_char,
    pub location: *const c_char,
    pub pid: c_int,
    pub pid_index: c_int,
}

const _: () = {
    assert!(SIP_MSG_LEN + 8 <= SIP_MSG_ROOM);
    assert!(size_of::<ModuleExports>() == 80);
    assert!(size_of::<CmdExport>() == 48);
    assert!(size_of::<PvExport>() == 72);
    assert!(size_of::<RpcExport>() == 32);
    assert!(size_of::<KemiExport>() == 72);
    assert!(std::mem::offset_of!(PvSpec, param) == 24);
    assert!(std::mem::offset_of!(PvParam, inner) == 24);
    assert!(std::mem::offset_of!(PvParam, index_kind) == 40);
    assert!(size_of::<PvSpec>() == 88);
    assert!(std::mem::offset_of!(Dlg, loc_uri) == 64);
    assert!(std::mem::offset_of!(Dlg, route_set) == 168);
    assert!(std::mem::offset_of!(Dlg, send_sock) == 240);
    assert!(size_of::<UacReq>() == 256);
    assert!(std::mem::offset_of!(HdrField, next) == 56);
};

/// `rpc_t`, as far as it is used: how a command reads its parameters and answers. The functions for
/// structures take what `add` has made, the others the context of the call. The last three are null where a transport
/// cannot answer later.
#[repr(C)]
pub struct Rpc {
    pub fault: unsafe extern "C" fn(*mut c_void, c_int, *const c_char, ...),
    pub send: *const c_void,
    pub add: unsafe extern "C" fn(*mut c_void, *const c_char, ...) -> c_int,
    pub scan: unsafe extern "C" fn(*mut c_void, *const c_char, ...) -> c_int,
    pub printf: *const c_void,
    pub struct_add: unsafe extern "C" fn(*mut c_void, *const c_char, ...) -> c_int,
    pub array_add: *const c_void,
    pub struct_scan: *const c_void,
    pub struct_printf: *const c_void,
    pub capabilities: Option<unsafe extern "C" fn(*mut c_void) -> c_uint>,
    pub delayed_ctx_new: Option<unsafe extern "C" fn(*mut c_void) -> *mut RpcDelayed>,
    pub delayed_ctx_close: Option<unsafe extern "C" fn(*mut RpcDelayed)>,
}

/// The start of `rpc_delayed_ctx_t`.
#[repr(C)]
pub struct RpcDelayed {
    pub rpc: Rpc,
    pub context: *mut c_void,
}
