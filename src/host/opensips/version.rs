//! Which version of OpenSIPS has loaded the module.

use super::abi::{ScmVersion, Version};
use crate::host::symbol::find;
use std::ffi::{CStr, c_char};

/// The versions whose structures are known.
const KNOWN: [(u32, u32); 6] = [(3, 2), (3, 3), (3, 4), (3, 5), (3, 6), (4, 0)];

/// What the core's own modules claim, which is what the loader compares.
pub enum Claim {
    /// Until 3.3.
    Plain(Version),
    /// Since 3.4.
    Scm(ScmVersion),
}

/// The start of `struct module_exports`, in all versions.
#[repr(C)]
struct Head {
    name: *const c_char,
    module_type: i32,
    version: *const c_char,
    compile_flags: *const c_char,
    scm_type: *const c_char,
    scm_revision: *const c_char,
}

fn udp() -> Option<&'static Head> {
    // SAFETY: the symbol is the constant `struct module_exports` of a module inside the core.
    unsafe { find(c"proto_udp_exports")?.cast::<Head>().as_ref() }
}

/// The same in words, for whoever has another one. `concat!` takes literals only.
macro_rules! known {
    () => {
        "OpenSIPS 3.2 to 3.6 or 4.0"
    };
}

/// What is expected.
pub const EXPECTED: &str = known!();

/// Claimed in a version that is not known: the loader says that it does not match and stops, before it
/// reads our tables, which may have another form there.
const FOR: &str = concat!("for ", known!(), "\0");

/// What the module claims too.
pub fn claim() -> Option<Claim> {
    let udp = udp()?;
    let version = Version {
        version: match number() {
            Ok(_) => udp.version,
            Err(_) => FOR.as_ptr().cast(),
        },
        compile_flags: udp.compile_flags,
    };
    Some(match find(c"core_scm_ver") {
        None => Claim::Plain(version),
        Some(_) => Claim::Scm(ScmVersion {
            version,
            scm_type: udp.scm_type,
            scm_revision: udp.scm_revision,
        }),
    })
}

/// The three numbers of the running version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(pub u32, pub u32, pub u32);

/// The running version, if it is one whose structures are known, or why not.
pub fn number() -> Result<Number, String> {
    let text = udp().map(|udp| {
        // SAFETY: the text is a constant of the core and ends with NUL.
        unsafe { CStr::from_ptr(udp.version) }.to_string_lossy()
    });
    let text = text.unwrap_or_default();
    match parse(&text) {
        Some(number) if KNOWN.contains(&(number.0, number.1)) => Ok(number),
        _ => Err(format!(
            "this is \"{text}\", whose structures are not known: expected {EXPECTED}"
        )),
    }
}

/// The numbers in `opensips 3.6.8 (x86_64/linux)`.
fn parse(text: &str) -> Option<Number> {
    let version = text.split_whitespace().nth(1)?;
    let mut numbers = version.split(['.', '-']);
    let mut number = || numbers.next()?.parse().ok();
    Some(Number(number()?, number()?, number().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::{EXPECTED, KNOWN, Number, parse};

    #[test]
    fn the_words_and_the_manual_name_the_versions_that_are_known() {
        assert_eq!(KNOWN, [(3, 2), (3, 3), (3, 4), (3, 5), (3, 6), (4, 0)]);
        assert_eq!(EXPECTED, "OpenSIPS 3.2 to 3.6 or 4.0");
        let words = EXPECTED.replace(" or ", " and ");
        for manual in [
            include_str!("../../../README.md"),
            include_str!("../../../docs/opensips.md"),
        ] {
            assert!(manual.contains(&words), "no `{words}`");
        }
    }

    #[test]
    fn the_numbers_of_a_version_are_read() {
        let number = |text| parse(text).map(|Number(a, b, c)| (a, b, c));
        assert_eq!(number("opensips 3.6.8 (x86_64/linux)"), Some((3, 6, 8)));
        assert_eq!(number("opensips 3.4.0-rc1 (x86_64/linux)"), Some((3, 4, 0)));
        assert_eq!(number("opensips 4.0-dev (x86_64/linux)"), Some((4, 0, 0)));
        assert_eq!(number("opensips"), None);
        assert_eq!(number(""), None);
    }
}
