//! OPTIONS: what a group or service takes (U-3).

use crate::checks::{Before, nothing_was_sent};
use crate::lists::SERVICE;
use crate::support::client::{Client, Transport};
use crate::support::flow::{options, unique};
use crate::support::rig::{HIKERS, Rig, Setup};
use crate::support::sip::Message;

/// An OPTIONS about `uri` with one header field more.
#[track_caller]
fn ask(client: &mut Client, uri: &str, line: &str) -> Message {
    let text = options(client, &unique());
    let text = text
        .replace("sip:im.home1.net", uri)
        .replace("Content-Length", &format!("{line}\r\nContent-Length"));
    client.send(text.as_bytes());
    client.receive()
}

fn start(setup: Setup) -> Rig {
    crate::lists::start(setup)
}

/// What the sample configuration itself answers to OPTIONS.
#[track_caller]
fn is_left_to_the_script(response: &Message) {
    assert_eq!(response.start, "SIP/2.0 200 OK");
    assert!(
        !response.has("Allow") && !response.has("Supported"),
        "{response}"
    );
}

/// U-3, T 111.
pub fn t111_a_service_tells_what_it_takes(transport: Transport) {
    let rig = start(Setup::new(transport));
    let mut client = rig.client();
    let before = Before::of(&rig);
    for require in ["X-None: 1", "Require: recipient-list-message"] {
        let response = ask(&mut client, SERVICE, require);
        assert_eq!(response.start, "SIP/2.0 200 OK");
        assert_eq!(response.one("Supported"), "recipient-list-message");
        let accept = response.one("Accept");
        assert!(accept.starts_with("multipart/mixed, application/resource-lists+xml"));
        assert_eq!(response.one("Allow"), "MESSAGE, OPTIONS");
        assert!(response.tag("To").is_some() && response.body.is_empty());
    }
    let response = ask(&mut client, SERVICE, "Require: foo, recipient-list-message");
    assert_eq!(response.status(), 420);
    assert_eq!(response.one("Unsupported"), "foo");
    nothing_was_sent(&rig, &mut client, &before);
    assert_eq!(rig.counter("accepted") + rig.counter("refused"), 0);
}

/// U-3: a group takes messages too, but no lists.
pub fn a_group_tells_what_it_takes(transport: Transport) {
    let rig = start(Setup::new(transport));
    let mut client = rig.client();
    let response = ask(&mut client, HIKERS, "X-None: 1");
    assert_eq!(response.start, "SIP/2.0 200 OK");
    assert_eq!(response.one("Allow"), "MESSAGE, OPTIONS");
    assert_eq!(response.one("Accept"), "*/*");
    assert!(!response.has("Supported"));
}

/// U-3, A-6: what is asked about anything else is the script's, and about everything where groups are
/// hidden.
pub fn other_options_are_left_to_the_script(transport: Transport) {
    let rig = start(Setup::new(transport));
    let mut client = rig.client();
    for uri in ["sip:nobody@im.home1.net", "sip:hikers@home2.net", "tel:+1"] {
        is_left_to_the_script(&ask(&mut client, uri, "X-None: 1"));
    }
    let hidden = start(Setup::new(transport).number("HIDE_GROUPS", 1));
    let mut client = hidden.client();
    for uri in [SERVICE, HIKERS] {
        is_left_to_the_script(&ask(&mut client, uri, "X-None: 1"));
    }
}
