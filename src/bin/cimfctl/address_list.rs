//! Lists of addresses: arguments, and standard input where `-` stands for it.
//!
//! In standard input each line has one address, alone or as `"Name" <address>`, and perhaps a comment behind it; or it
//! is CSV (RFC 4180, each record on one line), whose header says which column has addresses and which one names. All
//! that is wrong is told at once, with its line.

use crate::failure::Failure;
use cimf::store::edit::{EditError, Editor, NewMember};
use std::io::Read;

/// What a column with addresses is called, and one with names, in whatever case.
const ADDRESS_COLUMNS: [&str; 3] = ["uri", "address", "member"];
const NAME_COLUMNS: [&str; 2] = ["name", "display_name"];

/// An address as it was given.
#[derive(Debug, PartialEq, Eq)]
struct Given {
    address: String,
    name: Option<String>,
    /// The line of standard input.
    line: Option<usize>,
}

/// The addresses that a command was given.
#[derive(Debug, Default)]
pub struct AddressList {
    given: Vec<Given>,
    /// Lines that cannot be read, and why.
    unread: Vec<(usize, String)>,
}

impl AddressList {
    /// Reads arguments, and standard input where `-` stands among them.
    pub fn read(arguments: Vec<String>) -> Result<Self, Failure> {
        let mut list = Self::default();
        for argument in arguments {
            if argument == "-" {
                let mut text = String::new();
                let read = std::io::stdin().lock().read_to_string(&mut text);
                read.map_err(Failure::Input)?;
                list.read_text(&text);
            } else {
                let (address, name) = match argument.contains('<') {
                    true => entry(&argument).map_err(Failure::Unusable)?,
                    false => (argument, None),
                };
                let line = None;
                list.given.push(Given {
                    address,
                    name,
                    line,
                });
            }
        }
        Ok(list)
    }

    fn read_text(&mut self, text: &str) {
        // As Excel writes it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().zip(1..).filter(|(line, _)| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        });
        let mut lines = lines.peekable();
        let columns = lines.peek().and_then(|(line, _)| Columns::of_header(line));
        for (line, number) in lines.skip(usize::from(columns.is_some())) {
            let read = match &columns {
                Some(columns) => columns.entry(line),
                None => entry(line.trim()).map(Some),
            };
            match read {
                Ok(Some((address, name))) => self.given.push(Given {
                    address,
                    name,
                    line: Some(number),
                }),
                Ok(None) => {}
                Err(reason) => self.unread.push((number, reason)),
            }
        }
    }

    /// Names the only member; where there is another number of them, that is refused.
    pub fn name(&mut self, name: String) -> Result<(), Failure> {
        match self.given.as_mut_slice() {
            [one] => {
                one.name = Some(name);
                Ok(())
            }
            several => Err(Failure::Unusable(format!(
                "--name: expected one member, found {}; nothing was changed; name the members of a group with `cimfctl member name`",
                several.len()
            ))),
        }
    }

    /// The addresses with their names.
    pub fn members(&self) -> impl Iterator<Item = NewMember<'_>> {
        self.given.iter().map(|given| NewMember {
            address: &given.address,
            name: given.name.as_deref(),
        })
    }

    /// The addresses alone.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.given.iter().map(|given| given.address.as_str())
    }

    /// Does `work` with these addresses. All that is wrong with them is told at once.
    pub fn with<T>(
        &self,
        editor: &mut Editor,
        work: impl FnOnce(&mut Editor, &Self) -> Result<T, EditError>,
    ) -> Result<T, Failure> {
        if !self.unread.is_empty() {
            // Only to learn what else is wrong.
            editor.rehearse();
        }
        let refused = match work(editor, self) {
            Ok(done) if self.unread.is_empty() => return Ok(done),
            Ok(_) => Vec::new(),
            Err(EditError::Addresses(refused)) => refused,
            // It is not empty.
            Err(EditError::NoMembersGiven { .. }) if !self.unread.is_empty() => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let lines = refused.iter().map(|(at, error)| {
            let line = self.given.get(*at).and_then(|given| given.line);
            (line, error.to_string())
        });
        let unread = self.unread.iter();
        let unread = unread.map(|(line, reason)| (Some(*line), reason.clone()));
        let mut all: Vec<_> = lines.chain(unread).collect();
        all.sort_by_key(|(line, _)| *line);
        let told = all.into_iter().map(|(line, reason)| match line {
            Some(line) => format!("standard input: line {line}: {reason}"),
            None => reason,
        });
        Err(Failure::Addresses(told.collect()))
    }
}

/// Where a CSV has addresses and names.
struct Columns {
    separator: char,
    address: usize,
    name: Option<usize>,
}

impl Columns {
    fn of_header(line: &str) -> Option<Self> {
        [',', ';', '\t'].into_iter().find_map(|separator| {
            let titles = fields(line, separator).ok()?;
            let find = |names: &[&str]| {
                let mut titles = titles.iter();
                titles.position(|title| names.iter().any(|name| title.eq_ignore_ascii_case(name)))
            };
            Some(Self {
                separator,
                address: find(&ADDRESS_COLUMNS)?,
                name: find(&NAME_COLUMNS),
            })
        })
    }

    /// The address and name of a record; nothing if all its fields are empty.
    fn entry(&self, line: &str) -> Result<Option<(String, Option<String>)>, String> {
        let fields = fields(line, self.separator)?;
        if fields.iter().all(String::is_empty) {
            return Ok(None);
        }
        let field = |at: usize| fields.get(at).filter(|field| !field.is_empty());
        let address = field(self.address).ok_or_else(|| {
            let column = self.address + 1;
            format!("expected an address in column {column}, as the header says, found none")
        })?;
        let (address, name) = entry(address)?;
        let own = self.name.and_then(field).cloned();
        Ok(Some((address, own.or(name))))
    }
}

