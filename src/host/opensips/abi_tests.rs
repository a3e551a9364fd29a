//! Every structure shared with OpenSIPS, against a C compiler's word, for each version in which
//! one of them changed.

use super::abi::{
    CmdExport, CmdParam, Dependencies, Dlg, EviParam, EviParams, HdrField, MiExport, MiRecipe,
    ModuleDependency, ModuleExports, ProcExport, PvExport, PvName, PvParam, PvSpec,
    SIP_MSG_LAYOUTS, SIP_MSG_METHOD, ScmVersion, StatExport, TmcbParams, Version,
};
use super::listeners::{ADDRESS_TEXT, Layout, PORT, PORT_TEXT, STANDARD_PORT};
use super::tm::TWO_SOCKETS;
use super::version::Number;
use crate::host::abi::{IpAddress, ParamExport};
use std::collections::BTreeMap;
use std::mem::offset_of;
use std::path::Path;
use std::process::Command;

/// The versions in which something changed.
const VERSIONS: [Number; 6] = [
    Number(3, 2, 0),
    Number(3, 4, 0),
    Number(3, 4, 2),
    Number(3, 5, 0),
    Number(3, 6, 0),
    Number(4, 0, 0),
];

/// What the C compiler says of a version: sizes of structures and places of their members.
fn said_by_c(version: Number) -> BTreeMap<String, usize> {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("structures");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/opensips_structures.c");
    let Number(major, minor, patch) = version;
    let compiled = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .arg(format!("-DVERSION={}", major * 100 + minor * 10 + patch))
        .arg(source)
        .status();
    assert!(compiled.unwrap().success());
    let said = Command::new(program).output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    let lines = said.lines().map(|line| {
        let (name, number) = line.split_once(' ').unwrap();
        (name.to_owned(), number.parse().unwrap())
    });
    lines.collect()
}

fn exports<V>() -> Vec<(&'static str, usize)> {
    vec![
        ("module_exports", size_of::<ModuleExports<V>>()),
        (
            "module_exports.version",
            offset_of!(ModuleExports<V>, version),
        ),
        (
            "module_exports.dlflags",
            offset_of!(ModuleExports<V>, dlflags),
        ),
        ("module_exports.deps", offset_of!(ModuleExports<V>, deps)),
        ("module_exports.cmds", offset_of!(ModuleExports<V>, cmds)),
        (
            "module_exports.params",
            offset_of!(ModuleExports<V>, params),
        ),
        ("module_exports.items", offset_of!(ModuleExports<V>, items)),
        ("module_exports.procs", offset_of!(ModuleExports<V>, procs)),
        ("module_exports.init", offset_of!(ModuleExports<V>, init_f)),
        (
            "module_exports.destroy",
            offset_of!(ModuleExports<V>, destroy_f),
        ),
        (
            "module_exports.reload_ack",
            offset_of!(ModuleExports<V>, reload_ack_f),
        ),
    ]
}

fn dialog<S>() -> Vec<(&'static str, usize)> {
    vec![
        ("dialog.loc_seq", offset_of!(Dlg<S>, loc_seq)),
        ("dialog.loc_uri", offset_of!(Dlg<S>, loc_uri)),
        ("dialog.rem_uri", offset_of!(Dlg<S>, rem_uri)),
        ("dialog.obp", offset_of!(Dlg<S>, obp)),
        ("dialog.forced_to", offset_of!(Dlg<S>, forced_to_su)),
        ("dialog.rem_target", offset_of!(Dlg<S>, rem_target)),
        ("dialog.loc_dname", offset_of!(Dlg<S>, loc_dname)),
        ("dialog.state", offset_of!(Dlg<S>, state)),
        ("dialog.hooks", offset_of!(Dlg<S>, ru)),
        ("dialog.hooks.next_hop", offset_of!(Dlg<S>, next_hop)),
        ("dialog.send_sock", offset_of!(Dlg<S>, sockets)),
        ("dialog.mf_enforced", offset_of!(Dlg<S>, mf_enforced)),
        ("dialog.mf_value", offset_of!(Dlg<S>, mf_value)),
    ]
}

fn listeners(layout: Layout) -> Vec<(&'static str, usize)> {
    vec![
        ("proto_info", layout.protocol),
        ("proto_info.default_rfc_port", STANDARD_PORT),
        ("proto_info.listeners", layout.first),
        ("ip_address", size_of::<IpAddress>()),
        ("ip_address.length", offset_of!(IpAddress, length)),
        ("ip_address.u", offset_of!(IpAddress, bytes)),
        ("listener.address", layout.address),
        ("listener.address_str", layout.address + ADDRESS_TEXT),
        ("listener.port_no", layout.address + PORT),
        ("listener.port_no_str", layout.address + PORT_TEXT),
        ("listener.next", layout.next),
    ]
}

