//! Copies kept for members who are away.

use super::*;

/// One for carol, whose address has the hash 2.
fn for_carol(message: u64) -> KeptCopy<'static> {
    KeptCopy {
        recipient: 1,
        address_hash: 2,
        address: b"tel:+15551230003",
        ..kept(message)
    }
}

fn messages(kept: &[super::super::Kept]) -> Vec<(u64, u32)> {
    kept.iter()
        .map(|kept| (kept.message, kept.recipient))
        .collect()
}

#[test]
fn copies_kept_for_an_address_are_returned_oldest_message_first() {
    let mut rig = Rig::new();
    rig.write(&[promise(1), promise(2), promise(3)]);
    // Kept in an order that differs from that of acceptance.
    for message in [3, 1, 2] {
        rig.write(&[Entry::Kept(kept(message))]);
    }
    rig.write(&[Entry::Kept(for_carol(2))]);
    let found = rig.reader.kept_of(1, 10).unwrap();
    assert_eq!(messages(&found), [(1, 0), (2, 0), (3, 0)]);
    assert_eq!(
        messages(&rig.reader.kept_of(1, 2).unwrap()),
        [(1, 0), (2, 0)]
    );
    let first = &found[0];
    assert_eq!(first.address, b"sip:bob@home1.net");
    assert_eq!((first.code, first.address_hash), (480, 1));
    assert_eq!((first.kept_at, first.expires_at), (NOW, NOW + 1000));
    let counts = [1, 2, 3].map(|hash| rig.reader.count_kept_of(hash).unwrap());
    assert_eq!(counts, [3, 1, 0]);
    let kept = [1, 2, 3].map(|hash| rig.reader.is_kept(hash).unwrap());
    assert_eq!(kept, [true, true, false]);
    let oldest = rig.reader.oldest_kept(3).unwrap();
    assert_eq!(messages(&oldest), [(1, 0), (2, 0), (2, 1)]);
}

#[test]
fn a_hash_of_any_bits_is_found() {
    let mut rig = Rig::new();
    for (message, address_hash) in [(1, u64::MAX), (2, 1 << 63)] {
        let copy = KeptCopy {
            address_hash,
            ..kept(message)
        };
        rig.write(&[promise(message), Entry::Kept(copy)]);
        assert_eq!(rig.reader.kept_of(address_hash, 9).unwrap().len(), 1);
        assert_eq!(
            rig.reader.kept_of(address_hash, 9).unwrap()[0].address_hash,
            address_hash
        );
    }
}

#[test]
fn a_kept_copy_is_made_from_its_message_and_its_recipient() {
    let mut rig = Rig::new();
    rig.write(&[
        promise(1),
        Entry::Kept(for_carol(1)),
        Entry::Finished { id: 1 },
    ]);
    rig = rig.again();
    let kept = rig.reader.kept_of(2, 1).unwrap().remove(0);
    let found = rig.reader.kept_message(kept.id).unwrap().unwrap();
    assert_eq!(found.kept, kept);
    assert_eq!(
        format!("{:?}", found.message.submission()),
        format!("{:?}", submission(1))
    );
    let recipient: Vec<Own<'_>> = found.recipient.iter().collect();
    assert_eq!(recipient, bob_and_carol()[1..]);
    assert!(rig.reader.kept_message(kept.id + 1).unwrap().is_none());
}

#[test]
fn a_message_is_deleted_with_its_last_recipient_and_its_last_kept_copy() {
    let mut rig = Rig::new();
    rig.write(&[promise(1), Entry::Kept(kept(1)), Entry::Kept(for_carol(1))]);
    let ids: Vec<i64> = [1, 2]
        .map(|hash| rig.reader.kept_of(hash, 1).unwrap()[0].id)
        .into();
    // The copy of its last recipient is still in flight.
    rig.write(&[Entry::KeptEnded { kept: ids[0] }]);
    assert_eq!(rig.ids(), [1]);
    rig.write(&[Entry::Finished { id: 1 }]);
    assert!(rig.ids().is_empty());
    assert_eq!(rig.rows("message"), 1);
    assert_eq!(rig.ledger.figures().unfinished, 0);
    for _ in 0..2 {
        rig.write(&[Entry::Finished { id: 1 }, outcomes(1, &[outcome(1, 480)])]);
    }
    for _ in 0..2 {
        rig.write(&[Entry::KeptEnded { kept: ids[1] }]);
    }
    assert_eq!(rig.rows("message") + rig.rows("recipient_state"), 0);
    assert_eq!(rig.ledger.figures().kept_bytes, 0);
}

