//! Get-or-create a customer, with login, numbers and invitation, in one transaction.

use axum::Json;
use axum::extract::{MatchedPath, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared::app::App;
use shared::clock::Time;
use shared::contact::{EmailAddress, Phone};
use shared::domain::customer::{Contact, Customer, Metadata, Status};
use shared::domain::get_or_create::{Found, New, Plan, Request, plan};
use shared::domain::onboarding::{Frozen, Linked, Login, Terms, link};
use shared::http::caller::Admin;
use shared::http::fields::{Fields, FromFields, Opaque};
use shared::http::idempotency::{Answer, Idempotency, IdempotencyKey, replayed};
use shared::http::problem::Problem;
use shared::http::{ApiError, JsonBody};
use shared::ids::{CustomerId, ExternalId, UserId};
use shared::store::counter::{Drawn, Want};
use shared::store::key::Key;
use shared::store::marker::IdempotencyMarker;
use shared::store::members::{EmailMembers, MAX_MEMBERS, MemberLists};
use shared::store::records::Guard;
use shared::store::retry::Backoff;
use shared::store::{Conflict, Refused, Transaction};
use shared::text::{Address, Area, Name};
use utoipa::ToSchema;

use crate::view::CustomerView;

/// A customer, as the caller knows them. One of `id`, `email` and `phone` is needed.
#[derive(ToSchema)]
pub struct CreateCustomerRequest {
    /// The caller's own id.
    id: Option<ExternalId>,
    name: Option<Name>,
    email: Option<EmailAddress>,
    phone: Option<Phone>,
    address: Option<Address>,
    area: Option<Area>,
    /// Where a new customer stands (`active`); `active` also ends a lead.
    status: Option<Status>,
    /// The caller's mark of the person behind it.
    #[schema(value_type = Option<String>)]
    fingerprint: Option<Opaque>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
    #[schema(value_type = Option<String>)]
    stripe_id: Option<Opaque>,
    /// The login to link.
    user_id: Option<UserId>,
}

impl FromFields for CreateCustomerRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (id, name, email) = (fields.optional("id"), fields.optional("name"), fields.optional("email"));
        let (phone, address, area) = (fields.optional("phone"), fields.optional("address"), fields.optional("area"));
        let (status, fingerprint) = (fields.optional("status"), fields.optional("fingerprint"));
        let (metadata, stripe_id) = (fields.optional("metadata"), fields.optional("stripe_id"));
        let user_id = fields.optional("user_id");
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

impl From<CreateCustomerRequest> for Request {
    fn from(body: CreateCustomerRequest) -> Self {
        let contact =
            Contact { name: body.name, email: body.email, phone: body.phone, address: body.address, area: body.area };
        Self {
            id: body.id,
            contact,
            status: body.status,
            fingerprint: body.fingerprint.map(|text| text.0),
            metadata: body.metadata.unwrap_or_default(),
            stripe_id: body.stripe_id.map(|text| text.0),
            user_id: body.user_id,
        }
    }
}

/// The customer, and on creation what became of their login.
#[derive(Serialize, ToSchema)]
pub struct CreateCustomerResponse {
    #[serde(flatten)]
    customer: CustomerView,
    /// On the older routes: the caller's id, else the internal id.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<String>,
    /// On creation: that it was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    /// On creation: how the customer gets a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    temp_password_note: Option<&'static str>,
}

/// Gets or creates a customer.
#[utoipa::path(
    post, path = "/v1/customers", tag = "customers", operation_id = "createCustomer", security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a retry safe, for 24 hours.")),
    request_body = CreateCustomerRequest,
    responses(
        (status = 201, description = "A new customer.", body = CreateCustomerResponse),
        (status = 200, description = "The customer that the request means.", body = CreateCustomerResponse),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    caller: Admin,
    key: IdempotencyKey,
    body: JsonBody<CreateCustomerRequest>,
) -> Result<Response, ApiError> {
    run(app, "/v1/customers", caller, key, body, false).await
}

/// The same under its two older names, whose answers carry `customer_id`.
pub async fn handle_alias(
    State(app): State<App>,
    path: MatchedPath,
    caller: Admin,
    key: IdempotencyKey,
    body: JsonBody<CreateCustomerRequest>,
) -> Result<Response, ApiError> {
    run(app, path.as_str(), caller, key, body, true).await
}

async fn run(
    app: App,
    route: &str,
    caller: Admin,
    key: IdempotencyKey,
    body: JsonBody<CreateCustomerRequest>,
    alias: bool,
) -> Result<Response, ApiError> {
    let now = app.clock.now();
    let key = key.used(&app, route, &caller.scope(), &body.raw);
    let request = Request::from(body.request);
    if request.id.is_none() && request.contact.email.is_none() && request.contact.phone.is_none() {
        return Err(ApiError::Impossible("Either customer ID or email is required"));
    }
    let (new_id, user_id) = (CustomerId(now.new_id()), UserId(now.new_id()));
    Creation { app, request, key, new_id, user_id, now, alias }.run().await
}

/// One request and what stays the same however often it is planned anew.
struct Creation {
    app: App,
    request: Request,
    key: Option<Idempotency>,
    new_id: CustomerId,
    user_id: UserId,
    now: Time,
    alias: bool,
}

/// What was read before deciding.
struct Picture {
    found: Found,
    lists: MemberLists,
    replay: Option<IdempotencyMarker>,
}

impl Creation {
    async fn run(&self) -> Result<Response, ApiError> {
        let mut drawn = Drawn::default();
        let mut races = Backoff::new();
        loop {
            let picture = self.read().await?;
            if let Some(marker) = picture.replay {
                return self.replay(&marker).await;
            }
            let new = New {
                customer_id: self.new_id,
                now: self.now,
                placeholder_domain: &self.app.settings.placeholder_email_domain,
            };
            let plan = plan(&self.request, picture.found, new)?;
            match self.execute(plan, &picture.lists, &mut drawn).await? {
                Ok(answer) => return Ok(answer),
                Err(Conflict::StripeCustomerTaken) => return Err(ApiError::StripeIdTaken),
                Err(conflict) => drawn.discard(conflict),
            }
            if !races.wait().await {
                return Err(ApiError::Unavailable("the request lost every race it ran".into()));
            }
        }
    }

    /// Guards first, in one round trip; then the heads they point to, in another.
    async fn read(&self) -> Result<Picture, ApiError> {
        let store = &self.app.store;
        let (id, email) = (self.request.id.as_ref(), self.request.contact.email.as_ref());
        let (id_key, list_key) = (id.map(Key::external_id), email.map(Key::email_members));
        let (login_key, user_key) = (email.map(Key::login), self.request.user_id.map(Key::user));
        let marker_key = self.key.as_ref().map(Idempotency::key);
        let keys = [&id_key, &list_key, &login_key, &user_key, &marker_key].into_iter().flatten().cloned();
        let guards = store.batch_get(keys).await?;
        let replay = match (&self.key, &marker_key) {
            (Some(key), Some(at)) => key.replay(guards.get(at)?, self.now)?,
            _ => None,
        };
        let list: Option<EmailMembers> = list_key.map(|key| guards.get(&key)).transpose()?.flatten();
        let by_id: Option<Guard> = id_key.map(|key| guards.get(&key)).transpose()?.flatten();
        let holder: Option<Guard> = login_key.map(|key| guards.get(&key)).transpose()?.flatten();
        let named_user = user_key.map(|key| guards.get(&key)).transpose()?.flatten();
        let (by_id, holder) = (by_id.map(|g| CustomerId(g.owner)), holder.map(|g| UserId(g.owner)));
        let members = list.as_ref().map(|list| list.members.clone()).unwrap_or_default();
        let heads = members.iter().copied().chain(by_id).map(Key::customer).chain(holder.map(Key::user));
        let heads = store.batch_get(heads).await?;
        let by_email = members.iter().filter_map(|id| heads.get(&Key::customer(*id)).transpose());
        let found = Found {
            by_id: by_id.map(|id| heads.get(&Key::customer(id))).transpose()?.flatten(),
            by_email: by_email.collect::<Result<_, _>>()?,
            email_holder: holder.map(|id| heads.get(&Key::user(id))).transpose()?.flatten(),
            named_user,
        };
        Ok(Picture { found, lists: MemberLists::of(list), replay })
    }

    async fn replay(&self, marker: &IdempotencyMarker) -> Result<Response, ApiError> {
        let customer = self.app.store.customer(marker.customer_id).await?.ok_or(ApiError::CustomerNotFound)?;
        let status = StatusCode::from_u16(marker.status).unwrap_or(StatusCode::OK);
        Ok(replayed(self.answer(status, customer)))
    }

    /// Makes the plan so; the inner error is the race that was lost.
    async fn execute(
        &self,
        plan: Plan,
        lists: &MemberLists,
        drawn: &mut Drawn,
    ) -> Result<Result<Response, Conflict>, ApiError> {
        if joins_address(&plan) {
            self.refuse_crowd(lists)?;
        }
        let mut transaction = self.app.store.transaction();
        let (status, customer) = match plan {
            Plan::Unchanged(customer) if self.key.is_none() => {
                return Ok(Ok(self.answer(StatusCode::OK, *customer)));
            }
            Plan::Unchanged(customer) => (StatusCode::OK, *customer),
            Plan::Change { before, after, login: None } => {
                transaction.save_customer(Some(&before), &after, lists);
                (StatusCode::OK, *after)
            }
            Plan::Change { before, after, login: Some(login) } => {
                let linked = self.onboard(*after, login, drawn).await?;
                transaction.save_linked(Some(&before), &linked, lists);
                (StatusCode::OK, linked.customer)
            }
            Plan::Create { customer, login } => {
                let linked = self.onboard(*customer, login, drawn).await?;
                transaction.save_linked(None, &linked, lists);
                (StatusCode::CREATED, linked.customer)
            }
        };
        self.keep_answer(&mut transaction, status, &customer);
        match transaction.commit(&self.app.store).await {
            Ok(()) => Ok(Ok(self.answer(status, customer))),
            Err(Refused::Conflict(conflict)) => Ok(Err(conflict)),
            Err(Refused::Store(error)) => Err(error.into()),
        }
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

    fn keep_answer(&self, transaction: &mut Transaction, status: StatusCode, customer: &Customer) {
        let Some(key) = &self.key else { return };
        let kept = Answer { status: status.as_u16(), customer_id: customer.internal_id, checkout_url: None };
        let marker = key.marker(kept, self.now);
        transaction.create_over_expired(&marker, self.now.unix_seconds(), Conflict::HandledBefore);
    }

    fn answer(&self, status: StatusCode, customer: Customer) -> Response {
        let created = status == StatusCode::CREATED;
        let note = password_note(&customer);
        let mut customer = CustomerView::from(customer);
        if self.alias {
            customer.id = customer.id.or_else(|| Some(customer.internal_id.to_string()));
        }
        let customer_id = customer.id.clone().filter(|_| self.alias);
        let message = created.then_some("Customer created successfully");
        let temp_password_note = created.then_some(note);
        (status, Json(CreateCustomerResponse { customer, customer_id, message, temp_password_note })).into_response()
    }
}

/// Whether the customer of a plan is to join the list of an e-mail address.
fn joins_address(plan: &Plan) -> bool {
    match plan {
        Plan::Unchanged(_) => false,
        Plan::Change { before, after, .. } => before.contact.email != after.contact.email,
        Plan::Create { customer, .. } => customer.contact.email.is_some(),
    }
}

/// What becomes of the password of a customer who was just created.
fn password_note(customer: &Customer) -> &'static str {
    let reachable = customer.contact.email.is_some() || customer.contact.phone.is_some();
    match customer.status {
        Status::Inactive => "The customer is inactive: nobody is invited, and the login is off.",
        _ if reachable => {
            "A new login gets a temporary password by e-mail or SMS; it works for 7 days and must be changed."
        }
        _ => "Nobody can be reached: add an e-mail address or phone, then issue credentials.",
    }
}
