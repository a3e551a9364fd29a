//! Where the list of a message to a service may stand, how it may be written, and that everything else stays
//! as it is: M-6, U-2, U-7, U-11.

use crate::checks::refused;
use crate::lists::{
    HEAD, SERVICE, TAIL, TEXT, entries, list, message, rig, rig_for_large, sent, with_body,
};
use crate::support::client::Transport;
use crate::support::rig::HIKERS;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const BOB: &str = "sip:bob@home1.net";
const CHO: &str = "sip:cho@home2.net";

/// A list part of one recipient, with these header fields besides its type.
fn list_with(headers: &str, document: &str) -> String {
    format!("Content-Type: application/resource-lists+xml\r\n{headers}\r\n\r\n{document}")
}

fn document(uri: &str) -> String {
    format!("{HEAD}{}{TAIL}", entries(&[uri]))
}

/// A multipart part of this subtype with these parts in it.
fn multipart(subtype: &str, boundary: &str, parts: &[&str]) -> String {
    let mut text = format!("Content-Type: multipart/{subtype};boundary={boundary}\r\n\r\n");
    for part in parts {
        text += &format!("--{boundary}\r\n{part}\r\n");
    }
    text + &format!("--{boundary}--")
}

/// M-6, U-2: encoded, deep, and named in any case; a Content-Length of a part says nothing.
pub fn a_list_is_found_however_it_is_written(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let encoded = |text: &str| STANDARD.encode(text);
    let quoted = document(BOB).replace('=', "=3D").replace("bob", "=62ob");
    let plain = document(BOB);
    let named = "Content-Disposition: Recipient-List; handling=required;x=\"a;b\"";
    let deepest = multipart("mixed", "b4", &[&list(&entries(&[BOB]))]);
    let deep = multipart("mixed", "b2", &[&multipart("mixed", "b3", &[&deepest])]);
    for part in [
        list_with(
            "Content-Transfer-Encoding: BASE64\r\nContent-Disposition: recipient-list",
            &encoded(&plain),
        ),
        list_with(
            "Content-Transfer-Encoding: quoted-printable\r\nContent-Disposition: recipient-list",
            &quoted,
        ),
        list_with(named, &plain),
        list_with(&format!("{named}\r\nContent-Length: 3"), &plain),
        list_with(&format!("{named}\r\nContent-Encoding: identity"), &plain),
        deep,
    ] {
        let request = message(&client, &[TEXT, &part]);
        let forks = sent(&rig, &mut client, &request, &[BOB]);
        // U-7: nothing but the text is left, without a wrapper.
        let fork = &forks[0].message;
        assert_eq!(
            fork.one("Content-Type"),
            "text/plain;charset=UTF-8",
            "{part}"
        );
        assert_eq!(fork.body, b"Draft is ready.", "{part}");
    }
}

/// M-6: what is signed, related or alternative is not opened, and a body has four levels.
pub fn a_list_that_may_not_be_taken_out_is_refused(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let good = list(&entries(&[BOB]));
    for subtype in ["signed", "alternative", "related"] {
        let opaque = multipart(subtype, "s", &[&good, "Content-Type: x/y\r\n\r\n0"]);
        let request = message(&client, &[TEXT, &opaque]);
        let response = refused(&rig, &mut client, &request, 415);
        assert_eq!(response.one("Accept"), "application/resource-lists+xml");
        assert_eq!(response.one("Accept-Encoding"), "identity");
        assert!(response.has("Accept-Language"));
    }
    let mut deep = good.clone();
    for boundary in ["b5", "b4", "b3", "b2"] {
        deep = multipart("mixed", boundary, &[&deep]);
    }
    let request = message(&client, &[TEXT, &deep]);
    refused(&rig, &mut client, &request, 400);
}

