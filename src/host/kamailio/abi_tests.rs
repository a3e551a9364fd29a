//! Every structure shared with Kamailio, against a C compiler's word, for each known version; and against
//! Kamailio's own declarations where CIMF_KAMAILIO_SOURCE names its source.

use super::abi::{
    CmdExport, Dlg, DlgSeq, HdrField, KemiExport, LogData, ModuleExports, PvExport, PvParam,
    PvSpec, RpcExport, SIP_MSG_BUF, SIP_MSG_HEADERS, SIP_MSG_LEN, SIP_MSG_METHOD,
    SIP_MSG_PARSED_FLAG, SocketInfo, SrModule, TmcbParams, UacReq,
};
use super::abi::{Rpc, RpcDelayed};
use super::memory;
use super::tm::{SL_API, T_NEWTRAN, TM_BINDS};
use super::version::KNOWN;
use crate::host::abi::{IpAddress, ParamExport};
use std::collections::BTreeMap;
use std::mem::offset_of;
use std::path::Path;
use std::process::Command;

/// What the C compiler says with these further words of its command line, as a shell reads them.
fn said_by_c(words: &str) -> BTreeMap<String, usize> {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("structures");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/kamailio_structures.c");
    let line = format!(
        "cc -std=gnu11 {words} -o {} {}",
        program.display(),
        source.display()
    );
    let compiled = Command::new("sh").arg("-c").arg(&line).status();
    assert!(compiled.unwrap().success(), "{line}");
    let said = Command::new(program).output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    let lines = said.lines().map(|line| {
        let (name, number) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), number.parse().unwrap())
    });
    lines.collect()
}

