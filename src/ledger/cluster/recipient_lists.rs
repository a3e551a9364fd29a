//! Which recipients are written with a message, and which only once: a group's recipients are the same for each message
//! but for the originator, who need not be among them (`skip_originator`).

use siphasher::sip128::SipHasher13;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// Texts up to this length are written with each message.
const SHORT: usize = 256;
/// A list that was written longer ago than this is written again, before the last node that uses it forgets it.
const FRESH: Duration = Duration::from_secs(30 * 60);
/// Bytes of all lists that are remembered.
const MOST_BYTES: usize = 64 << 20;

/// What is written of a message's recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// All of them.
    Whole,
    /// Those of a list, but for one of them.
    Of {
        hash: [u8; 16],
        omitted: Option<i64>,
    },
}

/// The recipients of each group, as they were last.
#[derive(Debug, Default)]
pub(super) struct RecipientLists {
    by_group: HashMap<Vec<u8>, List>,
    bytes: usize,
}

#[derive(Debug)]
struct List {
    text: Vec<u8>,
    hash: [u8; 16],
    written: Option<Instant>,
}

impl RecipientLists {
    /// What is to be written of the recipients in `text`, and the list that is to be written before, where it is not known to
    /// be there.
    pub(super) fn refer(
        &mut self,
        key: &[u8; 16],
        group: &[u8],
        text: &[u8],
    ) -> (Written, Option<Vec<u8>>) {
        if text.len() <= SHORT {
            return (Written::Whole, None);
        }
        let known = self.by_group.get(group);
        let (list, omitted) = match known.and_then(|known| union(&known.text, text)) {
            Some(found) => found,
            None => (Some(text.to_vec()), None),
        };
        if let Some(text) = list {
            self.remember(key, group, text);
        }
        let Some(known) = self.by_group.get(group) else {
            return (Written::Whole, None);
        };
        let is_there = known.written.is_some_and(|at| at.elapsed() <= FRESH);
        let hash = known.hash;
        let list = (!is_there).then(|| known.text.clone());
        (Written::Of { hash, omitted }, list)
    }

    fn remember(&mut self, key: &[u8; 16], group: &[u8], text: Vec<u8>) {
        if self.bytes + text.len() > MOST_BYTES {
            // What is written again is not worth more than that.
            self.forget();
        }
        self.bytes += text.len();
        let hash = SipHasher13::new_with_key(key).hash(&text).as_bytes();
        let list = List {
            text,
            hash,
            written: None,
        };
        if let Some(before) = self.by_group.insert(group.to_vec(), list) {
            self.bytes -= before.text.len();
        }
    }

    /// The lists with these hashes are in the ledger now.
    pub(super) fn are_written<'h>(&mut self, hashes: impl Iterator<Item = &'h [u8; 16]>) {
        let hashes: HashSet<_> = hashes.collect();
        let now = Instant::now();
        let lists = self.by_group.values_mut();
        let written = lists.filter(|list| hashes.contains(&list.hash));
        written.for_each(|list| list.written = Some(now));
    }

    /// It is unknown what is in the ledger.
    pub(super) fn forget(&mut self) {
        self.by_group.clear();
        self.bytes = 0;
    }
}

/// The recipients of which both lists lack one at most: the new list where `known` lacks one, and which line of it `text`
/// lacks. Nothing where they differ in more.
fn union(known: &[u8], text: &[u8]) -> Option<(Option<Vec<u8>>, Option<i64>)> {
    let same = common_lines(known, text);
    let (head, left, right) = (&known[..same], &known[same..], &text[same..]);
    if left.is_empty() && right.is_empty() {
        return Some((None, None));
    }
    // `text` lacks the next line of `known`, and perhaps `known` a later one.
    let (missing, after) = left.split_at(first_line(left));
    if !missing.is_empty() {
        let between = common_lines(after, right);
        let (left, right) = (&after[between..], &right[between..]);
        let omitted = Some(lines(head));
        if left == right {
            return Some((None, omitted));
        }
        let (more, right) = right.split_at(first_line(right));
        if left == right {
            let whole = [head, missing, &after[..between], more, left].concat();
            return Some((Some(whole), omitted));
        }
    }
    // `known` lacks the next line of `text`, and perhaps `text` a later one.
    let (more, after) = right.split_at(first_line(right));
    if !more.is_empty() {
        let between = common_lines(left, after);
        let (left, right) = (&left[between..], &after[between..]);
        let head = [head, more, &after[..between]].concat();
        if left == right {
            return Some((Some([&head, left].concat()), None));
        }
        let (missing, left) = left.split_at(first_line(left));
        if left == right {
            let omitted = Some(lines(&head));
            return Some((Some([&head, missing, left].concat()), omitted));
        }
    }
    None
}

