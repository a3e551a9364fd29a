//! A member as somebody writes it: an address, alone or with a name before it.

use super::members_change::NewMember;

/// A member as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenMember {
    /// The address, in any spelling; it is not checked yet.
    pub address: String,
    /// The name.
    pub name: Option<String>,
}

impl GivenMember {
    /// Reads an address alone, or `"Name" <address>`, `Name <address>`, `<address>`; a comment may follow. Or, as
    /// `cimfctl group show` has it, an address, a tab and the name.
    ///
    /// # Errors
    ///
    /// What was expected, for one who knows the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, rest) = match text.strip_prefix('"') {
            Some(quoted) => until_quote(quoted)?,
            None => match text.split_once('<') {
                // Behind an address it is part of a comment.
                Some((name, _)) if !name.contains(['@', ':']) => {
                    (name.to_owned(), &text[name.len()..])
                }
                _ => (String::new(), text),
            },
        };
        let rest = rest.trim();
        if let Some(shown) = Self::shown(rest).filter(|_| name.is_empty()) {
            return Ok(shown);
        }
        let (address, behind) = match rest.strip_prefix('<') {
            Some(rest) => rest
                .split_once('>')
                .ok_or("expected `>` behind the address")?,
            None if name.is_empty() => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
            None => return Err("expected <address> behind the name".to_owned()),
        };
        let behind = behind.trim();
        if !behind.is_empty() && !behind.starts_with('#') {
            return Err(format!(
                "expected one address, found `{behind}` behind it; a name stands before it, as in \"Ann\" <sip:ann@home1.net>"
            ));
        }
        Ok(Self::of(address, name.trim()))
    }

    /// An address, a tab and a name.
    fn shown(text: &str) -> Option<Self> {
        let (address, name) = text.split_once('\t')?;
        let name = name.trim();
        let is_both = !address.contains(['<', '#', ' ']) && !name.is_empty();
        (is_both && !name.starts_with('#')).then(|| Self::of(address, name))
    }

    fn of(address: &str, name: &str) -> Self {
        Self {
            address: address.trim().to_owned(),
            name: (!name.is_empty()).then(|| name.to_owned()),
        }
    }

    /// The same, for a change.
    pub fn as_new(&self) -> NewMember<'_> {
        NewMember {
            address: &self.address,
            name: self.name.as_deref(),
        }
    }
}

/// An address alone.
impl From<String> for GivenMember {
    fn from(address: String) -> Self {
        let name = None;
        Self { address, name }
    }
}

/// What stands before the closing quote, and behind it; after `\` a quote is only a quote.
fn until_quote(text: &str) -> Result<(String, &str), String> {
    let mut found = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((found, &text[at + 1..])),
            '\\' => found.extend(characters.next().map(|(_, next)| next)),
            other => found.push(other),
        }
    }
    Err("expected a closing quote (\")".to_owned())
}
