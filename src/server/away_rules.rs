//! Members who are away: what is kept for them, and until when. Their addresses are compared as those of members are
//! (C-2, C-3): all that reach the same user are one.

#![forbid(unsafe_code)]

use crate::config::{Away, Settings};
use crate::control::Addressing;
use crate::sip::Uri;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// What the administrator has decided about members who are away, where their copies are kept.
#[derive(Clone, Debug)]
pub struct AwayPolicy {
    /// The parameters.
    pub settings: Settings,
}

impl AwayPolicy {
    /// `None` where nothing is kept.
    pub fn of(settings: &Settings) -> Option<Self> {
        (settings.away == Away::Keep).then(|| Self {
            settings: settings.clone(),
        })
    }

    /// Whether a copy that ends with this code is kept.
    pub fn keeps(&self, code: u16) -> bool {
        self.settings.away_codes.contains(&code)
    }

    /// Until when a copy is kept whose message expires at this time, or, with 0, never. All in milliseconds of Unix
    /// time.
    pub fn until(&self, expires_at: u64, now: u64) -> u64 {
        let most = now.saturating_add(u64::from(self.settings.away_lifetime) * 1000);
        match expires_at {
            0 => most,
            expires_at => expires_at.min(most),
        }
    }

    /// The most copies that are in the queue at once, so that new messages find room.
    pub fn under_way(&self) -> usize {
        (self.settings.queue_messages as usize / 4).max(1)
    }
}

/// The hash of the member with this address, by the ledger's key, which is the same in each run; `None` for what is no
/// address.
pub fn member(address: &[u8], addressing: &Addressing, key: [u8; 16]) -> Option<u64> {
    let uri = Uri::parse(address).ok()?;
    let mut hasher = SipHasher13::new_with_key(&key);
    hasher.write(&addressing.address_of_record(&uri));
    // 0 is nobody's.
    Some(hasher.finish().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::NextHopCapabilities;

    fn addressing(same_number: bool) -> Addressing {
        Addressing {
            next_hop: NextHopCapabilities::Core { tls: false },
            same_number,
            tel_domain: None,
            domains: vec!["home1.net".to_owned()],
        }
    }

    #[test]
    fn all_spellings_of_an_address_are_one_member() {
        // C-2, C-3.
        let of = |address: &str, same_number| {
            member(address.as_bytes(), &addressing(same_number), [7; 16]).unwrap()
        };
        let bob = of("sip:bob@home1.net", false);
        for spelling in ["sip:%62ob@HOME1.net", "sip:bob@home1.net;transport=tcp"] {
            assert_eq!(of(spelling, false), bob);
        }
        assert_ne!(of("sip:Bob@home1.net", false), bob);
        let number = of("tel:+15551230003", true);
        let as_sip = "sip:+1-555-123-0003@home1.net;user=phone";
        assert_eq!(of(as_sip, true), number);
        assert_ne!(of(as_sip, false), of("tel:+15551230003", false));
        assert!(member(b"bob", &addressing(true), [7; 16]).is_none());
    }

    #[test]
    fn a_copy_is_kept_as_long_as_it_may_be_and_no_longer_than_its_expires() {
        // M-4.
        let mut settings = Settings::new();
        assert!(AwayPolicy::of(&settings).is_none());
        settings.set("away", "keep").unwrap();
        settings.set("away_lifetime", "60").unwrap();
        settings.set("away_bytes", "2K").unwrap();
        let policy = AwayPolicy::of(&settings).unwrap();
        assert_eq!(policy.settings.away_bytes, 2048);
        assert_eq!(
            [404, 408, 410, 480].map(|code| policy.keeps(code)),
            [true; 4]
        );
        assert!(!policy.keeps(403) && !policy.keeps(200));
        assert_eq!(policy.until(0, 1000), 61_000);
        assert_eq!(policy.until(5_000, 1000), 5_000);
        assert_eq!(policy.until(100_000, 1000), 61_000);
    }
}
