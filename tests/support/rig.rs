//! A proxy with cimf in it, run from its samples in a folder of its own, with a database made by cimfctl and a SIP
//! core behind it.

use super::PATIENCE;
use super::built::cimfctl;
use super::child::{launch, read_log, ready, stop, wait};
use super::client::{Client, Transport, trusted_beside};
use super::core::Core;
use super::kamailio::Kamailio;
use super::port::Port;
use super::proxy::{Figures, Given, proxy};
use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Duration;
use tempfile::TempDir;

pub use super::child::until;
pub use super::setup::Setup;

/// The groups of the conformance cases.
pub const HIKERS: &str = "sip:hikers@im.home1.net";
pub const EMPTY: &str = "sip:empty@im.home1.net";
pub const SOLO: &str = "sip:solo@im.home1.net";
pub const ANN: &str = "sip:ann@home1.net";
pub const BOB: &str = "sip:bob@home1.net";
pub const TEL: &str = "tel:+15551230003";

/// What the rig calls itself, as in the example flows.
pub const SERVER_NAME: &str = "imas.home1.net";

/// What it takes to start the same proxy again at the same address.
pub struct Place {
    pub line: Vec<OsString>,
    /// Where in the log the present run starts.
    pub log_from: usize,
    pub _port: Port,
}

/// A running proxy. Dropping it ends it and, if the test failed, shows its log.
pub struct Rig {
    pub transport: Transport,
    pub address: SocketAddr,
    pub core: Core,
    /// The Route header that every fork has to carry.
    pub route: String,
    /// The transport and the address in every fork's Via, if not those by which it came and of the proxy.
    pub sent_by: Option<(&'static str, SocketAddr)>,
    pub trusted_next_hop: bool,
    pub(super) child: Option<Child>,
    pub(super) folder: TempDir,
    pub(super) place: Place,
}

impl Rig {
    /// A sender at the trusted peer.
    #[track_caller]
    pub fn client(&self) -> Client {
        self.client_at(trusted_beside(self.address))
    }

    #[track_caller]
    pub fn client_at(&self, from: impl Into<IpAddr>) -> Client {
        Client::new(self.transport, from, self.address).expect("a connection to the proxy")
    }

    /// Sends no more on a connection, and reads what comes until the proxy closes it.
    #[track_caller]
    pub fn finish(connection: &mut Client) -> Vec<u8> {
        if proxy().has_faults_of_tcp() {
            // Not all that is sent is answered.
            connection.wait_for_bytes(Duration::from_millis(150));
        }
        connection.finish_sending();
        connection.read_to_end()
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
        Kamailio::kamcmd(self.folder.path(), words)
    }

    /// One of the module's counters.
    #[track_caller]
    pub fn counter(&self, name: &str) -> u64 {
        proxy().counter(self.folder.path(), name)
    }

    /// All of the module's counters, as the proxy's statistics.
    #[track_caller]
    pub fn statistics(&self) -> Figures {
        proxy().statistics(self.folder.path())
    }

    /// All of the module's counters, by its own command.
    #[track_caller]
    pub fn stats(&self) -> Figures {
        self.only("stats", &[])
    }

    /// The messages under way, by the module's own command.
    #[track_caller]
    pub fn fanouts(&self) -> Vec<Figures> {
        self.well("fanouts", &[])
    }

    /// The nodes that share the ledger, by the module's own command; or what is wrong.
    pub fn nodes(&self) -> Result<Vec<Figures>, String> {
        self.command("nodes", &[])
    }

    /// Has new messages refused, or no longer; gives what is left.
    #[track_caller]
    pub fn drain(&self, drains: bool) -> Figures {
        self.only(if drains { "drain" } else { "undrain" }, &[])
    }

    /// Ends all processes of the proxy at once, as the loss of its machine would.
    #[track_caller]
    pub fn kill(&mut self) {
        let group = self.main_process();
        // SAFETY: a plain system call on a group of processes whose leader was not waited for.
        unsafe { libc::kill(-group, libc::SIGKILL) };
        self.has_ended();
    }

    /// Whether it was neither killed nor stopped.
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Cancels a message by the module's own command; gives what that says, or what is wrong.
    pub fn cancel(&self, id: &str) -> Result<Figures, String> {
        let mut answer = self.command("cancel", &[("id", &[id])])?;
        Ok(answer.pop().expect("what was done"))
    }

    /// What is kept for members who are away, or for one of them, by the module's own command.
    #[track_caller]
    pub fn kept(&self, member: Option<&str>) -> Vec<Figures> {
        match member {
            None => self.well("kept", &[]),
            Some(member) => self.well("kept", &[("address", &[member])]),
        }
    }

