//! What every route and job costs, held against `docs/proof/cost.md`, and the budgets.
//!
//! The committed card is made at full size, by `cargo run -p api-tests --bin cost-card --locked`;
//! here its rows are measured over small tables and must be the same.

use std::fs;

use harness::cost::card::{path, render, table, with_sizes_of};
use harness::cost::{measure, over_budget, unmeasured};

/// Customers in the tables that are compared: the second has twice as many.
const FEW: u32 = 1_000;

#[tokio::test]
async fn every_route_and_job_costs_what_the_card_says_however_many_customers_there_are() {
    let small = (FEW, measure(FEW).await);
    let large = (2 * FEW, measure(2 * FEW).await);
    assert_eq!(unmeasured(&small.1), Vec::<String>::new(), "every route of the table has a row");
    assert_eq!(over_budget(&small.1), Vec::<String>::new());
    for (few, many) in small.1.iter().zip(&large.1) {
        assert_eq!(few, many, "it costs the same however many customers there are");
    }
    let committed = fs::read_to_string(path()).unwrap_or_default();
    let card = with_sizes_of(&committed, &render(&small, &large));
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path().parent().unwrap()).unwrap();
        fs::write(path(), &card).unwrap();
    }
    let committed = fs::read_to_string(path()).unwrap_or_default();
    let (now, then) = (table(&card), table(&committed));
    for (now, then) in now.iter().zip(&then) {
        assert_eq!(now, then, "docs/proof/cost.md is stale: cargo run -p api-tests --bin cost-card --locked");
    }
    assert_eq!(now.len(), then.len(), "docs/proof/cost.md is stale: cargo run -p api-tests --bin cost-card --locked");
}
