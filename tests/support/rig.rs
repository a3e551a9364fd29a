//! A stock Kamailio with cimf in it, run from `kamailio-config/` in a folder of its own, with a database
//! made by cimfctl and a SIP core behind it.

use super::PATIENCE;
use super::client::{Client, TRUSTED, Transport};
use super::core::Core;
use super::flow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The groups of the conformance cases.
pub const HIKERS: &str = "sip:hikers@im.home1.net";
pub const EMPTY: &str = "sip:empty@im.home1.net";
pub const SOLO: &str = "sip:solo@im.home1.net";
pub const ANN: &str = "sip:ann@home1.net";
pub const BOB: &str = "sip:bob@home1.net";
pub const TEL: &str = "tel:+15551230003";

/// What the rig calls itself, as in the example flows.
pub const SERVER_NAME: &str = "imas.home1.net";

/// How often a wait looks again.
const LOOK: Duration = Duration::from_millis(10);

/// A Kamailio to be started.
pub struct Setup {
    pub transport: Transport,
    /// What `-A` defines on Kamailio's command line.
    defines: BTreeMap<String, String>,
    arguments: Vec<String>,
    /// Kamailio's arguments about its memory.
    memory: Vec<String>,
    /// A program, with its arguments, that runs Kamailio; empty for none.
    run_by: Vec<String>,
    groups: Vec<(String, Vec<String>)>,
    /// A whole configuration instead of the sample one; `@NAME@` stands for a define.
    configuration: Option<String>,
    /// Which file of `kamailio-config/` otherwise.
    sample: &'static str,
    folder: TempDir,
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
            memory: words(&["-x", "tlsf", "-m", "128"]),
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
            sample: "kamailio.cfg",
            folder,
            core,
        };
        let database = setup.database();
        let socket = format!("unix:{}", setup.folder.path().join("ctl").display());
        let next_hop = setup.next_hop();
        setup
            .number("CHILDREN", 1)
            .number("TCP_CHILDREN", 1)
            .number("TM_WT_TIMER", 1000)
            .text("CTL_SOCKET", &socket)
            .text("CIMF_MODULE", &library().display().to_string())
            .text("DB_URL", &format!("sqlite://{}", database.display()))
            .text("DOMAINS", "im.home1.net,home1.net")
            .text("SERVER_NAME", SERVER_NAME)
            .text("TRUSTED_PEERS", "127.0.0.1")
            .text("CORE_ROUTE", &next_hop)
    }

    /// Defines a number for the configuration.
    pub fn number(mut self, name: &str, value: i64) -> Setup {
        self.defines.insert(name.to_owned(), value.to_string());
        self
    }

    /// Defines a text for the configuration. `@ADDRESS@` in it stands for Kamailio's own address and port.
    pub fn text(mut self, name: &str, value: &str) -> Setup {
        self.defines.insert(name.to_owned(), format!("\"{value}\""));
        self
    }

    /// Takes a define back.
    pub fn without(mut self, name: &str) -> Setup {
        self.defines.remove(name);
        self
    }

    /// More arguments for Kamailio.
    pub fn argument(mut self, argument: &str) -> Setup {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Other arguments about memory than `-x tlsf -m 128`.
    pub fn memory(mut self, arguments: &[&str]) -> Setup {
        self.memory = words(arguments);
        self
    }

    /// Has a program run Kamailio, such as valgrind.
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

    /// Another file of `kamailio-config/` than the small one.
    pub fn sample(mut self, name: &'static str) -> Setup {
        self.sample = name;
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
        format!(
            "sip:127.0.0.1:{};transport={}",
            self.core.port,
            self.transport.in_uri()
        )
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

    /// Makes the database and starts Kamailio.
    #[track_caller]
    pub fn start(self) -> Rig {
        self.provision();
        self.start_on_what_is_there()
    }

    /// Starts Kamailio and waits until it answers.
    #[track_caller]
    pub fn start_on_what_is_there(self) -> Rig {
        for _ in 0..10 {
            let (mut kamailio, address, place) = self.spawn();
            match ready(&mut kamailio, address) {
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
                        trusted_next_hop,
                        kamailio: Some(kamailio),
                        folder: self.folder,
                        place,
                    };
                    rig.wait_until_complete();
                    return rig;
                }
                Err(reason) => {
                    let log = read_log(self.folder.path());
                    stop(&mut kamailio);
                    // Another program took the port between our look and Kamailio's bind.
                    assert!(
                        log.contains("Address already in use"),
                        "Kamailio does not answer: {reason}\n--- its log\n{log}"
                    );
                }
            }
        }
        panic!("ten ports in a row were taken");
    }

    /// Starts Kamailio, which has to give up by itself; returns its exit status and its log.
    #[track_caller]
    pub fn fails_to_start(&self) -> (ExitStatus, String) {
        let (mut kamailio, _, _place) = self.spawn();
        let status = wait(&mut kamailio, PATIENCE);
        stop(&mut kamailio);
        let log = read_log(self.folder.path());
        match status {
            Some(status) => (status, log),
            None => {
                panic!("Kamailio runs although it should have refused to start\n--- its log\n{log}")
            }
        }
    }

    fn spawn(&self) -> (Child, SocketAddr, Place) {
        let port = Port::reserve();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number));
        let mut defines = self.defines.clone();
        for value in defines.values_mut() {
            *value = value.replace("@ADDRESS@", &address.to_string());
        }
        defines.insert("LISTEN_UDP".to_owned(), format!("udp:{address}"));
        defines.insert("LISTEN_TCP".to_owned(), format!("tcp:{address}"));
        let configuration = match &self.configuration {
            None => PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("kamailio-config")
                .join(self.sample),
            Some(text) => {
                let text = defines.iter().fold(text.clone(), |text, (name, value)| {
                    text.replace(&format!("@{name}@"), value)
                });
                let path = self.folder.path().join("kamailio.cfg");
                std::fs::write(&path, text).expect("writing the configuration");
                path
            }
        };
        File::create(self.folder.path().join("kamailio.log")).expect("a log file");
        let mut command = match self.run_by.split_first() {
            None => Command::new(kamailio()),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(kamailio());
                command
            }
        };
        command.args(["-DD", "-E"]).args(&self.memory);
        command.arg("-f").arg(configuration);
        command
            .arg("-w")
            .arg(self.folder.path())
            .arg("-Y")
            .arg(self.folder.path());
        for (name, value) in &defines {
            command.arg("-A").arg(format!("{name}={value}"));
        }
        command.args(&self.arguments);
        let line = [command.get_program()]
            .into_iter()
            .chain(command.get_args());
        let line: Vec<_> = line.map(OsStr::to_owned).collect();
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

