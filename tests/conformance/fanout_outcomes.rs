//! How the end of each copy is told: by a process of the module's own, in event routes and in the log.

use crate::checks::{accepted, sent};
use crate::fanout_breadth::{group, with_group};
use crate::script::setup;
use crate::support::client::Transport;
use crate::support::core::Answer;
use crate::support::flow::Request;
use crate::support::proxy::proxy;
use crate::support::rig::{BOB, HIKERS, Setup, TEL, until};
use crate::support::sip::Message;

/// Routes that say everything there is to say. OpenSIPS hands them the copy as a text, for it runs them without a
/// message.
fn telling_routes() -> String {
    let copy = match proxy().name() {
        "OpenSIPS" => "$param(message)|",
        _ => "$rm $ru|$ci|$fu|$tu|$ft|$hdr(Accept-Contact)|$hdr(Content-Type)|$rb|",
    };
    let value = |name| proxy().event_value(name);
    let mut script = "cimf_handle(); exit; }\n".to_owned();
    for event in ["delivered", "undelivered", "finished"] {
        let text = format!(
            "told {event}: {}|{}|{}|{}|{}|in cimf $pp|{}",
            value("recipient"),
            value("code"),
            value("group"),
            value("originator"),
            value("id"),
            if event == "finished" { "" } else { copy },
        );
        let body = format!("xlog(\"L_NOTICE\", \"{text}\\n\");");
        script += &proxy().event_route(event, &body);
    }
    script
}

/// Fails unless the route has said what copy this was.
#[track_caller]
fn tells_the_copy(said: &str, fork: &Message) {
    if proxy().name() == "OpenSIPS" {
        // As the module handed it to tm, which writes Via anew.
        let (text, _) = said.split_once("|\n").expect("an end");
        let copy = Message::read(text.as_bytes()).expect("the copy");
        assert_eq!(copy.start, fork.start);
        for name in ["From", "To", "Call-ID", "Accept-Contact", "Content-Type"] {
            assert_eq!(copy.one(name), fork.one(name), "{name}");
        }
        assert_eq!(copy.body, fork.body);
        return;
    }
    let expected = format!(
        "MESSAGE {0}|{1}|sip:ann@home1.net|{0}|{2}|{3}|{4}|{5}|",
        fork.request_uri(),
        fork.one("Call-ID"),
        fork.tag("From").expect("a tag"),
        fork.one("Accept-Contact"),
        fork.one("Content-Type"),
        String::from_utf8_lossy(&fork.body).trim_end(),
    );
    assert!(
        said.starts_with(&expected),
        "expected {expected}\nin {said}"
    );
}

/// Issue 4, item 5: what event routes read, and that the message in them is the copy.
pub fn event_routes_are_told_how_each_copy_has_ended(transport: Transport) {
    let rig = setup(transport, &telling_routes()).start();
    rig.core.answer("bob", Answer::Code(486));
    let mut client = rig.client();
    let request = Request::another(&client);
    let (_, forks) = accepted(&rig, &mut client, &request, &[BOB, TEL]);
    let process = rig.processes().into_iter().find(|(_, what)| what == "cimf");
    let (process, _) = process.expect("a process that is called cimf");
    // OpenSIPS has routes for events run by a process of its own choice.
    let process = match proxy().name() {
        "OpenSIPS" => String::new(),
        _ => format!("{process}|"),
    };
    rig.wait_for_log("told finished:");
    for (event, recipient, code) in [("undelivered", BOB, 486), ("delivered", TEL, 200)] {
        let fork = forks
            .iter()
            .map(|fork| &fork.message)
            .find(|message| message.request_uri() == recipient)
            .expect("a fork");
        let expected = format!(
            "told {event}: {recipient}|{code}|{HIKERS}|sip:ann@home1.net|1|in cimf {process}"
        );
        // OpenSIPS may tell of the end of all before it tells of the last copy's.
        rig.wait_for_log(&expected);
        let log = rig.log();
        let (_, said) = log
            .split_once(&expected)
            .unwrap_or_else(|| panic!("expected {expected}\nin {log}"));
        let start = said.find("MESSAGE ").expect("a copy");
        tells_the_copy(&said[start..], fork);
    }
    let line = rig.wait_for_log("told finished:");
    let expected = format!("<null>|<null>|{HIKERS}|sip:ann@home1.net|1|in cimf {process}");
    assert!(line.contains(&expected), "expected {expected}\nin {line}");
    let log = rig.log();
    assert_eq!(log.matches("told ").count(), 3, "{log}");
}

/// Issue 4, item 5: a route that takes its time holds nobody up.
pub fn a_slow_event_route_holds_nobody_up(transport: Transport) {
    let body = r#"sleep(3); xlog("L_NOTICE", "awake again\n");"#;
    let route = proxy().event_route("delivered", body);
    let script = format!("cimf_handle(); exit; }}\nloadmodule \"cfgutils.so\"\n{route}");
    let rig = with_group(setup(transport, &script), 100).start();
    let mut client = rig.client();
    let request = Request::another(&client).group(&group(100));
    sent(&rig, &mut client, &request, 100);
    rig.wait_for_counter("forks_delivered", 100);
    let request = Request::another(&client);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_counter("forks_delivered", 102);
    let awake = rig.log().matches("awake again").count();
    assert!(awake < 10, "the routes of {awake} copies have run already");
}

