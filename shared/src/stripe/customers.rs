//! Stripe customers: made once, found again by our own id in their metadata.

use serde_json::Value;

use super::client::{Form, StripeClient};
use super::error::StripeError;
use crate::domain::intent::{INTERNAL_ID, StripeIntent};

/// Customers listed at once, the most that Stripe gives.
pub(super) const PAGE: usize = 100;

/// Pages of one look-up.
pub(super) const MAX_PAGES: usize = 10;

/// How far Stripe's clock may be behind ours, in seconds.
const SKEW_SECONDS: i64 = 600;

impl StripeClient {
    /// Makes the customer of `intent` under its present key; the same key makes none twice.
    pub async fn create_customer(&self, intent: &StripeIntent) -> Result<String, StripeError> {
        let made = self.post("/v1/customers", &intent.parameters, &intent.idempotency_key()).await?;
        id_of(&made).ok_or(StripeError::Timeout)
    }

    /// Whether the customer `id` is there, and not deleted.
    pub async fn has_customer(&self, id: &str) -> Result<bool, StripeError> {
        match self.get(&format!("/v1/customers/{id}"), &[]).await {
            Ok(found) => Ok(found["deleted"] != true),
            Err(StripeError::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The customer that an earlier attempt at `intent` made, but for one that is known. Stripe's search lags, and is not
    /// offered everywhere; what it does not find is looked for in the list, which does not lag.
    pub async fn find_customer(&self, intent: &StripeIntent) -> Result<Option<String>, StripeError> {
        let query = format!("metadata['{INTERNAL_ID}']:'{}'", intent.customer_id);
        let found = self.get("/v1/customers/search", &[pair("query", query)]).await;
        match found.as_ref().map(|page| ours(page, intent)) {
            Ok(None) | Err(StripeError::Refused { .. }) => self.list_for(intent).await,
            Ok(found) => Ok(found),
            Err(error) => Err(error.clone()),
        }
    }

    async fn list_for(&self, intent: &StripeIntent) -> Result<Option<String>, StripeError> {
        let since = intent.created_at.unix_seconds() - SKEW_SECONDS;
        let mut query = vec![pair("limit", PAGE.to_string()), pair("created[gte]", since.to_string())];
        query.extend(intent.email().map(|email| pair("email", email)));
        for _ in 0..MAX_PAGES {
            let page = self.get("/v1/customers", &query).await?;
            if let Some(id) = ours(&page, intent) {
                return Ok(Some(id));
            }
            if !turn(&mut query, &page) {
                return Ok(None);
            }
        }
        // Not found is not the same as not there.
        Err(StripeError::Timeout)
    }
}

fn ours(page: &Value, intent: &StripeIntent) -> Option<String> {
    let id = intent.customer_id.to_string();
    let mut customers = page["data"].as_array()?.iter();
    let known = intent.stripe_id.as_deref();
    let ours = |customer: &Value| customer["metadata"][INTERNAL_ID] == id.as_str() && customer["id"].as_str() != known;
    customers.find(|customer| ours(customer)).and_then(id_of)
}

/// Turns `query` to the page after `page`, if there is one.
pub(super) fn turn(query: &mut Form, page: &Value) -> bool {
    let last = page["data"].as_array().and_then(|data| data.last()).and_then(id_of);
    let Some(last) = last.filter(|_| page["has_more"] == true) else { return false };
    query.retain(|(name, _)| name != "starting_after");
    query.push(pair("starting_after", last));
    true
}

pub(super) fn id_of(object: &Value) -> Option<String> {
    object["id"].as_str().map(str::to_owned)
}

/// One name and value of a form.
pub(super) fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

/// The pairs whose value is there.
pub(super) fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, Option<String>)>) -> Form {
    pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
