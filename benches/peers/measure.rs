//! Speed, and rate: everybody's turns in rounds, A B C A B C, so that what disturbs the machine disturbs all.

use crate::contender::{Contender, Start};
use crate::options::{Options, Part};
use crate::proxy::Proxy;
use crate::table::{MEASURED, head, measured, median};
use crate::turn::{Load, Turn};

/// tm's own first retransmission interval, T1.
pub const T1: u32 = 500;

/// Where the search begins, as a part of the speed.
const LOWEST: f64 = 0.1;

/// Halvings of the search for the highest clean rate: it ends within two per cent of imc's speed.
const HALVINGS: usize = 6;
/// The same in a quick run.
const FEW_HALVINGS: usize = 1;

/// A contender with its running proxy.
struct Running<'a> {
    contender: &'a Contender,
    proxy: Proxy,
}

/// All parts that need every contender to run beside the others, with one allocator.
pub fn run(options: &Options, contenders: &[Contender], allocator: &str, load: &mut Load) {
    let next_hop = load.receiver.uri();
    let start = Start {
        allocator,
        next_hop: &next_hop,
        children: options.children,
        wt_timer: options.wt_timer,
        retransmission: T1,
        arguments: &[],
        run_by: &[],
    };
    let begin = |contender| Running {
        contender,
        proxy: Contender::start(contender, options, &start),
    };
    let running: Vec<_> = contenders.iter().map(begin).collect();
    for one in &running {
        warm_up(one, options, load);
    }
    let mut speeds = Vec::new();
    if options.parts.contains(&Part::Speed) {
        speeds = speed(options, &running, allocator, load);
    }
    if options.parts.contains(&Part::Rate) {
        rate(options, &running, allocator, load, &speeds);
    }
    for one in running {
        one.proxy.stop();
    }
}

/// Every worker has seen every group.
fn warm_up(one: &Running<'_>, options: &Options, load: &mut Load) {
    for &size in &options.sizes {
        let few = Options {
            recipients: (size * options.groups_of(size) * 4).min(options.recipients),
            ..options.clone()
        };
        load.flat_out(&one.proxy, &few, size);
    }
}

/// Turns of all contenders in rounds; the outer order is that of the contenders.
fn rounds(
    options: &Options,
    running: &[Running<'_>],
    mut turn: impl FnMut(&Proxy) -> Turn,
) -> Vec<Vec<Turn>> {
    let mut turns = vec![Vec::new(); running.len()];
    for _ in 0..options.rounds {
        for (one, turns) in running.iter().zip(&mut turns) {
            turns.push(turn(&one.proxy));
        }
    }
    turns
}

fn print(size: usize, running: &[Running<'_>], turns: &[Vec<Turn>]) {
    let own = running.iter().position(|one| one.contender.is_cimf());
    for (index, one) in running.iter().enumerate() {
        let own = own.filter(|&own| own != index);
        let own = own.map(|own| turns[own].as_slice());
        measured(size, one.contender.label, &turns[index], own);
    }
}

/// The highest speed. Gives imc's for each size.
fn speed(
    options: &Options,
    running: &[Running<'_>],
    allocator: &str,
    load: &mut Load,
) -> Vec<(usize, f64)> {
    let Options {
        outstanding,
        recipients,
        ..
    } = options;
    println!("\n## Speed, allocator {allocator}");
    println!(
        "\nAs fast as each can: up to {outstanding} recipients under way, {recipients} in each turn."
    );
    head(&MEASURED);
    let imc = running.iter().position(|one| one.contender.label == "imc");
    let mut speeds = Vec::new();
    for &size in &options.sizes {
        let turns = rounds(options, running, |proxy| {
            load.flat_out(proxy, options, size)
        });
        print(size, running, &turns);
        if let Some(imc) = imc {
            let speed = turns[imc].iter().map(Turn::recipients_per_second);
            speeds.push((size, median(speed)));
        }
    }
    speeds
}

/// The highest rate at which imc is clean, and everybody at that rate.
fn rate(
    options: &Options,
    running: &[Running<'_>],
    allocator: &str,
    load: &mut Load,
    speeds: &[(usize, f64)],
) {
    println!("\n## At the highest rate at which imc is clean, allocator {allocator}");
    let Some(imc) = running.iter().find(|one| one.contender.label == "imc") else {
        println!("\nNot measured: imc does not take part.");
        return;
    };
    let mut found = Vec::new();
    println!();
    for &size in &options.sizes {
        let known = speeds.iter().find(|(known, _)| *known == size);
        let speed = match known {
            Some((_, speed)) => *speed,
            None => load
                .flat_out(&imc.proxy, options, size)
                .recipients_per_second(),
        };
        let lowest = LOWEST * speed;
        let rate = highest_clean_rate(options, &imc.proxy, load, size, speed);
        match rate {
            Some(rate) => println!("{size} members: imc is clean up to {rate:.0} recipients/s."),
            None => println!(
                "{size} members: imc is never clean, not even at {lowest:.0} recipients/s."
            ),
        }
        found.push((size, rate.unwrap_or(lowest)));
    }
    head(&MEASURED);
    for (size, rate) in found {
        // The search has touched the memory that imc needs at this rate: so do the others, unmeasured.
        for one in running {
            load.at_rate(&one.proxy, options, size, rate);
        }
        let turns = rounds(options, running, |proxy| {
            load.at_rate(proxy, options, size, rate)
        });
        print(size, running, &turns);
    }
}

/// Between LOWEST and all of the speed. Clean is what has been clean twice.
fn highest_clean_rate(
    options: &Options,
    proxy: &Proxy,
    load: &mut Load,
    size: usize,
    speed: f64,
) -> Option<f64> {
    let mut clean = |rate: f64| (0..2).all(|_| load.at_rate(proxy, options, size, rate).is_clean());
    let (mut low, mut high) = (LOWEST * speed, 1.1 * speed);
    if !clean(low) {
        return None;
    }
    let halvings = if options.quick {
        FEW_HALVINGS
    } else {
        HALVINGS
    };
    for _ in 0..halvings {
        let middle = f64::midpoint(low, high);
        if clean(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(low)
}
