//! What Stripe says of an account, brought to its customer, or parked until there is one.
//!
//! Each event commits together with its marker. A parked event leaves in the transaction of its
//! effect, so a replay can die anywhere and run twice at once.

use std::time::Duration;

use shared::app::App;
use shared::clock::Time;
use shared::domain::billing::Change;
use shared::domain::customer::Customer;
use shared::domain::product::Product;
use shared::domain::subscription::{self, SubscriptionChange};
use shared::http::ApiError;
use shared::ids::{Crn, CustomerId};
use shared::store::key::Key;
use shared::store::marker::EventMarker;
use shared::store::members::MemberLists;
use shared::store::parked::{ParkedEvent, Replay};
use shared::store::records::Guard;
use shared::store::retry::Backoff;
use shared::store::{Batch, Conflict, Refused, Transaction};
use shared::stripe::account::AccountEvent;
use shared::stripe::event::{CustomerName, Event};
use shared::telemetry::{Metric, count};
use tokio::time::timeout;

use crate::refunds;

/// Parked events read at once.
const PAGE: i32 = 50;

/// Pages of one Stripe customer in one run; the next run continues.
const MAX_PAGES: usize = 20;

/// How long a caller may wait for a replay: less than a request has.
const BUDGET: Duration = Duration::from_secs(5);

/// The key that says whom `name` names.
pub(crate) fn key_of(app: &App, name: &CustomerName) -> Option<Key> {
    match name {
        CustomerName::Id(id) => Some(Key::customer(*id)),
        CustomerName::Reference(text) => Crn::parse(text, &app.settings.crn_prefix).map(|crn| Key::crn(&crn)),
    }
}

/// An event of an account, on its way to its customer.
pub(crate) struct Account {
    pub(crate) app: App,
    pub(crate) event: Event,
    pub(crate) about: AccountEvent,
    pub(crate) now: Time,
}

/// Whose account an event is about.
enum Owner {
    /// A customer's.
    Known(CustomerId),
    /// It names one customer, and its Stripe customer is another's.
    Disputed,
    /// Nobody's yet.
    Nobody,
}

impl Account {
    /// Makes durable all that the event causes. Answers whether it was handled before.
    pub(crate) async fn run(&self) -> Result<bool, ApiError> {
        let mut races = Backoff::new();
        loop {
            let batch = self.app.store.batch_get(self.keys()).await?;
            if batch.has(&Key::stripe_event(&self.event.id)) {
                count(Metric::DuplicateEvents, 1, self.now.unix_ms());
                return Ok(true);
            }
            let (transaction, metric) = self.decide(&batch).await?;
            match transaction.commit(&self.app.store).await {
                Ok(()) => {
                    if let Some(metric) = metric {
                        count(metric, 1, self.now.unix_ms());
                    }
                    return Ok(false);
                }
                Err(Refused::Store(error)) => return Err(error.into()),
                Err(Refused::Conflict(_)) if races.wait().await => {}
                Err(Refused::Conflict(_)) => {
                    return Err(ApiError::Unavailable("the event lost every race it ran".into()));
                }
            }
        }
    }

    fn keys(&self) -> Vec<Key> {
        let mut keys = vec![Key::stripe_event(&self.event.id)];
        keys.extend(self.about.stripe_customer.as_deref().map(Key::stripe_customer));
        keys.extend(self.about.names.iter().filter_map(|name| key_of(&self.app, name)));
        keys
    }

    /// The transaction that the event amounts to, on what was read, and what to count once it is
    /// committed.
    async fn decide(&self, batch: &Batch) -> Result<(Transaction, Option<Metric>), ApiError> {
        let mut transaction = self.app.store.transaction();
        let mut metric = None;
        let outcome = match (&self.about.change, self.owner(batch)?, &self.about.stripe_customer) {
            // It says nothing of a customer, and needs none.
            (Change::Paid(paid), _, _) => refunds::paid(&self.app, &mut transaction, paid, self.now).await?,
            (change, Owner::Known(id), _) => amend(&self.app, &mut transaction, id, change, self.now).await?,
            (_, Owner::Nobody, Some(stripe_customer)) => {
                transaction.park(&self.parked(stripe_customer));
                metric = Some(Metric::ParkedEvents);
                "parked"
            }
            (_, Owner::Nobody, None) => "no such customer",
            (_, Owner::Disputed, _) => {
                metric = Some(Metric::PoisonEvents);
                tracing::warn!(
                    event = self.event.id,
                    "an event names a customer whose Stripe customer it is not about"
                );
                "the Stripe customer is another's"
            }
        };
        let marker = EventMarker::new(self.event.id.clone(), self.event.kind.clone(), outcome, self.now);
        transaction.create(&marker, Conflict::HandledBefore);
        Ok((transaction, metric))
    }

    fn parked(&self, stripe_customer: &str) -> ParkedEvent {
        let (id, created, change) = (self.event.id.clone(), self.about.created, self.about.change.clone());
        ParkedEvent::new(stripe_customer.to_owned(), id, created, change, self.now)
    }

    /// Whose account it is: the Stripe customer's owner, else the first whom it names.
    fn owner(&self, batch: &Batch) -> Result<Owner, ApiError> {
        let pointer = match self.about.stripe_customer.as_deref().map(Key::stripe_customer) {
            Some(key) => batch.get::<Guard>(&key)?.map(|guard| CustomerId(guard.owner)),
            None => None,
        };
        Ok(match (pointer, self.named(batch)?) {
            (Some(owner), Some(named)) if owner != named => Owner::Disputed,
            (Some(id), _) | (None, Some(id)) => Owner::Known(id),
            (None, None) => Owner::Nobody,
        })
    }

