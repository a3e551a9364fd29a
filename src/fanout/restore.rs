//! A message that was kept on disk is taken up again after the proxy was started anew.

#![forbid(unsafe_code)]

use super::block::Block;
use super::engine::Engine;
use super::layout::{MESSAGES_LENGTH, NUMBER};
use super::ramp;
use super::recipient::{self, Ending};
use std::fmt;

/// Why a message was not taken up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRestored {
    /// The record is none, or of another version.
    Damaged,
    /// There is no memory for it.
    NoMemory,
}

impl fmt::Display for NotRestored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged => "its record is damaged, or of another version of cimf",
            Self::NoMemory => "queue_memory is too small for it",
        })
    }
}

impl Engine {
    /// Gives no message a number up to this one.
    pub fn skip_numbers(&self, last: u64) {
        self.with(|held| held.set(NUMBER, held.get(NUMBER).max(last)));
    }

    /// Takes up a message again from [`Ticket::record`](super::Ticket::record). `ended` are the
    /// recipients, by number, whose outcomes were told before. All others may have got the message
    /// already: they get it with the same Call-ID, and a 482 means that they had it. Gives the number
    /// of the message and how many are left, or nothing if nobody is. To be done before anything is
    /// accepted.
    pub fn restore(
        &self,
        record: &[u8],
        ended: impl IntoIterator<Item = (u32, Ending)>,
    ) -> Result<Option<(u64, usize)>, NotRestored> {
        let words = Block::words_of(record).ok_or(NotRestored::Damaged)?;
        let at = self.with(|held| {
            let at = self.arena.allocate(held, words);
            held.add(MESSAGES_LENGTH, u64::from(at.is_some()));
            at
        });
        let at = at.ok_or(NotRestored::NoMemory)?;
        let own = self.block(at);
        let is_sound = own.read(record);
        let ended = ended.into_iter();
        self.with(|held| {
            let mut left = own.count();
            if is_sound {
                for number in 0..own.count() {
                    held.set(own.entry(number) + 1, 0);
                    recipient::set_repeated(held, own.entry(number));
                }
                for (number, ending) in ended.filter(|(number, _)| (*number as usize) < own.count())
                {
                    let entry = own.entry(number as usize);
                    if recipient::ending(held, entry).is_none() {
                        recipient::end(held, entry, ending);
                        recipient::set_told(held, entry);
                        self.tally_up(held, at, ending);
                        left -= 1;
                    }
                }
                held.set(NUMBER, held.get(NUMBER).max(own.number()));
            }
            if !is_sound || left == 0 {
                held.subtract(MESSAGES_LENGTH, 1);
                self.arena.free(held, at);
                return if is_sound {
                    Ok(None)
                } else {
                    Err(NotRestored::Damaged)
                };
            }
            self.publish(held, at, left as u32);
            ramp::prepare(held);
            Ok(Some((own.number(), left)))
        })
    }
}
