//! No panic reaches a proxy: across the boundary to C it would end the whole proxy. And none leads out of a process
//! that the proxy has forked for us: it would go on as a second main process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::exit;

/// Runs `work`, and logs a panic and gives `otherwise` instead.
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

/// Runs the life of a process that was forked for it, which ends with it, whatever happens. `work` says why it has
/// ended.
pub fn confined(work: impl FnOnce() -> String) -> ! {
    /// Ends the process where something unwinds even from here.
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

    /// Says to this test that it is the forked process, and how its work ends.
    const ENDING: &str = "CIMF_TEST_ENDING";

    #[test]
    fn a_process_that_was_forked_for_its_work_never_leaves_it() {
        if let Ok(ending) = std::env::var(ENDING) {
            // As the proxy calls us, and then goes on with what the main process does.
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
