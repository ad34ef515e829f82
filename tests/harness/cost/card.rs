//! The card as a document.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::price::{
    CALL_CPU_MS, CALL_MS, GIB_SECONDS, HASH_CPU_MS, INVOCATIONS, READS, REQUEST_CPU_MS, VERIFY_CPU_MS, WRITES,
    duration_ms, dynamodb, lambda, memory_mib,
};
use super::{Cost, Row};

/// What was measured over a table with so many customers.
pub type Measured = (u32, Vec<Row>);

/// Where the card is kept.
pub fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/proof/cost.md")
}

/// The card, of two sizes of the table.
pub fn render((few, small): &Measured, (many, large): &Measured) -> String {
    let mut text = head(*few, *many);
    for (row, at_large) in small.iter().zip(large) {
        writeln!(text, "{}", line(row, &at_large.cost)).unwrap();
    }
    text.push_str(&foot());
    text
}

/// The card with the sizes that `committed` names. The short form, whose rows are the same at every
/// size, does not take back what the full one has shown.
pub fn with_sizes_of(committed: &str, card: &str) -> String {
    let sizes = |card: &str| card.lines().find(|line| line.starts_with("Measured with ")).map(str::to_owned);
    match (sizes(committed), sizes(card)) {
        (Some(kept), Some(own)) => card.replace(&own, &kept),
        _ => card.to_owned(),
    }
}

/// The rows of a card, without the words around them.
pub fn table(card: &str) -> Vec<&str> {
    card.lines().filter(|line| line.starts_with('|')).collect()
}

fn head(few: u32, many: u32) -> String {
    format!(
        "# What a request costs\n\n\
         Measured with {} and with {} customers in the table: `cargo run -p api-tests --bin cost-card --locked`.\n\
         Where a figure differs between the two, both stand there (`few / many`).\n\
         `tests/api/cost_card.rs` holds every row, and every budget, at each `cargo test`.\n\n\
         | request | | round trips | budget | RCU | WCU | MiB | ms | DynamoDB | Lambda | both |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        thousands(few),
        thousands(many),
    )
}

fn line(row: &Row, large: &Cost) -> String {
    let Row { case, cost } = row;
    let budget = case.budget.map(|budget| budget.to_string()).unwrap_or_default();
    let both = |of: &dyn Fn(&Cost) -> String| {
        let (few, many) = (of(cost), of(large));
        if few == many { few } else { format!("{few} / {many}") }
    };
    let money = |of: &dyn Fn(&Cost) -> f64| both(&|cost| format!("${:.2}", of(cost)));
    format!(
        "| `{}` | {} | {} | {budget} | {} | {} | {} | {} | {} | {} | {} |",
        case.what,
        case.way,
        both(&|cost| cost.round_trips.to_string()),
        both(&|cost| cost.read_units.to_string()),
        both(&|cost| cost.write_units.to_string()),
        memory_mib(case),
        both(&|cost| duration_ms(case, cost).to_string()),
        money(&dynamodb),
        money(&|cost| lambda(case, cost)),
        money(&|cost| dynamodb(cost) + lambda(case, cost)),
    )
}

fn foot() -> String {
    format!(
        "\n**Round trips** follow one another, authentication included; calls at the same time count once.\n\
         **RCU, WCU**: capacity units, as `ConsumedCapacity` says: the embedded DynamoDB counts by the rules of the \
         real one, transactions twice, indexes once. Rate limits are on, as deployed; Stripe is not configured. With \
         it a new lead costs one transaction more, which stores its checkout session. A lost race or a throttle \
         costs its repetition.\n\
         **Customers**: one is made by the API; the others are its copies, imported past the stream, of the items \
         that share a partition of an index: the heads of customer and user. Guards are met by their whole key only.\n\
         **Dollars** are for a million, us-east-1, list prices of November 2026 without free tiers: ${WRITES} for a \
         million WCU and ${READS} for a million RCU on demand \
         (<https://aws.amazon.com/dynamodb/pricing/on-demand/>); Lambda on arm64 ${INVOCATIONS:.2} for a million \
         requests and ${GIB_SECONDS} for a million GiB-seconds (<https://aws.amazon.com/lambda/pricing/>). The reports (`dashboard`, `link-audit`, `data-quality`) read every row, up to 50 000, and have no row here. Not in \
         them: API Gateway, storage, backups, logs, messages. A webhook event costs its row, and `notify` its row \
         for each message it sends.\n\
         **MiB** is the template's. **ms** is computed, warm: {CALL_MS} ms for each round trip, and CPU at the \
         function's share of a vCPU (MiB / 1 769, one at most): {REQUEST_CPU_MS} ms for a request, {CALL_CPU_MS} ms \
         for each call, {VERIFY_CPU_MS} ms for a password that is compared, {HASH_CPU_MS} ms for one that is hashed \
         (and compared with its hash), as measured on x86-64 with two shared cores ([speed](speed.md)).\n"
    )
}

fn thousands(n: u32) -> String {
    let digits = n.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(" ")
}
