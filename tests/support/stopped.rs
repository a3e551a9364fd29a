//! A process that takes the lock of an engine over and over, and is stopped with it by a real SIGSTOP.

use cimf::fanout::Engine;
use std::time::{Duration, Instant};

/// No process has it for as long as this.
const PATIENCE: Duration = Duration::from_secs(60);

/// The process. It is stopped all the time, mostly without the lock.
pub struct Stopped {
    process: libc::pid_t,
}

impl Stopped {
    /// Forks it. What it does with the lock changes nothing: it sets the limit that there is.
    pub fn new(engine: &Engine, cell_limit: usize) -> Self {
        // SAFETY: the child works on memory that it shares, and never returns; it ends with the thread
        // that has forked it.
        let process = unsafe {
            let process = libc::fork();
            assert!(process >= 0);
            if process == 0 {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                loop {
                    engine.set_transaction_limit(cell_limit);
                }
            }
            process
        };
        let stopped = Self { process };
        stopped.stop();
        stopped.let_go(engine);
        stopped
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.process.unsigned_abs()
    }

    fn signal(&self, signal: libc::c_int) {
        // SAFETY: the child is ours and was not waited for.
        assert_eq!(unsafe { libc::kill(self.process, signal) }, 0);
    }

    fn stop(&self) {
        self.signal(libc::SIGSTOP);
        let mut status = 0;
        // SAFETY: the child is ours, and the status goes where the pointer says.
        let changed = unsafe { libc::waitpid(self.process, &mut status, libc::WUNTRACED) };
        assert!(changed == self.process && libc::WIFSTOPPED(status));
    }

    /// Whether it has the lock: then somebody who needs it waits in vain.
    fn has_lock(&self, engine: &Engine) -> bool {
        engine.released(0);
        engine.blocked().is_some()
    }

    /// Goes on until it is stopped with the lock, or without.
    fn until(&self, engine: &Engine, with_lock: bool) {
        let begin = Instant::now();
        while self.has_lock(engine) != with_lock {
            self.signal(libc::SIGCONT);
            std::thread::yield_now();
            self.stop();
            assert!(begin.elapsed() < PATIENCE, "with the lock: {with_lock}");
        }
    }

    /// Stops it while it has the lock.
    pub fn keep_lock(&self, engine: &Engine) {
        self.until(engine, true);
        let blocked = engine.blocked().map(|blocked| blocked.process);
        assert_eq!(blocked, Some(self.id()));
    }

    /// Lets it give the lock back.
    pub fn let_go(&self, engine: &Engine) {
        self.until(engine, false);
    }
}

/// It is killed where it is.
impl Drop for Stopped {
    fn drop(&mut self) {
        // SAFETY: the child is ours and is waited for once.
        unsafe {
            libc::kill(self.process, libc::SIGKILL);
            libc::waitpid(self.process, std::ptr::null_mut(), 0);
        }
    }
}
