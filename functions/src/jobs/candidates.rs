//! Whom a row belongs with. What a legacy system said comes first, then everybody of the same phone
//! number, then of the same e-mail address, and in each case it has to hold from both sides.
//!
//! What must stay true: the answer does not depend on which row is looked at first, so that two
//! workers, or one that starts anew, come to the same end. That is why a match is asked for from the
//! other side, too, and why a row that somebody points at is nobody else's.

use shared::app::App;
use shared::contact::{EmailAddress, Phone};
use shared::domain::customer::Customer;
use shared::domain::linking::Pair;
use shared::domain::matching::{Candidates, Match};
use shared::domain::user::{Role, User};
use shared::http::ApiError;
use shared::ids::{CustomerId, UserId};
use shared::store::key::Key;
use shared::store::phone::People;
use shared::store::pointer::From;

/// The login of `customer`.
pub(super) async fn find_user(app: &App, customer: &Customer) -> Result<Match<User>, ApiError> {
    let mut named = named_users(app, customer).await?;
    if let Some(user) = named.iter().find(|user| are_linked(customer, user)) {
        return Ok(Match::One(user.clone()));
    }
    match (named.pop(), named.is_empty()) {
        (None, _) => {}
        (Some(user), true) if user.role == Role::Customer => {
            let back = named_customers(app, &user).await?;
            let mutual = back.iter().all(|one| one.internal_id == customer.internal_id) && !customer.is_lead();
            return Ok(if mutual { Match::One(user) } else { Match::Several });
        }
        _ => return Ok(Match::Several),
    }
    let user = match user_by_contact(app, customer).await? {
        Match::One(user) => user,
        other => return Ok(other),
    };
    Ok(match customer_by_contact(app, &user).await? {
        Match::One(back) if back.internal_id == customer.internal_id => Match::One(user),
        // They go with somebody else, by what weighs more.
        Match::One(_) | Match::None => Match::None,
        Match::Several => Match::Several,
    })
}

/// The customer of `user`, who is one.
pub(super) async fn find_customer(app: &App, user: &User) -> Result<Match<Customer>, ApiError> {
    let mut named = named_customers(app, user).await?;
    if let Some(customer) = named.iter().find(|customer| are_linked(customer, user)) {
        return Ok(Match::One(customer.clone()));
    }
    match (named.pop(), named.is_empty()) {
        (None, _) => {}
        (Some(customer), true) if !customer.is_lead() => {
            let back = named_users(app, &customer).await?;
            let mutual = back.iter().all(|one| one.user_id == user.user_id);
            return Ok(if mutual { Match::One(customer) } else { Match::Several });
        }
        _ => return Ok(Match::Several),
    }
    let customer = match customer_by_contact(app, user).await? {
        Match::One(customer) => customer,
        other => return Ok(other),
    };
    Ok(match user_by_contact(app, &customer).await? {
        Match::One(back) if back.user_id == user.user_id => Match::One(customer),
        Match::One(_) | Match::None => Match::None,
        Match::Several => Match::Several,
    })
}

/// Whether both name each other. Who else names one of them is in the wrong.
fn are_linked(customer: &Customer, user: &User) -> bool {
    Pair::of(customer, user).is_some()
}

