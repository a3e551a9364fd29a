//! A disk that loses what was not synced, and one that hangs: tests/support/unsynced.c in the proxy remembers what
//! each write to the ledger has replaced until it is synced.

use super::durable;
use crate::support::client::Transport;
use crate::support::rig::Setup;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What becomes of the writes that were not synced.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    /// None has reached the disk.
    All,
    /// The later ones have, the earlier ones have not.
    First,
    /// The disk had begun with each.
    Garbage,
}

/// One write that was not synced: its place, and what was there before.
struct Write {
    at: u64,
    length: u64,
    before: Vec<u8>,
    size: u64,
}

/// A proxy with a ledger on such a disk, and where that is.
pub fn on_a_lossy_disk(transport: Transport) -> (Setup, PathBuf) {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (made, library) = (
            folder.join(format!("unsynced-{}.so", std::process::id())),
            folder.join("unsynced.so"),
        );
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/unsynced.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .args([&made, &source])
            .arg("-ldl")
            .status();
        assert!(compiled.expect("cc").success());
        std::fs::rename(&made, &library).expect("the library");
        library
    });
    let (setup, ledger) = durable(transport);
    // Behind what is loaded first already, as a sanitizer's runtime has to be.
    let others = std::env::var("LD_PRELOAD").unwrap_or_default();
    let variables = [
        format!("LD_PRELOAD={others} {}", library.display()),
        format!("CIMF_UNSYNCED={}", ledger.display()),
    ];
    let setup = setup.run_by(&["env", &variables[0], &variables[1]]);
    (setup, ledger)
}

/// Lets no sync of a ledger come to an end.
pub fn hold(ledger: &Path) {
    File::create(beside(ledger, ".hold")).expect("a file");
}

/// Lets syncs come to an end again.
pub fn release(ledger: &Path) {
    std::fs::remove_file(beside(ledger, ".hold")).expect("a file");
}

/// A file whose name is that of the ledger and more.
pub fn beside(ledger: &Path, more: &str) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(more);
    name.into()
}

/// Takes from the ledger of a dead proxy what no sync has brought to the disk; says how many bytes.
pub fn lose(ledger: &Path, loss: Loss) -> u64 {
    let mut lost = 0;
    for (log, file) in [(".0", ""), (".1", "-wal")] {
        let log = beside(ledger, log);
        let Ok(file) = OpenOptions::new()
            .read(true)
            .write(true)
            .open(beside(ledger, file))
        else {
            continue;
        };
        let writes = unsynced(&log);
        lost += writes.iter().map(|write| write.length).sum::<u64>();
        match loss {
            Loss::All => writes.iter().rev().for_each(|write| undo(&file, write)),
            Loss::First => {
                let first = writes.len() / 2;
                let size = file.metadata().expect("its size").len();
                writes[..first]
                    .iter()
                    .rev()
                    .for_each(|write| undo(&file, write));
                file.set_len(size).expect("its size");
            }
            Loss::Garbage => {
                for write in &writes {
                    let length = write.length.min(1 << 20) as usize;
                    let garbage: Vec<u8> = (0..length).map(|byte| (byte * 31) as u8).collect();
                    file.write_all_at(&garbage, write.at).expect("garbage");
                }
            }
        }
        std::fs::remove_file(&log).expect("the log");
    }
    // It is in memory, which a power cut takes first.
    let _ = std::fs::remove_file(beside(ledger, "-shm"));
    lost
}

fn undo(file: &File, write: &Write) {
    file.write_all_at(&write.before, write.at).expect("a write");
    file.set_len(write.size).expect("its size");
}

/// The writes that were not synced, in their order.
fn unsynced(log: &Path) -> Vec<Write> {
    let file = File::open(log).expect("the log of writes");
    let word = |at: u64| {
        let mut word = [0; 8];
        file.read_exact_at(&mut word, at).expect("the log");
        u64::from_le_bytes(word)
    };
    let end = 8 + word(0);
    let (mut at, mut writes) = (8, Vec::new());
    while at < end {
        let [place, length, before, size] = [0, 8, 16, 24].map(|field| word(at + field));
        let mut bytes = vec![0; before as usize];
        file.read_exact_at(&mut bytes, at + 32).expect("the log");
        writes.push(Write {
            at: place,
            length,
            before: bytes,
            size,
        });
        at += 32 + before;
    }
    writes
}
