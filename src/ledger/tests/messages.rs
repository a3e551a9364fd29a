//! Accepted messages, their outcomes, and the requests that carried them.

use super::*;

#[test]
fn a_promise_is_read_back_byte_for_byte() {
    let body: Vec<u8> = (0..=255).cycle().take(64_000).collect();
    let odd = Submission {
        originator: b"sip:\xff@home1.net",
        headers: b"Subject: \xc3\xa4 \0 \xff\r\n",
        charging: b"",
        body: &body,
        expires_at: u64::MAX,
        window: u32::MAX,
        needs_stream: false,
        ..submission(2)
    };
    let mut rig = Rig::new();
    let second = Promise {
        id: i64::MAX.unsigned_abs(),
        submission: odd,
        recipients: Vec::new(),
        ..message(2)
    };
    rig.write(&[promise(1), Entry::Promise(Box::new(second))]);
    for _ in 0..2 {
        let found = rig.unfinished();
        assert_eq!(rig.ids(), [1, i64::MAX.unsigned_abs()]);
        let stored = found.iter().map(|found| &found.message);
        let expected = [submission(1), odd];
        for (stored, expected) in stored.zip(&expected) {
            assert_eq!(
                format!("{:?}", stored.submission()),
                format!("{expected:?}")
            );
        }
        let recipients: Vec<Own<'_>> = found[0].recipients.iter().collect();
        assert_eq!(recipients, bob_and_carol());
        assert!(found[1].recipients.is_empty());
        assert!(found[0].outcomes.is_empty());
        rig = rig.again();
    }
}

#[test]
fn outcomes_of_20_000_recipients_are_79_rows_and_few_bytes() {
    let mut rig = Rig::new();
    let recipients = vec![Own::plain(b"sip:someone@home1.net"); 20_000];
    let large = Promise {
        recipients,
        ..message(1)
    };
    rig.write(&[Entry::Promise(Box::new(large))]);
    let all: Vec<OutcomeRecord> = (0..20_000)
        .map(|number| outcome(number, 200 + (number % 400) as u16))
        .collect();
    for part in all.rchunks(999) {
        rig.write(&[outcomes(1, part)]);
    }
    assert_eq!(rig.rows("recipient_state"), 79);
    let connection = Connection::open(&rig.path).unwrap();
    let sql = "SELECT sum(length(states)) FROM recipient_state";
    let bytes: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(bytes, 60_000);
    drop(connection);
    rig = rig.again();
    assert_eq!(rig.unfinished()[0].outcomes, all);
    // The last write counts, and writing it twice is the same as once.
    for _ in 0..2 {
        rig.write(&[outcomes(1, &[outcome(300, 404)])]);
    }
    assert_eq!(rig.unfinished()[0].outcomes[300], outcome(300, 404));
    rig.write(&[Entry::Finished { id: 1 }]);
    assert_eq!((rig.rows("recipient_state"), rig.rows("message")), (0, 0));
}

#[test]
fn a_finished_message_is_deleted_and_late_outcomes_are_ignored() {
    let mut rig = Rig::new();
    rig.write(&[promise(1), promise(2), promise(3)]);
    for _ in 0..2 {
        rig.write(&[Entry::Finished { id: 1 }, outcomes(1, &[outcome(0, 200)])]);
    }
    assert_eq!(rig.ids(), [2, 3]);
    assert_eq!(rig.rows("recipient_state"), 0);
    rig.write(&[Entry::Withdrawn { id: 3 }, Entry::KeptEnded { kept: 8 }]);
    rig = rig.again();
    assert_eq!(rig.ids(), [2]);
    assert_eq!(rig.ledger.figures().unfinished, 1);
}

#[test]
fn a_commit_is_written_completely_or_not_at_all() {
    let mut rig = Rig::new();
    rig.write(&[promise(1)]);
    let error = rig.refused(&[promise(2), Entry::Finished { id: 1 }, promise(2)]);
    assert_eq!(
        error,
        rig.text("expected a new message, found one with its id already")
    );
    assert_eq!(rig.ids(), [1]);
    rig.write(&[promise(2)]);
}

