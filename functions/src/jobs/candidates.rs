//! Whom a row could belong with: everybody of the same phone, then of the same e-mail address,
//! whom nobody holds. A pointer to a record that does not exist holds nobody.

use shared::app::App;
use shared::contact::{EmailAddress, Phone};
use shared::domain::customer::Customer;
use shared::domain::matching::{Candidates, Match};
use shared::domain::user::{Role, User};
use shared::http::ApiError;
use shared::store::key::Key;
use shared::store::members::EmailMembers;
use shared::store::phone::People;

/// The login of `customer`, who has none.
pub(super) async fn find_user(app: &App, customer: &Customer) -> Result<Match<User>, ApiError> {
    let email = customer.real_email(&app.settings.placeholder_email_domain);
    for people in [by_phone(app, customer.contact.phone.as_ref()).await?, by_email(app, email).await?] {
        let own = people.users.iter().find(|user| user.customer_v2_id == Some(customer.internal_id));
        if let Some(user) = own {
            return Ok(Match::One(user.clone()));
        }
        let found = unheld(app, people).await?.user();
        if found != Match::None {
            return Ok(found);
        }
    }
    Ok(Match::None)
}

/// The customer of `user`, who has none.
pub(super) async fn find_customer(app: &App, user: &User) -> Result<Match<Customer>, ApiError> {
    let email = Some(&user.email).filter(|email| !email.is_placeholder(&app.settings.placeholder_email_domain));
    for people in [by_phone(app, user.phone.as_ref()).await?, by_email(app, email).await?] {
        let own = people.customers.iter().find(|customer| customer.user_id == Some(user.user_id));
        if let Some(customer) = own {
            return Ok(Match::One(customer.clone()));
        }
        let found = unheld(app, people).await?.customer();
        if found != Match::None {
            return Ok(found);
        }
    }
    Ok(Match::None)
}

async fn by_phone(app: &App, phone: Option<&Phone>) -> Result<People, ApiError> {
    match phone {
        Some(phone) => Ok(app.store.people_by_phone(phone).await?),
        None => Ok(People::default()),
    }
}

async fn by_email(app: &App, email: Option<&EmailAddress>) -> Result<People, ApiError> {
    let Some(email) = email else { return Ok(People::default()) };
    let users = app.store.user_by_login(email).await?.into_iter().collect();
    let customers = match app.store.get::<EmailMembers>(&Key::email_members(email)).await? {
        Some(list) => app.store.members(&list).await?,
        None => Vec::new(),
    };
    Ok(People { users, customers })
}

/// Those of `people` whom nobody holds.
async fn unheld(app: &App, mut people: People) -> Result<Candidates<User, Customer>, ApiError> {
    people.users.retain(|user| user.role == Role::Customer);
    people.customers.retain(|customer| !customer.is_lead());
    let customers = people.users.iter().filter_map(|user| user.customer_v2_id).map(Key::customer);
    let users = people.customers.iter().filter_map(|customer| customer.user_id).map(Key::user);
    let pointed: Vec<Key> = customers.chain(users).collect();
    if !pointed.is_empty() {
        let batch = app.store.batch_get(pointed).await?;
        people.users.retain(|user| user.customer_v2_id.is_none_or(|id| !batch.has(&Key::customer(id))));
        people.customers.retain(|customer| customer.user_id.is_none_or(|id| !batch.has(&Key::user(id))));
    }
    Ok(Candidates { users: people.users, customers: people.customers })
}
