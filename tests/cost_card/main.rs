//! Measures what every route and job costs, with a thousand and with a million customers in the
//! table, and writes `docs/proof/cost.md`.
#![expect(clippy::unwrap_used, reason = "it stops where it is surprised")]

use std::fs;
use std::process::ExitCode;

use clap::Parser;
use harness::cost::card::{path, render};
use harness::cost::{Row, measure, over_budget, unmeasured};

/// The smaller table.
const FEW: u32 = 1_000;

/// What every route and job costs.
#[derive(Parser)]
struct Options {
    /// Customers in the larger table.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=7_000_000))]
    customers: u32,
    /// Print the card instead of writing it.
    #[arg(long)]
    print: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let small = (FEW, measure_at(FEW).await);
    let large = (options.customers, measure_at(options.customers).await);
    let card = render(&small, &large);
    if options.print {
        println!("{card}");
    } else {
        fs::create_dir_all(path().parent().unwrap()).unwrap();
        fs::write(path(), &card).unwrap();
        println!("{} rows in {}", small.1.len(), path().display());
    }
    let differs = |(few, many): &(&Row, &Row)| few != many;
    let different = small.1.iter().zip(&large.1).filter(differs);
    let different = different.map(|(few, many)| format!("not the same at both sizes: {few:?} {many:?}"));
    let missing = unmeasured(&small.1).into_iter().map(|name| format!("not measured: {name}"));
    let over = over_budget(&large.1).into_iter().map(|row| format!("over its budget: {row}"));
    let wrong: Vec<String> = different.chain(missing).chain(over).collect();
    for line in &wrong {
        eprintln!("{line}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure_at(customers: u32) -> Vec<Row> {
    eprintln!("measuring with {customers} customers");
    measure(customers).await
}
