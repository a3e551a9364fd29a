//! Groups, members and services managed by the proxy's own interface, RPC or MI, while messages go through it.

use crate::checks::{accepted, refused};
use crate::stopped_worker::{GoesOn, signal};
use crate::support::client::Transport;
use crate::support::flow::Request;
use crate::support::proxy::{Figures, proxy};
use crate::support::rig::{BOB, HIKERS, Rig, Setup, TEL};

const WALKERS: &str = "sip:walkers@im.home1.net";
const ANN: &str = "sip:ann@home1.net";
const CHO: &str = "sip:cho@home2.net";

#[track_caller]
fn has(answer: &Figures, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        let found = answer.get(*name).map(String::as_str);
        assert_eq!(found, Some(*value), "{name} in {answer:?}");
    }
}

/// A field of each structure.
fn each<'a>(answer: &'a [Figures], name: &str) -> Vec<&'a str> {
    answer.iter().map(|one| one[name].as_str()).collect()
}

/// The members of a group, as they are listed.
#[track_caller]
fn members(rig: &Rig, group: &str) -> Vec<String> {
    let listed = rig.well("member_list", &[("group", &[group])]);
    each(&listed, "member")
        .into_iter()
        .map(str::to_owned)
        .collect()
}

/// Issue 17, item 3: what is changed by a command counts for the next message.
pub fn groups_and_members_are_managed_by_commands(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let added = rig.only(
        "group_add",
        &[("group", &[WALKERS]), ("name", &["The walkers"])],
    );
    has(
        &added,
        &[
            ("group", WALKERS),
            ("display_name", "The walkers"),
            ("added", "1"),
        ],
    );
    let given = ["sip:%61nn@HOME1.net", BOB, "\"Cho Li\" <sip:cho@home2.net>"];
    let added = rig.only("member_add", &[("group", &[WALKERS]), ("members", &given)]);
    has(
        &added,
        &[("member_count", "3"), ("added", "3"), ("existing", "0")],
    );
    let request = Request::another(&client).group(WALKERS);
    accepted(&rig, &mut client, &request, &[BOB, CHO]);

    let listed = rig.well("member_list", &[("group", &[WALKERS])]);
    assert_eq!(each(&listed, "member"), ["sip:%61nn@HOME1.net", BOB, CHO]);
    assert_eq!(each(&listed, "name"), ["", "", "Cho Li"]);
    let named = rig.only(
        "member_name",
        &[
            ("group", &[WALKERS]),
            ("member", &["sip:bob@HOME1.net"]),
            ("name", &["Bob"]),
        ],
    );
    has(&named, &[("member", BOB), ("name", "Bob"), ("named", "1")]);

    let set = rig.only(
        "member_set",
        &[("group", &[WALKERS]), ("members", &[ANN, TEL, BOB])],
    );
    has(
        &set,
        &[
            ("member_count", "3"),
            ("added", "1"),
            ("deleted", "1"),
            ("existing", "2"),
        ],
    );
    let request = Request::another(&client).group(WALKERS);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
    rig.wait_for_log(&format!(
        "command member_set: group=\"{WALKERS}\" member_count=3 added=1 deleted=1"
    ));
    let deleted = rig.only(
        "member_del",
        &[("group", &[WALKERS]), ("members", &["tel:+1-555-123-0003"])],
    );
    has(&deleted, &[("deleted", "1"), ("member_count", "2")]);
    let found = rig.well("member_find", &[("address", &["sip:b%6fb@home1.net"])]);
    assert_eq!(each(&found, "group"), [HIKERS, WALKERS]);
    assert_eq!(each(&found, "name"), ["", "Bob"]);

    has(
        &rig.only(
            "group_pager_mode",
            &[("group", &[WALKERS]), ("pager_mode", &["0"])],
        ),
        &[("pager_mode", "0"), ("changes", "1")],
    );
    let request = Request::another(&client).group(WALKERS);
    refused(&rig, &mut client, &request, 403);
    rig.only(
        "group_pager_mode",
        &[("group", &[WALKERS]), ("pager_mode", &["1"])],
    );
    let strollers = "sip:strollers@im.home1.net";
    let renamed = rig.only(
        "group_rename",
        &[("group", &[WALKERS]), ("new", &[strollers])],
    );
    has(
        &renamed,
        &[
            ("group", strollers),
            ("display_name", "The walkers"),
            ("renamed", "1"),
        ],
    );
    let request = Request::another(&client).group(WALKERS);
    refused(&rig, &mut client, &request, 404);
    let request = Request::another(&client).group(strollers);
    accepted(&rig, &mut client, &request, &[BOB]);
    has(
        &rig.only("group_name", &[("group", &[strollers])]),
        &[("display_name", "")],
    );
    has(
        &rig.only("member_clear", &[("group", &[strollers])]),
        &[("deleted", "2"), ("member_count", "0")],
    );
    has(
        &rig.only("group_show", &[("group", &[strollers])]),
        &[("group", strollers), ("member_count", "0")],
    );
    has(
        &rig.only("group_del", &[("group", &[strollers])]),
        &[("deleted", "1")],
    );
    let request = Request::another(&client).group(strollers);
    refused(&rig, &mut client, &request, 404);
}

