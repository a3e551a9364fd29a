//! Identifiers of forked processes differ: RFC 3261 §8.1.1.4, §8.1.1.7, §19.3.

// A test fails by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use cimf::control::{Identifiers, Token};
use cimf::server::RandomPool;
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;

const PROCESSES: usize = 4;
const DRAWS: usize = 25_000;

/// Draws in a forked child, which writes one identifier a line to the pipe.
fn draw(mut out: File) {
    let mut identifiers = RandomPool::new();
    let mut text = Vec::new();
    for _ in 0..DRAWS {
        for identifier in [
            identifiers.branch().as_bytes(),
            Token::<26>::spell(identifiers.random()).as_bytes(),
        ] {
            text.extend_from_slice(identifier);
            text.push(b'\n');
        }
    }
    out.write_all(&text).unwrap();
}

#[test]
fn four_forked_processes_draw_100_000_of_each_and_none_twice() {
    let mut children = Vec::new();
    for _ in 0..PROCESSES {
        let mut ends = [0; 2];
        // SAFETY: the array has room for both ends; the child only draws, writes and exits.
        unsafe {
            assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
            let child = libc::fork();
            assert!(child >= 0);
            if child == 0 {
                draw(File::from_raw_fd(ends[1]));
                libc::_exit(0);
            }
            libc::close(ends[1]);
            children.push((child, File::from_raw_fd(ends[0])));
        }
    }
    let mut seen = HashSet::new();
    for (child, mut end) in children {
        let mut text = String::new();
        end.read_to_string(&mut text).unwrap();
        let lines = text.lines().filter(|line| !seen.insert(line.to_string()));
        assert_eq!(lines.count(), 0, "an identifier was drawn twice");
        // SAFETY: the child is ours and is waited for once.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    }
    assert_eq!(seen.len(), 2 * PROCESSES * DRAWS);
    let branches = seen.iter().filter(|one| one.starts_with("z9hG4bK"));
    assert!(branches.count() >= PROCESSES * DRAWS);
}
