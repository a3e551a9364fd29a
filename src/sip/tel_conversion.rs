//! A tel URI as a SIP URI, RFC 3261 §19.1.6, for next hops that do not route telephone numbers (M-7).

use super::escape::Unit;
use super::tel::TelUri;

/// Parameters that precede all others: RFC 3261 names the first and the last, and RFC 3966 §3 replaced
/// RFC 2806's `postd` by `ext`.
const FIRST: [&[u8]; 3] = [b"isub", b"ext", b"postd"];

impl TelUri<'_> {
    /// Appends `sip:NUMBER;PARAMETERS@DOMAIN;user=phone`: in lower case, with the parameters in order,
    /// so that the same number gives the same user part of a SIP URI.
    pub fn write_as_sip(&self, domain: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"sip:");
        write_as_user(self.number, out);
        let pieces = self.parameters.split(|&byte| byte == b';');
        let mut pieces: Vec<Vec<u8>> = pieces
            .filter(|piece| !piece.is_empty())
            .map(<[u8]>::to_ascii_lowercase)
            .collect();
        pieces.sort_by(|a, b| place(a).cmp(&place(b)));
        for piece in pieces {
            out.push(b';');
            write_as_user(&piece, out);
        }
        out.push(b'@');
        out.extend_from_slice(domain.as_bytes());
        out.extend_from_slice(b";user=phone");
    }
}

fn place(piece: &[u8]) -> (usize, &[u8]) {
    let name = piece.split(|&byte| byte == b'=').next().unwrap_or(piece);
    let first = FIRST.iter().position(|first| *first == name);
    (first.unwrap_or(FIRST.len()), name)
}

/// Writes text in lower case, escaping what a user part may not contain (RFC 3261 §25.1).
fn write_as_user(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'[' | b']' | b':' | b'#' => Unit::Escaped(byte).write(out),
            other => out.push(other.to_ascii_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Uri;

    #[test]
    fn numbers_become_users_of_the_domain() {
        // M-7, T 52; the first is the example of RFC 3261 §19.1.6.
        for (tel, sip) in [
            ("+358-555-1234567;POSTD=pp22", "+358-555-1234567;postd=pp22"),
            (
                "+1-212;b=1;isub=1411;A=X;ext=5",
                "+1-212;isub=1411;ext=5;a=x;b=1",
            ),
            (
                "7042;phone-context=Example.com;a",
                "7042;a;phone-context=example.com",
            ),
            ("*7A#;phone-context=+1", "*7a%23;phone-context=+1"),
            ("+1;x=[:]%2F", "+1;x=%5B%3A%5D%2f"),
        ] {
            let tel = TelUri::parse(tel.as_bytes()).unwrap();
            let mut out = Vec::new();
            tel.write_as_sip("home1.net", &mut out);
            let written = String::from_utf8(out).unwrap();
            assert_eq!(written, format!("sip:{sip}@home1.net;user=phone"));
            assert!(matches!(Uri::parse(written.as_bytes()), Ok(Uri::Sip(sip)) if sip.is_phone()));
        }
    }
}
