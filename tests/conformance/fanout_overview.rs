//! What an administrator sees of messages under way, what they can do about them, and what a stop leaves undone.

use crate::checks::{accepted, sent};
use crate::fanout_breadth::{group, with_group};
use crate::fanout_order::{end, send};
use crate::support::client::Transport;
use crate::support::core::Answer;
use crate::support::flow::Request;
use crate::support::proxy::proxy;
use crate::support::rig::{BOB, HIKERS, Setup, TEL};

/// Issue 4, item 7: what is under way and how far, and to cancel it.
pub fn fanouts_are_listed_and_may_be_cancelled(transport: Transport) {
    let rig = Setup::new(transport).start();
    assert!(rig.fanouts().is_empty());
    rig.core.answer("bob", Answer::Held);
    let mut client = rig.client();
    send(&mut client, "one");
    send(&mut client, "two");
    rig.wait_for_counter("forks_delivered", 2);
    let listed = rig.fanouts();
    assert_eq!(listed.len(), 2);
    for (fields, (id, in_flight, waiting)) in listed.iter().zip([("1", "1", "0"), ("2", "0", "1")])
    {
        for (name, value) in [
            ("id", id),
            ("group", HIKERS),
            ("originator", "sip:ann@home1.net"),
            ("recipients", "2"),
            ("in_flight", in_flight),
            ("waiting", waiting),
            ("delivered", "1"),
            ("failed", "0"),
            ("expired", "0"),
            ("skipped", "0"),
        ] {
            let found = fields.get(name).map(String::as_str);
            assert_eq!(found, Some(value), "{name} in {fields:?}");
        }
        assert!(fields.contains_key("seconds"), "{fields:?}");
    }

    // What waits for bob ends when bob's turn would come; what is under way has its answer still.
    let cancelled = rig.cancel("2").expect("message 2");
    for (name, value) in [
        ("id", "2"),
        ("skipped", "1"),
        ("in_flight", "0"),
        ("ended", "1"),
    ] {
        assert_eq!(cancelled[name], value, "{name} in {cancelled:?}");
    }
    let text = rig.cancel("7").expect_err("no message 7");
    assert!(
        text.contains("404") && text.contains("no such message is under way"),
        "{text}"
    );
    rig.command("cancel", &[]).expect_err("no message at all");
    assert_eq!(rig.core.release("bob"), 1);
    for (message, ending) in [
        (1, "delivered=2 refused=0 unreachable=0 expired=0 skipped=0"),
        (2, "delivered=1 refused=0 unreachable=0 expired=0 skipped=1"),
    ] {
        let line = end(&rig, message);
        assert!(line.contains(ending), "{line}");
    }
    rig.wait_for_log(&format!(
        "message 2: <{BOB}> of <{HIKERS}> did not receive it: not sent: cancelled"
    ));
    assert_eq!(rig.core.count(), 3);
    assert!(rig.fanouts().is_empty());
}

/// Issue 4, item 7: all figures, the same by both ways.
pub fn figures_are_statistics_and_a_command(transport: Transport) {
    let rig = Setup::new(transport).start();
    rig.core.answer("bob", Answer::Code(404));
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_counter("forks_failed", 1);
    let request = Request::another(&client).with("Privacy: id");
    crate::checks::refused(&rig, &mut client, &request, 403);
    rig.wait_for_gauge("messages", 0);
    rig.wait_for_gauge("transactions", 0);
    rig.core.answer("bob", Answer::Held);
    send(&mut client, "waits");
    rig.wait_for_counter("forks_delivered", 2);
    for figures in [rig.statistics(), rig.stats()] {
        for (name, value) in [
            ("accepted", "2"),
            ("refused", "1"),
            ("refused_anonymity", "1"),
            ("refused_queue_full", "0"),
            ("forks_sent", "4"),
            ("forks_delivered", "2"),
            ("forks_failed", "1"),
            ("messages", "1"),
            ("waiting", "1"),
            ("in_flight", "1"),
        ] {
            let found = figures.get(name).map(String::as_str);
            assert_eq!(found, Some(value), "{name} in {figures:?}");
        }
        assert_ne!(figures["memory_used"], "0");
        assert_ne!(figures["transactions"], "0");
    }
    rig.core.release("bob");
    for gauge in [
        "messages",
        "waiting",
        "in_flight",
        "transactions",
        "memory_used",
    ] {
        rig.wait_for_gauge(gauge, 0);
    }
}

