//! Subscriptions: made once, found again by our own ids in their metadata, canceled.

use serde_json::Value;

use super::client::StripeClient;
use super::customers::{MAX_PAGES, PAGE, id_of, pair, turn};
use super::error::StripeError;
use crate::domain::intent::{CLIENT_ID, PRODUCT_ID, StripeIntent};
use crate::domain::product::ProductId;

impl StripeClient {
    /// Makes the subscription of `intent` under its present key; the same key makes none twice.
    pub async fn create_subscription(&self, intent: &StripeIntent) -> Result<String, StripeError> {
        let made = self.post("/v1/subscriptions", &intent.parameters, &intent.idempotency_key()).await?;
        id_of(&made).ok_or(StripeError::Timeout)
    }

    /// The subscription that an earlier attempt at `intent` made: among all that its payer has, for
    /// that list does not lag.
    pub async fn find_subscription(&self, intent: &StripeIntent) -> Result<Option<String>, StripeError> {
        let Some(payer) = intent.payer() else { return Ok(None) };
        let mut query = vec![pair("customer", payer), pair("status", "all"), pair("limit", PAGE.to_string())];
        for _ in 0..MAX_PAGES {
            let page = self.get("/v1/subscriptions", &query).await?;
            let found = page["data"].as_array().and_then(|data| data.iter().find(|it| is_of(it, intent)));
            if let Some(id) = found.and_then(id_of) {
                return Ok(Some(id));
            }
            if !turn(&mut query, &page) {
                return Ok(None);
            }
        }
        // Not found is not the same as not there.
        Err(StripeError::Timeout)
    }

    /// Cancels the subscription `id` at once; one that is gone already is no error.
    pub async fn cancel_subscription(&self, id: &str) -> Result<(), StripeError> {
        match self.delete(&format!("/v1/subscriptions/{id}")).await {
            Ok(_) | Err(StripeError::Refused { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn is_of(subscription: &Value, intent: &StripeIntent) -> bool {
    let metadata = &subscription["metadata"];
    let product = intent.product_id.as_ref().map(ProductId::as_str);
    metadata[CLIENT_ID] == intent.customer_id.to_string() && metadata[PRODUCT_ID].as_str() == product
}
