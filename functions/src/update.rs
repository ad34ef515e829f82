//! Changing a customer and its login: read, decided, and written in one transaction, as often as it
//! takes until nobody came in between.

use shared::app::App;
use shared::clock::Time;
use shared::domain::customer::Customer;
use shared::domain::onboarding::{Frozen, Login, Terms, link};
use shared::domain::start::Offer;
use shared::domain::update::{Change, Found, Patch, Plan, Refusal, Request, plan};
use shared::http::ApiError;
use shared::http::fields::check_metadata;
use shared::ids::{CustomerId, UserId};
use shared::store::counter::{Drawn, Want};
use shared::store::key::Key;
use shared::store::members::{EmailMembers, MAX_MEMBERS, MemberLists};
use shared::store::recheck::{Shared, around_link, around_unlink};
use shared::store::records::Guard;
use shared::store::retry::Backoff;
use shared::store::{Conflict, Refused, StoreError, Transaction};

use crate::account::unheld;
use crate::stripe_customer::intend;

/// Why a customer was not changed.
#[derive(Debug)]
pub enum NotUpdated {
    /// By the rules.
    Refused(Refusal),
    /// By what only the table knows, or because that failed.
    Failed(ApiError),
}

impl From<Refusal> for NotUpdated {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ApiError> for NotUpdated {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl From<StoreError> for NotUpdated {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<NotUpdated> for ApiError {
    fn from(error: NotUpdated) -> Self {
        match error {
            NotUpdated::Refused(refusal) => refusal.into(),
            NotUpdated::Failed(error) => error,
        }
    }
}

/// What became of a customer.
pub(crate) struct Updated {
    /// The customer as it is now.
    pub(crate) customer: Customer,
    /// Whether anything was written.
    pub(crate) changed: bool,
    /// What others may share with the two whose link changed, who are looked at again.
    pub(crate) around: Vec<Shared>,
}

/// One request and what stays the same however often it is planned anew.
pub(crate) struct Update<'a> {
    app: &'a App,
    request: Request,
    new_user: UserId,
    /// The one reading of the clock.
    pub(crate) now: Time,
}

impl<'a> Update<'a> {
    /// The change `request`.
    pub(crate) fn new(app: &'a App, request: Request) -> Self {
        let now = app.clock.now();
        Self { app, request, new_user: UserId(now.new_id()), now }
    }

    /// Whether `customer` would change.
    pub(crate) async fn preview(&self, customer: Customer) -> Result<bool, NotUpdated> {
        let (found, lists) = self.read(customer).await?;
        Ok(matches!(self.decide(found, &lists)?, Plan::Change(_)))
    }

    /// Changes `customer`.
    pub(crate) async fn run(&self, mut customer: Customer) -> Result<Updated, NotUpdated> {
        let mut drawn = Drawn::default();
        let mut races = Backoff::new();
        let id = customer.internal_id;
        loop {
            let (found, lists) = self.read(customer).await?;
            let change = match self.decide(found, &lists)? {
                Plan::Change(change) => *change,
                Plan::Unchanged(customer) => {
                    return Ok(Updated { customer: *customer, changed: false, around: Vec::new() });
                }
            };
            let around = self.around(&change);
            let mut transaction = self.app.store.transaction();
            transaction.look_again(&around, self.now);
            let customer_after = self.write(&mut transaction, change, &lists, &mut drawn).await?;
            match transaction.commit(&self.app.store).await {
                Ok(()) => return Ok(Updated { customer: customer_after, changed: true, around }),
                Err(Refused::Store(error)) => return Err(error.into()),
                Err(Refused::Conflict(Conflict::ExternalIdTaken)) => return Err(ApiError::IdTaken.into()),
                Err(Refused::Conflict(Conflict::StripeCustomerTaken)) => return Err(ApiError::StripeIdTaken.into()),
                Err(Refused::Conflict(conflict)) => drawn.discard(conflict),
            }
            if !races.wait().await {
                return Err(ApiError::Unavailable("the request lost every race it ran".into()).into());
            }
            customer = self.app.store.customer(id).await?.ok_or(ApiError::CustomerNotFound)?;
        }
    }

