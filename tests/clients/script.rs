//! small-site.sh and demo.sh as children: until they say that the proxy runs, and until they have ended.

use crate::port::Port;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// How long the script may take: it builds where nothing was built.
const PATIENCE: Duration = Duration::from_secs(600);

/// Which proxy a script runs.
#[derive(Clone, Copy, Debug)]
pub enum Proxy {
    Kamailio,
    OpenSips,
}

impl Proxy {
    /// One of its scripts.
    pub fn script(self, name: &str) -> PathBuf {
        let samples = match self {
            Proxy::Kamailio => "kamailio-config",
            Proxy::OpenSips => "opensips-config",
        };
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(samples)
            .join(name)
    }
}

/// How a script is stopped.
#[derive(Clone, Copy, Debug)]
pub enum Stop {
    /// `kill` of the script alone.
    Kill,
    /// Ctrl-C in its terminal, which reaches all that it has started.
    CtrlC,
}

/// A running script. Dropping it stops it.
pub struct Script {
    name: String,
    child: Option<Child>,
}

/// The options by which a site is on these ports of loopback.
pub fn options_of_ports(ports: &[Port; 5]) -> Vec<String> {
    let names = [
        "--port",
        "--tls-port",
        "--web-port",
        "--secure-web-port",
        "--copies-port",
    ];
    let mut options = vec!["--address".to_owned(), "127.0.0.1".to_owned()];
    for (name, port) in names.iter().zip(ports) {
        options.extend([(*name).to_owned(), port.number.to_string()]);
    }
    options
}

/// A program without what cargo sets for tests: a script's own cargo would build everything again that looks at it, such
/// as ring does, and the next one from a shell would, too.
pub fn as_from_a_shell(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let of_cargo = ["CARGO_PKG_", "CARGO_MANIFEST_"];
        if of_cargo
            .iter()
            .any(|start| name.as_encoded_bytes().starts_with(start.as_bytes()))
        {
            command.env_remove(name);
        }
    }
    command
}

impl Script {
    /// Runs one with `temporary` for its temporary files, and gives back what it had printed once its proxy ran.
    #[track_caller]
    pub fn run(script: &Path, options: &[String], temporary: &Path) -> (Self, String) {
        let name = script.display().to_string();
        let mut child = as_from_a_shell("sh")
            .args(["-c", "exec \"$0\" \"$@\" 2>&1"])
            .arg(script)
            .args(options)
            .env("TMPDIR", temporary)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("a shell");
        let output = child.stdout.take().expect("its output");
        let child = Some(child);
        let (printed, is_printed) = channel();
        std::thread::spawn(move || read(BufReader::new(output), printed));
        let script = Script { name, child };
        let text = is_printed.recv_timeout(PATIENCE);
        let text = text.unwrap_or_else(|_| panic!("{} said nothing in {PATIENCE:?}", script.name));
        assert!(text.contains(RUNS), "{}: {text}", script.name);
        (script, text)
    }

    /// Stops it.
    #[track_caller]
    pub fn stop(&mut self, stop: Stop) -> ExitStatus {
        let mut child = self.child.take().expect("a script that was not stopped");
        let id = i32::try_from(child.id()).expect("a process id");
        let (receiver, signal) = match stop {
            Stop::Kill => (id, libc::SIGTERM),
            Stop::CtrlC => (-id, libc::SIGINT),
        };
        // SAFETY: a signal to the child that was started here and not waited for, or to the group that it leads.
        unsafe { libc::kill(receiver, signal) };
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            if let Some(status) = child.try_wait().expect("its end") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
        panic!("{} did not stop in 30 seconds", self.name);
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.stop(Stop::Kill);
        }
    }
}

/// What a script says last, when all is printed that a user needs.
const RUNS: &str = "It runs until Ctrl-C";

/// Reads to the end, and tells what came once the proxy runs, or else at the end.
fn read(lines: impl BufRead, printed: Sender<String>) {
    let mut text = String::new();
    for line in lines.lines().map_while(Result::ok) {
        text += &line;
        text.push('\n');
        if line.contains(RUNS) {
            let _ = printed.send(std::mem::take(&mut text));
        }
    }
    let _ = printed.send(text);
}
