//! A proxy to be started: its settings, its groups, its folder with a database made by cimfctl, and the SIP core
//! behind it.

use super::PATIENCE;
use super::built::{cimfctl, library};
use super::child::{LOG, launch, read_log, ready, stop, wait};
use super::client::Transport;
use super::core::Core;
use super::port::Port;
use super::proxy::{Start, proxy};
use super::rig::{ANN, BOB, EMPTY, HIKERS, Place, Rig, SERVER_NAME, SOLO, TEL};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use tempfile::TempDir;

/// Stands for the small sample, whatever its name is.
const SMALL: &str = "";

/// A proxy to be started.
pub struct Setup {
    pub transport: Transport,
    /// Settings by the names that Kamailio's samples give them.
    defines: BTreeMap<String, String>,
    arguments: Vec<String>,
    /// The proxy's arguments about its memory.
    memory: Vec<String>,
    /// A program, with its arguments, that runs the proxy; empty for none.
    run_by: Vec<String>,
    groups: Vec<(String, Vec<String>)>,
    /// A whole configuration instead of the sample one; `@NAME@` stands for a define.
    configuration: Option<String>,
    /// Which of the proxy's samples otherwise.
    sample: String,
    folder: TempDir,
    /// Of the proxy and of the core.
    ip: IpAddr,
    core: Core,
}

impl Setup {
    /// The rig of the conformance cases: one worker, groups hikers, empty and solo, trusted peer 127.0.0.1.
    pub fn new(transport: Transport) -> Setup {
        let folder = tempfile::Builder::new()
            .prefix("cimf-rig-")
            .tempdir()
            .expect("a temporary folder");
        let core = Core::start();
        let setup = Setup {
            transport,
            defines: BTreeMap::new(),
            arguments: Vec::new(),
            memory: proxy().memory(128),
            run_by: Vec::new(),
            groups: vec![
                (
                    HIKERS.to_owned(),
                    vec![ANN.to_owned(), BOB.to_owned(), TEL.to_owned()],
                ),
                (EMPTY.to_owned(), Vec::new()),
                (SOLO.to_owned(), vec![ANN.to_owned()]),
            ],
            configuration: None,
            sample: SMALL.to_owned(),
            folder,
            ip: Ipv4Addr::LOCALHOST.into(),
            core,
        };
        let database = setup.database();
        let next_hop = setup.next_hop();
        setup
            .number("CHILDREN", 1)
            .number("TCP_CHILDREN", 1)
            .number("TM_WT_TIMER", 1000)
            .text("CIMF_MODULE", &library().display().to_string())
            .text("DB_URL", &format!("sqlite://{}", database.display()))
            .text("DOMAINS", "im.home1.net,home1.net")
            .text("SERVER_NAME", SERVER_NAME)
            .text("TRUSTED_PEERS", "127.0.0.1")
            // One client plays everybody, and some send hundreds of messages.
            .text("QUOTA_ORIGINATOR", "")
            .text("CORE_ROUTE", &next_hop)
    }

    /// Defines a number for the configuration.
    pub fn number(mut self, name: &str, value: i64) -> Setup {
        self.defines.insert(name.to_owned(), value.to_string());
        self
    }

    /// Defines a text for the configuration. `@ADDRESS@` in it stands for the proxy's own address and port, `@PORT@`
    /// for the port.
    pub fn text(mut self, name: &str, value: &str) -> Setup {
        self.defines.insert(name.to_owned(), format!("\"{value}\""));
        self
    }

