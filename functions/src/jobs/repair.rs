//! One row under review: what it lacks, and the one transaction that gives it that.

use shared::app::App;
use shared::clock::Time;
use shared::domain::customer::{Contact, Customer, Origin, Status};
use shared::domain::matching::{Match, Review};
use shared::domain::onboarding::{Frozen, Linked, Login, Terms, link};
use shared::domain::user::{Role, User};
use shared::http::ApiError;
use shared::ids::{CustomerId, UserId};
use shared::store::counter::{Drawn, Want};
use shared::store::key::Key;
use shared::store::members::{EmailMembers, MemberLists};
use shared::store::retry::Backoff;
use shared::store::{Refused, Transaction};

use super::candidates::{find_customer, find_user};

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Created,
    Linked,
    Skipped,
    Ambiguous,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Repair {
    pub(super) outcome: Outcome,
    pub(super) numbered: bool,
    pub(super) crn: bool,
}

impl Repair {
    const fn of(outcome: Outcome) -> Self {
        Self { outcome, numbered: false, crn: false }
    }
}

/// A row under review.
#[derive(Clone, Copy)]
pub(super) enum Row {
    Customer(CustomerId),
    User(UserId),
}

/// What one row needs, on the picture that was read.
enum Plan {
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
    /// Nothing: it is done, or gone.
    Nothing,
}

impl Row {
    pub(super) async fn repair(self, app: &App) -> Result<Repair, ApiError> {
        let now = app.clock.now();
        let (new_user, new_customer) = (UserId(now.new_id()), CustomerId(now.new_id()));
        let mut drawn = Drawn::default();
        let mut races = Backoff::new();
        loop {
            let plan = match self {
                Self::Customer(id) => plan_customer(app, id).await?,
                Self::User(id) => plan_user(app, id, new_customer, now).await?,
            };
            let mut transaction = app.store.transaction();
            let repair = write(app, plan, &mut transaction, &mut drawn, new_user, now).await?;
            let Some(repair) = repair else { return Ok(Repair::of(Outcome::Skipped)) };
            match transaction.commit(&app.store).await {
                Ok(()) => return Ok(repair),
                Err(Refused::Store(error)) => return Err(error.into()),
                Err(Refused::Conflict(conflict)) => drawn.discard(conflict),
            }
            if !races.wait().await {
                return Err(ApiError::Unavailable("the row lost every race it ran".into()));
            }
        }
    }
}

async fn write(
    app: &App,
    plan: Plan,
    transaction: &mut Transaction,
    drawn: &mut Drawn,
    new_user: UserId,
    now: Time,
) -> Result<Option<Repair>, ApiError> {
    let (crn_needed, number_needed) = match &plan {
        Plan::Link { customer, login, .. } => (customer.customer_reference.is_none(), login.needs_number()),
        Plan::Complete { before } | Plan::AmbiguousCustomer(before) => (before.customer_reference.is_none(), false),
        Plan::CompleteUser { before } | Plan::AmbiguousUser(before) => {
            (false, before.role == Role::Customer && before.customer_number.is_none())
        }
        Plan::Nothing => (false, false),
    };
    let want = Want { crn: crn_needed, number: number_needed };
    drawn.draw(&app.store, &app.settings, now, want).await?;
    let repair = |outcome| Some(Repair { outcome, numbered: number_needed, crn: crn_needed });
    Ok(match plan {
        Plan::Nothing => None,
        Plan::Link { before, customer, login, created } => {
            let (crn, number) = (drawn.crn.clone(), drawn.number.clone());
            let frozen = Frozen { user_id: new_user, crn, number, now };
            let linked = link(*customer, login, &frozen, Terms::Found { invite: app.settings.backfill_invites });
            let lists = new_member_list(app, before.as_deref(), &linked).await?;
            transaction.save_linked(before.as_deref(), &linked, &lists);
            repair(if created { Outcome::Created } else { Outcome::Linked })
        }
        Plan::Complete { before } => {
            let mut after = Customer { review: None, updated_at: now, ..(*before).clone() };
            after.customer_reference = after.customer_reference.or_else(|| drawn.crn.clone());
            transaction.save_customer(Some(&before), &after, &MemberLists::default());
            repair(Outcome::Skipped)
        }
        Plan::CompleteUser { before } => {
            let mut after = User { review: None, updated_at: now, ..(*before).clone() };
            after.customer_number = after.customer_number.or_else(|| drawn.number.clone());
            transaction.save_user(Some(&before), &after);
            repair(Outcome::Skipped)
        }
        Plan::AmbiguousCustomer(before) => {
            let mut after = Customer { review: Some(Review::Ambiguous), ..(*before).clone() };
            after.customer_reference = after.customer_reference.or_else(|| drawn.crn.clone());
            transaction.save_customer(Some(&before), &after, &MemberLists::default());
            repair(Outcome::Ambiguous)
        }
        Plan::AmbiguousUser(before) => {
            let mut after = User { review: Some(Review::Ambiguous), ..(*before).clone() };
            after.customer_number = after.customer_number.or_else(|| drawn.number.clone());
            transaction.save_user(Some(&before), &after);
            repair(Outcome::Ambiguous)
        }
    })
}

