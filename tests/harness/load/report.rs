//! What became of the traffic, as a document.

use std::fmt::Write;
use std::time::Duration;

use super::Ledger;

/// Memory is flat if the median of the last third is at most so much of that of the middle one.
const FLAT_PERCENT: u64 = 110;

/// From fewer samples nobody can tell: three in each third.
const MIN_SAMPLES: usize = 9;

/// Whether samples of memory, in equal steps, no longer grow: the first third warms up. What was hardly
/// measured is not flat.
pub fn is_flat(samples_kib: &[u64]) -> bool {
    let (middle, last) = thirds(samples_kib);
    samples_kib.len() >= MIN_SAMPLES && last * 100 <= middle * FLAT_PERCENT
}

/// Requests by kind and status, times, memory.
pub fn summary(ledger: &Ledger, elapsed: Duration, memory_kib: &[u64]) -> String {
    let mut text = String::from("| request | status | answers |\n| --- | ---: | ---: |\n");
    for ((what, status), count) in &ledger.answers {
        writeln!(text, "| {what} | {status} | {count} |").unwrap();
    }
    let mut took = ledger.took.clone();
    took.sort_unstable();
    let requests = took.len();
    let at = |percent: usize| took.get(requests.saturating_sub(1) * percent / 100).copied().unwrap_or_default();
    writeln!(
        text,
        "\n{requests} requests in {} s; half of them took up to {:.0?}, 99 % up to {:.0?}.",
        elapsed.as_secs(),
        at(50),
        at(99)
    )
    .unwrap();
    text.push_str(&memory(memory_kib));
    writeln!(text, "Answers that should not have been, and invariants that do not hold: {}.", ledger.wrong.len())
        .unwrap();
    text
}

fn memory(samples_kib: &[u64]) -> String {
    if samples_kib.is_empty() {
        return "Memory of the server: not measured, as the system does not say.\n".to_owned();
    }
    let (middle, last) = thirds(samples_kib);
    format!(
        "Memory of the server (median of the resident set): {} MiB in the middle third, {} MiB in the last.\n",
        middle / 1_024,
        last / 1_024,
    )
}

/// The medians of the middle and of the last third.
fn thirds(samples: &[u64]) -> (u64, u64) {
    let third = samples.len() / 3;
    (median(&samples[third..2 * third]), median(&samples[2 * third..]))
}

fn median(samples: &[u64]) -> u64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