    /// What the decision and the write depend on, in one round trip; more where somebody signs in
    /// with the address that the customer is to have, or where a pointer is to be overruled.
    async fn read(&self, customer: Customer) -> Result<(Found, MemberLists), StoreError> {
        let store = &self.app.store;
        let old = customer.contact.email.as_ref();
        let new = self.request.email.value();
        let login = new.or(old).map(Key::login);
        let lists: Vec<Key> = [old, new].into_iter().flatten().map(Key::email_members).collect();
        let (own, named) = (customer.user_id.map(Key::user), self.request.user_id.value().copied().map(Key::user));
        let keys = lists.iter().chain(&login).chain(&own).chain(&named).cloned();
        let batch = store.batch_get(keys).await?;
        let lists = lists.iter().filter_map(|key| batch.get::<EmailMembers>(key).transpose());
        let lists = MemberLists::of(lists.collect::<Result<Vec<_>, _>>()?);
        let holder: Option<Guard> = login.map(|key| batch.get(&key)).transpose()?.flatten();
        let user = own.map(|key| batch.get(&key)).transpose()?.flatten();
        let named_user = match named.map(|key| batch.get(&key)).transpose()?.flatten() {
            Some(user) if !self.request.overrule => Some(store.without_stray_pointer(user).await?),
            named => named,
        };
        let email_holder = match holder {
            Some(guard) => store.user(UserId(guard.owner)).await?,
            None => None,
        };
        let mut found = Found { customer, user, named_user, named_customer: None, email_holder };
        if let Some(id) = self.to_overrule(&found) {
            found.named_customer = store.customer(id).await?;
        }
        Ok((found, lists))
    }

    /// The other customer that the named login points to, if that may be overruled.
    fn to_overrule(&self, found: &Found) -> Option<CustomerId> {
        let id = found.named_user.as_ref()?.customer_v2_id?;
        (self.request.overrule && id != found.customer.internal_id).then_some(id)
    }

    fn decide(&self, found: Found, lists: &MemberLists) -> Result<Plan, NotUpdated> {
        let plan = plan(&self.request, found, &self.app.settings.placeholder_email_domain, self.now)?;
        if let Plan::Change(change) = &plan {
            self.check(change, lists)?;
        }
        Ok(plan)
    }

    /// What only the merged record tells.
    fn check(&self, change: &Change, lists: &MemberLists) -> Result<(), ApiError> {
        let email = self.request.email.value().filter(|email| change.before.contact.email.as_ref() != Some(*email));
        if email.is_some_and(|email| lists.count(email) >= MAX_MEMBERS) {
            return Err(ApiError::field("email", format!("has {MAX_MEMBERS} customers already")));
        }
        if change.after.metadata != change.before.metadata {
            check_metadata(&change.after.metadata).map_err(|message| ApiError::field("metadata", message))?;
        }
        Ok(())
    }

    /// Others who may be ambiguous because of the two, if a person links them or takes them apart.
    fn around(&self, change: &Change) -> Vec<Shared> {
        let moved = change.login.is_some() || change.before.user_id != change.after.user_id;
        if self.request.user_id == Patch::Keep || !moved {
            return Vec::new();
        }
        match &change.login {
            Some(Login::Existing(user)) => around_link(&change.before, user),
            Some(Login::New(_)) => around_unlink(&change.before, None),
            None => around_unlink(&change.before, change.user.as_ref().map(|(before, _)| before)),
        }
    }

    /// Puts the change into `transaction`; answers the customer as it will be.
    async fn write(
        &self,
        transaction: &mut Transaction,
        change: Change,
        lists: &MemberLists,
        drawn: &mut Drawn,
    ) -> Result<Customer, ApiError> {
        let Change { before, mut after, user, login } = change;
        let Some(login) = login else {
            transaction.save_customer(Some(&before), &after, lists);
            if let Some((before, after)) = &user {
                transaction.save_user(Some(before), after);
            }
            return Ok(after);
        };
        let mut catalogue = Vec::new();
        if before.is_lead() {
            catalogue = self.app.store.products().await?;
            let fingerprint = after.fingerprint.as_deref();
            let used = self.app.store.trials_used(&catalogue, after.internal_id, fingerprint).await?;
            let stripe_configured = self.app.stripe_configured();
            let offer = Offer { catalogue: &catalogue, defaults: true, trials_used: &used, stripe_configured };
            offer.start(&mut after.products, None, self.now);
        }
        let login = unheld(self.app, login, self.new_user).await?;
        let want = Want { crn: after.customer_reference.is_none(), number: login.needs_number() };
        drawn.draw(&self.app.store, &self.app.settings, self.now, want).await?;
        let (crn, number) = (drawn.crn.clone(), drawn.number.clone());
        let frozen = Frozen { user_id: self.new_user, crn, number, now: self.now };
        let linked = link(after, login, &frozen, Terms::Decided);
        transaction.save_linked(Some(&before), &linked, lists);
        transaction.use_trials(Some(&before), &linked.customer);
        intend(self.app, transaction, Some(&before), &linked.customer, &catalogue, self.now).await?;
        Ok(linked.customer)
    }
}
