//! Feature tags of group messages and of their copies: `feature_tags`, A-1, A-12, R-1.

use crate::sip::accept_contact::FeatureTag;
use crate::sip::text::parameters;

/// A feature tag that makes a message ours, and what its forks ask for.
#[derive(Clone, Debug)]
pub struct Feature {
    /// What Accept-Contact of the message has to want.
    pub tag: FeatureTag,
    /// Accept-Contact of the forks, with its CRLF.
    pub accept_contact: Vec<u8>,
}

impl Feature {
    /// Reads TAG or TAG>OUTGOING. Values of OUTGOING need no quotes: they get them here, as those of a script's own
    /// text would have to be escaped.
    pub fn parse(text: &str) -> Option<Self> {
        let (tag, outgoing) = match text.split_once('>') {
            Some((tag, outgoing)) => (tag.trim(), outgoing.trim().to_owned()),
            None => (text, format!("{text};require;explicit")),
        };
        if outgoing.is_empty() {
            return None;
        }
        let mut accept_contact = b"Accept-Contact: *".to_vec();
        for parameter in parameters("feature_tags", outgoing.as_bytes()) {
            let parameter = parameter.ok()?;
            accept_contact.push(b';');
            accept_contact.extend_from_slice(parameter.name);
            let Some(value) = parameter.value else {
                continue;
            };
            let is_plain = value
                .iter()
                .all(|&byte| byte.is_ascii_graphic() || byte == b' ');
            let quoted = value.starts_with(b"\"");
            if value.is_empty()
                || !is_plain
                || (!quoted && value.iter().any(|byte| b"\"\\".contains(byte)))
            {
                return None;
            }
            accept_contact.extend_from_slice(if quoted { b"=" } else { b"=\"" });
            accept_contact.extend_from_slice(value);
            accept_contact.extend_from_slice(if quoted { b"" } else { b"\"" });
        }
        accept_contact.extend_from_slice(b"\r\n");
        Some(Self {
            tag: FeatureTag::parse(tag)?,
            accept_contact,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_feature_tag_is_not_taken() {
        for bad in [
            "+g.x>",
            "+g.x>a b",
            "+g.x>+g.y=a\"b",
            "+g.x>+g.y=\u{7}",
            ">+g.x",
        ] {
            assert!(Feature::parse(bad).is_none(), "{bad}");
        }
    }
}
