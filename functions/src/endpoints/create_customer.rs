//! Get-or-create a customer, with login, numbers and invitation, in one transaction.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{MatchedPath, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared::app::App;
use shared::clock::Time;
use shared::contact::{EmailAddress, Phone};
use shared::domain::customer::{Contact, Customer, Metadata, Status};
use shared::domain::get_or_create::Request;
use shared::domain::intent::waits_for_stripe;
use shared::domain::product::ProductId;
use shared::domain::start::Choice;
use shared::http::caller::AdminClaim;
use shared::http::fields::{Fields, FromFields, Opaque, PlainId, StripeId, Whole};
use shared::http::idempotency::{IdempotencyKey, replayed};
use shared::http::problem::Problem;
use shared::http::{ApiError, JsonBody};
use shared::ids::{CustomerId, ExternalId, UserId};
use shared::store::children::CustomerEntity;
use shared::text::{Address, Area, Name};
use utoipa::ToSchema;

use crate::billing::catch_up;
use crate::creation::{Created, Creation, Products};
use crate::expand::{Expand, Expanded};
use crate::stripe_customer;
use crate::view::CustomerView;

/// The most of a product that one customer holds.
const MAX_QUANTITY: u64 = 1_000_000;

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
    stripe_id: Option<StripeId>,
    /// Something of the customer's to count use for.
    #[schema(value_type = Option<String>)]
    entity_id: Option<PlainId>,
    /// What is known of it: `name`, `feature_id`.
    #[schema(value_type = Option<Object>)]
    entity_data: Option<EntityData>,
    /// The login to link.
    user_id: Option<UserId>,
    /// Whether the customer is to have a Stripe customer (`false`).
    create_in_stripe: Option<bool>,
    /// Whether a new customer goes without the default products (`false`).
    disable_default: Option<bool>,
    /// The product of a new customer, or one more of a customer who is there.
    subscription: Option<SubscriptionRequest>,
}

/// A product to attach.
#[derive(ToSchema)]
pub struct SubscriptionRequest {
    product_id: ProductId,
    /// How many of it (1).
    #[schema(value_type = Option<u64>)]
    quantity: Option<Whole<1, MAX_QUANTITY>>,
}

impl FromFields for SubscriptionRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (product_id, quantity) = (fields.required("product_id"), fields.optional("quantity"));
        Some(Self { product_id: product_id?, quantity: quantity? })
    }
}

impl FromFields for CreateCustomerRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (id, name, email) = (fields.optional("id"), fields.optional("name"), fields.optional("email"));
        let (phone, address, area) = (fields.optional("phone"), fields.optional("address"), fields.optional("area"));
        let (status, fingerprint) = (fields.optional("status"), fields.optional("fingerprint"));
        let (metadata, stripe_id) = (fields.optional("metadata"), fields.optional("stripe_id"));
        let (user_id, disable_default) = (fields.optional("user_id"), fields.optional("disable_default"));
        let (create_in_stripe, subscription) =
            (fields.optional("create_in_stripe"), fields.optional_object("subscription"));
        let (entity_id, entity_data) = (fields.optional("entity_id"), fields.optional_object("entity_data"));
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
            entity_id: entity_id?,
            entity_data: entity_data?,
            user_id: user_id?,
            create_in_stripe: create_in_stripe?,
            disable_default: disable_default?,
            subscription: subscription?,
        })
    }
}

/// What is known of an entity.
#[derive(Clone, Default)]
pub struct EntityData {
    name: Option<Name>,
    feature_id: Option<PlainId>,
}

impl FromFields for EntityData {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (name, feature_id) = (fields.optional("name"), fields.optional("feature_id"));
        Some(Self { name: name?, feature_id: feature_id? })
    }
}

impl CreateCustomerRequest {
    /// The entity that the request names, for the customer `customer_id`.
    fn entity(&self) -> Option<impl FnOnce(CustomerId, Time) -> CustomerEntity + use<>> {
        let (id, data) = (self.entity_id.clone()?.0, self.entity_data.clone().unwrap_or_default());
        let (name, feature_id) = (data.name.map(|name| name.as_str().to_owned()), data.feature_id.map(|id| id.0));
        Some(move |customer_id, created_at| CustomerEntity { customer_id, id, name, feature_id, created_at })
    }

