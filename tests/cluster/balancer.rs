//! The sample of a balancer in front of nodes that share one PostgreSQL, as it is shipped: a group has a home node, a
//! lost node's groups move and no others, and nobody but the core says who the sender is.

use crate::promises::{is_accepted, nothing_is_left, start};
use crate::support::built::cimfctl;
use crate::support::client::{Client, Transport};
use crate::support::flow::{Request, unique};
use crate::support::postgres::Postgres;
use crate::support::proxy::proxy;
use crate::support::rig::{ANN, BOB, Rig, Setup, TEL, until};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

/// The core; the nodes take 127.0.0.1, the balancer's address, for their own core.
const CORE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Who may send, and is not believed.
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);

const GROUPS: usize = 12;
const NODES: [&str; 3] = ["a", "b", "c"];

fn group(number: usize) -> String {
    format!("sip:g{number}@im.home1.net")
}

/// Three nodes and the balancer before them.
struct Site {
    postgres: Postgres,
    nodes: Vec<Rig>,
    balancer: Rig,
}

impl Site {
    fn start() -> Self {
        let postgres = Postgres::start();
        postgres.init();
        for number in 0..GROUPS {
            let url = postgres.url();
            let words = ["group", "add", &group(number), ANN, BOB, TEL];
            cimfctl(Path::new(&url), &words);
        }
        let nodes: Vec<_> = NODES.iter().map(|name| start(&postgres, name)).collect();
        let balancer = balancer(&nodes);
        Self {
            postgres,
            nodes,
            balancer,
        }
    }

    fn client_at(&self, address: Ipv4Addr) -> Client {
        Client::new(Transport::Udp, address, self.balancer.address).expect("a socket")
    }

    fn running(&self) -> impl Iterator<Item = (usize, &Rig)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter(|(_, rig)| rig.runs())
    }

    /// How many messages each node has accepted; nothing for those that are gone.
    fn accepted(&self) -> Vec<(usize, u64)> {
        let counts = self
            .running()
            .map(|(node, rig)| (node, rig.counter("accepted")));
        counts.collect()
    }

    /// Sends a message of Ann's to a group; gives the node that has accepted it.
    #[track_caller]
    fn takes(&self, client: &mut Client, number: usize) -> usize {
        let before = self.accepted();
        let request = to(client, &group(number));
        is_accepted(client, &request);
        let grown = || {
            let now = self.accepted();
            let mut pairs = now.iter().zip(&before);
            pairs
                .find(|(now, before)| now != before)
                .map(|(now, _)| now.0)
        };
        until(grown).expect("a node that has accepted it")
    }

    #[track_caller]
    fn homes(&self, client: &mut Client) -> Vec<usize> {
        (0..GROUPS)
            .map(|number| self.takes(client, number))
            .collect()
    }
}

/// The sample as it is shipped, with these nodes in its list.
fn balancer(nodes: &[Rig]) -> Rig {
    let mut setup = Setup::new(Transport::Udp).sample("balancer.cfg");
    // It knows nothing of cimf.
    for name in [
        "CIMF_MODULE",
        "DB_URL",
        "DOMAINS",
        "SERVER_NAME",
        "QUOTA_ORIGINATOR",
        "CORE_ROUTE",
        "TRUSTED_PEERS",
        "TM_WT_TIMER",
    ] {
        setup = setup.without(name);
    }
    match proxy().name() {
        "OpenSIPS" => with_tables(setup, nodes),
        _ => with_list(setup, nodes),
    }
    .start_on_what_is_there()
}

/// Kamailio's list of nodes.
fn with_list(setup: Setup, nodes: &[Rig]) -> Setup {
    let shipped = proxy().samples().join("dispatcher.list");
    let shipped = std::fs::read_to_string(shipped).expect("a list");
    let list = in_place_of_the_shipped(&shipped, nodes, |port| format!("127.0.0.1:{port};"));
    let path = setup.folder().join("dispatcher.list");
    std::fs::write(&path, list).expect("writing the list");
    setup
        .text("NODES", &path.display().to_string())
        .text("TRUSTED_PEERS", &format!("{CORE}/32"))
        .text("CLIENTS", &format!("{CLIENT}/32"))
}

/// OpenSIPS's tables of nodes and of who may send.
fn with_tables(setup: Setup, nodes: &[Rig]) -> Setup {
    let folder = setup.folder().join("balancer");
    std::fs::create_dir(&folder).expect("a folder");
    for table in ["version", "dispatcher", "address"] {
        let shipped = proxy().samples().join("balancer").join(table);
        let shipped = std::fs::read_to_string(shipped).expect("a table");
        let mut text =
            in_place_of_the_shipped(&shipped, nodes, |port| format!("127.0.0.1\\:{port};"));
        if table == "address" {
            assert_eq!(shipped.lines().count(), 1, "somebody may send: {shipped}");
            for (group, address) in [(1, CORE), (2, CLIENT)] {
                writeln!(text, "{group}:{group}:{address}:32:0:any::").expect("a line");
            }
        }
        std::fs::write(folder.join(table), text).expect("writing a table");
    }
    setup.text("NODES", &format!("text://{}", folder.display()))
}

