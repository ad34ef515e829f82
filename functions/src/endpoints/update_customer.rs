//! Changes a customer, and its login where that follows.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use shared::app::App;
use shared::clock::Time;
use shared::contact::{EmailAddress, Phone};
use shared::domain::customer::{Customer, Metadata, Status};
use shared::domain::onboarding::{Frozen, Terms, link};
use shared::domain::start::Offer;
use shared::domain::update::{Change, Found, Plan, Request, plan};
use shared::http::caller::Admin;
use shared::http::fields::{Fields, FromFields, Opaque, Patch, check_metadata};
use shared::http::problem::Problem;
use shared::http::{ApiError, JsonBody};
use shared::ids::{ExternalId, UserId};
use shared::store::counter::{Drawn, Want};
use shared::store::key::Key;
use shared::store::members::{EmailMembers, MAX_MEMBERS, MemberLists};
use shared::store::records::Guard;
use shared::store::retry::Backoff;
use shared::store::{Conflict, Refused, Transaction};
use shared::text::{Address, Area, Name};
use utoipa::ToSchema;

use crate::stripe_customer::intend;
use crate::view::CustomerView;

/// What is to change. What is absent stays; null clears, except `status`.
#[derive(ToSchema)]
pub struct UpdateCustomerRequest {
    /// The caller's own id; the old one is free then.
    #[schema(value_type = Option<ExternalId>)]
    id: Patch<ExternalId>,
    #[schema(value_type = Option<Name>)]
    name: Patch<Name>,
    /// The login moves along if it was the old address or a placeholder and the new one is free.
    #[schema(value_type = Option<EmailAddress>)]
    email: Patch<EmailAddress>,
    #[schema(value_type = Option<Phone>)]
    phone: Patch<Phone>,
    #[schema(value_type = Option<Address>)]
    address: Patch<Address>,
    #[schema(value_type = Option<Area>)]
    area: Patch<Area>,
    /// `inactive` disables the login and ends its sessions, any other enables it.
    status: Option<Status>,
    /// The caller's mark of the person behind it.
    #[schema(value_type = Option<String>)]
    fingerprint: Patch<Opaque>,
    /// Merged key by key; null deletes a key.
    #[schema(value_type = Option<Object>)]
    metadata: Patch<Metadata>,
    #[schema(value_type = Option<String>)]
    stripe_id: Patch<Opaque>,
    /// The login to link; null unlinks both sides.
    #[schema(value_type = Option<UserId>)]
    user_id: Patch<UserId>,
}

impl FromFields for UpdateCustomerRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (id, name, email) = (fields.patch("id"), fields.patch("name"), fields.patch("email"));
        let (phone, address, area) = (fields.patch("phone"), fields.patch("address"), fields.patch("area"));
        let (status, fingerprint) = (fields.optional("status"), fields.patch("fingerprint"));
        let (metadata, stripe_id) = (fields.patch("metadata"), fields.patch("stripe_id"));
        let user_id = fields.patch("user_id");
        Some(Self {
            id: id?,
            name: name?,
            email: email?,
            phone: phone?,
            address: address?,
            area: area?,
            status: status?,
            fingerprint: fingerprint?,
            metadata: metadata?,
            stripe_id: stripe_id?,
            user_id: user_id?,
        })
    }
}

impl From<UpdateCustomerRequest> for Request {
    fn from(body: UpdateCustomerRequest) -> Self {
        Self {
            id: body.id,
            name: body.name,
            email: body.email,
            phone: body.phone,
            address: body.address,
            area: body.area,
            status: body.status,
            fingerprint: body.fingerprint.map(|text| text.0),
            metadata: body.metadata,
            stripe_id: body.stripe_id.map(|text| text.0),
            user_id: body.user_id,
        }
    }
}

