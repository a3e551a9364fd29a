//! Rulesets: RFC 4745 with OMA's conditions and actions (G-3, G-4), read and written.
//!
//! Anything unsupported must only narrow who may send: an unsupported exception discards the whole
//! identity, and an unsupported condition is kept as one that never holds.

use super::error::{DocumentError, Notes};
use super::escape::{escape_attribute, escape_text};
use super::namespace::{COMMON_POLICY, LIST_SERVICE, OMA_POLICY, is_oma};
use super::walker::{Start, Walker, shown};
use crate::control::date_time;
use crate::control::ruleset::{Condition, Except, Identity, Rule, Ruleset};
use crate::sip::{SipUri, Uri};

/// The content written for an unsupported condition.
const UNKNOWN: &str = "unknown";

/// Parses a document whose root is `ruleset`, as stored in the database.
pub fn read_ruleset(text: &str) -> Result<(Ruleset, Notes), DocumentError> {
    let mut walker = Walker::new("ruleset", text.as_bytes())?;
    let root = walker.root()?;
    if (root.namespace.as_str(), root.name.as_str()) != (COMMON_POLICY, "ruleset") {
        return Err(root.unexpected("ruleset of RFC 4745", shown(&root.name)));
    }
    let ruleset = ruleset(&mut walker, &root)?;
    walker.end()?;
    Ok((ruleset, walker.notes))
}

/// Reads the content of the `ruleset` element.
pub(super) fn ruleset(walker: &mut Walker<'_>, start: &Start) -> Result<Ruleset, DocumentError> {
    walker.left_over(start);
    let mut ruleset = Ruleset::default();
    while let Some(child) = walker.child()? {
        match of_policy(&child) {
            "rule" => ruleset.rules.push(rule(walker, child)?),
            _ => walker.leave_out(&child, "ruleset")?,
        }
    }
    Ok(ruleset)
}

/// The name of an element of RFC 4745; empty for any other.
fn of_policy(start: &Start) -> &str {
    match start.namespace == COMMON_POLICY {
        true => &start.name,
        false => "",
    }
}

fn rule(walker: &mut Walker<'_>, mut start: Start) -> Result<Rule, DocumentError> {
    let id = start.take("id").unwrap_or_default();
    walker.left_over(&start);
    let mut rule = Rule {
        id,
        ..Rule::default()
    };
    while let Some(child) = walker.child()? {
        match of_policy(&child) {
            "conditions" => {
                walker.left_over(&child);
                while let Some(condition) = walker.child()? {
                    rule.conditions.push(read_condition(walker, condition)?);
                }
            }
            "actions" => {
                walker.left_over(&child);
                while let Some(action) = walker.child()? {
                    rule.actions.extend(read_action(walker, action)?);
                }
            }
            _ => walker.leave_out(&child, "rule")?,
        }
    }
    Ok(rule)
}

fn read_action(
    walker: &mut Walker<'_>,
    start: Start,
) -> Result<Option<(String, bool)>, DocumentError> {
    if !is_oma(&start.namespace) {
        walker.leave_out(&start, "actions")?;
        return Ok(None);
    }
    walker.left_over(&start);
    let value = walker.text(&start)?;
    let allows = match value.as_str() {
        "true" | "1" => true,
        "false" | "0" => false,
        other => {
            let (name, value) = (shown(&start.name), shown(other));
            let text =
                format!("action {name} is left out: expected true or false, found `{value}`");
            walker.note(&start, text);
            return Ok(None);
        }
    };
    Ok(Some((start.name, allows)))
}

fn read_condition(walker: &mut Walker<'_>, mut start: Start) -> Result<Condition, DocumentError> {
    let oma = is_oma(&start.namespace);
    let known = match (of_policy(&start), start.name.as_str()) {
        ("identity", _) => {
            walker.left_over(&start);
            let mut identities = Vec::new();
            while let Some(child) = walker.child()? {
                identities.extend(read_identity(walker, child)?);
            }
            Condition::Identity(identities)
        }
        ("validity", _) => Condition::Validity(read_validity(walker, &start)?),
        ("sphere", _) => {
            let value = start.take("value").unwrap_or_default();
            walker.note(&start, "a sphere is not supported: its rule never applies");
            walker.finish(&start)?;
            Condition::Sphere(value)
        }
        ("", "is-list-member") if oma => flag(walker, start, Condition::IsListMember)?,
        ("", "other-identity") if oma => flag(walker, start, Condition::OtherIdentity)?,
        ("", "anonymous-request") if oma => flag(walker, start, Condition::AnonymousRequest)?,
        ("", "external-list") if oma => {
            walker.left_over(&start);
            let mut anchors = Vec::new();
            while let Some(mut child) = walker.child()? {
                let is_entry = is_oma(&child.namespace) && child.name == "entry";
                match child.take("anc").filter(|_| is_entry) {
                    Some(anchor) => {
                        walker.finish(&child)?;
                        anchors.push(anchor);
                    }
                    None => walker.leave_out(&child, "external-list")?,
                }
            }
            Condition::ExternalList(anchors)
        }
        _ => return unknown(walker, start),
    };
    Ok(known)
}

