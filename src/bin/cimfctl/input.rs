//! Bytes and text from standard input, files and pipes.

use crate::failure::{Failure, unreadable};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads a file, a pipe such as a shell makes of `<(…)`, or with `-` standard input; at most `limit` bytes.
pub fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let more = limit as u64 + 1;
    if path == Path::new("-") {
        let input = io::stdin().lock();
        let read = input.take(more).read_to_end(&mut bytes);
        read.map_err(Failure::Input)?;
    } else {
        let mut read = || -> io::Result<()> {
            let file = File::open(path)?;
            if file.metadata()?.is_dir() {
                return Err(io::Error::other("expected a file, found a folder"));
            }
            file.take(more).read_to_end(&mut bytes)?;
            Ok(())
        };
        read().map_err(|error| unreadable(path.display(), &error))?;
    }
    match bytes.len() > limit {
        true => Err(Failure::Document(format!(
            "{}: expected at most {limit} bytes, found more",
            name(path)
        ))),
        false => Ok(bytes),
    }
}

/// What stands for a source in messages.
pub fn name(path: &Path) -> String {
    match path == Path::new("-") {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    }
}

/// Standard input as text.
pub fn standard_text() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(Failure::Input)?;
    check_utf8(&bytes)
        .map_err(|problem| Failure::Document(format!("standard input: {problem}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Checks that bytes are text in UTF-8; otherwise gives the line that is not, and what to do.
pub fn check_utf8(bytes: &[u8]) -> Result<(), String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(
            "line 1: expected text in UTF-8, found UTF-16; convert it first: `iconv -f UTF-16 -t UTF-8 FILE`"
                .to_owned(),
        );
    }
    let good = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    let nul = memchr::memchr(0, &bytes[..good]);
    let at = nul.unwrap_or(good);
    let Some(found) = bytes.get(at) else {
        return Ok(());
    };
    let line = 1 + memchr::memchr_iter(b'\n', &bytes[..at]).count();
    let meant = match found {
        0 => "in UTF-16, convert it first: `iconv -f UTF-16LE -t UTF-8 FILE`",
        _ => "in Latin-1, as of Windows, convert it first: `iconv -f WINDOWS-1252 -t UTF-8 FILE`",
    };
    Err(format!(
        "line {line}: expected text in UTF-8, found the byte {found:#04x}; if it is {meant}"
    ))
}

#[cfg(test)]
mod tests {
    use super::check_utf8;

    #[test]
    fn text_in_another_encoding_is_told_with_its_line_and_what_to_do() {
        for (bytes, start, program) in [
            (
                &b"a\nb\nM\xfcller\n"[..],
                "line 3: ",
                "iconv -f WINDOWS-1252",
            ),
            (b"\xff\xfea\0\n\0", "line 1: ", "iconv -f UTF-16 "),
            (b"a\0\n\0b\0", "line 1: ", "iconv -f UTF-16LE"),
            (b"a\n\xff", "line 2: ", "iconv -f WINDOWS-1252"),
        ] {
            let error = check_utf8(bytes).err().unwrap_or_default();
            assert!(
                error.starts_with(start) && error.contains(program),
                "{error}"
            );
        }
        assert_eq!(check_utf8("M\u{fc}ller\n".as_bytes()), Ok(()));
    }
}
