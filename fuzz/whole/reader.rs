//! A strict reader of what goes out. It shares nothing with `src/sip`, so that what is read liberally there is not
//! taken for well written here. RFC 3261 §25.

/// Header fields: names in full form and lower case, values as they stand.
pub type Fields<'t> = Vec<(String, &'t [u8])>;

const COMPACT: [(&str, &str); 13] = [
    ("a", "accept-contact"),
    ("c", "content-type"),
    ("e", "content-encoding"),
    ("f", "from"),
    ("i", "call-id"),
    ("j", "reject-contact"),
    ("k", "supported"),
    ("l", "content-length"),
    ("m", "contact"),
    ("o", "event"),
    ("s", "subject"),
    ("t", "to"),
    ("v", "via"),
];

/// Lines of `Name: value`, each with CRLF.
pub fn fields(text: &[u8]) -> Result<Fields<'_>, String> {
    let mut rest = text;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let end = memchr::memmem::find(rest, b"\r\n");
        let end = end.ok_or("a last line without CRLF")?;
        let line = &rest[..end];
        rest = &rest[end + 2..];
        let shown = || format!("`{}`", line.escape_ascii());
        let colon = line.iter().position(|&byte| byte == b':');
        let (name, value) = line.split_at(colon.ok_or_else(|| format!("no colon in {}", shown()))?);
        if !is_token(name) {
            return Err(format!("the name in {}", shown()));
        }
        if line
            .iter()
            .any(|&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f)
        {
            return Err(format!("a control character in {}", shown()));
        }
        let value = value[1..]
            .strip_prefix(b" ")
            .ok_or_else(|| format!("no blank in {}", shown()))?;
        let name = String::from_utf8_lossy(name).to_lowercase();
        let full = COMPACT.iter().find(|(compact, _)| *compact == name);
        fields.push((full.map_or(name, |(_, full)| (*full).to_owned()), value));
    }
    Ok(fields)
}

pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// One address with its parameters.
#[derive(Debug)]
pub struct Address<'t> {
    pub uri: &'t [u8],
    pub parameters: Vec<(&'t [u8], Option<&'t [u8]>)>,
}

/// `[display-name] <uri> *(;parameter)`, and nothing behind it.
pub fn address(text: &[u8]) -> Result<Address<'_>, String> {
    let (address, rest) = one_address(text)?;
    match rest {
        b"" => Ok(address),
        rest => Err(format!("behind the address: `{}`", rest.escape_ascii())),
    }
}

/// Several of them, with commas between them.
pub fn addresses(text: &[u8]) -> Result<Vec<Address<'_>>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        let (address, behind) = one_address(rest)?;
        found.push(address);
        match behind.strip_prefix(b",") {
            Some(next) => rest = next,
            None if behind.is_empty() => return Ok(found),
            None => return Err(format!("behind an address: `{}`", behind.escape_ascii())),
        }
    }
}

fn one_address(text: &[u8]) -> Result<(Address<'_>, &[u8]), String> {
    let mut rest = blanks(text);
    if rest.first() == Some(&b'"') {
        rest = blanks(quoted(rest)?.1);
    } else {
        let display = rest
            .iter()
            .take_while(|&&byte| is_token_byte(byte) || b" \t".contains(&byte));
        rest = &rest[display.count()..];
    }
    let shown = || format!("`{}`", text.escape_ascii());
    let rest = rest
        .strip_prefix(b"<")
        .ok_or_else(|| format!("no < in {}", shown()))?;
    let end = rest.iter().position(|&byte| byte == b'>');
    let (uri, rest) = rest.split_at(end.ok_or_else(|| format!("no > in {}", shown()))?);
    check_uri(uri)?;
    let mut rest = blanks(&rest[1..]);
    let mut parameters = Vec::new();
    while let Some(behind) = rest.strip_prefix(b";") {
        let behind = blanks(behind);
        let (name, behind) = word(behind, is_token_byte);
        if name.is_empty() {
            return Err(format!("a parameter without a name in {}", shown()));
        }
        let behind = blanks(behind);
        let (value, behind) = match behind.strip_prefix(b"=").map(blanks) {
            None => (None, behind),
            Some(value) if value.first() == Some(&b'"') => {
                let (value, behind) = quoted(value)?;
                (Some(value), behind)
            }
            Some(value) => {
                let (value, behind) =
                    word(value, |byte| is_token_byte(byte) || b"[]:".contains(&byte));
                if value.is_empty() {
                    return Err(format!("a parameter without its value in {}", shown()));
                }
                (Some(value), behind)
            }
        };
        parameters.push((name, value));
        rest = blanks(behind);
    }
    Ok((Address { uri, parameters }, rest))
}

