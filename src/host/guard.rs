//! No panic may reach the proxy: crossing the boundary to C would abort the whole proxy. And none may
//! leave a process that the proxy forked for cimf: it would continue as a second main process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::exit;

/// Runs `work`; after a panic it logs that and returns `otherwise`.
pub fn guarded<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        log::error!(
            "internal error, please report it: {}",
            text.unwrap_or("a panic")
        );
        otherwise
    })
}

/// Runs `work` in a process that was forked for it, and ends the process with it, whatever happens.
/// `work` returns the reason of its end.
pub fn confined(work: impl FnOnce() -> String) -> ! {
    /// Ends the process even if this function unwinds.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            exit(1);
        }
    }
    let _end = End;
    let why = guarded("an internal error".to_owned(), work);
    log::error!("the process of cimf has ended: {why}");
    exit(1)
}

#[cfg(test)]
mod tests {
    use super::{confined, guarded};
    use std::process::Command;

    /// Tells this test that it is the forked process, and how its work ends.
    const ENDING: &str = "CIMF_TEST_ENDING";

    #[test]
    fn a_process_that_was_forked_for_its_work_never_leaves_it() {
        if let Ok(ending) = std::env::var(ENDING) {
            // The proxy calls the module like this, and then continues as the main process.
            guarded((), || {
                confined(|| match ending.as_str() {
                    "panic" => panic!("half-way through"),
                    reason => reason.to_owned(),
                })
            });
            std::process::exit(77);
        }
        for ending in ["panic", "no journal"] {
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--nocapture"])
                .arg("host::guard::tests::a_process_that_was_forked_for_its_work_never_leaves_it")
                .env(ENDING, ending)
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(1), "{ending}: {output:?}");
        }
    }
}
