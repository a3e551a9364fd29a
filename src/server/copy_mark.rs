//! The mark of copies: a parameter of their Route that only this server knows, by which `cimf_is_copy()` recognises a copy
//! that comes back to the proxy (`copy_mark`).

use crate::config::SettingError;
use crate::control::Policy;
use crate::sip::{Request, Uri, name_addr};

/// The parameter of the Route.
const PARAMETER: &str = "cimf";

/// The mark, the same in all processes and after a restart.
#[derive(Debug)]
pub struct CopyMark(String);

impl CopyMark {
    pub(super) fn new(mark: String) -> Self {
        Self(mark)
    }

    /// Puts the mark into the Route of copies.
    pub(super) fn add_to_route(&self, policy: &mut Policy) -> Result<(), SettingError> {
        let end = b">\r\n";
        let Some(unmarked) = policy.route_header.strip_suffix(end) else {
            let expected = "0, as with direct=1 outgoing messages have no Route to carry a mark";
            return Err(SettingError::new("copy_mark", "1", expected));
        };
        let parameter = format!(";{PARAMETER}={}", self.0);
        policy.route_header = [unmarked, parameter.as_bytes(), end].concat();
        Ok(())
    }

    /// Whether a request is a copy of this server: its topmost Route has the mark.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        let request = Request::read(bytes).ok();
        let route = request.as_ref().and_then(|request| {
            let mut headers = request.headers().iter();
            headers.find(|header| header.written.eq_ignore_ascii_case(b"Route"))
        });
        let route = route.map(|header| header.value);
        let route = route.and_then(|route| name_addr::list("Route", route).next()?.ok());
        route.is_some_and(|route| match route.uri {
            Uri::Sip(sip) => sip.parameter(PARAMETER.as_bytes()) == Some(Some(self.0.as_bytes())),
            _ => false,
        })
    }
}
