//! Disposition notifications (RFC 5438) and messages that ask for them.

use crate::checks::{accepted, refused};
use crate::lists::{TEXT, entries, list, message, rig};
use crate::support::client::{Client, Transport};
use crate::support::flow::Request;
use crate::support::rig::{BOB, Setup, TEL};

const NOTIFICATION: &str = "From: <im:bob@home1.net>\r\nTo: <im:hikers@im.home1.net>\r\n\
    NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: d834jied93rf\r\n\r\n\
    Content-type: message/imdn+xml\r\nContent-Disposition: notification\r\n\r\n\
    <imdn xmlns=\"urn:ietf:params:xml:ns:imdn\"><message-id>34jk324j</message-id></imdn>";

const ASKING: &str = "From: <im:ann@home1.net>\r\nTo: <im:hikers@im.home1.net>\r\n\
    NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: 34jk324j\r\n\
    imdn.Disposition-Notification: positive-delivery, display\r\n\r\n\
    Content-type: text/plain; charset=utf-8\r\n\r\nTrail closed.\0";

fn to_group(client: &Client, content_type: &str, body: &str) -> Request {
    let mut request = Request::another(client)
        .set("Content-Type", content_type)
        .set("Content-Length", &body.len().to_string());
    request.body = body.as_bytes().to_vec();
    request
}

/// M-9, T 105: a notification is for one sender and is never sent to many.
pub fn t105_a_disposition_notification_is_not_exploded(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let bare = NOTIFICATION.rsplit("\r\n\r\n").next().expect("a content");
    let group = to_group(&client, "message/imdn+xml", bare);
    refused(&rig, &mut client, &group, 403);
    let group = to_group(&client, "message/cpim", NOTIFICATION);
    refused(&rig, &mut client, &group, 403);
    let list = list(&entries(&[BOB]));
    for part in [
        format!("Content-Type: message/imdn+xml\r\n\r\n{bare}"),
        format!("Content-Type: message/cpim\r\n\r\n{NOTIFICATION}"),
    ] {
        let service = message(&client, &[&list, &part]);
        refused(&rig, &mut client, &service, 403);
    }
    let service = message(&client, &[&list, TEXT]);
    crate::lists::sent(&rig, &mut client, &service, &[BOB]);
}

/// M-8, M-9, T 104: what asks for one goes on as it is, and we answer with none of our own.
pub fn t104_a_message_that_asks_for_a_notification_is_unchanged(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    let request = to_group(&client, "message/cpim", ASKING);
    accepted(&rig, &mut client, &request, &[BOB, TEL]);
}
