//! Parameters of URIs, the same in all schemes: `;name` or `;name=value`, each once.

use super::Malformed;
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

/// Checks `parameters`, which begin at `start` in `text`; empty ones are skipped. `wrong` says where in a piece its
/// name or its value is not what the scheme allows, and what was expected.
pub(super) fn check_parameters(
    part: &'static str,
    text: &[u8],
    start: usize,
    parameters: &[u8],
    wrong: impl Fn(&[u8], Option<&[u8]>) -> Option<(usize, &'static str)>,
) -> Result<(), Malformed> {
    let pieces = || parameters.split(|&byte| byte == b';');
    let mut at = start;
    for (index, piece) in pieces().enumerate() {
        if index == MAX_PARAMETERS {
            return Err(Malformed::at(part, text, at, "at most 32 parameters"));
        }
        if !piece.is_empty() {
            let (name, value) = split_value(piece);
            if let Some((offset, expected)) = wrong(name, value) {
                return Err(Malformed::at(part, text, at + offset, expected));
            }
            let mut earlier = pieces().take(index).map(split_value);
            if earlier.any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                return Err(Malformed::at(part, text, at, "each parameter only once"));
            }
        }
        at += piece.len() + 1;
    }
    Ok(())
}
