//! What docs/management.md says of commands over HTTP, tried as it stands there.

use super::lacks;
use super::manual::{block_of, both};
use super::prometheus::http_answer;
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
    if lacks(&["httpd", "mi_http"]) {
        return None;
    }
    let port = Port::reserve();
    let number = port.number.to_string();
    let name = proxy().name().to_lowercase();
    let text = block_of(PAGE, &name);
    let [lines, routes] = both(&text.replace("8080", &number).replace("8888", &number));
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
    let answer = http_answer(port.number, path, Some(&body.to_string())).expect("an answer");
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
