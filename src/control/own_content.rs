//! What one fork of a message has beside what all of them share: header fields from the URI of its list entry, and an
//! entry of its recipient in the history (K-5, U-9, S-7). Little enough to be made when the fork is sent.

use super::group::Group;
use super::policy::Policy;
use super::recipients::Listed;
use super::uri_headers::{set_by, uri_header};
use crate::sip::Uri;
use crate::sip::history_list::write_own_entry;
use std::collections::HashMap;

/// What single forks have of their own.
#[derive(Debug, Default)]
pub struct OwnContent {
    /// Header fields from the URIs of entries.
    pub headers: OwnHeaders,
    /// Where in the shared body the own entry of a recipient stands, if anybody has one.
    pub entry_at: Option<usize>,
    /// The recipients who have one, sorted.
    pub with_entry: Vec<u32>,
}

impl OwnContent {
    /// The most bytes that any fork has of its own.
    pub(super) fn longest(&self, group: &Group) -> usize {
        let mut entry = Vec::new();
        let entries = self.with_entry.iter().map(|&recipient| {
            entry.clear();
            write_own_entry(group.recipient(recipient).unwrap_or_default(), &mut entry);
            entry.len()
        });
        self.headers.longest() + entries.max().unwrap_or_default()
    }

    /// Whether a recipient finds an entry of their own in the body.
    pub fn has_entry(&self, recipient: u32) -> bool {
        self.entry_at.is_some() && self.with_entry.binary_search(&recipient).is_ok()
    }
}

/// Header fields beside those that all forks share. Each text is kept once, however many recipients
/// have it.
#[derive(Debug, Default)]
pub struct OwnHeaders {
    texts: Vec<Vec<u8>>,
    /// The recipients that have another text than the first, sorted, each with the number of theirs.
    others: Vec<(u32, u32)>,
}

impl OwnHeaders {
    /// The header fields of one recipient, each with its CRLF; empty for most.
    pub fn of(&self, recipient: u32) -> &[u8] {
        let found = self
            .others
            .binary_search_by_key(&recipient, |&(number, _)| number);
        let text = found.map_or(0, |at| self.others[at].1 as usize);
        self.texts.get(text).map_or(&[], Vec::as_slice)
    }

    /// The length of the longest.
    pub fn longest(&self) -> usize {
        self.texts.iter().map(Vec::len).max().unwrap_or_default()
    }

    /// Takes from the list what its URIs set. A header field that any of them sets is taken out of
    /// `shared`, and stays with the recipients whose own URI does not set it.
    pub(super) fn take(listed: &Listed<'_>, policy: &Policy, shared: &mut Vec<u8>) -> Self {
        if policy.settings.uri_headers.is_empty() {
            return Self::default();
        }
        let mut set = HashMap::<u32, Vec<(&str, String)>>::new();
        for (good, number) in &listed.entries {
            let Uri::Sip(sip) = good.uri else {
                continue;
            };
            let found = set_by(&sip, policy).filter_map(|(name, value)| Some((name, value?)));
            let mut own: Vec<(&str, String)> = Vec::new();
            for (name, value) in found {
                if !own.iter().any(|(earlier, _)| *earlier == name) {
                    own.push((name, value));
                }
            }
            // As with the address itself, the first entry of a recipient counts.
            set.entry(*number).or_insert(own);
        }
        let taken = |line: &[u8]| {
            let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
            let name = uri_header(&policy.settings.uri_headers, name)?;
            let mut all = set.values().flatten();
            all.any(|(set, _)| *set == name).then_some(name)
        };
        let mut common: Vec<(&str, Vec<u8>)> = Vec::new();
        let mut left = Vec::with_capacity(shared.len());
        for line in shared.split_inclusive(|&byte| byte == b'\n') {
            match taken(line) {
                Some(name) => common.push((name, line.to_vec())),
                None => left.extend_from_slice(line),
            }
        }
        let text_of = |own: &[(&str, String)]| {
            let mut text = Vec::new();
            for (name, value) in own {
                text.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            }
            for (name, line) in &common {
                if !own.iter().any(|(set, _)| set == name) {
                    text.extend_from_slice(line);
                }
            }
            text
        };
        let mut texts = vec![text_of(&[])];
        let mut numbers = HashMap::from([(texts[0].clone(), 0)]);
        let mut others: Vec<(u32, u32)> = Vec::new();
        for (&recipient, own) in &set {
            let text = text_of(own);
            let next = texts.len() as u32;
            let number = *numbers.entry(text.clone()).or_insert(next);
            if number == next {
                texts.push(text);
            }
            if number != 0 {
                others.push((recipient, number));
            }
        }
        others.sort_unstable();
        *shared = left;
        Self { texts, others }
    }
}