/// What it takes to start the same Kamailio again at the same address.
struct Place {
    line: Vec<OsString>,
    /// Where in the log the present run starts.
    log_from: usize,
    _port: Port,
}

/// Starts Kamailio; its log grows.
fn launch(line: &[OsString], folder: &Path) -> Child {
    let mut options = File::options();
    let log = options.append(true).open(folder.join("kamailio.log"));
    let log = log.expect("the log file");
    let mut command = Command::new(&line[0]);
    command
        .args(&line[1..])
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log);
    // A group of its own: Kamailio signals its whole group when it ends, and so do we.
    command.process_group(0);
    // SAFETY: prctl is a plain system call, allowed between fork and exec. Should the tests be killed,
    // Kamailio ends as well.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            Ok(())
        });
    }
    match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!(
            "{}: {error}. Install Debian's kamailio package or set CIMF_KAMAILIO.",
            line[0].display()
        ),
    }
}

/// A running Kamailio. Dropping it ends it and, if the test failed, shows its log.
pub struct Rig {
    pub transport: Transport,
    pub address: SocketAddr,
    pub core: Core,
    /// The Route header that every fork has to carry.
    pub route: String,
    pub trusted_next_hop: bool,
    kamailio: Option<Child>,
    folder: TempDir,
    place: Place,
}

impl Rig {
    /// A sender at the trusted peer.
    #[track_caller]
    pub fn client(&self) -> Client {
        self.client_at(TRUSTED)
    }

    #[track_caller]
    pub fn client_at(&self, from: Ipv4Addr) -> Client {
        Client::new(self.transport, from, self.address).expect("a connection to Kamailio")
    }

    pub fn database(&self) -> PathBuf {
        self.folder.path().join("cimf.db")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    #[track_caller]
    pub fn cimfctl(&self, words: &[&str]) -> String {
        cimfctl(&self.database(), words)
    }

    pub fn log(&self) -> String {
        read_log(self.folder.path())
    }

    /// Asks the running Kamailio by kamcmd.
    #[track_caller]
    pub fn kamcmd(&self, words: &[&str]) -> String {
        let (is_well, text) = self.kamcmd_output(words);
        assert!(
            is_well && !text.starts_with("error"),
            "kamcmd {words:?}: {text}"
        );
        text
    }

    /// Asks the running Kamailio by kamcmd; says whether kamcmd succeeded, and what it printed.
    pub fn kamcmd_output(&self, words: &[&str]) -> (bool, String) {
        let socket = format!("unix:{}", self.folder.path().join("ctl").display());
        let output = Command::new(program("CIMF_KAMCMD", "kamcmd"))
            .arg("-s")
            .arg(socket)
            .args(words)
            .output()
            .expect("kamcmd");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let text = text + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text)
    }

