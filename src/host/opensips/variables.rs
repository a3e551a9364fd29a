//! The pseudo-variable `$cimf(NAME)`: the verdict on a message.

use super::abi::{PVT_MODULE, PvExport, PvParam, PvSpec};
use super::module::module;
use crate::host::abi::{PV_NAME_INTSTR, PvValue, SipMsg, Str, Table};
use crate::host::event_values;
use crate::host::guard::guarded;
use crate::host::message::MessageId;
use crate::host::script::with_verdict;
use crate::host::verdict::{Fact, Value};
use std::ffi::{CStr, c_int};
use std::ptr::null;

const NAME: &CStr = c"cimf";

/// The table of pseudo-variables; a row of zeros ends it.
pub static VARIABLES: Table<[PvExport; 2]> = Table([
    PvExport {
        name: Str {
            s: NAME.as_ptr(),
            len: NAME.count_bytes() as c_int,
        },
        kind: PVT_MODULE,
        get: Some(get),
        set: null(),
        parse_name: Some(parse_name),
        parse_index: null(),
        init_param: null(),
        iparam: 0,
    },
    PvExport {
        name: Str::NONE,
        kind: 0,
        get: None,
        set: null(),
        parse_name: None,
        parse_index: null(),
        init_param: null(),
        iparam: 0,
    },
]);

/// Takes the word between the brackets, when OpenSIPS reads the script.
///
/// # Safety
/// OpenSIPS calls it with the new variable and the word.
unsafe extern "C" fn parse_name(variable: *mut PvSpec, word: *const Str) -> c_int {
    guarded(-1, || {
        // SAFETY: both are valid during the call.
        let (Some(variable), Some(word)) = (unsafe { variable.as_mut() }, unsafe { word.as_ref() })
        else {
            return -1;
        };
        let length = usize::try_from(word.len).unwrap_or(0);
        if length == 0 || word.s.is_null() {
            return -1;
        }
        // SAFETY: OpenSIPS gives text of this length.
        let word = unsafe { std::slice::from_raw_parts(word.s.cast::<u8>(), length) };
        let Some(index) = Fact::index_of(word) else {
            return -1;
        };
        event_values::will_be_asked();
        variable.param.name_kind = PV_NAME_INTSTR;
        variable.param.name.kind = 0;
        variable.param.name.value = [index, 0];
        0
    })
}

/// The value of a variable for a message.
///
/// # Safety
/// OpenSIPS calls it with a message, what [`parse_name`] has left, and where the value goes.
unsafe extern "C" fn get(
    message: *mut SipMsg,
    parameter: *mut PvParam,
    value: *mut PvValue,
) -> c_int {
    guarded(-1, || {
        let Some(core) = module().map(|module| &module.core) else {
            return -1;
        };
        // SAFETY: OpenSIPS calls this with the parameter that our parser of names has filled, or null.
        let index = unsafe { parameter.as_ref() }.map(|parameter| parameter.name.value[0]);
        let fact = index.and_then(|index| Fact::ALL.get(index));
        // SAFETY: OpenSIPS's functions write into `value`. They keep a pointer to text, which
        // belongs to the verdict and so lives until the script ends or runs another check;
        // OpenSIPS copies it before the next statement.
        unsafe {
            let write = |found: Value<'_>| match found {
                Value::Number(number) => {
                    let number = c_int::try_from(number).unwrap_or(c_int::MAX);
                    (core.pv_get_sintval)(message, parameter, value, number)
                }
                Value::Text(text) => {
                    (core.pv_get_strval)(message, parameter, value, &Str::of(text))
                }
            };
            let found = fact.filter(|_| !message.is_null()).and_then(|&(fact, _)| {
                let id = MessageId::of(message);
                let of_verdict = with_verdict(id, |verdict| verdict.fact(fact).map(write));
                of_verdict.unwrap_or_else(|| event_values::with_copy_in_hand(fact, write))
            });
            found.unwrap_or_else(|| (core.pv_get_null)(message, parameter, value))
        }
    })
}