/// A condition without content, or with `true` as content.
fn flag(
    walker: &mut Walker<'_>,
    start: Start,
    condition: Condition,
) -> Result<Condition, DocumentError> {
    walker.left_over(&start);
    let value = walker.text(&start)?;
    if matches!(value.as_str(), "" | "true" | "1") {
        return Ok(condition);
    }
    let (name, value) = (shown(&start.name), shown(&value));
    let text =
        format!("condition {name} with content `{value}` is not supported: its rule never applies");
    walker.note(&start, text);
    Ok(Condition::Unknown(start.namespace, start.name))
}

fn unknown(walker: &mut Walker<'_>, start: Start) -> Result<Condition, DocumentError> {
    let name = shown(&start.name);
    let text = format!(
        "condition {name} is not supported: its rule never applies; its content is left out"
    );
    walker.note(&start, text);
    walker.skip()?;
    Ok(Condition::Unknown(start.namespace, start.name))
}

/// Reads a child of `identity`; `None` if it is unsupported.
fn read_identity(
    walker: &mut Walker<'_>,
    mut start: Start,
) -> Result<Option<Identity>, DocumentError> {
    match of_policy(&start) {
        "one" => {
            let id = start.take("id");
            let Some(id) = id.filter(|id| is_address(id)) else {
                walker.note(&start, "one without an address as its id is left out");
                walker.skip()?;
                return Ok(None);
            };
            // Its content would narrow it (RFC 4745 §7.1.1).
            if walker.finish(&start)? {
                walker.note(&start, "one is left out with its content");
                return Ok(None);
            }
            Ok(Some(Identity::One(id)))
        }
        "many" => {
            let domain = start.take("domain");
            walker.left_over(&start);
            let mut except = Some(Vec::new());
            while let Some(child) = walker.child()? {
                match read_except(walker, child)? {
                    Some(one) => {
                        except = except.map(|mut all| {
                            all.push(one);
                            all
                        })
                    }
                    None => except = None,
                }
            }
            let is_good = domain.as_deref().is_none_or(is_domain);
            match except.filter(|_| is_good) {
                Some(except) => Ok(Some(Identity::Many { domain, except })),
                None => {
                    walker.note(
                        &start,
                        "many is left out: its domain or an exception is not supported",
                    );
                    Ok(None)
                }
            }
        }
        _ => {
            walker.leave_out(&start, "identity")?;
            Ok(None)
        }
    }
}

fn read_except(walker: &mut Walker<'_>, mut start: Start) -> Result<Option<Except>, DocumentError> {
    let is_except = of_policy(&start) == "except";
    let (id, domain) = (start.take("id"), start.take("domain"));
    let any = walker.finish(&start)?;
    Ok(match (id, domain) {
        _ if any || !is_except => None,
        (Some(id), None) if is_address(&id) => Some(Except::Id(id)),
        (None, Some(domain)) if is_domain(&domain) => Some(Except::Domain(domain)),
        _ => None,
    })
}

fn read_validity(
    walker: &mut Walker<'_>,
    start: &Start,
) -> Result<Vec<(String, String)>, DocumentError> {
    walker.left_over(start);
    let (mut times, mut from) = (Vec::new(), None);
    while let Some(child) = walker.child()? {
        let name = of_policy(&child).to_owned();
        if name != "from" && name != "until" {
            walker.leave_out(&child, "validity")?;
            continue;
        }
        walker.left_over(&child);
        let time = walker.text(&child)?;
        if date_time::parse(&time).is_none() {
            let expected = "a date and time with its zone, such as 2006-12-24T17:00:00Z";
            return Err(child.unexpected(expected, time));
        }
        match (name.as_str(), from.take()) {
            ("from", None) => from = Some(time),
            ("until", Some(from)) => times.push((from, time)),
            _ => return Err(child.unexpected("alternating from and until", name)),
        }
    }
    match from {
        None => Ok(times),
        Some(from) => Err(start.unexpected("an until after each from", from)),
    }
}