/// The member list that a new customer joins.
async fn new_member_list(app: &App, before: Option<&Customer>, linked: &Linked) -> Result<MemberLists, ApiError> {
    match (before, &linked.customer.contact.email) {
        (None, Some(email)) => {
            let list: Option<EmailMembers> = app.store.get(&Key::email_members(email)).await?;
            Ok(MemberLists::of(list))
        }
        _ => Ok(MemberLists::default()),
    }
}

async fn plan_customer(app: &App, id: CustomerId) -> Result<Plan, ApiError> {
    let found = app.store.customer(id).await?;
    let Some(before) = found.filter(|customer| customer.review == Some(Review::Due)) else { return Ok(Plan::Nothing) };
    if before.is_lead() {
        return Ok(Plan::Complete { before: Box::new(before) });
    }
    let pointed = match before.user_id {
        Some(user) => app.store.user(user).await?,
        None => None,
    };
    let link = |before: Customer, login, created| Plan::Link {
        customer: Box::new(Customer { user_id: None, ..before.clone() }),
        before: Some(Box::new(before)),
        login,
        created,
    };
    match pointed {
        Some(user) if user.customer_v2_id == Some(id) && agree(&before, &user) => {
            Ok(Plan::Complete { before: Box::new(before) })
        }
        // A half-link, or a mutual one that lacks its number.
        Some(user) if user.role == Role::Customer && user.customer_v2_id.is_none_or(|back| back == id) => {
            Ok(link(before, Login::Existing(Box::new(user)), false))
        }
        Some(_) => Ok(Plan::AmbiguousCustomer(Box::new(before))),
        // No login, or one that does not exist any more.
        None => Ok(match find_user(app, &before).await? {
            Match::One(user) => link(before, Login::Existing(Box::new(user)), false),
            Match::Several => Plan::AmbiguousCustomer(Box::new(before)),
            Match::None => {
                let login = new_login(app, &before).await?;
                link(before, login, true)
            }
        }),
    }
}

async fn plan_user(app: &App, id: UserId, new_customer: CustomerId, now: Time) -> Result<Plan, ApiError> {
    let found = app.store.user(id).await?;
    let Some(user) = found.filter(|user| user.review == Some(Review::Due)) else { return Ok(Plan::Nothing) };
    if user.role != Role::Customer {
        return Ok(Plan::CompleteUser { before: Box::new(user) });
    }
    let pointed = match user.customer_v2_id {
        Some(customer) => app.store.customer(customer).await?,
        None => None,
    };
    let link = |before: Customer, user| Plan::Link {
        customer: Box::new(before.clone()),
        before: Some(Box::new(before)),
        login: Login::Existing(Box::new(user)),
        created: false,
    };
    match pointed {
        Some(customer) if customer.user_id == Some(id) && agree(&customer, &user) => {
            Ok(Plan::CompleteUser { before: Box::new(user) })
        }
        // A half-link, or a mutual one that lacks its number.
        Some(customer) if customer.user_id.is_none_or(|back| back == id) && !customer.is_lead() => {
            Ok(link(customer, user))
        }
        Some(_) => Ok(Plan::AmbiguousUser(Box::new(user))),
        None => Ok(match find_customer(app, &user).await? {
            Match::One(customer) => link(customer, user),
            Match::Several => Plan::AmbiguousUser(Box::new(user)),
            Match::None => Plan::Link {
                before: None,
                customer: Box::new(customer_for(app, &user, new_customer, now)),
                login: Login::Existing(Box::new(user)),
                created: true,
            },
        }),
    }
}

/// Whether a linked pair has a number, and the same on both sides.
fn agree(customer: &Customer, user: &User) -> bool {
    user.customer_number.is_some() && user.customer_number == customer.customer_number
}

/// The customer of a login that has none.
fn customer_for(app: &App, user: &User, id: CustomerId, now: Time) -> Customer {
    let status = if user.enabled { Status::Active } else { Status::Inactive };
    let mut customer = Customer::new(id, status, Origin::Import, now);
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
    Ok(Login::choose(customer, holder, domain))
}
