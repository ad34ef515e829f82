//! Get-or-create, as create-customer, check and track need it: read, plan, one transaction.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use shared::app::App;
use shared::clock::Time;
use shared::domain::balance::Usage;
use shared::domain::customer::Customer;
use shared::domain::following::follow;
use shared::domain::get_or_create::{Found, New, Plan, Request, plan};
use shared::domain::intent::{IntentState, StripeIntent, newly_waiting, waits_for_stripe};
use shared::domain::onboarding::{Frozen, Linked, Login, Terms, link};
use shared::domain::product::{Product, STRIPE_NOT_CONFIGURED};
use shared::domain::start::{Choice, Offer};
use shared::http::ApiError;
use shared::http::idempotency::{Answer, Idempotency};
use shared::ids::{CustomerId, UserId};
use shared::store::counter::{Drawn, Want};
use shared::store::key::Key;
use shared::store::marker::IdempotencyMarker;
use shared::store::members::{EmailMembers, MAX_MEMBERS, MemberLists};
use shared::store::records::Guard;
use shared::store::retry::Backoff;
use shared::store::{Conflict, Refused, StoreError, Transaction};

use crate::account::unheld;
use crate::doubt::Doubt;
use crate::stripe_customer::intend_subscriptions;

/// One request and what stays the same however often it is planned anew.
pub struct Creation {
    app: App,
    request: Request,
    products: Products,
    key: Option<Idempotency>,
    new_id: CustomerId,
    user_id: UserId,
    create_in_stripe: bool,
    now: Time,
}

/// Which products a new customer gets.
#[derive(Clone, Debug)]
pub struct Products {
    /// Whether they get the defaults.
    pub defaults: bool,
    /// What was chosen for them.
    pub choice: Option<Choice>,
}

/// What became of a request.
pub struct Created {
    /// 201 for a new customer, else 200.
    pub status: StatusCode,
    /// The customer.
    pub customer: Customer,
    /// What they have used.
    pub usage: Vec<Usage>,
    /// What the caller should know.
    pub warnings: Vec<String>,
    /// Whether the answer was given before.
    pub replayed: bool,
    /// Whether the customer has their Stripe customer from this request.
    pub takes_stripe_customer: bool,
}

/// What was read before deciding.
pub struct Picture {
    found: Found,
    lists: MemberLists,
    replay: Option<IdempotencyMarker>,
    catalogue: Vec<Product>,
    usage: Option<(CustomerId, Vec<Usage>)>,
    /// The intents to make a Stripe customer, whatever became of them.
    intents: BTreeMap<CustomerId, StripeIntent>,
}

/// What the execution of a plan has to know beside it.
#[derive(Clone, Copy)]
struct Known<'a> {
    lists: &'a MemberLists,
    intents: &'a BTreeMap<CustomerId, StripeIntent>,
    /// Whether nobody signs in with the address that the request names.
    email_free: bool,
}

impl Creation {
    /// A request that is to be met at `now`.
    #[must_use]
    pub fn new(app: App, request: Request, products: Products, key: Option<Idempotency>, now: Time) -> Self {
        let (new_id, user_id) = (CustomerId(now.new_id()), UserId(now.new_id()));
        Self { app, request, products, key, new_id, user_id, create_in_stripe: false, now }
    }

    /// The same, with a Stripe customer if `wanted`.
    #[must_use]
    pub fn with_stripe_customer(self, wanted: bool) -> Self {
        Self { create_in_stripe: wanted, ..self }
    }

    /// Meets it.
    pub async fn run(&self) -> Result<Created, ApiError> {
        let picture = self.read().await?;
        self.run_from(picture).await
    }

