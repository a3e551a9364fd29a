//! How many copies of a message are under way at once, and what breadth each of them has (U-6, RFC 5393 §5.3.3,
//! RFC 7332 §6).

use crate::checks::sent;
use crate::support::client::{Client, Transport};
use crate::support::core::{Answer, Fork, Most};
use crate::support::flow::Request;
use crate::support::rig::{ANN, HIKERS, Rig, Setup};
use std::time::Duration;

/// How long members take to answer: long enough that a whole window is seen, too short for a retransmission.
const SLOWLY: Duration = Duration::from_millis(250);

/// A group of ann and this many others, called `sip:of-COUNT@im.home1.net`.
pub fn with_group(setup: Setup, count: usize) -> Setup {
    let members: Vec<_> = (0..count)
        .map(|number| format!("sip:m{number}.of{count}@home1.net"))
        .collect();
    let mut uris = vec![ANN];
    uris.extend(members.iter().map(String::as_str));
    setup.group(&group(count), &uris)
}

pub fn group(count: usize) -> String {
    format!("sip:of-{count}@im.home1.net")
}

/// Sends to a group of `count`, all of which answer slowly; gives the forks and how many were under way at once.
#[track_caller]
fn spread(rig: &Rig, client: &mut Client, request: Request, count: usize) -> (Vec<Fork>, Most) {
    rig.core.answer("", Answer::Late(SLOWLY));
    rig.core.most_open();
    let (_, forks) = sent(rig, client, &request, count);
    rig.wait_for_gauge("in_flight", 0);
    (forks, rig.core.most_open())
}

#[track_caller]
fn have_breadth(forks: &[Fork], breadth: &[&str]) {
    assert!(!forks.is_empty());
    for fork in forks {
        assert_eq!(fork.message.all("Max-Breadth"), breadth);
    }
}

/// U-6, T 89.
pub fn t89_with_a_breadth_of_1_members_come_one_after_the_other(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::another(&client).with("Max-Breadth: 1");
    let (forks, most) = spread(&rig, &mut client, request, 2);
    have_breadth(&forks, &["1"]);
    assert!(
        forks[1].arrival >= forks[0].arrival + SLOWLY,
        "the second before the answer of the first"
    );
    let one = Most {
        forks: 1,
        breadth: 1,
    };
    assert_eq!(most, one);
}

/// U-6, T 90, second half: more than `max_breadth` is not used, and it is divided over those under way.
pub fn t90_the_breadth_of_all_copies_under_way_is_never_more_than_60(transport: Transport) {
    let rig = with_group(with_group(Setup::new(transport), 25), 100).start();
    let mut client = rig.client();
    for (group, count, under_way, breadth) in [
        (HIKERS.to_owned(), 2, 2, 30),
        (group(25), 25, 25, 2),
        (group(100), 100, 60, 1),
    ] {
        for line in ["Max-Breadth: 500", "Max-Breadth: 60", "X-Nothing: 1"] {
            let request = Request::another(&client).group(&group).with(line);
            let (forks, most) = spread(&rig, &mut client, request, count);
            have_breadth(&forks, &[&breadth.to_string()]);
            let expected = Most {
                forks: under_way,
                breadth: under_way as u64 * breadth,
            };
            assert_eq!(most, expected, "{count} members, {line}");
        }
    }
}

/// U-6: `concurrency` narrows the window, and each copy has the more.
pub fn concurrency_bounds_the_copies_under_way(transport: Transport) {
    let rig = with_group(Setup::new(transport).number("CONCURRENCY", 5), 20).start();
    let mut client = rig.client();
    for (line, under_way, breadth) in [
        ("X-Nothing: 1", 5, 12),
        ("Max-Breadth: 7", 5, 1),
        ("Max-Breadth: 3", 3, 1),
    ] {
        let request = Request::another(&client).group(&group(20)).with(line);
        let (forks, most) = spread(&rig, &mut client, request, 20);
        have_breadth(&forks, &[&breadth.to_string()]);
        let expected = Most {
            forks: under_way,
            breadth: under_way as u64 * breadth,
        };
        assert_eq!(most, expected, "{line}");
    }
}

/// U-6: with `max_breadth=0` a message has the breadth it came with, or no limit but `concurrency`.
pub fn max_breadth_0_uses_all_that_the_message_has(transport: Transport) {
    let setup = Setup::new(transport)
        .number("MAX_BREADTH", 0)
        .number("CONCURRENCY", 80);
    let rig = with_group(setup, 100).start();
    let mut client = rig.client();
    for (line, under_way, breadth) in [
        ("Max-Breadth: 500", 80, Some("6")),
        ("Max-Breadth: 9", 9, Some("1")),
        ("X-Nothing: 1", 80, None),
    ] {
        let request = Request::another(&client).group(&group(100)).with(line);
        let (forks, most) = spread(&rig, &mut client, request, 100);
        have_breadth(&forks, breadth.as_slice());
        assert_eq!(most.forks, under_way, "{line}");
    }
}
