//! How copies from the group's address name their sender: `sender_label`.

/// Where the sender's name stands in copies with `fork_from=group`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderLabel {
    /// In the display name of From.
    pub display_name: bool,
    /// Before a body that is plain text.
    pub body: bool,
}

impl SenderLabel {
    /// Reads `none`, or `display_name` and `body`, one of them or both with a comma between.
    pub fn parse(text: &str) -> Option<Self> {
        let (display_name, body) = match text {
            "none" => (false, false),
            "display_name" => (true, false),
            "body" => (false, true),
            "display_name,body" | "body,display_name" => (true, true),
            _ => return None,
        };
        Some(Self { display_name, body })
    }
}
