//! What the actors of a random schedule do. There are few names, so that they meet.

use functions::jobs::backfill::run;
use harness::rng::Rng;
use harness::{Answer, TestApp};
use serde_json::{Value, json};

use crate::events::{EVENTS, event};
use crate::process::Process;
use crate::{NEW_PASSWORD, PASSWORD};

/// One step of an actor. Numbers are names: of an e-mail address, an id, a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Intake {
        email: u64,
        keyed: bool,
    },
    /// One of Stripe's; drawn again, a duplicate.
    Event(u64),
    Create {
        id: Option<u64>,
        email: Option<u64>,
    },
    /// By phone, under an idempotency key.
    CreateKeyed(u64),
    Change {
        id: u64,
        what: Change,
    },
    Delete(u64),
    Register(u64),
    Login(u64),
    Forgot(u64),
    Reset(u64),
    Track {
        id: u64,
        value: u64,
    },
    TrackKeyed {
        id: u64,
        key: u64,
    },
    Credentials(u64),
    Backfill,
    Deliver,
    Clock(i64),
}

/// What is changed of a customer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Email(u64),
    Phone(u64),
    Inactive,
    Active,
}

/// How far a clock may be off in the middle of everything, in seconds.
const JUMPS: [i64; 6] = [1, 61, 301, -1, -61, -301];

/// Where the steps of a schedule happen.
pub(crate) struct Scene<'a> {
    pub(crate) app: &'a TestApp,
    /// Keys are of their phase: between two phases, days may pass.
    pub(crate) phase: u64,
    pub(crate) stripe: bool,
}

impl Op {
    /// Any step.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let chance = rng.below(100);
        let (name, other) = (rng.below(4), rng.below(4));
        match chance {
            0..12 => Self::Intake { email: name, keyed: other == 0 },
            12..30 => Self::Event(rng.below(EVENTS)),
            30..40 => Self::create(rng.below(3), name, other),
            40..46 => Self::CreateKeyed(name),
            46..54 => Self::Change { id: name, what: Change::random(rng) },
            54..57 => Self::Delete(name),
            57..61 => Self::Register(name),
            61..63 => Self::Login(name),
            63..66 => Self::Forgot(name),
            66..68 => Self::Reset(name),
            68..75 => Self::Track { id: name % 2, value: other + 1 },
            75..84 => Self::TrackKeyed { id: name % 2, key: rng.below(6) },
            84..88 => Self::Credentials(name),
            88..91 => Self::Backfill,
            91..96 => Self::Deliver,
            _ => Self::Clock(*rng.pick(&JUMPS)),
        }
    }

    fn create(form: u64, id: u64, email: u64) -> Self {
        let (id, email) = (Some(id), Some(email));
        match form {
            0 => Self::Create { id, email },
            1 => Self::Create { id, email: None },
            _ => Self::Create { id: None, email },
        }
    }

    /// Does it; `None` if there is no answer to speak of.
    pub(crate) async fn perform(self, scene: &Scene<'_>, process: &Process) -> Option<Answer> {
        let Process { nobody, admin, .. } = process;
        Some(match self {
            Self::Intake { email, keyed } => {
                let body = json!({ "name": "Ana", "email": address(email) });
                let key = keyed_intake(scene.phase, email);
                let headers = [("idempotency-key", key.as_str())];
                nobody.post_with("/api/intake/submit", body, &headers[..usize::from(keyed)]).await
            }
            Self::Event(n) => {
                let event = event(n, scene.app).await;
                nobody.stripe_at(&event, scene.app.clock.now()).await
            }
            Self::Create { id, email } => {
                let stripe = scene.stripe && email.is_some();
                let body = json!({ "id": id.map(own_id), "email": email.map(address), "create_in_stripe": stripe });
                admin.post("/v1/customers", body).await
            }
            Self::CreateKeyed(n) => {
                let key = keyed_create(scene.phase, n);
                let body = json!({ "phone": phone(n) });
                admin.post_with("/v1/customers", body, &[("idempotency-key", &key)]).await
            }
            Self::Change { id, what } => admin.patch(&path(id), what.body()).await,
            Self::Delete(id) => admin.delete(&path(id)).await,
            Self::Register(n) => {
                let body = json!({ "name": "Ana", "email": address(n), "password": PASSWORD });
                nobody.post("/auth/register", body).await
            }
            Self::Login(n) => nobody.login(&address(n), PASSWORD).await,
            Self::Forgot(n) => nobody.post("/auth/forgot-password", json!({ "email": address(n) })).await,
            Self::Reset(n) => {
                let token = scene.app.reset_tokens(&address(n)).into_iter().next()?;
                let body = json!({ "token": token, "new_password": NEW_PASSWORD });
                nobody.post("/auth/reset-password", body).await
            }
            Self::Track { id, value } => {
                let body = json!({ "customer_id": tracked_id(id), "feature_id": "seats", "value": value });
                admin.post("/v1/track", body).await
            }
            Self::TrackKeyed { id, key } => admin.post("/v1/track", keyed_track(scene.phase, id, key)).await,
            Self::Credentials(id) => admin.post(&format!("{}/credentials", path(id)), json!({})).await,
            Self::Backfill => {
                drop(run(&process.app, None).await);
                return None;
            }
            Self::Deliver => {
                scene.app.deliver_mail_through(&process.app).await;
                return None;
            }
            Self::Clock(seconds) => {
                scene.app.clock.advance_seconds(seconds);
                return None;
            }
        })
    }
}

impl Change {
    fn random(rng: &mut Rng) -> Self {
        match rng.below(4) {
            0 => Self::Email(rng.below(4)),
            1 => Self::Phone(rng.below(4)),
            2 => Self::Inactive,
            _ => Self::Active,
        }
    }

    fn body(self) -> Value {
        match self {
            Self::Email(n) => json!({ "email": address(n) }),
            Self::Phone(n) => json!({ "phone": phone(n) }),
            Self::Inactive => json!({ "status": "inactive" }),
            Self::Active => json!({ "status": "active" }),
        }
    }
}

/// The key of a submission.
pub(crate) fn keyed_intake(phase: u64, email: u64) -> String {
    format!("intake-{phase}-{email}")
}

/// The key of a creation.
pub(crate) fn keyed_create(phase: u64, n: u64) -> String {
    format!("create-{phase}-{n}")
}

/// A use under a key: the same key, the same question.
pub(crate) fn keyed_track(phase: u64, id: u64, key: u64) -> Value {
    let name = format!("track-{phase}-{key}");
    json!({ "customer_id": tracked_id(id), "feature_id": "seats", "value": key + 1, "idempotency_key": name })
}

/// Who uses what is counted: nobody deletes or changes them.
pub(crate) fn tracked_id(n: u64) -> String {
    format!("t{n}")
}

/// Whether `id` is the id of a caller's that has the number `n`.
pub(crate) fn is_own_id(n: u64, id: &str) -> bool {
    own_id(n) == id
}

fn own_id(n: u64) -> String {
    format!("i{n}")
}

fn path(id: u64) -> String {
    format!("/v1/customers/{}", own_id(id))
}

fn address(n: u64) -> String {
    format!("e{n}@x.io")
}

fn phone(n: u64) -> String {
    format!("987654321{n}")
}
