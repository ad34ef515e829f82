//! Everybody who can be billed, each person once: a customer and a user who point to each other
//! are one.
//!
//! The list goes through the customers in order of creation, then through the users whom no
//! customer stood for. Links may change between two pages: whether a customer has stood for a user
//! is decided by where the customers had ended, which the cursor remembers.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Query, State};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use shared::app::App;
use shared::clock::Time;
use shared::contact::{EmailAddress, Phone};
use shared::domain::amounts::{Amounts, amounts};
use shared::domain::customer::{Contact, Customer, Status};
use shared::domain::linking::Pair;
use shared::domain::product::Product;
use shared::domain::user::{Role, User};
use shared::http::ApiError;
use shared::http::caller::Admin;
use shared::http::page::{Page, PageRequest};
use shared::http::problem::Problem;
use shared::ids::{Crn, CustomerId, CustomerNumber, UserId};
use shared::store::key::Key;
use shared::store::list::position;
use shared::store::{Batch, StoreError};
use shared::text::{Address, Area, Name};
use utoipa::ToSchema;

use crate::view::HeldProductView;

/// Pages of the index that one request reads; what it found by then is a page, if a short one.
const MAX_INDEX_PAGES: usize = 10;

/// Rows of the index read at once.
const INDEX_PAGE: i32 = 100;

/// Rows whose invoices are read at once: one after the other, a page of a hundred would take seconds.
const ROWS_AT_ONCE: usize = 16;

/// What parts a cursor; no position has it.
const PARTS: char = '|';

/// Where a person was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// They have a customer record.
    Customer,
    /// They have a login and no customer record.
    User,
}

/// Somebody who can be billed.
#[derive(Serialize, ToSchema)]
pub struct BillingRow {
    /// Where they were found.
    source: Source,
    /// The customer record.
    internal_id: Option<CustomerId>,
    /// The login; null unless the two point to each other.
    user_id: Option<UserId>,
    /// The reference.
    customer_reference: Option<Crn>,
    /// The customer number.
    #[serde(rename = "customerId")]
    customer_number: Option<CustomerNumber>,
    /// Who it is.
    name: Option<Name>,
    /// Where e-mail reaches them.
    email: Option<EmailAddress>,
    /// Their phone, in E.164 form.
    phone: Option<Phone>,
    /// Where they live.
    address: Option<Address>,
    /// Their delivery area.
    area: Option<Area>,
    /// Where they stand; a login alone is `active`, or `inactive` when it is disabled.
    status: Status,
    /// The products they hold.
    products: Vec<HeldProductView>,
    /// What they pay.
    amounts: Amounts,
}

/// Lists everybody who can be billed.
#[utoipa::path(
    get, path = "/admin/billing/customers", tag = "operations", operation_id = "listBillingCustomers",
    security(("bearer" = [])),
    params(
        ("limit" = Option<u8>, Query, description = "The most rows of the page, 1 to 100; 20 unless given."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before. A page may be short before the end."),
    ),
    responses(
        (status = 200, description = "A page of people.", body = Page<BillingRow>),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    _caller: Admin,
    query: Query<BTreeMap<String, String>>,
) -> Result<Json<Page<BillingRow>>, ApiError> {
    let page = PageRequest::parse(&query, &["billing"])?;
    let at = match &page.after {
        None => Some(Place::Customers { after: None }),
        Some(cursor) => Place::parse(cursor),
    };
    let (people, next) = walk(&app, page.limit, at.ok_or(ApiError::InvalidCursor)?).await?;
    let (catalogue, now) = (app.store.products().await?, app.clock.now());
    let rows: Vec<_> = people.into_iter().map(|person| person.row(&app, &catalogue, now)).collect();
    let data: Vec<BillingRow> = stream::iter(rows).buffered(ROWS_AT_ONCE).try_collect().await?;
    let next_cursor = next.map(|place| page.cursor(&place.text()));
    Ok(Json(Page::new(data, next_cursor)))
}

/// Somebody who is on the list.
enum Person {
    /// A customer, and the user who points back.
    Customer(Box<Customer>, Option<Box<User>>),
    /// A user for whom no customer stands.
    User(Box<User>),
}

/// How far the list has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Among the customers, after this position.
    Customers { after: Option<String> },
    /// Among the users, after this position; the customers had ended at the other.
    Users { customers_end: String, after: Option<String> },
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(PARTS).collect();
        match parts.as_slice() {
            ["customers", after] => Some(Self::Customers { after: position_of(after) }),
            ["users", end, after] => Some(Self::Users { customers_end: (*end).to_owned(), after: position_of(after) }),
            _ => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Customers { after } => format!("customers{PARTS}{}", after.as_deref().unwrap_or_default()),
            Self::Users { customers_end, after } => {
                format!("users{PARTS}{customers_end}{PARTS}{}", after.as_deref().unwrap_or_default())
            }
        }
    }
}

