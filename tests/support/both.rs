//! A file and a PostgreSQL that get the same commands of cimfctl, and say and do the same.

use crate::support::built::cimfctl_fed;
use crate::support::postgres::Postgres;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub struct Both {
    pub postgres: Postgres,
    pub folder: TempDir,
}

impl Both {
    /// Both, with their tables.
    #[track_caller]
    pub fn new() -> Self {
        let both = Self {
            postgres: Postgres::start(),
            folder: tempfile::tempdir().expect("a folder"),
        };
        both.run("init");
        both
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("cimf.db")
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Writes a file; gives its path.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), text).expect("a file");
        self.path(name)
    }

    /// Runs a command on both; gives what it says on standard output and then on standard error.
    #[track_caller]
    pub fn run(&self, words: &str) -> String {
        self.run_words(&split(words))
    }

    #[track_caller]
    pub fn run_words(&self, words: &[&str]) -> String {
        let (_, said, complained) = self.outcome(words, "");
        said + &complained
    }

    /// Exit status, standard output and standard error of a command that gets `input`.
    #[track_caller]
    pub fn outcome(&self, words: &[&str], input: &str) -> (Option<i32>, String, String) {
        let url = self.postgres.url();
        // What stands for the file in texts.
        let shown = url.replace(":s3cret", ":***");
        let file = self.file();
        let [here, there] = [&file, Path::new(&url)].map(|db| {
            let output = cimfctl_fed(db, words, input);
            let text = |bytes: &[u8]| {
                let text = String::from_utf8_lossy(bytes).into_owned();
                assert!(!text.contains("s3cret"), "{words:?}: {text}");
                let text = text.replace(&shown, "DB");
                let text = text.replace(&file.display().to_string(), "DB");
                without_times(&text)
            };
            let (said, complained) = (text(&output.stdout), text(&output.stderr));
            (output.status.code(), said, complained)
        });
        assert_eq!(here, there, "{words:?}");
        here
    }

    /// Standard output of a command that succeeds and complains of nothing.
    #[track_caller]
    pub fn done(&self, words: &str, input: &str) -> String {
        let (status, said, complained) = self.outcome(&split(words), input);
        assert_eq!((status, complained.as_str()), (Some(0), ""), "{words}");
        said
    }

    /// The same for JSON, which has times in it: those of the file.
    #[track_caller]
    pub fn json(&self, words: &str, input: &str) -> String {
        let words = split(words);
        let url = self.postgres.url();
        let [here, there] = [&self.file(), Path::new(&url)].map(|db| {
            let output = cimfctl_fed(db, &words, input);
            assert!(output.status.success(), "{words:?}: {output:?}");
            String::from_utf8(output.stdout).expect("UTF-8")
        });
        assert_eq!(without_times(&here), without_times(&there), "{words:?}");
        here
    }

    /// What a command complains of that is refused.
    #[track_caller]
    pub fn refused(&self, words: &str, input: &str) -> String {
        let (status, said, complained) = self.outcome(&split(words), input);
        assert_eq!((status, said.as_str()), (Some(1), ""), "{words}");
        complained
    }

    /// The last revision of both: another one after each change.
    pub fn revisions(&self) -> (i64, String) {
        let file = rusqlite::Connection::open(self.file()).expect("the file");
        let sql = "SELECT latest FROM revision";
        let here = file.query_row(sql, [], |row| row.get(0)).expect("a row");
        (here, self.postgres.psql("SELECT latest FROM cimf.revision"))
    }
}

fn split(words: &str) -> Vec<&str> {
    words.split(' ').collect()
}

/// The time of a change is another one in each.
fn without_times(text: &str) -> String {
    let is_time = |line: &str| line.starts_with("changed ") || line.contains("\"changed\":");
    let lines = text.split_inclusive('\n').filter(|line| !is_time(line));
    lines.collect()
}