fn is_address(text: &str) -> bool {
    let uri = Uri::parse(text.as_bytes());
    matches!(
        uri,
        Ok(Uri::Sip(SipUri { user: Some(_), .. }) | Uri::Tel(_))
    )
}

fn is_domain(text: &str) -> bool {
    let uri = format!("sip:{text}");
    let uri = Uri::parse(uri.as_bytes());
    matches!(uri, Ok(Uri::Sip(sip)) if sip.host == text.as_bytes())
}

/// Writes a ruleset as a document without an XML declaration, each line indented by `indent`.
pub fn write_ruleset(ruleset: &Ruleset, indent: &str) -> String {
    let mut out = format!(
        "{indent}<cp:ruleset xmlns:cp=\"{COMMON_POLICY}\" xmlns:ls=\"{LIST_SERVICE}\" xmlns:ocp=\"{OMA_POLICY}\">\n"
    );
    let mut line = |depth: usize, text: String| {
        out += indent;
        out += &"  ".repeat(depth);
        out += &text;
        out.push('\n');
    };
    for rule in &ruleset.rules {
        line(
            1,
            format!("<cp:rule id=\"{}\">", escape_attribute(&rule.id)),
        );
        line(2, "<cp:conditions>".to_owned());
        for condition in &rule.conditions {
            write_condition(condition, &mut line);
        }
        line(2, "</cp:conditions>".to_owned());
        line(2, "<cp:actions>".to_owned());
        for (name, allows) in &rule.actions {
            line(3, format!("<ls:{name}>{allows}</ls:{name}>"));
        }
        line(2, "</cp:actions>".to_owned());
        line(1, "</cp:rule>".to_owned());
    }
    line(0, "</cp:ruleset>".to_owned());
    out
}

fn write_condition(condition: &Condition, line: &mut impl FnMut(usize, String)) {
    let attribute = |text: &str| escape_attribute(text);
    match condition {
        Condition::Identity(identities) => {
            line(3, "<cp:identity>".to_owned());
            for identity in identities {
                match identity {
                    Identity::One(id) => line(4, format!("<cp:one id=\"{}\"/>", attribute(id))),
                    Identity::Many { domain, except } => {
                        let domain = domain.as_deref().map(attribute);
                        let domain = domain.map(|domain| format!(" domain=\"{domain}\""));
                        line(4, format!("<cp:many{}>", domain.unwrap_or_default()));
                        for except in except {
                            let (name, value) = match except {
                                Except::Id(id) => ("id", id),
                                Except::Domain(domain) => ("domain", domain),
                            };
                            line(5, format!("<cp:except {name}=\"{}\"/>", attribute(value)));
                        }
                        line(4, "</cp:many>".to_owned());
                    }
                }
            }
            line(3, "</cp:identity>".to_owned());
        }
        Condition::Validity(times) => {
            line(3, "<cp:validity>".to_owned());
            for (from, until) in times {
                line(4, format!("<cp:from>{}</cp:from>", escape_text(from)));
                line(4, format!("<cp:until>{}</cp:until>", escape_text(until)));
            }
            line(3, "</cp:validity>".to_owned());
        }
        Condition::Sphere(value) => {
            line(3, format!("<cp:sphere value=\"{}\"/>", attribute(value)));
        }
        Condition::IsListMember => line(3, "<ls:is-list-member/>".to_owned()),
        Condition::ExternalList(anchors) => {
            line(3, "<ocp:external-list>".to_owned());
            for anchor in anchors {
                line(4, format!("<ocp:entry anc=\"{}\"/>", attribute(anchor)));
            }
            line(3, "</ocp:external-list>".to_owned());
        }
        Condition::OtherIdentity => line(3, "<ocp:other-identity/>".to_owned()),
        Condition::AnonymousRequest => line(3, "<ocp:anonymous-request/>".to_owned()),
        Condition::Unknown(namespace, name) => {
            let namespace = attribute(namespace);
            // A condition that would be supported without its content gets content that keeps it
            // unsupported.
            line(
                3,
                format!("<{name} xmlns=\"{namespace}\">{UNKNOWN}</{name}>"),
            );
        }
    }
}