    /// Meets it, where what it begins with was read already.
    pub async fn run_from(&self, picture: Picture) -> Result<Created, ApiError> {
        let mut drawn = Drawn::default();
        let mut trials_used = BTreeSet::new();
        let (mut races, mut doubt) = (Backoff::new(), Doubt::default());
        let mut first = Some(picture);
        loop {
            let picture = match first.take() {
                Some(picture) => picture,
                None => self.read().await?,
            };
            if let Some(marker) = picture.replay {
                return self.replay(&marker).await;
            }
            let offer = Offer {
                catalogue: &picture.catalogue,
                defaults: self.products.defaults,
                trials_used: &trials_used,
                stripe_configured: self.app.stripe_configured(),
            };
            if self.products.choice.as_ref().is_some_and(|choice| offer.product(&choice.product_id).is_none()) {
                return Err(ApiError::ProductNotFound);
            }
            let email_free = picture.found.email_holder.is_none();
            let plan = match self.decide(picture.found, &picture.lists) {
                Ok(plan) => plan,
                Err(refusal) => {
                    doubt.once(refusal)?;
                    continue;
                }
            };
            let trier = trier(&plan);
            let known = Known { lists: &picture.lists, intents: &picture.intents, email_free };
            match self.execute(plan, known, offer, &mut drawn).await? {
                Ok(created) => return self.with_usage(created, picture.usage).await,
                Err(Conflict::StripeCustomerTaken) => doubt.once(ApiError::StripeIdTaken)?,
                Err(Conflict::TrialUsed) => {
                    let used = self.app.store.trials_used(&picture.catalogue, trier.0, trier.1.as_deref()).await?;
                    trials_used = used;
                }
                Err(conflict) => drawn.discard(conflict),
            }
            if !races.wait().await {
                return Err(ApiError::Unavailable("the request lost every race it ran".into()));
            }
        }
    }

    /// Guards first, in one round trip; then the heads they point to, in another.
    pub async fn read(&self) -> Result<Picture, ApiError> {
        let store = &self.app.store;
        let (id, email) = (self.request.id.as_ref(), self.request.contact.email.as_ref());
        let (id_key, list_key) = (id.map(Key::external_id), email.map(Key::email_members));
        let (login_key, user_key) = (email.map(Key::login), self.request.user_id.map(Key::user));
        let marker_key = self.key.as_ref().map(Idempotency::key);
        let keys = [&id_key, &list_key, &login_key, &user_key, &marker_key].into_iter().flatten().cloned();
        let (guards, catalogue) = tokio::join!(store.batch_get(keys), self.catalogue());
        let (guards, catalogue) = (guards?, catalogue?);
        let replay = match (&self.key, &marker_key) {
            (Some(key), Some(at)) => key.replay(guards.get(at)?, self.now)?,
            _ => None,
        };
        let list: Option<EmailMembers> = list_key.map(|key| guards.get(&key)).transpose()?.flatten();
        let by_id: Option<Guard> = id_key.map(|key| guards.get(&key)).transpose()?.flatten();
        let holder: Option<Guard> = login_key.map(|key| guards.get(&key)).transpose()?.flatten();
        let named_user = match user_key.map(|key| guards.get(&key)).transpose()?.flatten() {
            Some(user) => Some(store.without_stray_pointer(user).await?),
            None => None,
        };
        let (by_id, holder) = (by_id.map(|g| CustomerId(g.owner)), holder.map(|g| UserId(g.owner)));
        let members = list.as_ref().map(|list| list.members.clone()).unwrap_or_default();
        let people: BTreeSet<CustomerId> = members.iter().copied().chain(by_id).collect();
        let mut heads: Vec<Key> = people.iter().copied().map(Key::customer).chain(holder.map(Key::user)).collect();
        if self.app.stripe_configured() {
            heads.extend(people.iter().copied().map(Key::stripe_intent));
        }
        // Most often it is this one that the answer is about.
        let likely = by_id.or(members.first().copied());
        let (heads, usage) = tokio::join!(store.batch_get(heads), self.usage(likely));
        let heads = heads?;
        let by_email = members.iter().filter_map(|id| heads.get(&Key::customer(*id)).transpose());
        let found = Found {
            by_id: by_id.map(|id| heads.get(&Key::customer(id))).transpose()?.flatten(),
            by_email: by_email.collect::<Result<_, _>>()?,
            email_holder: holder.map(|id| heads.get(&Key::user(id))).transpose()?.flatten(),
            named_user,
        };
        let intents = people.iter().filter_map(|id| heads.get::<StripeIntent>(&Key::stripe_intent(*id)).transpose());
        let intents = intents.map(|intent| intent.map(|intent| (intent.customer_id, intent)));
        let intents = intents.collect::<Result<_, _>>()?;
        Ok(Picture { found, lists: MemberLists::of(list), replay, catalogue, usage: usage?, intents })
    }

    /// Every product, unless the request wants none.
    async fn catalogue(&self) -> Result<Vec<Product>, StoreError> {
        if self.products.defaults || self.products.choice.is_some() {
            self.app.store.products().await
        } else {
            Ok(Vec::new())
        }
    }

    async fn usage(&self, id: Option<CustomerId>) -> Result<Option<(CustomerId, Vec<Usage>)>, StoreError> {
        let Some(id) = id else { return Ok(None) };
        Ok(Some((id, self.app.store.usage(id).await?)))
    }

