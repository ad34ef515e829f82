//! What a row under review lacks, on the picture that was read.

use shared::app::App;
use shared::clock::Time;
use shared::domain::customer::{Contact, Customer, Origin, Status};
use shared::domain::ledger::Reservation;
use shared::domain::linking::Pair;
use shared::domain::matching::{Match, Review};
use shared::domain::onboarding::Login;
use shared::domain::user::{Role, User};
use shared::http::ApiError;
use shared::ids::{CustomerId, UserId};
use shared::store::key::Key;
use uuid::Uuid;

use super::candidates::{find_customer, find_user};

/// A row under review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Customer(CustomerId),
    User(UserId),
}

/// What one row needs.
pub(super) enum Need {
    /// Link these two; the flag says that one of them is new.
    Link { before: Option<Box<Customer>>, customer: Box<Customer>, login: Login, created: bool },
    /// Only complete the customer itself.
    Complete { before: Box<Customer> },
    /// Only complete the user itself.
    CompleteUser { before: Box<User> },
    /// Leave it to a person.
    AmbiguousCustomer(Box<Customer>),
    /// Leave it to a person.
    AmbiguousUser(Box<User>),
    /// Nothing yet: its counterpart waits for a migration.
    Wait,
    /// Nothing: it is done, or gone, or not this run's.
    Nothing,
}

/// What one row needs, and what the records of it were given by a run that was undone.
pub(super) struct Plan {
    pub(super) need: Need,
    pub(super) of_customer: Reservation,
    pub(super) of_user: Reservation,
}

impl Need {
    /// Whether anything is to be written.
    pub(super) fn writes(&self) -> bool {
        !matches!(self, Self::Wait | Self::Nothing)
    }

    /// How many rows under `review` it is the answer for: one, or both of a pair.
    pub(super) fn rows(&self, review: Review) -> u64 {
        let under = |of: Option<Review>| u64::from(of == Some(review));
        match self {
            Self::Link { before, login, .. } => {
                let user = match login {
                    Login::Existing(user) => under(user.review),
                    Login::New(_) => 0,
                };
                user + before.as_ref().map_or(0, |customer| under(customer.review))
            }
            Self::Complete { .. }
            | Self::AmbiguousCustomer(_)
            | Self::CompleteUser { .. }
            | Self::AmbiguousUser(_)
            | Self::Wait => 1,
            Self::Nothing => 0,
        }
    }

    /// The customer and the user that it would write, if they are there.
    pub(super) fn records(&self) -> [Option<Uuid>; 2] {
        match self {
            Self::Link { before, login, .. } => {
                let user = match login {
                    Login::Existing(user) => Some(user.user_id.0),
                    Login::New(_) => None,
                };
                [before.as_ref().map(|customer| customer.internal_id.0), user]
            }
            Self::Complete { before } | Self::AmbiguousCustomer(before) => [Some(before.internal_id.0), None],
            Self::CompleteUser { before } | Self::AmbiguousUser(before) => [None, Some(before.user_id.0)],
            Self::Wait | Self::Nothing => [None, None],
        }
    }
}

impl Row {
    /// Where its record is.
    pub(super) fn key(self) -> Key {
        match self {
            Self::Customer(id) => Key::customer(id),
            Self::User(id) => Key::user(id),
        }
    }

    /// What the row needs, if it is under the review `scope`.
    pub(super) async fn plan(self, app: &App, scope: Review, now: Time) -> Result<Plan, ApiError> {
        let need = match self {
            Self::Customer(id) => plan_customer(app, id, scope).await?,
            Self::User(id) => plan_user(app, id, scope, now).await?,
        };
        let [customer, user] = need.records();
        let owners = [customer.map(|id| Key::customer(CustomerId(id))), user.map(|id| Key::user(UserId(id)))];
        let [mut of_customer, mut of_user] = app.store.reserved(owners).await?;
        // A counterpart that was made once more is there, and what it was given is its own.
        if let Some(made) = of_customer.counterpart
            && app.store.user(UserId(made)).await?.is_some()
        {
            (of_customer.counterpart, of_customer.number) = (None, None);
        }
        if let Some(made) = of_user.counterpart
            && app.store.customer(CustomerId(made)).await?.is_some()
        {
            (of_user.counterpart, of_user.crn) = (None, None);
        }
        Ok(Plan { need, of_customer, of_user })
    }
}

