//! Logs as one JSON line per event, metrics in `CloudWatch`'s embedded metric format (EMF).
//!
//! Nothing personal is logged: the types of contact data and secrets print no content.

use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::EnvFilter;

/// `CloudWatch` namespace of every metric.
const NAMESPACE: &str = "Rollcall";

/// What is logged unless somebody says otherwise: quiet about everybody else's crates.
const DIRECTIVES: &str = "warn,shared=info,functions=info,local=info";

/// On a terminal also about the embedded `DynamoDB`, which warns of each condition that does not hold and
/// of a table that is there already. Whoever asked is told, and says so where it matters.
const TERMINAL_DIRECTIVES: &str = "warn,dynoxide=error,shared=info,functions=info,local=info";

static METRICS_ON: AtomicBool = AtomicBool::new(false);

/// What is counted. The name in `CloudWatch` is the variant's.
#[derive(Clone, Copy, Debug)]
pub enum Metric {
    /// Customer references drawn from their counter.
    ReferencesDrawn,
    /// Customer numbers drawn from their counter.
    NumbersDrawn,
    /// Webhook events that had been seen before.
    DuplicateEvents,
    /// Paid checkouts that name no customer we know.
    UnmatchedPayments,
    /// Webhook events with a good signature that cannot be read, or that name a customer whose Stripe
    /// customer is another.
    PoisonEvents,
    /// Webhook events that wait for somebody to have their Stripe customer.
    ParkedEvents,
    /// Parked events that were applied, once their Stripe customer was somebody's.
    ReplayedEvents,
    /// Checkout sessions that Stripe did not make: leads who could not pay at once.
    CheckoutFailed,
    /// Stripe customers whose customer was deleted, or had another, when they were made.
    StripeOrphans,
    /// Stripe customers and subscriptions that Stripe refused for good.
    StripeRefused,
    /// Runs of an intent that Stripe has failed for an hour and more.
    StripeStalled,
    /// Messages handed to e-mail or SMS.
    MessagesSent,
    /// Messages that a later change of credentials made void.
    MessagesVoided,
    /// Messages that could not be handed over this time.
    MessagesFailed,
    /// Messages still unsent when the backfill looked.
    MessagesOverdue,
    /// Rows that the backfill could not decide.
    BackfillAmbiguous,
    /// Rows, and other entries of the queue, that the backfill failed on.
    BackfillErrors,
}

/// Starts logging for a function on Lambda, and metrics with it. `directives` is what `RUST_LOG` says.
pub fn init_lambda(directives: Option<&str>) {
    METRICS_ON.store(true, Ordering::Relaxed);
    let filter = filter(directives, DIRECTIVES);
    tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(filter).with_current_span(false).init();
}

/// Starts logging for a program on a terminal, to standard error. `directives` is what `RUST_LOG` says.
pub fn init_terminal(directives: Option<&str>) {
    let filter = filter(directives, TERMINAL_DIRECTIVES);
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).with_target(false).init();
}

fn filter(directives: Option<&str>, otherwise: &str) -> EnvFilter {
    let said = directives.and_then(|directives| EnvFilter::try_new(directives).ok());
    said.unwrap_or_else(|| EnvFilter::new(otherwise))
}

/// Adds `value` to `metric`; 0 is worth writing where its absence would mean that nobody looked.
pub fn count(metric: Metric, value: u64, unix_ms: i64) {
    if !METRICS_ON.load(Ordering::Relaxed) {
        return;
    }
    let name = format!("{metric:?}");
    let line = serde_json::json!({
        "_aws": {
            "Timestamp": unix_ms,
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [[]],
                "Metrics": [{ "Name": name, "Unit": "Count" }],
            }],
        },
        name: value,
    });
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_spared_the_warnings_of_the_embedded_database_unless_somebody_asks() {
        let on_terminal = |said| filter(said, TERMINAL_DIRECTIVES).to_string();
        assert!(on_terminal(None).contains("dynoxide=error"));
        // What cannot be read counts as not said.
        assert_eq!(on_terminal(Some("shared=loudly")), on_terminal(None));
        assert!(!on_terminal(Some("warn")).contains("dynoxide"));
        assert!(!filter(None, DIRECTIVES).to_string().contains("dynoxide"));
    }
}
