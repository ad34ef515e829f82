//! Requests and jobs under test, each over a table that was prepared for it, with what must be there
//! afterwards however often and however badly they were asked.
//!
//! What must stay true: a call answers below 300 once all of it is done, also where it was done before,
//! and a check fails where nothing was done.

mod customers;
mod events;
mod jobs;
mod logins;
mod reports;

use std::collections::BTreeSet;
use std::pin::Pin;
use std::thread::panicking;

use harness::faults::Kind;
use harness::policy::writers_of;
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
    pub(crate) stripe: Option<StripeApi>,
}

/// What the names of the cases that are wanted have in them: nothing, for all.
fn wanted() -> String {
    std::env::var("CASE").unwrap_or_default()
}

/// Whether only some cases are wanted: then there are as many as there are.
pub(crate) fn is_narrowed() -> bool {
    !wanted().is_empty()
}

/// Every case, or those that are wanted.
pub(crate) fn every_case() -> impl Iterator<Item = &'static Case> {
    let wanted = wanted();
    let all = [customers::CASES, events::CASES, logins::CASES, jobs::CASES, reports::CASES];
    all.into_iter().flatten().filter(move |case| case.name.contains(&wanted))
}

impl Case {
    /// A table of its own, as the request finds it.
    pub(crate) async fn prepared(&self) -> Actors {
        let stripe = if self.is_at_stripe() { Some(StripeApi::start().await) } else { None };
        let (app, nobody, admin) = match &stripe {
            Some(stripe) => TestApp::start_with_stripe(stripe.url()).await,
            None => TestApp::start().await,
        };
        let actors = Actors { app, nobody, admin, stripe };
        (self.prepare)(&actors).await;
        actors
    }

    /// Whether the app calls Stripe in it.
    pub(crate) fn is_at_stripe(&self) -> bool {
        self.name.ends_with("at Stripe")
    }

    /// How many calls it makes where nothing fails.
    pub(crate) async fn calls(&self) -> u64 {
        let actors = self.prepared().await;
        actors.app.connector.calls_of((self.call)(&actors)).await
    }

    /// How many of Stripe.
    pub(crate) async fn stripe_calls(&self) -> usize {
        let actors = self.prepared().await;
        let requests = || actors.stripe.as_ref().map_or(0, StripeApi::requests);
        let before = requests();
        (self.call)(&actors).await;
        requests() - before
    }

    /// The functions that write in it where nothing fails.
    pub(crate) async fn writers(&self) -> BTreeSet<&'static str> {
        let actors = self.prepared().await;
        writers_of((self.call)(&actors)).await
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

/// What is right to be refused with `status` is done with that.
fn refused(answer: Answer, status: u16) -> Answer {
    assert!(answer.status == status || answer.status >= 500, "answered {} {}", answer.status, answer.text);
    if answer.status == status { Answer { status: 200, ..answer } } else { answer }
}

/// Whoever is not there was deleted by the call whose answer was lost.
fn gone(answer: Answer) -> Answer {
    if answer.status == 404 { Answer { status: 200, ..answer } } else { answer }
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