/// The fields of a record, without white space around them.
fn fields(line: &str, separator: char) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let start = rest.trim_start_matches([' ', '\u{a0}']);
        let (field, behind) = match start.strip_prefix('"') {
            Some(quoted) => {
                let (field, behind) = until_quote(quoted, '"')?;
                let behind = behind.trim_start_matches(' ');
                if !behind.is_empty() && !behind.starts_with(separator) {
                    return Err(format!(
                        "expected `{separator}` behind a field in quotes, found `{behind}`"
                    ));
                }
                (field, behind)
            }
            None => {
                let end = rest.find(separator).unwrap_or(rest.len());
                let (field, behind) = rest.split_at(end);
                (field.trim().to_owned(), behind)
            }
        };
        fields.push(field);
        match behind.strip_prefix(separator) {
            Some(next) => rest = next,
            None => return Ok(fields),
        }
    }
}

/// What stands before the closing quote, and behind it; after `escape` a quote is only a quote.
fn until_quote(text: &str, escape: char) -> Result<(String, &str), String> {
    let mut found = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        let is_escape = match escape {
            '"' => character == '"' && next == Some('"'),
            _ => character == escape,
        };
        match (is_escape, next) {
            (true, Some(next)) => {
                found.push(next);
                characters.next();
            }
            _ if character == '"' => return Ok((found, &text[at + 1..])),
            _ => found.push(character),
        }
    }
    Err("expected a closing quote (\")".to_owned())
}

/// One address: alone, or as `"Name" <address>`, `Name <address>` or `<address>`; a comment may follow.
fn entry(text: &str) -> Result<(String, Option<String>), String> {
    let (name, rest) = match text.strip_prefix('"') {
        Some(quoted) => until_quote(quoted, '\\')?,
        None => match text.split_once('<') {
            // Behind an address it is part of a comment.
            Some((name, _)) if !name.contains(['@', ':']) => (name.to_owned(), &text[name.len()..]),
            _ => (String::new(), text),
        },
    };
    let rest = rest.trim();
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
            "expected one address, found `{behind}` behind it; a name stands before it, as in \"Ann\" <sip:ann@home1.net>, and columns need a header, such as uri,name"
        ));
    }
    let name = name.trim();
    Ok((
        address.trim().to_owned(),
        (!name.is_empty()).then(|| name.to_owned()),
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> AddressList {
        let mut list = AddressList::default();
        list.read_text(text);
        list
    }

    /// What was read: address, name and line of each.
    fn given(list: &AddressList) -> Vec<(&str, &str, usize)> {
        let given = list.given.iter();
        let each = given.map(|it| {
            let name = it.name.as_deref().unwrap_or_default();
            (it.address.as_str(), name, it.line.unwrap_or_default())
        });
        each.collect()
    }

    #[test]
    fn comments_names_and_blank_lines_are_understood() {
        let list = read(
            "\u{feff}# the hikers\n\n sip:ann@h\r\n\"Bob \\\"B\\\" Lee\" <sip:bob@h>\nCho Li <tel:+1> # at home\n<sip:dee@h;x=1>\nsip:eve@h # new <x>\n\"\" <sip:fay@h>\n",
        );
        assert_eq!(list.unread, []);
        let expected = [
            ("sip:ann@h", "", 3),
            ("sip:bob@h", "Bob \"B\" Lee", 4),
            ("tel:+1", "Cho Li", 5),
            ("sip:dee@h;x=1", "", 6),
            ("sip:eve@h", "", 7),
            ("sip:fay@h", "", 8),
        ];
        assert_eq!(given(&list), expected);
    }

    #[test]
    fn columns_are_found_by_their_header() {
        for (text, separator) in [
            ("Name,Department,URI\n", ','),
            ("name;x;address\n", ';'),
            ("display_name\tx\tmember\n", '\t'),
        ] {
            let rows = "\"Li, Cho \"\"C\"\"\"|x|sip:cho@h\n||\n# none\n |x|Dee <sip:dee@h>\nE|x| sip:eve@h \n";
            let rows = rows.replace('|', &separator.to_string());
            let list = read(&(text.to_owned() + &rows));
            assert_eq!(list.unread, []);
            let expected = [
                ("sip:cho@h", "Li, Cho \"C\"", 2),
                ("sip:dee@h", "Dee", 5),
                ("sip:eve@h", "E", 6),
            ];
            assert_eq!(given(&list), expected);
        }
        assert_eq!(given(&read("uri\nsip:a@h,b\n")), [("sip:a@h", "", 2)]);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        let list = read(
            "sip:ann@h,Ann Lee\n\"Bob <sip:bob@h>\n<sip:cho@h\n\"Dee\" sip:dee@h\nsip:eve@h\n",
        );
        let lines: Vec<_> = list.unread.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 3, 4]);
        assert!(list.unread[0].1.contains("a header, such as uri,name"));
        assert_eq!(given(&list), [("sip:eve@h", "", 5)]);
        let list = read("name,uri\nAnn\nBob,\"sip:bob@h\nCho,\"sip:cho@h\"x\nDee,sip:dee@h\n");
        let lines: Vec<_> = list.unread.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 4]);
        assert!(list.unread[0].1.contains("column 2"));
        assert_eq!(given(&list), [("sip:dee@h", "Dee", 5)]);
    }
}
