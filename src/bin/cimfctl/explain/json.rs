//! An explanation as JSON. The names of the fields are stable; `--help` lists them.

use super::advice;
use super::outcome::{Explanation, Outcome, Verdict};
use crate::script::Script;
use cimf::config::Settings;
use cimf::control::{Answer, Check, Note, RefusalReason, Use};
use cimf::server::Decider;
use serde_json::{Value, json};
use std::io::{self, Write};

pub fn write(
    explanation: &Explanation<'_>,
    decider: &Decider,
    settings: &Settings,
    script: &Script,
    out: &mut impl Write,
) -> io::Result<()> {
    let capture = explanation.capture;
    let checks = explanation.checks.iter();
    let checks: Vec<_> = checks
        .map(|(check, verdict, notes)| of_check(*check, *verdict, notes))
        .collect();
    let document = json!({
        "message": {
            "file": capture.file,
            "bytes": capture.bytes.len(),
            "line_ends": if capture.had_bare_lf { "lf" } else { "crlf" },
        },
        "settings": {
            "database": settings.db_url.to_string(),
            "warnings": decider.warnings(),
            "unread": script.unread,
        },
        "source": {
            "peer": explanation.source.to_string(),
            "assumed": explanation.source_is_assumed,
            "trusted": explanation.source_is_trusted,
            "identity": explanation.source.identity.map(text),
        },
        "outcome": match &explanation.outcome {
            Outcome::NotOurs(_) => "not-ours",
            Outcome::Refused(..) => "refused",
            Outcome::Accepted(..) => "accepted",
            Outcome::Ended(..) => "ended",
            Outcome::Repeated(_) => "repeated",
        },
        "checks": checks,
        "reason": of_reason(&explanation.outcome),
        "answer": match &explanation.outcome {
            Outcome::NotOurs(_) => Value::Null,
            Outcome::Refused(_, answer)
            | Outcome::Accepted(_, answer)
            | Outcome::Ended(_, answer)
            | Outcome::Repeated(answer) => of_answer(answer),
        },
        "forks": match &explanation.outcome {
            Outcome::Accepted(accepted, _) => json!({
                "count": accepted.count(),
                "recipients": accepted.recipients().map(|it| text(it.address)).collect::<Vec<_>>(),
                "texts": explanation.forks.iter().map(|fork| text(fork)).collect::<Vec<_>>(),
            }),
            _ => Value::Null,
        },
    });
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}

fn of_check(check: Check, verdict: Verdict, notes: &[Note]) -> Value {
    let notes = notes.iter().map(|note| {
        json!({
            "use": match note.used {
                Use::Fact => "fact",
                Use::Taken => "taken",
                Use::Left => "left",
            },
            "subject": note.subject,
            "text": note.text,
        })
    });
    json!({
        "check": check.key(),
        "row": check.row(),
        "step": check.step(),
        "requirement": check.requirement(),
        "question": check.question(),
        "result": match verdict {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::NotMade => "not-made",
        },
        "notes": notes.collect::<Vec<_>>(),
    })
}

/// Why the message is not sent on.
fn of_reason(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::NotOurs(reason) => json!({
            "requirement": "A-1, A-6",
            "warning": null,
            "meaning": reason.to_string(),
            "detail": "",
            "advice": advice::of_not_ours(reason),
        }),
        Outcome::Refused(refusal, _) => json!({
            "requirement": refusal.reason.row().requirement,
            "warning": refusal.reason.row().warning,
            "meaning": refusal.reason.row().meaning,
            "detail": refusal.detail,
            "advice": advice::of_refusal(refusal.reason),
        }),
        Outcome::Accepted(..) | Outcome::Ended(..) | Outcome::Repeated(_) => Value::Null,
    }
}

fn of_answer(answer: &Answer) -> Value {
    let headers = text(&answer.headers);
    json!({
        "code": answer.code,
        "phrase": answer.phrase,
        "headers": headers.split_terminator("\r\n").collect::<Vec<_>>(),
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
