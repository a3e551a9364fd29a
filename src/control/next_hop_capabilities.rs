//! Which addresses this server can send to (A-12, M-7).

use crate::sip::Uri;

/// What the way out can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextHopCapabilities {
    /// All goes to the core, which routes telephone numbers too; `tls` if its route is secure.
    Core {
        /// Whether the route to the core is TLS, so that SIPS addresses may take it.
        tls: bool,
    },
    /// Each request goes to the address itself, which therefore needs a host.
    Direct,
}

impl NextHopCapabilities {
    /// Why `uri` cannot be sent to, or nothing.
    pub fn obstacle(self, uri: &Uri<'_>) -> Option<&'static str> {
        match (uri, self) {
            (Uri::Sip(sip), Self::Core { tls: false }) if sip.secure => {
                Some("a sips address needs a core_route over TLS")
            }
            (Uri::Sip(_), _) | (Uri::Tel(_), Self::Core { .. }) => None,
            (Uri::Tel(_), Self::Direct) => Some("a tel address needs a core_route"),
            (Uri::Urn(_) | Uri::Other { .. }, _) => Some("only sip, sips and tel can be sent to"),
        }
    }
}
