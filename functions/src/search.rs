//! Whom a text means: somebody who is named exactly.

use std::collections::BTreeSet;

use shared::app::App;
use shared::contact::{EmailAddress, Phone};
use shared::domain::customer::Customer;
use shared::domain::user::{Role, User};
use shared::http::ApiError;
use shared::http::problem::Candidate;
use shared::ids::{CustomerId, Identifier};
use shared::store::StoreError;
use shared::store::key::Key;
use shared::store::members::EmailMembers;
use shared::text::Name;

use crate::legacy;

/// The most who are looked at of those with one name, and the most who are told of.
const MAX_CANDIDATES: usize = 20;

/// Whom `search` names exactly, read strongly consistently.
pub(crate) async fn exact(app: &App, search: &str) -> Result<BTreeSet<CustomerId>, StoreError> {
    let mut ids = BTreeSet::new();
    // References and numbers are read aloud and typed: their case does not matter.
    let issued = Identifier::parse(&search.to_uppercase(), &app.settings);
    let issued = issued.filter(|identifier| !matches!(identifier, Identifier::External(_)));
    let given = Identifier::parse(search, &app.settings).filter(|given| Some(given) != issued.as_ref());
    for identifier in issued.iter().chain(&given) {
        ids.extend(app.store.find_customer(identifier).await?.map(|customer| customer.internal_id));
    }
    // What a legacy system called somebody may look like what is issued here.
    if issued.is_none() || ids.is_empty() {
        ids.extend(legacy::customers(app, search).await?);
    }
    if let Ok(email) = EmailAddress::parse(search) {
        let list: Option<EmailMembers> = app.store.get(&Key::email_members(&email)).await?;
        ids.extend(list.into_iter().flat_map(|list| list.members));
    }
    if let Ok(phone) = Phone::parse(search, app.settings.phone_default_country) {
        let people = app.store.people_by_phone(&phone).await?;
        ids.extend(people.customers.iter().map(|customer| customer.internal_id));
    }
    Ok(ids)
}

/// The one customer that `text` means: by an identifier that names them exactly, else by their full
/// name, ignoring case.
pub(crate) async fn one_customer(app: &App, text: &str) -> Result<Customer, ApiError> {
    let ids = exact(app, text).await?;
    let batch = app.store.batch_get(ids.iter().copied().map(Key::customer)).await?;
    let named = ids.into_iter().filter_map(|id| batch.get(&Key::customer(id)).transpose());
    let mut found: Vec<Customer> = named.collect::<Result<_, _>>()?;
    if found.is_empty()
        && let Ok(name) = Name::parse(text)
    {
        found = app.store.customers_of_name(&name, MAX_CANDIDATES).await?;
    }
    found.sort_by_key(|customer| customer.internal_id);
    one("customer", found)?.ok_or(ApiError::CustomerNotFound)
}

/// The one delivery boy that `text` means: by user id, e-mail address or phone, else by their full
/// name, ignoring case.
pub(crate) async fn one_delivery_boy(app: &App, text: &str) -> Result<User, ApiError> {
    let mut found = users(app, text).await?;
    if found.is_empty()
        && let Ok(name) = Name::parse(text)
    {
        found = app.store.staff_of_name(&name, MAX_CANDIDATES).await?;
        if found.is_empty() && has_login(&app.store.customers_of_name(&name, MAX_CANDIDATES).await?) {
            return Err(ApiError::NotADeliveryBoy);
        }
    }
    let nobody = found.is_empty();
    found.retain(|user| user.role == Role::DeliveryBoy);
    found.sort_by_key(|user| user.user_id);
    // Whoever shares a phone with a delivery boy is not meant.
    let refusal = if nobody { ApiError::UserNotFound } else { ApiError::NotADeliveryBoy };
    one("delivery_boy", found)?.ok_or(refusal)
}

/// The users that `text` names exactly, of whatever role.
async fn users(app: &App, text: &str) -> Result<Vec<User>, StoreError> {
    if let Ok(id) = text.parse() {
        return Ok(app.store.user(id).await?.into_iter().collect());
    }
    if let Ok(email) = EmailAddress::parse(text) {
        return Ok(app.store.user_by_login(&email).await?.into_iter().collect());
    }
    match Phone::parse(text, app.settings.phone_default_country) {
        Ok(phone) => Ok(app.store.people_by_phone(&phone).await?.users),
        Err(_) => Ok(Vec::new()),
    }
}

/// Whether a name that nobody who works here has is that of a customer who signs in.
fn has_login(customers: &[Customer]) -> bool {
    customers.iter().any(|customer| customer.user_id.is_some())
}

/// The only one of those whom `field` fits; several are never guessed.
fn one<T: Into<Candidate>>(field: &'static str, mut found: Vec<T>) -> Result<Option<T>, ApiError> {
    if found.len() > 1 {
        let candidates = found.into_iter().take(MAX_CANDIDATES).map(Into::into).collect();
        return Err(ApiError::Ambiguous { field, candidates });
    }
    Ok(found.pop())
}
