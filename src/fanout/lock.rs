//! The one lock of the engine: short, never held while a message is sent or copied.

#![forbid(unsafe_code)]

use super::shared_memory::{SharedMemory, word_of_this_process};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use rustix::thread::Timespec;
use rustix::thread::futex::{self, Flags};
use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// How often the lock is looked at before the kernel is asked to wait: for about as long as a holder
/// needs, a microsecond.
const SPINS: u32 = 100;
/// How often the processor is given away before that: to be woken costs the holder more than a look.
const YIELDS: u32 = 30;
/// How long to wait before it is asked whether the holder still exists.
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 10_000_000,
};
/// Set beside the holder's process id where somebody waits in the kernel.
const WANTED: u32 = 1 << 31;

/// The word of the lock, of which half is used: 0, or the process id of its holder.
pub(super) const LOCK: usize = 0;

/// The memory while no other process touches what the lock protects.
pub(super) struct Held<'a> {
    memory: &'a SharedMemory,
    /// Whether the reader of outcomes has something new to do.
    pub(super) news: Cell<bool>,
    /// This process.
    pub(super) process: u64,
    /// Whether the lock was taken from a process that died with it.
    pub(super) inherited: bool,
}

impl<'a> Held<'a> {
    /// Waits for the lock. It is taken from a holder only if that process does not exist any more.
    pub(super) fn take(memory: &'a SharedMemory) -> Self {
        let word = memory.half_word(LOCK);
        let own = process();
        let free = word.compare_exchange(0, own as u32, Acquire, Relaxed);
        let inherited = free.is_err() && wait(word, own as u32);
        Self {
            memory,
            news: Cell::new(false),
            process: own,
            inherited,
        }
    }

    /// The word at this index.
    #[inline]
    pub(super) fn get(&self, at: usize) -> u64 {
        self.memory.get(at)
    }

    /// Changes the word at this index.
    #[inline]
    pub(super) fn set(&self, at: usize, value: u64) {
        #[cfg(test)]
        death::come_nearer();
        self.memory.set(at, value);
    }

    /// Adds to the word at this index.
    #[inline]
    pub(super) fn add(&self, at: usize, amount: u64) {
        self.set(at, self.get(at).wrapping_add(amount));
    }

    /// Takes from the word at this index.
    #[inline]
    pub(super) fn subtract(&self, at: usize, amount: u64) {
        self.set(at, self.get(at).wrapping_sub(amount));
    }

    /// Both halves of the word at this index.
    #[inline]
    pub(super) fn pair(&self, at: usize) -> (u32, u32) {
        let word = self.get(at);
        (word as u32, (word >> 32) as u32)
    }

    /// Changes both halves of the word at this index.
    #[inline]
    pub(super) fn set_pair(&self, at: usize, low: u32, high: u32) {
        self.set(at, u64::from(low) | u64::from(high) << 32);
    }

    /// The word itself, for what is changed without the lock too.
    #[inline]
    pub(super) fn word(&self, at: usize) -> &'a AtomicU64 {
        &self.memory.words()[at]
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        #[cfg(test)]
        if death::has_come() {
            return;
        }
        let word = self.memory.half_word(LOCK);
        if word.swap(0, Release) & WANTED != 0 {
            // One is enough, it will wake the next. Should this process die here, it wakes by itself.
            let _ = futex::wake(word, Flags::empty(), 1);
        }
    }
}

/// The id of this process.
pub(super) fn process() -> u64 {
    #[cfg(test)]
    if let Some(process) = death::process() {
        return process;
    }
    let ask = || u64::from(std::process::id());
    // The kernel is asked once: the lock is taken several times for each fork.
    let Some(word) = word_of_this_process() else {
        return ask();
    };
    match word.load(Relaxed) {
        0 => {
            word.store(ask(), Relaxed);
            word.load(Relaxed)
        }
        known => known,
    }
}

