//! Waiting between attempts: exponential with full jitter, bounded by time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::secret::random_bytes;

/// How long one operation may be retried altogether.
const BUDGET: Duration = Duration::from_secs(6);
const FIRST_WAIT_MS: u64 = 10;
const MAX_WAIT_MS: u64 = 400;

/// The waits of one operation.
#[derive(Debug)]
pub struct Backoff {
    deadline: Instant,
    ceiling_ms: u64,
}

impl Backoff {
    /// Starts the budget.
    #[must_use]
    pub fn new() -> Self {
        Self { deadline: Instant::now() + BUDGET, ceiling_ms: FIRST_WAIT_MS }
    }

    /// Waits a little; `false` when the budget is spent and nothing should be tried again.
    pub async fn wait(&mut self) -> bool {
        let wait = Duration::from_millis(1 + u64::from_le_bytes(random_bytes()) % self.ceiling_ms);
        self.ceiling_ms = (self.ceiling_ms * 2).min(MAX_WAIT_MS);
        if Instant::now() + wait > self.deadline {
            return false;
        }
        sleep(wait).await;
        true
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}