    fn named(&self, batch: &Batch) -> Result<Option<CustomerId>, ApiError> {
        for name in &self.about.names {
            let Some(key) = key_of(&self.app, name) else { continue };
            let id = match name {
                CustomerName::Id(id) => batch.has(&key).then_some(*id),
                CustomerName::Reference(_) => batch.get::<Guard>(&key)?.map(|guard| CustomerId(guard.owner)),
            };
            if id.is_some() {
                return Ok(id);
            }
        }
        Ok(None)
    }
}

/// Adds to `transaction` what `change` does to the customer `id` as they are now. Answers what
/// comes of it, for an operator.
async fn amend(
    app: &App,
    transaction: &mut Transaction,
    id: CustomerId,
    change: &Change,
    now: Time,
) -> Result<&'static str, ApiError> {
    let product = match change {
        Change::Subscription(change) => Some(Key::product(&change.product_id)),
        Change::Bill(_) | Change::Refund(_) | Change::Paid(_) => None,
    };
    let batch = app.store.batch_get(product.iter().cloned().chain([Key::customer(id)])).await?;
    let Some(customer) = batch.get::<Customer>(&Key::customer(id))? else { return Ok("no such customer") };
    match change {
        Change::Subscription(change) => {
            let product: Option<Product> = product.map(|key| batch.get(&key)).transpose()?.flatten();
            Ok(subscribe(transaction, &customer, change, product.as_ref(), now))
        }
        Change::Bill(bill) => refunds::bill(app, transaction, id, bill, now).await,
        Change::Refund(refund) => refunds::give_back(app, transaction, id, refund, now).await,
        Change::Paid(paid) => refunds::paid(app, transaction, paid, now).await,
    }
}

fn subscribe(
    transaction: &mut Transaction,
    customer: &Customer,
    change: &SubscriptionChange,
    product: Option<&Product>,
    now: Time,
) -> &'static str {
    let mut after = customer.clone();
    if !subscription::apply(&mut after.products, change, product, now) {
        return "no change";
    }
    after.updated_at = now;
    transaction.save_customer(Some(customer), &after, &MemberLists::default());
    "subscription"
}

/// Applies what waited for the Stripe customer that `customer` now has, so that it need not wait for
/// the schedule; the pointer is durable, and so nothing is parked any more. Answers the customer as
/// they are then.
pub(crate) async fn catch_up(app: &App, customer: Customer, now: Time) -> Customer {
    let Some(stripe_customer) = customer.stripe_id.as_deref() else { return customer };
    let after = in_time(stripe_customer, async {
        if app.store.parked_events(stripe_customer, 1).await?.is_empty() {
            return Ok(None);
        }
        replay(app, stripe_customer, now).await?;
        Ok(app.store.customer(customer.internal_id).await?)
    })
    .await;
    after.flatten().unwrap_or(customer)
}

/// A replay whose caller waits for an answer.
pub(crate) async fn replay_in_time(app: &App, stripe_customer: &str, now: Time) {
    in_time(stripe_customer, replay(app, stripe_customer, now)).await;
}

/// What `work` answers, if it does in time. The queue has what is left to do.
async fn in_time<T>(stripe_customer: &str, work: impl Future<Output = Result<T, ApiError>>) -> Option<T> {
    let done = timeout(BUDGET, work).await;
    let done = done.unwrap_or_else(|_| Err(ApiError::Unavailable("the replay took too long".into())));
    done.inspect_err(|error| tracing::warn!(stripe_customer, ?error, "parked events are left to the schedule")).ok()
}

/// Applies what is parked for `stripe_customer`, if its replay is queued, and then takes the
/// replay from the queue. It can be broken off and repeated.
pub(crate) async fn replay(app: &App, stripe_customer: &str, now: Time) -> Result<(), ApiError> {
    for _ in 0..MAX_PAGES {
        // First the entry, then what it is about: one that is written later is another one.
        let entry: Option<Replay> = app.store.get(&Key::replay(stripe_customer)).await?;
        let Some(entry) = entry else { return Ok(()) };
        let pointer: Option<Guard> = app.store.get(&Key::stripe_customer(stripe_customer)).await?;
        let parked = app.store.parked_events(stripe_customer, PAGE).await?;
        // Nothing is parked while there is a pointer; without one, whoever writes the next queues
        // the next replay.
        let Some(pointer) = pointer.filter(|_| !parked.is_empty()) else {
            if finish(app, &entry).await? {
                return Ok(());
            }
            continue;
        };
        for event in &parked {
            apply(app, CustomerId(pointer.owner), event, now).await?;
        }
    }
    Ok(())
}

/// Applies one parked event, in the transaction that deletes it.
async fn apply(app: &App, owner: CustomerId, event: &ParkedEvent, now: Time) -> Result<(), ApiError> {
    let mut races = Backoff::new();
    loop {
        let mut transaction = app.store.transaction();
        let outcome = amend(app, &mut transaction, owner, &event.change, now).await?;
        let key = Key::parked_event(&event.stripe_customer, event.created, &event.event_id);
        transaction.delete(&key, Conflict::Changed);
        match transaction.commit(&app.store).await {
            Ok(()) => {
                count(Metric::ReplayedEvents, 1, now.unix_ms());
                tracing::info!(event = event.event_id, outcome, "a parked event was applied");
                return Ok(());
            }
            Err(Refused::Conflict(_)) if races.wait().await => {}
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// Takes `entry` from the queue; `false` if it is no longer the one that was read.
async fn finish(app: &App, entry: &Replay) -> Result<bool, ApiError> {
    let mut transaction = app.store.transaction();
    transaction.delete_version(&Key::replay(&entry.stripe_customer), entry.version, Conflict::Changed);
    Ok(transaction.commit_unless_refused(&app.store).await?)
}
