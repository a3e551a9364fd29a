//! Medians, and tables as Markdown has them.

use crate::turn::Turn;
use std::time::Duration;

/// The middle one, or the mean of the two in the middle.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

/// A table that is printed row by row.
pub fn head(columns: &[&str]) {
    println!();
    row(&columns.iter().map(ToString::to_string).collect::<Vec<_>>());
    row(&vec!["---".to_owned(); columns.len()]);
}

pub fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

/// The columns of [`measured`].
pub const MEASURED: [&str; 11] = [
    "members",
    "contender",
    "recipients/s",
    "CPU µs/recipient",
    "cimf's CPU is",
    "retransmissions",
    "lost",
    "refused",
    "unanswered",
    "answer p50 ms",
    "answer p99 ms",
];

/// One contender's turns of one size: medians, but sums of what should be none. `own` are cimf's turns of the
/// same rounds.
pub fn measured(size: usize, label: &str, turns: &[Turn], own: Option<&[Turn]>) {
    let middle = |value: fn(&Turn) -> f64| median(turns.iter().map(value));
    let sum = |value: fn(&Turn) -> u64| turns.iter().map(value).sum::<u64>();
    // Turn by turn, since what disturbs a machine disturbs neighbours alike.
    let ratio = own.map_or_else(String::new, |own| {
        let pairs = own.iter().zip(turns);
        let ratio = median(pairs.map(|(own, other)| own.cost() / other.cost()));
        format!("{ratio:.2} × this")
    });
    let received = sum(|turn| turn.received);
    let repeated = sum(|turn| turn.repeated);
    let share = 100.0 * repeated as f64 / received as f64;
    row(&[
        size.to_string(),
        label.to_owned(),
        format!("{:.0}", middle(Turn::recipients_per_second)),
        format!("{:.1}", middle(Turn::cost)),
        ratio,
        format!("{repeated} ({share:.2} %)"),
        sum(|turn| turn.lost).to_string(),
        sum(|turn| turn.refused as u64).to_string(),
        sum(|turn| turn.unanswered as u64).to_string(),
        format!("{:.2}", middle(|turn| milliseconds(turn.p50))),
        format!("{:.2}", middle(|turn| milliseconds(turn.p99))),
    ]);
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
