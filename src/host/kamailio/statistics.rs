//! Our counts as counters of Kamailio: `kamcmd cnt.grp_get_all cimf`.

use super::core::Core;
use super::guard::guarded;
use crate::host::overview::{Figure, figures};
use crate::server::Server;
use std::ffi::{CString, c_int, c_long, c_void};
use std::sync::OnceLock;

/// What Kamailio reads, and of which server.
static FIGURES: OnceLock<(Vec<Figure>, &'static Server)> = OnceLock::new();

/// Registers all figures; names the one that Kamailio refused.
pub fn register(core: &Core, server: &'static Server) -> Result<(), String> {
    let all: Vec<_> = figures().collect();
    let _ = FIGURES.set((all.iter().map(|(figure, ..)| *figure).collect(), server));
    for (index, (_, name, documentation)) in all.into_iter().enumerate() {
        let mut handle = 0;
        // Kamailio keeps pointing to both texts.
        let text = |text: &str| CString::new(text).map(CString::into_raw);
        let (Ok(text_name), Ok(text_documentation)) = (text(&name), text(&documentation)) else {
            return Err(name);
        };
        // SAFETY: the texts end with NUL and are never freed; `read` has the signature of a reader
        // of counters, and its parameter is a number.
        let result: c_int = unsafe {
            (core.counter_register)(
                &mut handle,
                c"cimf".as_ptr(),
                text_name,
                0,
                read,
                index as *mut c_void,
                text_documentation,
                0,
            )
        };
        if result < 0 {
            return Err(name);
        }
    }
    Ok(())
}

/// Reads the figure whose index is the parameter.
extern "C" fn read(_handle: u16, index: *mut c_void) -> c_long {
    let number = guarded(None, || {
        let (figures, server) = FIGURES.get()?;
        let number = figures.get(index as usize)?.read(server);
        Some(c_long::try_from(number).unwrap_or(c_long::MAX))
    });
    number.unwrap_or(0)
}