/// Issue 17, item 3: a provisioning system that does not know what became of its command gives it again.
pub fn a_command_given_again_changes_nothing(transport: Transport) {
    let rig = Setup::new(transport).start();
    let group = ("group", &[HIKERS][..]);
    let before = rig.only("group_show", &[group]);
    for (name, given, what) in [
        ("group_add", vec![group], "added"),
        (
            "member_add",
            vec![group, ("members", &[BOB, BOB, ANN])],
            "added",
        ),
        ("member_del", vec![group, ("members", &[CHO])], "deleted"),
        (
            "member_set",
            vec![group, ("members", &[TEL, ANN, "sip:%62ob@home1.net"])],
            "added",
        ),
        (
            "group_pager_mode",
            vec![group, ("pager_mode", &["1"])],
            "changes",
        ),
        ("member_name", vec![group, ("member", &[BOB])], "named"),
        ("group_rename", vec![group, ("new", &[HIKERS])], "renamed"),
        ("group_del", vec![("group", &[WALKERS])], "deleted"),
        ("service_del", vec![("service", &[WALKERS])], "deleted"),
    ] {
        has(&rig.only(name, &given), &[(what, "0")]);
    }
    assert_eq!(
        rig.only("group_show", &[group]),
        before,
        "not even the time of the last change"
    );
    assert!(!rig.log().contains("command "), "{}", rig.log());
}

/// Issue 17, item 3: services and consents.
pub fn services_and_consents_are_managed_by_commands(transport: Transport) {
    let rig = Setup::new(transport).start();
    let list = "sip:lists@im.home1.net";
    let service = ("service", &[list][..]);
    has(
        &rig.only("service_add", &[service]),
        &[("service", list), ("added", "1"), ("consent_count", "0")],
    );
    has(&rig.only("service_add", &[service]), &[("added", "0")]);
    let given = [BOB, TEL, "sip:b%6fb@home1.net"];
    has(
        &rig.only("consent_add", &[service, ("addresses", &given)]),
        &[("added", "2"), ("consent_count", "2")],
    );
    let consents = rig.well("consent_list", &[service]);
    assert_eq!(each(&consents, "address"), [BOB, TEL]);
    let after = rig.well(
        "consent_list",
        &[service, ("count", &["5"]), ("after", &[BOB])],
    );
    assert_eq!(each(&after, "address"), [TEL]);
    has(
        &rig.only("consent_del", &[service, ("addresses", &[BOB, CHO])]),
        &[("deleted", "1"), ("consent_count", "1")],
    );
    assert!(each(&rig.well("service_list", &[]), "service").contains(&list));
    has(
        &rig.only("service_del", &[service]),
        &[("deleted", "1"), ("consent_count", "1")],
    );
}