/// M-6, U-7, M-10: the type alone makes no list, since the default disposition is `render`; such a part goes to
/// everybody like any other, and so does one that is encrypted, every byte of each.
pub fn parts_that_are_no_list_stay_byte_for_byte(transport: Transport) {
    let rig = rig_for_large(transport);
    let mut client = rig.client();
    let rendered = list_with("Content-ID: <1@h>", &document("sip:shown@home1.net"));
    let request = message(&client, &[TEXT, &rendered]);
    refused(&rig, &mut client, &request, 400);

    let sealed = "Content-Type: application/pkcs7-mime;smime-type=enveloped-data\r\n\
        Content-Transfer-Encoding: binary\r\n\r\n\u{0}\u{1}\r\n\r\n--b\r\n\n\r";
    let odd = "CONTENT-TYPE :\r\n\ttext/plain\r\nX-Unknown: a;b\r\n\r\n--b1x\r\n";
    let inner = |boundary: &str, parts: &[&str]| multipart("mixed", boundary, parts);
    let good = list(&entries(&[BOB, CHO]));
    let with_list = inner("in", &[odd, &good, TEXT]);
    let request = message(&client, &[&rendered, sealed, &with_list]);
    let forks = sent(&rig, &mut client, &request, &[BOB, CHO]);
    let untouched = inner("in", &[odd, TEXT]);
    for fork in forks {
        let kind = fork.message.one("Content-Type");
        let boundary = kind.split("boundary=").nth(1).expect("a boundary");
        let boundary = boundary.trim_matches('"');
        let mut expected = String::new();
        for part in [rendered.as_str(), sealed, untouched.as_str()] {
            expected += &format!("--{boundary}\r\n{part}\r\n");
        }
        // A part that is rebuilt ends with the line end of its last boundary.
        expected = expected.replace("--in--\r\n", "--in--\r\n\r\n");
        expected += &format!("--{boundary}--\r\n");
        let body = String::from_utf8(fork.message.body.clone()).expect("UTF-8");
        assert_eq!(body, expected);
    }
}

/// M-6, K-5, K-7: what somebody's reader may divide in another way than we do goes to nobody, as it would tell all
/// of those whom the sender hides.
pub fn a_multipart_that_can_be_read_in_two_ways_goes_to_nobody(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let hidden = list(&entries(&[CHO]));
    let good = format!("--b1\r\n{TEXT}\r\n--b1\r\n{hidden}\r\n--b1--\r\n");
    let history = hidden.replace("recipient-list", "recipient-list-history");
    let related = multipart("related", "in", &[TEXT, &history]);
    let within = format!("--b1\r\n{TEXT}\r\n--b1\r\n{related}\r\n--b1--\r\n");
    let mixed = "multipart/mixed;boundary=b1";
    for (content_type, body) in [
        (mixed, good.replace("--b1--\r\n", "")),
        (mixed, good.replace("+xml\r\n", "+xml\r\nno header\r\n")),
        (
            mixed,
            good.replace("+xml\r\n", "+xml\r\nContent-Disposition: render\r\n"),
        ),
        (mixed, good.replace("+xml\r\n", "+xml\r")),
        (mixed, good.replace("ready.\r\n--b1\r\n", "ready.\r--b1\r")),
        (mixed, good.replace("ready.\r\n--b1", "ready.\r\n--b1x")),
        ("multipart/mixed", good.clone()),
        ("multipart/mixed;boundary=b1;boundary=b2", good.clone()),
        ("text/plain;x=y, multipart/mixed;boundary=b1", good.clone()),
        (mixed, within),
    ] {
        // A service needs a list that it can read.
        let readable = format!("--b1\r\n{}\r\n--b1\r\n", list(&entries(&[BOB])));
        let listed = body.replacen("--b1\r\n", &readable, 1);
        for (group, body) in [(HIKERS, body), (SERVICE, listed)] {
            let request = with_body(&client, body.as_bytes()).group(group);
            let request = request.set("Content-Type", content_type);
            refused(&rig, &mut client, &request, 400);
        }
    }
}

/// U-11, A.1: whoever may not use the service is told that, whatever his list is like.
pub fn who_may_not_use_a_service_is_refused_before_his_list_is_read(transport: Transport) {
    let rig = rig(transport);
    let mut client = rig.client();
    let broken = list("<entry/>");
    let request = message(&client, &[TEXT, &broken]);
    refused(&rig, &mut client, &request, 400);
    let request = message(&client, &[TEXT, &broken]).sender("sip:eve@home2.net");
    refused(&rig, &mut client, &request, 403);
    for entry in [BOB, "sip:hikers@im.home1.net"] {
        let request =
            message(&client, &[TEXT, &list(&entries(&[entry]))]).without("P-Asserted-Identity");
        let response = refused(&rig, &mut client, &request, 403);
        let warning = crate::checks::warning(&response);
        assert_eq!(warning, "Originator not authenticated");
    }
}