/// What is the same in all versions.
fn others() -> Vec<(&'static str, usize)> {
    vec![
        ("cmd_export", size_of::<CmdExport>()),
        ("cmd_export.function", offset_of!(CmdExport, function)),
        ("cmd_export.params", offset_of!(CmdExport, params)),
        ("cmd_export.flags", offset_of!(CmdExport, flags)),
        ("cmd_param", size_of::<CmdParam>()),
        ("param_export", size_of::<ParamExport>()),
        ("param_export.pointer", offset_of!(ParamExport, set)),
        ("proc_export", size_of::<ProcExport>()),
        ("proc_export.function", offset_of!(ProcExport, function)),
        ("proc_export.number", offset_of!(ProcExport, number)),
        ("proc_export.flags", offset_of!(ProcExport, flags)),
        ("dependencies", size_of::<Dependencies>()),
        (
            "dependencies.parameters",
            offset_of!(Dependencies, parameters),
        ),
        ("module_dependency", size_of::<ModuleDependency>()),
        ("pv_spec.param", offset_of!(PvSpec, param)),
        ("pv_param.name", offset_of!(PvParam, name_kind)),
        ("pv_param.index", offset_of!(PvParam, index_kind)),
        (
            "pv_name.u.inner.name",
            offset_of!(PvParam, name) + offset_of!(PvName, value),
        ),
        ("pv_export", size_of::<PvExport>()),
        ("pv_export.get", offset_of!(PvExport, get)),
        ("pv_export.parse_name", offset_of!(PvExport, parse_name)),
        ("stat_export", size_of::<StatExport>()),
        ("stat_export.flags", offset_of!(StatExport, flags)),
        ("stat_export.stat_pointer", offset_of!(StatExport, place)),
        ("header_field", size_of::<HdrField>()),
        ("header_field.name", offset_of!(HdrField, name)),
        ("message.first_line.u.request.method", SIP_MSG_METHOD),
        ("callback_params.code", offset_of!(TmcbParams, code)),
        ("callback_params.param", offset_of!(TmcbParams, param)),
        ("event_param", size_of::<EviParam>()),
        ("event_param.value", offset_of!(EviParam, value)),
        ("event_param.name", offset_of!(EviParam, name)),
        ("event_param.next", offset_of!(EviParam, next)),
        ("event_params", size_of::<EviParams>()),
        ("event_params.last", offset_of!(EviParams, last)),
        ("mi_export.recipes", offset_of!(MiExport, recipes)),
    ]
}

#[test]
fn every_structure_is_as_large_as_c_says_and_its_members_stand_where_c_says() {
    for version in VERSIONS {
        let mut said = said_by_c(version);
        let mut ours = others();
        ours.extend(match version >= Number(3, 4, 0) {
            true => exports::<ScmVersion>(),
            false => exports::<Version>(),
        });
        ours.extend(match version >= TWO_SOCKETS {
            true => dialog::<[usize; 2]>(),
            false => dialog::<[usize; 1]>(),
        });
        ours.extend(listeners(Layout::of(version)));
        for (name, number) in ours {
            let c = said.remove(name);
            assert_eq!(c, Some(number), "{name} in {version:?}");
        }
        // Where the bytes of a request are is found out at the start, among these.
        let mut take = |name: &str| said.remove(name).unwrap();
        let (buf, len) = (take("message.buf"), take("message.len"));
        let layout = (buf, take("message.record_route"));
        assert!(SIP_MSG_LAYOUTS.contains(&layout), "{layout:?} {version:?}");
        assert_eq!(len, buf + size_of::<*const u8>());
        // There is room for what OpenSIPS reads behind what the module fills: the second recipe and the second
        // command, and the whole of a dialog.
        let (row, recipe) = (take("mi_export"), take("recipe"));
        assert!(size_of::<MiExport>() >= row + size_of::<usize>());
        assert_eq!(
            MiRecipe::words((version.0, version.1)) * size_of::<usize>(),
            recipe
        );
        assert!(size_of::<Dlg<[usize; 1]>>() >= take("dialog"));
        assert_eq!(said.len(), 0, "unchecked: {said:?}");
    }
}
