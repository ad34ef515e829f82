//! Where the probes of planted bugs play: two processes over one table, of which one can be held at a call
//! until the other is done.

use std::pin::pin;

use harness::faults::When;
use harness::pause::Pause;
use harness::{Answer, TestApp};
use serde_json::{Value, json};

use crate::cases::used;
use crate::plants::{Plant, forget_tokens};
use crate::process::{Process, api_key};

/// What is wrong, or nothing.
pub(crate) type Verdict = Result<(), String>;

/// Two processes over one table.
pub(crate) struct Scene {
    pub(crate) app: TestApp,
    pub(crate) one: Process,
    pub(crate) two: Process,
    /// The call of the first process at which the second acts.
    pub(crate) moment: u64,
    plant: Option<&'static Plant>,
}

impl Scene {
    pub(crate) async fn new(moment: u64, plant: Option<&'static Plant>) -> Self {
        let (app, _, _) = TestApp::start().await;
        let key = api_key(&app).await;
        let (one, two) = (Process::first(&app, &key), Process::another(&app, &key));
        let items = json!([{ "feature_id": "seats", "included_usage": 1_000 }]);
        let product = json!({ "name": "Pro", "is_default": true, "items": items });
        one.admin.put("/v1/products/pro", product).await.expect(201);
        Self { app, one, two, moment, plant }
    }

    /// Plants the bug, once everything is prepared.
    pub(crate) fn begin(&self) {
        for process in [&self.one, &self.two] {
            if let Some(plant) = self.plant {
                process.connector.rewrite(plant.rewrite());
            }
        }
    }

    /// The same in a table that forgets tokens at once, as it does after ten minutes.
    pub(crate) fn begin_forgetful(&self) {
        let forget = forget_tokens();
        let planted = self.plant.map(Plant::rewrite);
        self.one.connector.rewrite(Box::new(move |operation, body| {
            forget(operation, body);
            if let Some(planted) = &planted {
                planted(operation, body);
            }
        }));
    }

    /// Runs both; the second while the first is held at `at`, or after it.
    pub(crate) async fn interleave<A, B>(
        &self,
        at: When,
        one: impl Future<Output = A>,
        two: impl Future<Output = B>,
    ) -> (A, B) {
        meanwhile(&self.one.connector.pause(&at), one, two).await
    }

    /// Both create, at the moment of the seed.
    pub(crate) async fn both_create(&self, first: Value, second: Value) -> (Answer, Answer) {
        let (one, two) = (&self.one.admin, &self.two.admin);
        let at = When::Call(self.moment);
        self.interleave(at, one.post("/v1/customers", first), two.post("/v1/customers", second)).await
    }

    pub(crate) async fn create(&self, body: Value) -> Answer {
        self.one.admin.post("/v1/customers", body).await
    }

    pub(crate) async fn track(&self, process: &Process, value: u64, key: Option<&str>) -> Answer {
        let body = json!({ "customer_id": "acme", "feature_id": "seats", "value": value, "idempotency_key": key });
        process.admin.post("/v1/track", body).await
    }

    pub(crate) async fn is_used(&self, wanted: u64) -> Verdict {
        let found = used(&self.app.world().await);
        require(found == wanted, || format!("{found} is counted of {wanted}"))
    }

    /// The one login that anybody tried has been compared with so often.
    pub(crate) async fn are_charged(&self, wanted: u64) -> Verdict {
        let world = self.app.world().await;
        let found: Vec<_> = world.of("login_attempts").iter().map(|item| item["comparisons"].as_u64()).collect();
        require(found == [Some(wanted)], || format!("{wanted} guesses are charged as {found:?}"))
    }
}

/// Runs both; the second while the first is held by `pause`, or after it.
pub(crate) async fn meanwhile<A, B>(
    pause: &Pause,
    one: impl Future<Output = A>,
    two: impl Future<Output = B>,
) -> (A, B) {
    let mut one = pin!(one);
    let early = tokio::select! {
        biased;
        answer = &mut one => Some(answer),
        () = pause.reached() => None,
    };
    let second = two.await;
    pause.resume();
    let first = match early {
        Some(answer) => answer,
        None => one.await,
    };
    (first, second)
}

/// Each of these is answered one of `statuses`.
pub(crate) fn one_of(answers: &[&Answer], statuses: &[u16]) -> Verdict {
    for answer in answers {
        assert_ne!(answer.str("code"), "internal", "{}", answer.text);
        require(statuses.contains(&answer.status), || format!("answered {}", answer.text))?;
    }
    Ok(())
}

pub(crate) fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// A bug must be noticed by what it does: a request that the table does not even understand is a
/// mistake of whoever planted it.
pub(crate) fn answered(answers: &[&Answer]) -> Verdict {
    for answer in answers {
        assert_ne!(answer.str("code"), "internal", "{}", answer.text);
        require(answer.status < 300, || format!("answered {}", answer.text))?;
    }
    Ok(())
}
