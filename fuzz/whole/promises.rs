//! What is promised of every answer and every copy, whatever came in.

use super::compose::{Hidden, Known};
use super::grammar::{answer, breadth, grammar, recipient, same_address, value};
use super::reader::{Fields, address, address_of_record, addresses, fields};
use super::rig::{Copy, MAY_BE_SENT_TO_ANONYMOUSLY, Reply, SETTINGS, Setting};
use super::traces::Traces;
use cimf::capi::decision::Outcome;
use std::collections::HashSet;

/// Whom nobody may find in an anonymous copy.
pub const ORIGINATOR: [&str; 5] = ["zqorig", "zqdisp", "zqhost", "5557770001", "555-777-0001"];

pub type Broken = Result<(), String>;

pub fn hold(holds: bool, promise: impl FnOnce() -> String) -> Broken {
    if holds { Ok(()) } else { Err(promise()) }
}

/// Whether an answer and its copies keep all promises; otherwise which not.
pub fn kept(setting: usize, reply: &Reply, known: Option<&Known>) -> Broken {
    let setting = &SETTINGS[setting];
    answer(reply)?;
    let mut recipients = HashSet::new();
    let mut call_ids = HashSet::new();
    for copy in &reply.copies {
        let shown = || {
            format!(
                "\n--- copy to {}\n{}\n{}",
                text(&copy.uri),
                text(&copy.headers),
                text(&copy.body)
            )
        };
        let fields = fields(&copy.headers).map_err(|broken| format!("{broken}{}", shown()))?;
        let all = || {
            recipient(copy, setting)?;
            grammar(copy, &fields, setting, reply.needs_stream)?;
            breadth(&fields, reply)?;
            only_once(&mut recipients, &same_address(&copy.uri), "recipients")?;
            only_once(
                &mut call_ids,
                &value(&fields, "call-id")?.escape_ascii().to_string(),
                "Call-IDs",
            )?;
            only_once(
                &mut call_ids,
                &copy.branch.escape_ascii().to_string(),
                "branches",
            )?;
            let Some(known) = known else { return Ok(()) };
            identity(&fields, setting, known)?;
            secrets(copy, setting, known)?;
            anonymity(copy, &fields, setting, known)
        };
        let mut all = all;
        all().map_err(|broken: String| format!("{broken}{}", shown()))?;
    }
    match known {
        Some(known) if reply.outcome == Outcome::Accepted => {
            hold(!known.originator.is_empty(), || {
                "nobody has said who the sender is".to_owned()
            })
        }
        _ => Ok(()),
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\r', "␍")
}

fn only_once(seen: &mut HashSet<String>, one: &str, what: &str) -> Broken {
    hold(seen.insert(one.to_owned()), || format!("two {what}: {one}"))
}

/// A-7, I-1 to I-4, N-3: nobody speaks in another's name.
fn identity(fields: &Fields<'_>, setting: &Setting, known: &Known) -> Broken {
    let whole_from = value(fields, "from")?;
    let from = address_of_record(address(whole_from)?.uri);
    let group = address_of_record(known.group.as_bytes());
    let is_anonymous = from == "anonymous@anonymous.invalid";
    let wrong = || {
        format!(
            "From names {from}, sent by {:?}, who wrote {:?}",
            known.originator, known.from
        )
    };
    if setting.serves_phones && !known.group.contains("listsvc") {
        // The sender has no say in it, not even by a name.
        let own = Traces::of(whole_from).count("zqdisp") == 0;
        hold(own && from == group, wrong)?;
    } else if known.anonymous {
        hold(is_anonymous, wrong)?;
    } else if setting.from_is_originator {
        hold(known.originator.contains(&from), wrong)?;
    } else {
        hold(
            known.from.as_ref().is_none_or(|known| *known == from),
            wrong,
        )?;
    }
    for (_, value) in fields
        .iter()
        .filter(|(name, _)| name == "p-asserted-identity")
    {
        for asserted in addresses(value)? {
            let asserted = address_of_record(asserted.uri);
            let may = match setting.asserts_group {
                true => asserted.eq_ignore_ascii_case(&group),
                false => known.originator.contains(&asserted),
            };
            hold(may, || {
                format!(
                    "P-Asserted-Identity names {asserted}, sent by {:?}",
                    known.originator
                )
            })?;
        }
    }
    Ok(())
}

/// K-4, K-5, U-9: of a hidden recipient nobody finds a trace.
fn secrets(copy: &Copy, setting: &Setting, known: &Known) -> Broken {
    let of_record = address_of_record(&copy.uri);
    let is_of = |hidden: &Hidden| of_record.contains(&hidden.owner);
    let (headers, body) = (Traces::of(&copy.headers), Traces::of(&copy.body));
    for hidden in &known.hidden {
        let own = is_of(hidden);
        let (in_headers, in_body) = (headers.count(&hidden.text), body.count(&hidden.text));
        let shown = own && hidden.is_bcc && setting.own_bcc_shown;
        hold(
            in_headers <= usize::from(own) && in_body <= usize::from(shown),
            || format!("the hidden recipient {} stands in a copy", hidden.text),
        )?;
    }
    for own in known.own_values.iter().filter(|own| !is_of(own)) {
        let found = headers.count(&own.text) + body.count(&own.text);
        hold(found == 0, || {
            format!(
                "the value {} of another recipient stands in a copy",
                own.text
            )
        })?;
    }
    for never in &known.never {
        let found = headers.count(never) + body.count(never);
        hold(found == 0, || format!("{never} stands in a copy"))?;
    }
    Ok(())
}

/// A-8, I-6: nothing tells who an anonymous sender is, and nobody gets an anonymous copy whose group forbids it.
fn anonymity(copy: &Copy, fields: &Fields<'_>, setting: &Setting, known: &Known) -> Broken {
    if !known.anonymous {
        return Ok(());
    }
    let of_record = address_of_record(&copy.uri);
    let may = MAY_BE_SENT_TO_ANONYMOUSLY
        .iter()
        .any(|one| of_record.starts_with(one));
    hold(may, || {
        format!("an anonymous copy to {of_record}, whom no group lets have one")
    })?;
    // The identity stays in the trust domain, and the members know that the sender is one of them.
    let telling = fields.iter().filter(|(name, _)| {
        let in_domain = name == "p-asserted-identity" && setting.trusted_next_hop;
        name != "to" && !in_domain
    });
    let headers: Vec<u8> = telling
        .flat_map(|(_, value)| [value, &b"\r\n"[..]].concat())
        .collect();
    let start = memchr::memmem::rfind(&copy.body, b"<resource-lists ");
    let body = &copy.body[..start.unwrap_or(copy.body.len())];
    let (headers, body) = (Traces::of(&headers), Traces::of(body));
    for name in ORIGINATOR {
        let found = headers.count(name) + body.count(name);
        hold(found == 0, || format!("{name} stands in an anonymous copy"))?;
    }
    Ok(())
}