    /// A new customer has used nothing; another has, and it may have been read already.
    async fn with_usage(
        &self,
        mut created: Created,
        read: Option<(CustomerId, Vec<Usage>)>,
    ) -> Result<Created, ApiError> {
        let id = created.customer.internal_id;
        created.usage = match read {
            _ if created.status == StatusCode::CREATED => Vec::new(),
            Some((of, usage)) if of == id => usage,
            _ => self.app.store.usage(id).await?,
        };
        Ok(created)
    }

    /// What is to be done on what was read. Every error is a refusal.
    fn decide(&self, found: Found, lists: &MemberLists) -> Result<Plan, ApiError> {
        let new = New {
            customer_id: self.new_id,
            now: self.now,
            placeholder_domain: &self.app.settings.placeholder_email_domain,
        };
        let plan = plan(&self.request, found, new)?;
        if joins_address(&plan) {
            self.refuse_crowd(lists)?;
        }
        Ok(plan)
    }

    async fn replay(&self, marker: &IdempotencyMarker) -> Result<Created, ApiError> {
        let (customer, usage) =
            tokio::join!(self.app.store.customer(marker.customer_id), self.app.store.usage(marker.customer_id));
        let customer = customer?.ok_or(ApiError::CustomerNotFound)?;
        let status = StatusCode::from_u16(marker.status).unwrap_or(StatusCode::OK);
        let (usage, warnings) = (usage?, marker.warnings.clone());
        Ok(Created { status, customer, usage, warnings, replayed: true, takes_stripe_customer: false })
    }

    /// Makes the plan so; the inner error is the race that was lost.
    async fn execute(
        &self,
        plan: Plan,
        known: Known<'_>,
        offer: Offer<'_>,
        drawn: &mut Drawn,
    ) -> Result<Result<Created, Conflict>, ApiError> {
        let lists = known.lists;
        let mut transaction = self.app.store.transaction();
        let mut warnings = Vec::new();
        let (status, before, customer) = match plan {
            Plan::Unchanged(before) => {
                let mut after = before.clone();
                if self.attach(&mut after, offer) {
                    transaction.save_customer(Some(&before), &after, lists);
                }
                (StatusCode::OK, Some(before), *after)
            }
            Plan::Change { before, mut after, login: None } => {
                self.attach(&mut after, offer);
                transaction.save_customer(Some(&before), &after, lists);
                self.let_login_follow(&mut transaction, &before, &after, known.email_free).await?;
                (StatusCode::OK, Some(before), *after)
            }
            Plan::Change { before, mut after, login: Some(login) } => {
                if before.is_lead() {
                    warnings = self.start(&mut after, offer);
                } else {
                    self.attach(&mut after, offer);
                }
                let login = unheld(&self.app, login, self.user_id).await?;
                let linked = self.onboard(*after, login, drawn).await?;
                transaction.save_linked(Some(&before), &linked, lists);
                (StatusCode::OK, Some(before), linked.customer)
            }
            Plan::Create { mut customer, login } => {
                warnings = self.start(&mut customer, offer);
                let linked = self.onboard(*customer, login, drawn).await?;
                transaction.save_linked(None, &linked, lists);
                (StatusCode::CREATED, None, linked.customer)
            }
        };
        let before = before.as_deref();
        transaction.use_trials(before, &customer);
        intend_subscriptions(&self.app, &mut transaction, before, &customer, offer.catalogue, self.now);
        self.intend(&mut transaction, before, &customer, known.intents, &mut warnings);
        let warnings = warnings.into_iter().map(str::to_owned).collect();
        let takes_stripe_customer = customer.stripe_id.as_ref() != before.and_then(|before| before.stripe_id.as_ref());
        let created = Created { status, customer, usage: Vec::new(), warnings, replayed: false, takes_stripe_customer };
        self.keep_answer(&mut transaction, &created);
        if transaction.is_empty() {
            return Ok(Ok(created));
        }
        match transaction.commit(&self.app.store).await {
            Ok(()) => Ok(Ok(created)),
            Err(Refused::Conflict(conflict)) => Ok(Err(conflict)),
            Err(Refused::Store(error)) => Err(error.into()),
        }
    }

    /// Writes what becomes of the login of a customer whose blanks are filled. Only they are worth
    /// the read of it.
    async fn let_login_follow(
        &self,
        transaction: &mut Transaction,
        before: &Customer,
        after: &Customer,
        email_free: bool,
    ) -> Result<(), StoreError> {
        if before.contact == after.contact {
            return Ok(());
        }
        let Some(user) = self.app.store.login_of(before).await? else { return Ok(()) };
        let domain = &self.app.settings.placeholder_email_domain;
        if let Some(followed) = follow(before, after, &user, email_free, domain, self.now) {
            transaction.save_user(Some(&user), &followed.user);
            if let Some(invitation) = &followed.invitation {
                transaction.save_message(None, invitation);
            }
        }
        Ok(())
    }

