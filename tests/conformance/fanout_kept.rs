//! `store-and-forward.cfg` as it stands: messages for members out of reach are kept, and handed over when the
//! member registers.

use crate::checks::is_202;
use crate::support::client::{Client, Transport};
use crate::support::core::Answer;
use crate::support::flow::{Request, unique};
use crate::support::proxy::is_left_out_with_opensips;
use crate::support::rig::{BOB, HIKERS, Rig, Setup};
use std::path::Path;

/// Makes the store as the head of the configuration says.
fn make_store(folder: &Path) {
    let tables = Path::new("/usr/share/kamailio/dbtext/kamailio");
    std::fs::create_dir(folder).expect("a folder for the store");
    let read = |name: &str| {
        let path = tables.join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!(
                "{}: {error}. Install Debian's kamailio package.",
                path.display()
            )
        })
    };
    let silo = read("silo")
        .replace("callid(string)", "callid(string,null)")
        .replace("status(int)", "status(int,null)");
    std::fs::write(folder.join("silo"), silo).expect("a table");
    std::fs::write(folder.join("version"), read("version")).expect("a table");
}

fn start(transport: Transport) -> Rig {
    let itself = format!("sip:@ADDRESS@;transport={}", transport.in_uri());
    let setup = Setup::new(transport)
        .sample("store-and-forward.cfg")
        .number("TM_FR_TIMER", 1000)
        .text("DOMAINS", "im.home1.net")
        .text("ITSELF", &itself)
        .text("CORE_ROUTE", &itself);
    let store = setup.folder().join("store");
    make_store(&store);
    let setup = setup.text("STORE", &format!("text://{}", store.display()));
    setup.start()
}

/// Bob registers a device at the core's port.
#[track_caller]
fn register(rig: &Rig, client: &mut Client) {
    let mark = unique();
    let transport = client.transport;
    let request = format!(
        "REGISTER sip:home1.net SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bK-{mark}\r\nMax-Forwards: 70\r\n\
         From: <{BOB}>;tag={mark}\r\nTo: <{BOB}>\r\nCall-ID: {mark}\r\nCSeq: 1 REGISTER\r\n\
         Contact: <sip:bob@127.0.0.1:{};transport={}>;expires=600\r\nContent-Length: 0\r\n\r\n",
        transport.in_via(),
        client.address,
        rig.core.port,
        transport.in_uri(),
    );
    client.send(request.as_bytes());
    assert_eq!(client.receive().status(), 200);
}

#[track_caller]
fn send(client: &mut Client, body: &str) {
    let mut request = Request::another(client).set("Content-Length", &body.len().to_string());
    request.body = body.as_bytes().to_vec();
    client.send(&request.bytes());
    is_202(&client.receive(), &request);
}

/// Issue 4, item 5.
pub fn what_a_member_missed_is_handed_over_when_he_registers(transport: Transport) {
    // There is no sample for it.
    if is_left_out_with_opensips(
        "msilo stores the message of a route, and a route for events has none",
    ) {
        return;
    }
    let rig = start(transport);
    let mut client = rig.client();
    send(&mut client, "Trail closed.");
    rig.wait_for_log(&format!("kept message 1 of {HIKERS} for {BOB}"));
    assert_eq!(rig.core.count(), 0);

    register(&rig, &mut client);
    let fork = rig.core.wait_for(1).remove(0).message;
    assert!(fork.request_uri().contains("bob@127.0.0.1"), "{fork}");
    assert!(
        String::from_utf8_lossy(&fork.body).contains("Trail closed."),
        "{fork}"
    );
    assert!(fork.one("From").contains("ann@home1.net"), "{fork}");

    // Who is there gets it at once, and it is not kept.
    send(&mut client, "Trail open.");
    let fork = rig.core.wait_for(2).remove(1).message;
    assert_eq!(fork.body, b"Trail open.");
    rig.wait_for_log(&format!("message 2 to <{HIKERS}> is finished: delivered=1"));

    // A device that does not answer.
    rig.core.answer("bob", Answer::Silence);
    send(&mut client, "Trail closed again.");
    rig.wait_for_log(&format!("kept message 3 of {HIKERS} for {BOB}"));
    rig.core.answer("bob", Answer::Code(200));
    let before = rig.core.count();
    register(&rig, &mut client);
    let fork = rig.core.wait_for(before + 1).remove(before).message;
    assert!(
        String::from_utf8_lossy(&fork.body).contains("Trail closed again."),
        "{fork}"
    );
    assert_eq!(rig.log().matches("kept message").count(), 2);
}
