//! What docs/monitoring.md says, tried as it stands there: Debian's Prometheus asks a running proxy with the scrape
//! configuration and the alerts of docs/prometheus, and each query of the alerts and of Grafana's dashboard gives a value.
//! And what docs/management.md says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod management;
mod manual;
mod prometheus;

use manual::{block, both};
use prometheus::{Prometheus, http};
use serde_json::Value;
use std::net::UdpSocket;
use std::time::Duration;
use support::client::Transport;
use support::core::Answer;
use support::flow::Request;
use support::port::Port;
use support::proxy::{leave_out, proxy};
use support::rig::{Rig, Setup, until};

/// The script behind the lines of the manual.
const SCRIPT: &str =
    "\n    cimf_handle();\n    if ($rc < 0) { sl_send_reply(\"404\", \"Not Found\"); }\n}\n";

/// A proxy with lines of the manual in its configuration, before its route and behind it.
fn start(lines: &str, routes: &str) -> Rig {
    start_with(lines, "", routes)
}

/// The same, with more lines of the manual at the beginning of its route.
fn start_with(lines: &str, first: &str, routes: &str) -> Rig {
    let before = match proxy().name() {
        "OpenSIPS" => "\nroute {",
        _ => "\nrequest_route {",
    };
    let head = proxy().head();
    assert!(head.contains(before), "{head}");
    let head = head.replacen(before, &format!("\n{lines}{before}"), 1);
    let script = proxy().translated(SCRIPT);
    Setup::new(Transport::Udp)
        .text("IDENTITY_MODE", "pai")
        .configuration(&format!("{head}\n{first}{script}{routes}"))
        .start()
}

/// The lines of the manual that have the proxy tell its figures, at this port.
fn exporter(port: &Port) -> [String; 2] {
    let name = proxy().name().to_lowercase();
    both(&block(&name).replace("9494", &port.number.to_string()))
}

/// Whether the OpenSIPS under test was built without these modules.
fn lacks(modules: &[&str]) -> bool {
    if proxy().name() != "OpenSIPS" {
        return false;
    }
    let lacking = modules.iter().find(|module| !proxy().has_module(module));
    if let Some(module) = lacking {
        leave_out(&format!("this OpenSIPS was built without {module}"));
    }
    lacking.is_some()
}

/// One message to a group, one of whose members refuses it, and one to a group that is not there; there are so many
/// `finished` messages then.
fn traffic(rig: &Rig, finished: u64) {
    rig.core.answer("bob", Answer::Code(486));
    let mut client = rig.client();
    client.send(&Request::another(&client).bytes());
    assert_eq!(client.receive().status(), 202);
    let nobody = Request::another(&client).group("sip:nobody@im.home1.net");
    client.send(&nobody.bytes());
    assert_eq!(client.receive().status(), 404);
    rig.wait_for_counter("finished", finished);
}

#[test]
fn every_query_of_dashboard_and_alerts_gives_a_value() {
    if lacks(&["httpd", "prometheus"]) {
        return;
    }
    let port = Port::reserve();
    let [lines, routes] = exporter(&port);
    let rig = start(&lines, &routes);
    traffic(&rig, 1);
    let prometheus = Prometheus::start(port.number);
    // Twice, so that there are rates.
    prometheus.has_asked(3);
    traffic(&rig, 2);
    let accepted = || (prometheus.value("cimf_accepted") == Some(2.0)).then_some(());
    until(accepted).expect("two accepted messages");
    let mut queries = prometheus.alerts();
    assert!(queries.len() >= 20, "{queries:?}");
    let dashboard = std::fs::read_to_string("docs/grafana/cimf.json").expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&dashboard).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    assert!(panels.len() >= 16);
    for target in panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("targets"))
    {
        let query = target["expr"].as_str().expect("a query");
        let query = query
            .replace("$instance", ".*")
            .replace("$__rate_interval", "1m");
        assert!(!query.contains('$'), "{query}");
        queries.push(query);
    }
    for query in queries {
        assert!(prometheus.value(&query).is_some(), "{query}");
    }
    // What is told is so.
    for (query, expected) in [
        ("cimf_refused_by{reason=\"unknown_group\"}", 2.0),
        ("cimf_finished_seconds_bucket{le=\"+Inf\"}", 2.0),
        ("cimf_finished_seconds_bucket{le=\"60\"}", 2.0),
        ("cimf_forks_4xx", 2.0),
        ("cimf_forks_failed", 2.0),
        ("cimf_forks_delivered", 2.0),
        ("cimf_oldest", 0.0),
        ("cimf_limit_queue_messages", 10_000.0),
        (
            "count({__name__=~\"cimf_finished_le.*|cimf_refused_unknown_group\"}) or vector(0)",
            0.0,
        ),
    ] {
        assert_eq!(prometheus.value(query), Some(expected), "{query}");
    }
    let busy = prometheus.value("cimf_cpu_ms{process=\"outcomes\"}");
    assert!(busy.is_some_and(|busy| busy > 0.0), "{busy:?}");
}

