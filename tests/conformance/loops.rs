//! Messages that come back from other servers (H-5).

use crate::checks::{accepted, refused};
use crate::support::client::Transport;
use crate::support::flow::Request;
use crate::support::rig::{BOB, Setup, TEL};

/// H-5, T 87: the other server sends a new request with the same content, and fewer hops left.
pub fn t87_a_message_that_comes_back_is_refused(transport: Transport) {
    let rig = Setup::new(transport).number("LOOP_CACHE", 1).start();
    let mut client = rig.client();
    let first = Request::another(&client);
    let (_, forks) = accepted(&rig, &mut client, &first, &[BOB, TEL]);
    let fork = &forks[0].message;
    let back = Request::another(&client)
        .set("From", fork.one("From"))
        .set("Max-Forwards", fork.one("Max-Forwards"));
    refused(&rig, &mut client, &back, 482);
    // The same said once more is no loop, nor is something else.
    let again = Request::another(&client);
    accepted(&rig, &mut client, &again, &[BOB, TEL]);
    let mut other = Request::another(&client)
        .set("Max-Forwards", "60")
        .set("Content-Length", "2");
    other.body = b"ok".to_vec();
    accepted(&rig, &mut client, &other, &[BOB, TEL]);
}

/// H-5: not asked for, it is not done.
pub fn without_the_setting_messages_may_come_back(transport: Transport) {
    let rig = Setup::new(transport).start();
    let mut client = rig.client();
    for hops in ["68", "67"] {
        let request = Request::another(&client).set("Max-Forwards", hops);
        accepted(&rig, &mut client, &request, &[BOB, TEL]);
    }
}
