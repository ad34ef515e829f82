//! What the actors of a random schedule do. There are few names, so that they meet.

use std::collections::BTreeSet;

use axum::body::Body;
use functions::jobs::backfill::run;
use harness::rng::Rng;
use harness::{Actor, Answer, TestApp};
use serde_json::{Value, json};

use crate::accounts::Pass;
use crate::events::{EVENTS, event};
use crate::ledger::Ledger;
use crate::process::Process;
use crate::tally::{End, Tally};
use crate::words::What;
use crate::{NEW_PASSWORD, PASSWORD};

/// Whoever has an account, or may have one: the last of them have addresses that nobody else uses.
pub(crate) const PEOPLE: u64 = 6;

/// Ids of a caller: few, as whoever has one is to be changed and deleted.
const IDS: u64 = 3;

/// The product that everybody has.
pub(crate) const PRODUCT: &str = "pro";

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
    /// With the first password or with the new one.
    Login {
        person: u64,
        new: bool,
    },
    Forgot(u64),
    Reset(u64),
    Password(u64),
    Details {
        person: u64,
        name: u64,
    },
    Logout(u64),
    Track {
        id: u64,
        value: u64,
    },
    TrackKeyed {
        id: u64,
        key: u64,
    },
    Check(u64),
    /// Under another name, and otherwise as it is.
    Product(u64),
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
    pub(crate) ledger: &'a Ledger,
    pub(crate) tally: &'a Tally,
}

