//! The parameters that a configuration of Kamailio or OpenSIPS sets: its `modparam("cimf", …)` lines,
//! with the definitions, conditions and includes that they depend on.
//!
//! This does not parse the whole language. Anything that could matter and is not understood is
//! collected and reported to the administrator.

mod tokens;

use crate::failure::{Failure, unreadable_text};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tokens::{Token, tokens};

/// Depth of nested includes: Kamailio's limit.
const MAX_DEPTH: usize = 10;

/// What a configuration says about the module.
#[derive(Debug, Default)]
pub struct Script {
    pub parameters: Vec<Parameter>,
    /// What was not understood, with its place.
    pub unread: Vec<String>,
    /// Whether it passes an identity to cimf_handle().
    pub hands_identity: bool,
}

/// One parameter, and where it is set.
#[derive(Debug)]
pub struct Parameter {
    pub name: String,
    pub value: String,
    pub place: String,
}

impl Script {
    /// Reads `file` and what it includes, with these names defined first (`NAME` or `NAME=VALUE`).
    pub fn read(file: &Path, defines: &[String]) -> Result<Self, Failure> {
        let mut reader = Reader::default();
        for define in defines {
            let (name, value) = define.split_once('=').unwrap_or((define, ""));
            reader.defines.insert(name.to_owned(), value.to_owned());
        }
        let text = std::fs::read(file)
            .map_err(|error| Failure::Unusable(unreadable_text(file.display(), &error)))?;
        reader.read(file, &String::from_utf8_lossy(&text), 0);
        Ok(reader.script)
    }
}

#[derive(Default)]
struct Reader {
    script: Script,
    defines: HashMap<String, String>,
    /// The replacements of `#!substdef` in strings.
    replacements: Vec<(String, String)>,
    /// For each open `#!ifdef`, whether its current branch is active.
    branches: Vec<bool>,
    in_comment: bool,
}

impl Reader {
    fn read(&mut self, file: &Path, text: &str, depth: usize) {
        let mut lines = text.lines().enumerate();
        while let Some((index, line)) = lines.next() {
            let place = format!("{} line {}", file.display(), index + 1);
            let mut line = self.without_comment(line);
            if let Some(directive) = directive(&line) {
                let mut directive = directive.to_owned();
                // A backslash at its end continues a definition.
                while let Some(start) = directive.strip_suffix('\\') {
                    let next = lines.next().map_or("", |(_, next)| next);
                    directive = format!("{start}{next}");
                }
                self.directive(file, &directive, &place, depth);
                continue;
            }
            if self.branches.contains(&false) {
                continue;
            }
            let statement = line.trim_start();
            if statement.starts_with('#') || statement.starts_with("//") {
                continue;
            }
            if statement.starts_with("modparam") {
                while !line.contains(')') {
                    let Some((_, next)) = lines.next() else {
                        break;
                    };
                    line = format!("{line}\n{next}");
                }
                self.parameter(line.trim_start(), &place);
            } else if let Some(name) = quoted_after(statement, "loadmodule") {
                self.define_module(name);
            } else if let Some(name) = ["include_file", "import_file"]
                .into_iter()
                .find_map(|word| quoted_after(statement, word))
            {
                let may_miss = statement.starts_with("import");
                self.include(file, name, may_miss, &place, depth);
            } else if let Some((_, argument)) = statement.split_once("cimf_handle(") {
                self.script.hands_identity |= !argument.trim_start().starts_with(')');
            }
        }
    }

    /// The line without the parts inside `/* … */`.
    fn without_comment(&mut self, line: &str) -> String {
        let mut kept = String::new();
        let mut rest = line;
        loop {
            let (mark, is_end) = if self.in_comment {
                ("*/", true)
            } else {
                ("/*", false)
            };
            // After a `#` or within quotes it does not start a comment.
            let at = rest.find(mark).filter(|&at| {
                is_end || !(rest[..at].contains('#') || rest[..at].matches('"').count() % 2 == 1)
            });
            let Some(at) = at else {
                if !self.in_comment {
                    kept.push_str(rest);
                }
                return kept;
            };
            if !self.in_comment {
                kept.push_str(&rest[..at]);
            }
            self.in_comment = !self.in_comment;
            rest = &rest[at + 2..];
        }
    }

