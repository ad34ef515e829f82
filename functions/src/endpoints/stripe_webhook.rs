//! Stripe's events: verified, deduplicated by event and by checkout session, durable before 200.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Request, State};
use serde::Serialize;
use shared::app::App;
use shared::clock::Time;
use shared::domain::activation::{self, Effect, Outcome};
use shared::domain::customer::{Customer, Status};
use shared::domain::onboarding::{Frozen, Login, Terms, link};
use shared::domain::product::{Product, ProductId};
use shared::domain::start::{Choice, Offer};
use shared::domain::user::User;
use shared::http::ApiError;
use shared::http::body::read;
use shared::http::problem::Problem;
use shared::ids::{CustomerId, UserId};
use shared::store::counter::{Drawn, Want};
use shared::store::key::Key;
use shared::store::marker::{CheckoutMarker, EventMarker};
use shared::store::members::MemberLists;
use shared::store::records::Guard;
use shared::store::retry::Backoff;
use shared::store::{Batch, Conflict, Refused, StoreError, Transaction};
use shared::stripe::event::{CheckoutEvent, CustomerName, Event};
use shared::stripe::signature;
use shared::telemetry::{Metric, count};
use utoipa::ToSchema;

use crate::account::unheld;
use crate::billing::{Account, key_of, replay_in_time};
use crate::stripe_customer::intend;

/// The most bytes of an event.
const MAX_EVENT_BYTES: usize = 512 * 1_024;

/// The event is safe with us.
#[derive(Serialize, ToSchema)]
pub struct WebhookResponse {
    /// Always true.
    received: bool,
    /// Present when it, or the payment it tells of, was counted before.
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
}

const NEW: WebhookResponse = WebhookResponse { received: true, duplicate: None };
const DUPLICATE: WebhookResponse = WebhookResponse { received: true, duplicate: Some(true) };

