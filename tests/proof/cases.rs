//! Requests and jobs under test, each over a table that was prepared for it, with what must be there
//! afterwards however often and however badly they were asked.
//!
//! What must stay true: a call answers below 300 once all of it is done, also where it was done before,
//! and a check fails where nothing was done.

mod customers;
mod events;
mod jobs;
mod logins;

use std::pin::Pin;
use std::thread::panicking;

use harness::faults::Kind;
use harness::stripe_api::StripeApi;
use harness::{Actor, Answer, TestApp, World};
use serde_json::{Value, json};

use crate::PASSWORD;

/// What can happen to a call.
pub(crate) const KINDS: [Kind; 11] = Kind::EACH;

/// A request, over a table that was prepared for it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    prepare: AsyncCall,
    pub(crate) call: AsyncCall,
    check: fn(&World),
}

type AsyncCall = for<'a> fn(&'a Actors) -> Pin<Box<dyn Future<Output = Answer> + 'a>>;

/// Who asks, and whom.
pub(crate) struct Actors {
    pub(crate) app: TestApp,
    nobody: Actor,
    admin: Actor,
    /// The Stripe that the app calls, in the cases that are about it.
    stripe: Option<StripeApi>,
}

/// Every case.
pub(crate) fn every_case() -> impl Iterator<Item = &'static Case> {
    let wanted = std::env::var("CASE").unwrap_or_default();
    let all = [customers::CASES, events::CASES, logins::CASES, jobs::CASES].into_iter().flatten();
    all.filter(move |case| case.name.contains(&wanted))
}

impl Case {
    /// A table of its own, as the request finds it.
    pub(crate) async fn prepared(&self) -> Actors {
        let stripe = if self.name.ends_with("at Stripe") { Some(StripeApi::start().await) } else { None };
        let (app, nobody, admin) = match &stripe {
            Some(stripe) => TestApp::start_with_stripe(stripe.url()).await,
            None => TestApp::start().await,
        };
        let actors = Actors { app, nobody, admin, stripe };
        (self.prepare)(&actors).await;
        actors
    }

    /// How many calls it makes where nothing fails.
    pub(crate) async fn calls(&self) -> u64 {
        let actors = self.prepared().await;
        actors.app.connector.calls_of((self.call)(&actors)).await
    }

    /// Checks that the last answer says that all is done, and that it is.
    pub(crate) async fn assert_done(&self, actors: &Actors, answer: &Answer, about: &str) {
        assert!(answer.status < 300, "{about}: {}", answer.text);
        let world = actors.app.world().await;
        let broken = world.broken();
        assert!(broken.is_empty(), "{about}: {broken:#?}");
        let _place = Place(about);
        (self.check)(&world);
    }
}

/// Says where a check failed, which itself only says what it found.
struct Place<'a>(&'a str);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if panicking() {
            println!("{}", self.0);
        }
    }
}

fn customers(world: &World, customers: usize, users: usize, invitations: usize) {
    let found = (world.of("customer").len(), world.of("user").len(), world.messages("invitation").len());
    // The administrator is a user, too.
    assert_eq!(found, (customers, users + 1, invitations));
}

/// What everybody has used together.
pub(crate) fn used(world: &World) -> u64 {
    let balances = world.of("balance").into_iter();
    let buckets = balances.flat_map(|balance| balance["buckets"].as_array().cloned().unwrap_or_default());
    buckets.filter_map(|bucket| bucket["used"].as_u64()).sum()
}

/// Nothing has to be there before.
async fn nothing(actors: &Actors) -> Answer {
    actors.nobody.get("/nowhere").await
}

fn whole() -> Value {
    json!({ "id": "acme", "name": "Acme", "email": "ops@acme.io", "phone": "9876543210" })
}

/// A product for everybody.
async fn plan(actors: &Actors) -> Answer {
    let items = json!([{ "feature_id": "seats", "included_usage": 100 }]);
    actors.admin.put("/v1/products/pro", json!({ "name": "Pro", "is_default": true, "items": items })).await
}

async fn metered(actors: &Actors) -> Answer {
    plan(actors).await;
    actors.admin.post("/v1/customers", json!({ "id": "acme" })).await
}

async fn track(actors: &Actors) -> Answer {
    let body = json!({ "customer_id": "acme", "feature_id": "seats", "value": 5, "idempotency_key": "k" });
    actors.admin.post("/v1/track", body).await
}

async fn registered(actors: &Actors) -> Answer {
    let body = json!({ "name": "Ana", "email": "a@x.io", "password": PASSWORD });
    actors.nobody.post("/auth/register", body).await
}
