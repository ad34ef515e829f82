//! Deletes a customer together with its login. Its reference and number stay issued.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use serde::Serialize;
use shared::app::App;
use shared::domain::customer::Customer;
use shared::domain::linking::Pair;
use shared::domain::product::{HeldProduct, ProductStatus};
use shared::domain::user::User;
use shared::http::ApiError;
use shared::http::caller::Admin;
use shared::http::problem::Problem;
use shared::store::key::Key;
use shared::store::members::{EmailMembers, MemberLists};
use shared::store::retry::Backoff;
use shared::store::{Refused, Transaction};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

/// How long Stripe may take, for however many subscriptions: less than a request has.
const BUDGET: Duration = Duration::from_secs(6);

/// That it is done.
#[derive(Serialize, ToSchema)]
pub struct DeleteCustomerResponse {
    /// Always true.
    success: bool,
}

/// Deletes a customer.
#[utoipa::path(
    delete, path = "/v1/customers/{id}", tag = "customers", operation_id = "deleteCustomer", security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "The caller's id, the internal id, the reference or the customer number."),
        ("cancel_subscriptions" = Option<bool>, Query, description = "Cancels at Stripe what the customer holds there."),
    ),
    responses(
        (status = 200, description = "Customer and login are gone.", body = DeleteCustomerResponse),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    _caller: Admin,
    path: Result<Path<String>, PathRejection>,
    query: Query<BTreeMap<String, String>>,
) -> Result<Json<DeleteCustomerResponse>, ApiError> {
    let identifier = super::identifier(path, &app)?;
    let cancel = cancel_subscriptions(&query)?;
    let now = app.clock.now();
    let mut customer = app.store.find_customer(&identifier).await?.ok_or(ApiError::CustomerNotFound)?;
    let (mut races, end) = (Backoff::new(), Instant::now() + BUDGET);
    loop {
        let ended = timeout_at(end, end_subscriptions(&app, &customer, cancel)).await;
        ended.unwrap_or_else(|_| out_of_time(&customer, cancel))?;
        let (user, lists) = read(&app, &customer).await?;
        let mut transaction: Transaction = app.store.transaction();
        transaction.delete_customer(&customer, &lists, now);
        if let Some(user) = &user {
            transaction.delete_user(user, now);
        }
        match transaction.commit(&app.store).await {
            Ok(()) => return Ok(Json(DeleteCustomerResponse { success: true })),
            Err(Refused::Conflict(_)) if races.wait().await => {}
            Err(refused) => return Err(refused.into()),
        }
        customer = app.store.customer(customer.internal_id).await?.ok_or(ApiError::CustomerNotFound)?;
    }
}

/// Whether the caller wants the customer's subscriptions canceled.
fn cancel_subscriptions(query: &BTreeMap<String, String>) -> Result<bool, ApiError> {
    match query.get("cancel_subscriptions").map(String::as_str) {
        Some("true") => Ok(true),
        Some("false") | None => Ok(false),
        Some(_) => Err(ApiError::field("cancel_subscriptions", "must be `true` or `false`")),
    }
}

/// Refuses to delete a customer whom Stripe would go on billing, or ends that first if the caller
/// wants it: a customer who is gone cannot be billed, and a retry cancels nothing twice. One that
/// nobody has paid for yet ends with the customer in any case.
async fn end_subscriptions(app: &App, customer: &Customer, cancel: bool) -> Result<(), ApiError> {
    let billed = customer.products.iter().any(|held| held.status.is_live() && held.subscription_id.is_some());
    if billed && !cancel {
        return Err(ApiError::HasSubscription);
    }
    let open = |held: &&HeldProduct| held.status.is_live() || held.status == ProductStatus::Scheduled;
    let subscriptions = customer.products.iter().filter(open).filter_map(|held| held.subscription_id.as_deref());
    for subscription in subscriptions {
        let Some(stripe) = &app.stripe else {
            tracing::warn!(customer_id = %customer.internal_id, subscription, "nobody can cancel it at Stripe");
            continue;
        };
        match stripe.cancel_subscription(subscription).await {
            Ok(()) => {}
            Err(error) if cancel => {
                return Err(ApiError::Unavailable(format!("a subscription was not canceled: {error}")));
            }
            // Stripe ends by itself, within a day, what nobody pays for.
            Err(error) => tracing::warn!(customer_id = %customer.internal_id, subscription, %error, "not canceled"),
        }
    }
    Ok(())
}

/// What is left when Stripe took too long: a retry goes on with it, if the caller wants it canceled.
/// Else Stripe ends it by itself, as above.
fn out_of_time(customer: &Customer, cancel: bool) -> Result<(), ApiError> {
    if cancel {
        return Err(ApiError::Unavailable("Stripe took too long".into()));
    }
    tracing::warn!(customer_id = %customer.internal_id, "not canceled: Stripe took too long");
    Ok(())
}

/// The login that goes with the customer, unless it is another's, and the list it leaves.
async fn read(app: &App, customer: &Customer) -> Result<(Option<User>, MemberLists), ApiError> {
    let list = customer.contact.email.as_ref().map(Key::email_members);
    let user = customer.user_id.map(Key::user);
    let keys: Vec<Key> = list.iter().chain(&user).cloned().collect();
    if keys.is_empty() {
        return Ok((None, MemberLists::default()));
    }
    let batch = app.store.batch_get(keys).await?;
    let user: Option<User> = user.map(|key| batch.get(&key)).transpose()?.flatten();
    let user = user.filter(|user| Pair::of(customer, user).is_some());
    let list: Option<EmailMembers> = list.map(|key| batch.get(&key)).transpose()?.flatten();
    Ok((user, MemberLists::of(list)))
}
