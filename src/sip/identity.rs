//! P-Asserted-Identity, RFC 3325 §9.1 as updated by RFC 5876 §4.5 (I-2).

use super::Malformed;
use super::name_addr::{self, NameAddr};
use super::text::trim;
use super::uri::Uri;
use smallvec::SmallVec;

/// The originator's identity as asserted by a trusted source.
#[derive(Clone, Debug, Default)]
pub struct AssertedIdentity<'a> {
    /// The first SIP or SIPS address and the first tel address, in the order of the request.
    pub addresses: SmallVec<[NameAddr<'a>; 2]>,
}

impl<'a> AssertedIdentity<'a> {
    /// Parses `text`, which must be exactly one address.
    pub fn one(part: &'static str, text: &'a [u8]) -> Result<Self, Malformed> {
        let address = NameAddr::parse(part, trim(text))?;
        let is_one = matches!(address.uri, Uri::Sip(_) | Uri::Tel(_));
        Ok(Self {
            addresses: is_one.then_some(address).into_iter().collect(),
        })
    }

    /// Parses all rows of `part`. Further addresses, other schemes, and anything malformed after a
    /// usable address are ignored and not passed on.
    pub fn parse(
        part: &'static str,
        rows: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Self, Malformed> {
        let mut identity = Self::default();
        for row in rows {
            for address in name_addr::list(part, row) {
                let address = match address {
                    Ok(address) => address,
                    Err(_) if !identity.addresses.is_empty() => continue,
                    Err(error) => return Err(error),
                };
                let is_taken = identity.addresses.iter().any(|earlier| {
                    matches!(
                        (earlier.uri, address.uri),
                        (Uri::Sip(_), Uri::Sip(_)) | (Uri::Tel(_), Uri::Tel(_))
                    )
                });
                if !is_taken && matches!(address.uri, Uri::Sip(_) | Uri::Tel(_)) {
                    identity.addresses.push(address);
                }
            }
        }
        Ok(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::uri::Form;

    #[test]
    fn the_first_sip_and_the_first_tel_address_count() {
        let rows = [
            &b"<mailto:ann@h>, <tel:+1>, \"Ann\" <sips:ann@h>"[..],
            b"<sip:bob@h>, <tel:+2>",
        ];
        let identity = AssertedIdentity::parse("P-Asserted-Identity", rows.into_iter()).unwrap();
        let mut out = Vec::new();
        for address in &identity.addresses {
            address.write(Form::Whole, &mut out).unwrap();
        }
        assert_eq!(out, b"<tel:+1>\"Ann\" <sips:ann@h>");
    }

    #[test]
    fn what_cannot_be_read_spoils_only_what_comes_behind_it() {
        // I-2.
        let count = |row: &'static str| {
            let identity =
                AssertedIdentity::parse("P-Asserted-Identity", [row.as_bytes()].into_iter());
            identity.map(|identity| identity.addresses.len())
        };
        assert_eq!(count("<sip:ann@h>, <tel:5551>, <tel:+1>"), Ok(2));
        assert!(count("<sip:an n@h>, <sip:bob@h>").is_err());
    }
}