    /// Defines a word without quotes for the configuration. `@PORT@` in it stands for the proxy's own port.
    pub fn word(mut self, name: &str, value: &str) -> Setup {
        self.defines.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Takes a define back.
    pub fn without(mut self, name: &str) -> Setup {
        self.defines.remove(name);
        self
    }

    /// Proxy, core and trusted peer are at `::1`.
    pub fn on_ipv6(mut self) -> Setup {
        self.ip = Ipv6Addr::LOCALHOST.into();
        self.core = Core::start_on(self.ip);
        let next_hop = self.next_hop();
        self.text("TRUSTED_PEERS", "::1")
            .text("CORE_ROUTE", &next_hop)
    }

    /// Another number of workers than one, for a configuration of the test's own.
    pub fn workers(mut self, count: usize) -> Setup {
        let text = self.configuration.take().unwrap_or_default();
        let text = text.replace("children=1\n", &format!("children={count}\n"));
        let text = text.replace("udp_workers=1\n", &format!("udp_workers={count}\n"));
        self.configuration(&text)
    }

    /// More arguments for the proxy.
    pub fn argument(mut self, argument: &str) -> Setup {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Another size of shared memory than 128 MiB.
    pub fn shared_memory(mut self, mebibytes: u32) -> Setup {
        self.memory = proxy().memory(mebibytes);
        self
    }

    /// All arguments about memory, as the proxy takes them.
    pub fn memory(mut self, arguments: &[&str]) -> Setup {
        self.memory = words(arguments);
        self
    }

    /// Has a program run the proxy, such as valgrind.
    pub fn run_by(mut self, program: &[&str]) -> Setup {
        self.run_by = words(program);
        self
    }

    pub fn group(mut self, uri: &str, members: &[&str]) -> Setup {
        self.groups.push((
            uri.to_owned(),
            members.iter().map(|uri| (*uri).to_owned()).collect(),
        ));
        self
    }

    /// A configuration of the test's own, in which `@NAME@` stands for a define.
    pub fn configuration(mut self, text: &str) -> Setup {
        self.configuration = Some(text.to_owned());
        self
    }

    /// Another of the proxy's samples than the small one, or the path of a file.
    pub fn sample(mut self, name: &str) -> Setup {
        name.clone_into(&mut self.sample);
        self
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn database(&self) -> PathBuf {
        self.folder.path().join("cimf.db")
    }

    pub fn core_port(&self) -> u16 {
        self.core.port
    }

    /// The core as a SIP URI.
    pub fn next_hop(&self) -> String {
        let address = SocketAddr::new(self.ip, self.core.port);
        format!("sip:{address};transport={}", self.transport.in_uri())
    }

    /// Makes the database.
    #[track_caller]
    pub fn provision(&self) {
        cimfctl(&self.database(), &["init"]);
        for (group, members) in &self.groups {
            let mut words = vec!["group", "add", group.as_str()];
            words.extend(members.iter().map(String::as_str));
            cimfctl(&self.database(), &words);
        }
    }

    /// Makes the database and starts the proxy.
    #[track_caller]
    pub fn start(self) -> Rig {
        self.provision();
        self.start_on_what_is_there()
    }

    /// Starts the proxy and waits until it answers.
    #[track_caller]
    pub fn start_on_what_is_there(self) -> Rig {
        for _ in 0..10 {
            let (mut child, address, place) = self.spawn();
            match ready(&mut child, address) {
                Ok(()) => {
                    let route = format!("<{};lr>", self.next_hop());
                    let trusted_next_hop = self
                        .defines
                        .get("TRUSTED_NEXT_HOP")
                        .is_some_and(|value| value == "1");
                    let rig = Rig {
                        transport: self.transport,
                        address,
                        core: self.core,
                        route,
                        sent_by: None,
                        trusted_next_hop,
                        child: Some(child),
                        folder: self.folder,
                        place,
                    };
                    rig.wait_until_complete();
                    return rig;
                }
                Err(reason) => {
                    let log = read_log(self.folder.path());
                    stop(&mut child);
                    // Another program took the port between our look and the proxy's bind.
                    assert!(
                        log.contains("Address already in use"),
                        "{} does not answer: {reason}\n--- its log\n{log}",
                        proxy().name()
                    );
                }
            }
        }
        panic!("ten ports in a row were taken");
    }

    /// Starts the proxy, which has to give up by itself; returns its exit status and its log.
    #[track_caller]
    pub fn fails_to_start(&self) -> (ExitStatus, String) {
        let (mut child, _, _place) = self.spawn();
        let status = wait(&mut child, PATIENCE);
        stop(&mut child);
        let log = read_log(self.folder.path());
        match status {
            Some(status) => (status, log),
            None => {
                panic!("it runs although it should have refused to start\n--- its log\n{log}")
            }
        }
    }

    fn spawn(&self) -> (Child, SocketAddr, Place) {
        let port = Port::reserve();
        let address = SocketAddr::new(self.ip, port.number);
        let mut defines = self.defines.clone();
        for value in defines.values_mut() {
            *value = value.replace("@ADDRESS@", &address.to_string());
            *value = value.replace("@PORT@", &port.number.to_string());
        }
        let start = Start {
            folder: self.folder.path(),
            address,
            defines,
            configuration: self.configuration.as_deref(),
            sample: match self.sample.as_str() {
                SMALL => proxy().small_sample(),
                sample => sample,
            },
        };
        let arguments = proxy().arguments(start);
        File::create(self.folder.path().join(LOG)).expect("a log file");
        let own = self.memory.iter().chain(&self.arguments);
        let line: Vec<OsString> = self
            .run_by
            .iter()
            .map(OsString::from)
            .chain([proxy().program().into()])
            .chain(arguments)
            .chain(own.map(OsString::from))
            .collect();
        let child = launch(&line, self.folder.path());
        (
            child,
            address,
            Place {
                line,
                log_from: 0,
                _port: port,
            },
        )
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