#[test]
fn a_message_without_kept_copies_is_deleted_with_its_last_recipient() {
    let mut rig = Rig::new();
    rig.write(&[promise(1), Entry::Kept(kept(1))]);
    let id = rig.reader.kept_of(1, 1).unwrap()[0].id;
    rig.write(&[Entry::KeptEnded { kept: id }]);
    assert_eq!(rig.rows("message"), 1);
    rig.write(&[Entry::Finished { id: 1 }]);
    assert_eq!(rig.rows("message"), 0);
}

#[test]
fn a_copy_is_kept_once_and_no_number_is_reused() {
    let mut rig = Rig::new();
    rig.write(&[promise(1), Entry::Kept(kept(1)), Entry::Kept(kept(1))]);
    let first = rig.reader.kept_of(1, 9).unwrap();
    assert_eq!(first.len(), 1);
    rig.write(&[Entry::KeptEnded { kept: first[0].id }, promise(2)]);
    rig.write(&[Entry::Kept(kept(2))]);
    let second = rig.reader.kept_of(1, 9).unwrap();
    assert!(second[0].id > first[0].id, "{first:?} {second:?}");
    // Repeated, and too late.
    rig.write(&[Entry::KeptEnded { kept: first[0].id }]);
    assert_eq!(rig.reader.kept_of(1, 9).unwrap(), second);
}

#[test]
fn a_copy_of_a_deleted_message_is_not_kept_and_does_not_fail_the_commit() {
    let mut rig = Rig::new();
    rig.write(&[Entry::Kept(kept(1)), promise(2)]);
    assert_eq!(rig.rows("kept"), 0);
    assert_eq!(rig.ids(), [2]);
}

#[test]
fn a_body_counts_once_for_all_its_kept_copies() {
    let mut rig = Rig::new();
    rig.write(&[promise(1), Entry::Kept(kept(1))]);
    let one = rig.ledger.figures();
    rig.write(&[Entry::Kept(for_carol(1))]);
    let two = rig.ledger.figures();
    assert!(one.kept_bytes > 200, "{one:?}");
    assert_eq!((one.kept, two.kept), (1, 2));
    assert_eq!(two.kept_bytes - one.kept_bytes, 64 + 16);
    rig = rig.again();
    let after = rig.ledger.figures();
    assert_eq!((after.kept, after.kept_bytes), (2, two.kept_bytes));
    rig.write(&[Entry::Withdrawn { id: 1 }]);
    let none = rig.ledger.figures();
    assert_eq!((none.kept, none.kept_bytes), (0, 0));
}

#[test]
fn expired_copies_are_returned_in_the_order_of_expiry() {
    let mut rig = Rig::new();
    for message in [3, 1, 2] {
        rig.write(&[promise(message), Entry::Kept(kept(message))]);
    }
    let now = NOW + 2000;
    let found = rig.reader.expired(now, 9).unwrap();
    assert_eq!(messages(&found), [(1, 0), (2, 0)]);
    assert_eq!(rig.reader.expired(now, 1).unwrap().len(), 1);
    assert!(rig.reader.expired(NOW + 999, 9).unwrap().is_empty());
}

#[test]
fn a_message_that_was_not_promised_survives_a_crash_only_for_its_kept_copies() {
    let mut rig = Rig::new();
    let not_promised = |id| {
        Entry::Promise(Box::new(Promise {
            promised: false,
            ..message(id)
        }))
    };
    rig.write(&[
        not_promised(1),
        not_promised(2),
        outcomes(1, &[outcome(0, 200)]),
        outcomes(2, &[outcome(0, 480)]),
        Entry::Kept(kept(2)),
    ]);
    assert!(rig.ids().is_empty());
    assert_eq!(rig.ledger.figures().unfinished, 0);
    rig = rig.again();
    assert!(rig.ids().is_empty());
    assert_eq!((rig.rows("message"), rig.rows("recipient_state")), (1, 1));
    let id = rig.reader.kept_of(1, 1).unwrap()[0].id;
    rig.write(&[Entry::KeptEnded { kept: id }]);
    assert_eq!(rig.rows("message"), 0);
}

