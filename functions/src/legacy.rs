//! Customers by an id that a legacy system gave them, or gave their login.

use std::collections::BTreeSet;

use shared::app::App;
use shared::domain::legacy::Source;
use shared::domain::user::User;
use shared::ids::{CustomerId, UserId};
use shared::store::StoreError;
use shared::store::key::Key;
use shared::store::records::Guard;

/// Whom a legacy system knew by `id`: one round trip, and another if `id` is one of a login, or two if
/// it is its second.
pub(crate) async fn customers(app: &App, id: &str) -> Result<BTreeSet<CustomerId>, StoreError> {
    let own = [Source::CustomersV2, Source::Clients].map(|source| CustomerId(source.id_of(id)));
    let aliases = [Source::CustomersV2, Source::Clients].map(|source| Key::legacy_id(source, id));
    let (login, login_alias) = (Key::user(UserId(Source::Users.id_of(id))), Key::legacy_id(Source::Users, id));
    let keys = own.map(Key::customer).into_iter().chain(aliases.clone());
    let seen = app.store.batch_get(keys.chain([login.clone(), login_alias.clone()])).await?;
    let mut found: BTreeSet<CustomerId> = own.into_iter().filter(|id| seen.has(&Key::customer(*id))).collect();
    for alias in &aliases {
        found.extend(seen.get::<Guard>(alias)?.map(|alias| CustomerId(alias.owner)));
    }
    let second: Option<Guard> = seen.get(&login_alias)?;
    let user: Option<User> = match second {
        Some(alias) => app.store.user(UserId(alias.owner)).await?,
        None => seen.get(&login)?,
    };
    if let Some(user) = user {
        found.extend(app.store.customer_of(&user).await?.map(|customer| customer.internal_id));
    }
    Ok(found)
}