/// The shipped file with the nodes' ports.
fn in_place_of_the_shipped(text: &str, nodes: &[Rig], spelt: impl Fn(u16) -> String) -> String {
    let mut text = text.to_owned();
    for (port, rig) in (5061..).zip(nodes) {
        text = text.replace(&spelt(port), &spelt(rig.address.port()));
    }
    text
}

/// A message of Ann's, as the core sends it.
fn to(client: &Client, group: &str) -> Request {
    Request::another(client).group(group)
}

#[test]
fn a_group_has_a_home_and_only_those_of_a_lost_node_move() {
    let mut site = Site::start();
    let mut client = site.client_at(CORE);
    let homes = site.homes(&mut client);
    assert_eq!(homes.iter().collect::<BTreeSet<_>>().len(), 3, "{homes:?}");
    assert_eq!(site.homes(&mut client), homes);
    // However the address is written.
    let before = site.nodes[homes[0]].counter("accepted");
    for written in ["sip:%670@im.home1.net", "sip:g0@IM.Home1.NET;user=ip"] {
        let request = to(&client, &group(0)).request_uri(written);
        is_accepted(&mut client, &request);
    }
    site.nodes[homes[0]].wait_for_counter("accepted", before + 2);

    let lost = homes[0];
    site.nodes[lost].kill();
    let without_it = site.homes(&mut client);
    for (home, now) in homes.iter().zip(&without_it) {
        assert!(
            *now != lost && (home == now || *home == lost),
            "{homes:?} {without_it:?}"
        );
    }
    site.nodes[lost].start_again();
    let is_home = || (site.homes(&mut client) == homes).then_some(());
    until(is_home).expect("groups that are home again");
    nothing_is_left(&site.postgres);
}

#[test]
fn nobody_but_the_core_says_who_the_sender_is() {
    let site = Site::start();
    let home = "sip:g0@im.home1.net";
    let claim = format!("P-Asserted-Identity: <{ANN}>");
    let mut client = site.client_at(CLIENT);
    let nobodys = |client: &Client| to(client, home).without("P-Asserted-Identity");
    client.send(&to(&client, home).bytes());
    assert_eq!(client.receive().status(), 403);
    let spelt = [
        "p-asserted-identity: <sip:ann@home1.net>".to_owned(),
        "P-Asserted-Identity : <sip:ann@home1.net>".to_owned(),
        "P-Asserted-Identity\t:\r\n <sip:ann@home1.net>".to_owned(),
        "P-Asserted-Identity\r\n : <sip:ann@home1.net>".to_owned(),
        format!("{claim}\r\n{claim}"),
        format!("Subject: a\n{claim}"),
        format!("Subject: a\r{claim}"),
        format!("Subject: a\r\r\n{claim}"),
        format!("Subject: a\r\n {claim}"),
        format!("no header\r\n{claim}"),
        format!(": nothing\r\n{claim}"),
        format!("X\0: a\r\n{claim}"),
        format!("\x0b{claim}"),
        format!("X: \"\r\n{claim}"),
        "P-Asserted-Identity: \0<sip:ann@home1.net>".to_owned(),
        "P-Preferred-Identity: <sip:ann@home1.net>".to_owned(),
    ];
    for spelling in spelt {
        client.send(&nobodys(&client).with(&spelling).bytes());
        is_no_202(&mut client, &spelling);
    }
    // A second message within the body of the first.
    let inner = String::from_utf8(to(&client, home).bytes()).expect("text");
    let body = format!("hello{inner}");
    let whole = body.len();
    for length in [
        "Content-Length: 5".to_owned(),
        "Content-Length: 0".to_owned(),
        "l: 5".to_owned(),
        "Content-Length : 5".to_owned(),
        format!("Content-Length:\r\n {whole}"),
        format!("l:\r\n\t{whole}"),
        format!("Subject: a\r\n Content-Length: 5\r\nContent-Length: {whole}"),
        format!("Subject: a\r\n\tl: 5\r\nContent-Length: {whole}"),
        "Subject: a\r\n Content-Length: 5".to_owned(),
        format!("Subject: a\0\r\n Content-Length: 5\r\nContent-Length: {whole}"),
        "Subject: nothing".to_owned(),
    ] {
        let request = nobodys(&client)
            .with_body(body.as_bytes())
            .replace("Content-Length", &length);
        client.send(&request.bytes());
        // By the balancer, or by the node as a message of nobody's: none is silent or loses its connection.
        let status = client.receive().status();
        assert!([400, 403].contains(&status), "{length:?}: {status}");
    }
    // Kamailio drops these without an answer.
    for length in [
        format!("Content-Length\r\n : {whole}"),
        format!("Content-Length: 5\r\nContent-Length: {whole}"),
        format!("Content-Length: {whole}\r\nl: 5"),
    ] {
        let request = nobodys(&client).with_body(body.as_bytes());
        client.send(&request.replace("Content-Length", &length).bytes());
        is_no_202(&mut client, &length);
    }
    // By the same connections as all before: nothing of it has been taken.
    let mut core = site.client_at(CORE);
    for number in 0..GROUPS {
        site.takes(&mut core, number);
    }
    nothing_is_left(&site.postgres);
    let sum: u64 = site.accepted().iter().map(|(_, count)| count).sum();
    assert_eq!(sum, GROUPS as u64);
    let reached: usize = site.nodes.iter().map(|rig| rig.core.count()).sum();
    assert_eq!(reached, 2 * GROUPS);
}