/// Our sizes and places, by C's names.
fn ours() -> Vec<(&'static str, usize)> {
    let hooks = offset_of!(Dlg, hooks);
    vec![
        ("module_exports_t", size_of::<ModuleExports>()),
        (
            "module_exports_t.dlflags",
            offset_of!(ModuleExports, dlflags),
        ),
        ("module_exports_t.cmds", offset_of!(ModuleExports, cmds)),
        ("module_exports_t.params", offset_of!(ModuleExports, params)),
        (
            "module_exports_t.rpc_methods",
            offset_of!(ModuleExports, rpc_methods),
        ),
        (
            "module_exports_t.pv_items",
            offset_of!(ModuleExports, pv_items),
        ),
        (
            "module_exports_t.init_mod_f",
            offset_of!(ModuleExports, init_mod_f),
        ),
        (
            "module_exports_t.init_child_f",
            offset_of!(ModuleExports, init_child_f),
        ),
        (
            "module_exports_t.destroy_mod_f",
            offset_of!(ModuleExports, destroy_mod_f),
        ),
        ("cmd_export_t", size_of::<CmdExport>()),
        ("cmd_export_t.function", offset_of!(CmdExport, function)),
        ("cmd_export_t.param_no", offset_of!(CmdExport, param_no)),
        ("cmd_export_t.fixup", offset_of!(CmdExport, fixup)),
        ("cmd_export_t.free_fixup", offset_of!(CmdExport, free_fixup)),
        ("cmd_export_t.flags", offset_of!(CmdExport, flags)),
        ("param_export_t", size_of::<ParamExport>()),
        ("param_export_t.type", offset_of!(ParamExport, kind)),
        ("param_export_t.param_pointer", offset_of!(ParamExport, set)),
        ("sr_kemi_t", size_of::<KemiExport>()),
        ("sr_kemi_t.fname", offset_of!(KemiExport, name)),
        ("sr_kemi_t.rtype", offset_of!(KemiExport, result)),
        ("sr_kemi_t.func", offset_of!(KemiExport, function)),
        ("sr_kemi_t.ptypes", offset_of!(KemiExport, parameters)),
        ("rpc_export_t", size_of::<RpcExport>()),
        ("rpc_export_t.function", offset_of!(RpcExport, function)),
        ("rpc_export_t.doc_str", offset_of!(RpcExport, documentation)),
        ("rpc_export_t.flags", offset_of!(RpcExport, flags)),
        ("rpc_t.add", offset_of!(Rpc, add)),
        ("rpc_t.scan", offset_of!(Rpc, scan)),
        ("rpc_t.capabilities", offset_of!(Rpc, capabilities)),
        ("rpc_t.delayed_ctx_new", offset_of!(Rpc, delayed_ctx_new)),
        (
            "rpc_t.delayed_ctx_close",
            offset_of!(Rpc, delayed_ctx_close),
        ),
        (
            "rpc_delayed_ctx_t.reply_ctx",
            offset_of!(RpcDelayed, context),
        ),
        ("rpc_t.struct_add", offset_of!(Rpc, struct_add)),
        ("sr_module_t.path", offset_of!(SrModule, path)),
        ("sr_module_t.handle", offset_of!(SrModule, handle)),
        ("pv_spec_t", size_of::<PvSpec>()),
        ("pv_spec_t.pvp", offset_of!(PvSpec, param)),
        (
            "pv_param_t.pvn.u.isname.type",
            offset_of!(PvParam, inner_kind),
        ),
        ("pv_param_t.pvn.u.isname.name", offset_of!(PvParam, inner)),
        ("pv_param_t.pvi", offset_of!(PvParam, index_kind)),
        ("pv_export_t", size_of::<PvExport>()),
        ("pv_export_t.type", offset_of!(PvExport, kind)),
        ("pv_export_t.getf", offset_of!(PvExport, get)),
        ("pv_export_t.parse_name", offset_of!(PvExport, parse_name)),
        ("pv_export_t.iparam", offset_of!(PvExport, iparam)),
        ("hdr_field_t", size_of::<HdrField>()),
        ("hdr_field_t.name", offset_of!(HdrField, name)),
        ("hdr_field_t.body", offset_of!(HdrField, body)),
        ("hdr_field_t.next", offset_of!(HdrField, next)),
        ("sip_msg_t.first_line.u.request.method", SIP_MSG_METHOD),
        ("sip_msg_t.headers", SIP_MSG_HEADERS),
        ("sip_msg_t.parsed_flag", SIP_MSG_PARSED_FLAG),
        ("sip_msg_t.buf", SIP_MSG_BUF),
        ("sip_msg_t.len", SIP_MSG_LEN),
        ("socket_info_t.address", offset_of!(SocketInfo, address)),
        (
            "socket_info_t.address_str",
            offset_of!(SocketInfo, address_text),
        ),
        (
            "socket_info_t.port_no_str",
            offset_of!(SocketInfo, port_text),
        ),
        ("socket_info_t.next", offset_of!(SocketInfo, next)),
        ("socket_info_t.port_no", offset_of!(SocketInfo, port)),
        ("socket_info_t.proto", offset_of!(SocketInfo, protocol)),
        ("ip_addr_t", size_of::<IpAddress>()),
        ("ip_addr_t.len", offset_of!(IpAddress, length)),
        ("ip_addr_t.u", offset_of!(IpAddress, bytes)),
        ("ksr_logdata_t", size_of::<LogData>()),
        ("ksr_logdata_t.v_level", offset_of!(LogData, level)),
        ("ksr_logdata_t.v_lname", offset_of!(LogData, level_name)),
        ("ksr_logdata_t.v_fname", offset_of!(LogData, file)),
        ("ksr_logdata_t.v_fline", offset_of!(LogData, line)),
        ("ksr_logdata_t.v_mname", offset_of!(LogData, module)),
        ("ksr_logdata_t.v_func", offset_of!(LogData, function)),
        ("ksr_logdata_t.v_locinfo", offset_of!(LogData, location)),
        ("ksr_logdata_t.v_pidx", offset_of!(LogData, pid_index)),
        ("dlg_seq_t", size_of::<DlgSeq>()),
        ("dlg_seq_t.is_set", offset_of!(DlgSeq, is_set)),
        ("dlg_t.id.rem_tag", offset_of!(Dlg, rem_tag)),
        ("dlg_t.id.loc_tag", offset_of!(Dlg, loc_tag)),
        ("dlg_t.loc_seq", offset_of!(Dlg, loc_seq)),
        ("dlg_t.rem_seq", offset_of!(Dlg, rem_seq)),
        ("dlg_t.loc_uri", offset_of!(Dlg, loc_uri)),
        ("dlg_t.rem_uri", offset_of!(Dlg, rem_uri)),
        ("dlg_t.rem_target", offset_of!(Dlg, rem_target)),
        ("dlg_t.dst_uri", offset_of!(Dlg, dst_uri)),
        ("dlg_t.loc_dname", offset_of!(Dlg, loc_dname)),
        ("dlg_t.rem_dname", offset_of!(Dlg, rem_dname)),
        ("dlg_t.secure", offset_of!(Dlg, secure)),
        ("dlg_t.state", offset_of!(Dlg, state)),
        ("dlg_t.route_set", offset_of!(Dlg, route_set)),
        ("dlg_t.hooks", hooks),
        ("dlg_t.hooks.nh", hooks + 2 * size_of::<usize>()),
        ("dlg_t.hooks.request_uri", hooks + 4 * size_of::<usize>()),
        ("dlg_t.hooks.next_hop", hooks + 5 * size_of::<usize>()),
        ("dlg_t.send_sock", offset_of!(Dlg, send_sock)),
        ("uac_req_t.headers", offset_of!(UacReq, headers)),
        ("uac_req_t.body", offset_of!(UacReq, body)),
        ("uac_req_t.ssock", offset_of!(UacReq, ssock)),
        ("uac_req_t.ssockname", offset_of!(UacReq, ssockname)),
        ("uac_req_t.dialog", offset_of!(UacReq, dialog)),
        ("uac_req_t.cb_flags", offset_of!(UacReq, cb_flags)),
        ("uac_req_t.cb", offset_of!(UacReq, cb)),
        ("uac_req_t.cbp", offset_of!(UacReq, cbp)),
        ("uac_req_t.callid", offset_of!(UacReq, callid)),
        ("struct tmcb_params.rpl", offset_of!(TmcbParams, rpl)),
        ("struct tmcb_params.param", offset_of!(TmcbParams, param)),
        ("struct tmcb_params.code", offset_of!(TmcbParams, code)),
        ("struct tm_binds.t_newtran", T_NEWTRAN * size_of::<usize>()),
        (
            "struct tm_binds.t_reply",
            (T_NEWTRAN + 1) * size_of::<usize>(),
        ),
        (
            "struct tm_binds.t_reply_with_body",
            (T_NEWTRAN + 2) * size_of::<usize>(),
        ),
        ("sl_api_t.zreply", 0),
        ("sr_shm_api_t.mem_block", memory::BLOCK * size_of::<usize>()),
    ]
}

