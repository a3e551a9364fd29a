//! Messages that are taken up again after a start.

use super::{NOW, engine, outcomes, start, submission};
use crate::control::Own;
use crate::fanout::{Engine, NotRestored, Origin, Outcome};

#[test]
fn a_message_taken_up_again_has_the_same_forks() {
    let engine = engine();
    let own = || {
        [
            Own::plain(b"sip:a@h"),
            Own {
                address: b"sip:b@h",
                headers: b"Subject: b\r\n",
                has_entry: true,
            },
            Own::plain(b"sip:c@h"),
        ]
        .into_iter()
    };
    let ticket = engine.reserve(&submission(), own, NOW).unwrap();
    // What the ledger is given lends the same.
    let lent = ticket.block().unwrap().submission();
    assert_eq!(format!("{lent:?}"), format!("{:?}", submission()));
    assert!(ticket.block().unwrap().recipients().eq(own()));
    let number = engine.start(ticket);
    let forks = |engine: &Engine| {
        let attempts = std::iter::from_fn(|| engine.next(|| NOW));
        let texts = attempts.map(|attempt| {
            let mut text = Vec::new();
            attempt.fork().write_headers(&mut text);
            text.extend_from_slice(&attempt.fork().body());
            (text, attempt.cookie())
        });
        texts.collect::<Vec<_>>()
    };
    let before = forks(&engine);
    let again = super::engine();
    let told = [(0, Outcome::Delivered(200))];
    let origin = Origin {
        number: Some(number),
        ledger: 77,
        ..Origin::default()
    };
    let restored = again.restore(&submission(), own, origin, told);
    assert_eq!(restored, Ok(Some((number, 2))));
    assert_eq!(again.under_way().unwrap()[0].ledger(), 77);
    let after = forks(&again);
    assert_eq!(after.len(), 2);
    assert!(after.iter().zip(&before[1..]).all(|(a, b)| a.0 == b.0));
    for (_, cookie) in after {
        again.completed(cookie, 482);
        again.released(cookie);
    }
    assert_eq!(outcomes(&again), [Outcome::Delivered(482); 2]);
    assert_eq!(again.load().memory_used, 0);
    assert!(start(&again, &["sip:a@h"]) > number);
    // One that stays in the ledger keeps its number, too.
    again.skip_numbers(number + 50);
    assert_eq!(start(&again, &["sip:b@h"]), number + 51);
    let all = (0..3).map(|number| (number, Outcome::Expired));
    let restored = super::engine().restore(&submission(), own, origin, all);
    assert_eq!(restored, Ok(None));
}

#[test]
fn one_copy_of_a_message_has_the_identifiers_that_it_had_among_the_others() {
    let engine = engine();
    start(&engine, &["sip:a@h", "sip:b@h", "sip:c@h"]);
    let first: Vec<_> = std::iter::from_fn(|| engine.next(|| NOW)).collect();
    let again = super::engine();
    start(&again, &["sip:x@h"]);
    drop(again.next(|| NOW));
    let origin = Origin {
        kept: 9,
        first: 2,
        ..Origin::default()
    };
    let own = || std::iter::once(Own::plain(b"sip:c@h"));
    let restored = again.restore(&submission(), own, origin, []);
    assert_eq!(restored, Ok(Some((2, 1))));
    let copy = again.next(|| NOW).unwrap();
    let (copy, last) = (copy.fork(), first[2].fork());
    assert!(copy.call_id == last.call_id && copy.from_tag == last.from_tag);
    assert!(copy.call_id != first[0].fork().call_id);
    let own = || std::iter::empty();
    let nobody = again.restore(&submission(), own, origin, []);
    assert_eq!(nobody, Err(NotRestored::Damaged));
}
