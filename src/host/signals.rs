//! Signals, which are for the proxy's own threads.

/// Keeps all signals from the calling thread: they go to another one of the process.
pub fn block() {
    // SAFETY: the set is filled before it is used, and only this thread's mask changes.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
    }
}

/// Does `work` with all signals blocked, in the threads too that it starts and leaves.
pub fn away<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: the set is filled in by the system, and only this thread's mask changes.
    let before = unsafe {
        let mut before = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &mut before);
        before
    };
    block();
    let done = work();
    // SAFETY: the set is what this thread's mask was before.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut()) };
    done
}
