//! Commands about figures and messages under way.

#![forbid(unsafe_code)]

use super::answer::{Answer, Fault};
use super::arguments::Arguments;
use crate::host::figures::{age, figures, states};
use crate::server::Server;
use crate::sip::text::Printable;
use serde_json::{Map, Value, json};

/// Text of the wire in an answer.
pub fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// Adds numbers to an object, by their names.
pub fn add_numbers<'n>(object: &mut Value, numbers: impl IntoIterator<Item = (&'n str, u64)>) {
    for (name, number) in numbers {
        object[name] = number.into();
    }
}

/// All figures.
pub fn stats(server: &Server, _: &Arguments) -> Answer {
    let all = figures().map(|(figure, name, _)| (name, figure.read(server).into()));
    Ok(Value::Object(all.collect::<Map<_, _>>()))
}

/// The messages under way, oldest first.
pub fn fanouts(server: &Server, _: &Arguments) -> Answer {
    let fanouts = server.outbox().engine().fanouts()?;
    let all = fanouts.iter().map(|fanout| {
        let mut object = json!({
            "id": fanout.message,
            "group": shown(&fanout.group),
            "originator": shown(&fanout.originator),
            "seconds": age(server, fanout),
        });
        add_numbers(&mut object, states(fanout));
        object
    });
    Ok(all.collect())
}

/// Sends no more copies of a message.
pub fn cancel(server: &Server, given: &Arguments) -> Answer {
    let id: u64 = given.text(0).parse().map_err(|_| {
        let found = Printable(given.text(0).as_bytes());
        Fault::given(format!(
            "expected the number of a message, found \"{found}\""
        ))
    })?;
    let cancelled = server.outbox().engine().cancel(id)?.ok_or_else(|| {
        Fault::missing("no such message is under way: the command fanouts lists those that are")
    })?;
    Ok(json!({
        "id": id,
        "skipped": cancelled.skipped,
        "in_flight": cancelled.in_flight,
        "ended": cancelled.ended,
    }))
}