/// Takes an event.
#[utoipa::path(
    post, path = "/api/webhooks/stripe", tag = "public", operation_id = "stripeWebhook",
    params(("Stripe-Signature" = String, Header, description = "`t=…,v1=…`, as Stripe signs.")),
    request_body(content = Object, description = "An event of Stripe, byte for byte as it was signed."),
    responses(
        (status = 200, description = "Everything that the event causes is durable.", body = WebhookResponse),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(State(app): State<App>, request: Request) -> Result<Json<WebhookResponse>, ApiError> {
    let now = app.clock.now();
    let header = request.headers().get("stripe-signature").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = read(request, MAX_EVENT_BYTES).await?;
    let header = header.ok_or(ApiError::InvalidSignature)?;
    signature::verify(&header, &body, &app.webhook_secrets, now).map_err(|_| ApiError::InvalidSignature)?;
    let event = Event::parse(&body);
    if let Some(about) = event.account() {
        let duplicate = Account { app, event, about, now }.run().await?;
        return Ok(Json(if duplicate { DUPLICATE } else { NEW }));
    }
    let checkout = event.checkout();
    Webhook { user_id: UserId(now.new_id()), app, event, checkout, now }.run().await.map(Json)
}

/// One event and what stays the same however often it is decided anew.
struct Webhook {
    app: App,
    event: Event,
    checkout: Option<CheckoutEvent>,
    user_id: UserId,
    now: Time,
}

impl Webhook {
    async fn run(&self) -> Result<WebhookResponse, ApiError> {
        let mut drawn = Drawn::default();
        let mut trials_used = BTreeSet::new();
        let mut races = Backoff::new();
        loop {
            let (batch, catalogue) = tokio::join!(self.app.store.batch_get(self.keys()), self.catalogue());
            let (batch, catalogue) = (batch?, catalogue?);
            if batch.get::<EventMarker>(&Key::stripe_event(&self.event.id))?.is_some() {
                count(Metric::DuplicateEvents, 1, self.now.unix_ms());
                return Ok(DUPLICATE);
            }
            let shop = Shop { catalogue: &catalogue, trials_used: &trials_used };
            let (transaction, answer, metric) = self.decide(&batch, shop, &mut drawn).await?;
            match transaction.commit(&self.app.store).await {
                Ok(()) => {
                    if let Some(metric) = metric {
                        count(metric, 1, self.now.unix_ms());
                    }
                    // What comes in between is left to the queue.
                    if self.payer().is_some_and(|payer| batch.has(&Key::parking(payer))) {
                        self.replay().await;
                    }
                    return Ok(answer);
                }
                Err(Refused::Store(error)) => return Err(error.into()),
                Err(Refused::Conflict(Conflict::TrialUsed)) => {
                    trials_used = self.trials_used(&batch, &catalogue).await?;
                }
                Err(Refused::Conflict(conflict)) => drawn.discard(conflict),
            }
            if !races.wait().await {
                return Err(ApiError::Unavailable("the event lost every race it ran".into()));
            }
        }
    }

    /// The Stripe customer whose pointer the event may write.
    fn payer(&self) -> Option<&str> {
        let paid = self.checkout.as_ref().filter(|checkout| checkout.outcome == Outcome::Paid)?;
        paid.session.stripe_customer.as_deref()
    }

    /// Applies what waited, so that it need not wait for the schedule. The queue has it if this
    /// fails: the event itself is durable.
    async fn replay(&self) {
        if let Some(stripe_customer) = self.payer() {
            replay_in_time(&self.app, stripe_customer, self.now).await;
        }
    }

    /// Every product, if the event may make a customer.
    async fn catalogue(&self) -> Result<Vec<Product>, StoreError> {
        match &self.checkout {
            Some(checkout) if checkout.outcome == Outcome::Paid => self.app.store.products().await,
            _ => Ok(Vec::new()),
        }
    }

    /// The trials that the customer, or somebody with the same fingerprint, had before.
    async fn trials_used(&self, batch: &Batch, catalogue: &[Product]) -> Result<BTreeSet<ProductId>, ApiError> {
        let Some(checkout) = &self.checkout else { return Ok(BTreeSet::new()) };
        let Some(customer) = self.find(checkout, batch).await? else { return Ok(BTreeSet::new()) };
        let (id, fingerprint) = (customer.internal_id, customer.fingerprint.as_deref());
        Ok(self.app.store.trials_used(catalogue, id, fingerprint).await?)
    }

    fn keys(&self) -> Vec<Key> {
        let mut keys = vec![Key::stripe_event(&self.event.id)];
        keys.extend(self.payer().map(Key::parking));
        if let Some(checkout) = &self.checkout {
            keys.push(Key::checkout(&checkout.session.id));
            keys.extend(checkout.session.stripe_customer.as_deref().map(Key::stripe_customer));
            keys.extend(checkout.names.iter().filter_map(|name| key_of(&self.app, name)));
        }
        keys
    }

    /// The transaction that the event amounts to, on what was read, its answer, and what to count
    /// once it is committed.
    async fn decide(
        &self,
        batch: &Batch,
        shop: Shop<'_>,
        drawn: &mut Drawn,
    ) -> Result<(Transaction, WebhookResponse, Option<Metric>), ApiError> {
        let Some(checkout) = &self.checkout else {
            let (outcome, metric) = self.ignore();
            return Ok((self.record(outcome), NEW, metric));
        };
        let paid = checkout.outcome == Outcome::Paid;
        let Some(customer) = self.find(checkout, batch).await? else {
            tracing::warn!(event = self.event.id, outcome = ?checkout.outcome, "a checkout names no customer of ours");
            return Ok((self.record("no such customer"), NEW, paid.then_some(Metric::UnmatchedPayments)));
        };
        if paid && batch.get::<CheckoutMarker>(&Key::checkout(&checkout.session.id))?.is_some() {
            return Ok((self.record("session counted before"), DUPLICATE, None));
        }
        let pointer = Pointer::of(checkout, &customer, batch)?;
        let mut session = checkout.session.clone();
        session.stripe_customer = session.stripe_customer.filter(|_| pointer != Pointer::Foreign);
        let mut transaction = match activation::decide(&customer, checkout.outcome, &session, self.now) {
            Effect::None => {
                let mut transaction = self.record("no change");
                if paid {
                    // Else an alias could outlive the customer, who is not written.
                    transaction.require_present(&Key::customer(customer.internal_id), Conflict::OwnerGone);
                }
                transaction
            }
            Effect::Fail(after) => {
                let mut transaction = self.record("payment failed");
                transaction.save_customer(Some(&customer), &after, &MemberLists::default());
                transaction
            }
            Effect::Activate(mut after) => {
                let product_id = session.product_for(&customer, shop.catalogue);
                self.stock(&customer, &mut after, product_id, shop);
                let mut transaction = self.activate(&customer, *after.clone(), shop, drawn).await?;
                transaction.use_trials(Some(&customer), &after);
                transaction
            }
        };
        if paid {
            let (session_id, customer_id) = (checkout.session.id.clone(), customer.internal_id);
            let marker = CheckoutMarker { session_id, customer_id, paid_at: self.now };
            transaction.create(&marker, Conflict::HandledBefore);
            add_alias(&mut transaction, checkout, &customer, pointer, self.now);
        }
        Ok((transaction, NEW, None))
    }

    /// What comes of an event that is no checkout. One that cannot be read is shown to an operator.
    fn ignore(&self) -> (&'static str, Option<Metric>) {
        if !self.event.is_poison() {
            return ("no effect", None);
        }
        tracing::warn!(event = self.event.id, "an event cannot be read");
        ("unreadable", Some(Metric::PoisonEvents))
    }

    /// The first customer that the checkout names and that exists.
    async fn find(&self, checkout: &CheckoutEvent, batch: &Batch) -> Result<Option<Customer>, ApiError> {
        for name in &checkout.names {
            let Some(key) = key_of(&self.app, name) else { continue };
            let found = match name {
                CustomerName::Id(_) => batch.get(&key)?,
                CustomerName::Reference(_) => match batch.get::<Guard>(&key)? {
                    Some(guard) => self.app.store.customer(CustomerId(guard.owner)).await?,
                    None => None,
                },
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Gives a lead the default products, and whoever pays the product that they paid for: none
    /// waits any more.
    fn stock(&self, before: &Customer, after: &mut Customer, product_id: Option<ProductId>, shop: Shop<'_>) {
        after.product_id = None;
        let choice = product_id.map(|product_id| Choice { product_id, quantity: 1, paid: true });
        let offer = Offer {
            catalogue: shop.catalogue,
            defaults: before.is_lead(),
            trials_used: shop.trials_used,
            stripe_configured: self.app.stripe_configured(),
        };
        for warning in offer.start(&mut after.products, choice.as_ref(), self.now) {
            tracing::warn!(warning, "a default product was left out");
        }
    }

    async fn activate(
        &self,
        before: &Customer,
        after: Customer,
        shop: Shop<'_>,
        drawn: &mut Drawn,
    ) -> Result<Transaction, ApiError> {
        let lists = MemberLists::default();
        let mut transaction = self.record("activated");
        if after.user_id.is_some() {
            let mut after = after;
            self.draw(drawn, after.customer_reference.is_none(), false).await?;
            after.customer_reference = after.customer_reference.or_else(|| drawn.crn.clone());
            transaction.save_customer(Some(before), &after, &lists);
            if before.status == Status::Inactive {
                self.enable(&mut transaction, before).await?;
            }
            return Ok(transaction);
        }
        let login = self.login(&after).await?;
        self.draw(drawn, after.customer_reference.is_none(), login.needs_number()).await?;
        let (crn, number) = (drawn.crn.clone(), drawn.number.clone());
        let frozen = Frozen { user_id: self.user_id, crn, number, now: self.now };
        let linked = link(after, login, &frozen, Terms::Decided);
        transaction.save_linked(Some(before), &linked, &lists);
        intend(&self.app, &mut transaction, Some(before), &linked.customer, shop.catalogue, self.now).await?;
        Ok(transaction)
    }

    async fn login(&self, customer: &Customer) -> Result<Login, ApiError> {
        let domain = &self.app.settings.placeholder_email_domain;
        let holder = match customer.real_email(domain) {
            Some(email) => self.app.store.user_by_login(email).await?,
            None => None,
        };
        Ok(unheld(&self.app, Login::choose(customer, holder, domain), self.user_id).await?)
    }

    /// Lets the login of `customer` in again, if it is theirs.
    async fn enable(&self, transaction: &mut Transaction, customer: &Customer) -> Result<(), ApiError> {
        if let Some(before) = self.app.store.login_of(customer).await? {
            let after = User { enabled: true, updated_at: self.now, ..before.clone() };
            transaction.save_user(Some(&before), &after);
        }
        Ok(())
    }

    async fn draw(&self, drawn: &mut Drawn, crn: bool, number: bool) -> Result<(), ApiError> {
        Ok(drawn.draw(&self.app.store, &self.app.settings, self.now, Want { crn, number }).await?)
    }

    /// A transaction that records the event, and so far nothing else.
    fn record(&self, outcome: &str) -> Transaction {
        let marker = EventMarker::new(self.event.id.clone(), self.event.kind.clone(), outcome, self.now);
        let mut transaction = self.app.store.transaction();
        transaction.create(&marker, Conflict::HandledBefore);
        transaction
    }
}

/// What there is to hold, and what of it has been tried before.
#[derive(Clone, Copy)]
struct Shop<'a> {
    catalogue: &'a [Product],
    trials_used: &'a BTreeSet<ProductId>,
}

/// Whom a Stripe customer belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pointer {
    Absent,
    Ours,
    Foreign,
}

impl Pointer {
    fn of(checkout: &CheckoutEvent, customer: &Customer, batch: &Batch) -> Result<Self, ApiError> {
        let Some(id) = &checkout.session.stripe_customer else { return Ok(Self::Ours) };
        Ok(match batch.get::<Guard>(&Key::stripe_customer(id))? {
            None => Self::Absent,
            Some(guard) if guard.owner == customer.internal_id.0 => Self::Ours,
            Some(_) => Self::Foreign,
        })
    }
}

/// A second Stripe customer of a customer who has one becomes an alias, so that what Stripe says
/// about it later finds them.
fn add_alias(
    transaction: &mut Transaction,
    checkout: &CheckoutEvent,
    customer: &Customer,
    pointer: Pointer,
    now: Time,
) {
    let Some(id) = &checkout.session.stripe_customer else { return };
    if pointer == Pointer::Absent && customer.stripe_id.is_some() {
        transaction.add_stripe_customer(id, customer.internal_id, now);
    }
}
