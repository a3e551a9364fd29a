//! Transfer encodings, to hide lists in and to look for names in.

pub fn base64(text: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in text.chunks(3) {
        let bits = three
            .iter()
            .fold(0u32, |bits, &byte| bits << 8 | u32::from(byte));
        let bits = bits << (8 * (3 - three.len()));
        for place in 0..4 {
            let known = place <= three.len();
            let character = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            out.push(if known { char::from(character) } else { '=' });
        }
    }
    out
}

pub fn quoted_printable(text: &[u8]) -> String {
    let mut out = String::new();
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        for piece in line.chunks(20) {
            piece.iter().for_each(|byte| out += &format!("={byte:02X}"));
            out += "=\r\n";
        }
        out += "=0D=0A=\r\n";
    }
    out
}
