//! Escaping of text in written documents.

/// `text` for an attribute in double quotes.
pub fn escape_attribute(text: &str) -> String {
    escape(text, true)
}

/// `text` for element content.
pub fn escape_text(text: &str) -> String {
    escape(text, false)
}

/// Control characters are written as references in attributes, where white space is significant, and
/// become blanks elsewhere.
fn escape(text: &str, in_attribute: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' if in_attribute => out += "&quot;",
            character if character.is_control() && in_attribute => {
                out += &format!("&#{};", u32::from(character));
            }
            character if character.is_control() => out.push(' '),
            character => out.push(character),
        }
    }
    out
}