    /// One of the module's counters.
    #[track_caller]
    pub fn counter(&self, name: &str) -> u64 {
        let text = self.kamcmd(&["cnt.get", "cimf", name]);
        text.trim()
            .parse()
            .unwrap_or_else(|_| panic!("counter {name} is {text:?}"))
    }

    /// Waits until a counter has a value, and stays wrong if it has gone beyond.
    #[track_caller]
    pub fn wait_for_counter(&self, name: &str, value: u64) {
        let found = until(|| {
            let found = self.counter(name);
            (found >= value).then_some(found)
        });
        match found {
            Some(found) => assert_eq!(found, value, "counter {name}"),
            None => panic!(
                "counter {name} is {} and not {value} after {PATIENCE:?}",
                self.counter(name)
            ),
        }
    }

    /// Waits until a counter that goes up and down has a value.
    #[track_caller]
    pub fn wait_for_gauge(&self, name: &str, value: u64) {
        let has_it = until(|| (self.counter(name) == value).then_some(()));
        has_it.unwrap_or_else(|| {
            panic!(
                "{name} is {} and not {value} after {PATIENCE:?}",
                self.counter(name)
            )
        });
    }

    /// Waits until the log says something.
    #[track_caller]
    pub fn wait_for_log(&self, words: &str) -> String {
        until(|| {
            self.log()
                .lines()
                .find(|line| line.contains(words))
                .map(str::to_owned)
        })
        .unwrap_or_else(|| panic!("the log does not say {words:?} within {PATIENCE:?}"))
    }

    /// The log since Kamailio was started again.
    pub fn log_of_this_run(&self) -> String {
        self.log()[self.place.log_from..].to_owned()
    }

    /// Waits until tm holds at most `count` transactions. It forgets each `wt_timer` after its end.
    #[track_caller]
    pub fn wait_until_tm_holds_at_most(&self, count: u64) {
        let few = || {
            let text = self.kamcmd(&["tm.stats"]);
            let current = text
                .lines()
                .find_map(|line| line.trim().strip_prefix("current:"));
            let current: u64 = current
                .and_then(|value| value.trim().parse().ok())
                .expect("tm.stats");
            (current <= count).then_some(())
        };
        until(few).unwrap_or_else(|| panic!("tm holds too much: {}", self.kamcmd(&["tm.stats"])));
    }

    /// The first worker answers while others are still being made; the one for TCP comes last.
    #[track_caller]
    fn wait_until_complete(&self) {
        let complete = || {
            self.kamcmd(&["core.psx"])
                .contains("tcp main process")
                .then_some(())
        };
        until(complete).expect("a Kamailio with all its processes");
    }

    /// Every process of this Kamailio: its number and what it does.
    #[track_caller]
    pub fn processes(&self) -> Vec<(u32, String)> {
        let text = self.kamcmd(&["core.psx"]);
        let values = |key: &'static str| {
            text.lines()
                .filter_map(move |line| line.trim().strip_prefix(key))
                .map(str::trim)
        };
        let processes: Vec<_> = values("PID:")
            .map(|pid| pid.parse().expect("a process number"))
            .zip(values("DSC:").map(str::to_owned))
            .collect();
        assert!(processes.len() > 3, "core.psx says only\n{text}");
        processes
    }

    /// Stops Kamailio as its administrator would.
    pub fn stop(&mut self) {
        self.assert_healthy();
        if let Some(mut kamailio) = self.kamailio.take() {
            stop(&mut kamailio);
        }
    }

    /// The main process of Kamailio, whose number is that of the whole group.
    #[track_caller]
    pub fn main_process(&self) -> i32 {
        let kamailio = self.kamailio.as_ref().expect("a running Kamailio");
        kamailio.id().try_into().expect("a process number")
    }

    /// Waits until Kamailio's main process has ended, however it did.
    #[track_caller]
    pub fn has_ended(&mut self) -> ExitStatus {
        let mut kamailio = self.kamailio.take().expect("a running Kamailio");
        let status = wait(&mut kamailio, PATIENCE);
        status.unwrap_or_else(|| panic!("Kamailio runs on for {PATIENCE:?}"))
    }

    /// Starts the same Kamailio again, at the same address and with the same files.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(self.kamailio.is_none(), "it runs");
        self.place.log_from = self.log().len();
        let mut kamailio = launch(&self.place.line, self.folder.path());
        let ready = ready(&mut kamailio, self.address);
        self.kamailio = Some(kamailio);
        if let Err(reason) = ready {
            panic!("Kamailio does not answer after it was started again: {reason}");
        }
        self.wait_until_complete();
    }

    /// Fails if Kamailio ended by itself or its log tells of a crash.
    #[track_caller]
    pub fn assert_healthy(&mut self) {
        if let Some(kamailio) = &mut self.kamailio
            && let Ok(Some(status)) = kamailio.try_wait()
        {
            panic!("Kamailio ended by itself: {status}");
        }
        for sign in [
            "panicked at",
            "CRITICAL",
            "exited by a signal",
            "BUG",
            "segfault",
        ] {
            let log = self.log();
            if let Some(line) = log[self.place.log_from..]
                .lines()
                .find(|line| line.contains(sign))
            {
                panic!("the log tells of a failure: {line}");
            }
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if !failed && self.kamailio.is_some() {
            self.assert_healthy();
        }
        if let Some(mut kamailio) = self.kamailio.take() {
            stop(&mut kamailio);
        }
        if failed {
            eprintln!("--- Kamailio's log\n{}---", read_log(self.folder.path()));
        }
    }
}

