//! Processes that a test forks and waits for.

/// Runs `work` in a forked process, which ends with it: with 1 if it panicked.
pub fn fork(work: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the child works on memory that it shares or owns, takes no lock that another thread of this process may
    // hold, and exits without returning.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0);
        if child == 0 {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            libc::_exit(i32::from(result.is_err()));
        }
        child
    }
}

/// Waits for a process that was forked, once; gives its status as `waitpid` does.
pub fn wait_for(child: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: the child is ours and is waited for once.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    status
}
