//! How much may be sent: `quota_originator` and `quota_group`.

/// How many messages in how many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Messages.
    pub messages: u32,
    /// Seconds.
    pub seconds: u32,
}

impl Quota {
    /// Reads `MESSAGES/SECONDS`.
    pub fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| {
            let number = text.parse().ok();
            number.filter(|number| (1..=1_000_000).contains(number))
        };
        let (messages, seconds) = text.split_once('/')?;
        Some(Self {
            messages: number(messages)?,
            seconds: number(seconds)?,
        })
    }
}
