//! The hashes under which addresses and names are filed. They are keyed, so that strangers cannot choose where in a
//! table they are.

#![forbid(unsafe_code)]

use crate::sip::address_text::address_of_record;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// The key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys(pub(super) [u8; 16]);

impl Keys {
    /// The hash of an address, the same for all spellings of whom it is of.
    #[inline]
    pub(super) fn of_address(&self, address: &[u8]) -> u64 {
        self.of_name(&address_of_record(address))
    }

    /// The hash of an originator, by which messages are known to be of the same one. The same person must not have two of
    /// them, as each has its own share and its own turns.
    pub(super) fn of_originator(&self, originator: &[u8]) -> u64 {
        self.of_address(&address_of_record(originator))
    }

    /// The hash of the name of a next hop.
    #[inline]
    pub(super) fn of_name(&self, name: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(name);
        hasher.finish()
    }

    /// The hash of whom a quota is of; kinds are apart from each other.
    pub(super) fn of_quota(&self, kind: u8, text: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write_u8(kind);
        hasher.write(text);
        hasher.finish()
    }
}
