//! Accepted messages on their way out, in memory that all processes share: the whole that is put together from the parts.
//!
//! | part | what it owns |
//! |---|---|
//! | `locked_queue` | the memory, its lock, and what is left to the next holder |
//! | `scheduler` | which copy goes next: the tables of transactions, targets, originators, groups, names |
//! | `room` | memory for messages, and budgets |
//! | `reporter` | how the process wakes that reports outcomes |
//! | `commit` | what workers hand to the process that writes the ledger |
//! | `away` | members who are away |
//!
//! Room for a message and its budgets are taken before its 202 ([`Engine::reserve`]); after the 202 it
//! is started, and whoever has time asks for the next fork ([`Engine::next`]), hands it to the proxy and
//! reports what became of it. Every recipient ends exactly once, and one process reads the outcomes
//! ([`Engine::next_event`]). The states of a message are in `scheduler`.
//!
//! One short lock protects lists and counters. It is never held while a message is copied or sent.

#![forbid(unsafe_code)]

use super::arena::Arena;
use super::attempt::Attempt;
use super::away_members::Away;
use super::blocked::Blocked;
use super::budget::Budget;
use super::clock::Clock;
use super::commit::{Commits, Committed, Committer, NotCommitted, Notes};
use super::counters::Counters;
use super::deferred::{Deferred, MessageWork, TransactionWork};
use super::groups::Groups;
use super::held_up::HeldUp;
use super::kept::InQueue;
use super::keys::Keys;
use super::layout::{HEAD, map};
use super::lock::blocked;
use super::locked_queue::LockedQueue;
use super::member_queue::MemberQueues;
use super::names::{Names, Question};
use super::node_lease::NodeLease;
use super::originators::Originators;
use super::outcomes::Event;
use super::overview::{self, Cancelled, Fanout, Load};
use super::pipe::Pipe;
use super::proxy_memory::{CopyMemory, ProxyMemory};
use super::queue_reasons::NoRoom;
use super::recipient::Outcome;
use super::reporter::Reporter;
use super::resolving::{self, NotResolved};
use super::restore::{self, NotRestored, Origin};
use super::room::Room;
use super::scheduler::Scheduler;
use super::silent_copies;
use super::silent_targets::SilentTargets;
use super::submission::Submission;
use super::targets::Targets;
use super::tick;
use super::ticket::Ticket;
use super::transactions::{self, Transactions};
use super::under_way::UnderWay;
use super::waker::Waker;
use crate::config::Settings;
use crate::control::Own;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Words of a mebibyte.
const MEBIBYTE: usize = (1 << 20) / size_of::<u64>();

/// The engine, made before the workers are forked.
#[derive(Debug)]
pub struct Engine {
    pub(super) queue: LockedQueue,
    clock: Clock,
    commits: Commits,
    away: Away,
    node: NodeLease,
}

impl Engine {
    /// An engine with nothing to do. `key` keeps strangers from choosing where in a table they are.
    pub fn new(limits: Settings, key: [u8; 16], counters: Arc<Counters>) -> io::Result<Self> {
        let keys = Keys(key);
        let budget = Budget(HEAD);
        let silent_targets = SilentTargets(budget.0 + Budget::WORDS);
        let names_start = silent_targets.0 + SilentTargets::WORDS;
        let names = Names::new(names_start);
        let transactions = Transactions(names_start + Names::WORDS);
        let deferred = Deferred {
            start: transactions.0 + transactions::MOST * transactions::WORDS,
            transactions,
        };
        let at_once = (limits.forks_in_flight as usize).min(transactions::MOST);
        let words = limits.queue_memory as usize * MEBIBYTE;
        let for_queues = if limits.target_order { words } else { 0 };
        let targets = Targets::new(deferred.start + Deferred::WORDS, at_once, for_queues);
        let messages = limits.queue_messages as usize;
        let originators = Originators::new(targets.end(), messages, at_once);
        let groups = Groups(originators.end());
        let member_queues = MemberQueues::new(groups.0 + Groups::WORDS, for_queues);
        let start = groups.0 + Groups::WORDS + member_queues.words();
        let arena = Arena { start, words };
        // Links have 32 bits.
        if u32::try_from(start + arena.words).is_err() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let room = Room::new(&limits, keys, budget, arena);
        let scheduler = Scheduler {
            limits,
            keys,
            transactions,
            targets,
            originators,
            groups,
            member_queues,
            silent_targets,
            names,
            copy_memory: CopyMemory::default(),
            counters,
        };
        let queue = LockedQueue {
            memory: map(start + arena.words - HEAD)?,
            scheduler,
            room,
            deferred,
            reporter: Reporter::new()?,
            resolver: Waker::new()?,
        };
        queue.with(|held| {
            arena.prepare(held);
            let limit = &held.root.flow.transaction_limit;
            limit.set(held, transactions::MOST as u64);
        });
        Ok(Self {
            queue,
            clock: Clock::new(),
            commits: Commits::new()?,
            away: Away::new()?,
            node: NodeLease::new()?,
        })
    }