/// Issue 4, item 5: a line for each copy that failed, but not for ten thousand in a second.
pub fn the_log_names_who_has_not_got_it_and_counts_the_rest(transport: Transport) {
    let rig = with_group(Setup::new(transport), 120).start();
    rig.core.answer("of120", Answer::Code(486));
    let mut client = rig.client();
    let request = Request::another(&client).group(&group(120));
    sent(&rig, &mut client, &request, 120);
    let line = rig.wait_for_log("is finished");
    let (_, names) = line
        .split_once(&format!(
            "message 1 to <{}> is finished: delivered=0 refused=120 unreachable=0 expired=0 \
             skipped=0; refused: ",
            group(120)
        ))
        .unwrap_or_else(|| panic!("{line}"));
    // In the order of the group, which is that of the addresses.
    assert!(
        names.starts_with("<sip:m0.of120@home1.net> <sip:m1.of"),
        "{line}"
    );
    assert_eq!(names.matches("<sip:").count(), 20, "{line}");
    assert!(names.ends_with("; and 100 more"), "{line}");
    let told = || {
        let log = rig.log();
        let named = log
            .lines()
            .filter(|line| line.contains("did not receive it: answered 486"))
            .count();
        let counted = log.lines().filter_map(|line| {
            let (before, _) = line.split_once(" more recipients did not receive")?;
            before.rsplit(' ').next()?.parse::<usize>().ok()
        });
        (named, counted.sum::<usize>())
    };
    // Those that were left out are counted when the second is over, though nobody fails any more.
    let all = until(|| Some(told()).filter(|(named, counted)| named + counted >= 120));
    let (named, counted) = all.unwrap_or_else(told);
    assert_eq!(named + counted, 120);
    assert!((20..120).contains(&named), "{named} lines");
    let line = rig.wait_for_log("did not receive it");
    assert!(line.contains("message 1: <sip:m"), "{line}");
}

/// Routes that say what they find in every kind of variable that belongs to a message, and then set it.
fn keeping_routes() -> String {
    let mut script = "cimf_handle(); exit; }\n".to_owned();
    for event in ["delivered", "finished"] {
        let group = proxy().event_value("group");
        let body = match proxy().name() {
            "OpenSIPS" => format!(
                r#"xlog("L_NOTICE", "{event} found: $(avp(kept)[*])|\n");
                   $avp(kept) = {group}; $avp(kept) = {group};"#
            ),
            _ => format!(
                r#"xlog("L_NOTICE", "{event} found: $(avp(kept)[*])|$(avp(s:of_to)[*])|$xavp(kept=>one)|$xavu(kept=>one)|$xavi(kept=>one)|$du|$mf|\n");
                   $avp(kept) = {group}; $avp(kept) = {group}; $avp(s:of_to) = {group};
                   $xavp(kept=>one) = {group}; $xavu(kept=>one) = {group}; $xavi(kept=>one) = {group};
                   $du = "sip:127.0.0.1:9"; setflag(3);"#
            ),
        };
        script += &proxy().event_route(event, &body);
    }
    script
}

/// What an event route keeps is gone when it ends, so that no message sees another's and nothing piles up.
pub fn what_an_event_route_sets_is_gone_when_it_ends(transport: Transport) {
    let rig = setup(transport, &keeping_routes()).start();
    let mut client = rig.client();
    for _ in 0..2 {
        let request = Request::another(&client);
        accepted(&rig, &mut client, &request, &[BOB, TEL]);
    }
    let found = || {
        let log = rig.log();
        let lines = log.lines().filter_map(|line| line.split_once(" found: "));
        lines.map(|(_, found)| found.to_owned()).collect::<Vec<_>>()
    };
    let all = until(|| Some(found()).filter(|all| all.len() >= 6));
    let all = all.unwrap_or_else(|| panic!("the routes have not run: {:?}", found()));
    let nothing = match proxy().name() {
        "OpenSIPS" => "<null>|",
        _ => "<null>|<null>|<null>|<null>|<null>|<null>|0|",
    };
    assert_eq!(all, [nothing; 6]);
}

/// What event routes keep takes no shared memory once they have ended.
pub fn event_routes_do_not_fill_the_shared_memory(transport: Transport) {
    let body = format!("$avp(kept) = \"{}\";", "k".repeat(1000));
    let route = proxy().event_route("delivered", &body);
    let script = format!("cimf_handle(); exit; }}\n{route}");
    let rig = with_group(setup(transport, &script), 100).start();
    let mut client = rig.client();
    let mut used_after = || {
        let request = Request::another(&client).group(&group(100));
        sent(&rig, &mut client, &request, 100);
        rig.wait_for_gauge("messages", 0);
        rig.wait_for_gauge("transactions", 0);
        rig.wait_until_tm_holds_at_most(0);
        proxy().shared_memory_used(rig.folder())
    };
    let before = used_after();
    let after = [used_after(), used_after(), used_after()];
    // Each message would keep 100 values of a kilobyte.
    let grown = after[2].saturating_sub(before);
    assert!(
        grown < 100_000,
        "grown by {grown} bytes: {before}, {after:?}"
    );
}