/// Bytes of the whole lines with which both texts begin.
fn common_lines(one: &[u8], other: &[u8]) -> usize {
    let bytes = one.iter().zip(other);
    let same = bytes.take_while(|(one, other)| one == other).count();
    memchr::memrchr(b'\n', &one[..same]).map_or(0, |end| end + 1)
}

/// Bytes of the first line, with its end.
fn first_line(text: &[u8]) -> usize {
    memchr::memchr(b'\n', text).map_or(text.len(), |end| end + 1)
}

fn lines(text: &[u8]) -> i64 {
    memchr::memchr_iter(b'\n', text).count() as i64
}

/// The list without this line.
pub(super) fn without(list: &[u8], omitted: Option<i64>) -> Vec<u8> {
    let Some(omitted) = omitted.and_then(|omitted| usize::try_from(omitted).ok()) else {
        return list.to_vec();
    };
    let mut start = 0;
    for _ in 0..omitted {
        start += first_line(&list[start..]);
    }
    let end = start + first_line(&list[start..]);
    [&list[..start], &list[end..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: [u8; 16] = [7; 16];
    const GROUP: &[u8] = b"sip:hikers@im.home1.net";

    fn text(lines: &[u32]) -> Vec<u8> {
        let lines = lines.iter().map(|line| format!("sip:m{line}@home1.net\n"));
        lines.collect::<String>().into_bytes()
    }

    /// What a reader makes of it.
    fn read(lists: &RecipientLists, written: Written) -> Vec<u8> {
        let Written::Of { hash, omitted } = written else {
            panic!("{written:?}");
        };
        let mut known = lists.by_group.values();
        let list = known.find(|list| list.hash == hash).unwrap();
        without(&list.text, omitted)
    }

    #[test]
    fn a_group_is_written_once_whoever_sends_to_it() {
        let members: Vec<u32> = (0..40).collect();
        let mut lists = RecipientLists::default();
        let mut to_write = Vec::new();
        for sender in [3, 9, 0, 39, 9, 3, 100] {
            let all = members.iter().copied();
            let recipients: Vec<u32> = all.filter(|&member| member != sender).collect();
            let text = text(&recipients);
            let (written, list) = lists.refer(&KEY, GROUP, &text);
            assert_eq!(read(&lists, written), text, "{sender}");
            if let Written::Of { hash, .. } = written {
                to_write.extend(list);
                lists.are_written([hash].iter());
            }
        }
        // The first sender is missing in the first list.
        assert_eq!(to_write.len(), 2);
        let (_, list) = lists.refer(&KEY, GROUP, &text(&members));
        assert_eq!(list, None);
        lists.forget();
        let (_, list) = lists.refer(&KEY, GROUP, &text(&members));
        assert_eq!(list, Some(text(&members)));
    }

    #[test]
    fn a_few_recipients_are_written_with_the_message() {
        let mut lists = RecipientLists::default();
        assert_eq!(
            lists.refer(&KEY, GROUP, &text(&[1, 2])),
            (Written::Whole, None)
        );
        assert!(lists.by_group.is_empty());
    }

    proptest! {
        #[test]
        fn whatever_the_lists_are_the_recipients_are_read_back(
            steps in proptest::collection::vec(proptest::collection::vec(0..30u32, 14..40), 1..8),
        ) {
            let mut lists = RecipientLists::default();
            for step in steps {
                let text = text(&step);
                match lists.refer(&KEY, GROUP, &text).0 {
                    Written::Whole => prop_assert!(text.len() <= SHORT),
                    written => prop_assert_eq!(read(&lists, written), text),
                }
            }
        }

        #[test]
        fn lists_that_differ_in_one_line_are_joined(
            members in proptest::collection::hash_set(0..1000u32, 20..60),
            first in any::<prop::sample::Index>(),
            second in any::<prop::sample::Index>(),
        ) {
            let members: Vec<u32> = members.into_iter().collect();
            let without = |index: usize| -> Vec<u32> {
                let mut rest = members.clone();
                rest.remove(index);
                rest
            };
            let (first, second) = (first.index(members.len()), second.index(members.len()));
            let mut lists = RecipientLists::default();
            lists.refer(&KEY, GROUP, &text(&without(first)));
            let text = text(&without(second));
            let (written, _) = lists.refer(&KEY, GROUP, &text);
            prop_assert_eq!(read(&lists, written), text);
            let whole = &lists.by_group[GROUP].text;
            prop_assert_eq!(lines(whole) as usize, members.len() - usize::from(first == second));
        }
    }
}
