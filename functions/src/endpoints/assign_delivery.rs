//! Who delivers to a customer.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared::app::App;
use shared::clock::Time;
use shared::contact::Phone;
use shared::domain::customer::Customer;
use shared::domain::user::User;
use shared::http::caller::Admin;
use shared::http::fields::{Fields, FromFields, Opaque, Patch};
use shared::http::idempotency::{Answer, Idempotency, IdempotencyKey, earlier, replayed};
use shared::http::problem::Problem;
use shared::http::{ApiError, JsonBody};
use shared::ids::UserId;
use shared::store::key::Key;
use shared::store::marker::IdempotencyMarker;
use shared::store::members::MemberLists;
use shared::store::retry::Backoff;
use shared::store::{Conflict, Refused};
use shared::text::Name;
use utoipa::ToSchema;

use crate::search::{one_customer, one_delivery_boy};
use crate::view::CustomerView;

/// The route.
const PATH: &str = "/admin/delivery-assignments";

/// Who is to deliver to whom.
#[derive(ToSchema)]
pub struct AssignDeliveryRequest {
    /// A reference, number, id, internal id, e-mail address or phone, or else a full name.
    #[schema(value_type = String)]
    customer: Opaque,
    /// A user id, e-mail address or phone, or else a full name; null for nobody.
    #[schema(value_type = Option<String>)]
    delivery_boy: Option<Opaque>,
}

impl FromFields for AssignDeliveryRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (customer, delivery_boy) = (fields.required("customer"), fields.patch("delivery_boy"));
        let delivery_boy = match delivery_boy? {
            // Forgotten is not the same as nobody.
            Patch::Keep => fields.refuse("delivery_boy", "is required; send `null` for nobody")?,
            Patch::Clear => None,
            Patch::Set(text) => Some(text),
        };
        Some(Self { customer: customer?, delivery_boy })
    }
}

/// Who delivers to whom.
#[derive(Serialize, ToSchema)]
pub struct AssignDeliveryResponse {
    /// The customer.
    customer: CustomerView,
    /// Who delivers to it; null for nobody.
    delivery_boy: Option<DeliveryBoyView>,
}

/// Somebody who delivers.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryBoy)]
pub struct DeliveryBoyView {
    /// Their account.
    user_id: UserId,
    /// Who they are.
    name: Option<Name>,
    /// Their phone, in E.164 form.
    phone: Option<Phone>,
}

impl From<User> for DeliveryBoyView {
    fn from(user: User) -> Self {
        Self { user_id: user.user_id, name: user.name, phone: user.phone }
    }
}

/// Assigns a delivery boy to a customer, or nobody.
#[utoipa::path(
    post, path = "/admin/delivery-assignments", tag = "operations", operation_id = "assignDelivery",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a retry safe, for 24 hours.")),
    request_body = AssignDeliveryRequest,
    responses(
        (status = 200, description = "Who delivers to whom.", body = AssignDeliveryResponse),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    caller: Admin,
    key: IdempotencyKey,
    body: JsonBody<AssignDeliveryRequest>,
) -> Result<Response, ApiError> {
    let now = app.clock.now();
    let key = key.used(&app, PATH, &caller.scope(), &body.raw);
    Assignment { app, request: body.request, key, now }.run().await
}

/// One request and what stays the same however often it is planned anew.
struct Assignment {
    app: App,
    request: AssignDeliveryRequest,
    key: Option<Idempotency>,
    now: Time,
}

impl Assignment {
    async fn run(&self) -> Result<Response, ApiError> {
        let mut races = Backoff::new();
        loop {
            if let Some(marker) = earlier(self.key.as_ref(), &self.app, self.now).await? {
                return self.replay(&marker).await;
            }
            let customer = one_customer(&self.app, &self.request.customer.0).await?;
            let boy = match &self.request.delivery_boy {
                Some(text) => Some(one_delivery_boy(&self.app, &text.0).await?),
                None => None,
            };
            match self.assign(customer, boy.as_ref()).await {
                Ok(customer) => return self.answer(customer, boy).await,
                Err(Refused::Conflict(_)) if races.wait().await => {}
                Err(refused) => return Err(refused.into()),
            }
        }
    }

    /// Writes the assignment on the customer that was read, while the delivery boy is there, and its
    /// marker with it. Answers the customer as it is then.
    async fn assign(&self, before: Customer, boy: Option<&User>) -> Result<Customer, Refused> {
        let delivery_boy_id = boy.map(|boy| boy.user_id);
        let mut transaction = self.app.store.transaction();
        let mut after = before.clone();
        if before.delivery_boy_id != delivery_boy_id {
            after.delivery_boy_id = delivery_boy_id;
            after.updated_at = self.now;
            transaction.save_customer(Some(&before), &after, &MemberLists::default());
            if let Some(id) = delivery_boy_id {
                transaction.require_present(&Key::user(id), Conflict::Changed);
            }
        }
        if let Some(key) = &self.key {
            let kept = Answer { delivery_boy_id, ..Answer::about(StatusCode::OK.as_u16(), before.internal_id) };
            let marker = key.marker(kept, self.now);
            transaction.create_over_expired(&marker, self.now.unix_seconds(), Conflict::HandledBefore);
        }
        if !transaction.is_empty() {
            transaction.commit(&self.app.store).await?;
        }
        Ok(after)
    }

    /// The answer that was given before, of the customer as it is now.
    async fn replay(&self, marker: &IdempotencyMarker) -> Result<Response, ApiError> {
        let store = &self.app.store;
        let mut customer = store.customer(marker.customer_id).await?.ok_or(ApiError::CustomerNotFound)?;
        let boy = match marker.delivery_boy_id {
            Some(id) => Some(store.user(id).await?.ok_or(ApiError::UserNotFound)?),
            None => None,
        };
        customer.delivery_boy_id = marker.delivery_boy_id;
        Ok(replayed(self.answer(customer, boy).await?))
    }

    async fn answer(&self, customer: Customer, boy: Option<User>) -> Result<Response, ApiError> {
        let usage = self.app.store.usage(customer.internal_id).await?;
        let customer = CustomerView::new(customer, &usage, self.now);
        Ok(Json(AssignDeliveryResponse { customer, delivery_boy: boy.map(Into::into) }).into_response())
    }
}
