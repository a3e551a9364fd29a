//! Members who are away (`away=keep`), in the process that reports outcomes: which copies are kept, which are sent
//! when their member registers, and which expire.
//!
//! ```text
//!   ended with one of away_codes ──► written to the ledger ──► committed: `kept` ──► registered ──► sent again
//!                                          │                                              ▲             │
//!                                          └─ not in time: `undelivered`                  └─── away ────┤
//!                                                             expired, displaced, dropped ◄──           │
//!                                                                              delivered ◄──────────────┘
//! ```

#![forbid(unsafe_code)]

mod copies;
mod delivery;
mod expiry;
mod keeping;

pub use copies::EndedUnsent;
pub use keeping::{LateCommit, Reporting};

use crate::fanout::Event;
use crate::server::Server;
use copies::KeptCopies;
use delivery::Delivery;
use expiry::Expiry;
use keeping::Keeping;

/// What the process knows of members who are away.
pub struct Away<'s> {
    copies: KeptCopies<'s>,
    keeping: Keeping<'s>,
    delivery: Delivery,
    expiry: Expiry,
}

impl<'s> Away<'s> {
    /// For the one process that reports outcomes, after it was forked; `None` unless `away=keep`.
    pub fn new(server: &'s Server) -> Option<Self> {
        Some(Self {
            copies: KeptCopies::new(server)?,
            keeping: Keeping::default(),
            delivery: Delivery::new(server),
            expiry: Expiry::default(),
        })
    }

    /// Whether so many events wait for the ledger that no others may be taken from the queue.
    pub fn is_full(&self) -> bool {
        self.keeping.is_full()
    }

    /// Ends copies that expired or were dropped, and submits those of members who have registered.
    pub fn round(&mut self) {
        self.expiry.round(&mut self.copies);
        self.delivery.round(&mut self.copies);
    }

    /// Whether copies can be submitted at once.
    pub fn has_more(&self) -> bool {
        self.delivery.has_more(&self.copies)
    }

    /// Takes an event and says when it is reported.
    pub fn event(&mut self, event: Event<'s>) -> Reporting<'s> {
        match &event {
            Event::Ended(outcome) if outcome.kept() != 0 => {
                match self.delivery.ended(&mut self.copies, outcome) {
                    true => self.keeping.in_order(event),
                    false => Reporting::Never,
                }
            }
            Event::Finished(finished) if finished.kept() != 0 => Reporting::Never,
            _ => self.keeping.event(&mut self.copies, event),
        }
    }

    /// The next event that has waited long enough for the ledger. With a [`LateCommit`] it is reported as undelivered
    /// and then given to [`Away::late_reported`].
    pub fn next_ready(&mut self) -> Option<(Event<'s>, Option<LateCommit>)> {
        self.keeping.next_ready(&mut self.copies)
    }

    /// Takes back an event that was reported as undelivered because the ledger was late.
    pub fn late_reported(&mut self, event: Event<'s>, late: LateCommit) {
        self.keeping.late_reported(event, late);
    }

    /// Has the ledger read what was written.
    pub fn flush(&mut self) {
        self.copies.flush();
        self.keeping.end_late(&mut self.copies);
    }

    /// Takes the kept copies that ended without being sent, to report them.
    pub fn take_unsent(&mut self) -> Vec<EndedUnsent> {
        self.copies.take_unsent()
    }
}
