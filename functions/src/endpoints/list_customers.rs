//! Customers in order of creation, all of them or those that a search finds.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Query, State};
use serde::Serialize;
use shared::app::App;
use shared::domain::customer::{Customer, Status};
use shared::domain::user::Role;
use shared::http::ApiError;
use shared::http::caller::Admin;
use shared::http::page::{Page, PageRequest};
use shared::http::problem::Problem;
use shared::ids::CustomerId;
use shared::store::key::Key;
use shared::store::list::position;
use utoipa::ToSchema;

use crate::search::exact;
use crate::view::CustomerView;

/// Pages of the index that one request reads; what it found by then is a page, if a short one.
const MAX_INDEX_PAGES: usize = 10;

/// Rows of the index read at once when most may not match.
const INDEX_PAGE: usize = 100;

/// Names that are put in order of creation at once; where more begin alike, the list is walked.
const MAX_NAMED: usize = 500;

/// The most characters of a search.
const MAX_SEARCH_CHARS: usize = 254;

/// A customer in a list.
#[derive(Serialize, ToSchema)]
pub struct CustomerRow {
    /// The internal id, as the older front ends know it.
    #[serde(rename = "_id")]
    id: CustomerId,
    /// Always `customer`.
    role: Role,
    #[serde(flatten)]
    customer: CustomerView,
}

/// Lists customers.
#[utoipa::path(
    get, path = "/v1/customers", tag = "customers", operation_id = "listCustomers", security(("bearer" = [])),
    params(
        ("status" = Option<Status>, Query, description = "Only customers that stand there."),
        ("search" = Option<String>, Query, description = "A reference, number, id, internal id, e-mail address or phone, or an id of a legacy system, exactly; or the beginning of a name, ignoring case."),
        ("limit" = Option<u8>, Query, description = "The most rows of the page, 1 to 100; 20 unless given."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before. A page may be short before the end."),
    ),
    responses(
        (status = 200, description = "A page of customers.", body = Page<CustomerRow>),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    _caller: Admin,
    query: Query<BTreeMap<String, String>>,
) -> Result<Json<Page<CustomerRow>>, ApiError> {
    let text = |name: &str| query.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let (status, search) = (text("status"), text("search"));
    let page = PageRequest::parse(&query, &[status.unwrap_or_default(), search.unwrap_or_default()])?;
    let status = status.map(Status::parse).transpose().map_err(|message| ApiError::field("status", message))?;
    if search.is_some_and(|search| search.chars().count() > MAX_SEARCH_CHARS) {
        return Err(ApiError::field("search", format!("must be at most {MAX_SEARCH_CHARS} characters")));
    }
    let (rows, next) = match search {
        None => walk(&app, &page, status.is_some(), |customer| wanted(customer, status)).await?,
        Some(search) => find(&app, &page, status, search).await?,
    };
    let (usage, now) = (app.store.usage_of(&rows).await?, app.clock.now());
    let row = |customer: Customer| {
        let (id, role) = (customer.internal_id, Role::Customer);
        let used = usage.get(&id).map(Vec::as_slice).unwrap_or_default();
        CustomerRow { id, role, customer: CustomerView::new(customer, used, now) }
    };
    let data = rows.into_iter().map(row).collect();
    let next_cursor = next.map(|position| page.cursor(&position));
    Ok(Json(Page::new(data, next_cursor)))
}

/// The rows of a page, and the position after which the next begins.
type Rows = (Vec<Customer>, Option<String>);

fn wanted(customer: &Customer, status: Option<Status>) -> bool {
    status.is_none_or(|status| customer.status == status)
}

/// The customers that match, in the order of the list. It reads a bounded part of the list and may
/// answer fewer rows than there are.
async fn walk(
    app: &App,
    page: &PageRequest,
    sparse: bool,
    matches: impl Fn(&Customer) -> bool,
) -> Result<Rows, ApiError> {
    let read = if sparse { INDEX_PAGE } else { (page.limit + 1).min(INDEX_PAGE) };
    let read = i32::try_from(read).unwrap_or(i32::MAX);
    let (mut rows, mut last, mut after) = (Vec::new(), None, page.after.clone());
    for _ in 0..MAX_INDEX_PAGES {
        let (found, next) = app.store.list_after::<Customer>(after.as_deref(), read).await?;
        for (position, customer) in found.into_iter().filter(|(_, customer)| matches(customer)) {
            if rows.len() == page.limit {
                return Ok((rows, last));
            }
            rows.push(customer);
            last = Some(position);
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    Ok((rows, after))
}

async fn find(app: &App, page: &PageRequest, status: Option<Status>, search: &str) -> Result<Rows, ApiError> {
    let mut ids = exact(app, search).await?;
    let beginning = search.to_lowercase();
    let is_named = |customer: &Customer| {
        customer.contact.name.as_ref().is_some_and(|name| name.as_str().to_lowercase().starts_with(&beginning))
    };
    let Some(named) = app.store.customers_named(&beginning, MAX_NAMED).await? else {
        let matches = |customer: &Customer| {
            wanted(customer, status) && (is_named(customer) || ids.contains(&customer.internal_id))
        };
        return walk(app, page, true, matches).await;
    };
    // The index may be behind: whoever is found by name alone must still have it.
    let by_name: BTreeSet<CustomerId> = named.into_iter().filter(|id| !ids.contains(id)).collect();
    ids.extend(&by_name);
    let batch = app.store.batch_get(ids.iter().copied().map(Key::customer)).await?;
    let mut found = BTreeMap::new();
    for id in ids {
        let Some(customer) = batch.get::<Customer>(&Key::customer(id))? else { continue };
        let position = position(&customer).filter(|position| page.after.as_ref().is_none_or(|after| position > after));
        let stands = wanted(&customer, status) && (!by_name.contains(&id) || is_named(&customer));
        if let Some(position) = position.filter(|_| stands) {
            found.insert(position, customer);
        }
    }
    let more = found.len() > page.limit;
    let next = found.keys().nth(page.limit - 1).filter(|_| more).cloned();
    Ok((found.into_values().take(page.limit).collect(), next))
}