    fn products(&self) -> Products {
        let choice = self.subscription.as_ref().map(|subscription| Choice {
            product_id: subscription.product_id.clone(),
            quantity: subscription.quantity.map_or(1, |quantity| quantity.0),
            paid: false,
        });
        Products { defaults: self.disable_default != Some(true), choice }
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
    #[serde(flatten)]
    expanded: Expanded,
    /// On the older routes: the caller's id, else the internal id.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<String>,
    /// On creation: that it was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    /// On creation: how the customer gets a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    temp_password_note: Option<&'static str>,
    /// What was left out, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// The route that is no older name of another.
const PATH: &str = "/v1/customers";

/// Gets or creates a customer. Under the two older names the answer carries `customer_id`.
#[utoipa::path(
    post, path = "/v1/customers", tag = "customers", operation_id = "createCustomer", security(("bearer" = [])),
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry safe, for 24 hours."),
        ("expand" = Option<String>, Query, description = "Any of `invoices`, `trials_used`, `entities`, comma-separated."),
    ),
    request_body = CreateCustomerRequest,
    responses(
        (status = 201, description = "A new customer.", body = CreateCustomerResponse),
        (status = 200, description = "The customer that the request means.", body = CreateCustomerResponse),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    path: MatchedPath,
    query: Query<BTreeMap<String, String>>,
    claim: AdminClaim,
    key: Result<IdempotencyKey, ApiError>,
    body: Result<JsonBody<CreateCustomerRequest>, ApiError>,
) -> Result<Response, ApiError> {
    let now = app.clock.now();
    let parsed = || Ok((Expand::parse(&query)?, key?, named(body?)?));
    let (expand, key, body) = claim.admit(&app, parsed()).await?;
    let create_in_stripe = body.request.create_in_stripe == Some(true);
    let entity = body.request.entity();
    // On the heap: it is what most of the handler's future would be.
    let mut created = Box::pin(create(&app, &claim, key, path.as_str(), body, now)).await?;
    if created.takes_stripe_customer {
        created.customer = catch_up(&app, created.customer, now).await;
    }
    let may_wait = create_in_stripe || waits_for_stripe(&created.customer);
    if may_wait {
        let stripe_id = stripe_customer::pursue(&app, &created.customer).await;
        created.customer.stripe_id = created.customer.stripe_id.take().or(stripe_id);
    }
    // An entity is named after its customer is there; a retry, also a replayed one, names it again.
    if let Some(entity) = entity {
        app.store.add_entity(&entity(created.customer.internal_id, now)).await?;
    }
    let expanded = expand.read(&app, created.customer.internal_id).await?;
    let again = created.replayed;
    let answer = answer(created, expanded, path.as_str() != PATH, now);
    Ok(if again { replayed(answer) } else { answer })
}

/// Nobody is created whom nothing tells from others.
fn named(body: JsonBody<CreateCustomerRequest>) -> Result<JsonBody<CreateCustomerRequest>, ApiError> {
    let request = &body.request;
    if request.id.is_none() && request.email.is_none() && request.phone.is_none() {
        return Err(ApiError::Impossible("Either customer ID or email is required"));
    }
    Ok(body)
}

/// Reads what the creation begins with while the caller is confirmed; but a key is its caller's own, who has to be known.
async fn create(
    app: &App,
    claim: &AdminClaim,
    key: IdempotencyKey,
    path: &str,
    body: JsonBody<CreateCustomerRequest>,
    now: Time,
) -> Result<Created, ApiError> {
    let key = if key.is_given() { key.used(app, path, &claim.confirm(app).await?.scope(), &body.raw) } else { None };
    let confirmed = key.is_some();
    let (products, in_stripe) = (body.request.products(), body.request.create_in_stripe == Some(true));
    let request = Request::from(body.request);
    let creation = Creation::new(app.clone(), request, products, key, now).with_stripe_customer(in_stripe);
    if confirmed {
        return creation.run().await;
    }
    let (caller, picture) = tokio::join!(claim.confirm(app), creation.read());
    caller?;
    creation.run_from(picture?).await
}

fn answer(created: Created, expanded: Expanded, alias: bool, now: Time) -> Response {
    let Created { status, customer, usage, warnings, .. } = created;
    let new = status == StatusCode::CREATED;
    let note = password_note(&customer);
    let mut customer = CustomerView::new(customer, &usage, now);
    if alias {
        customer.id = customer.id.or_else(|| Some(customer.internal_id.to_string()));
    }
    let customer_id = customer.id.clone().filter(|_| alias);
    let message = new.then_some("Customer created successfully");
    let temp_password_note = new.then_some(note);
    (status, Json(CreateCustomerResponse { customer, expanded, customer_id, message, temp_password_note, warnings }))
        .into_response()
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
