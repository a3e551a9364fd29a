//! Rows of some tables out of the text that `mysqldump`, `mariadb-dump`, `sqlite3 .dump` and `pg_dump` write:
//! `INSERT INTO table [(columns)] VALUES (…), (…);`, and `COPY table (columns) FROM stdin;` with its lines of data.
//! All other statements are passed over.

use super::imc_error::ImcError;
use memchr::memmem;

/// A row of a dump.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DumpRow {
    /// The table, without its schema.
    pub table: String,
    /// The line of the dump in which it starts, from 1 on.
    pub line: usize,
    /// The names of its columns, if the dump says them.
    pub columns: Option<Vec<String>>,
    /// The values; nothing for NULL.
    pub values: Vec<Option<String>>,
}

/// What only programs for MySQL and MariaDB write. There a backslash in a string escapes what follows it.
const MYSQL: [&[u8]; 4] = [
    b"-- MySQL dump",
    b"-- MariaDB dump",
    b"-- phpMyAdmin",
    b"INSERT INTO `",
];

/// The rows of these tables.
pub(super) fn rows(dump: &[u8], tables: &[&str]) -> Result<Vec<DumpRow>, ImcError> {
    let mut reader = Reader {
        text: dump,
        at: 0,
        line: 1,
        is_mysql: MYSQL.iter().any(|mark| memmem::find(dump, mark).is_some()),
        tables,
        rows: Vec::new(),
    };
    while reader.skip_blank() {
        reader.statement()?;
    }
    Ok(reader.rows)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    is_mysql: bool,
    tables: &'a [&'a str],
    rows: Vec<DumpRow>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// Goes `count` bytes on.
    fn advance(&mut self, count: usize) {
        let end = self.text.len().min(self.at + count);
        self.line += memchr::memchr_iter(b'\n', &self.text[self.at..end]).count();
        self.at = end;
    }

    /// Goes on behind the next `mark`, or to the end.
    fn advance_behind(&mut self, mark: &[u8]) {
        let found = memmem::find(self.rest(), mark);
        self.advance(found.map_or(self.rest().len(), |at| at + mark.len()));
    }

    /// The line that starts here, without its end.
    fn take_line(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.advance(end + 1);
        let line = &rest[..end];
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// Passes white space and comments; whether anything follows.
    fn skip_blank(&mut self) -> bool {
        while let Some(byte) = self.peek() {
            let rest = self.rest();
            if byte.is_ascii_whitespace() {
                self.advance(1);
            } else if rest.starts_with(b"--") || (self.is_mysql && byte == b'#') {
                self.take_line();
            } else if rest.starts_with(b"/*") {
                self.advance_behind(b"*/");
            } else {
                return true;
            }
        }
        false
    }

    fn statement(&mut self) -> Result<(), ImcError> {
        // A command of psql.
        if self.peek() == Some(b'\\') {
            self.take_line();
            return Ok(());
        }
        let word = self.word().to_ascii_uppercase();
        match word.as_str() {
            "INSERT" | "REPLACE" => self.insert(),
            "COPY" => self.copy(),
            _ => self.skip_statement(),
        }
    }

    /// The word that stands here, or nothing.
    fn word(&mut self) -> String {
        let rest = self.rest();
        let is_end = |byte: &u8| !(byte.is_ascii_alphanumeric() || *byte == b'_');
        let end = rest.iter().position(is_end).unwrap_or(rest.len());
        self.advance(end);
        String::from_utf8_lossy(&rest[..end]).into_owned()
    }

    /// Passes whatever is here up to the end of the statement.
    fn skip_statement(&mut self) -> Result<(), ImcError> {
        while self.skip_blank() {
            let line = self.line;
            match self.peek() {
                Some(b';') => {
                    self.advance(1);
                    break;
                }
                Some(quote @ (b'\'' | b'"' | b'`')) => self.quoted(quote, line).map(drop)?,
                Some(b'$') => self.dollar_quoted(),
                // A word as a whole: a dollar sign in it quotes nothing, as none behind an `E` does.
                Some(byte) if byte.is_ascii_alphanumeric() || byte == b'_' => {
                    self.word_or_string(line)?;
                }
                _ => self.advance(1),
            }
        }
        Ok(())
    }

    fn word_or_string(&mut self, line: usize) -> Result<(), ImcError> {
        let word = self.word();
        if self.peek() == Some(b'\'') && word.eq_ignore_ascii_case("E") {
            self.escaped(line)?;
        }
        while self.peek() == Some(b'$') {
            self.advance(1);
            self.word();
        }
        Ok(())
    }

    /// PostgreSQL's `$tag$ … $tag$`.
    fn dollar_quoted(&mut self) {
        let rest = self.rest();
        let is_tag = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let end = 1 + rest[1..].iter().take_while(|byte| is_tag(byte)).count();
        if rest.get(end) != Some(&b'$') {
            return self.advance(1);
        }
        let tag = &rest[..=end];
        self.advance(tag.len());
        self.advance_behind(tag);
    }

    /// Text in quotes, of which two stand for one; `line` is where what it belongs to has started.
    fn quoted(&mut self, quote: u8, line: usize) -> Result<Vec<u8>, ImcError> {
        let escapes = self.is_mysql && quote != b'`';
        self.advance(1);
        self.until_quote(quote, escapes, line)
    }

    /// PostgreSQL's E'…', in which a backslash escapes.
    fn escaped(&mut self, line: usize) -> Result<Vec<u8>, ImcError> {
        self.advance(1);
        self.until_quote(b'\'', true, line)
    }

    fn until_quote(&mut self, quote: u8, escapes: bool, line: usize) -> Result<Vec<u8>, ImcError> {
        let mut found = Vec::new();
        while let Some(byte) = self.peek() {
            let next = self.rest().get(1).copied();
            match (byte, next) {
                (b'\\', Some(next)) if escapes => {
                    found.push(unescaped(next));
                    self.advance(2);
                }
                _ if byte == quote && next == Some(quote) => {
                    found.push(quote);
                    self.advance(2);
                }
                _ if byte == quote => {
                    self.advance(1);
                    return Ok(found);
                }
                _ => {
                    found.push(byte);
                    self.advance(1);
                }
            }
        }
        let quote = char::from(quote);
        Err(ImcError::dump(
            line,
            format!("expected a closing {quote}, found the end of the dump"),
        ))
    }

    /// Passes `byte` if it stands here.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_blank();
        let is_here = self.peek() == Some(byte);
        self.advance(usize::from(is_here));
        is_here
    }

    /// A name, of a table or column, in whatever quotes.
    fn name(&mut self) -> Result<String, ImcError> {
        self.skip_blank();
        match self.peek() {
            Some(quote @ (b'"' | b'`')) => {
                let name = self.quoted(quote, self.line)?;
                Ok(String::from_utf8_lossy(&name).into_owned())
            }
            _ => Ok(self.word()),
        }
    }

    /// A table's name without its schema, if its rows are wanted.
    fn wanted_table(&mut self) -> Result<Option<String>, ImcError> {
        let mut name = self.name()?;
        while self.take(b'.') {
            name = self.name()?;
        }
        Ok(self.tables.contains(&name.as_str()).then_some(name))
    }

    /// The names of columns in parentheses, if there are any.
    fn columns(&mut self) -> Result<Option<Vec<String>>, ImcError> {
        if !self.take(b'(') {
            return Ok(None);
        }
        let mut columns = Vec::new();
        loop {
            columns.push(self.name()?);
            if !self.take(b',') {
                break;
            }
        }
        match self.take(b')') {
            true => Ok(Some(columns)),
            false => Err(self.unexpected("`)` behind the names of columns")),
        }
    }

    fn insert(&mut self) -> Result<(), ImcError> {
        // INSERT IGNORE INTO, INSERT OR REPLACE INTO.
        for _ in 0..3 {
            self.skip_blank();
            if self.word().eq_ignore_ascii_case("INTO") {
                break;
            }
        }
        let Some(table) = self.wanted_table()? else {
            return self.skip_statement();
        };
        let columns = self.columns()?;
        self.skip_blank();
        let mut word = self.word().to_ascii_uppercase();
        // Of columns that number themselves, pg_dump says OVERRIDING SYSTEM VALUE.
        while matches!(word.as_str(), "OVERRIDING" | "SYSTEM" | "USER" | "VALUE") {
            self.skip_blank();
            word = self.word().to_ascii_uppercase();
        }
        if word != "VALUES" {
            return Err(self.unexpected(&format!("VALUES behind INSERT INTO {table}")));
        }
        loop {
            self.skip_blank();
            let line = self.line;
            let values = self.values()?;
            self.rows.push(DumpRow {
                table: table.clone(),
                line,
                columns: columns.clone(),
                values,
            });
            if !self.take(b',') {
                return self.skip_statement();
            }
        }
    }

    /// The values of one row, in parentheses.
    fn values(&mut self) -> Result<Vec<Option<String>>, ImcError> {
        if !self.take(b'(') {
            return Err(self.unexpected("`(` before the values of a row"));
        }
        let mut values = Vec::new();
        loop {
            values.push(self.value()?);
            if !self.take(b',') {
                break;
            }
        }
        match self.take(b')') {
            true => Ok(values),
            false => Err(self.unexpected("`)` behind the values of a row")),
        }
    }

    fn value(&mut self) -> Result<Option<String>, ImcError> {
        self.skip_blank();
        let line = self.line;
        if self.peek() == Some(b'\'') || (self.is_mysql && self.peek() == Some(b'"')) {
            let quote = self.peek().unwrap_or_default();
            let text = self.quoted(quote, line)?;
            return utf8(text, line).map(Some);
        }
        let sign = match self.peek() {
            Some(b'-') => "-",
            _ => "",
        };
        self.advance(sign.len());
        let word = self.word();
        // A character set, as mysqldump writes it: _binary 'text'.
        if word.starts_with('_') {
            self.skip_blank();
        }
        let is_string = self.peek() == Some(b'\'');
        match word.to_ascii_uppercase().as_str() {
            "NULL" if sign.is_empty() => Ok(None),
            "E" if is_string => utf8(self.escaped(line)?, line).map(Some),
            name if is_string && name.starts_with('_') => {
                utf8(self.quoted(b'\'', line)?, line).map(Some)
            }
            digits if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(Some(format!("{sign}{digits}")))
            }
            other => Err(ImcError::dump(
                line,
                format!("expected a string, a number or NULL, found `{other}`"),
            )),
        }
    }

    fn copy(&mut self) -> Result<(), ImcError> {
        let table = self.wanted_table()?;
        let columns = self.columns()?;
        self.skip_blank();
        // COPY … TO, and COPY … FROM a file, which no dump has, are followed by no data.
        let is_from = self.word().eq_ignore_ascii_case("FROM");
        self.skip_blank();
        let has_data = is_from && self.word().eq_ignore_ascii_case("stdin");
        self.skip_statement()?;
        if !has_data {
            return Ok(());
        }
        self.take_line();
        loop {
            let (line, is_end) = (self.line, self.rest().is_empty());
            let data = self.take_line();
            if data == b"\\." {
                return Ok(());
            }
            let Some(table) = &table else {
                if is_end {
                    return Ok(());
                }
                continue;
            };
            if is_end {
                let problem = format!("expected \\. behind the rows of {table}, found the end");
                return Err(ImcError::dump(line, problem));
            }
            let values = data.split(|byte| *byte == b'\t');
            let values = values.map(|field| copied(field, line));
            self.rows.push(DumpRow {
                table: table.clone(),
                line,
                columns: columns.clone(),
                values: values.collect::<Result<_, _>>()?,
            });
        }
    }

    fn unexpected(&self, expected: &str) -> ImcError {
        let found: String = String::from_utf8_lossy(self.rest().get(..40).unwrap_or(self.rest()))
            .chars()
            .take_while(|character| *character != '\n')
            .take(20)
            .collect();
        ImcError::dump(self.line, format!("expected {expected}, found `{found}`"))
    }
}

