//! The proxy under test: Kamailio, or the OpenSIPS that `CIMF_OPENSIPS` names. In what the two differ stands behind
//! this trait, so that a case is written once.

use super::kamailio::Kamailio;
use super::opensips::OpenSips;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Names and values as a proxy lists them.
pub type Figures = BTreeMap<String, String>;

/// A parameter of a command: its name, and what is given for it.
pub type Given<'a> = (&'a str, &'a [&'a str]);

/// What a proxy is started with.
pub struct Start<'a> {
    /// Where it keeps all it writes.
    pub folder: &'a Path,
    pub address: SocketAddr,
    /// Settings by the names that Kamailio's samples give them; texts have their quotes.
    pub defines: BTreeMap<String, String>,
    /// A whole configuration, in which `@NAME@` stands for a setting.
    pub configuration: Option<&'a str>,
    /// Which of its samples otherwise.
    pub sample: &'a str,
}

pub trait Proxy: Sync {
    fn name(&self) -> &'static str;
    fn program(&self) -> PathBuf;
    /// What it says of its own version, in one line.
    fn version(&self) -> String;
    /// Its folder of sample configurations in the project.
    fn samples(&self) -> PathBuf;
    /// The small one among them.
    fn small_sample(&self) -> &'static str;
    /// The arguments for this many mebibytes of shared memory.
    fn memory(&self, mebibytes: u32) -> Vec<String>;
    /// The option for another memory manager than the usual one.
    fn memory_manager(&self) -> &'static str;
    /// Writes the configuration into the folder; gives the arguments, but for those about memory.
    fn arguments(&self, start: Start<'_>) -> Vec<OsString>;

    /// All statistics of the module.
    fn statistics(&self, folder: &Path) -> Figures;
    /// One of them.
    fn counter(&self, folder: &Path, name: &str) -> u64;
    /// Gives one of the module's commands with its parameters, each by its name and in their order. Returns the structures of
    /// its answer, or its fault: code and text.
    fn command(
        &self,
        folder: &Path,
        name: &str,
        given: &[Given<'_>],
    ) -> Result<Vec<Figures>, String>;
    /// How many transactions tm holds.
    fn transactions(&self, folder: &Path) -> u64;
    /// How many of them are over and wait until tm forgets them.
    fn transactions_over(&self, folder: &Path) -> u64;
    /// The shared memory in use, with what its manager needs for itself, in bytes.
    fn shared_memory_used(&self, folder: &Path) -> u64;
    /// Every process with what it does; none as long as some are still to be made.
    fn processes(&self, folder: &Path) -> Option<Vec<(u32, String)>>;
    /// Whether a process that does this reads from a UDP socket.
    fn is_udp_worker(&self, what: &str) -> bool;

    /// A script's head, up to the first line of the route for requests.
    fn head(&self) -> &'static str;
    /// A route for one of the module's events: `delivered`, `undelivered` or `finished`.
    fn event_route(&self, event: &str, body: &str) -> String;
    /// What a route for events writes to read one of the event's values.
    fn event_value(&self, name: &str) -> String;
    /// A route through which the copies go.
    fn local_route(&self, body: &str) -> String;
    /// What stands before cimf's own lines for a listener of TLS at `address`; none without the modules for it. The
    /// certificates are those of the folder; clients have to show one or need not, and cores always do.
    fn tls(&self, folder: &Path, address: SocketAddr, asks_clients: bool) -> Option<String>;
    /// The line that has tm wait this long for answers.
    fn waits(&self, seconds: u32) -> String;
    /// Whether it has this module of its own.
    fn has_module(&self, name: &str) -> bool;
    /// What may come before a request's first line, in a datagram too.
    fn passes_over(&self) -> &'static [&'static str];
    /// Whether it has the faults of OpenSIPS 4.0 over TCP, which its manual names: a connection is closed as soon as the
    /// other side sends no more, and an answer may stay behind until the next one.
    fn has_faults_of_tcp(&self) -> bool;
    /// Whether it answers nothing, and asks no script, where it cannot read From itself.
    fn drops_unreadable_from(&self) -> bool;
    /// Whether the module's functions may stand in other routes, where they do nothing; if not, the proxy does not
    /// start with them.
    fn has_steps_elsewhere(&self) -> bool;
    /// A script that is written for Kamailio, as this proxy wants it.
    fn translated(&self, script: &str) -> String;
}

/// The proxy that all cases of this program run against.
pub fn proxy() -> &'static dyn Proxy {
    static OPENSIPS: OnceLock<Option<OpenSips>> = OnceLock::new();
    match OPENSIPS.get_or_init(OpenSips::of_the_environment) {
        Some(opensips) => opensips,
        None => &Kamailio,
    }
}

/// Whether a case that OpenSIPS cannot show has to be left out, which is said where nobody overlooks it.
#[must_use]
pub fn is_left_out_with_opensips(reason: &str) -> bool {
    let is_left_out = proxy().name() == "OpenSIPS";
    if is_left_out {
        leave_out(reason);
    }
    is_left_out
}

/// Says where nobody overlooks it that this case cannot be shown with the proxy under test.
pub fn leave_out(reason: &str) {
    say("LEFT OUT", reason);
}

/// Says where nobody overlooks it what is done with this case, and why.
pub fn say(what: &str, reason: &str) {
    let thread = std::thread::current();
    let case = thread.name().unwrap_or("a case").to_owned();
    // Past the test harness, which keeps what a test that passes prints.
    let _ = writeln!(
        std::io::stderr(),
        "{what} with {}: {case}: {reason}",
        proxy().name()
    );
}

/// The first line that a program prints with an argument.
pub fn first_line(program: &Path, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().unwrap_or_default().to_owned()
}

/// The first two numbers in a line such as `version: opensips 3.6.8 (x86_64/linux)`.
#[track_caller]
pub fn numbers(line: &str) -> (u32, u32) {
    let version = line.split_whitespace().find_map(|word| {
        let mut numbers = word.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    version.unwrap_or_else(|| panic!("no version in {line:?}"))
}

/// The lines of `name: value` in a text.
pub fn figures(text: &str) -> Figures {
    let lines = text
        .lines()
        .filter_map(|line| line.trim_start().split_once(": "));
    lines
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

/// A configuration of a test's own with its settings in it.
pub fn filled_in(text: &str, defines: &BTreeMap<String, String>) -> String {
    let fill =
        |text: String, (name, value): (&String, &String)| text.replace(&format!("@{name}@"), value);
    defines.iter().fold(text.to_owned(), fill)
}

/// A program by its variable, or the first one of PATH, or Debian's.
pub fn program(variable: &str, name: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| PathBuf::from(name))
}
