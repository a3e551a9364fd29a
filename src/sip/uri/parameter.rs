//! What the parameters of SIP and tel URIs have in common.

use crate::sip::text::find;

/// More parameters than any URI has: each is compared with all others.
pub(in crate::sip) const MAX_PARAMETERS: usize = 32;

/// The name of a parameter, and its value if it has one.
pub(super) fn split_value(piece: &[u8]) -> (&[u8], Option<&[u8]>) {
    match find(b'=', piece) {
        Some(at) => (&piece[..at], Some(&piece[at + 1..])),
        None => (piece, None),
    }
}

/// Whether `name` is one of `names`, in any case.
pub(in crate::sip) fn is_one_of(names: &[&[u8]], name: &[u8]) -> bool {
    names.iter().any(|one| one.eq_ignore_ascii_case(name))
}
