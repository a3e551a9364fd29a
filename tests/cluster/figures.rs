//! What measurements have in common: times in order, sizes from the environment, and what processes take.

use crate::support::PATIENCE;
use crate::support::rig::Rig;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a wait for copies looks again.
const LOOK: Duration = Duration::from_millis(1);

/// A size by its variable, or the usual one.
pub fn size(variable: &str, usual: usize) -> usize {
    let asked = std::env::var(variable).ok();
    asked.and_then(|size| size.parse().ok()).unwrap_or(usual)
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The time that this part in a hundred does not exceed; of times in order.
pub fn percentile(ascending: &[Duration], part: usize) -> Duration {
    ascending[(ascending.len() - 1) * part / 100]
}

/// Sorts times and prints those in the middle and near the end.
pub fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part| milliseconds(percentile(&times, part));
    println!(
        "{what}: p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
        at(50),
        at(99),
        at(100)
    );
}

/// The one in the middle.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[(figures.len() - 1) / 2]
}

/// Waits until there are this many copies. It may take long; it has to go on.
#[track_caller]
pub fn wait_for_copies(expected: usize, count: impl Fn() -> usize) {
    let (mut last, mut since) = (count(), Instant::now());
    while last < expected {
        std::thread::sleep(LOOK);
        let now = count();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        assert!(
            since.elapsed() < PATIENCE,
            "{last} copies of {expected}, and no more for {PATIENCE:?}"
        );
    }
}

/// The kind of file system that a folder is in, and what a small write that waits for the disk takes there. One in
/// memory would make promises look cheap, and is refused.
#[track_caller]
pub fn disk(folder: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("the mounts");
    let fields = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let above = fields.filter(|fields| folder.starts_with(fields[1]));
    // Of mounts at one place the last one counts.
    let mount = above.max_by_key(|fields| fields[1].len()).expect("a mount");
    assert!(
        !["tmpfs", "ramfs"].contains(&mount[2]),
        "{} is in memory: set TMPDIR to a folder on a disk",
        folder.display()
    );
    let file = tempfile::tempfile_in(folder).expect("a file");
    let mut times: Vec<_> = (0..200u64)
        .map(|number| {
            let began = Instant::now();
            std::os::unix::fs::FileExt::write_all_at(&file, &[1; 4096], number * 4096)
                .expect("a write");
            file.sync_data().expect("a write to the disk");
            began.elapsed()
        })
        .collect();
    times.sort();
    format!(
        "{} on {}; 4 KiB written to the disk take {:.2} ms (p50), {:.2} ms (p99)",
        mount[2],
        mount[0],
        milliseconds(percentile(&times, 50)),
        milliseconds(percentile(&times, 99))
    )
}

/// What a process has taken of the processors.
fn cpu_of(process: u32) -> Duration {
    // One that has ended meanwhile has no file.
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    // `utime` and `stime`, in hundredths of a second as everywhere in /proc.
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

/// What all processes of a node have taken of the processors.
pub fn cpu(rig: &Rig) -> Duration {
    let processes = rig.processes();
    processes.iter().map(|&(process, _)| cpu_of(process)).sum()
}

/// The same of a process and its children.
pub fn cpu_with_children(parent: u32) -> Duration {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let children = std::fs::read_to_string(path).expect("its children");
    let children = children
        .split_whitespace()
        .filter_map(|child| child.parse().ok());
    children.map(cpu_of).sum::<Duration>() + cpu_of(parent)
}

/// Prints what each process of a node has in memory, in MiB: all of it, its share of it (Pss, where what several
/// processes have counts for each in parts), and what it has for itself.
pub fn print_memory(what: &str, rig: &Rig) {
    println!("memory in MiB {what}:");
    println!("{:>8} {:>8} {:>8}  process", "resident", "share", "private");
    let mut sums = [0.0; 3];
    for (process, name) in rig.processes() {
        let figures = memory(process);
        println!(
            "{:8.1} {:8.1} {:8.1}  {name}",
            figures[0], figures[1], figures[2]
        );
        for (sum, figure) in sums.iter_mut().zip(figures) {
            *sum += figure;
        }
    }
    println!("{:>8} {:8.1} {:8.1}  together", "", sums[1], sums[2]);
}

fn memory(process: u32) -> [f64; 3] {
    let path = format!("/proc/{process}/smaps_rollup");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let of = |names: &[&str]| {
        let lines = text
            .lines()
            .filter(|line| names.iter().any(|name| line.starts_with(name)));
        let values = lines.filter_map(|line| line.split_whitespace().nth(1));
        let kibibytes: f64 = values.filter_map(|value| value.parse::<f64>().ok()).sum();
        kibibytes / 1024.0
    };
    [of(&["Rss:"]), of(&["Pss:"]), of(&["Private_"])]
}
