//! The states of a message's recipients: three bytes each, 256 in a row of the table `recipient_state`.

use super::entry::OutcomeRecord;

/// Recipients per row.
pub(super) const CHUNK: u32 = 256;

/// Bytes of one recipient: the outcome, then the code in little-endian order.
const WIDTH: usize = 3;

/// Stores an outcome in the row of its chunk, which grows as needed.
pub(super) fn set(states: &mut Vec<u8>, outcome: OutcomeRecord) {
    let start = (outcome.recipient % CHUNK) as usize * WIDTH;
    if states.len() < start + WIDTH {
        states.resize(start + WIDTH, 0);
    }
    let [low, high] = outcome.code.to_le_bytes();
    if let Some(place) = states.get_mut(start..start + WIDTH) {
        place.copy_from_slice(&[outcome.outcome, low, high]);
    }
}

/// The outcomes in the row of a chunk, by ascending number of the recipient.
pub(super) fn outcomes(chunk: u32, states: &[u8]) -> impl Iterator<Item = OutcomeRecord> {
    let (each, _) = states.as_chunks::<WIDTH>();
    let numbered = (chunk.saturating_mul(CHUNK)..).zip(each);
    numbered.filter_map(|(recipient, &[outcome, low, high])| {
        (outcome != 0).then_some(OutcomeRecord {
            recipient,
            outcome,
            code: u16::from_le_bytes([low, high]),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stored_outcomes_are_read_back(
            places in proptest::collection::btree_map(0..CHUNK, (1_u8.., any::<u16>()), 0..20),
            chunk in 0_u32..79,
        ) {
            let mut states = Vec::new();
            let expected: Vec<OutcomeRecord> = places
                .into_iter()
                .map(|(place, (outcome, code))| OutcomeRecord { recipient: chunk * CHUNK + place, outcome, code })
                .collect();
            for &outcome in expected.iter().rev() {
                set(&mut states, outcome);
            }
            prop_assert!(states.len() <= CHUNK as usize * WIDTH);
            prop_assert_eq!(outcomes(chunk, &states).collect::<Vec<_>>(), expected);
        }
    }
}