/// 100,000 kept copies of 100 messages: the cost of a night with many members away.
#[test]
#[ignore = "measures; run with --nocapture"]
fn figures_of_100_000_kept_copies() {
    use std::time::Instant;
    const MEMBERS: u32 = 1_000;
    const MESSAGES: u64 = 100;
    let addresses: Vec<String> = (0..MEMBERS)
        .map(|member| format!("sip:member{member:04}@home1.net"))
        .collect();
    let recipients: Vec<Own<'_>> = addresses
        .iter()
        .map(|address| Own::plain(address.as_bytes()))
        .collect();
    let body = vec![b'x'; 1_500];
    let mut rig = Rig::new();
    let start = Instant::now();
    for id in 1..=MESSAGES {
        let large = Promise {
            recipients: recipients.clone(),
            submission: Submission {
                body: &body,
                ..submission(id)
            },
            ..message(id)
        };
        let copies = (0..MEMBERS).map(|recipient| {
            Entry::Kept(KeptCopy {
                message: id,
                recipient,
                address_hash: u64::from(recipient).wrapping_mul(0x9e37_79b9_7f4a_7c15),
                address: addresses[recipient as usize].as_bytes(),
                code: 480,
                kept_at: NOW,
                expires_at: NOW + 1000,
            })
        });
        let entries: Vec<Entry<'_>> = std::iter::once(Entry::Promise(Box::new(large)))
            .chain(copies)
            .chain(std::iter::once(Entry::Finished { id }))
            .collect();
        rig.ledger.commit(&entries, CommitMode::Synced).unwrap();
    }
    println!("kept in {:?}", start.elapsed());
    for _ in 0..2 {
        rig.ledger.tend(NOW).unwrap();
    }
    println!("{:?}", rig.ledger.figures());
    let file = std::fs::metadata(&rig.path).unwrap().len();
    println!("file {file} bytes, {} a copy", file / 100_000);
    let hash = |member: u64| member.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let timed = |name: &str, each: &mut dyn FnMut(u64)| {
        let start = Instant::now();
        (0..1_000).for_each(|member| each(hash(member)));
        println!("{name}: {:?}", start.elapsed() / 1_000);
    };
    let mut reader = rig.file.reader().unwrap();
    timed("is_kept, a member who has some", &mut |hash| {
        assert!(reader.is_kept(hash).unwrap());
    });
    timed("is_kept, a member who has none", &mut |hash| {
        assert!(!reader.is_kept(hash ^ 1).unwrap());
    });
    timed("count_kept_of", &mut |hash| {
        assert_eq!(reader.count_kept_of(hash).unwrap(), MESSAGES);
    });
    timed("kept_of, 100 copies", &mut |hash| {
        assert_eq!(reader.kept_of(hash, 100).unwrap().len(), 100);
    });
    let mut ids = reader.kept_of(hash(500), 100).unwrap().into_iter();
    timed("kept_message", &mut |_| {
        let id = ids.next().map_or(1, |kept| kept.id);
        assert!(reader.kept_message(id).unwrap().is_some());
    });
    timed("oldest_kept(1)", &mut |_| {
        assert_eq!(reader.oldest_kept(1).unwrap().len(), 1);
    });
    timed("expired(1)", &mut |_| {
        assert_eq!(reader.expired(NOW + 1000, 1).unwrap().len(), 1);
    });
    let start = Instant::now();
    let ids: Vec<i64> = (0..10)
        .flat_map(|member| reader.kept_of(hash(member), 100).unwrap())
        .map(|kept| kept.id)
        .collect();
    for part in ids.chunks(100) {
        let ended: Vec<Entry<'_>> = part.iter().map(|&kept| Entry::KeptEnded { kept }).collect();
        rig.ledger.commit(&ended, CommitMode::Synced).unwrap();
    }
    println!("100 copies ended in one commit: {:?}", start.elapsed() / 10);
    let start = Instant::now();
    rig = rig.again();
    println!("closed and opened in {:?}", start.elapsed());
    println!("{:?}", rig.ledger.figures());
}
