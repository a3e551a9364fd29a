//! Delivery on registration: the copies kept for a member who has registered go back to the queue, oldest first, and
//! stay in the ledger until they have been delivered. A crash in between sends them again with the same identifiers.

#![forbid(unsafe_code)]

use super::copies::{KeptCopies, Reason};
use crate::fanout::{Counter, EndedCopy, NotRestored, Origin, Outcome, milliseconds};
use crate::ledger::{KeptMessage, Reader};
use crate::server::{Server, Worker};
use crate::sip::text::Printable;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant, SystemTime};

/// Copies of one member that are in the queue at once. Once half of them have ended, more are submitted, ahead of the
/// member's newer messages.
const WINDOW: usize = 32;
/// How long copies are submitted before other work gets its turn.
const TIME_SLICE: Duration = Duration::from_millis(100);
/// After which time a member who has registered is looked for once more where nodes share what they keep: what another node has
/// kept just before is known here a little later.
const ONCE_MORE: Duration = Duration::from_secs(1);
/// Marks the message numbers under which kept copies are sent: no accepted message has such a number.
const KEPT_COPY_NUMBER: u64 = 1 << 62;

/// A member whose copies are being sent.
#[derive(Debug, Default)]
struct Member {
    /// The message numbers of submitted copies, by their number in the ledger.
    submitted: HashMap<i64, u64>,
    /// Whether the member is in `next`.
    is_next: bool,
    /// Whether all copies have been submitted.
    is_done: bool,
    /// Whether the member is away again.
    is_away: bool,
    /// Whether the member has registered again meanwhile.
    asked_again: bool,
}

/// The members who have registered.
pub(super) struct Delivery {
    groups: Worker,
    members: HashMap<u64, Member>,
    /// Members whose copies are submitted next.
    next: VecDeque<u64>,
    /// Members who are looked for once more, and since when they have registered.
    once_more: VecDeque<(Instant, u64)>,
}

impl Delivery {
    pub(super) fn new(server: &Server) -> Self {
        Self {
            groups: server.decider().worker(),
            members: HashMap::new(),
            next: VecDeque::new(),
            once_more: VecDeque::new(),
        }
    }

    /// Submits copies of members who have registered, for [`TIME_SLICE`] at most.
    pub(super) fn round(&mut self, copies: &mut KeptCopies<'_>) {
        let outbox = copies.server.outbox();
        let now = Instant::now();
        while let Some(&(since, id)) = self.once_more.front()
            && now - since >= ONCE_MORE
        {
            self.once_more.pop_front();
            match self.members.get_mut(&id) {
                // More is submitted once what is under way has ended.
                Some(member) => member.is_done = false,
                None => self.enqueue(id),
            }
        }
        for id in outbox.engine().away().asked_for() {
            if outbox.cluster().is_some() {
                self.once_more.push_back((now, id));
            }
            let member = self.members.entry(id).or_default();
            member.is_done = false;
            match member.submitted.is_empty() {
                true => self.enqueue(id),
                false => member.asked_again = true,
            }
        }
        let started = Instant::now();
        while started.elapsed() < TIME_SLICE
            && let Some(id) = self.next.pop_front()
        {
            if !self.submit(copies, id) {
                self.next.push_front(id);
                return;
            }
        }
    }

    /// Whether more copies can be submitted at once.
    pub(super) fn has_more(&self, copies: &KeptCopies<'_>) -> bool {
        !self.next.is_empty() && has_room(copies)
    }

    fn enqueue(&mut self, id: u64) {
        let member = self.members.entry(id).or_default();
        if !member.is_next {
            member.is_next = true;
            self.next.push_back(id);
        }
    }

    /// Submits the oldest copies of a member. Says whether there is room for those of others.
    fn submit(&mut self, copies: &mut KeptCopies<'_>, id: u64) -> bool {
        let done = self.submit_window(copies, id);
        if let Err(error) = &done {
            copies.log_problem(error);
        }
        let has_room = *done.as_ref().unwrap_or(&true);
        if has_room && let Some(member) = self.members.get_mut(&id) {
            member.is_next = false;
            // After an error the member's next registration tries again.
            let is_over = member.is_done || member.is_away || done.is_err();
            match (member.submitted.is_empty(), is_over) {
                (true, true) => drop(self.members.remove(&id)),
                (true, false) => self.enqueue(id),
                (false, _) => {}
            }
        }
        has_room
    }

    /// Fills a member's window. `Ok(false)`: the queue has no room.
    fn submit_window(&mut self, copies: &mut KeptCopies<'_>, id: u64) -> Result<bool, String> {
        let member = self.members.entry(id).or_default();
        let submitted = member.submitted.len();
        if member.is_away {
            return Ok(true);
        }
        let mut kept = copies
            .oldest_of(id, WINDOW)
            .map_err(|error| error.to_string())?;
        kept.retain(|kept| !copies.is_submitted(kept.id));
        kept.truncate(WINDOW - submitted.min(WINDOW));
        let is_done = kept.is_empty();
        let now = milliseconds(SystemTime::now());
        for kept in kept {
            if !has_room(copies) {
                return Ok(false);
            }
            if kept.expires_at <= now {
                copies
                    .end_unsent(&kept, Reason::Expired)
                    .map_err(|error| error.to_string())?;
                continue;
            }
            let message = copies
                .reader()
                .and_then(|reader| reader.kept_message(kept.id))
                .map_err(|error| error.to_string())?;
            let Some(message) = message else {
                copies.end_unreadable(&kept);
                continue;
            };
            let group = &message.message.group;
            if !self.groups.has_group(group).map_err(|error| error.0)? {
                copies
                    .end_unsent(&kept, Reason::GroupDeleted)
                    .map_err(|error| error.to_string())?;
                continue;
            }
            match restore(copies.server, &message) {
                Ok(number) => {
                    let member = self.members.entry(id).or_default();
                    member.submitted.insert(kept.id, number);
                    copies.mark_submitted(kept.id);
                }
                Err(NotRestored::Damaged) => {
                    log::error!(
                        "ledger: dropping the copy kept for <{}>: it has no recipient",
                        Printable(&kept.address)
                    );
                    copies.end(kept.id);
                }
                Err(NotRestored::NoMemory | NotRestored::Blocked(_)) => return Ok(false),
            }
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.is_done = is_done;
        }
        Ok(true)
    }