/// Changes a customer.
#[utoipa::path(
    patch, path = "/v1/customers/{id}", tag = "customers", operation_id = "updateCustomer", security(("bearer" = [])),
    params(("id" = String, Path, description = "The caller's id, the internal id, the reference or the customer number.")),
    request_body = UpdateCustomerRequest,
    responses(
        (status = 200, description = "The customer as it is now.", body = CustomerView),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    _caller: Admin,
    path: Result<Path<String>, PathRejection>,
    body: JsonBody<UpdateCustomerRequest>,
) -> Result<Json<CustomerView>, ApiError> {
    let identifier = super::identifier(path, &app)?;
    let now = app.clock.now();
    // Found once: a new id must not hide the customer from its own update.
    let found = app.store.find_customer(&identifier).await?.ok_or(ApiError::CustomerNotFound)?;
    let new_user = UserId(now.new_id());
    let update = Update { app, request: body.request.into(), new_user, now };
    let customer = update.run(found).await?;
    let usage = update.app.store.usage(customer.internal_id).await?;
    Ok(Json(CustomerView::new(customer, &usage, now)))
}

/// One request and what stays the same however often it is planned anew.
struct Update {
    app: App,
    request: Request,
    new_user: UserId,
    now: Time,
}

impl Update {
    async fn run(&self, mut customer: Customer) -> Result<Customer, ApiError> {
        let mut drawn = Drawn::default();
        let mut races = Backoff::new();
        let id = customer.internal_id;
        loop {
            let (found, lists) = self.read(customer).await?;
            let change = match plan(&self.request, found, &self.app.settings.placeholder_email_domain, self.now)? {
                Plan::Unchanged(customer) => return Ok(*customer),
                Plan::Change(change) => *change,
            };
            self.check(&change, &lists)?;
            let mut transaction = self.app.store.transaction();
            let after = self.write(&mut transaction, change, &lists, &mut drawn).await?;
            match transaction.commit(&self.app.store).await {
                Ok(()) => return Ok(after),
                Err(Refused::Store(error)) => return Err(error.into()),
                Err(Refused::Conflict(Conflict::ExternalIdTaken)) => return Err(ApiError::IdTaken),
                Err(Refused::Conflict(Conflict::StripeCustomerTaken)) => return Err(ApiError::StripeIdTaken),
                Err(Refused::Conflict(conflict)) => drawn.discard(conflict),
            }
            if !races.wait().await {
                return Err(ApiError::Unavailable("the request lost every race it ran".into()));
            }
            customer = self.app.store.customer(id).await?.ok_or(ApiError::CustomerNotFound)?;
        }
    }

    /// What the decision and the write depend on, in one round trip, or two where somebody signs in
    /// with the address that the customer is to have.
    async fn read(&self, customer: Customer) -> Result<(Found, MemberLists), ApiError> {
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
            Some(user) => Some(store.without_stray_pointer(user).await?),
            None => None,
        };
        let email_holder = match holder {
            Some(guard) => store.user(UserId(guard.owner)).await?,
            None => None,
        };
        Ok((Found { customer, user, named_user, email_holder }, lists))
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
            let stripe_configured = self.app.stripe.is_some();
            let offer = Offer { catalogue: &catalogue, defaults: true, trials_used: &used, stripe_configured };
            offer.start(&mut after.products, None, self.now);
        }
        let want = Want { crn: after.customer_reference.is_none(), number: login.needs_number() };
        drawn.draw(&self.app.store, &self.app.settings, self.now, want).await?;
        let (crn, number) = (drawn.crn.clone(), drawn.number.clone());
        let frozen = Frozen { user_id: self.new_user, crn, number, now: self.now };
        let linked = link(after, login, &frozen, Terms::Decided);
        transaction.save_linked(Some(&before), &linked, lists);
        transaction.use_trials(Some(&before), &linked.customer);
        intend(&self.app, transaction, Some(&before), &linked.customer, &catalogue, self.now).await?;
        Ok(linked.customer)
    }
}
