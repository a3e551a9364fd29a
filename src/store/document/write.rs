//! What may not stand in XML as it is.

/// `text` for an attribute in double quotes.
pub fn escape_attribute(text: &str) -> String {
    escape(text, true)
}

/// `text` for between tags.
pub fn escape_text(text: &str) -> String {
    escape(text, false)
}

/// Control characters that XML 1.0 has no way to write become blanks.
fn escape(text: &str, in_attribute: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' if in_attribute => out += "&quot;",
            '\t' | '\n' | '\r' if in_attribute => out += &format!("&#{};", character as u32),
            character if character.is_control() => out.push(' '),
            character => out.push(character),
        }
    }
    out
}
