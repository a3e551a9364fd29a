//! What is promised of every answer and every copy, whatever came in.

use super::compose::{Hidden, Known, base64};
use super::reader::{self, Fields, address, address_of_record, addresses, contains, fields};
use super::rig::{Copy, MAY_BE_SENT_TO_ANONYMOUSLY, ROUTE, Reply, SETTINGS, Setting};
use cimf::capi::decision::Outcome;
use std::collections::HashSet;

/// The header fields that a copy may have.
const OWN: [&str; 9] = [
    "from",
    "to",
    "call-id",
    "cseq",
    "max-forwards",
    "max-breadth",
    "route",
    "accept-contact",
    "content-length",
];
const COPIED: [&str; 14] = [
    "subject",
    "priority",
    "expires",
    "date",
    "reply-to",
    "in-reply-to",
    "organization",
    "call-info",
    "mime-version",
    "conversation-id",
    "contribution-id",
    "inreplyto-contribution-id",
    "content-type",
    "content-disposition",
];
const TRUSTED: [&str; 9] = [
    "p-asserted-identity",
    "privacy",
    "p-charging-vector",
    "p-charging-function-addresses",
    "p-asserted-service",
    "p-served-user",
    "resource-priority",
    "authorization",
    "proxy-authorization",
];
/// Those of which there may be several.
const LISTS: [&str; 12] = [
    "accept-contact",
    "reject-contact",
    "request-disposition",
    "call-info",
    "in-reply-to",
    "content-language",
    "content-encoding",
    "supported",
    "privacy",
    "resource-priority",
    "authorization",
    "proxy-authorization",
];

/// Whom nobody may find in an anonymous copy.
pub const ORIGINATOR: [&str; 5] = ["zqorig", "zqdisp", "zqpc", "5557770001", "555-777-0001"];

type Broken = Result<(), String>;

fn hold(holds: bool, promise: impl FnOnce() -> String) -> Broken {
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

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\r', "␍")
}

fn only_once(seen: &mut HashSet<String>, one: &str, what: &str) -> Broken {
    hold(seen.insert(one.to_owned()), || format!("two {what}: {one}"))
}

/// The answer: A-11, RFC 3261 §20.43.
fn answer(reply: &Reply) -> Broken {
    let copies = reply.copies.len();
    let fits = match reply.outcome {
        Outcome::NotOurs => reply.status == 0 && reply.headers.is_empty(),
        Outcome::Accepted => reply.status == 202 && copies > 0 && reply.window > 0,
        Outcome::Refused => (400..700).contains(&reply.status),
        Outcome::Repeated => reply.status == 202,
    };
    hold(
        fits && (copies > 0) == (reply.outcome == Outcome::Accepted),
        || {
            format!(
                "{:?} with {} and {copies} copies",
                reply.outcome, reply.status
            )
        },
    )?;
    let is_text = reply.reason.iter().all(|byte| (b' '..0x7f).contains(byte));
    hold(
        is_text && reply.reason.is_empty() == (reply.status == 0),
        || format!("the reason `{}`", text(&reply.reason)),
    )?;
    let fields = fields(&reply.headers).map_err(|broken| format!("answer: {broken}"))?;
    for (name, value) in &fields {
        let good = match name.as_str() {
            "warning" => {
                let value = value
                    .strip_prefix(b"399 im.home1.net \"")
                    .and_then(|value| value.strip_suffix(b"\""));
                value.is_some_and(|value| !value.is_empty() && !value.contains(&b'"'))
            }
            "unsupported" | "accept" | "accept-encoding" | "accept-language" | "require"
            | "permission-missing" => !value.is_empty(),
            "p-refused-uri-list" => addresses(value).is_ok(),
            "p-charging-vector" => value.starts_with(b"icid-value="),
            "retry-after" => !value.is_empty() && value.iter().all(u8::is_ascii_digit),
            _ => false,
        };
        hold(good, || format!("in the answer {name}: {}", text(value)))?;
    }
    Ok(())
}

/// Who may get a copy: an address of a kind that can be sent to, and no group of ours (M-7, H-4, S-8).
fn recipient(copy: &Copy, setting: &Setting) -> Broken {
    let uri = &copy.uri;
    reader::check_uri(uri)?;
    let shown = || format!("the Request-URI `{}`", uri.escape_ascii());
    let lower = uri.to_ascii_lowercase();
    let is_telephone = lower.starts_with(b"tel:");
    hold(
        lower.starts_with(b"sip:") || is_telephone && !setting.direct,
        shown,
    )?;
    let behind_user = lower
        .rsplit(|&byte| byte == b'@')
        .next()
        .unwrap_or_default();
    let host = behind_user
        .split(|byte| b":;?".contains(byte))
        .next()
        .unwrap_or_default();
    let is_machine = host.is_empty()
        || host == b"localhost"
        || host
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.');
    hold(is_telephone || !is_machine, shown)?;
    hold(
        !behind_user.contains(&b'?') && !contains(behind_user, b";maddr="),
        shown,
    )?;
    let ours = ["hikers", "open", "outer", "inner", "listsvc"];
    let of_record = address_of_record(uri);
    hold(
        ours.iter()
            .all(|name| of_record != format!("{name}@im.home1.net")),
        shown,
    )
}