    /// Drops what is kept for a member; gives how many copies, or what is wrong.
    pub fn drop_kept(&self, member: &str) -> Result<u64, String> {
        let answer = self.command("kept_drop", &[("address", &[member])])?;
        Ok(answer[0]["copies"].parse().expect("a number"))
    }

    /// Gives a command of the module; returns its answer, or code and text of its fault.
    pub fn command(&self, name: &str, given: &[Given<'_>]) -> Result<Vec<Figures>, String> {
        proxy().command(self.folder.path(), name, given)
    }

    /// The same of a command that is carried out.
    #[track_caller]
    pub fn well(&self, name: &str, given: &[Given<'_>]) -> Vec<Figures> {
        let answer = self.command(name, given);
        answer.unwrap_or_else(|fault| panic!("{name} {given:?}: {fault}"))
    }

    /// The same of one that answers with one structure.
    #[track_caller]
    pub fn only(&self, name: &str, given: &[Given<'_>]) -> Figures {
        let mut answer = self.well(name, given);
        assert_eq!(answer.len(), 1, "{name}: {answer:?}");
        answer.remove(0)
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

    /// The log since the proxy was started again.
    pub fn log_of_this_run(&self) -> String {
        self.log()[self.place.log_from..].to_owned()
    }

    /// Waits until tm holds at most `count` transactions. It forgets each `wt_timer` after its end.
    #[track_caller]
    pub fn wait_until_tm_holds_at_most(&self, count: u64) {
        let holds = || proxy().transactions(self.folder.path());
        let few = || (holds() <= count).then_some(());
        until(few).unwrap_or_else(|| panic!("tm holds {} transactions", holds()));
    }

    /// The first worker answers while others are still being made.
    #[track_caller]
    pub(super) fn wait_until_complete(&self) {
        let complete = || {
            let processes = proxy().processes(self.folder.path())?;
            // A process may be there and not listen yet.
            std::net::TcpStream::connect(self.address).ok()?;
            Some(processes)
        };
        until(complete).expect("a proxy with all its processes");
    }

    /// Every process of this proxy: its number and what it does.
    #[track_caller]
    pub fn processes(&self) -> Vec<(u32, String)> {
        let processes = proxy().processes(self.folder.path());
        let processes = processes.expect("all processes");
        assert!(processes.len() > 3, "only {processes:?}");
        processes
    }

    /// The processes that read from UDP sockets.
    #[track_caller]
    pub fn udp_workers(&self) -> Vec<u32> {
        let workers = self.processes().into_iter();
        workers
            .filter(|(_, what)| proxy().is_udp_worker(what))
            .map(|(pid, _)| pid)
            .collect()
    }

    /// Stops the proxy as its administrator would.
    pub fn stop(&mut self) {
        self.assert_healthy();
        if let Some(mut child) = self.child.take() {
            stop(&mut child);
        }
    }

    /// The main process, whose number is that of the whole group.
    #[track_caller]
    pub fn main_process(&self) -> i32 {
        let child = self.child.as_ref().expect("a running proxy");
        child.id().try_into().expect("a process number")
    }

    /// Waits until the main process has ended, however it did.
    #[track_caller]
    pub fn has_ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a running proxy");
        let status = wait(&mut child, PATIENCE);
        status.unwrap_or_else(|| panic!("the proxy runs on for {PATIENCE:?}"))
    }

    /// Starts the same proxy again, at the same address and with the same files.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        self.place.log_from = self.log().len();
        let mut child = launch(&self.place.line, self.folder.path());
        let ready = ready(&mut child, self.address);
        self.child = Some(child);
        if let Err(reason) = ready {
            panic!("the proxy does not answer after it was started again: {reason}");
        }
        self.wait_until_complete();
    }

    /// Fails if the proxy ended by itself or its log tells of a crash.
    #[track_caller]
    pub fn assert_healthy(&mut self) {
        if let Some(child) = &mut self.child
            && let Ok(Some(status)) = child.try_wait()
        {
            panic!("the proxy ended by itself: {status}");
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
                // OpenSIPS finds it critical that a name cannot be resolved.
                .filter(|line| !line.contains("could not resolve hostname"))
                // A line of the level DEBUG is no BUG.
                .find(|line| line.replace("DEBUG", "").contains(sign))
            {
                panic!("the log tells of a failure: {line}");
            }
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if !failed && self.child.is_some() {
            self.assert_healthy();
        }
        if let Some(mut child) = self.child.take() {
            stop(&mut child);
        }
        if failed {
            eprintln!("--- the proxy's log\n{}---", read_log(self.folder.path()));
        }
    }
}