/// A refusal or nothing.
#[track_caller]
fn is_no_202(client: &mut Client, what: &str) {
    if let Some(answer) = client.receive_within(Duration::from_millis(700)) {
        assert!(answer.status() >= 400, "{what:?}: {answer}");
    }
}

#[test]
fn the_balancer_is_no_open_relay() {
    let site = Site::start();
    let elsewhere = site.balancer.core.port;
    for (from, refusals) in [(STRANGER, [403; 3]), (CORE, [405; 3])] {
        let mut client = site.client_at(from);
        for (method, code) in ["INVITE", "REGISTER", "SUBSCRIBE"].iter().zip(refusals) {
            let mut request =
                to(&client, "sip:g0@im.home1.net").set("CSeq", &format!("1 {method}"));
            request.start = request.start.replace("MESSAGE", method);
            client.send(&request.bytes());
            assert_eq!(client.receive().status(), code, "{method} of {from}");
        }
    }
    let uris = [
        format!("sip:bob@127.0.0.1:{elsewhere}"),
        format!("sip:g0@im.home1.net;maddr=127.0.0.1:{elsewhere}"),
        "sip:g0@im.home1.net".to_owned(),
    ];
    let route = format!(
        "<sip:{};lr>, <sip:127.0.0.1:{elsewhere};lr>",
        site.balancer.address
    );
    for from in [STRANGER, CLIENT, Ipv4Addr::LOCALHOST] {
        let mut client = site.client_at(from);
        for uri in &uris {
            client.send(&to(&client, uri).set("Route", &route).bytes());
            let status = client.receive().status();
            assert!((400..500).contains(&status), "{uri} of {from}: {status}");
        }
    }
    // The core's messages too go to nodes and nowhere else: one answers.
    let mut core = site.client_at(CORE);
    for uri in &uris[..1] {
        core.send(&to(&core, uri).set("Route", &route).bytes());
        assert_eq!(core.receive().status(), 404, "{uri}");
    }
    let request = to(&core, "sip:g0@im.home1.net").set("Max-Forwards", "0");
    core.send(&request.bytes());
    assert_eq!(core.receive().status(), 483);
    core.fence();
    assert_eq!(site.balancer.core.count(), 0);
    assert!(site.accepted().iter().all(|(_, count)| *count == 0));
}

#[test]
fn another_node_takes_what_one_that_drains_refuses() {
    let site = Site::start();
    let mut client = site.client_at(CORE);
    let home = site.takes(&mut client, 0);
    site.nodes[home].drain(true);
    let other = site.takes(&mut client, 0);
    assert_ne!(other, home);
    // With none left the client hears when to try again.
    for rig in &site.nodes {
        rig.drain(true);
    }
    client.send(&to(&client, &group(0)).bytes());
    let answer = client.receive();
    assert_eq!(answer.status(), 503, "{answer}");
    assert_eq!(answer.one("Retry-After"), "10");
    for rig in &site.nodes {
        rig.drain(false);
    }
    assert_eq!(site.takes(&mut client, 0), home);
    nothing_is_left(&site.postgres);
}

#[test]
fn a_request_whose_202_was_lost_is_not_sent_again() {
    let mut site = Site::start();
    let mut client = site.client_at(CORE);
    let home = site.takes(&mut client, 0);
    nothing_is_left(&site.postgres);
    let before: usize = site.nodes.iter().map(|rig| rig.core.count()).sum();
    let request = to(&client, &group(0));
    is_accepted(&mut client, &request);
    site.nodes[home].core.wait_for(before + 2);
    // Within the transaction the balancer answers, beyond it another node does.
    is_accepted(&mut client, &request);
    nothing_is_left(&site.postgres);
    site.nodes[home].kill();
    let again = request.clone().via(&client, &unique());
    is_accepted(&mut client, &again);
    // What comes after it has been sent when this is.
    site.takes(&mut client, 0);
    nothing_is_left(&site.postgres);
    let reached: usize = site.nodes.iter().map(|rig| rig.core.count()).sum();
    assert_eq!(reached, before + 2 + 2);
}