/// Issue 17, item 3: long lists come in pages.
pub fn lists_come_in_pages(transport: Transport) {
    let name = |number: usize| format!("sip:g{number:03}@im.home1.net");
    let mut setup = Setup::new(transport);
    for number in 0..120 {
        setup = setup.group(&name(number), &[ANN]);
    }
    let rig = setup.start();
    let mut all = Vec::new();
    let (mut after, mut pages) = (String::new(), 0);
    loop {
        let listed = rig.well("group_list", &[("count", &["50"]), ("after", &[&after])]);
        let Some(last) = listed.last() else { break };
        after = last["group"].clone();
        pages += 1;
        all.extend(listed.into_iter().map(|group| group["group"].clone()));
    }
    assert!(all.is_sorted() && all.len() > 120, "{all:?}");
    assert_eq!(pages, all.len().div_ceil(50));
    assert_eq!(rig.well("group_list", &[]).len(), 100, "without a number");
    for count in ["0", "1001", "x"] {
        let fault = rig
            .command("group_list", &[("count", &[count])])
            .unwrap_err();
        assert!(
            fault.starts_with("400 COUNT: expected 1 to 1000"),
            "{fault}"
        );
    }
}

/// Issue 17, item 3: the checks and texts of cimfctl; all or nothing.
pub fn what_is_wrong_with_a_command_is_told_and_nothing_changes(transport: Transport) {
    let rig = Setup::new(transport).start();
    let before = members(&rig, HIKERS);
    let group = ("group", &[HIKERS][..]);
    for (name, given, expected) in [
        (
            "member_add",
            vec![
                group,
                ("members", &[CHO, "dee@home1.net", "mailto:e@home1.net"][..]),
            ],
            "400 \"dee@home1.net\" is not an address",
        ),
        (
            "member_set",
            vec![group, ("members", &[CHO, "\"Dee\" sip:dee@home1.net"])],
            "400 \"\\\"Dee\\\" sip:dee@home1.net\": expected <address>",
        ),
        ("member_del", vec![group, ("members", &[BOB, "%"])], "400 "),
        ("member_name", vec![group, ("member", &[CHO])], "404 "),
        ("group_show", vec![("group", &[WALKERS])], "404 "),
        (
            "group_pager_mode",
            vec![group, ("pager_mode", &["yes"])],
            "400 expected 1 (",
        ),
        (
            "service_add",
            vec![("service", &[HIKERS])],
            "409 sip:hikers@im.home1.net is a group",
        ),
        ("group_add", vec![("group", &["sip:im.home1.net"])], "400 "),
        (
            "member_set_add",
            vec![("set", &["set-0123456789abcdef"]), ("members", &[CHO])],
            "404 no set of members",
        ),
    ] {
        let fault = rig.command(name, &given).unwrap_err();
        assert!(fault.starts_with(expected), "{name}: {fault}");
    }
    // The proxies themselves refuse some of what is missing.
    rig.command("member_set", &[group]).unwrap_err();
    rig.command("group_show", &[]).unwrap_err();
    assert_eq!(members(&rig, HIKERS), before);
    rig.wait_for_log("command member_add is refused: 400 \"dee@home1.net\" is not an address");
}

/// Issue 17, item 3: ctl ends what it gives at a number with a fraction; what follows must not be lost.
pub fn a_parameter_that_cannot_be_read_ends_no_command(transport: Transport) {
    let rig = Setup::new(transport).start();
    let before = members(&rig, HIKERS);
    let group = ("group", &[HIKERS][..]);
    for given in [["sip:ann@home1.net", "2.5", CHO], [CHO, BOB, "2.5"]] {
        let fault = rig.command("member_set", &[group, ("members", &given)]);
        assert!(fault.as_ref().unwrap_err().starts_with("400 "), "{fault:?}");
    }
    assert_eq!(members(&rig, HIKERS), before);
}