#[track_caller]
fn compare(mut said: BTreeMap<String, usize>, whose: &str) {
    for (name, number) in ours() {
        assert_eq!(said.remove(name), Some(number), "{name} of {whose}");
    }
    // There is room for what later versions append.
    let mut take = |name: &str| said.remove(name).unwrap();
    assert!(size_of::<Dlg>() >= take("dlg_t"), "{whose}");
    assert!(size_of::<UacReq>() >= take("uac_req_t"), "{whose}");
    assert!(
        TM_BINDS * size_of::<usize>() >= take("struct tm_binds"),
        "{whose}"
    );
    assert!(SL_API * size_of::<usize>() >= take("sl_api_t"), "{whose}");
    // Which of these it is shows when the function that stands there is one of those that are known.
    let available = take("sr_shm_api_t.xavailable");
    let places = memory::AVAILABLE.map(|word| word * size_of::<usize>());
    assert!(places.contains(&available), "{available} of {whose}");
    let whole = take("sr_shm_api_t");
    assert!(places.iter().all(|&place| place < whole), "{whose}");
    assert_eq!(said.len(), 0, "unchecked: {said:?}");
}

/// Kamailio's own declarations in its source, for which `make cfg` has been run.
fn said_by_source(source: &Path) -> BTreeMap<String, usize> {
    let folder = source.join("src");
    let made = std::fs::read_to_string(folder.join("config.mak"));
    let made = made.expect("src/config.mak, which `make cfg` writes");
    let definitions = made.lines().find_map(|line| line.strip_prefix("C_DEFS="));
    let definitions = definitions.expect("a line C_DEFS");
    let folder = folder.display();
    said_by_c(&format!(
        "-w -DHEADERS -I{folder} -I{folder}/core {definitions}"
    ))
}

#[test]
fn every_structure_is_as_large_as_c_says_and_its_members_stand_where_c_says() {
    for (major, minor) in KNOWN {
        let words = format!("-Wall -Wextra -Werror -DVERSION={}", major * 100 + minor);
        compare(said_by_c(&words), &format!("Kamailio {major}.{minor}"));
    }
    if let Some(source) = std::env::var_os("CIMF_KAMAILIO_SOURCE") {
        let said = said_by_source(Path::new(&source));
        compare(said, &source.to_string_lossy());
    }
}
