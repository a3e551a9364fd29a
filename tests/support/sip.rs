//! A small, strict reader of SIP messages for tests: CRLF only, no folding, exactly one Content-Length and
//! exactly that many bytes of body. What the product or the proxy writes has to be that plain.

use std::fmt;

/// One SIP request or response.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The request line or status line.
    pub start: String,
    /// Names as written, values without surrounding blanks, in order.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The long name in lower case of a header name as written.
pub fn long_name(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let long = match name.as_str() {
        "a" => "accept-contact",
        "c" => "content-type",
        "e" => "content-encoding",
        "f" => "from",
        "i" => "call-id",
        "k" => "supported",
        "l" => "content-length",
        "m" => "contact",
        "s" => "subject",
        "t" => "to",
        "v" => "via",
        other => other,
    };
    long.to_owned()
}

impl Message {
    /// Reads one whole message.
    pub fn read(bytes: &[u8]) -> Result<Message, String> {
        let end = find(bytes, b"\r\n\r\n").ok_or("no empty line after the headers")?;
        // A display-name may hold bytes that are no UTF-8, and nobody on the way has to care.
        let head = String::from_utf8_lossy(&bytes[..end]);
        let body = &bytes[end + 4..];
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let words: Vec<&str> = start.split(' ').collect();
        let response = words[0] == "SIP/2.0";
        if words.len() < 3 || !(response || words.len() == 3 && words[2] == "SIP/2.0") {
            return Err(format!("not a start line: {start:?}"));
        }
        let mut headers = Vec::new();
        for line in lines {
            if line.starts_with([' ', '\t']) || line.contains(['\r', '\n', '\0']) {
                return Err(format!("a folded or broken header line: {line:?}"));
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| format!("no colon in {line:?}"))?;
            if name.is_empty() || name.contains([' ', '\t']) {
                return Err(format!("not a header name: {name:?}"));
            }
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let message = Message {
            start,
            headers,
            body: body.to_vec(),
        };
        let length = match message.all("Content-Length").as_slice() {
            [one] => one
                .parse::<usize>()
                .map_err(|_| format!("Content-Length is {one:?}"))?,
            rows => return Err(format!("{} Content-Length headers", rows.len())),
        };
        if length != body.len() {
            return Err(format!(
                "Content-Length is {length} and {} bytes follow",
                body.len()
            ));
        }
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            if message.all(name).is_empty() {
                return Err(format!("no {name}"));
            }
        }
        Ok(message)
    }

    /// How many bytes at the start of `bytes` make one message on a stream, or None while it is incomplete.
    pub fn length_on_stream(bytes: &[u8]) -> Result<Option<usize>, String> {
        let Some(end) = find(bytes, b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = String::from_utf8_lossy(&bytes[..end]);
        let length = head
            .split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| long_name(name.trim()) == "content-length")
            .ok_or("no Content-Length on a stream")?
            .1
            .trim()
            .parse::<usize>()
            .map_err(|error| format!("Content-Length: {error}"))?;
        let total = end + 4 + length;
        Ok((bytes.len() >= total).then_some(total))
    }

    /// The values of every row of a header, however its name is written.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let wanted = long_name(name);
        self.headers
            .iter()
            .filter(|(name, _)| long_name(name) == wanted)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The value of a header that has to be there exactly once.
    #[track_caller]
    pub fn one(&self, name: &str) -> &str {
        match self.all(name).as_slice() {
            [one] => one,
            rows => panic!("expected one {name}, found {}:\n{self}", rows.len()),
        }
    }

    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    /// The code of a response, 0 for a request.
    pub fn status(&self) -> u16 {
        match self.start.strip_prefix("SIP/2.0 ") {
            Some(rest) => rest
                .split(' ')
                .next()
                .and_then(|code| code.parse().ok())
                .unwrap_or(0),
            None => 0,
        }
    }

    /// The reason phrase of a response.
    pub fn reason(&self) -> &str {
        self.start.splitn(3, ' ').nth(2).unwrap_or("")
    }

    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or("")
    }

    pub fn request_uri(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or("")
    }

    /// The tag of From or To.
    pub fn tag(&self, name: &str) -> Option<&str> {
        let value = self.one(name);
        parameter(value.rsplit('>').next().unwrap_or(value), "tag")
    }

    /// The branch of the topmost Via.
    pub fn branch(&self) -> &str {
        self.all("Via")
            .first()
            .and_then(|via| parameter(via, "branch"))
            .unwrap_or("")
    }
}

/// The value of `;name=value` in `text`.
pub fn parameter<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Where `needle` starts in `bytes`.
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}

impl fmt::Display for Message {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.start)?;
        for (name, value) in &self.headers {
            writeln!(out, "{name}: {value}")?;
        }
        write!(out, "\n{}", String::from_utf8_lossy(&self.body))
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}
