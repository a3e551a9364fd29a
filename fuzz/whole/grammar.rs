//! What is promised of the form of every answer and every copy.

use super::promises::{Broken, hold, text};
use super::reader::{self, Fields, address, address_of_record, addresses, contains, fields};
use super::rig::{Copy, ROUTE, Reply, Setting};
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

/// The answer: A-11, RFC 3261 §20.43.
pub fn answer(reply: &Reply) -> Broken {
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
pub fn recipient(copy: &Copy, setting: &Setting) -> Broken {
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
pub fn same_address(uri: &[u8]) -> String {
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

pub fn value<'t>(fields: &Fields<'t>, name: &str) -> Result<&'t [u8], String> {
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
pub fn grammar(copy: &Copy, fields: &Fields<'_>, setting: &Setting, needs_stream: bool) -> Broken {
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
    let (wanted, all) = (wanted.count(), all.count());
    let is_untagged = setting.serves_phones && all == 0;
    hold(
        is_untagged || wanted == 1 && (setting.copies_preferences || all == 1),
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
pub fn breadth(fields: &Fields<'_>, reply: &Reply) -> Broken {
    let each = number(fields, "max-breadth", 60)?;
    let at_once = reply.copies.len().min(reply.window as usize);
    hold(each > 0 && each * at_once <= 60, || {
        format!("{at_once} copies with Max-Breadth {each}")
    })
}
