//! Which failed recipients the log names. An unreachable group of ten thousand must not fill the disk,
//! but one reason must not hide another: otherwise somebody who provokes refusals could hide all other
//! failures.

#![forbid(unsafe_code)]

use crate::fanout::Outcome;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Lines per second, whatever the reasons.
const LINES: u32 = 20;
/// Further lines per second, each for the first recipient with a new answer: members choose their
/// answers, so these must be limited as well.
const ANSWERS: u32 = 20;

/// The log lines about failed recipients in the current second.
#[derive(Debug)]
pub(super) struct Failures {
    begun: Instant,
    lines: u32,
    /// Lines logged only because they were the first for an answer.
    answers: u32,
    left_out: u32,
    seen: HashSet<Outcome>,
}

impl Failures {
    /// Starts a second at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            begun: now,
            lines: 0,
            answers: 0,
            left_out: 0,
            seen: HashSet::new(),
        }
    }

    /// Starts a new second if the current one is over; returns how many recipients were omitted in it,
    /// if any.
    pub(super) fn end_second(&mut self, now: Instant) -> Option<u32> {
        if now.duration_since(self.begun) < Duration::from_secs(1) {
            return None;
        }
        let left_out = self.left_out;
        *self = Self::new(now);
        (left_out > 0).then_some(left_out)
    }

    /// Whether a recipient with this outcome may be logged.
    pub(super) fn has_room(&mut self, ending: Outcome) -> bool {
        let is_first = self.seen.insert(ending);
        if self.lines < LINES {
            self.lines += 1;
            return true;
        }
        let has_room = match ending {
            Outcome::Refused(_) => is_first && self.answers < ANSWERS,
            _ => is_first,
        };
        match (has_room, ending) {
            (true, Outcome::Refused(_)) => self.answers += 1,
            (true, _) => {}
            (false, _) => self.left_out += 1,
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fanout::SkipReason;

    #[test]
    fn each_reason_has_a_line_in_each_second() {
        // S-2.
        let begin = Instant::now();
        let mut failures = Failures::new(begin);
        let refused = (0..5000).filter(|_| failures.has_room(Outcome::Refused(486)));
        assert_eq!(refused.count(), 20);
        let full = Outcome::Skipped(SkipReason::TargetQueueFull);
        for ending in [full, Outcome::Expired, Outcome::Unreachable(408)] {
            assert!(failures.has_room(ending));
            assert!(!failures.has_room(ending));
        }
        assert_eq!(failures.end_second(begin), None);
        let later = begin + Duration::from_secs(1);
        assert_eq!(failures.end_second(later), Some(4983));
        assert_eq!(failures.end_second(later + Duration::from_secs(1)), None);
        assert!(failures.has_room(full));
    }

    #[test]
    fn answers_that_all_differ_do_not_fill_the_log() {
        let mut failures = Failures::new(Instant::now());
        let lines = (300..700).filter(|&code| failures.has_room(Outcome::Refused(code)));
        assert_eq!(lines.count(), 40);
        assert!(failures.has_room(Outcome::Unreachable(408)));
    }
}
