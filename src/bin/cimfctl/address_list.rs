//! Lists of addresses: arguments, and standard input where `-` stands for it.
//!
//! In standard input each line has one address, alone or as `"Name" <address>`, and perhaps a comment behind it; or it
//! is CSV, whose header says which column has addresses and which one names. All that is wrong is told at once, with its
//! line.

use crate::columns::{Columns, without_header};
use crate::failure::Failure;
use crate::input;
use cimf::store::edit::{EditError, Editor, GivenMember, NamedMember, NewMember};
use std::collections::HashMap;
use std::path::Path;

/// A member as it was given.
#[derive(Debug, PartialEq, Eq)]
struct Given {
    member: GivenMember,
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
                list.read_text(&input::standard_text()?);
            } else if is_file(&argument) {
                return Err(Failure::Unusable(format!(
                    "{argument}: expected an address, found a file; lists come from standard input: give - and `< {argument}`, or `PROGRAM | cimfctl … -`; nothing was changed"
                )));
            } else {
                let member = match argument.contains('<') {
                    true => GivenMember::parse(&argument).map_err(Failure::Unusable)?,
                    false => GivenMember::from(argument),
                };
                list.given.push(Given { member, line: None });
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
        // One line says it for all of them. The first may be a header without the words.
        if columns.is_none()
            && let Some(&(_, number)) = lines.peek()
            && let Some(reason) = lines
                .clone()
                .take(2)
                .find_map(|(line, _)| without_header(line))
        {
            self.unread.push((number, reason));
            return;
        }
        for (line, number) in lines.skip(usize::from(columns.is_some())) {
            let read = match &columns {
                Some(columns) => in_columns(columns, line),
                None => alone(line),
            };
            match read {
                Ok(Some(member)) => self.given.push(Given {
                    member,
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
                one.member.name = Some(name);
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
        self.given.iter().map(|given| given.member.as_new())
    }

    /// The addresses alone.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.members().map(|member| member.address)
    }

    /// These addresses, each of which was given, with the names that they were given with.
    pub fn named(&self, addresses: &[String]) -> Vec<NamedMember> {
        let mut names = HashMap::new();
        for member in self.members() {
            names.entry(member.address).or_insert(member.name);
        }
        let named = |address: &String| {
            let name = names.get(address.as_str()).copied().flatten();
            (address.clone(), name.map(str::to_owned))
        };
        addresses.iter().map(named).collect()
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

/// Whether an argument is the path of a file, or of a pipe such as a shell makes of `<(…)`.
fn is_file(argument: &str) -> bool {
    !argument.contains(':') && Path::new(argument).metadata().is_ok_and(|it| !it.is_dir())
}

/// The member of a record; nothing if all its fields are empty.
fn in_columns(columns: &Columns, line: &str) -> Result<Option<GivenMember>, String> {
    let Some((address, own)) = columns.record(line)? else {
        return Ok(None);
    };
    let mut member = GivenMember::parse(&address)?;
    member.name = own.or(member.name);
    Ok(Some(member))
}

/// The member of a line without columns.
fn alone(line: &str) -> Result<Option<GivenMember>, String> {
    let read = GivenMember::parse(line.trim()).map(Some);
    read.map_err(|reason| match reason.starts_with("expected one address") {
        true => format!("{reason}, and columns need a header, such as uri,name"),
        false => reason,
    })
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
            let NewMember { address, name } = it.member.as_new();
            (
                address,
                name.unwrap_or_default(),
                it.line.unwrap_or_default(),
            )
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
    }

    #[test]
    fn a_record_with_more_fields_than_the_header_is_refused() {
        let list = read("uri,name\nsip:a@h,Li, Ann\nsip:b@h,Bob,\nsip:c@h\nsip:d@h,\"Li, Dee\"\n");
        let [(2, reason)] = list.unread.as_slice() else {
            panic!("{:?}", list.unread);
        };
        assert_eq!(
            reason,
            "expected 2 columns, as the header says, found 3 (`Ann`); put a name with `,` into quotes, as in \"Lee, Ann\""
        );
        let expected = [
            ("sip:b@h", "Bob", 3),
            ("sip:c@h", "", 4),
            ("sip:d@h", "Li, Dee", 5),
        ];
        assert_eq!(given(&list), expected);
    }

    #[test]
    fn columns_without_a_header_are_told_once_with_one_that_would_do() {
        for (text, header) in [
            ("sip:ann@home1.net,Ann\nsip:bob@home1.net,Bob\n", "uri,name"),
            ("# x\nAnn Lee;sales;tel:+1555\n", "name;other;uri"),
            ("sip:ann@home1.net;Ann Lee\n", "uri;name"),
            ("sip:ann@home1.net;Ann\nsip:bob@home1.net;Bob\n", "uri;name"),
            ("Ann\tsip:ann@home1.net\n", "name\turi"),
            ("Wer,Wo\nAnn,sip:ann@home1.net\n", "name,uri"),
            ("sip:ann@home1.net,\"Lee, Ann\"\n", "uri,name"),
        ] {
            let list = read(text);
            let [(line, reason)] = list.unread.as_slice() else {
                panic!("{text}: {:?}", list.unread);
            };
            assert_eq!(*line, 1 + usize::from(text.starts_with('#')), "{text}");
            assert!(
                reason.contains("expected a header before lines with columns")
                    && reason.contains(&format!(" such as `{header}`")),
                "{reason}"
            );
            assert!(list.given.is_empty());
        }
        for one in [
            "sip:a,b@home1.net",
            "\"Lee, Ann\" <sip:ann@home1.net>",
            "Lee, Ann <sip:ann@home1.net>",
            "sip:ann@home1.net # Rome, tel:+1",
            "sip:ann@home1.net;user=phone;lr",
            "tel:+1555;ext=7",
            "<sip:ann@home1.net;odd>",
        ] {
            let list = read(one);
            assert_eq!((list.unread, list.given.len()), (vec![], 1), "{one}");
        }
    }

    #[test]
    fn what_group_show_prints_is_read() {
        let list = read("sip:ann@h\tAnn Lee\nsip:bob@h\t# none\nsip:cho@h \t\n");
        assert_eq!(list.unread, []);
        let expected = [
            ("sip:ann@h", "Ann Lee", 1),
            ("sip:bob@h", "", 2),
            ("sip:cho@h", "", 3),
        ];
        assert_eq!(given(&list), expected);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        let list = read(
            "sip:ann@h Ann Lee\n\"Bob <sip:bob@h>\n<sip:cho@h\n\"Dee\" sip:dee@h\nsip:eve@h\n",
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
