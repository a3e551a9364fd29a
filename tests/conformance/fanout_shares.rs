//! That one sender with silent recipients keeps nobody else waiting (S-5), and leaves room in a member's queue (M-3).

use crate::checks::is_202;
use crate::fanout_breadth::{group, with_group};
use crate::support::client::{Client, Transport};
use crate::support::core::{Answer, Fork};
use crate::support::flow::Request;
use crate::support::rig::{ANN, BOB, Rig, Setup, until};
use std::time::{Duration, Instant};

/// Messages of the one who sends to the silent, each to members of its own: more than all copies that may be in
/// flight.
const TO_THE_SILENT: usize = 40;
/// Messages of another one meanwhile.
const OTHERS: usize = 100;
/// Far longer than either takes on a machine that has other things to do, and far shorter than a silent copy lasts.
const LONGEST_ANSWER: Duration = Duration::from_secs(1);
const LONGEST_COPY: Duration = Duration::from_secs(5);

fn copies(rig: &Rig, subject: &str) -> Vec<Fork> {
    let mut forks = rig.core.forks();
    forks.retain(|fork| fork.message.all("Subject") == [subject]);
    forks
}

#[track_caller]
fn send(client: &mut Client, request: &Request) {
    client.send(&request.bytes());
    is_202(&client.receive(), request);
}

/// The time than which 99 of 100 are shorter, and the longest.
fn worst(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    let last = times.len() - 1;
    (times[last * 99 / 100], times[last])
}

/// S-5: with the numbers of the samples.
pub fn who_sends_to_the_silent_keeps_nobody_waiting(transport: Transport) {
    let setup = (60..60 + TO_THE_SILENT).fold(Setup::new(transport), with_group);
    let rig = setup.start();
    rig.core.answer(".of", Answer::Silence);
    let mut client = rig.client();
    for count in 60..60 + TO_THE_SILENT {
        let request = Request::another(&client).group(&group(count));
        send(&mut client, &request);
    }
    let in_flight = until(|| Some(rig.counter("in_flight")).filter(|&count| count >= 760));
    let in_flight = in_flight.expect("a window that is as full as it may be");
    let (mut answers, mut forks) = (Vec::new(), Vec::new());
    for number in 0..OTHERS {
        let subject = format!("other {number}");
        let request = Request::another(&client)
            .sender(BOB)
            .with(&format!("Subject: {subject}"));
        let begin = Instant::now();
        send(&mut client, &request);
        answers.push(begin.elapsed());
        let found = until(|| Some(copies(&rig, &subject)).filter(|forks| forks.len() == 2));
        let found = found.unwrap_or_else(|| {
            panic!(
                "the copies of message {number} of another sender have not come within {:?}, while \
                 {in_flight} copies of the first one wait",
                begin.elapsed()
            )
        });
        forks.extend(found.iter().map(|fork| fork.arrival.duration_since(begin)));
    }
    let ((answer, longest_answer), (copy, longest_copy)) = (worst(answers), worst(forks));
    println!(
        "{in_flight} silent copies of one sender in flight; others: 202 after {answer:?} (p99), \
         {longest_answer:?} (longest); copies after {copy:?} (p99), {longest_copy:?} (longest)"
    );
    assert!(answer < LONGEST_ANSWER, "202 after {answer:?}");
    assert!(longest_copy < LONGEST_COPY, "a copy after {longest_copy:?}");
}

/// M-3: 150 messages of one sender for a silent member are not all that may wait for it.
pub fn one_sender_does_not_fill_a_members_queue(transport: Transport) {
    const VICTIMS: &str = "sip:victims@im.home1.net";
    const FRIENDS: &str = "sip:friends@im.home1.net";
    const CHO: &str = "sip:cho@home1.net";
    let setup = Setup::new(transport).group(VICTIMS, &[ANN, BOB]);
    let rig = setup.group(FRIENDS, &[CHO, BOB]).start();
    rig.core.answer("bob", Answer::Held);
    let mut client = rig.client();
    for _ in 0..150 {
        let request = Request::another(&client).group(VICTIMS);
        send(&mut client, &request);
    }
    // One is in flight and 100 wait.
    rig.wait_for_counter("forks_skipped", 49);
    let subject = "of another group";
    let request = Request::another(&client)
        .sender(CHO)
        .group(FRIENDS)
        .with(&format!("Subject: {subject}"));
    send(&mut client, &request);
    let in_its_turn = until(|| {
        rig.core.release("bob");
        copies(&rig, subject).pop()
    });
    let log = rig.log();
    assert!(
        in_its_turn.is_some(),
        "bob has not got the message of another group: {:?}",
        log.lines().rfind(|line| line.contains("is finished"))
    );
    assert_eq!(rig.counter("forks_skipped"), 49);
    // However few lines a second there are, each message tells whom it was not delivered to.
    let told = || {
        let log = rig.log();
        let ends = log.lines().filter(|line| line.contains("is finished: "));
        let named = ends.filter(|line| line.ends_with(&format!("skipped=1; skipped: <{BOB}>")));
        named.count()
    };
    assert_eq!(
        until(|| Some(told()).filter(|&count| count == 49)),
        Some(49)
    );
}
