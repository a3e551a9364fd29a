//! What docs/management.md says of commands over HTTP, tried as it stands there.

use super::lacks;
use super::manual::{block_of, both};
use super::prometheus::{JSON, http_answer};
use super::start;
use crate::support::client::Client;
use crate::support::flow::Request;
use crate::support::port::Port;
use crate::support::proxy::proxy;
use crate::support::rig::{BOB, HIKERS, Rig};
use serde_json::{Value, json};

const PAGE: &str = "docs/management.md";

/// A proxy that takes commands over HTTP, with the lines of the manual, and the port.
fn managed() -> Option<(Rig, Port)> {
    managed_with("", "")
}

/// The same with more lines and routes.
fn managed_with(more_lines: &str, more_routes: &str) -> Option<(Rig, Port)> {
    if lacks(&["httpd", "mi_http"]) {
        return None;
    }
    let port = Port::reserve();
    let number = port.number.to_string();
    let name = proxy().name().to_lowercase();
    let text = block_of(PAGE, &name);
    let [lines, routes] = both(&text.replace("8080", &number).replace("8888", &number));
    let [lines, routes] = [lines + more_lines, routes + more_routes];
    Some((start(&lines, &routes), port))
}

/// Gives a command with its parameters, by name and in their order; the result, or the error.
fn command(port: &Port, name: &str, given: &[(&str, Value)]) -> Result<Value, Value> {
    let (path, method, parameters) = match proxy().name() {
        "OpenSIPS" => {
            let all = given.iter();
            let all = all.map(|(name, value)| ((*name).to_owned(), value.clone()));
            ("/mi", format!("cimf_{name}"), Value::Object(all.collect()))
        }
        _ => {
            let all = given.iter().flat_map(|(_, value)| match value {
                Value::Array(several) => several.clone(),
                one => vec![one.clone()],
            });
            ("/", format!("cimf.{name}"), all.collect())
        }
    };
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": parameters });
    let answer = http_answer(port.number, path, JSON, &body.to_string()).expect("an answer");
    let mut answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{answer}"));
    assert_eq!(answer["id"], 7, "{answer}");
    match answer.get("error") {
        Some(error) => Err(error.clone()),
        None => Ok(answer["result"].take()),
    }
}

/// Sends a message to the group, which has to go to so many.
fn goes_to(rig: &Rig, client: &mut Client, count: u64) {
    let before = rig.counter("forks_sent");
    client.send(&Request::another(client).bytes());
    assert_eq!(client.receive().status(), 202);
    rig.wait_for_counter("forks_sent", before + count);
}

#[test]
fn groups_are_managed_over_http() {
    let Some((rig, port)) = managed() else { return };
    let mut client = rig.client();
    goes_to(&rig, &mut client, 2);
    let group = ("group", json!(HIKERS));
    let given = json!([
        "sip:cho@home2.net",
        "\"Dee Jones\" <sip:dee@home1.net>",
        BOB
    ]);
    let added = command(&port, "member_add", &[group.clone(), ("members", given)]).unwrap();
    assert_eq!(
        (&added["added"], &added["existing"]),
        (&json!(2), &json!(1)),
        "{added}"
    );
    goes_to(&rig, &mut client, 4);
    let listed = command(&port, "member_list", std::slice::from_ref(&group)).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 5, "{listed}");
    assert_eq!(listed[3]["name"], "Dee Jones", "{listed}");
    let wrong = json!(["sip:eve@home1.net", "fay@home1.net"]);
    let error = command(&port, "member_set", &[group.clone(), ("members", wrong)]).unwrap_err();
    assert_eq!(error["code"], 400, "{error}");
    let text = error["message"].as_str().unwrap();
    assert!(
        text.starts_with("\"fay@home1.net\" is not an address"),
        "{text}"
    );
    goes_to(&rig, &mut client, 4);
    let gone = command(&port, "group_del", &[group]).unwrap();
    assert_eq!(gone["deleted"], 1, "{gone}");
}

/// Each command of a connection of its own, and many at once: none is lost, none answered twice.
#[test]
fn many_commands_at_once_are_all_carried_out() {
    let Some((rig, port)) = managed() else { return };
    std::thread::scope(|scope| {
        for sender in 0..8 {
            let port = &port;
            scope.spawn(move || {
                for number in 0..10 {
                    let member = json!([format!("sip:m{sender}.{number}@home1.net")]);
                    let given = [("group", json!(HIKERS)), ("members", member)];
                    let added = command(port, "member_add", &given).unwrap();
                    assert_eq!(added["added"], 1, "{added}");
                }
            });
        }
    });
    let shown = command(&port, "group_show", &[("group", json!(HIKERS))]).unwrap();
    assert_eq!(shown["member_count"], 83, "{shown}");
    assert!(rig.runs());
}

