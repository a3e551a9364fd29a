//! Many messages, several workers.

use crate::support::PATIENCE;
use crate::support::client::Transport;
use crate::support::flow::Request;
use crate::support::rig::{ANN, Rig, Setup};
use std::collections::HashSet;
use std::time::Instant;

const MEMBERS: usize = 50;
const SENDERS: usize = 4;
const MESSAGES: usize = 25;

/// U-4: two workers never draw the same Call-ID, tag or branch.
pub fn identifiers_of_four_workers_never_repeat(transport: Transport) {
    let members: Vec<String> = (0..MEMBERS)
        .map(|number| format!("sip:m{number}@home1.net"))
        .collect();
    let mut uris = vec![ANN];
    uris.extend(members.iter().map(String::as_str));
    let rig = Setup::new(transport)
        .number("CHILDREN", SENDERS as i64)
        // One originator may have half of what waits for a member.
        .number("TARGET_QUEUE", 4 * (SENDERS * MESSAGES) as i64)
        .group("sip:many@im.home1.net", &uris)
        .start();
    let idle = wakes_of_workers(&rig);

    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let mut client = rig.client();
                for _ in 0..MESSAGES {
                    let request = Request::another(&client).group("sip:many@im.home1.net");
                    assert_eq!(client.ask(&request).status(), 202);
                }
            });
        }
    });
    let total = MEMBERS * SENDERS * MESSAGES;
    let start = Instant::now();
    let forks = rig.core.wait_for(total);
    assert!(start.elapsed() < PATIENCE);
    rig.wait_for_counter("forks_sent", total as u64);
    assert_eq!(forks.len(), total);

    let mut call_ids = HashSet::new();
    let mut tags = HashSet::new();
    let mut branches = HashSet::new();
    for fork in &forks {
        let message = &fork.message;
        assert!(
            call_ids.insert(message.one("Call-ID")),
            "a Call-ID twice:\n{message}"
        );
        assert!(
            tags.insert(message.tag("From").expect("a tag")),
            "a From tag twice:\n{message}"
        );
        assert!(
            branches.insert(message.branch()),
            "a branch twice:\n{message}"
        );
    }
    let busy = wakes_of_workers(&rig)
        .iter()
        .zip(&idle)
        .filter(|(after, before)| after > before)
        .count();
    assert!(
        busy >= 2,
        "only {busy} workers took part, which shows nothing"
    );
}

/// How often each UDP worker has been woken up.
fn wakes_of_workers(rig: &Rig) -> Vec<u64> {
    let workers = rig.udp_workers().into_iter();
    let wakes: Vec<u64> = workers
        .map(|pid| {
            let status =
                std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a worker's status");
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line.and_then(|count| count.trim().parse().ok())
                .expect("a count")
        })
        .collect();
    assert_eq!(wakes.len(), SENDERS);
    wakes
}