/// The users that `customer` points at, or that point at it. A pointer to nobody is none.
async fn named_users(app: &App, customer: &Customer) -> Result<Vec<User>, ApiError> {
    let id = customer.internal_id;
    let claims = app.store.pointers_at(id.0).await?.into_iter().filter_map(|from| match from {
        From::User(user) => Some(user),
        From::Customer(_) => None,
    });
    let ids: Vec<UserId> = claims.chain(customer.user_id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let batch = app.store.batch_get(ids.iter().copied().map(Key::user)).await?;
    let (mut users, mut seen) = (Vec::<User>::new(), Vec::new());
    for user_id in ids {
        let Some(user) = batch.get::<User>(&Key::user(user_id))? else { continue };
        let claims = user.role == Role::Customer && user.customer_v2_id == Some(id);
        if (claims || customer.user_id == Some(user_id)) && !seen.contains(&user_id) {
            seen.push(user_id);
            users.push(user);
        }
    }
    Ok(users)
}

/// The customers that `user` points at, or that point at them. A pointer to nobody is none.
async fn named_customers(app: &App, user: &User) -> Result<Vec<Customer>, ApiError> {
    let id = user.user_id;
    let claims = app.store.pointers_at(id.0).await?.into_iter().filter_map(|from| match from {
        From::Customer(customer) => Some(customer),
        From::User(_) => None,
    });
    let ids: Vec<CustomerId> = claims.chain(user.customer_v2_id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let batch = app.store.batch_get(ids.iter().copied().map(Key::customer)).await?;
    let (mut customers, mut seen) = (Vec::<Customer>::new(), Vec::new());
    for customer_id in ids {
        let Some(customer) = batch.get::<Customer>(&Key::customer(customer_id))? else { continue };
        let claims = customer.user_id == Some(id);
        if (claims || user.customer_v2_id == Some(customer_id)) && !seen.contains(&customer_id) {
            seen.push(customer_id);
            customers.push(customer);
        }
    }
    Ok(customers)
}

async fn user_by_contact(app: &App, customer: &Customer) -> Result<Match<User>, ApiError> {
    let found = of_phone(app, customer.contact.phone.as_ref()).await?.user();
    if found != Match::None {
        return Ok(found);
    }
    let email = customer.real_email(&app.settings.placeholder_email_domain);
    Ok(of_email(app, email).await?.user())
}

async fn customer_by_contact(app: &App, user: &User) -> Result<Match<Customer>, ApiError> {
    let found = of_phone(app, user.phone.as_ref()).await?.customer();
    if found != Match::None {
        return Ok(found);
    }
    let email = Some(&user.email).filter(|email| !email.is_placeholder(&app.settings.placeholder_email_domain));
    Ok(of_email(app, email).await?.customer())
}

/// Those who could be meant by a phone number.
async fn of_phone(app: &App, phone: Option<&Phone>) -> Result<Candidates<User, Customer>, ApiError> {
    free(app, by_phone(app, phone).await?).await
}

/// Those who could be meant by an e-mail address. Whoever goes with somebody by their phone number
/// could not, whether the two are linked already or have yet to be: else it would matter who is
/// looked at first.
async fn of_email(app: &App, email: Option<&EmailAddress>) -> Result<Candidates<User, Customer>, ApiError> {
    let shared = free(app, by_email(app, email).await?).await?;
    let mut left = Candidates { users: Vec::new(), customers: Vec::new() };
    for user in shared.users {
        if !matches!(of_phone(app, user.phone.as_ref()).await?.customer(), Match::One(_)) {
            left.users.push(user);
        }
    }
    for customer in shared.customers {
        if !matches!(of_phone(app, customer.contact.phone.as_ref()).await?.user(), Match::One(_)) {
            left.customers.push(customer);
        }
    }
    Ok(left)
}

async fn by_phone(app: &App, phone: Option<&Phone>) -> Result<People, ApiError> {
    match phone {
        Some(phone) => Ok(app.store.people_by_phone(phone).await?),
        None => Ok(People::default()),
    }
}

async fn by_email(app: &App, email: Option<&EmailAddress>) -> Result<People, ApiError> {
    match email {
        Some(email) => Ok(app.store.people_by_email(email).await?),
        None => Ok(People::default()),
    }
}

/// Those of `people` who point at nobody and at whom nobody points. Nobody is asked about where one
/// side is empty: there is nothing to match.
async fn free(app: &App, people: People) -> Result<Candidates<User, Customer>, ApiError> {
    let users: Vec<User> = people.users.into_iter().filter(|user| user.role == Role::Customer).collect();
    let customers: Vec<Customer> = people.customers.into_iter().filter(|customer| !customer.is_lead()).collect();
    let mut free = Candidates { users: Vec::new(), customers: Vec::new() };
    if users.is_empty() || customers.is_empty() {
        return Ok(free);
    }
    for user in users {
        if named_customers(app, &user).await?.is_empty() {
            free.users.push(user);
        }
    }
    for customer in customers {
        if named_users(app, &customer).await?.is_empty() {
            free.customers.push(customer);
        }
    }
    Ok(free)
}