/// Issue 4, item 6: an orderly stop says what it leaves undone.
pub fn a_stop_names_whom_it_leaves_without_outcome(transport: Transport) {
    let mut rig = Setup::new(transport).start();
    rig.core.answer("bob", Answer::Silence);
    let mut client = rig.client();
    send(&mut client, "one");
    send(&mut client, "two");
    rig.wait_for_counter("forks_delivered", 2);
    rig.stop();
    let log = rig.log();
    for message in [1, 2] {
        let line = format!(
            "message {message} to <{HIKERS}> is not finished and is lost (durability=none); \
             without outcome: <{BOB}>"
        );
        let found: Vec<_> = log.lines().filter(|found| found.ends_with(&line)).collect();
        assert_eq!(found.len(), 1, "`{line}` in\n{log}");
        assert!(found[0].contains("WARNING"), "{found:?}");
    }
    assert!(!log.contains(&format!("without outcome: <{TEL}>")));
}

/// S-2: a stop with many silent recipients does not fill the disk with their names.
pub fn a_stop_names_the_first_of_many(transport: Transport) {
    // No member has two messages, which would wait for each other, and no originator more silent copies than are
    // left to one.
    let sender = |number: usize| format!("sip:ann{}@home1.net", number % 6);
    let mut setup = Setup::new(transport)
        .number("QUEUE_MEMORY", 64)
        .number("FORKS_IN_FLIGHT", 20_000);
    for number in 0..30 {
        let members: Vec<String> = (0..30)
            .map(|member| format!("sip:silent{member}.{number}@home1.net"))
            .collect();
        let own = sender(number);
        let members = [own.as_str()]
            .into_iter()
            .chain(members.iter().map(String::as_str));
        let members: Vec<&str> = members.collect();
        setup = setup.group(&format!("sip:many{number}@im.home1.net"), &members);
    }
    let mut rig = setup.start();
    rig.core.answer("silent", Answer::Silence);
    let mut client = rig.client();
    for number in 0..30 {
        let group = format!("sip:many{number}@im.home1.net");
        let request = Request::another(&client)
            .group(&group)
            .sender(&sender(number));
        sent(&rig, &mut client, &request, 30);
    }
    rig.stop();
    let log = rig.log();
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("is not finished") || line.contains("not finished and"))
        .collect();
    assert!(lines.len() <= 3 * 20 + 1, "{} lines:\n{log}", lines.len());
    let named = |message: &str| {
        let of = lines.iter().filter(|line| line.contains(message));
        of.map(|line| line.matches("<sip:silent").count())
            .sum::<usize>()
    };
    // The first 20 of a message are named, the others counted.
    assert_eq!(named("message 1 to <sip:many0@im.home1.net>"), 20, "{log}");
    assert_eq!(named("message 20 to"), 20, "{log}");
    assert_eq!(named("message 21 to"), 0, "{log}");
    assert!(log.contains("and 10 more recipients"), "{log}");
    let rest =
        "10 more messages with 300 recipients are not finished and are lost (durability=none)";
    assert!(log.contains(rest), "no `{rest}` in\n{log}");
}

/// S-2: whoever wants the names of all has them with the log at the level for everything.
pub fn a_stop_names_all_to_whoever_debugs(transport: Transport) {
    let everything = match proxy().name() {
        "OpenSIPS" => 4,
        _ => 3,
    };
    let setup = Setup::new(transport).number("LOG_LEVEL", everything);
    let mut rig = with_group(setup, 50).start();
    rig.core.answer("m", Answer::Silence);
    let mut client = rig.client();
    let request = Request::another(&client).group(&group(50));
    sent(&rig, &mut client, &request, 50);
    rig.stop();
    let log = rig.log();
    let lines = log.lines().filter(|line| line.contains("is not finished"));
    let (mut names, mut all) = (0, 0);
    for line in lines {
        let count = line.matches("<sip:m").count();
        names += if line.contains("WARNING") { count } else { 0 };
        all += count;
    }
    assert_eq!((names, all), (20, 50), "{log}");
}

/// What is finished leaves a stop nothing to say.
pub fn a_stop_without_messages_under_way_says_nothing(transport: Transport) {
    let mut rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_gauge("messages", 0);
    rig.stop();
    assert!(!rig.log().contains("without outcome"), "{}", rig.log());
}
