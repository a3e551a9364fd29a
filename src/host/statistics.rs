//! The figures as counters or statistics of a proxy.

#![forbid(unsafe_code)]

use super::figures::{Figure, figures};
use super::guard::guarded;
use crate::server::Server;
use std::ffi::CString;
use std::sync::OnceLock;

/// The registered figures, and their server.
static FIGURES: OnceLock<(Vec<Figure>, &'static Server)> = OnceLock::new();

/// Registers all figures with number, name and description; the error names the one that the proxy
/// refused.
pub fn register(
    server: &'static Server,
    register: impl Fn(usize, CString, CString) -> bool,
) -> Result<(), String> {
    let all: Vec<_> = figures().collect();
    let _ = FIGURES.set((all.iter().map(|(figure, ..)| *figure).collect(), server));
    for (index, (_, name, documentation)) in all.into_iter().enumerate() {
        let texts = (CString::new(name.as_str()), CString::new(documentation));
        let (Ok(text_name), Ok(documentation)) = texts else {
            return Err(name);
        };
        if !register(index, text_name, documentation) {
            return Err(name);
        }
    }
    Ok(())
}

/// The current value of the figure with this number.
pub fn read(index: usize) -> u64 {
    guarded(0, || {
        let figure = FIGURES.get().and_then(|(figures, server)| {
            let figure = figures.get(index)?;
            Some(figure.read(server))
        });
        figure.unwrap_or_default()
    })
}
