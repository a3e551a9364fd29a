//! Whether a line tells what was done, or what would be without --dry-run.

/// Done, or only rehearsed.
#[derive(Clone, Copy)]
pub enum Tense {
    Done,
    Would,
}

impl Tense {
    pub fn of(dry_run: bool) -> Self {
        match dry_run {
            true => Self::Would,
            false => Self::Done,
        }
    }

    /// `done`, or "would" and `verb`.
    pub fn tell(self, done: &str, verb: &str) -> String {
        match self {
            Self::Done => done.to_owned(),
            Self::Would => format!("would {verb}"),
        }
    }
}
