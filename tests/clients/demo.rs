//! `demo.sh --stay` as a newcomer uses it: what it prints goes into phones, and nothing is left of it afterwards.

use crate::phone::{Phone, folder};
use crate::port::Port;
use crate::python;
use crate::script::{Proxy, Script, Stop, options_of_ports};
use std::path::Path;
use std::process::Command;

/// The demo stays up for phones: what it prints is enough to register two, and a message of one to the group is shown by
/// the other. The commands by which to watch show it too. Stopped, it leaves nothing.
pub fn the_demo_stays_for_phones(proxy: Proxy, stop: Stop) {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let ports = [(); 5].map(|()| Port::reserve());
    let mut options = vec!["--stay".to_owned()];
    options.extend(options_of_ports(&ports));
    let (mut script, printed) = Script::run(&proxy.script("demo.sh"), &options, temporary.path());
    assert!(printed.contains("The demo went well"), "{printed}");

    let phone = |user: &'static str| {
        let program = folder().join("phone_pjsip.py").display().to_string();
        let server = behind(&printed, "outbound proxy ");
        let (server, transport) = server
            .strip_prefix("sip:")
            .and_then(|server| server.split_once(";transport="))
            .unwrap_or_else(|| panic!("{printed}"));
        let password = behind(&printed, &format!("    {user} "));
        let domain = behind(&printed, "domain ");
        let words = [&program, user, password, domain, server, transport, ""];
        Phone::start(user, &python(), &words)
    };
    let (mut ann, bob) = (phone("ann"), phone("bob"));
    ann.registered(0);
    bob.registered(0);
    let group = behind(&printed, "Then write a message to ");
    ann.send(group, "hello");
    assert_eq!(bob.shows("ann: hello").address, group);

    let log = behind(&printed, "tail -f ");
    let log = std::fs::read_to_string(log).expect("the log that it names");
    assert!(log.contains(group), "{log}");
    if let Proxy::Kamailio = proxy {
        let figures = line_of(&printed, "cimf.stats");
        let figures = Command::new("sh").args(["-c", figures]).output();
        let figures = figures.expect("a shell").stdout;
        let figures = String::from_utf8_lossy(&figures);
        assert!(figures.contains("accepted: 1\n"), "{figures}");
    }

    assert_ne!(processes_that_name(temporary.path()), "");
    let status = script.stop(stop);
    assert!(status.success(), "{status}");
    assert_eq!(processes_that_name(temporary.path()), "");
    let left = std::fs::read_dir(temporary.path()).expect("the folder");
    assert_eq!(left.count(), 0, "files in {}", temporary.path().display());
}

/// The line with this in it, without what is around it.
#[track_caller]
fn line_of<'a>(printed: &'a str, wanted: &str) -> &'a str {
    let mut lines = printed.lines();
    let found = lines.find(|line| line.contains(wanted));
    let found = found.unwrap_or_else(|| panic!("no {wanted:?} in\n{printed}"));
    found.trim()
}

/// The first word behind this one.
#[track_caller]
fn behind<'a>(printed: &'a str, label: &str) -> &'a str {
    let line = line_of(printed, label);
    let (_, rest) = line
        .split_once(label.trim())
        .unwrap_or_else(|| panic!("{line}"));
    rest.split_whitespace().next().expect("a word")
}

/// The command lines of processes in which this folder stands.
fn processes_that_name(folder: &Path) -> String {
    let folder = folder.display().to_string();
    let processes = std::fs::read_dir("/proc").expect("/proc");
    let lines = processes.filter_map(|process| {
        let line = std::fs::read(process.ok()?.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(&folder).then(|| format!("{line}\n"))
    });
    lines.collect()
}
