//! The request that a message came in, as its block in shared memory has it, for the ledger.

#![forbid(unsafe_code)]

use crate::control::request_memory::RequestKey;
use crate::ledger::RequestRecord;

/// Bytes of a length.
const LENGTH: usize = 4;

/// A request in bytes.
pub fn encode(request: &RequestRecord<'_>) -> Vec<u8> {
    let RequestKey {
        from_tag,
        call_id,
        cseq,
        via,
    } = request.key;
    let mut bytes = Vec::with_capacity(64 + from_tag.len() + call_id.len() + via.len());
    bytes.extend_from_slice(&request.content);
    bytes.extend_from_slice(&cseq.to_le_bytes());
    for text in [from_tag, call_id, via] {
        bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        bytes.extend_from_slice(text);
    }
    bytes
}

/// Reads what [`encode`] gave; nothing where there is no request.
pub fn decode(bytes: &[u8]) -> Option<RequestRecord<'_>> {
    let (content, rest) = bytes.split_first_chunk()?;
    let (cseq, mut rest) = rest.split_first_chunk()?;
    let mut text = || {
        let (length, after) = rest.split_first_chunk::<LENGTH>()?;
        let (text, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = after;
        Some(text)
    };
    let [from_tag, call_id, via] = [text()?, text()?, text()?];
    Some(RequestRecord {
        content: *content,
        key: RequestKey {
            from_tag,
            call_id,
            cseq: u32::from_le_bytes(*cseq),
            via,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let request = RequestRecord {
            content: [7; 16],
            key: RequestKey {
                from_tag: b"9f2c",
                call_id: b"",
                cseq: 41,
                via: b"SIP/2.0/UDP h;branch=z9hG4bK1",
            },
        };
        let bytes = encode(&request);
        assert_eq!(decode(&bytes), Some(request));
        assert!((0..bytes.len()).all(|length| decode(&bytes[..length]).is_none()));
    }
}
