//! CSV (RFC 4180, each record on one line): which column has addresses and which one names, as the header says.
//!
//! Strict where a lenient reader would change or lose members: text behind a closing quote, a quote that is not closed,
//! and more fields than the header has are errors of their line.

use crate::streams::counted;
use cimf::sip::Uri;

/// What a column with addresses is called, and one with names, in whatever case.
const ADDRESS_COLUMNS: [&str; 3] = ["uri", "address", "member"];
const NAME_COLUMNS: [&str; 2] = ["name", "display_name"];

const SEPARATORS: [char; 3] = [',', ';', '\t'];

/// Where a CSV has addresses and names.
pub struct Columns {
    separator: char,
    count: usize,
    address: usize,
    name: Option<usize>,
}

impl Columns {
    /// The columns of a header; nothing if the line is none.
    pub fn of_header(line: &str) -> Option<Self> {
        SEPARATORS.into_iter().find_map(|separator| {
            let titles = fields(line, separator).ok()?;
            let find = |names: &[&str]| {
                let mut titles = titles.iter();
                titles.position(|title| names.iter().any(|name| title.eq_ignore_ascii_case(name)))
            };
            Some(Self {
                separator,
                count: titles.len(),
                address: find(&ADDRESS_COLUMNS)?,
                name: find(&NAME_COLUMNS),
            })
        })
    }

    /// The fields with the address and the name of a record; nothing if all its fields are empty.
    pub fn record(&self, line: &str) -> Result<Option<(String, Option<String>)>, String> {
        let fields = fields(line, self.separator)?;
        if fields.iter().all(String::is_empty) {
            return Ok(None);
        }
        let more = fields.get(self.count..).unwrap_or_default();
        if let Some(last) = more.iter().rfind(|field| !field.is_empty()) {
            let (expected, found) = (counted(self.count as u64, "column"), fields.len());
            let separator = shown(self.separator);
            return Err(format!(
                "expected {expected}, as the header says, found {found} (`{last}`); put a name with {separator} into quotes, as in \"Lee{} Ann\"",
                self.separator
            ));
        }
        let field = |at: usize| fields.get(at).filter(|field| !field.is_empty());
        let address = field(self.address).ok_or_else(|| {
            let column = self.address + 1;
            format!("expected an address in column {column}, as the header says, found none")
        })?;
        Ok(Some((address.clone(), self.name.and_then(field).cloned())))
    }
}

fn shown(separator: char) -> String {
    match separator {
        '\t' => "a tab".to_owned(),
        other => format!("`{other}`"),
    }
}

/// What is wrong with a line that has columns and no header above; nothing if it has none.
pub fn without_header(line: &str) -> Option<String> {
    let line = line.split_once(" #").map_or(line, |(line, _)| line).trim();
    SEPARATORS.into_iter().find_map(|separator| {
        let fields = fields(line, separator).ok()?;
        let address = fields.iter().position(|field| is_address(field))?;
        let is_row = match separator {
            // Parameters of a URI follow it in the same way.
            ';' => address > 0 || fields[1..].iter().any(|field| !is_parameter(field)),
            // As `group show` prints it.
            '\t' => address > 0 || fields.len() > 2,
            _ => fields.len() > 1,
        };
        let titles = (0..fields.len()).map(|at| match at {
            at if at == address => "uri",
            at if at == usize::from(address == 0) => "name",
            _ => "other",
        });
        let titles: Vec<_> = titles.collect();
        is_row.then(|| {
            format!(
                "expected a header before lines with columns, found `{}`; put one in front, such as `{}`: uri is the column with addresses, name the one with names, others are not read",
                line,
                titles.join(&separator.to_string())
            )
        })
    })
}

/// Whether a field is an address, and nothing but that.
fn is_address(field: &str) -> bool {
    match Uri::parse(field.as_bytes()) {
        Ok(Uri::Sip(sip)) => sip.user.is_some(),
        Ok(Uri::Tel(_)) => true,
        _ => false,
    }
}

/// Whether a field could be a parameter of the address before it. Of those without a value only the usual ones count:
/// `Ann` is a name rather.
fn is_parameter(field: &str) -> bool {
    let is_usual = ["lr", "ob", "gr", "bnc"]
        .iter()
        .any(|usual| field.eq_ignore_ascii_case(usual));
    is_usual || field.contains('=') && Uri::parse(format!("sip:a@b;{field}").as_bytes()).is_ok()
}

/// The fields of a record, without white space around them.
fn fields(line: &str, separator: char) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let start = rest.trim_start_matches([' ', '\u{a0}']);
        let (field, behind) = match start.strip_prefix('"') {
            Some(quoted) => {
                let (field, behind) = until_quote(quoted)?;
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

/// What stands before the closing quote, and behind it; two quotes are one that does not close.
fn until_quote(text: &str) -> Result<(String, &str), String> {
    let mut found = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('"') {
        found += before;
        match behind.strip_prefix('"') {
            Some(behind) => {
                found.push('"');
                rest = behind;
            }
            None => return Ok((found, behind)),
        }
    }
    Err("expected a closing quote (\")".to_owned())
}
