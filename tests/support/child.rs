//! The processes of a proxy: started, waited for and stopped; and a port of its own.

use super::PATIENCE;
use super::client::{Client, Transport, trusted_beside};
use super::flow;
use std::ffi::OsString;
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often a wait looks again.
const LOOK: Duration = Duration::from_millis(10);

/// Starts a proxy; its log grows.
pub fn launch(line: &[OsString], folder: &Path) -> Child {
    let mut options = File::options();
    let log = options.append(true).open(folder.join(LOG));
    let log = log.expect("the log file");
    let mut command = Command::new(&line[0]);
    command
        .args(&line[1..])
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log);
    // A group of its own: a proxy signals its whole group when it ends, and so do we.
    command.process_group(0);
    ends_with_the_tests(&mut command, libc::SIGTERM);
    match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!(
            "{}: {error}. Install Debian's kamailio package, or set CIMF_KAMAILIO or CIMF_OPENSIPS.",
            line[0].display()
        ),
    }
}

/// Has a program ended by this signal should the tests be killed.
pub fn ends_with_the_tests(command: &mut Command, signal: libc::c_int) {
    // SAFETY: prctl is a plain system call, allowed between fork and exec.
    unsafe {
        command.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, signal);
            Ok(())
        });
    }
}

/// Asks a program that was not waited for to end, and waits until it has.
pub fn end(program: &mut Child) {
    // SAFETY: a plain system call on a child that was not waited for.
    unsafe { libc::kill(program.id() as libc::pid_t, libc::SIGTERM) };
    wait(program, PATIENCE);
}

/// Where a proxy writes its log, in its folder.
pub const LOG: &str = "proxy.log";

pub fn read_log(folder: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(folder.join(LOG)).unwrap_or_default()).into_owned()
}

/// Sends OPTIONS until one is answered.
pub fn ready(proxy: &mut Child, address: SocketAddr) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = proxy.try_wait() {
            return Err(format!("it ended with {status}"));
        }
        let mut client = Client::new(Transport::Udp, trusted_beside(address), address)
            .map_err(|error| error.to_string())?;
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

pub fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK),
            _ => return None,
        }
    }
}

/// Ends a proxy and all its workers.
pub fn stop(proxy: &mut Child) {
    let group = -(proxy.id() as libc::pid_t);
    // SAFETY: plain system calls. The group is the one that the proxy was started in; its leader has not been
    // waited for yet when it still runs, so the number is its own.
    unsafe {
        if matches!(proxy.try_wait(), Ok(None)) {
            libc::kill(proxy.id() as libc::pid_t, libc::SIGTERM);
            if wait(proxy, PATIENCE).is_none() {
                libc::kill(group, libc::SIGKILL);
            }
        } else {
            libc::kill(group, libc::SIGKILL);
        }
    }
    // Waited for already when it ended by itself.
    let _ = proxy.wait();
}
