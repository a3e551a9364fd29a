//! An explanation as text, for readers who need not know the standard.

use super::advice;
use super::outcome::{Explanation, Outcome, Verdict};
use crate::script::Script;
use crate::streams::{counted, harmless};
use cimf::config::Settings;
use cimf::control::{Accepted, Answer, Check, Note, RefusalReason, Use};
use cimf::server::Decider;
use std::io::{self, Write};

/// Nobody reads more lines of one kind: a group may have 100,000 members.
const MOST: usize = 30;

pub fn write(
    explanation: &Explanation<'_>,
    decider: &Decider,
    settings: &Settings,
    script: &Script,
    out: &mut impl Write,
) -> io::Result<()> {
    write_input(explanation, decider, settings, script, out)?;
    writeln!(out, "\n  step  row  result  check")?;
    for (check, verdict, notes) in &explanation.checks {
        if *verdict != Verdict::NotMade {
            write_check(*check, *verdict, notes, out)?;
        }
    }
    writeln!(out)?;
    match &explanation.outcome {
        Outcome::NotOurs(reason) => {
            writeln!(
                out,
                "LEFT TO THE SCRIPT, nothing is answered: {}",
                harmless(&reason.to_string())
            )?;
            write_paragraph("What to do", advice::of_not_ours(reason), out)
        }
        Outcome::Refused(refusal, answer) => {
            let reason = refusal.reason;
            let (code, phrase) = (answer.code, answer.phrase);
            writeln!(
                out,
                "REFUSED with {code} {phrase}, nothing is sent ({})",
                reason.row().requirement
            )?;
            write_paragraph("Meaning", reason.row().meaning, out)?;
            if !refusal.detail.is_empty() {
                write_paragraph("Found", &harmless(&refusal.detail), out)?;
            }
            write_paragraph("What to do", advice::of_refusal(reason), out)?;
            write!(out, "\nOn the wire ")?;
            write_answer(answer, out)
        }
        Outcome::Accepted(accepted, answer) => {
            write_forks(accepted, &explanation.forks, out)?;
            write!(out, "\nStep 7: ")?;
            write_answer(answer, out)?;
            writeln!(
                out,
                "Not checked here: whether the proxy has room for all of them (row 13), and whether\n\
                 the same message came before (H-3)."
            )
        }
        Outcome::Ended(ended, answer) => {
            writeln!(out, "ACCEPTED, and sent to nobody: a {}", ended.what)?;
            write_answer(answer, out)
        }
        Outcome::Repeated(answer) => write_answer(answer, out),
    }
}

/// Writes what was explained, and with which settings.
fn write_input(
    explanation: &Explanation<'_>,
    decider: &Decider,
    settings: &Settings,
    script: &Script,
    out: &mut impl Write,
) -> io::Result<()> {
    let capture = explanation.capture;
    let bytes = capture.bytes.len();
    writeln!(out, "message   {}, {bytes} bytes", harmless(&capture.file))?;
    if capture.had_bare_lf {
        writeln!(
            out,
            "          its lines end with LF only; they were read as CRLF"
        )?;
    }
    let trust = match explanation.source_is_trusted {
        true => "one of trusted_peers",
        false => "not one of trusted_peers",
    };
    let assumed = match explanation.source_is_assumed {
        true => " (assumed: give the source with --from)",
        false => "",
    };
    writeln!(out, "from      {}, {trust}{assumed}", explanation.source)?;
    if let Some(identity) = explanation.source.identity {
        let identity = harmless(&String::from_utf8_lossy(identity));
        writeln!(
            out,
            "          with the identity {identity} from the script"
        )?;
    } else if script.hands_identity && decider.believes_script() {
        writeln!(
            out,
            "          the script passes an identity; give it with --identity"
        )?;
    }
    writeln!(out, "groups    {}", settings.db_url)?;
    for warning in decider.warnings() {
        writeln!(out, "warning   {warning}")?;
    }
    for unread in &script.unread {
        writeln!(out, "not read  {}", harmless(unread))?;
    }
    Ok(())
}

