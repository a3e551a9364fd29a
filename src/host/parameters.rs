//! Module parameters: the proxy's table, generated from `PARAMETERS`.
//!
//! A proxy calls a setter for each `modparam` line without naming the parameter, so each parameter has
//! its own setter: one function, instantiated for each index.

use super::abi::{PARAM_INT, PARAM_STRING, PARAM_USE_FUNC, ParamExport, SetParameter, Table};
use super::guard::guarded;
use crate::config::{self, Settings};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::{LazyLock, Mutex, PoisonError};

/// The values from the script, collected before the module starts.
pub static SETTINGS: LazyLock<Mutex<Settings>> = LazyLock::new(|| Mutex::new(Settings::new()));

const COUNT: usize = config::PARAMETERS.len();

/// Each parameter may be given as text or as a number; a row of zeros ends the table.
pub type Rows = Table<[ParamExport; 2 * COUNT + 1]>;

/// The table without the parameters that this proxy does not have.
pub const fn rows(has_kamailio: bool) -> Rows {
    let mut rows = [const {
        ParamExport {
            name: std::ptr::null(),
            kind: 0,
            set: None,
        }
    }; 2 * COUNT + 1];
    let (mut index, mut row) = (0, 0);
    while index < COUNT {
        let is_here = has_kamailio || !config::PARAMETERS[index].needs.kamailio();
        let kinds = [PARAM_STRING, PARAM_INT];
        let mut kind = 0;
        while is_here && kind < 2 {
            rows[row] = ParamExport {
                name: NAMES[index].as_ptr().cast(),
                kind: kinds[kind] | PARAM_USE_FUNC,
                set: Some(SETTERS[index]),
            };
            kind += 1;
            row += 1;
        }
        index += 1;
    }
    Table(rows)
}

const NAME_ROOM: usize = 32;

/// The names, terminated by NUL as proxies require.
static NAMES: [[u8; NAME_ROOM]; COUNT] = {
    let mut names = [[0; NAME_ROOM]; COUNT];
    let mut index = 0;
    while index < COUNT {
        let name = config::PARAMETERS[index].name.as_bytes();
        let mut at = 0;
        while at < name.len() {
            names[index][at] = name[at];
            at += 1;
        }
        assert!(at < NAME_ROOM);
        index += 1;
    }
    names
};

macro_rules! setters {
    ($($index:literal)*) => { [$(set::<$index>),*] };
}

/// A setter for each index; an assertion fails if the table outgrows the list.
static SETTERS: [SetParameter; 96] = setters!(
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23
    24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47
    48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71
    72 73 74 75 76 77 78 79 80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95
);
const _: () = assert!(COUNT <= 96);

/// Stores a value of the parameter at `INDEX` of the table.
///
/// # Safety
/// The proxy calls it with the kind of the value and a value of that kind.
unsafe extern "C" fn set<const INDEX: usize>(kind: c_uint, value: *mut c_void) -> c_int {
    guarded(-1, || {
        let text = if kind & PARAM_STRING == 0 {
            // A number arrives in place of the pointer.
            (value as usize as c_int).to_string()
        } else if value.is_null() {
            String::new()
        } else {
            // SAFETY: a value of kind string is text that ends with NUL.
            let text = unsafe { CStr::from_ptr(value.cast::<c_char>()) };
            text.to_string_lossy().into_owned()
        };
        store(INDEX, &text)
    })
}

fn store(index: usize, text: &str) -> c_int {
    let Some(parameter) = config::PARAMETERS.get(index) else {
        return -1;
    };
    let mut settings = SETTINGS.lock().unwrap_or_else(PoisonError::into_inner);
    match parameter.store(&mut settings, text) {
        Ok(()) => 0,
        Err(error) => {
            log::error!("{error}");
            -1
        }
    }
}
