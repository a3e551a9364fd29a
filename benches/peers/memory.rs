//! Shared memory for each live fork: while nobody answers, and when all have answered but tm still has them.

use crate::contender::{Contender, Start};
use crate::measure::T1;
use crate::options::Options;
use crate::proxy::{Memory, Proxy};
use crate::sender::{Batch, Pace, STANDSTILL};
use crate::table::{head, row};
use crate::turn::Load;
use std::time::{Duration, Instant};

/// Long enough that tm forgets nothing before it has been looked at.
const WT_TIMER: u32 = 120_000;
/// Recipients of the messages that are looked at.
const RECIPIENTS: usize = 5000;

pub fn run(options: &Options, contenders: &[Contender], load: &mut Load) {
    println!("\n## Memory for each live fork");
    println!(
        "\nShared memory of the proxy, with what its allocator needs, over tm's transactions. Silent: the receiver \
         answers nothing. Over: all have answered, and tm keeps them for wt_timer. Own: the module's own queue."
    );
    head(&[
        "allocator",
        "contender",
        "live when silent",
        "silent bytes/fork",
        "own bytes/fork",
        "over bytes/fork",
    ]);
    for allocator in &options.allocators {
        for contender in contenders {
            measure(options, contender, allocator, load);
        }
    }
}

fn measure(options: &Options, contender: &Contender, allocator: &str, load: &mut Load) {
    let next_hop = load.receiver.uri();
    let start = Start {
        allocator,
        next_hop: &next_hop,
        children: options.children,
        wt_timer: WT_TIMER,
        retransmission: T1,
        arguments: &[],
        run_by: &[],
    };
    let proxy = contender.start(options, &start);
    let size = *options.sizes.iter().max().expect("a size");
    let batch = Batch {
        size,
        groups: options.groups_of(size),
        messages: RECIPIENTS.div_ceil(size),
        pace: Pace::Outstanding(usize::MAX),
        standstill: STANDSTILL,
    };
    // What a worker makes at its first message stays and is no fork's.
    let one = Batch {
        messages: 1,
        ..batch
    };
    load.receiver.reset();
    load.sender.send(proxy.address(), &one, &load.receiver);
    let before = settled(&proxy);

    load.receiver.reset();
    load.receiver.be_silent(true);
    load.sender.start(proxy.address(), &batch);
    let silent = settled(&proxy);
    load.receiver.be_silent(false);
    let expected = (batch.messages * size) as u64;
    let over = until_over(&proxy, load, expected);
    row(&[
        allocator.to_owned(),
        contender.label.to_owned(),
        (silent.transactions - before.transactions).to_string(),
        per_fork(&before, &silent, |memory| Some(memory.shared)),
        per_fork(&before, &silent, |memory| memory.own),
        per_fork(&before, &over, |memory| Some(memory.shared)),
    ]);
    proxy.stop();
}

fn per_fork(before: &Memory, after: &Memory, bytes: impl Fn(&Memory) -> Option<u64>) -> String {
    let forks = (after.transactions - before.transactions) as f64;
    match (bytes(before), bytes(after)) {
        (Some(before), Some(after)) => {
            format!("{:.0}", after.saturating_sub(before) as f64 / forks)
        }
        _ => "–".to_owned(),
    }
}

/// The memory when the number of transactions has stood still for a second.
fn settled(proxy: &Proxy) -> Memory {
    let mut last = proxy.memory();
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let now = proxy.memory();
        if now.transactions == last.transactions {
            return now;
        }
        last = now;
    }
}

/// The memory when everybody has answered. What was silent before answers the next retransmission.
fn until_over(proxy: &Proxy, load: &Load, expected: u64) -> Memory {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let now = proxy.memory();
        if load.receiver.received() >= expected && now.waiting == now.transactions {
            return now;
        }
        assert!(
            Instant::now() < deadline,
            "after a minute {} of {expected} forks have come and {} of {} transactions are over",
            load.receiver.received(),
            now.waiting,
            now.transactions
        );
    }
}
