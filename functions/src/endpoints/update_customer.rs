//! Changes a customer, and its login where that follows.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use shared::app::App;
use shared::contact::{EmailAddress, Phone};
use shared::domain::customer::{Metadata, Status};
use shared::domain::update::Request;
use shared::http::caller::Admin;
use shared::http::fields::{Fields, FromFields, Opaque, Patch, StripeId};
use shared::http::problem::Problem;
use shared::http::{ApiError, JsonBody};
use shared::ids::{ExternalId, UserId};
use shared::text::{Address, Area, Name};
use utoipa::ToSchema;

use crate::billing::catch_up;
use crate::update::{Update, Updated};
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
    stripe_id: Patch<StripeId>,
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
            overrule: false,
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
    // Found once: a new id must not hide the customer from its own update.
    let found = app.store.find_customer(&identifier).await?.ok_or(ApiError::CustomerNotFound)?;
    let names_stripe_customer = body.request.stripe_id.value().is_some();
    let update = Update::new(&app, body.request.into());
    let Updated { mut customer, changed, .. } = update.run(found).await?;
    if changed && names_stripe_customer {
        customer = catch_up(&app, customer, update.now).await;
    }
    let usage = app.store.usage(customer.internal_id).await?;
    Ok(Json(CustomerView::new(customer, &usage, update.now)))
}