/// One spelling of each address.
fn same_address(uri: &[u8]) -> String {
    if uri.to_ascii_lowercase().starts_with(b"tel:") {
        return address_of_record(uri);
    }
    let uri = String::from_utf8_lossy(uri).into_owned();
    let (user, host) = uri.rsplit_once('@').unwrap_or(("", &uri));
    let user = String::from_utf8_lossy(&reader::unescaped(user.as_bytes())).into_owned();
    let host = host.to_lowercase();
    let mut parameters: Vec<_> = host.split(';').collect();
    parameters[1..].sort_unstable();
    format!("{user}@{}", parameters.join(";"))
}

fn value<'t>(fields: &Fields<'t>, name: &str) -> Result<&'t [u8], String> {
    let mut values = fields.iter().filter(|(it, _)| it == name);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Ok(value),
        (None, _) => Err(format!("no {name}")),
        _ => Err(format!("two {name}")),
    }
}

fn number(fields: &Fields<'_>, name: &str, most: usize) -> Result<usize, String> {
    let value = value(fields, name)?;
    let shown = || format!("{name}: {}", value.escape_ascii());
    let digits = std::str::from_utf8(value)
        .ok()
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok());
    number.filter(|number| *number <= most).ok_or_else(shown)
}

/// RFC 3261 §7.3.1, §8.1.1, RFC 3428 §4; A-12, H-1, H-2, I-3, M-1.
fn grammar(copy: &Copy, fields: &Fields<'_>, setting: &Setting, needs_stream: bool) -> Broken {
    let mut seen = HashSet::new();
    for (name, value) in fields {
        let name = name.as_str();
        let may = OWN.contains(&name)
            || COPIED.contains(&name)
            || name.starts_with("content-")
            || setting.trusted_next_hop && TRUSTED.contains(&name)
            || setting.copies_preferences
                && ["reject-contact", "request-disposition"].contains(&name)
            || setting.direct && ["supported", "x-ticket"].contains(&name);
        hold(may, || format!("a copy with {name}"))?;
        let is_single = !LISTS.contains(&name);
        hold(seen.insert(name) || !is_single, || format!("two {name}"))?;
        let blank_ends = [value.first(), value.last()]
            .iter()
            .any(|end| matches!(end, Some(b' ' | b'\t')));
        hold(!blank_ends, || {
            format!("blanks around {name}: {}", value.escape_ascii())
        })?;
    }
    number(fields, "max-forwards", 254)?;
    hold(value(fields, "cseq")? == b"1 MESSAGE", || "CSeq".to_owned())?;
    let length = number(fields, "content-length", usize::MAX)?;
    hold(length == copy.body.len(), || {
        format!("Content-Length of {} bytes", copy.body.len())
    })?;
    let is_random = |text: &[u8]| text.len() >= 12 && text.iter().all(u8::is_ascii_alphanumeric);
    hold(is_random(value(fields, "call-id")?), || {
        "Call-ID".to_owned()
    })?;
    hold(
        copy.branch.starts_with(b"z9hG4bK") && is_random(&copy.branch),
        || "the branch".to_owned(),
    )?;
    let from = address(value(fields, "from")?).map_err(|broken| format!("From: {broken}"))?;
    let tags: Vec<_> = from
        .parameters
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"tag"))
        .collect();
    let has_tag = matches!(tags[..], [(_, Some(tag))] if is_random(tag));
    hold(has_tag, || "From without one tag of its own".to_owned())?;
    let to = [b"<", &copy.uri[..], b">"].concat();
    hold(value(fields, "to")? == to, || {
        "To is not the recipient".to_owned()
    })?;
    let routes: Vec<_> = fields
        .iter()
        .filter(|(name, _)| name == "route")
        .map(|(_, value)| *value)
        .collect();
    let expected = if setting.direct {
        &[][..]
    } else {
        &[ROUTE.as_bytes()]
    };
    hold(routes == expected, || "Route".to_owned())?;
    let wanted = fields.iter().filter(|(name, value)| {
        name == "accept-contact" && *value == b"*;+g.oma.sip-im;require;explicit"
    });
    let all = fields.iter().filter(|(name, _)| name == "accept-contact");
    hold(
        wanted.count() == 1 && (setting.copies_preferences || all.count() == 1),
        || "Accept-Contact".to_owned(),
    )?;
    if let Some((name, value)) = fields
        .iter()
        .find(|(name, _)| name == "p-asserted-identity")
    {
        addresses(value).map_err(|broken| format!("{name}: {broken}"))?;
    }
    if fields.iter().any(|(name, _)| name == "expires") {
        number(fields, "expires", u32::MAX as usize)?;
    }
    let content_type = fields.iter().find(|(name, _)| name == "content-type");
    hold(content_type.is_some() || copy.body.is_empty(), || {
        "a body without its type".to_owned()
    })?;
    if let Some((_, content_type)) = content_type
        && let Some(boundary) = reader::boundary(content_type)?
    {
        hold(reader::is_closed(&copy.body, &boundary), || {
            "a multipart without its end".to_owned()
        })?;
    }
    let start = b"MESSAGE  SIP/2.0\r\n".len() + copy.uri.len();
    let size = start + copy.headers.len() + 2 + copy.body.len();
    hold(size <= 1300 || setting.large_ok && needs_stream, || {
        format!("{size} bytes by UDP")
    })
}

