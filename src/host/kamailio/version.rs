//! Which version of Kamailio has loaded the module.

use super::abi::SrModule;
use crate::host::symbol::{find_in, function, text};
use std::ffi::{CStr, CString, c_char};

/// The versions in which the whole conformance suite has passed, and whose structures are therefore known.
pub const KNOWN: [(u32, u32); 5] = [(5, 6), (5, 7), (5, 8), (6, 0), (6, 1)];

/// The same in words, for whoever has another one. `concat!` takes literals only.
macro_rules! known {
    () => {
        "Kamailio 5.6 to 5.8, 6.0 or 6.1"
    };
}

/// What is expected.
pub const EXPECTED: &str = known!();

/// Claimed in a version that is not known: the loader says that it does not match, names both and stops, before it
/// reads our tables.
const FOR: &str = concat!("for ", known!(), "\0");

/// What the module claims to be built for: version and compile flags. It was built for none; in a known version it
/// claims those of the core that loads it.
pub fn claim() -> Option<(*const c_char, *const c_char)> {
    let mut needed = [c"tm", c"sl", c"pv"].into_iter();
    let (version, flags) = needed.find_map(of_module).or_else(of_core)?;
    Some(match known() {
        Ok(()) => (version, flags),
        Err(_) => (FOR.as_ptr().cast(), flags),
    })
}

/// What a module claims that is loaded already, and that the loader has therefore found right. The
/// modules that this one needs come before it in every script that works, and their texts are those that
/// the loader compares: in Debian's Kamailio 6.1 the core's own `ver_flags` are not.
fn of_module(name: &CStr) -> Option<(*const c_char, *const c_char)> {
    type FindModule = unsafe extern "C" fn(*const c_char) -> *const SrModule;
    // SAFETY: the function has this signature in all versions, and the name ends with NUL. The
    // module stays loaded, and both symbols are pointers to texts that end with NUL.
    unsafe {
        let find_module = function::<FindModule>(c"find_module_by_name").ok()?;
        let module = find_module(name.as_ptr()).as_ref()?;
        let text = |name| Some(*find_in(module.handle, name)?.cast::<*const c_char>());
        Some((text(c"module_version")?, text(c"module_flags")?))
    }
}

/// What the core itself claims. Without those modules this one does not start either, and says why.
fn of_core() -> Option<(*const c_char, *const c_char)> {
    let part = |name| text(name)?.to_str().ok();
    let name = part(c"ver_name")?;
    let version = part(c"ver_version")?;
    let (arch, os) = (part(c"ver_arch")?, part(c"ver_os")?);
    let version = CString::new(format!("{name} {version} ({arch}/{os})")).ok()?;
    Some((version.into_raw(), text(c"ver_flags")?.as_ptr()))
}

/// Whether the running version is one whose structures are known; if not, what was found and expected.
pub fn known() -> Result<(), String> {
    let found = text(c"ver_version").map(CStr::to_string_lossy);
    let found = found.unwrap_or_default();
    match parse(&found).filter(|version| KNOWN.contains(version)) {
        Some(_) => Ok(()),
        None => Err(format!(
            "this is Kamailio \"{found}\", whose structures are not known: expected {EXPECTED}"
        )),
    }
}

/// The major and the minor number in `5.6.3` or `6.1.0-rc1`.
fn parse(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(['.', '-']).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::{EXPECTED, KNOWN, parse};

    #[test]
    fn the_numbers_of_a_version_are_read() {
        assert_eq!(parse("5.6.3"), Some((5, 6)));
        assert_eq!(parse("6.1.0-rc1"), Some((6, 1)));
        assert_eq!(parse("6.2.0-dev0"), Some((6, 2)));
        assert_eq!(parse("6"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn the_words_and_the_manual_name_the_versions_that_are_known() {
        assert_eq!(KNOWN, [(5, 6), (5, 7), (5, 8), (6, 0), (6, 1)]);
        assert_eq!(EXPECTED, "Kamailio 5.6 to 5.8, 6.0 or 6.1");
        let words = EXPECTED.replace(" or ", " and ");
        for manual in [
            include_str!("../../../README.md"),
            include_str!("../../../docs/kamailio.md"),
            include_str!("../../../CHANGELOG.md"),
            include_str!("../../../kamailio-config/kamailio.cfg"),
        ] {
            assert!(manual.contains(&words), "no `{words}`");
        }
    }
}
