//! A user changes their own details, on their login and their customer record alike.

use axum::Json;
use axum::extract::State;
use shared::app::App;
use shared::contact::Phone;
use shared::domain::customer::Customer;
use shared::domain::matching::Review;
use shared::domain::user::{Role, User};
use shared::http::caller::{Session, settled};
use shared::http::fields::{Fields, FromFields, Patch};
use shared::http::problem::Problem;
use shared::http::{ApiError, JsonBody};
use shared::store::Refused;
use shared::store::members::MemberLists;
use shared::store::retry::Backoff;
use shared::text::{Address, Area, Name};
use utoipa::ToSchema;

use super::me::{MeResponse, Picture, read};

/// What is to change; null clears.
#[derive(ToSchema)]
pub struct UpdateMeRequest {
    #[schema(value_type = Option<Name>)]
    name: Patch<Name>,
    #[schema(value_type = Option<Phone>)]
    phone: Patch<Phone>,
    /// Kept on the customer record.
    #[schema(value_type = Option<Address>)]
    address: Patch<Address>,
    /// Kept on the customer record.
    #[schema(value_type = Option<Area>)]
    area: Patch<Area>,
}

impl FromFields for UpdateMeRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (name, phone) = (fields.patch("name"), fields.patch("phone"));
        let (address, area) = (fields.patch("address"), fields.patch("area"));
        Some(Self { name: name?, phone: phone?, address: address?, area: area? })
    }
}

/// Changes the signed-in user's details.
#[utoipa::path(
    patch, path = "/auth/me", tag = "account", operation_id = "updateMe", security(("bearer" = [])),
    request_body = UpdateMeRequest,
    responses(
        (status = 200, description = "The user and their customer.", body = MeResponse),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    Session(claims): Session,
    body: Result<JsonBody<UpdateMeRequest>, ApiError>,
) -> Result<Json<MeResponse>, ApiError> {
    let now = app.clock.now();
    let change = match body {
        Ok(body) => body.request,
        Err(error) => {
            // Whoever may not come in is not told what is wrong with their body.
            settled(&claims, app.store.user(claims.sub).await?)?;
            return Err(error);
        }
    };
    let mut races = Backoff::new();
    loop {
        let Picture { user, customer, usage } = read(&app, &claims).await?;
        let user = settled(&claims, user)?;
        if claims_phone(&user, customer.as_ref(), &change.phone) {
            return Err(ApiError::field("phone", "cannot be changed before the account has its customer"));
        }
        let (mut changed_user, mut changed_customer) = (user.clone(), customer.clone());
        change.name.apply(&mut changed_user.name);
        change.phone.apply(&mut changed_user.phone);
        changed_user.updated_at = now;
        if changed_user.phone != user.phone {
            changed_user.review = changed_user.review.map(Review::reached_differently);
        }
        let mut transaction = app.store.transaction();
        transaction.save_user(Some(&user), &changed_user);
        if let Some(after) = &mut changed_customer {
            change.name.apply(&mut after.contact.name);
            change.phone.apply(&mut after.contact.phone);
            change.address.apply(&mut after.contact.address);
            change.area.apply(&mut after.contact.area);
            after.updated_at = now;
            transaction.save_customer(customer.as_ref(), after, &MemberLists::default());
        }
        match transaction.commit(&app.store).await {
            Ok(()) => return Ok(Json(MeResponse::new(changed_user, changed_customer, &usage, now))),
            Err(Refused::Conflict(_)) if races.wait().await => {}
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// Whether somebody who waits for their customer gives themselves a phone: they would be matched with
/// the customer of that phone, whoever that is. Giving one up claims nobody.
fn claims_phone(user: &User, customer: Option<&Customer>, phone: &Patch<Phone>) -> bool {
    let waits = user.role == Role::Customer && customer.is_none();
    waits && phone.value().is_some_and(|phone| user.phone.as_ref() != Some(phone))
}
