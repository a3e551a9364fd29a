//! A request while its proxy handles it, for as long as the proxy calls us with it.

use super::abi::SipMsg;
use std::marker::PhantomData;

/// The request, the module `M` of its proxy, and the parameter `I` of the script function.
pub struct Request<'c, M, I> {
    pub module: &'c M,
    pub message: *mut SipMsg,
    /// The identity that the script gives, as the proxy passes it.
    pub identity: I,
    call: PhantomData<&'c Call>,
}

/// One call of the proxy's: what it lends lives as long as this stands on the stack.
pub struct Call;

impl<'c, M, I> Request<'c, M, I> {
    /// A request for the time of a call.
    ///
    /// # Safety
    /// `message` must be the request that the proxy is handling, and `identity` the parameter of the
    /// function, if any; the proxy must keep both until `call` is over.
    pub unsafe fn during(_: &'c Call, module: &'c M, message: *mut SipMsg, identity: I) -> Self {
        Self {
            module,
            message,
            identity,
            call: PhantomData,
        }
    }
}
