//! What a power cut may do to SQLite's files: whatever was not synced is lost, torn, zeroed or garbled.
//!
//! In the log that is all behind the last frame of the last synced commit. In the file it is each page that
//! stands in the log before that: a checkpoint writes such pages, and the log does not begin anew before the
//! file was synced. All else that is in the file was synced.

use super::processes::Dice;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// Whether this process has synced anything since it was looked last.
static SYNCED: AtomicBool = AtomicBool::new(false);

/// Takes the place of the C library's, for SQLite too, so that a commit without a sync is safe for nobody.
#[unsafe(no_mangle)]
extern "C" fn fsync(file: libc::c_int) -> libc::c_int {
    SYNCED.store(true, SeqCst);
    // SAFETY: what the C library's function does.
    unsafe { libc::syscall(libc::SYS_fsync, file) as libc::c_int }
}

/// See [`fsync`].
#[unsafe(no_mangle)]
extern "C" fn fdatasync(file: libc::c_int) -> libc::c_int {
    SYNCED.store(true, SeqCst);
    // SAFETY: what the C library's function does.
    unsafe { libc::syscall(libc::SYS_fdatasync, file) as libc::c_int }
}

/// Whether this process has synced anything since this was asked last.
pub fn has_synced() -> bool {
    SYNCED.swap(false, SeqCst)
}

const LOG_HEAD: u64 = 32;
const FRAME_HEAD: u64 = 24;
const PAGE: u64 = 4096;

/// What becomes of the bytes that were not synced.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    Nothing,
    Cut,
    Zeros,
    Garbage,
    /// Some pages of the log were written and others not.
    Holes,
}

pub const LOSSES: [Loss; 5] = [
    Loss::Nothing,
    Loss::Cut,
    Loss::Zeros,
    Loss::Garbage,
    Loss::Holes,
];

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

/// Takes away what no sync has brought to the disk. The log has `synced` frames that are safe. Gives how many
/// bytes of the log and how many pages of the file it has spoilt.
pub fn cut(path: &Path, synced: u64, loss: Loss, dice: &mut Dice) -> (u64, u64) {
    if matches!(loss, Loss::Nothing) {
        return (0, 0);
    }
    let log = OpenOptions::new().read(true).write(true).open(log_of(path));
    let Ok(log) = log else { return (0, 0) };
    let pages = spoil_pages(path, &log, synced, loss, dice);
    let safe = match synced {
        0 => 0,
        _ => LOG_HEAD + synced * (FRAME_HEAD + PAGE),
    };
    let length = log.metadata().unwrap().len();
    let rest = length.saturating_sub(safe);
    match loss {
        Loss::Nothing => {}
        Loss::Cut => log.set_len(safe.min(length)).unwrap(),
        Loss::Zeros => log.write_all_at(&vec![0; rest as usize], safe).unwrap(),
        Loss::Garbage => {
            let garbage: Vec<u8> = (0..rest).map(|byte| (byte * 31) as u8).collect();
            log.write_all_at(&garbage, safe).unwrap();
        }
        Loss::Holes => {
            for at in (safe..length).step_by(512) {
                if dice.roll(2) == 0 {
                    let hole = 512.min(length - at) as usize;
                    log.write_all_at(&vec![0; hole], at).unwrap();
                }
            }
        }
    }
    (rest, pages)
}

/// Spoils some of the pages of the file that stand among the safe frames of the log.
fn spoil_pages(path: &Path, mut log: &File, synced: u64, loss: Loss, dice: &mut Dice) -> u64 {
    let mut bytes = Vec::new();
    log.read_to_end(&mut bytes).unwrap();
    let Some(salts) = bytes.get(16..24) else {
        return 0;
    };
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    let frames = bytes[LOG_HEAD as usize..].chunks_exact((FRAME_HEAD + PAGE) as usize);
    let mut spoilt = 0;
    for frame in frames.take(synced as usize) {
        // Of this log, and not of the one before.
        assert_eq!(&frame[8..16], salts);
        let page = u64::from(u32::from_be_bytes(frame[..4].try_into().unwrap()));
        let start = (page - 1) * PAGE;
        if start < length && dice.roll(2) == 0 {
            let filler = if matches!(loss, Loss::Zeros) { 0 } else { 0xa5 };
            file.write_all_at(&[filler; PAGE as usize / 2], start)
                .unwrap();
            spoilt += 1;
        }
    }
    spoilt
}