#[test]
fn the_oldest_message_and_failures_by_kind_are_told() {
    let rig = start("", "");
    rig.core.answer("bob", Answer::Held);
    let mut client = rig.client();
    client.send(&Request::another(&client).bytes());
    assert_eq!(client.receive().status(), 202);
    rig.wait_for_gauge("oldest", 1);
    assert_eq!(rig.counter("finished"), 0);
    rig.core.release_with("bob", 503);
    rig.wait_for_counter("forks_5xx", 1);
    rig.wait_for_counter("finished", 1);
    rig.wait_for_gauge("oldest", 0);
    // It took longer than a second.
    assert_eq!(
        [
            rig.counter("finished_le_1s"),
            rig.counter("finished_le_10s")
        ],
        [0, 1]
    );
    let taken = rig.counter("finished_ms");
    assert!((1_000..10_000).contains(&taken), "{taken}");
}

#[test]
fn figures_come_by_json_rpc() {
    if lacks(&["httpd", "prometheus", "mi_http"]) {
        return;
    }
    let port = Port::reserve();
    let [mut lines, mut routes] = exporter(&port);
    let name = proxy().name().to_lowercase();
    let (more, path, method) = match name.as_str() {
        "opensips" => (block("opensips json-rpc"), "/mi", "cimf_stats"),
        _ => (block("kamailio json-rpc"), "/rpc", "cimf.stats"),
    };
    lines += &more;
    if name == "kamailio" {
        let first = block("kamailio json-rpc route").replace("9494", &port.number.to_string());
        routes = routes.replacen("{\n", &format!("{{\n{first}"), 1);
    }
    let rig = start(&lines, &routes);
    traffic(&rig, 1);
    let body = format!("{{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"{method}\"}}");
    let answer = until(|| http(port.number, path, Some(&body))).expect("an answer");
    let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{answer}"));
    let accepted = &answer["result"]["accepted"];
    assert_eq!(accepted.to_string().trim_matches('"'), "1", "{answer}");
}

#[test]
fn a_capture_server_sees_message_answer_and_copies() {
    if lacks(&["proto_hep", "tracer"]) {
        return;
    }
    let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
    server
        .set_read_timeout(Some(Duration::from_millis(200)))
        .expect("a timeout");
    let port = server.local_addr().expect("an address").port();
    let port = port.to_string();
    let own = Port::reserve();
    let rig = match proxy().name() {
        "OpenSIPS" => {
            let lines = block("opensips hep").replace("9060", &port);
            let lines = lines.replace("9061", &own.number.to_string());
            let [first, copies] = ["opensips hep route", "opensips hep copies"].map(block);
            start_with(&lines, &first, &copies)
        }
        _ => start(&block("kamailio hep").replace("9060", &port), ""),
    };
    traffic(&rig, 1);
    let mut wanted = vec![
        "MESSAGE sip:hikers@",
        "SIP/2.0 202 ",
        "MESSAGE sip:bob@",
        "SIP/2.0 486 ",
        "MESSAGE tel:",
    ];
    let mut packet = [0; 65536];
    let seen_all = until(|| {
        if let Ok(length) = server.recv(&mut packet) {
            assert!(packet.starts_with(b"HEP3"));
            let text = String::from_utf8_lossy(&packet[..length]).into_owned();
            wanted.retain(|start| !text.contains(start));
        }
        wanted.is_empty().then_some(())
    });
    assert!(seen_all.is_some(), "not seen: {wanted:?}");
}

#[test]
fn the_manual_names_each_alert() {
    let manual = std::fs::read_to_string("docs/monitoring.md").expect("the manual");
    let alerts = std::fs::read_to_string("docs/prometheus/alerts.yml").expect("the alerts");
    let names = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let names: Vec<&str> = names.collect();
    assert!(!names.is_empty());
    let rows: Vec<&str> = manual
        .lines()
        .filter(|line| line.starts_with("| `Cimf"))
        .collect();
    assert_eq!(rows.len(), names.len());
    for (row, name) in rows.iter().zip(names) {
        assert!(row.starts_with(&format!("| `{name}` |")), "{row}");
    }
}
