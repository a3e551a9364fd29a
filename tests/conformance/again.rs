//! Cases over TCP that are run twice where the proxy itself may hold an answer back.

use crate::support::PATIENCE;
use crate::support::client::Transport;
use crate::support::proxy::{proxy, say};
use std::any::Any;
use std::panic::{catch_unwind, resume_unwind};

/// Runs a case; once more, which is said, if it has waited in vain for something that OpenSIPS 4.0 may have held
/// back.
pub fn run(case: fn(Transport), transport: Transport) {
    if transport == Transport::Udp || !proxy().has_faults_of_tcp() {
        return case(transport);
    }
    match catch_unwind(|| case(transport)) {
        Ok(()) => {}
        Err(reason) if has_waited(reason.as_ref()) => {
            say(
                "RUN AGAIN",
                "it has waited in vain, maybe for what stayed behind",
            );
            case(transport);
        }
        Err(reason) => resume_unwind(reason),
    }
}

/// Whether a case failed as its patience has ended: each such failure says how long that was.
fn has_waited(reason: &(dyn Any + Send)) -> bool {
    let text = reason.downcast_ref::<String>();
    text.is_some_and(|text| text.contains(&format!("{PATIENCE:?}")))
}

#[test]
fn a_wait_in_vain_is_told_from_another_failure() {
    for (text, expected) in [
        (format!("no answer within {PATIENCE:?}"), true),
        ("expected 202, found 403".to_owned(), false),
    ] {
        let reason = catch_unwind(|| panic!("{text}")).expect_err("a panic");
        assert_eq!(has_waited(reason.as_ref()), expected, "{text}");
    }
}
