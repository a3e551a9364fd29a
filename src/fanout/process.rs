//! Which process it is: its process id and, as such an id is used again when a process has ended, a tag
//! made of the time at which it was started.

#![forbid(unsafe_code)]

use super::shared_memory::word_of_this_process;
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use std::fmt;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

/// Bits of a process id: Linux gives no higher one (`PID_MAX_LIMIT`).
const ID_BITS: u32 = 22;
const ID_MASK: u32 = (1 << ID_BITS) - 1;
/// Bits of the tag. Of 255 processes that get the id of a dead one, one has its tag, too.
const TAG_BITS: u32 = 8;
const TAG_MASK: u32 = (1 << TAG_BITS) - 1;
/// The bits that are used.
pub(super) const BITS: u32 = ID_BITS + TAG_BITS;

/// A process that shares our memory, in 30 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process(u32);

impl Process {
    /// None at all: it has always ended.
    pub(super) const NONE: Self = Self(0);

    /// This one.
    #[inline]
    pub(super) fn this() -> Self {
        #[cfg(test)]
        if let Some(process) = super::lock::death::process() {
            return process;
        }
        // The kernel is asked once: the lock is taken several times for each fork.
        let Some(word) = word_of_this_process() else {
            return Self::of(std::process::id(), 0);
        };
        match word.load(Relaxed) {
            0 => {
                let own = Self::ask(Path::new("/proc"));
                word.store(u64::from(own.0), Relaxed);
                own
            }
            known => Self(known as u32),
        }
    }

    #[cold]
    fn ask(proc: &Path) -> Self {
        let id = std::process::id();
        let own = Stat::read(proc, id);
        Self::of(id, own.map_or(0, |stat| stat.tag()))
    }

    fn of(id: u32, tag: u32) -> Self {
        Self(id & ID_MASK | (tag & TAG_MASK) << ID_BITS)
    }

    /// As a number with [`BITS`] bits.
    #[inline]
    pub(super) fn to_bits(self) -> u32 {
        self.0
    }

    /// What [`Process::to_bits`] gave; higher bits do not count.
    pub(super) fn from_bits(bits: u32) -> Self {
        Self(bits & ((1 << BITS) - 1))
    }

    /// Its process id.
    pub(super) fn id(self) -> u32 {
        self.0 & ID_MASK
    }

    /// Whether it runs no more: there is no process with its id, that one is a zombie, or it was
    /// started at another time.
    pub(super) fn has_ended(self) -> bool {
        self.has_ended_by(Path::new("/proc"))
    }

    /// The kernel is asked first: below a changed root, or where processes are hidden from each other,
    /// `proc` has nothing of a process that runs.
    fn has_ended_by(self, proc: &Path) -> bool {
        let id = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        if id.is_none_or(|id| test_kill_process(id) == Err(Errno::SRCH)) {
            return true;
        }
        let tag = self.0 >> ID_BITS & TAG_MASK;
        Stat::read(proc, self.id())
            .is_some_and(|stat| stat.is_zombie || tag != 0 && stat.tag() != tag)
    }
}

/// The process id, as administrators look for it.
impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id().fmt(f)
    }
}

/// What the kernel says of a process.
struct Stat {
    is_zombie: bool,
    /// The tick of its start, counted from the start of the system.
    started: u64,
}

impl Stat {
    fn read(proc: &Path, id: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(proc.join(format!("{id}/stat"))).ok()?;
        // The fields from the third on stand behind the name, which is in parentheses and may have
        // others in it.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace();
        Some(Self {
            is_zombie: fields.next()?.starts_with(['Z', 'X']),
            started: fields.nth(18)?.parse().ok()?,
        })
    }

    /// Never 0, which says that the start is not known.
    fn tag(&self) -> u32 {
        (self.started % u64::from(TAG_MASK)) as u32 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// A file system of processes with one that was started at this tick.
    fn proc(id: u32, started: u64) -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        let own = proc.path().join(id.to_string());
        std::fs::create_dir(&own).unwrap();
        let between = "0 ".repeat(18);
        let stat = format!("{id} (a name) with) parentheses) S {between}{started} 0 0\n");
        std::fs::write(own.join("stat"), stat).unwrap();
        proc
    }

    #[test]
    fn a_process_that_runs_has_not_ended_where_there_is_no_proc() {
        // A proxy with a changed root has no /proc: its processes must not rob each other.
        for proc in ["/proc", "/nowhere"] {
            assert!(!Process::this().has_ended_by(Path::new(proc)), "{proc}");
        }
        let unknown = Process::ask(Path::new("/nowhere"));
        assert!(!unknown.has_ended());
    }

    #[test]
    fn a_process_that_has_ended_has() {
        let mut child = Command::new("true").spawn().unwrap();
        let process = Process::of(child.id(), 0);
        // Nobody has asked how it ended.
        while !process.has_ended() {
            std::thread::yield_now();
        }
        assert!(!process.has_ended_by(Path::new("/nowhere")));
        child.wait().unwrap();
        for proc in ["/proc", "/nowhere"] {
            assert!(process.has_ended_by(Path::new(proc)), "{proc}");
        }
        assert!(Process::NONE.has_ended());
    }

    #[test]
    fn another_process_with_the_id_of_one_that_has_ended_is_not_that_one() {
        let id = std::process::id();
        let process = Process::ask(proc(id, 5_000).path());
        assert_eq!(process.id(), id);
        assert!(!process.has_ended_by(proc(id, 5_000).path()));
        assert!(process.has_ended_by(proc(id, 5_001).path()));
        assert!(process.has_ended_by(proc(id, 9_999_999_999).path()));
    }

    #[test]
    fn this_process_knows_its_start() {
        assert_ne!(Process::this().to_bits() >> ID_BITS, 0);
        assert_eq!(
            Process::from_bits(Process::this().to_bits()),
            Process::this()
        );
    }
}
