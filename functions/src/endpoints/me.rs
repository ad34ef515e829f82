//! The signed-in user and their customer record, read live.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::app::App;
use shared::clock::Time;
use shared::domain::balance::Usage;
use shared::domain::customer::Customer;
use shared::domain::linking::Pair;
use shared::domain::user::User;
use shared::http::ApiError;
use shared::http::caller::{Session, live};
use shared::http::problem::Problem;
use shared::ids::CustomerId;
use shared::store::StoreError;
use shared::store::key::Key;
use shared::token::Claims;
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

impl MeResponse {
    /// A user and the customer that they are linked with.
    #[must_use]
    pub fn new(user: User, customer: Option<Customer>, usage: &[Usage], now: Time) -> Self {
        let user = User { customer_v2_id: customer.as_ref().map(|customer| customer.internal_id), ..user };
        let customer = customer.map(|customer| CustomerView::new(customer, usage, now));
        Self { user: user.into(), customer }
    }
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
    let Picture { user, customer, usage } = read(&app, &claims).await?;
    Ok(Json(MeResponse::new(live(&claims, user)?, customer, &usage, app.clock.now())))
}

/// What was read. Nothing of it may be answered before the user has passed.
pub(super) struct Picture {
    pub(super) user: Option<User>,
    pub(super) customer: Option<Customer>,
    pub(super) usage: Vec<Usage>,
}

/// The user of a session and their customer, in one round trip where the claim says which.
pub(super) async fn read(app: &App, claims: &Claims) -> Result<Picture, ApiError> {
    let user_key = Key::user(claims.sub);
    // The claim only says what to read early; the live user decides.
    let claimed = claims.customer_v2_id.map(Key::customer);
    let heads = app.store.batch_get(std::iter::once(user_key.clone()).chain(claimed));
    let (batch, usage) = tokio::join!(heads, usage_of(app, claims.customer_v2_id));
    let batch = batch?;
    let user: Option<User> = batch.get(&user_key)?;
    let (customer, usage): (Option<Customer>, Vec<Usage>) = match user.as_ref().and_then(|user| user.customer_v2_id) {
        None => (None, Vec::new()),
        Some(id) if claims.customer_v2_id == Some(id) => (batch.get(&Key::customer(id))?, usage?),
        Some(id) => {
            let (customer, usage) = tokio::join!(app.store.customer(id), app.store.usage(id));
            (customer?, usage?)
        }
    };
    // What only they say is theirs may be somebody else's.
    let linked = |customer: &Customer| user.as_ref().is_some_and(|user| Pair::of(customer, user).is_some());
    let customer = customer.filter(linked);
    let usage = if customer.is_some() { usage } else { Vec::new() };
    Ok(Picture { user, customer, usage })
}

async fn usage_of(app: &App, id: Option<CustomerId>) -> Result<Vec<Usage>, StoreError> {
    match id {
        Some(id) => app.store.usage(id).await,
        None => Ok(Vec::new()),
    }
}