/// A position of a cursor, where there is one.
fn position_of(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Up to `limit` people after `place`, and where the next page begins. It reads a bounded part of
/// the list and may answer fewer people than there are.
async fn walk(app: &App, limit: usize, mut place: Place) -> Result<(Vec<Person>, Option<Place>), ApiError> {
    let mut people = Vec::new();
    for _ in 0..MAX_INDEX_PAGES {
        let (found, next) = match &place {
            Place::Customers { after } => customers(app, limit, after.as_deref()).await?,
            Place::Users { customers_end, after } => users(app, customers_end, after.as_deref()).await?,
        };
        for (at, person) in found {
            if people.len() == limit && person.is_some() {
                return Ok((people, Some(place)));
            }
            people.extend(person);
            place = at;
        }
        match next {
            Some(next) => place = next,
            None => return Ok((people, None)),
        }
    }
    Ok((people, Some(place)))
}

/// A page of the index: each row's own place, with the person it is, if it is one; and where the
/// next page begins.
type Found = (Vec<(Place, Option<Person>)>, Option<Place>);

/// Customers that are no leads, with those who point back to them.
async fn customers(app: &App, limit: usize, after: Option<&str>) -> Result<Found, ApiError> {
    let read = i32::try_from(limit + 1).unwrap_or(INDEX_PAGE).min(INDEX_PAGE);
    let (page, next) = app.store.list_after::<Customer>(after, read).await?;
    let pointed = page.iter().filter_map(|(_, customer)| customer.user_id).map(Key::user);
    let batch = app.store.batch_get(pointed).await?;
    let end = page.last().map(|(position, _)| position.as_str()).or(after).unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for (position, customer) in page {
        let person = if customer.is_lead() {
            None
        } else {
            let user = match customer.user_id {
                Some(id) => batch.get::<User>(&Key::user(id))?.filter(|user| Pair::of(&customer, user).is_some()),
                None => None,
            };
            Some(Person::Customer(Box::new(customer), user.map(Box::new)))
        };
        found.push((Place::Customers { after: Some(position) }, person));
    }
    let next = match next {
        Some(position) => Place::Customers { after: Some(position) },
        None => Place::Users { customers_end: end, after: None },
    };
    Ok((found, Some(next)))
}

/// Users of role customer for whom no customer stood before the customers had ended at
/// `customers_end`. One who has got a customer since is shown with it.
async fn users(app: &App, customers_end: &str, after: Option<&str>) -> Result<Found, ApiError> {
    let (page, next) = app.store.list_after::<User>(after, INDEX_PAGE).await?;
    let pointed = page.iter().filter_map(|(_, user)| user.customer_v2_id).map(Key::customer);
    let batch = app.store.batch_get(pointed).await?;
    let place = |position: String| Place::Users { customers_end: customers_end.to_owned(), after: Some(position) };
    let mut found = Vec::new();
    for (position, user) in page {
        let person = if user.role == Role::Customer { person_of(user, customers_end, &batch)? } else { None };
        found.push((place(position), person));
    }
    Ok((found, next.map(place)))
}

fn person_of(user: User, customers_end: &str, batch: &Batch) -> Result<Option<Person>, StoreError> {
    let customer = match user.customer_v2_id {
        Some(id) => batch.get::<Customer>(&Key::customer(id))?,
        None => None,
    };
    Ok(match customer.filter(|customer| Pair::of(customer, &user).is_some()) {
        None => Some(Person::User(Box::new(user))),
        Some(customer) if position(&customer).is_some_and(|position| position.as_str() > customers_end) => {
            Some(Person::Customer(Box::new(customer), Some(Box::new(user))))
        }
        Some(_) => None,
    })
}

impl Person {
    async fn row(self, app: &App, catalogue: &[Product], now: Time) -> Result<BillingRow, StoreError> {
        let domain = &app.settings.placeholder_email_domain;
        let real = |email: EmailAddress| Some(email).filter(|email| !email.is_placeholder(domain));
        let (customer, user) = match self {
            Self::Customer(customer, user) => (*customer, user),
            Self::User(user) => {
                let user = *user;
                return Ok(BillingRow {
                    source: Source::User,
                    internal_id: None,
                    user_id: Some(user.user_id),
                    customer_reference: None,
                    customer_number: user.customer_number,
                    name: user.name,
                    email: real(user.email),
                    phone: user.phone,
                    address: None,
                    area: None,
                    status: if user.enabled { Status::Active } else { Status::Inactive },
                    products: Vec::new(),
                    amounts: Amounts::default(),
                });
            }
        };
        let invoices = app.store.invoices(customer.internal_id).await?;
        let amounts = amounts(&customer.products, catalogue, &invoices, now);
        let mut contact = customer.contact;
        if let Some(user) = &user {
            let login = real(user.email.clone());
            contact.fill_blanks(&Contact {
                name: user.name.clone(),
                email: login,
                phone: user.phone.clone(),
                ..Contact::default()
            });
        }
        Ok(BillingRow {
            source: Source::Customer,
            internal_id: Some(customer.internal_id),
            user_id: user.as_ref().map(|user| user.user_id),
            customer_reference: customer.customer_reference,
            customer_number: user.and_then(|user| user.customer_number),
            name: contact.name,
            email: contact.email.and_then(real),
            phone: contact.phone,
            address: contact.address,
            area: contact.area,
            status: customer.status,
            products: customer.products.into_iter().map(|held| HeldProductView::new(held, now)).collect(),
            amounts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_cursor() {
        let position = Some("2026-11-20T12:00:00Z#0190a1c2-0000-7000-8000-000000000000".to_owned());
        for place in [
            Place::Customers { after: None },
            Place::Customers { after: position.clone() },
            Place::Users { customers_end: String::new(), after: None },
            Place::Users { customers_end: position.clone().unwrap(), after: position },
        ] {
            assert_eq!(Place::parse(&place.text()), Some(place));
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for junk in ["", "customers", "users|a", "a|b", "users|a|b|c"] {
            assert_eq!(Place::parse(junk), None, "{junk}");
        }
    }
}
