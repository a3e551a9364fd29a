//! Numbers in header fields: Max-Forwards, Max-Breadth, Expires, Content-Length, CSeq.

use super::Malformed;
use super::text::{trim, trim_start};

/// Parses a decimal number of at most `max`, which must be the whole of `value`.
pub fn decimal(part: &'static str, value: &[u8], max: u32) -> Result<u32, Malformed> {
    let bad = value.iter().position(|byte| !byte.is_ascii_digit());
    if let Some(bad) = bad.or(value.is_empty().then_some(0)) {
        return Err(Malformed::at(part, value, bad, "a decimal number"));
    }
    let number = value.iter().try_fold(0_u32, |number, digit| {
        let next = number
            .checked_mul(10)?
            .checked_add(u32::from(digit - b'0'))?;
        (next <= max).then_some(next)
    });
    number.ok_or_else(|| Malformed::at(part, value, 0, "a smaller number"))
}

/// Max-Forwards, RFC 3261 §20.22: 0 to 255.
pub fn max_forwards(value: &[u8]) -> Result<u8, Malformed> {
    decimal("Max-Forwards", value, 255).map(|number| number as u8)
}

/// Max-Breadth, RFC 5393 §5.3.3.
pub fn max_breadth(value: &[u8]) -> Result<u32, Malformed> {
    decimal("Max-Breadth", value, u32::MAX)
}

/// CSeq, RFC 3261 §20.16: a number below 2³¹ and a method.
pub fn cseq(value: &[u8]) -> Result<(u32, &[u8]), Malformed> {
    let end = value.iter().position(|byte| !byte.is_ascii_digit());
    let (number, method) = value.split_at(end.unwrap_or(value.len()));
    let number = decimal("CSeq", number, i32::MAX as u32)?;
    let method_text = trim_start(method);
    if method_text.is_empty() || method_text.len() == method.len() {
        let offset = value.len() - method_text.len();
        return Err(Malformed::at(
            "CSeq",
            value,
            offset,
            "white space and a method",
        ));
    }
    Ok((number, trim(method_text)))
}

/// Appends `number` in decimal, without the cost of formatting: this runs once for every copy.
pub fn write_decimal(mut number: usize, out: &mut Vec<u8>) {
    let start = out.len();
    loop {
        out.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out[start..].reverse();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_decimal_digits_are_a_number() {
        assert_eq!(decimal("x", b"0041", u32::MAX), Ok(41));
        for bad in [&b""[..], b"-1", b"+1", b"1 2", b"0x1", b"4294967296"] {
            assert!(decimal("x", bad, u32::MAX).is_err());
        }
        assert!(max_forwards(b"256").is_err());
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        let mut out = Vec::new();
        for number in [0, 7, 10, 4096] {
            write_decimal(number, &mut out);
        }
        assert_eq!(out, b"07104096");
    }

    #[test]
    fn cseq_is_a_number_and_a_method() {
        assert_eq!(cseq(b"41\t MESSAGE"), Ok((41, &b"MESSAGE"[..])));
        for bad in [&b"41"[..], b"41MESSAGE", b"MESSAGE", b"2147483648 MESSAGE"] {
            assert!(cseq(bad).is_err());
        }
    }
}