#[test]
fn a_request_is_known_for_64_t1_unless_it_was_withdrawn() {
    let mut rig = Rig::new();
    for id in [10_000, 20_000, 30_000] {
        let name = id.to_string();
        let with_request = Promise {
            request: Some(request(name.as_bytes())),
            ..message(id)
        };
        rig.write(&[Entry::Promise(Box::new(with_request))]);
    }
    rig.write(&[
        Entry::Finished { id: 20_000 },
        Entry::Withdrawn { id: 30_000 },
    ]);
    let known = |rig: &mut Rig| {
        let found = rig.reader.requests(NOW + 5_000).unwrap();
        for found in &found {
            let name = found.message.to_string();
            let expected = request(name.as_bytes());
            assert_eq!(found.key(), expected.key);
            assert_eq!(found.content, expected.content);
            assert_eq!(found.accepted_at, NOW + found.message);
        }
        found.iter().map(|found| found.message).collect::<Vec<_>>()
    };
    assert_eq!(known(&mut rig), [10_000, 20_000]);
    assert_eq!(rig.reader.requests(NOW + 15_000).unwrap().len(), 1);
    for (now, expected) in [
        (NOW + 42_000, &[10_000, 20_000][..]),
        (NOW + 42_001, &[20_000]),
        // The clock was set back by a day.
        (NOW - 86_400_000, &[]),
    ] {
        rig.ledger.tend(now).unwrap();
        assert_eq!(known(&mut rig), expected, "{now}");
    }
}

#[test]
fn an_anonymous_sender_is_not_in_the_file() {
    let mut rig = Rig::new();
    let anonymous = Promise {
        anonymous: true,
        ..message(1)
    };
    rig.write(&[Entry::Promise(Box::new(anonymous)), promise(2)]);
    let found = rig.unfinished();
    assert_eq!(found[0].message.originator.len(), 32);
    assert_eq!(found[0].message.originator_shown(), b"anonymous");
    assert_eq!(found[1].message.originator_shown(), b"sip:ann@home1.net");
    let listed = rig.reader.list().unwrap();
    assert_eq!(listed[0].originator, b"anonymous");
    let shown = rig.reader.show(1).unwrap().unwrap();
    assert_eq!(shown.message.originator, b"anonymous");
    rig.write(&[Entry::Withdrawn { id: 2 }]);
    // The same sender has the same hash.
    let again = Promise {
        anonymous: true,
        ..message(3)
    };
    rig.write(&[Entry::Promise(Box::new(again))]);
    let found = rig.unfinished();
    assert_eq!(found[0].message.originator, found[1].message.originator);
}

#[test]
fn the_ledger_is_readable_with_sqlite3() {
    let mut rig = Rig::new();
    rig.write(&[promise(1)]);
    let connection = Connection::open(&rig.path).unwrap();
    let sql = "SELECT originator || ' ' || group_uri || ' ' || recipients FROM message";
    let line: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(
        line,
        "sip:ann@home1.net sip:hikers@im.home1.net sip:bob@home1.net\n\
         tel:+15551230003\tentry\tP-Own: 1\\r\\n\n"
    );
}

#[test]
fn an_altered_row_is_skipped_and_kept() {
    let mut rig = Rig::new();
    rig.write(&[promise(1), promise(2)]);
    rig.sql("UPDATE message SET recipients = 'no end' WHERE id = 1");
    assert_eq!(rig.ids(), [2]);
    assert_eq!(rig.rows("message"), 2);
}

#[test]
fn each_run_has_a_greater_number_and_the_same_key() {
    let rig = Rig::new();
    let (first, key) = (rig.file.run(), rig.file.key());
    let rig = rig.again();
    assert_eq!(rig.file.run(), first + 1);
    assert_eq!(rig.file.key(), key);
    assert_ne!(key, [0; 16]);
    assert_ne!(Rig::new().file.key(), key);
}

#[test]
fn the_log_is_checkpointed_when_idle() {
    let mut rig = Rig::new();
    rig.write(&[promise(1)]);
    let copy = |rig: &Rig| {
        let copy = rig.folder.path().join("copy.db");
        std::fs::copy(&rig.path, &copy).unwrap();
        let connection = Connection::open(copy).unwrap();
        let sql = "SELECT count(*) FROM message";
        connection
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    // Something was written since the last maintenance.
    rig.ledger.tend(NOW).unwrap();
    assert_eq!(copy(&rig), 0);
    rig.ledger.tend(NOW).unwrap();
    assert_eq!(copy(&rig), 1);
}

#[test]
fn the_log_does_not_grow_without_limit() {
    let mut rig = Rig::new();
    for id in 1..=3_000 {
        rig.ledger.commit(&[promise(id)], CommitMode::Soon).unwrap();
        rig.ledger
            .commit(&[Entry::Finished { id }], CommitMode::Soon)
            .unwrap();
        if id % 100 == 0 {
            rig.ledger.tend(NOW).unwrap();
        }
    }
    let Figures { file_bytes, .. } = rig.ledger.figures();
    assert!(file_bytes < 33 << 20, "{file_bytes} bytes");
}
