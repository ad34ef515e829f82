//! What a million of something costs, in US dollars.
//!
//! List prices of us-east-1 as of November 2026, without free tiers: `DynamoDB` on demand, standard
//! table class (<https://aws.amazon.com/dynamodb/pricing/on-demand/>), and Lambda on arm64
//! (<https://aws.amazon.com/lambda/pricing/>). A stream read by Lambda costs nothing. Not in it:
//! storage, backups, API Gateway, logs, mail, SMS.

use super::{Case, Cost};

/// A million write request units.
pub const WRITES: f64 = 0.625;

/// A million read request units.
pub const READS: f64 = 0.125;

/// A million invocations.
pub const INVOCATIONS: f64 = 0.20;

/// A million seconds of one GiB.
pub const GIB_SECONDS: f64 = 13.3334;

/// How long a call of `DynamoDB` takes, in milliseconds.
pub const CALL_MS: f64 = 5.0;

/// CPU of a request itself, in milliseconds of a whole vCPU. This and the next are the line that
/// `docs/proof/speed.md` draws below its warm requests, through those that hash nothing and are
/// about one customer.
pub const REQUEST_CPU_MS: f64 = 0.07;

/// CPU of a call of `DynamoDB` by the SDK.
pub const CALL_CPU_MS: f64 = 0.20;

/// CPU of comparing a password with a hash.
pub const VERIFY_CPU_MS: f64 = 7.0;

/// CPU of making a hash: by the reference, and then compared by what compares.
pub const HASH_CPU_MS: f64 = 37.0;

/// Lambda gives a function a whole vCPU at this memory, and of less a share.
pub const WHOLE_VCPU_MIB: f64 = 1_769.0;

const TEMPLATE: &str = include_str!("../../../template.yaml");

/// `DynamoDB`, for a million.
pub fn dynamodb(cost: &Cost) -> f64 {
    cost.read_units * READS + cost.write_units * WRITES
}

/// Lambda, for a million warm invocations.
pub fn lambda(case: &Case, cost: &Cost) -> f64 {
    INVOCATIONS + memory_mib(case) / 1_024.0 * duration_ms(case, cost) / 1_000.0 * GIB_SECONDS
}

/// The memory of the function that does it, as the template says.
pub fn memory_mib(case: &Case) -> f64 {
    let memory =
        |text: &str| text.lines().find_map(|line| line.trim().strip_prefix("MemorySize: ")?.parse::<f64>().ok());
    let binary = format!("Binary: {}}}", case.function().name);
    let own = TEMPLATE.split("\n\n").find(|resource| resource.contains(&binary)).and_then(memory);
    // What the template says first is what holds for all.
    own.or_else(|| memory(TEMPLATE)).expect("a memory size")
}

/// How long it runs, in whole milliseconds: what it waits for, one after another, and what it
/// computes with its share of a vCPU.
pub fn duration_ms(case: &Case, cost: &Cost) -> f64 {
    let waits = f64::from(u32::try_from(cost.round_trips).unwrap()) * CALL_MS;
    let passwords = f64::from(case.verifies) * VERIFY_CPU_MS + f64::from(case.hashes) * HASH_CPU_MS;
    let cpu = REQUEST_CPU_MS + f64::from(cost.calls) * CALL_CPU_MS + passwords;
    let share = (memory_mib(case) / WHOLE_VCPU_MIB).min(1.0);
    (waits + cpu / share).ceil()
}
