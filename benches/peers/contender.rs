//! Those who take part: each is one proxy with the same configuration but for the module that sends.

use crate::options::{Name, Options};
use crate::proxy::Proxy;
use crate::script;
use crate::support::built::library;
use crate::support::client::Transport;
use crate::support::proxy::proxy;
use crate::support::rig::Setup;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// tm's own longest retransmission interval, T2, in milliseconds. OpenSIPS wants it to be longer than T1.
const T2: i64 = 4000;

/// One who takes part.
#[derive(Clone, Debug)]
pub struct Contender {
    pub label: &'static str,
    sends: Sends,
}

#[derive(Clone, Debug)]
enum Sends {
    Cimf {
        library: PathBuf,
        parameters: String,
    },
    Imc,
    Loop,
}

/// What a contender's proxy is started with, the same for all.
pub struct Start<'a> {
    /// `default` or a name for the proxy's own option.
    pub allocator: &'a str,
    pub next_hop: &'a str,
    pub children: u32,
    pub wt_timer: u32,
    /// tm's first retransmission interval, in milliseconds.
    pub retransmission: u32,
    pub arguments: &'a [&'a str],
    pub run_by: &'a [&'a str],
}

/// Everybody who takes part, in the order of their turns.
pub fn all(options: &Options) -> Vec<Contender> {
    let mut contenders = Vec::new();
    for name in &options.contenders {
        contenders.push(match name {
            Name::Cimf => Contender {
                label: "cimf",
                sends: Sends::Cimf {
                    library: library(),
                    parameters: modparams(&options.cimf_parameter),
                },
            },
            Name::Imc => Contender {
                label: "imc",
                sends: Sends::Imc,
            },
            Name::Loop => Contender {
                label: "loop",
                sends: Sends::Loop,
            },
        });
    }
    if let Some(library) = &options.baseline {
        let library = std::path::absolute(library).unwrap();
        assert!(library.is_file(), "--baseline {library:?}: no such file");
        contenders.push(Contender {
            label: "baseline",
            sends: Sends::Cimf {
                library,
                parameters: String::new(),
            },
        });
    }
    contenders
}

/// `NAME=VALUE` as the configuration has it; what is no number is a text.
fn modparams(parameters: &[String]) -> String {
    let mut lines = String::new();
    for parameter in parameters {
        let Some((name, value)) = parameter.split_once('=') else {
            panic!("--cimf-parameter {parameter:?}: expected NAME=VALUE");
        };
        let value = match value.parse::<i64>() {
            Ok(number) => number.to_string(),
            Err(_) => format!("\"{}\"", value.trim_matches('"')),
        };
        writeln!(lines, "modparam(\"cimf\", \"{name}\", {value})").unwrap();
    }
    lines
}

/// The group with this number among those of its size. The loop reads the size out of the name.
pub fn group(size: usize, number: usize) -> String {
    format!("g{size}-{number}")
}

impl Contender {
    pub fn is_cimf(&self) -> bool {
        self.label == "cimf"
    }

    /// Starts this contender's proxy with all groups in it.
    pub fn start(&self, options: &Options, start: &Start<'_>) -> Proxy {
        let shared_memory = options.shared_memory.to_string();
        let mut memory = vec!["-m", &shared_memory];
        if start.allocator != "default" {
            memory.extend([proxy().memory_manager(), start.allocator]);
        }
        let mut setup = Setup::new(Transport::Udp)
            .memory(&memory)
            .argument("-b")
            .argument(&options.receive_buffer.to_string())
            .run_by(start.run_by)
            .number("CHILDREN", start.children.into())
            .number("TM_FR_TIMER", options.fr_timer.into())
            .number("TM_WT_TIMER", start.wt_timer.into())
            .number("TM_RETR_TIMER", start.retransmission.into())
            .number(
                "TM_LONGEST_RETR_TIMER",
                T2.max(2 * i64::from(start.retransmission)),
            )
            .text("NEXT_HOP", start.next_hop);
        for argument in start.arguments {
            setup = setup.argument(argument);
        }
        let folder = setup.folder().join("imc");
        write_rooms(&folder, options);
        setup = setup.text("IMC_DB", &format!("text://{}", folder.display()));
        let (define, parameters) = match &self.sends {
            Sends::Cimf {
                library,
                parameters,
            } => {
                setup = setup.text("CIMF_MODULE", &library.display().to_string());
                setup = with_groups(setup, options);
                ("WITH_CIMF", parameters.as_str())
            }
            Sends::Imc => ("WITH_IMC", ""),
            Sends::Loop => ("WITH_LOOP", ""),
        };
        let configuration = script::of(define).replace("@CIMF_PARAMETERS@", parameters);
        let rig = setup.configuration(&configuration).start();
        Proxy::new(rig, matches!(self.sends, Sends::Cimf { .. }))
    }
}

/// cimf's groups: Ann, who sends, and as many others as the group's size says.
fn with_groups(mut setup: Setup, options: &Options) -> Setup {
    for &size in &options.sizes {
        for number in 0..options.groups_of(size) {
            let group = group(size, number);
            let uri = format!("sip:{group}@im.home1.net");
            let others = (0..size).map(|n| format!("sip:m{n}-{group}@home1.net"));
            let others: Vec<String> = others.collect();
            let mut members = vec!["sip:ann@home1.net"];
            members.extend(others.iter().map(String::as_str));
            setup = setup.group(&uri, &members);
        }
    }
    setup
}

/// The same groups as rooms of imc, which reads these tables when it starts.
fn write_rooms(folder: &Path, options: &Options) {
    /// imc's flag of a room's or member's owner.
    const OWNER: u32 = 1;
    let mut rooms = "id(int,auto) name(string) domain(string) flag(int) \n".to_owned();
    let mut members =
        "id(int,auto) username(string) domain(string) room(string) flag(int) \n".to_owned();
    let (mut room_id, mut member_id) = (0, 0);
    for &size in &options.sizes {
        for number in 0..options.groups_of(size) {
            let room = group(size, number);
            room_id += 1;
            writeln!(rooms, "{room_id}:{room}:im.home1.net:0").unwrap();
            let names = (0..size).map(|n| (format!("m{n}-{room}"), 0));
            for (name, flag) in std::iter::once(("ann".to_owned(), OWNER)).chain(names) {
                member_id += 1;
                let row = format!("{member_id}:{name}:home1.net:sip\\:{room}@im.home1.net:{flag}");
                writeln!(members, "{row}").unwrap();
            }
        }
    }
    let version = "table_name(string) table_version(int) \nimc_members:1\nimc_rooms:1\n";
    std::fs::create_dir(folder).unwrap();
    for (name, text) in [
        ("version", version),
        ("imc_rooms", &rooms),
        ("imc_members", &members),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
}
