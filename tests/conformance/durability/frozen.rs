//! A proxy that is stopped dead between two instructions: what it knows to be on the disk is read from its
//! memory, it is killed, and the disk loses all else.

use crate::support::rig::{Rig, until};
use cimf::fanout::journal::{Found, Mark, Records};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The head of a segment, which is synced before the segment has its name.
const HEAD: u64 = 28;

/// How far a journal is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synced {
    pub segment: u32,
    pub byte: u64,
}

/// What becomes of the bytes that were not synced.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    Cut,
    Zeros,
    Garbage,
}

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

/// Lets a stopped Kamailio go on.
pub fn thaw(rig: &Rig) {
    signal(rig.main_process(), libc::SIGCONT);
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

/// How far the journal of a stopped proxy is on the disk, as all its processes know it: the first
/// two words of the memory in src/fanout/journal/shared.rs.
#[track_caller]
pub fn synced(rig: &Rig, directory: &Path) -> Synced {
    let process = rig.main_process();
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).expect("its memory map");
    let memory = File::open(format!("/proc/{process}/mem")).expect("its memory");
    let segments = segments(directory);
    let candidates = maps.lines().filter_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let start = u64::from_str_radix(start, 16).ok()?;
        let end = u64::from_str_radix(end, 16).ok()?;
        let is_meant =
            rest.starts_with("rw-s") && line.contains("/dev/zero") && end - start == 12288;
        let mut words = [0; 16];
        memory
            .read_exact_at(&mut words, start)
            .ok()
            .filter(|()| is_meant)?;
        let word = |at: usize| words[at..at + 8].try_into().map(u64::from_le_bytes).ok();
        let (current, synced) = (word(0)?, word(8)?);
        let synced = Synced {
            segment: (synced >> 32) as u32,
            byte: synced & u64::from(u32::MAX),
        };
        let length = segments.get(&synced.segment)?.1.metadata().ok()?.len();
        let fits = (HEAD..=length).contains(&synced.byte);
        let follows = current.wrapping_sub(synced.segment.into()) <= 1;
        (fits && follows).then_some(synced)
    });
    let candidates: Vec<_> = candidates.collect();
    assert_eq!(
        candidates.len(),
        1,
        "what may be the journal's words: {candidates:?}\n{maps}"
    );
    candidates[0]
}

/// The segments of a directory by their numbers, as their names say.
pub fn segments(directory: &Path) -> BTreeMap<u32, (Mark, PathBuf)> {
    let files = std::fs::read_dir(directory).expect("the journal");
    let found = files.filter_map(|file| {
        let file = file.ok()?;
        let name = file.file_name().into_string().ok()?;
        let middle = name.strip_prefix("segment-")?.strip_suffix(".journal")?;
        let (number, run) = middle.split_once('-')?;
        let mark = Mark {
            number: number.parse().ok()?,
            run: u64::from_str_radix(run, 16).ok()?,
        };
        Some((mark.number, (mark, file.path())))
    });
    found.collect()
}

/// The records of one segment before a byte: kind and payload.
pub fn records(mark: Mark, path: &Path, end: u64) -> Vec<(u8, Vec<u8>)> {
    let mut bytes = std::fs::read(path).expect("a segment");
    bytes.truncate(end as usize);
    let found = Records::new(&bytes, HEAD as usize, mark).filter_map(|found| match found {
        Found::Record { kind, payload, .. } => Some((kind, payload.to_vec())),
        Found::Damage { .. } | Found::Tail { .. } => None,
    });
    found.collect()
}

/// Takes from the journal of a dead proxy what no sync has brought to the disk; says how many bytes.
pub fn lose(directory: &Path, synced: Synced, loss: Loss) -> u64 {
    let mut lost = 0;
    for (&number, (_, path)) in segments(directory).range(synced.segment..) {
        let kept = match number == synced.segment {
            true => synced.byte,
            false => 0,
        };
        let file = OpenOptions::new()
            .write(true)
            .open(path)
            .expect("a segment");
        let rest = file
            .metadata()
            .expect("its length")
            .len()
            .saturating_sub(kept);
        match loss {
            Loss::Cut => file.set_len(kept),
            Loss::Zeros => file.write_all_at(&vec![0; rest as usize], kept),
            Loss::Garbage => {
                let garbage: Vec<u8> = (0..rest).map(|byte| (byte * 31) as u8).collect();
                file.write_all_at(&garbage, kept)
            }
        }
        .expect("writing to a segment");
        lost += rest;
    }
    lost
}
