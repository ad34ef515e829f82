//! Calls that wait: the n-th call of one process is held until others have done what they had to.
//!
//! The embedded `DynamoDB` carries out one request after another, so that two requests only ever
//! meet in between their calls. A pause chooses where.

use tokio::sync::watch;

use crate::faults::When;
use crate::torn::Tear;

/// A call that is held back, as a test sees it. Dropping it lets the call go on.
#[derive(Debug)]
pub struct Pause {
    reached: watch::Receiver<bool>,
    open: watch::Sender<bool>,
}

impl Pause {
    /// Waits until the call is made and held.
    pub async fn reached(&self) {
        let mut reached = self.reached.clone();
        drop(reached.wait_for(|reached| *reached).await);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.open.send_replace(true);
    }
}

/// The same pause, as the held call sees it.
#[derive(Debug)]
pub(crate) struct Gate {
    reached: watch::Sender<bool>,
    open: watch::Receiver<bool>,
    /// The call is a batch read that is held in its middle.
    pub(crate) tear: Option<Tear>,
}

impl Gate {
    /// Says that it is here, and waits.
    pub(crate) async fn wait(&self) {
        self.reached.send_replace(true);
        let mut open = self.open.clone();
        drop(open.wait_for(|open| *open).await);
    }
}

/// The pauses of one connector that are still to come.
#[derive(Default)]
pub(crate) struct Gates(Vec<Armed>);

struct Armed {
    operation: Option<&'static str>,
    left: u64,
    gate: Gate,
}

impl Gates {
    pub(crate) fn arm(&mut self, at: &When, tear: Option<Tear>) -> Pause {
        let (operation, left) = match *at {
            When::Call(n) => (None, n),
            When::Operation(name, n) => (Some(name), n),
            When::Every(_) => panic!("one call waits, not every one"),
        };
        assert!(left > 0, "calls are counted from 1");
        let ((reached, see), (open, wait)) = (watch::channel(false), watch::channel(false));
        self.0.push(Armed { operation, left, gate: Gate { reached, open: wait, tear } });
        Pause { reached: see, open }
    }

    /// The pause of this call, if there is one. To be asked exactly once for each.
    pub(crate) fn meet(&mut self, operation: &str) -> Option<Gate> {
        for armed in &mut self.0 {
            if armed.operation.is_none_or(|wanted| wanted == operation) {
                armed.left -= 1;
            }
        }
        let met = self.0.iter().position(|armed| armed.left == 0)?;
        Some(self.0.remove(met).gate)
    }
}
