//! cimf beside what the proxy has for the same task, on one machine in one go: Kamailio's module imc, and a loop over
//! tm in its script; or OpenSIPS's module imc. `benches/peers.sh` builds and runs it; `benches/peers.sh --help` says what it can do.

// A bench that cannot be set up ends by panicking, and its result is what it prints.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod contender;
mod instructions;
mod measure;
mod memory;
mod options;
mod proxy;
mod receiver;
mod script;
mod sender;
#[path = "../../tests/support/mod.rs"]
mod support;
mod table;
mod turn;

use clap::Parser;
use options::{Name, Options, Part};
use std::path::Path;
use support::proxy::{first_line, proxy};
use turn::Load;

fn main() {
    // `cargo bench` and `cargo test --benches` run every bench; this one takes long and is run by its script.
    if std::env::args().any(|word| word == "--bench") || std::env::args_os().count() == 1 {
        println!("peers: run benches/peers.sh");
        return;
    }
    let options = Options::parse().effective();
    let contenders = contender::all(&options);
    let mut load = Load::new();
    describe(&options, &load);
    if options.instructions {
        instructions::run(&options, &contenders, &mut load);
        return;
    }
    if options.parts.contains(&Part::Speed) || options.parts.contains(&Part::Rate) {
        for allocator in &options.allocators {
            measure::run(&options, &contenders, allocator, &mut load);
        }
    }
    if options.parts.contains(&Part::Memory) {
        memory::run(&options, &contenders, &mut load);
    }
}

/// What the figures depend on.
fn describe(options: &Options, load: &Load) {
    let cores = std::thread::available_parallelism().expect("the number of cores");
    let busy = std::fs::read_to_string("/proc/loadavg").expect("/proc/loadavg");
    println!("# cimf and its peers\n");
    println!(
        "- machine: {cores} cores, {}",
        first_line(Path::new("uname"), "-srm")
    );
    println!("- load before: {}", busy.trim());
    println!("- proxy: {}", proxy().version());
    println!(
        "- for everybody: {} UDP workers, -m {}, fr_timer {} ms, wt_timer {} ms, T1 {} ms, UDP on loopback, \
         receive buffer at most {} KiB, one next hop that answers 200 at once (receive buffer {} KiB), groups {}, {} rounds",
        options.children,
        options.shared_memory,
        options.fr_timer,
        options.wt_timer,
        measure::T1,
        options.receive_buffer / 1024,
        load.receiver.buffer / 1024,
        groups(options),
        options.rounds,
    );
    println!(
        "- cimf: answers 202, then sends; parameters: {}",
        list(&options.cimf_parameter)
    );
    println!(
        "- imc: {}'s module, called as its documentation shows: sends, then answers 200 statelessly",
        proxy().name()
    );
    if options.contenders.contains(&Name::Loop) {
        println!(
            "- loop: t_newtran(), t_reply(202), then the script's `while` over uac_req_send() of module uac, which is \
             one t_request() each without a callback; it looks no group up"
        );
    }
    if let Some(library) = &options.baseline {
        println!(
            "- baseline: {} in the place of cimf, no parameters",
            library.display()
        );
    }
    println!(
        "- CPU: user and system time of all the proxy's processes, from the first message until tm has forgotten the \
         last transaction, over the recipients reached"
    );
    println!(
        "- allocators: `default` is {}'s own choice, other names are given to its option {}",
        proxy().name(),
        proxy().memory_manager()
    );
}

fn list(parameters: &[String]) -> String {
    match parameters {
        [] => "the defaults".to_owned(),
        parameters => parameters.join(", "),
    }
}

fn groups(options: &Options) -> String {
    let groups = options.sizes.iter();
    let groups = groups.map(|&size| format!("{} of {size}", options.groups_of(size)));
    groups.collect::<Vec<_>>().join(", ")
}