async fn plan_customer(app: &App, id: CustomerId, scope: Review) -> Result<Need, ApiError> {
    let found = app.store.customer(id).await?;
    let Some(before) = found.filter(|customer| customer.review == Some(scope)) else { return Ok(Need::Nothing) };
    if before.is_lead() {
        return Ok(Need::Complete { before: Box::new(before) });
    }
    let link = |before: Customer, login, created| Need::Link {
        customer: Box::new(Customer { user_id: None, ..before.clone() }),
        before: Some(Box::new(before)),
        login,
        created,
    };
    Ok(match find_user(app, &before).await? {
        Match::One(user) if is_early(user.review, scope) => Need::Wait,
        Match::One(user) if is_whole(&before, &user) => Need::Complete { before: Box::new(before) },
        Match::One(user) => link(before, Login::Existing(Box::new(user)), false),
        Match::Several => Need::AmbiguousCustomer(Box::new(before)),
        Match::None => {
            let login = new_login(app, &before).await?;
            link(before, login, true)
        }
    })
}

async fn plan_user(app: &App, id: UserId, scope: Review, now: Time) -> Result<Need, ApiError> {
    let found = app.store.user(id).await?;
    let Some(user) = found.filter(|user| user.review == Some(scope)) else { return Ok(Need::Nothing) };
    if user.role != Role::Customer {
        return Ok(Need::CompleteUser { before: Box::new(user) });
    }
    Ok(match find_customer(app, &user).await? {
        Match::One(customer) if is_early(customer.review, scope) => Need::Wait,
        Match::One(customer) if is_whole(&customer, &user) => Need::CompleteUser { before: Box::new(user) },
        Match::One(customer) => Need::Link {
            customer: Box::new(Customer { user_id: None, ..customer.clone() }),
            before: Some(Box::new(customer)),
            login: Login::Existing(Box::new(user)),
            created: false,
        },
        Match::Several => Need::AmbiguousUser(Box::new(user)),
        Match::None => Need::Link {
            before: None,
            customer: Box::new(customer_for(app, &user, now)),
            login: Login::Existing(Box::new(user)),
            created: true,
        },
    })
}

/// Whether the counterpart waits for a migration: the schedule does not go ahead of it.
fn is_early(counterpart: Option<Review>, scope: Review) -> bool {
    scope != Review::Staged && counterpart == Some(Review::Staged)
}

/// Whether the two are linked both ways, with the same number on both sides.
fn is_whole(customer: &Customer, user: &User) -> bool {
    Pair::of(customer, user).is_some()
        && user.customer_number.is_some()
        && user.customer_number == customer.customer_number
}

/// The customer of a login that has none.
fn customer_for(app: &App, user: &User, now: Time) -> Customer {
    let status = if user.enabled { Status::Active } else { Status::Inactive };
    let mut customer = Customer::new(CustomerId(now.new_id()), status, Origin::Import, now);
    let email = Some(user.email.clone()).filter(|e| !e.is_placeholder(&app.settings.placeholder_email_domain));
    customer.contact = Contact { name: user.name.clone(), email, phone: user.phone.clone(), ..Contact::default() };
    customer
}

/// The new login of a customer whom no account matches.
async fn new_login(app: &App, customer: &Customer) -> Result<Login, ApiError> {
    let domain = &app.settings.placeholder_email_domain;
    let holder = match customer.real_email(domain) {
        Some(email) => app.store.user_by_login(email).await?,
        None => None,
    };
    Ok(match holder {
        // Whoever signs in with it goes with somebody else: that much is settled.
        Some(_) => Login::placeholder(customer, domain),
        None => Login::choose(customer, None, domain),
    })
}