    /// Adds the intent to make a Stripe customer, if one is asked for or a product waits for it. One
    /// that is closed is taken up again only by who asks for it, or for something more.
    fn intend(
        &self,
        transaction: &mut Transaction,
        before: Option<&Customer>,
        customer: &Customer,
        intents: &BTreeMap<CustomerId, StripeIntent>,
        warnings: &mut Vec<&'static str>,
    ) {
        let known = intents.get(&customer.internal_id);
        let closed = known.is_some_and(|intent| intent.state != IntentState::Pending);
        let waiting =
            if closed { newly_waiting(before, customer).next().is_some() } else { waits_for_stripe(customer) };
        let waits = self.app.stripe_configured() && waiting;
        if !(self.create_in_stripe || waits) || customer.stripe_id.is_some() {
            return;
        }
        if !self.app.stripe_configured() {
            if !warnings.contains(&STRIPE_NOT_CONFIGURED) {
                warnings.push(STRIPE_NOT_CONFIGURED);
            }
            return;
        }
        let fresh = StripeIntent::new(customer, &self.app.settings.placeholder_email_domain, self.now);
        if let Some(intent) = StripeIntent::asked_for(known.cloned(), fresh) {
            transaction.save_intent(intent.version, &intent);
        }
    }

    /// Gives a new customer what they hold from the first day.
    fn start(&self, customer: &mut Customer, offer: Offer<'_>) -> Vec<&'static str> {
        offer.start(&mut customer.products, self.products.choice.as_ref(), self.now)
    }

    /// Gives a customer who is there what was chosen for them, once: what they hold already stays
    /// as it is, in whatever state. A lead holds nothing yet. Answers whether anything was given.
    fn attach(&self, after: &mut Customer, offer: Offer<'_>) -> bool {
        let Some(choice) = &self.products.choice else { return false };
        if after.is_lead() || after.products.iter().any(|held| held.id == choice.product_id) {
            return false;
        }
        Offer { defaults: false, ..offer }.start(&mut after.products, Some(choice), self.now);
        after.updated_at = self.now;
        true
    }

    /// A thousand customers of one address are a mistake of the caller, and a list that no item
    /// could hold.
    fn refuse_crowd(&self, lists: &MemberLists) -> Result<(), ApiError> {
        let email = self.request.contact.email.as_ref();
        if email.is_some_and(|email| lists.count(email) >= MAX_MEMBERS) {
            return Err(ApiError::field("email", format!("has {MAX_MEMBERS} customers already")));
        }
        Ok(())
    }

    async fn onboard(&self, customer: Customer, login: Login, drawn: &mut Drawn) -> Result<Linked, ApiError> {
        let want = Want { crn: customer.customer_reference.is_none(), number: login.needs_number() };
        drawn.draw(&self.app.store, &self.app.settings, self.now, want).await?;
        let (crn, number) = (drawn.crn.clone(), drawn.number.clone());
        let frozen = Frozen { user_id: self.user_id, crn, number, now: self.now };
        Ok(link(customer, login, &frozen, Terms::Decided))
    }

    fn keep_answer(&self, transaction: &mut Transaction, created: &Created) {
        let Some(key) = &self.key else { return };
        let about = Answer::about(created.status.as_u16(), created.customer.internal_id);
        let kept = Answer { warnings: created.warnings.clone(), ..about };
        let marker = key.marker(kept, self.now);
        transaction.create_over_expired(&marker, self.now.unix_seconds(), Conflict::HandledBefore);
    }
}

/// Whose trials count: the customer of a plan, and the fingerprint of the person behind them.
fn trier(plan: &Plan) -> (CustomerId, Option<String>) {
    let customer = match plan {
        Plan::Unchanged(customer) | Plan::Create { customer, .. } => customer,
        Plan::Change { after, .. } => after,
    };
    (customer.internal_id, customer.fingerprint.clone())
}

/// Whether the customer of a plan is to join the list of an e-mail address.
fn joins_address(plan: &Plan) -> bool {
    match plan {
        Plan::Unchanged(_) => false,
        Plan::Change { before, after, .. } => before.contact.email != after.contact.email,
        Plan::Create { customer, .. } => customer.contact.email.is_some(),
    }
}