impl Op {
    /// Any step.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let chance = rng.below(100);
        Self::drawn(chance, rng)
    }

    /// Every kind of step that is ever drawn.
    pub(crate) fn kinds() -> BTreeSet<String> {
        (0..100).map(|chance| Self::drawn(chance, &mut Rng::new(chance)).kind()).collect()
    }

    /// What kind of step it is.
    pub(crate) fn kind(self) -> String {
        format!("{self:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
    }

    fn drawn(chance: u64, rng: &mut Rng) -> Self {
        let (name, other, person) = (rng.below(4), rng.below(4), rng.below(PEOPLE));
        let id = name % IDS;
        match chance {
            0..8 => Self::Intake { email: name, keyed: other == 0 },
            8..20 => Self::Event(rng.below(EVENTS)),
            20..30 => Self::create(rng.below(3), id, other),
            30..33 => Self::CreateKeyed(name),
            33..41 => Self::Change { id, what: Change::random(rng) },
            41..45 => Self::Delete(id),
            45..53 => Self::Register(person),
            53..56 => Self::Login { person, new: other == 0 },
            56..62 => Self::Forgot(person),
            62..67 => Self::Reset(person),
            67..70 => Self::Password(person),
            70..73 => Self::Details { person, name: other },
            73..75 => Self::Logout(person),
            75..78 => Self::Track { id: name % 2, value: other + 1 },
            78..84 => Self::TrackKeyed { id: name % 2, key: rng.below(6) },
            84..86 => Self::Check(name % 2),
            86 => Self::Product(other),
            87..90 => Self::Credentials(id),
            90..93 => Self::Backfill,
            93..98 => Self::Deliver,
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

    /// What it sets: what, of whom by the name that is asked for, and to which value.
    pub(crate) fn word(self, pass: Option<&Pass>) -> Option<(What, String, String)> {
        Some(match self {
            Self::Change { id, what } => (what.what(), own_id(id), what.value()),
            Self::Reset(_) => (What::Password, pass?.user.clone(), NEW_PASSWORD.into()),
            Self::Password(_) => (What::Password, pass?.user.clone(), pass?.other_password().into()),
            Self::Details { name, .. } => (What::Name, pass?.user.clone(), person_name(name)),
            Self::Product(n) => (What::Product, PRODUCT.into(), product_name(n)),
            _ => return None,
        })
    }

    /// Does it; how it ended, and the answer if there is one to speak of.
    pub(crate) async fn perform(
        self,
        scene: &Scene<'_>,
        process: &Process,
        pass: Option<&Pass>,
    ) -> (End, Option<Answer>) {
        let well = match self {
            Self::Backfill => run(&process.app, None).await.is_ok_and(|summary| summary.tally.errors == 0),
            Self::Deliver => {
                scene.app.deliver_mail_through(&process.app).await;
                true
            }
            Self::Clock(seconds) => {
                scene.app.clock.advance_seconds(seconds);
                true
            }
            _ => {
                let answer = self.ask(scene, process, pass).await;
                return (answer.as_ref().map_or(End::Nothing, End::of), answer);
            }
        };
        (if well { End::Done } else { End::Failed }, None)
    }

    /// Asks, as anybody or as an administrator, or as a person with an account; `None` if that has nothing to
    /// show.
    async fn ask(self, scene: &Scene<'_>, process: &Process, pass: Option<&Pass>) -> Option<Answer> {
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
            Self::Track { id, value } => {
                let body = json!({ "customer_id": tracked_id(id), "feature_id": "seats", "value": value });
                admin.post("/v1/track", body).await
            }
            Self::TrackKeyed { id, key } => admin.post("/v1/track", keyed_track(scene.phase, id, key)).await,
            Self::Check(id) => {
                let body = json!({ "customer_id": tracked_id(id), "feature_id": "seats" });
                admin.post("/v1/check", body).await
            }
            Self::Product(n) => put_product(admin, &product_name(n)).await,
            Self::Credentials(id) => admin.post(&format!("{}/credentials", path(id)), json!({})).await,
            Self::Forgot(person) => {
                let body = json!({ "email": address(named(person, pass)) });
                let answer = nobody.post("/auth/forgot-password", body).await;
                // As a rule the stream brings it at once.
                scene.app.deliver_mail_through(&process.app).await;
                answer
            }
            _ => return self.ask_for_oneself(nobody, pass).await,
        })
    }

    /// Asks what a person with an account asks.
    async fn ask_for_oneself(self, nobody: &Actor, pass: Option<&Pass>) -> Option<Answer> {
        let own = || pass.map(|pass| nobody.with_token(pass.token.as_str()));
        Some(match self {
            Self::Register(n) => {
                let body = json!({ "name": "Ana", "email": address(n), "password": PASSWORD });
                nobody.post("/auth/register", body).await
            }
            Self::Login { person, new } => nobody.login(&address(named(person, pass)), password(new)).await,
            Self::Reset(_) => {
                let body = json!({ "token": pass?.token, "new_password": NEW_PASSWORD });
                nobody.post("/auth/reset-password", body).await
            }
            Self::Password(_) => {
                let pass = pass?;
                let body = json!({ "current_password": pass.password, "new_password": pass.other_password() });
                own()?.post("/auth/change-password", body).await
            }
            Self::Details { name, .. } => own()?.patch("/auth/me", json!({ "name": person_name(name) })).await,
            Self::Logout(_) => {
                let own = own()?;
                own.send(own.request("POST", "/auth/logout"), Body::empty()).await
            }
            _ => return None,
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

    fn what(self) -> What {
        match self {
            Self::Email(_) => What::Email,
            Self::Phone(_) => What::Phone,
            Self::Inactive | Self::Active => What::Status,
        }
    }

    /// As the record has it.
    fn value(self) -> String {
        match self {
            Self::Email(n) => address(n),
            Self::Phone(n) => format!("+91{}", phone(n)),
            Self::Inactive => "inactive".into(),
            Self::Active => "active".into(),
        }
    }

    fn body(self) -> Value {
        match self {
            Self::Email(n) => json!({ "email": address(n) }),
            Self::Phone(n) => json!({ "phone": phone(n) }),
            Self::Inactive | Self::Active => json!({ "status": self.value() }),
        }
    }
}

/// Makes the product that everybody has, or gives it another name.
pub(crate) async fn put_product(admin: &Actor, name: &str) -> Answer {
    let items = json!([{ "feature_id": "seats", "included_usage": 1_000_000 }]);
    let product = json!({ "name": name, "is_default": true, "items": items });
    admin.put(&format!("/v1/products/{PRODUCT}"), product).await
}

/// The number of the address that `person` enters: of somebody who was let in, if anybody was.
pub(crate) fn named(person: u64, pass: Option<&Pass>) -> u64 {
    pass.map_or(person, |pass| pass.name)
}

/// The first password, or the new one.
pub(crate) fn password(new: bool) -> &'static str {
    if new { NEW_PASSWORD } else { PASSWORD }
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

/// An e-mail address.
pub(crate) fn address(n: u64) -> String {
    format!("e{n}@x.io")
}

fn product_name(n: u64) -> String {
    format!("Pro {n}")
}

fn person_name(n: u64) -> String {
    format!("Ana {n}")
}

fn phone(n: u64) -> String {
    format!("987654321{n}")
}