/// U-6: the copies that wait at once never have more breadth than the message.
fn breadth(fields: &Fields<'_>, reply: &Reply) -> Broken {
    let each = number(fields, "max-breadth", 60)?;
    let at_once = reply.copies.len().min(reply.window as usize);
    hold(each > 0 && each * at_once <= 60, || {
        format!("{at_once} copies with Max-Breadth {each}")
    })
}

/// A-7, I-1 to I-4, N-3: nobody speaks in another's name.
fn identity(fields: &Fields<'_>, setting: &Setting, known: &Known) -> Broken {
    let from = address(value(fields, "from")?)?;
    let from = address_of_record(from.uri);
    let is_anonymous = from == "anonymous@anonymous.invalid";
    let wrong = || {
        format!(
            "From names {from}, sent by {:?}, who wrote {:?}",
            known.originator, known.from
        )
    };
    if known.anonymous {
        hold(is_anonymous, wrong)?;
    } else if setting.from_is_originator {
        hold(known.originator.contains(&from), wrong)?;
    } else {
        hold(
            known.from.as_ref().is_none_or(|known| *known == from),
            wrong,
        )?;
    }
    let group = address_of_record(known.group.as_bytes());
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

/// How often a text stands in another, in whatever spelling.
pub fn occurrences(text: &[u8], needle: &str) -> usize {
    let needle = needle.to_lowercase();
    let plain = |text: &[u8]| reader::count(&text.to_ascii_lowercase(), needle.as_bytes());
    let spellings = [
        plain(text),
        plain(&reader::unescaped(text)),
        plain(&reader::undone(text, b'=')),
    ];
    let encoded = (0..3).map(|shift| {
        let shifted = [&[0; 3][..shift], needle.as_bytes()].concat();
        let text_of = base64(&shifted);
        // The characters that the bytes around have a share of do not count.
        let first = [0, 2, 3][shift];
        let last = shifted.len() * 8 / 6;
        reader::count(text, &text_of.as_bytes()[first..last])
    });
    spellings.into_iter().max().unwrap_or_default() + encoded.sum::<usize>()
}

/// K-4, K-5, U-9: of a hidden recipient nobody finds a trace.
fn secrets(copy: &Copy, setting: &Setting, known: &Known) -> Broken {
    let of_record = address_of_record(&copy.uri);
    let is_of = |hidden: &Hidden| of_record.contains(&hidden.owner);
    for hidden in &known.hidden {
        let own = is_of(hidden);
        let in_headers = occurrences(&copy.headers, &hidden.text);
        let in_body = occurrences(&copy.body, &hidden.text);
        let shown = own && hidden.is_bcc && setting.own_bcc_shown;
        hold(
            in_headers <= usize::from(own) && in_body <= usize::from(shown),
            || format!("the hidden recipient {} stands in a copy", hidden.text),
        )?;
    }
    for own in known.own_values.iter().filter(|own| !is_of(own)) {
        let found = occurrences(&copy.headers, &own.text) + occurrences(&copy.body, &own.text);
        hold(found == 0, || {
            format!(
                "the value {} of another recipient stands in a copy",
                own.text
            )
        })?;
    }
    for never in &known.never {
        let found = occurrences(&copy.headers, never) + occurrences(&copy.body, never);
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
    let start = copy
        .body
        .windows(16)
        .rposition(|part| part.starts_with(b"<resource-lists "));
    let body = &copy.body[..start.unwrap_or(copy.body.len())];
    for name in ORIGINATOR {
        let found = occurrences(&headers, name) + occurrences(body, name);
        hold(found == 0, || format!("{name} stands in an anonymous copy"))?;
    }
    Ok(())
}