/// A port that no other rig of this machine takes: whoever holds it on 127.0.0.3 may use it on 127.0.0.1.
/// Kamailio shares UDP ports with anyone (SO_REUSEADDR), so its own bind would not notice.
struct Port {
    number: u16,
    _held: UdpSocket,
}

impl Port {
    fn reserve() -> Port {
        let taken = |_| {
            // Below the range that the system hands out to outgoing connections.
            let random = u16::from_ne_bytes(random());
            let number = 10_000 + random % 20_000;
            let held = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 3), number)).ok()?;
            UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
            Some(Port {
                number,
                _held: held,
            })
        };
        (0..1000).find_map(taken).expect("a free port")
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("random bytes");
    bytes
}

fn read_log(folder: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(folder.join("kamailio.log")).unwrap_or_default())
        .into_owned()
}

/// Sends OPTIONS until one is answered.
fn ready(kamailio: &mut Child, address: SocketAddr) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = kamailio.try_wait() {
            return Err(format!("it ended with {status}"));
        }
        let mut client =
            Client::new(Transport::Udp, TRUSTED, address).map_err(|error| error.to_string())?;
        let probe = flow::options(&client, &flow::unique());
        if client.try_send(probe.as_bytes()).is_ok()
            && client
                .receive_within(Duration::from_millis(100))
                .is_some_and(|response| response.status() == 200)
        {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
    Err(format!("no answer to OPTIONS within {PATIENCE:?}"))
}

/// Asks again and again until there is an answer or patience ends.
pub fn until<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(LOOK);
    }
}

fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK),
            _ => return None,
        }
    }
}

/// Ends a Kamailio and all its workers.
fn stop(kamailio: &mut Child) {
    let group = -(kamailio.id() as libc::pid_t);
    // SAFETY: plain system calls. The group is the one that Kamailio was started in; its leader has not been
    // waited for yet when it still runs, so the number is its own.
    unsafe {
        if matches!(kamailio.try_wait(), Ok(None)) {
            libc::kill(kamailio.id() as libc::pid_t, libc::SIGTERM);
            if wait(kamailio, PATIENCE).is_none() {
                libc::kill(group, libc::SIGKILL);
            }
        } else {
            libc::kill(group, libc::SIGKILL);
        }
    }
    // Waited for already when it ended by itself.
    let _ = kamailio.wait();
}

/// Runs cimfctl, which has to succeed.
#[track_caller]
pub fn cimfctl(database: &Path, words: &[&str]) -> String {
    let output = cimfctl_output(database, words);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "cimfctl {words:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Runs cimfctl, however it ends.
pub fn cimfctl_output(database: &Path, words: &[&str]) -> std::process::Output {
    let program = env!("CARGO_BIN_EXE_cimfctl");
    Command::new(program)
        .arg("--db")
        .arg(database)
        .args(words)
        .output()
        .expect("cimfctl")
}

/// The product: the library of the profile that the tests were built with, or CIMF_LIBRARY.
pub fn library() -> PathBuf {
    if let Some(path) = std::env::var_os("CIMF_LIBRARY") {
        return path.into();
    }
    let test = std::env::current_exe().expect("the path of this test");
    let deps = test.parent().expect("its folder");
    let profile = deps.parent().expect("the profile's folder");
    // Cargo builds into deps and links from there; the newer one is the one just built.
    let newest = [profile, deps]
        .map(|folder| folder.join("libcimf.so"))
        .into_iter()
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .max();
    match newest {
        Some((_, path)) => path,
        None => panic!(
            "no libcimf.so in {}: build it or set CIMF_LIBRARY",
            profile.display()
        ),
    }
}

/// The proxy: CIMF_KAMAILIO, or the first one of PATH, or Debian's.
pub fn kamailio() -> PathBuf {
    program("CIMF_KAMAILIO", "kamailio")
}

fn program(variable: &str, name: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(OsStr::new(name)))
        .find(|path| path.is_file())
        .unwrap_or_else(|| PathBuf::from(name))
}