/// Issue 17, item 3: who asks for a list gets all of each entry, or a fault. ctl has room for 8 KiB of one, and mi_fifo
/// breaks off within a longer text.
pub fn no_part_of_an_answer_is_left_out(transport: Transport) {
    let rig = Setup::new(transport).start();
    let long = format!("sip:{}@home1.net", "x".repeat(9_000));
    rig.cimfctl(&["member", "add", HIKERS, &long]);
    match rig.command("member_list", &[("group", &[HIKERS])]) {
        Ok(listed) => assert!(each(&listed, "member").contains(&long.as_str())),
        Err(fault) => assert!(
            fault.starts_with("500 done, but a structure of the answer does not fit")
                || fault.contains("failed to print response"),
            "{fault}"
        ),
    }
}

/// Issue 17, item 3: more members than fit into one command of any interface.
pub fn a_large_set_of_members_is_given_in_parts(transport: Transport) {
    let rig = Setup::new(transport).start();
    let group = ("group", &[HIKERS][..]);
    let begun = rig.only("member_set_begin", &[group]);
    let set = ("set", &[begun["set"].as_str()][..]);
    let everybody: Vec<String> = (0..2_000)
        .map(|n| format!("sip:m{n:04}@home1.net"))
        .collect();
    let before = members(&rig, HIKERS);
    for part in everybody.chunks(100) {
        let part: Vec<&str> = part.iter().map(String::as_str).collect();
        rig.only("member_set_add", &[set, ("members", &part)]);
    }
    assert_eq!(
        members(&rig, HIKERS),
        before,
        "nothing before it is committed"
    );
    let fault = rig.command("member_set_add", &[set, ("members", &["x@home1.net"])]);
    assert!(fault.unwrap_err().starts_with("400 "), "told with the part");
    let committed = rig.only("member_set_commit", &[set]);
    has(
        &committed,
        &[
            ("member_count", "2000"),
            ("added", "2000"),
            ("deleted", "3"),
        ],
    );
    let page = rig.well(
        "member_list",
        &[group, ("count", &["1000"]), ("after", &[&everybody[998]])],
    );
    assert_eq!(page.len(), 1000);
    assert_eq!(
        each(&page, "member"),
        everybody[999..1999].iter().collect::<Vec<_>>()
    );
    let fault = rig.command("member_set_commit", &[set]).unwrap_err();
    assert!(fault.starts_with("404 "), "{fault}");

    // A set that is refused stays open; one without members would delete all.
    let begun = rig.only("member_set_begin", &[group]);
    let set = ("set", &[begun["set"].as_str()][..]);
    let fault = rig.command("member_set_commit", &[set]).unwrap_err();
    assert!(
        fault.starts_with("400 ") && fault.contains("empty list"),
        "{fault}"
    );
    has(
        &rig.only("member_set_add", &[set, ("members", &[BOB])]),
        &[("given", "1")],
    );
    has(&rig.only("member_set_drop", &[set]), &[("given", "1")]);
    has(
        &rig.only("group_show", &[group]),
        &[("member_count", "2000")],
    );
}

/// Issue 17, item 3: commands are carried out by a process of their own, and when that is stopped all else goes on.
pub fn a_command_that_takes_long_delays_no_message(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let named = |(_, what): &&(u32, String)| what.contains("cimf groups");
    let processes = rig.processes();
    let process = processes.iter().find(named).expect("cimf groups").0;
    std::thread::scope(|scope| {
        signal(process, libc::SIGSTOP);
        let stopped = GoesOn(process);
        let waiting = scope.spawn(|| rig.command("group_show", &[("group", &[HIKERS])]));
        // Nothing is asked of the proxy's own interface meanwhile: that waits, too.
        client.send(&Request::another(&client).bytes());
        assert_eq!(client.receive().status(), 202);
        assert!(!waiting.is_finished());
        drop(stopped);
        has(
            &waiting.join().unwrap().expect("an answer")[0],
            &[("member_count", "3")],
        );
    });
    assert!(proxy().processes(rig.folder()).is_some());
}