    /// A submitted copy has ended. Says whether that is reported: not while the copy stays.
    pub(super) fn ended(&mut self, copies: &mut KeptCopies<'_>, outcome: &EndedCopy<'_>) -> bool {
        let kept = outcome.kept().cast_signed();
        let Some(id) = copies.server.member(outcome.fork().recipient) else {
            return true;
        };
        let stays = match outcome.outcome {
            Outcome::Delivered(_) => {
                copies
                    .server
                    .decider()
                    .counters()
                    .add(Counter::KeptDelivered);
                false
            }
            Outcome::Refused(code) | Outcome::Unreachable(code) => copies.policy.keeps(code),
            // Expiry reports those that expire.
            Outcome::Skipped(_) | Outcome::Expired | Outcome::Kept(_) => true,
        };
        if !stays {
            copies.end(kept);
        }
        let Some(member) = self.members.get_mut(&id) else {
            return !stays;
        };
        if member.submitted.remove(&kept).is_some() {
            copies.unmark_submitted(kept);
        }
        // A copy that expired in the queue says nothing about the member.
        let expires_at = outcome.submission().expires_at;
        let has_expired = outcome.outcome == Outcome::Expired
            && expires_at != 0
            && expires_at <= milliseconds(SystemTime::now());
        if stays && !has_expired && !member.is_away {
            member.is_away = true;
            let engine = copies.server.outbox().engine();
            for &number in member.submitted.values() {
                // A failure is logged there; the copy is then tried, too.
                let _ = engine.cancel(number);
            }
        }
        self.after_ended(id);
        !stays
    }

    /// What follows for a member one of whose copies has ended: more copies, a new start, or the end.
    fn after_ended(&mut self, id: u64) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let left = member.submitted.len();
        if left == 0 && (member.asked_again || member.is_away) {
            let asked_again = member.asked_again;
            let is_next = member.is_next;
            *member = Member {
                is_next,
                ..Member::default()
            };
            match asked_again || is_next {
                true => self.enqueue(id),
                false => drop(self.members.remove(&id)),
            }
        } else if left <= WINDOW / 2 && !member.is_away && !member.is_done {
            self.enqueue(id);
        } else if left == 0 {
            self.members.remove(&id);
        }
    }
}

/// Whether kept copies may take more of the queue: never so much that new messages find no room.
fn has_room(copies: &KeptCopies<'_>) -> bool {
    let load = copies.server.outbox().engine().load();
    load.memory_used < load.memory_free && copies.submitted() < copies.policy.under_way()
}

/// Puts a kept copy back into the queue, with the Date of its message; gives its message number there.
fn restore(server: &Server, kept: &KeptMessage) -> Result<u64, NotRestored> {
    let own = kept.recipient.get(0).ok_or(NotRestored::Damaged)?;
    let mut submission = kept.message.submission();
    submission.window = 1;
    let mut headers = Vec::new();
    if !has_date(submission.headers) && !has_date(own.headers) {
        let accepted = SystemTime::UNIX_EPOCH + Duration::from_millis(submission.accepted_at);
        headers.extend_from_slice(submission.headers);
        let date = format!("Date: {}\r\n", httpdate::fmt_http_date(accepted));
        headers.extend_from_slice(date.as_bytes());
        submission.headers = &headers;
    }
    let origin = Origin {
        number: Some(KEPT_COPY_NUMBER | kept.kept.id.cast_unsigned()),
        ledger: kept.message.id,
        kept: kept.kept.id.cast_unsigned(),
        first: kept.kept.recipient,
    };
    let engine = server.outbox().engine();
    let restored = engine.restore(&submission, || std::iter::once(own), origin, None)?;
    restored
        .map(|(number, _)| number)
        .ok_or(NotRestored::Damaged)
}

/// Whether there is a Date among header fields, each with its CRLF.
fn has_date(headers: &[u8]) -> bool {
    let mut lines = headers.split(|&byte| byte == b'\n');
    lines.any(|line| {
        let name = line.split(|byte| b": \t".contains(byte)).next();
        name.is_some_and(|name| name.eq_ignore_ascii_case(b"Date"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_found_however_it_is_written() {
        for headers in ["Date: x\r\n", "A: b\r\ndate\t:x\r\n", "DATE:x\r\nB: c\r\n"] {
            assert!(has_date(headers.as_bytes()), "{headers:?}");
        }
        for headers in [
            "",
            "Dated: x\r\n",
            "A: Date: x\r\n",
            "Subject: a\r\n Date: b\r\n",
        ] {
            assert!(!has_date(headers.as_bytes()), "{headers:?}");
        }
    }
}
