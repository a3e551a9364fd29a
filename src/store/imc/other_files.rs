//! Files that are given in place of a dump, by what they start with.

use super::imc_error::ImcError;

/// What a file starts with, and what it is then.
const OTHERS: [(&[u8], &str); 6] = [
    (
        b"PGDMP",
        "pg_dump's custom format (-Fc); make the plain one with `pg_dump -Fp -t imc_rooms -t imc_members DATABASE`, or of this file with `pg_restore -f imc.sql FILE`",
    ),
    (
        b"toc.dat\0",
        "pg_dump's tar format (-Ft); make the plain one with `pg_dump -Fp -t imc_rooms -t imc_members DATABASE`, or of this file with `pg_restore -f imc.sql FILE`",
    ),
    (
        b"\x1f\x8b",
        "a file of gzip; unpack it first: `gunzip -c FILE | cimfctl import --imc -`",
    ),
    (
        b"SQLite format 3\0",
        "a SQLite file, which has to be named: `cimfctl import --imc FILE`",
    ),
    (
        b"\xff\xfe",
        "UTF-16; convert it first: `iconv -f UTF-16 -t UTF-8 FILE`",
    ),
    (
        b"\xfe\xff",
        "UTF-16; convert it first: `iconv -f UTF-16 -t UTF-8 FILE`",
    ),
];

/// Refuses what is known not to be a dump as text.
pub(super) fn check_text(dump: &[u8]) -> Result<(), ImcError> {
    let found = OTHERS.iter().find(|(start, _)| dump.starts_with(start));
    match found {
        Some((_, what)) => Err(ImcError::NoDump(what)),
        None => Ok(()),
    }
}