/// A quoted string at the beginning, and what is behind it.
fn quoted(text: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => return Ok(text.split_at(at + 1)),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    Err(format!("an open quoted string: `{}`", text.escape_ascii()))
}

fn word(text: &[u8], is_in: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|&byte| !is_in(byte));
    text.split_at(end.unwrap_or(text.len()))
}

fn blanks(text: &[u8]) -> &[u8] {
    word(text, |byte| b" \t".contains(&byte)).1
}

/// What any URI is made of: a scheme, and no character that a header field would take for its own.
pub fn check_uri(uri: &[u8]) -> Result<(), String> {
    let (scheme, rest) = word(uri, |byte| {
        byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
    });
    let is_good = |byte: &u8| byte.is_ascii_graphic() && !b"<>\"\\^`{|}#".contains(byte);
    let at = rest
        .strip_prefix(b":")
        .filter(|rest| !rest.is_empty() && rest.iter().all(is_good));
    match at {
        Some(_) if !scheme.is_empty() => Ok(()),
        _ => Err(format!("the URI `{}`", uri.escape_ascii())),
    }
}

/// An address of record: `user@host`, or the digits of a telephone number; without scheme, password, port,
/// parameters and headers.
pub fn address_of_record(uri: &[u8]) -> String {
    let uri = String::from_utf8_lossy(&unescaped(uri)).into_owned();
    let (scheme, rest) = uri.split_once(':').unwrap_or(("", &uri));
    if scheme.eq_ignore_ascii_case("tel") {
        let number = rest.split(';').next().unwrap_or_default();
        return number
            .chars()
            .filter(|it| it.is_ascii_digit() || *it == '+')
            .collect();
    }
    let (user, host) = rest.rsplit_once('@').unwrap_or(("", rest));
    let user = user.split(':').next().unwrap_or_default();
    let user = user.split(';').next().unwrap_or_default();
    let host = host.split(['?', ';']).next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default().to_lowercase();
    format!("{user}@{host}")
}

/// A text with its `%HH` undone.
pub fn unescaped(text: &[u8]) -> Vec<u8> {
    undone(text, b'%')
}

/// A text with the escapes of a transfer encoding (`=HH`) or of a URI undone.
pub fn undone(text: &[u8], mark: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        let digits = behind
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let value = digits.filter(|_| byte == mark);
        let value = value.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(value.unwrap_or(byte));
        rest = &behind[if value.is_some() { 2 } else { 0 }..];
    }
    out
}

/// The boundary of a multipart, which has exactly one; nothing for another type.
pub fn boundary(content_type: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let shown = || format!("`{}`", content_type.escape_ascii());
    let start = content_type.get(..10).unwrap_or_default();
    if !start.eq_ignore_ascii_case(b"multipart/") {
        return Ok(None);
    }
    let at = content_type.iter().position(|&byte| byte == b';');
    let mut rest = &content_type[at.ok_or_else(|| format!("no boundary in {}", shown()))?..];
    let mut found = None;
    while let Some(behind) = rest.strip_prefix(b";") {
        let (name, behind) = word(blanks(behind), is_token_byte);
        if name.is_empty() && blanks(behind).first().is_none_or(|&byte| byte == b';') {
            rest = blanks(behind);
            continue;
        }
        let value = blanks(behind)
            .strip_prefix(b"=")
            .map(blanks)
            .ok_or_else(|| format!("a parameter of {}", shown()))?;
        let (value, behind) = if value.first() == Some(&b'"') {
            let (value, behind) = quoted(value)?;
            let mut plain = Vec::new();
            let mut bytes = value[1..value.len() - 1].iter();
            while let Some(&byte) = bytes.next() {
                plain.extend(if byte == b'\\' {
                    bytes.next()
                } else {
                    Some(&byte)
                });
            }
            (plain, behind)
        } else {
            let (value, behind) = word(value, |byte| !b"; \t".contains(&byte));
            (value.to_vec(), behind)
        };
        if name.eq_ignore_ascii_case(b"boundary") && found.replace(value).is_some() {
            return Err(format!("two boundaries in {}", shown()));
        }
        rest = blanks(behind);
    }
    match found {
        Some(boundary) if rest.is_empty() && !boundary.is_empty() => Ok(Some(boundary)),
        _ => Err(format!("the boundary in {}", shown())),
    }
}

/// Whether a multipart has its closing delimiter, with whatever line end before it.
pub fn is_closed(body: &[u8], boundary: &[u8]) -> bool {
    let delimiter = [b"--", boundary, b"--"].concat();
    let behind_line_end = [b"\n", &delimiter[..]].concat();
    body.starts_with(&delimiter) || contains(body, &behind_line_end)
}

pub fn contains(text: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(text, needle).is_some()
}
