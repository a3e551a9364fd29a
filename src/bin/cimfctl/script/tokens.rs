//! The tokens of one statement of Kamailio's configuration language, with definitions expanded.

use std::collections::HashMap;

/// Depth of definitions in definitions: deeper ones are cyclic.
const MAX_DEPTH: usize = 16;

#[derive(Debug, PartialEq, Eq)]
pub enum Token {
    /// A quoted string, without its quotes.
    Text(String),
    Number(String),
    /// A name that is not defined.
    Word(String),
    Mark(char),
}

/// The tokens of `statement`; `None` if a quote is not closed or definitions are cyclic.
pub fn tokens(statement: &str, defines: &HashMap<String, String>) -> Option<Vec<Token>> {
    let mut found = Vec::new();
    read(statement, defines, 0, &mut found)?;
    Some(found)
}

fn read(
    statement: &str,
    defines: &HashMap<String, String>,
    depth: usize,
    found: &mut Vec<Token>,
) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut rest = statement.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        match first {
            '"' | '\'' => {
                let (text, after) = quoted(&rest[1..], first)?;
                match found.last_mut() {
                    // Adjacent strings are concatenated.
                    Some(Token::Text(before)) => before.push_str(&text),
                    _ => found.push(Token::Text(text)),
                }
                rest = after;
            }
            // A comment ends with its line, or with the definition.
            '#' => rest = rest.split_once('\n').map_or("", |(_, after)| after),
            _ if is_word(first) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                match defines.get(word) {
                    Some(value) => read(value, defines, depth + 1, found)?,
                    None if first.is_ascii_digit() => found.push(Token::Number(word.to_owned())),
                    None => found.push(Token::Word(word.to_owned())),
                }
                rest = after;
            }
            mark => {
                found.push(Token::Mark(mark));
                rest = &rest[mark.len_utf8()..];
            }
        }
        rest = rest.trim_start();
    }
    Some(())
}

/// A string up to its closing quote, and what follows; backslash escapes exist only within double
/// quotes.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut inner = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' if quote == '"' => inner.push(match characters.next()?.1 {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            }),
            _ if character == quote => return Some((inner, &text[at + 1..])),
            _ => inner.push(character),
        }
    }
    None
}