/// What a backslash and `byte` stand for.
fn unescaped(byte: u8) -> u8 {
    match byte {
        b'0' => 0,
        b'b' => 8,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'Z' => 26,
        other => other,
    }
}

/// A field of COPY's lines.
fn copied(field: &[u8], line: usize) -> Result<Option<String>, ImcError> {
    if field == b"\\N" {
        return Ok(None);
    }
    let mut text = Vec::with_capacity(field.len());
    let mut bytes = field.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => text.extend(bytes.next().map(unescaped)),
            _ => text.push(byte),
        }
    }
    utf8(text, line).map(Some)
}

fn utf8(text: Vec<u8>, line: usize) -> Result<String, ImcError> {
    String::from_utf8(text).map_err(|error| {
        let found = error.as_bytes().escape_ascii();
        let problem = format!(
            "expected text in UTF-8, found `{found}`; make the dump in UTF-8 (`mysqldump --default-character-set=utf8mb4`), or convert it: `iconv -f WINDOWS-1252 -t UTF-8 FILE`"
        );
        ImcError::dump(line, problem)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Table, line and values of each row, the values with `|` between.
    fn read(dump: &str) -> Vec<(String, usize, String)> {
        let rows = rows(dump.as_bytes(), &["imc_rooms", "imc_members"]).unwrap();
        let each = rows.into_iter().map(|row| {
            let values = row.values.into_iter();
            let values = values.map(|value| value.unwrap_or_else(|| "NULL".to_owned()));
            (row.table, row.line, values.collect::<Vec<_>>().join("|"))
        });
        each.collect()
    }

    fn row(table: &str, line: usize, values: &str) -> (String, usize, String) {
        (table.to_owned(), line, values.to_owned())
    }

    fn refused(dump: &str) -> String {
        let error = rows(dump.as_bytes(), &["imc_rooms"]).unwrap_err();
        error.to_string()
    }

    #[test]
    fn what_mysqldump_writes_is_read() {
        let dump = r#"-- MySQL dump 10.13  Distrib 8.0.36
/*!40101 SET NAMES utf8 */;
DROP TABLE IF EXISTS `imc_rooms`;
CREATE TABLE `imc_rooms` (
  `id` int(10) unsigned NOT NULL AUTO_INCREMENT, -- it's a number; no more
  `name` varchar(64) DEFAULT 'a;b\'c'
) ENGINE=InnoDB;
# INSERT INTO `imc_rooms` VALUES (0,'no','no',0);
INSERT INTO `other` VALUES (1,'INSERT INTO `imc_rooms` VALUES (9,\'x\',\'y\',0);');
INSERT INTO `imc_rooms` VALUES (1,'o\'hara','im.home1.net',0),(2,"a""b\\c",_utf8mb4 'h',-2),
(3,NULL,'h',0);
INSERT IGNORE INTO `kamailio`.`imc_members` (`id`, `username`) VALUES (7 , 'ann');
"#;
        let expected = [
            row("imc_rooms", 10, "1|o'hara|im.home1.net|0"),
            row("imc_rooms", 10, "2|a\"b\\c|h|-2"),
            row("imc_rooms", 11, "3|NULL|h|0"),
            row("imc_members", 12, "7|ann"),
        ];
        assert_eq!(read(dump), expected);
        let rows = rows(dump.as_bytes(), &["imc_members"]).unwrap();
        let columns = ["id", "username"].map(str::to_owned).to_vec();
        assert_eq!(rows[0].columns, Some(columns));
    }

    #[test]
    fn what_sqlite3_writes_is_read() {
        let dump = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE imc_rooms (id INTEGER, name VARCHAR(64) DEFAULT '\\');\nINSERT INTO imc_rooms VALUES(1,'o''hara\\','h',0);\nINSERT INTO \"imc_members\" VALUES(1,'ann','h','sip:r@h',1);\nCREATE TRIGGER t AFTER INSERT ON x BEGIN SELECT 1; SELECT 'a'; END;\nCOMMIT;\n";
        let expected = [
            row("imc_rooms", 4, "1|o'hara\\|h|0"),
            row("imc_members", 5, "1|ann|h|sip:r@h|1"),
        ];
        assert_eq!(read(dump), expected);
    }

    #[test]
    fn what_pg_dump_writes_is_read() {
        let dump = "\\restrict abc'def\nSET standard_conforming_strings = on;\nSELECT pg_catalog.set_config('search_path', '', false);\nCREATE FUNCTION public.f() RETURNS void LANGUAGE sql AS $_$ SELECT 'a;$$ $_$;\nCOPY public.version (table_name) FROM stdin;\nit's; (\nINSERT INTO imc_rooms VALUES (8);\n\\.\n\nCOPY public.imc_rooms (id, name, domain, flag) FROM stdin;\n1\to'hara\tim\\\\x\\ty\t0\n2\t\\N\t\t2\r\n\\.\n\nINSERT INTO public.imc_members OVERRIDING SYSTEM VALUE VALUES (1, E'a\\'n''n', 'h', 'r\\', 0);\nINSERT INTO public.imc_members (id) VALUES\n\t(2),\n\t(3);\n";
        let expected = [
            row("imc_rooms", 11, "1|o'hara|im\\x\ty|0"),
            row("imc_rooms", 12, "2|NULL||2"),
            row("imc_members", 15, "1|a'n'n|h|r\\|0"),
            row("imc_members", 17, "2"),
            row("imc_members", 18, "3"),
        ];
        assert_eq!(read(dump), expected);
    }

    #[test]
    fn what_is_not_understood_is_told_with_its_line() {
        for (dump, expected) in [
            (
                "\nINSERT INTO imc_rooms VALUES (1,\n'x",
                "line 3: expected a closing ', found the end of the dump",
            ),
            (
                "INSERT INTO imc_rooms VALUES (unistr('x'));",
                "line 1: expected a string, a number or NULL, found `UNISTR`",
            ),
            (
                "INSERT INTO imc_rooms VALUES (1;",
                "line 1: expected `)` behind the values of a row, found `;`",
            ),
            (
                "\n\nINSERT INTO imc_rooms SELECT 1;",
                "line 3: expected VALUES behind INSERT INTO imc_rooms, found ` 1;`",
            ),
            (
                "INSERT INTO imc_rooms VALUES (1),;",
                "line 1: expected `(` before the values of a row, found `;`",
            ),
            (
                "INSERT INTO imc_rooms (id VALUES (1);",
                "line 1: expected `)` behind the names of columns, found `VALUES (1);`",
            ),
            (
                "COPY imc_rooms (id) FROM stdin;\n1\n",
                "line 3: expected \\. behind the rows of imc_rooms, found the end",
            ),
        ] {
            assert_eq!(refused(dump), expected, "{dump}");
        }
        let dump = b"INSERT INTO imc_rooms VALUES ('\xff');";
        let error = rows(dump, &["imc_rooms"]).unwrap_err().to_string();
        assert!(error.contains("line 1: expected text in UTF-8"), "{error}");
    }

    #[test]
    fn no_beginning_of_a_dump_is_read_for_ever() {
        let dump = "INSERT INTO `a`.\"b\" (c) VALUES ('d\\'', E'f', $g$h$g$) ON x; COPY imc_rooms FROM stdin;\n1\t2\n\\.\n/* i */";
        for end in 0..dump.len() {
            let _ = rows(&dump.as_bytes()[..end], &["imc_rooms", "b"]);
        }
    }
}