fn write_check(
    check: Check,
    verdict: Verdict,
    notes: &[Note],
    out: &mut impl Write,
) -> io::Result<()> {
    let step = check.step().map(|step| step.to_string());
    let result = match verdict {
        Verdict::Failed => "FAILED",
        Verdict::Passed | Verdict::NotMade => "ok",
    };
    let (step, row) = (step.as_deref().unwrap_or("–"), check.row());
    let (question, requirement) = (check.question(), check.requirement());
    writeln!(
        out,
        "  {step:>4}  {row:>3}  {result:<6}  {question} ({requirement})"
    )?;
    let lines = lines(notes);
    for (used, subjects, text) in lines.iter().take(MOST) {
        let mark = match used {
            Use::Fact => '·',
            Use::Taken => '+',
            Use::Left => '-',
        };
        match subjects.as_str() {
            "" => writeln!(out, "{:21}{mark} {text}", "")?,
            subjects => writeln!(out, "{:21}{mark} {subjects}: {text}", "")?,
        }
    }
    if let Some(more) = lines.len().checked_sub(MOST).filter(|more| *more > 0) {
        writeln!(out, "{:21}… and {more} more, see --json", "")?;
    }
    Ok(())
}

/// The notes as lines: header fields with the same note share one line.
fn lines(notes: &[Note]) -> Vec<(Use, String, String)> {
    let mut lines: Vec<(Use, String, String)> = Vec::new();
    for note in notes {
        let (subject, text) = (harmless(&note.subject), harmless(&note.text));
        let is_header = !subject.contains([':', ' ']);
        let of_same_fate = lines.iter_mut().find(|(used, subjects, earlier)| {
            is_header && *used == note.used && *earlier == text && !subjects.contains(':')
        });
        match of_same_fate {
            Some((_, subjects, _)) => {
                subjects.push_str(", ");
                subjects.push_str(&subject);
            }
            None => lines.push((note.used, subject, text)),
        }
    }
    lines
}

fn write_forks(accepted: &Accepted<'_>, forks: &[Vec<u8>], out: &mut impl Write) -> io::Result<()> {
    let count = counted(accepted.count() as u64, "new message");
    writeln!(out, "ACCEPTED\n\nStep 6: {count} to")?;
    for recipient in accepted.recipients().take(MOST) {
        writeln!(
            out,
            "  {}",
            harmless(&String::from_utf8_lossy(recipient.address))
        )?;
    }
    if let Some(more) = accepted.count().checked_sub(MOST).filter(|more| *more > 0) {
        writeln!(out, "  … and {more} more, see --json")?;
    }
    for (index, fork) in forks.iter().enumerate() {
        let note = match index {
            0 => {
                " (tags, Call-ID and charging identifier are new in each; the proxy\nadds Via and \
                 User-Agent)"
            }
            _ => "",
        };
        writeln!(out, "\nMessage {} in full{note}:", index + 1)?;
        for line in String::from_utf8_lossy(fork).split_inclusive('\n') {
            let line = line.strip_suffix('\n').unwrap_or(line);
            writeln!(
                out,
                "  {}",
                harmless(line.strip_suffix('\r').unwrap_or(line))
            )?;
        }
    }
    Ok(())
}

fn write_answer(answer: &Answer, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "the answer is\n  SIP/2.0 {} {}",
        answer.code, answer.phrase
    )?;
    for line in String::from_utf8_lossy(&answer.headers).split_terminator("\r\n") {
        writeln!(out, "  {}", harmless(line))?;
    }
    Ok(())
}

/// Writes a text after its title, wrapped at 100 characters.
fn write_paragraph(title: &str, text: &str, out: &mut impl Write) -> io::Result<()> {
    let mut line = format!("  {title}:");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > 100 {
            writeln!(out, "{line}")?;
            line = "   ".to_owned();
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(out, "{line}")
}
