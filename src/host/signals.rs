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
