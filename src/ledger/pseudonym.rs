//! What stands in the ledger for an originator who asked for anonymity.

use siphasher::sip128::SipHasher13;

/// A pseudonym: the same for the same sender, without revealing who it is.
pub(super) fn pseudonym(key: [u8; 16], originator: &[u8]) -> String {
    let hash = SipHasher13::new_with_key(&key).hash(originator);
    format!("{:032x}", hash.as_u128())
}