/// What somebody types who follows the manual; curl says of a body that it is a form if nothing else is given.
#[test]
fn the_command_of_the_manual_works_as_it_stands() {
    let Some((rig, port)) = managed() else { return };
    let (_, section) = std::fs::read_to_string(PAGE)
        .unwrap()
        .split_once(&format!("### {}\n", proxy().name()))
        .map(|(before, section)| (before.to_owned(), section.to_owned()))
        .unwrap();
    let (_, command) = section.split_once("    curl http://").unwrap();
    let (command, _) = command.split_once("\n\n").unwrap();
    let path = command.split([' ', '/']).nth(1).unwrap();
    let quoted = |option: &str| {
        let (_, rest) = command.split_once(&format!(" {option} '"))?;
        rest.split_once('\'').map(|(text, _)| text)
    };
    let content_type = quoted("-H").map_or("application/x-www-form-urlencoded", |header| {
        header.strip_prefix("Content-Type: ").unwrap()
    });
    let body = quoted("-d").unwrap();
    let answer = http_answer(port.number, &format!("/{path}"), content_type, body);
    let answer = answer.expect("an answer");
    let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{answer}"));
    // TEL is a member already.
    assert_eq!(answer["result"]["member_count"], 4, "{answer}");
    assert!(rig.runs());
}

/// A browser asks first before it sends JSON to another site, and sends a form or plain text without asking.
#[test]
fn what_a_web_page_may_send_is_no_command() {
    let Some((rig, port)) = managed() else { return };
    let (path, method, parameters) = match proxy().name() {
        "OpenSIPS" => ("/mi", "cimf_group_del", json!({ "group": HIKERS })),
        _ => ("/", "cimf.group_del", json!([HIKERS])),
    };
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": parameters });
    for content_type in [
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data; boundary=x",
    ] {
        // Whether it is answered at all does not matter.
        http_answer(port.number, path, content_type, &body.to_string());
    }
    let shown = command(&port, "group_show", &[("group", json!(HIKERS))]).unwrap();
    assert_eq!(shown["member_count"], 3, "{shown}");
    assert!(rig.runs());
}

#[test]
fn a_command_of_many_members_is_taken_over_http() {
    let Some((rig, port)) = managed() else { return };
    let members: Vec<_> = (0..300)
        .map(|n| format!("sip:member{n:04}@home1.net"))
        .collect();
    let given = [("group", json!(HIKERS)), ("members", json!(members))];
    let set = command(&port, "member_set", &given).unwrap();
    assert_eq!(set["added"], 300, "{set}");
    assert!(rig.runs());
}

/// jsonrpcs keeps no longer id, and cimf cannot answer later then.
#[test]
fn an_id_that_is_too_long_is_told() {
    if proxy().name() != "Kamailio" {
        return;
    }
    let Some((rig, port)) = managed() else { return };
    for (length, expected) in [(63, "member_count"), (64, "an id of up to 63 bytes")] {
        let body = json!({
            "jsonrpc": "2.0",
            "id": "x".repeat(length),
            "method": "cimf.group_show",
            "params": [HIKERS],
        });
        let answer = http_answer(port.number, "/", JSON, &body.to_string()).expect("an answer");
        assert!(answer.contains(expected), "{answer}");
    }
    assert!(rig.runs());
}

/// Kamailio's own timer would stand still meanwhile, and with it all that waits for it.
#[test]
fn a_timer_does_not_wait_for_a_command() {
    if proxy().name() != "Kamailio" {
        return;
    }
    let lines = "loadmodule \"rtimer.so\"
        modparam(\"rtimer\", \"timer\", \"name=t;interval=1;mode=0;\")
        modparam(\"rtimer\", \"exec\", \"timer=t;route=ASKS\")\n";
    let routes = "\nroute[ASKS] {
        jsonrpc_exec('{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"cimf.group_list\"}');
        xlog(\"L_NOTICE\", \"answered $jsonrpl(code) $jsonrpl(body)\\n\");
    }\n";
    let (rig, _port) = managed_with(lines, routes).unwrap();
    rig.wait_for_log("a SIP worker or timer cannot wait for this command");
}