    /// Milliseconds by the engine's clock, which nobody sets.
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Who keeps the lock from all others, if they have waited for long.
    pub fn blocked(&self) -> Option<Blocked> {
        blocked(&self.queue.memory)
    }

    /// How many transactions of the proxy may be in use at once.
    pub fn set_transaction_limit(&self, limit: usize) {
        let limit = limit.clamp(1, transactions::MOST) as u64;
        self.queue
            .with(|held| held.root.flow.transaction_limit.set(held, limit));
    }

    /// Leaves this much of the proxy's shared memory alone from now on, in all processes that are forked afterwards.
    /// Only the first call counts.
    pub fn leave_memory(&self, memory: ProxyMemory) {
        let copy_memory = &self.queue.scheduler.copy_memory;
        if copy_memory.set(memory) {
            copy_memory.ask(&self.queue.memory, || self.now());
        }
    }

    /// Takes room and budgets for a message (S-5), to be done before its 202. `recipients` gives the
    /// recipients, the same each time; `now` is by the engine's clock. A ticket that is dropped gives
    /// everything back.
    pub fn reserve<'s, I: Iterator<Item = Own<'s>>>(
        &self,
        submission: &Submission<'_>,
        recipients: impl Fn() -> I,
        now: u64,
    ) -> Result<Ticket<'_>, NoRoom> {
        Ticket::reserve(&self.queue, submission, recipients, now)
    }

    /// Starts a message that was answered. Its forks are sent by whoever asks for the next ones.
    pub fn start(&self, ticket: Ticket<'_>) -> u64 {
        ticket.start(MessageWork::Start)
    }

    /// Starts a message that was answered and is not to be sent: its recipients end as cancelled, and
    /// no process sends to any of them meanwhile.
    pub fn start_cancelled(&self, ticket: Ticket<'_>) {
        ticket.start(MessageWork::StartCancelled);
    }

    /// The next fork to send, if one may be sent now: of the message whose turn it is.
    pub fn next(&self, now: impl Fn() -> u64) -> Option<Attempt<'_>> {
        let may_send = self.node.holds();
        may_send.then(|| Attempt::next(&self.queue, now)).flatten()
    }

    /// A fork has its final response, or none in time (408). What is stale or repeated is ignored.
    pub fn completed(&self, cookie: u64, code: u16) {
        let work = TransactionWork::Completed(code);
        self.queue.do_or_defer(cookie, work);
    }

    /// The same, and gives the next fork to send as [`Engine::next`] does.
    pub fn completed_then_next(
        &self,
        cookie: u64,
        code: u16,
        now: impl Fn() -> u64,
    ) -> Option<Attempt<'_>> {
        if !self.node.holds() {
            self.completed(cookie, code);
            return None;
        }
        Attempt::next_after(&self.queue, cookie, code, now)
    }

    /// The proxy has given back the memory of a fork's transaction. What is stale or repeated is
    /// ignored.
    pub fn released(&self, cookie: u64) {
        self.queue.do_or_defer(cookie, TransactionWork::Released);
    }

    /// Lets copies count as silent that are older than `patience`, and their messages go on: the caller asks for the
    /// next copy afterwards. To be called some times a second by the process that reports outcomes. Gives a message
    /// whose members have had to wait behind silent copies, or still have to.
    pub fn look_for_silent(&self, now: u64) -> Option<HeldUp> {
        silent_copies::look_for_silent(&self.queue, now)
    }

    /// What is done by the clock, to be called about once a second by the process that reports
    /// outcomes, and when it is woken: ends what has expired or was cancelled, and takes back what
    /// a process that died was about to send. While a process keeps the lock from the others, nothing is
    /// done, and the log says so.
    pub fn tick(&self, now: u64) {
        // Told by the log; the next tick does it.
        let _ = tick::tick(&self.queue, now);
    }

    /// What is to be reported next, if anything; nothing while a process keeps the lock from the others. For
    /// one process only, which reports each before it asks for the next.
    pub fn next_event(&self) -> Option<Event<'_>> {
        Event::next(&self.queue)
    }

    /// Whether outcomes of recipients that have got their message are reported one by one from now on, in
    /// all processes; at first they are. Else they are counted, and the last of a message may be reported.
    pub fn report_delivered(&self, wanted: bool) {
        let unreported = &self.queue.root().flow.delivered_unreported;
        unreported.store(u64::from(!wanted), Relaxed);
    }

    /// Waits until an outcome can be reported, or for as long as `patience`. For the one process that
    /// reports them.
    pub fn wait(&self, patience: Duration) {
        self.queue.reporter.wait(self.queue.root(), patience);
    }

    /// What can be read when an outcome can be reported, for a process that waits for other things too. It
    /// calls [`Engine::wait`] then.
    pub fn news(&self) -> BorrowedFd<'_> {
        self.queue.reporter.descriptor()
    }

    /// Makes [`Engine::news`] readable.
    pub fn call_again(&self) {
        self.queue.reporter.wake_again();
    }

    /// The message at a place that [`EndedCopy::place`](super::EndedCopy::place) gave, which is pinned as long as this
    /// is there; nothing if it is not there any more. It needs no lock: that outcome has pinned the message.
    pub fn in_queue(&self, place: u64) -> Option<InQueue<'_>> {
        InQueue::at(&self.queue, place)
    }

    /// How much is under way. It needs no lock, so that it is known even while a process keeps that from
    /// the others; what it keeps them from doing is not counted.
    pub fn load(&self) -> Load {
        Load::of(&self.queue, || self.now())
    }

    /// What is under way, oldest first, but for kept copies that are sent later.
    pub fn fanouts(&self) -> Result<Vec<Fanout>, Blocked> {
        Fanout::all(&self.queue)
    }

    /// The messages that are under way, oldest first.
    pub fn under_way(&self) -> Result<Vec<UnderWay<'_>>, Blocked> {
        UnderWay::all(&self.queue)
    }

    /// Sends no more forks of a message: who has got none is skipped. Gives nothing if there is no such
    /// message.
    pub fn cancel(&self, message: u64) -> Result<Option<Cancelled>, Blocked> {
        overview::cancel(&self.queue, message)
    }

    /// Lets go a message that another node sends: no more forks of it are sent, and the ledger is told nothing more of it.
    /// Says whether there is such a message.
    pub fn let_go(&self, message: u64) -> Result<bool, Blocked> {
        overview::let_go(&self.queue, message)
    }

    /// Gives no message a number up to this one.
    pub fn skip_numbers(&self, last: u64) {
        restore::skip_numbers(&self.queue, last);
    }

    /// Takes up a message again, at the start or later. `ended` are the recipients, by the numbers that they have
    /// in the message, whose outcomes were reported before. All others may have got the message already: they get
    /// it with the same Call-ID, and a 482 means that they had it. Gives the number of the message and how many
    /// are left, or nothing if nobody is.
    pub fn restore<'s, I: Iterator<Item = Own<'s>>>(
        &self,
        submission: &Submission<'_>,
        recipients: impl Fn() -> I,
        origin: Origin,
        ended: impl IntoIterator<Item = (u32, Outcome)>,
    ) -> Result<Option<(u64, usize)>, NotRestored> {
        let (queue, clock) = (&self.queue, self.clock);
        restore::restore(queue, clock, submission, recipients, origin, ended)
    }

    /// A datagram socket on which something waits when there is a question.
    pub fn questions(&self) -> BorrowedFd<'_> {
        self.queue.resolver.descriptor()
    }

    /// The next name to be asked. For the one process that asks.
    pub fn next_question(&self) -> Option<Question> {
        resolving::next_question(&self.queue)
    }

    /// A name leads to these addresses, best first, for so long. A port of 0 is that of the transport.
    pub fn name_leads(
        &self,
        question: &Question,
        addresses: &[SocketAddr],
        time_to_live: Duration,
        now: u64,
    ) {
        resolving::name_leads(&self.queue, question, addresses, time_to_live, now);
    }

    /// A name could not be resolved. Those end whose message was accepted `queue_lifetime` ago, if the name
    /// could not be resolved for as long; gives the millisecond at which it is to be asked again, if there
    /// are others.
    pub fn name_fails(&self, question: &Question, why: NotResolved, now: u64) -> Option<u64> {
        resolving::name_fails(&self.queue, question, why, now)
    }

    /// The next hop of a fork in flight has given no answer of its own, or could not be reached. If a name leads
    /// there and to others, the next copies go to another one (RFC 3263 §4.3).
    pub fn next_hop_failed(&self, cookie: u64) {
        resolving::next_hop_failed(&self.queue, cookie);
    }

    /// Hands a message over to the ledger process, under this number of the ledger, and waits until it is
    /// committed. Without that the ticket is gone, and what it had taken is given back.
    pub fn commit<'e>(
        &'e self,
        ticket: Ticket<'e>,
        id: u64,
        patience: Duration,
        notes: &impl Notes,
    ) -> Result<Ticket<'e>, NotCommitted> {
        self.commits.commit(ticket, id, patience, notes)
    }

    /// Withdraws a message that was committed and then not answered. If no slot is free it is sent after the next
    /// start; says whether that is so.
    pub fn withdraw_committed(&self, ticket: Ticket<'_>, notes: &impl Notes) -> bool {
        self.commits.withdraw(ticket, notes)
    }

    /// For the one process that writes the ledger.
    pub fn committer(&self) -> Committer<'_> {
        self.commits.committer(&self.queue)
    }

    /// Makes the ledger process look at the pipe.
    pub fn wake_committer(&self) {
        self.commits.wake();
    }

    /// What that process has done.
    pub fn committed(&self) -> Committed {
        self.commits.figures()
    }

    /// What the process that tells outcomes has for the ledger.
    pub fn pipe(&self) -> &Pipe {
        &self.commits.pipe
    }

    /// The lease of this node, where several share a ledger.
    pub fn node(&self) -> &NodeLease {
        &self.node
    }

    /// What is known of members who are away.
    pub fn away(&self) -> &Away {
        &self.away
    }
}
