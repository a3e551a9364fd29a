//! `cimf(7)`: the module for whoever has it from a package, with every parameter.

use cimf::config::{Group, PARAMETERS, Parameter};
use cimf::host::commands::COMMANDS;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use std::fs::{create_dir_all, write as write_file};
use std::io::Result;
use std::path::Path;

const DESCRIPTION: [&str; 3] = [
    "cimf makes Kamailio or OpenSIPS a server for group messages: it checks a SIP MESSAGE to a group or to a URI-list \
     service, answers it, and sends one new MESSAGE to each member.",
    "The package of each proxy has a configuration that one line includes, and examples of whole configurations. \
     Groups and members are managed by cimfctl; the proxy sees each change at the next message.",
    "A parameter is set by `modparam(\"cimf\", \"NAME\", VALUE)`. In Kamailio the configuration of the package sets \
     each by a definition of the same name in capitals: `#!define NAME VALUE`.",
];

const OF_COMMANDS: &str = "In Kamailio each is given as `kamcmd cimf.NAME`, or by JSON-RPC; in OpenSIPS as \
                           `opensips-cli -x mi cimf_NAME`, with its parameters by name.";

const FILES: [(&str, &str); 7] = [
    (
        "/etc/kamailio/cimf/cimf.cfg",
        "settings in Kamailio; include it by one line",
    ),
    (
        "/etc/opensips/cimf/cimf.cfg",
        "settings in OpenSIPS; include it by one line",
    ),
    (
        "/usr/share/kamailio-cimf-module/cimf-route.cfg",
        "what that file of Kamailio loads, with every parameter",
    ),
    (
        "/usr/share/opensips-cimf-module/cimf-route.cfg",
        "what that file of OpenSIPS loads, with every parameter",
    ),
    ("/var/lib/cimf/cimf.db", "groups, members and services"),
    (
        "/var/lib/cimf/ledger.db",
        "what was promised and not delivered yet, with durability",
    ),
    ("/usr/share/doc/cimfctl/", "the manual"),
];

/// Writes it below a folder.
pub fn write(version: &str, folder: &Path) -> Result<()> {
    let pages = folder.join("man/man7");
    create_dir_all(&pages)?;
    write_file(pages.join("cimf.7"), page(version).render())
}

fn page(version: &str) -> Roff {
    let version = format!("cimf {version}");
    let mut page = Roff::new();
    page.control("TH", ["cimf", "7", "", &version]);
    page.control("SH", ["NAME"]);
    page.text([roman("cimf - group messages in Kamailio and OpenSIPS")]);
    page.control("SH", ["DESCRIPTION"]);
    for text in DESCRIPTION {
        page.control("PP", []);
        page.text(words(text));
    }
    page.control("SH", ["PARAMETERS"]);
    for group in Group::ALL {
        page.control("SS", [group.title()]);
        let of_group = PARAMETERS.iter().filter(|it| it.group == group);
        of_group.for_each(|parameter| add(&mut page, parameter));
    }
    page.control("SH", ["COMMANDS"]);
    page.text(words(OF_COMMANDS));
    for command in &COMMANDS {
        page.control("TP", []);
        page.text([bold(command.to_string())]);
        page.text(words(command.help));
    }
    page.control("SH", ["FILES"]);
    for (file, what) in FILES {
        page.control("TP", []);
        page.text([italic(file)]);
        page.text([roman(what)]);
    }
    page.control("SH", ["SEE ALSO"]);
    let see = ["cimfctl", "kamailio", "opensips"];
    page.text(
        see.into_iter()
            .flat_map(|name| [bold(name), roman("(8) ")])
            .collect::<Vec<_>>(),
    );
    page
}

fn add(page: &mut Roff, parameter: &Parameter) {
    let default = match parameter.default {
        "" => "empty".to_owned(),
        default => format!("`{default}`"),
    };
    page.control("TP", []);
    page.text([bold(parameter.name)]);
    page.text(words(parameter.help));
    page.control("IP", []);
    page.text(words(&format!(
        "Value: {}. Default: {default}.",
        parameter.kind()
    )));
}

/// A text in which what stands in backticks is bold.
fn words(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    parts
        .map(|(index, part)| match index % 2 {
            0 => roman(part),
            _ => bold(part),
        })
        .collect()
}