    fn directive(&mut self, file: &Path, text: &str, place: &str, depth: usize) {
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        match word {
            "ifdef" => self.branches.push(self.defines.contains_key(rest)),
            "ifndef" => self.branches.push(!self.defines.contains_key(rest)),
            "ifexp" => {
                self.unread(place, text, "its condition is taken as true");
                self.branches.push(true);
            }
            "else" => {
                if let Some(branch) = self.branches.last_mut() {
                    *branch = !*branch;
                }
            }
            "endif" => {
                self.branches.pop();
            }
            _ if self.branches.contains(&false) => {}
            "define" | "def" | "trydef" | "trydefine" | "redef" | "redefine" => {
                let (name, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                let is_known = self.defines.contains_key(name);
                match (word, is_known) {
                    ("trydef" | "trydefine", true) => {}
                    ("define" | "def", true) => {
                        self.unread(place, text, "the name is defined already");
                    }
                    _ => self.define(name, value.trim()),
                }
            }
            "substdef" | "substdefs" => self.replace(word, rest, text, place),
            "include_file" | "import_file" => {
                let name = rest.trim_matches('"');
                self.include(file, name, word == "import_file", place, depth);
            }
            word if word.starts_with(|c: char| c.is_ascii_uppercase()) => {}
            _ => self.unread(place, text, "not understood"),
        }
    }

    fn define(&mut self, name: &str, value: &str) {
        self.defines.insert(name.to_owned(), value.to_owned());
    }

    /// Kamailio defines MOD_NAME for every module.
    fn define_module(&mut self, path: &str) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let name = name.strip_suffix(".so").unwrap_or(name);
        self.define(&format!("MOD_{name}"), "");
    }

    /// `#!substdef "/NAME/VALUE/"`: a definition, and a replacement within strings.
    fn replace(&mut self, word: &str, rest: &str, text: &str, place: &str) {
        let inner = rest.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        let mut characters = inner.unwrap_or_default().chars();
        let parts: Option<Vec<&str>> = characters
            .next()
            .map(|separator| characters.as_str().split(separator).collect());
        let is_plain = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        match parts.as_deref() {
            Some([name, value, _flags]) if is_plain(name) && !value.contains(['$', '\\']) => {
                let quoted = format!("\"{value}\"");
                self.define(name, if word == "substdefs" { &quoted } else { value });
                self.replacements
                    .push(((*name).to_owned(), (*value).to_owned()));
            }
            _ => self.unread(place, text, "only plain names and values are understood"),
        }
    }

    fn include(&mut self, from: &Path, name: &str, may_miss: bool, place: &str, depth: usize) {
        let name = self.replaced(name);
        let beside = from.parent().unwrap_or(Path::new("")).join(&name);
        let path = if beside.exists() {
            beside
        } else {
            PathBuf::from(&name)
        };
        if depth == MAX_DEPTH {
            return self.unread(
                place,
                &name,
                "includes are nested deeper than Kamailio allows",
            );
        }
        match std::fs::read(&path) {
            Ok(text) => self.read(&path, &String::from_utf8_lossy(&text), depth + 1),
            Err(_) if may_miss && !path.exists() => {}
            Err(error) => self.unread(place, &name, &error.to_string()),
        }
    }

    fn parameter(&mut self, statement: &str, place: &str) {
        use Token::{Mark, Number, Text, Word};
        let found = tokens(statement, &self.defines);
        let (module, name, value) = match found.as_deref() {
            Some(
                [
                    Word(_),
                    Mark('('),
                    Text(module),
                    Mark(','),
                    Text(name),
                    Mark(','),
                    Text(value) | Number(value),
                    Mark(')'),
                    ..,
                ],
            ) => (module, name, value),
            _ if statement.contains("cimf") => {
                return self.unread(place, statement, "expected modparam(\"cimf\", NAME, VALUE)");
            }
            _ => return,
        };
        // A pattern of modules, such as "tm|cimf".
        if !module
            .split('|')
            .any(|name| name.eq_ignore_ascii_case("cimf"))
        {
            return;
        }
        let value = self.replaced(value);
        self.script.parameters.push(Parameter {
            name: name.clone(),
            value,
            place: place.to_owned(),
        });
    }

