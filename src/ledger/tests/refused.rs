//! Files that cannot be the ledger of this proxy.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn refused(path: &Path) -> String {
    LedgerFile::open(path).unwrap_err().to_string()
}

#[test]
fn a_file_is_created_with_its_folder_for_owner_and_group() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cimf/ledger.db");
    let file = LedgerFile::open(&path).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o640);
    assert_eq!(mode(path.parent().unwrap()), 0o750);
    let _ledger = file.writer().unwrap();
    assert_eq!(mode(&folder.path().join("cimf/ledger.db-wal")), 0o640);
}

#[test]
fn a_relative_path_is_refused() {
    for path in ["ledger.db", "", "./cimf/ledger.db"] {
        assert_eq!(
            refused(Path::new(path)),
            format!(
                "{path}: expected an absolute path, such as /var/lib/cimf/ledger.db: a relative one depends \
                 on where the proxy is started"
            )
        );
    }
}

#[test]
fn a_folder_that_cannot_be_created_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/ledger.db");
    assert_eq!(
        refused(&path),
        format!(
            "{}: its folder is missing and cannot be created (No such file or directory (os error 2)); create \
             it, and make the proxy's user its owner with `chown`",
            path.display()
        )
    );
}

#[test]
fn a_file_that_is_not_a_ledger_is_refused_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let foreign = format!(
        "{}: expected a ledger made by cimf, found the file of another program, or not a SQLite file; check \
         the path, or move that file away",
        path.display()
    );
    let text = "This is a letter and no database. ".repeat(100);
    fs::write(&path, &text).unwrap();
    assert_eq!(refused(&path), foreign);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    fs::remove_file(&path).unwrap();

    let groups = Connection::open(&path).unwrap();
    groups
        .execute_batch("PRAGMA application_id = 0x43494D46; CREATE TABLE im_group (uri TEXT)")
        .unwrap();
    drop(groups);
    let before = fs::read(&path).unwrap();
    assert_eq!(refused(&path), foreign);
    assert_eq!(fs::read(&path).unwrap(), before);
    fs::remove_file(&path).unwrap();

    fs::create_dir(&path).unwrap();
    assert_eq!(
        refused(&path),
        format!(
            "{}: expected a SQLite file, found a folder or a device",
            path.display()
        )
    );
}

#[test]
fn a_later_version_is_refused_and_unchanged() {
    let mut rig = Rig::new();
    rig.write(&[promise(1)]);
    rig.sql("PRAGMA user_version = 99");
    let (folder, path) = rig.left();
    let expected = format!(
        "{}: expected version 1 of the tables, found 99; it was made by a later version of cimf, install that version",
        path.display()
    );
    assert_eq!(refused(&path), expected);
    assert_eq!(SqliteReader::open(&path).unwrap_err().to_string(), expected);
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA user_version = 1")
        .unwrap();
    assert_eq!(Rig::at(folder).ids(), [1]);
}

#[test]
fn a_damaged_file_is_refused_and_unchanged() {
    let mut rig = Rig::new();
    let body = vec![b'x'; 50_000];
    for id in 1..=4 {
        let large = Promise {
            submission: Submission {
                body: &body,
                ..submission(id)
            },
            ..message(id)
        };
        rig.write(&[Entry::Promise(Box::new(large))]);
    }
    let (_folder, path) = rig.left();
    drop(LedgerFile::open(&path).unwrap());
    let mut bytes = fs::read(&path).unwrap();
    // Overwrites all tables and indices, but not the page that identifies a ledger.
    bytes[4096..16 * 4096].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let error = refused(&path);
    let (start, end) = (
        format!("{}: it is damaged (", path.display()),
        format!(
            "), and messages that were promised may be in it; with the proxy stopped, copy {0} and {0}-wal to a \
             safe place, and run `sqlite3 COPY .recover | sqlite3 NEW`, or move them away to start empty",
            path.display()
        ),
    );
    assert!(error.starts_with(&start), "{error}");
    assert!(error.ends_with(&end), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_log_without_its_file_is_not_deleted() {
    let mut rig = Rig::new();
    rig.write(&[promise(1)]);
    let (folder, path) = rig.left();
    let aside = folder.path().join("aside.db");
    fs::rename(&path, &aside).unwrap();
    let file = path.display();
    assert_eq!(
        refused(&path),
        format!(
            "{file}: there is no such file, but its log {file}-wal exists and may hold messages that were \
             promised; put the file back beside it, or remove {file}-wal and {file}-shm to start empty"
        )
    );
    fs::rename(&aside, &path).unwrap();
    assert_eq!(Rig::at(folder).ids(), [1]);
}

#[test]
fn a_file_in_use_is_refused_until_the_last_process_has_closed_it() {
    let rig = Rig::new();
    let expected = rig.text(&format!(
        "another proxy, or a process left over from one, is using it (`fuser {}` names it); stop that \
         one, or give this proxy a ledger of its own",
        rig.path.display()
    ));
    assert_eq!(refused(&rig.path), expected);
    // A symbolic link to it is refused as well.
    let link = rig.folder.path().join("link.db");
    std::os::unix::fs::symlink(&rig.path, &link).unwrap();
    assert!(refused(&link).contains("is using it"));
    let (_folder, path) = rig.left();
    LedgerFile::open(&path).unwrap();
}

#[test]
fn a_reader_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let missing = format!(
        "{}: there is no such file; check the path, or restore it",
        path.display()
    );
    assert_eq!(SqliteReader::open(&path).unwrap_err().to_string(), missing);
    let error = LedgerFile::open_existing(&path).unwrap_err();
    assert_eq!(error.to_string(), missing);
    fs::write(&path, "").unwrap();
    assert_eq!(
        SqliteReader::open(&path).unwrap_err().to_string(),
        format!(
            "{}: expected a ledger, found a file without tables; check the path",
            path.display()
        )
    );
}
