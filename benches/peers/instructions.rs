//! Instructions for each recipient, counted by valgrind: the measure that a busy machine does not change. One
//! worker, no retransmissions, one message at a time. What the kernel does is not in it.
//!
//! valgrind tells of a process when it ends, so a proxy runs once with a few messages and once with these and the
//! ones to be counted; the difference is theirs alone, without the proxy's start and the first look at each group.

use crate::contender::{Contender, Start};
use crate::options::Options;
use crate::sender::{Batch, Pace};
use crate::support::proxy::proxy;
use crate::table::{head, row};
use crate::turn::Load;
use std::path::Path;
use std::time::Duration;

/// Messages of each size that come before those that count.
const FIRST: usize = 2;
/// Longer than valgrind makes anything last: a retransmission would count twice.
const NO_RETRANSMISSION: u32 = 25_000;
/// A message may have to wait until a thousand answers before it are read.
const STANDSTILL: Duration = Duration::from_secs(300);
/// One worker sends to a whole group before it reads an answer, and under valgrind that takes long.
const RECEIVE_BUFFER: &str = "8388608";

/// Instructions by what the processes do.
#[derive(Clone, Copy)]
struct Count {
    workers: u64,
    /// Timers, and processes of the module's own.
    others: u64,
}

pub fn run(options: &Options, contenders: &[Contender], load: &mut Load) {
    // One group of each size gets messages: each would be read from the database once, which is no recipient's.
    let options = &Options {
        groups: 1,
        ..options.clone()
    };
    let allocators = options.allocators.join(", ");
    println!("\n## Instructions for each recipient, allocators {allocators}");
    println!(
        "\nIn user space, answer and end of the transaction included. One worker and one group of each size, whatever is said above."
    );
    head(&[
        "allocator",
        "members",
        "contender",
        "worker",
        "timers and others",
        "in all",
    ]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = options.keep.as_deref().unwrap_or(folder.path());
    std::fs::create_dir_all(folder).expect("the folder of --keep");
    for allocator in &options.allocators {
        for contender in contenders {
            let count = |name: &str, size, messages, load: &mut Load| {
                let folder = folder.join(format!("{allocator}-{}-{name}", contender.label));
                count(
                    options,
                    contender,
                    allocator,
                    &folder,
                    (size, messages),
                    load,
                )
            };
            let first = count("first", options.sizes[0], 0, load);
            for &size in &options.sizes {
                let messages = (options.recipients / 10).div_ceil(size);
                let whole = count(&size.to_string(), size, messages, load);
                let each =
                    |whole: u64, first: u64| (whole - first) as f64 / (messages * size) as f64;
                let workers = each(whole.workers, first.workers);
                let others = each(whole.others, first.others);
                row(&[
                    allocator.clone(),
                    size.to_string(),
                    contender.label.to_owned(),
                    format!("{workers:.0}"),
                    format!("{others:.0}"),
                    format!("{:.0}", workers + others),
                ]);
            }
        }
    }
}

/// What a proxy runs until it has sent the first messages of every size, and `messages` of one size.
fn count(
    options: &Options,
    contender: &Contender,
    allocator: &str,
    folder: &Path,
    (size, messages): (usize, usize),
    load: &mut Load,
) -> Count {
    std::fs::create_dir_all(folder).expect("a folder for valgrind's files");
    let file = format!("--callgrind-out-file={}/%p", folder.display());
    let next_hop = load.receiver.uri();
    let running = contender.start(
        options,
        &Start {
            allocator,
            next_hop: &next_hop,
            children: 1,
            wt_timer: options.wt_timer,
            retransmission: NO_RETRANSMISSION,
            arguments: &["-b", RECEIVE_BUFFER],
            run_by: &["valgrind", "-q", "--tool=callgrind", &file],
        },
    );
    let first = options.sizes.iter().map(|&size| (size, FIRST));
    for (size, messages) in first.chain([(size, messages)]) {
        let batch = Batch {
            size,
            groups: 1,
            messages,
            pace: Pace::Outstanding(0),
            standstill: STANDSTILL,
        };
        load.receiver.reset();
        let outcome = load.sender.send(running.address(), &batch, &load.receiver);
        let expected = (messages * size) as u64;
        let (received, repeated) = (load.receiver.received(), load.receiver.repeated());
        assert!(
            outcome.accepted == messages && received == expected && repeated == 0,
            "{}: {} of {messages} messages accepted, {received} of {expected} forks, {repeated} retransmissions",
            contender.label,
            outcome.accepted,
        );
    }
    assert!(
        running.drain(Duration::from_secs(60)),
        "tm keeps transactions"
    );
    let processes = running.processes().to_vec();
    running.stop();
    let mut count = Count {
        workers: 0,
        others: 0,
    };
    for (pid, task) in processes {
        let path = folder.join(pid.to_string());
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        let total: Option<u64> = total.and_then(|total| total.parse().ok());
        let total = total.unwrap_or_else(|| panic!("{}: no totals", path.display()));
        if proxy().is_udp_worker(&task) {
            count.workers += total;
        } else if !task.starts_with("ctl ") && task != "MI FIFO" {
            // These answer our own questions.
            count.others += total;
        }
    }
    count
}
