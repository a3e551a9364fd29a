//! The journal of an earlier version, with messages that it had promised to send. It is not read
//! here: the start says what to do, so that nobody is forgotten.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

/// Bytes of a segment without any record.
const EMPTY: u64 = 28;

/// A folder `journal` beside the ledger that has segments with records.
pub fn find(ledger: &Path) -> Option<PathBuf> {
    let folder = ledger.with_file_name("journal");
    let has_records = folder.read_dir().ok()?.flatten().any(|file| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        let is_segment = name.starts_with("segment-") && name.ends_with(".journal");
        is_segment && file.metadata().is_ok_and(|found| found.len() > EMPTY)
    });
    has_records.then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn a_journal_with_records_is_found_and_an_empty_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger.db");
        assert_eq!(find(&ledger), None);
        let journal = folder.path().join("journal");
        std::fs::create_dir(&journal).unwrap();
        std::fs::write(journal.join("lock"), [0; 100]).unwrap();
        let segment = journal.join("segment-0000000001-00000000deadbeef.journal");
        std::fs::write(&segment, [0; 28]).unwrap();
        assert_eq!(find(&ledger), None);
        std::fs::write(&segment, [0; 29]).unwrap();
        assert_eq!(find(&ledger), Some(journal));
    }
}
