//! The signed-in user and their customer record, read live.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::app::App;
use shared::domain::balance::Usage;
use shared::http::ApiError;
use shared::http::caller::{Session, live};
use shared::http::problem::Problem;
use shared::ids::CustomerId;
use shared::store::StoreError;
use shared::store::key::Key;
use utoipa::ToSchema;

use crate::view::{CustomerView, UserView};

/// A user and their customer.
#[derive(Serialize, ToSchema)]
pub struct MeResponse {
    /// The user.
    #[serde(flatten)]
    user: UserView,
    /// The linked customer.
    customer: Option<CustomerView>,
}

/// Answers who is signed in.
#[utoipa::path(
    get, path = "/auth/me", tag = "account", operation_id = "me", security(("bearer" = [])),
    responses(
        (status = 200, description = "The user and their customer.", body = MeResponse),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(State(app): State<App>, Session(claims): Session) -> Result<Json<MeResponse>, ApiError> {
    let user_key = Key::user(claims.sub);
    // The claim only says what to read early; the live user decides.
    let claimed = claims.customer_v2_id.map(Key::customer);
    let heads = app.store.batch_get(std::iter::once(user_key.clone()).chain(claimed));
    let (batch, usage) = tokio::join!(heads, usage_of(&app, claims.customer_v2_id));
    let batch = batch?;
    let user = live(&claims, batch.get(&user_key)?)?;
    let (customer, usage) = match user.customer_v2_id {
        None => (None, Vec::new()),
        Some(id) if claims.customer_v2_id == Some(id) => (batch.get(&Key::customer(id))?, usage?),
        Some(id) => {
            let (customer, usage) = tokio::join!(app.store.customer(id), app.store.usage(id));
            (customer?, usage?)
        }
    };
    let now = app.clock.now();
    let customer = customer.map(|customer| CustomerView::new(customer, &usage, now));
    Ok(Json(MeResponse { user: user.into(), customer }))
}

async fn usage_of(app: &App, id: Option<CustomerId>) -> Result<Vec<Usage>, StoreError> {
    match id {
        Some(id) => app.store.usage(id).await,
        None => Ok(Vec::new()),
    }
}
