//! A proxy, or one process of it, that is stopped dead between two instructions, and killed.

use crate::support::rig::{Rig, until};

/// All processes of a group, with their states.
fn group(leader: i32) -> Vec<(i32, char)> {
    let processes = std::fs::read_dir("/proc").expect("/proc");
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let found = numbers.filter_map(|pid: i32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut words = text.rsplit_once(") ")?.1.split(' ');
        let state = words.next()?.chars().next()?;
        let its_group: i32 = words.nth(1)?.parse().ok()?;
        (its_group == leader).then_some((pid, state))
    });
    found.collect()
}

fn signal(group: i32, signal: i32) {
    // SAFETY: the group is that of a proxy which the rig has started and not waited for.
    assert_eq!(unsafe { libc::kill(-group, signal) }, 0);
}

/// Stops all processes of a proxy where they are.
#[track_caller]
pub fn freeze(rig: &Rig) {
    let leader = rig.main_process();
    signal(leader, libc::SIGSTOP);
    let stopped = || {
        let all = group(leader);
        let is_still = |&(_, state): &(i32, char)| matches!(state, 'T' | 'Z');
        (all.len() > 3 && all.iter().all(is_still)).then_some(())
    };
    until(stopped).expect("a proxy that is stopped");
}

/// The process of a running proxy that writes the ledger.
#[track_caller]
pub fn ledger_process(rig: &Rig) -> i32 {
    process(rig, |what| what.contains("cimf ledger"))
}

/// The process of a running proxy that tells outcomes.
#[track_caller]
pub fn telling_process(rig: &Rig) -> i32 {
    let others = ["cimf ledger", "cimf names"];
    process(rig, |what| {
        what.contains("cimf") && !others.iter().any(|other| what.contains(other))
    })
}

#[track_caller]
fn process(rig: &Rig, is_it: impl Fn(&str) -> bool) -> i32 {
    let processes = rig.processes();
    let found = processes.iter().find(|(_, what)| is_it(what));
    let (process, _) = found.unwrap_or_else(|| panic!("not found in {processes:?}"));
    *process as i32
}

/// Stops one process.
#[track_caller]
pub fn stop_one(process: i32) {
    // SAFETY: the process is one of a proxy which the rig has started and not waited for.
    assert_eq!(unsafe { libc::kill(process, libc::SIGSTOP) }, 0);
    let stopped = || {
        let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        text.rsplit_once(") ")?.1.starts_with('T').then_some(())
    };
    until(stopped).expect("a process that is stopped");
}

/// Lets a stopped process go on.
pub fn go_on(process: i32) {
    // SAFETY: as above.
    assert_eq!(unsafe { libc::kill(process, libc::SIGCONT) }, 0);
}

/// Kills one process.
pub fn kill_one(process: i32) {
    // SAFETY: as above.
    assert_eq!(unsafe { libc::kill(process, libc::SIGKILL) }, 0);
}

/// Kills all processes at once.
#[track_caller]
pub fn kill(rig: &mut Rig) {
    let leader = rig.main_process();
    signal(leader, libc::SIGKILL);
    rig.has_ended();
    let gone = || {
        group(leader)
            .iter()
            .all(|&(_, state)| state == 'Z')
            .then_some(())
    };
    until(gone).expect("a proxy whose processes are all dead");
}