    fn replaced(&self, text: &str) -> String {
        let replacements = self.replacements.iter();
        replacements.fold(text.to_owned(), |text, (name, value)| {
            text.replace(name, value)
        })
    }

    fn unread(&mut self, place: &str, what: &str, why: &str) {
        let what = what.lines().next().unwrap_or_default();
        self.script.unread.push(format!("{place}: {what}: {why}"));
    }
}

/// What follows the prefix of a directive.
fn directive(line: &str) -> Option<&str> {
    let line = line.trim();
    line.strip_prefix("#!").or_else(|| line.strip_prefix("!!"))
}

/// The quoted text after `word`.
fn quoted_after<'a>(statement: &'a str, word: &str) -> Option<&'a str> {
    let rest = statement.strip_prefix(word)?.trim_start();
    let (name, _) = rest.strip_prefix('"')?.split_once('"')?;
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parameters of a configuration as lines, and what was not read.
    fn read(text: &str, defines: &[&str]) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kamailio.cfg");
        std::fs::write(&file, text).unwrap();
        std::fs::write(
            folder.path().join("more.cfg"),
            "modparam(\"cimf\", \"ioi\", \"h\")",
        )
        .unwrap();
        let defines: Vec<_> = defines.iter().map(|&define| define.to_owned()).collect();
        let script = Script::read(&file, &defines).unwrap();
        let parameters = script.parameters.iter();
        let parameters = parameters.map(|it| format!("{}={}", it.name, it.value));
        (parameters.collect(), script.unread)
    }

    #[test]
    fn definitions_conditions_and_includes_are_honoured() {
        let text = "#!KAMAILIO\n\
            #!trydef DOMAINS \"im.home1.net\" # served\n\
            #!define NUMBER 1\n\
            #!substdef \"/HOST/icscf.home1.net/g\"\n\
            /* modparam(\"cimf\", \"ioi\", \"a\")\n */ modparam(\"tm|cimf\", \"domains\", DOMAINS)\n\
            # modparam(\"cimf\", \"ioi\", \"b\")\n\
            modparam(\"cimf\",\"core_route\" , \"sip:\" \"HOST;lr\") # next hop\n\
            #!ifdef NUMBER\n\
            modparam('cimf', 'pager_mode',\n   NUMBER)\n\
            #!else\n\
            #!ifndef DOMAINS\n\
            modparam(\"cimf\", \"ioi\", \"c\")\n\
            #!endif\n\
            modparam(\"cimf\", \"ioi\", \"d\")\n\
            #!endif\n\
            modparam(\"tm\", \"fr_timer\", 1)\n\
            include_file \"more.cfg\"\n\
            import_file \"none.cfg\"\n";
        let expected = |domains: &str| {
            let route = "core_route=sip:icscf.home1.net;lr".to_owned();
            let rest = ["pager_mode=1".to_owned(), "ioi=h".to_owned()];
            [vec![format!("domains={domains}"), route], rest.to_vec()].concat()
        };
        assert_eq!(read(text, &[]), (expected("im.home1.net"), vec![]));
        let defined = read(text, &["DOMAINS=\"other.net\""]);
        assert_eq!(defined, (expected("other.net"), vec![]));
    }

    #[test]
    fn anything_not_understood_is_reported_with_its_line() {
        let text = "#!defenv ROUTE=HOME\n\
            modparam(\"cimf\", \"ioi\", ROUTE)\n\
            #!subst \"/a+/b/\"\n\
            include_file \"gone.cfg\"\n\
            modparam(\"cimf\", \"ioi\"\n";
        let (parameters, unread) = read(text, &[]);
        assert!(parameters.is_empty());
        let lines: Vec<_> = (1..=5).map(|line| format!(" line {line}: ")).collect();
        assert_eq!(unread.len(), lines.len(), "{unread:#?}");
        for (unread, line) in unread.iter().zip(lines) {
            assert!(unread.contains(&line), "{unread}");
        }
    }
}
