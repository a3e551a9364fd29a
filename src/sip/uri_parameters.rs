//! Parameters of URIs, the same in all schemes.

use super::text::find;

/// More parameters than any URI has: each is compared with all others.
pub(super) const MAX_PARAMETERS: usize = 32;

/// Whether `name` is one of `names`, in any case.
pub(super) fn is_one_of(names: &[&[u8]], name: &[u8]) -> bool {
    names.iter().any(|one| one.eq_ignore_ascii_case(name))
}

pub(super) fn split_value(piece: &[u8]) -> (&[u8], Option<&[u8]>) {
    match find(b'=', piece) {
        Some(at) => (&piece[..at], Some(&piece[at + 1..])),
        None => (piece, None),
    }
}