/// Waits until the lock is ours; says whether it was taken from a holder that had died.
#[cold]
fn wait(word: &AtomicU32, own: u32) -> bool {
    for _ in 0..SPINS {
        if word.load(Relaxed) == 0 && word.compare_exchange(0, own, Acquire, Relaxed).is_ok() {
            return false;
        }
        std::hint::spin_loop();
    }
    for _ in 0..YIELDS {
        std::thread::yield_now();
        if word.load(Relaxed) == 0 && word.compare_exchange(0, own, Acquire, Relaxed).is_ok() {
            return false;
        }
    }
    loop {
        let holder = word.load(Relaxed);
        if holder == 0 {
            // Others may be waiting too.
            if word
                .compare_exchange(0, own | WANTED, Acquire, Relaxed)
                .is_ok()
            {
                return false;
            }
            continue;
        }
        let wanted = holder | WANTED;
        if holder != wanted
            && word
                .compare_exchange(holder, wanted, Relaxed, Relaxed)
                .is_err()
        {
            continue;
        }
        let waited = futex::wait(word, Flags::empty(), wanted, Some(&PATIENCE));
        // A holder needs a microsecond, unless it has lost its processor.
        if waited == Err(Errno::TIMEDOUT)
            && word.load(Relaxed) == wanted
            && is_gone(u64::from(holder & !WANTED))
            && word
                .compare_exchange(wanted, own | WANTED, Acquire, Relaxed)
                .is_ok()
        {
            return true;
        }
    }
}

/// Whether no process with this id runs: it does not exist, or has ended and nobody has asked how.
pub(super) fn is_gone(process: u64) -> bool {
    has_ended(process, Path::new("/proc"))
}

/// The kernel is asked first: below a changed root, or where processes are hidden from each other,
/// `proc` has nothing of a process that runs.
fn has_ended(process: u64, proc: &Path) -> bool {
    let id = i32::try_from(process).ok().and_then(Pid::from_raw);
    if id.is_none_or(|id| test_kill_process(id) == Err(Errno::SRCH)) {
        return true;
    }
    let stat = std::fs::read_to_string(proc.join(format!("{process}/stat")));
    // The state stands behind the name, which is in parentheses and may have others in it.
    stat.is_ok_and(|stat| {
        let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
        state.is_some_and(|state| state.starts_with(['Z', 'X']))
    })
}

/// Lets a thread of a test be a process that dies while it holds the lock.
#[cfg(test)]
pub(super) mod death {
    use std::cell::Cell;

    /// No process has such an id.
    const PROCESS: u64 = i32::MAX as u64;

    thread_local! {
        static CHANGES_LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    }

    /// From now on this thread is a process that dies with that many changes of words.
    pub(in super::super) fn after(changes: u32) {
        CHANGES_LEFT.set(Some(changes));
    }

    /// This thread is itself again; says whether death had come.
    pub(in super::super) fn over() -> bool {
        let came = has_come();
        CHANGES_LEFT.set(None);
        came
    }

    /// How many words this thread has changed since [`after`] was given the most there are.
    pub(in super::super) fn changes() -> u32 {
        u32::MAX - CHANGES_LEFT.get().unwrap_or(u32::MAX)
    }

    pub(super) fn come_nearer() {
        if let Some(left) = CHANGES_LEFT.get() {
            CHANGES_LEFT.set(Some(left.saturating_sub(1)));
            if left == 1 {
                std::panic::resume_unwind(Box::new("dead"));
            }
        }
    }

    pub(super) fn has_come() -> bool {
        CHANGES_LEFT.get() == Some(0)
    }

    pub(super) fn process() -> Option<u64> {
        CHANGES_LEFT.get().map(|_| PROCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_that_runs_is_not_gone_where_there_is_no_proc() {
        // A proxy with a changed root has no /proc: its processes must not rob each other.
        let own = u64::from(std::process::id());
        for proc in ["/proc", "/nowhere"] {
            assert!(!has_ended(own, Path::new(proc)), "{proc}");
        }
    }

    #[test]
    fn a_process_that_has_ended_is_gone() {
        let mut child = Command::new("true").spawn().unwrap();
        let id = u64::from(child.id());
        // Nobody has asked how it ended.
        while !has_ended(id, Path::new("/proc")) {
            std::thread::yield_now();
        }
        assert!(!has_ended(id, Path::new("/nowhere")));
        child.wait().unwrap();
        for proc in ["/proc", "/nowhere"] {
            assert!(has_ended(id, Path::new(proc)), "{proc}");
        }
    }
}
