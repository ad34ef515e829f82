//! Where a lead pays.

use serde_json::Value;

use crate::domain::customer::{Customer, Status};
use crate::domain::product::{Price, Product, ProductId};
use crate::ids::CustomerId;
use crate::secret::random_bytes;
use crate::stripe::client::{Form, StripeClient};
use crate::stripe::customers::{pair, pairs};
use crate::stripe::error::StripeError;
use crate::token::sha256_hex;

/// How checkout sessions come to be.
#[derive(Clone, Debug)]
pub enum Checkout {
    /// Nothing is configured: a lead has nowhere to pay yet.
    None,
    /// The local server's stand-in payment page, under this base URL.
    StandIn {
        /// Where the local server is.
        base_url: String,
    },
    /// Stripe's own page.
    Stripe {
        /// Stripe's API.
        client: StripeClient,
        /// The price where the product has none.
        price_id: Option<String>,
        /// Where people come back to, without a trailing slash.
        base_url: String,
    },
}

/// A checkout session that a lead can pay in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutSession {
    /// Its id.
    pub id: String,
    /// Where to pay.
    pub url: String,
}

const STAND_IN_PREFIX: &str = "cs_dev_";

impl Checkout {
    /// A new session for `customer`, who came for `product`, if one takes no call: it can be stored
    /// with the lead. Its id says what it was made for.
    #[must_use]
    pub fn session_at_once(&self, customer: CustomerId, product: Option<&ProductId>) -> Option<CheckoutSession> {
        match self {
            Self::None | Self::Stripe { .. } => None,
            Self::StandIn { .. } => {
                let once = hex::encode(random_bytes::<8>());
                let product = product.map(|id| format!("_{id}")).unwrap_or_default();
                let id = format!("{STAND_IN_PREFIX}{}_{once}{product}", customer.0.simple());
                self.url_of(&id).map(|url| CheckoutSession { id, url })
            }
        }
    }

    /// The session that Stripe has for `lead`, who is stored and came for `product`; `None` if there
    /// is nothing to pay or nobody to ask. `dead_session` is one that can be paid no more.
    pub async fn session_for(
        &self,
        lead: &Customer,
        product: Option<&Product>,
        dead_session: Option<&str>,
    ) -> Result<Option<CheckoutSession>, StripeError> {
        let Self::Stripe { client, price_id, base_url } = self else { return Ok(None) };
        let Some((price, mode)) = price_of(product, price_id.as_deref()) else { return Ok(None) };
        let order = Order { lead, price, base_url, dead_session };
        let made = order.place(client, mode.unwrap_or(Mode::Subscription)).await;
        match made {
            // Nobody says what the default price is; Stripe does.
            Err(StripeError::Refused { status: 400, .. }) if mode.is_none() => {
                order.place(client, Mode::Payment).await.map(Some)
            }
            made => made.map(Some),
        }
    }

    /// Whether sessions are made by calls, after the lead is stored.
    #[must_use]
    pub fn takes_a_call(&self) -> bool {
        matches!(self, Self::Stripe { .. })
    }

    /// Where the session `id` is paid, if its id alone tells.
    #[must_use]
    pub fn url_of(&self, id: &str) -> Option<String> {
        match self {
            Self::StandIn { base_url } if id.starts_with(STAND_IN_PREFIX) => {
                Some(format!("{base_url}/dev/checkout/{id}"))
            }
            Self::None | Self::StandIn { .. } | Self::Stripe { .. } => None,
        }
    }
}

/// The session of `lead` that can be paid no more, given the lead as it was before it returned.
#[must_use]
pub fn dead_session(before: Option<&Customer>) -> Option<String> {
    before.filter(|lead| lead.status == Status::PaymentFailed)?.checkout_session_id.clone()
}

/// The price to pay, and whether it comes back, if anybody says.
fn price_of<'a>(product: Option<&'a Product>, default: Option<&'a str>) -> Option<(&'a str, Option<Mode>)> {
    let price = product.and_then(|product| product.price.as_ref());
    match price.and_then(|price| Some((price.stripe_price_id.as_deref()?, price))) {
        Some((id, price)) => Some((id, Some(Mode::of(price)))),
        None => Some((default?, None)),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Subscription,
    Payment,
}

impl Mode {
    fn of(price: &Price) -> Self {
        if price.interval.is_some() { Self::Subscription } else { Self::Payment }
    }
}

struct Order<'a> {
    lead: &'a Customer,
    price: &'a str,
    base_url: &'a str,
    dead_session: Option<&'a str>,
}

impl Order<'_> {
    async fn place(&self, client: &StripeClient, mode: Mode) -> Result<CheckoutSession, StripeError> {
        let form = self.form(mode);
        let made = match post(client, &form, &self.key(&form)).await {
            // Stripe keeps a failure as the answer of its key; a session too many does no harm.
            Err(StripeError::Server(_)) => {
                let key = format!("{}:{}", self.key(&form), self.lead.updated_at.unix_seconds());
                post(client, &form, &key).await?
            }
            made => made?,
        };
        let text = |name: &str| made[name].as_str().map(str::to_owned).ok_or(StripeError::Timeout);
        Ok(CheckoutSession { id: text("id")?, url: text("url")? })
    }

    /// The same lead with the same parameters has one session, however often it is asked for.
    fn key(&self, form: &Form) -> String {
        let asked = format!("{form:?}{:?}", self.dead_session);
        format!("checkout:{}:{}", self.lead.internal_id, &sha256_hex(&asked)[..32])
    }

    fn form(&self, mode: Mode) -> Form {
        let lead = self.lead;
        let (name, carrier) = match mode {
            Mode::Subscription => ("subscription", "subscription_data"),
            Mode::Payment => ("payment", "payment_intent_data"),
        };
        let mut form = vec![
            pair("mode", name),
            pair("line_items[0][price]", self.price),
            pair("line_items[0][quantity]", "1"),
            pair("client_reference_id", lead.internal_id.to_string()),
            pair("success_url", format!("{}/?checkout=success", self.base_url)),
            pair("cancel_url", format!("{}/?checkout=cancelled", self.base_url)),
        ];
        if mode == Mode::Payment {
            form.push(pair("customer_creation", "always"));
        }
        form.extend(pairs([("customer_email", lead.contact.email.as_ref().map(|email| email.as_str().to_owned()))]));
        let metadata = pairs([
            ("client_id", Some(lead.internal_id.to_string())),
            ("customer_reference", lead.customer_reference.as_ref().map(ToString::to_string)),
            ("product_id", lead.product_id.as_ref().map(ToString::to_string)),
        ]);
        for (name, value) in metadata {
            form.push(pair(&format!("metadata[{name}]"), value.as_str()));
            form.push(pair(&format!("{carrier}[metadata][{name}]"), value));
        }
        form
    }
}

async fn post(client: &StripeClient, form: &Form, key: &str) -> Result<Value, StripeError> {
    client.post("/v1/checkout/sessions", form, key).await
}

/// The customer that a stand-in session was made for, and the product, if any: its id says so.
#[must_use]
pub fn stand_in_order(session_id: &str) -> Option<(CustomerId, Option<ProductId>)> {
    let (customer, once) = session_id.strip_prefix(STAND_IN_PREFIX)?.split_once('_')?;
    let product = once.split_once('_').and_then(|(_, product)| ProductId::parse(product).ok());
    Some((customer.parse().ok()?, product))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_id_of_a_stand_in_session_says_whom_and_what_it_was_made_for() {
        let (checkout, customer) = (Checkout::StandIn { base_url: "http://x".into() }, CustomerId(Uuid::nil()));
        for product in [None, Some("pro"), Some("_milk_and-bread_")] {
            let product = product.map(|id| ProductId::parse(id).unwrap());
            let session = checkout.session_at_once(customer, product.as_ref()).unwrap();
            assert_eq!(stand_in_order(&session.id), Some((customer, product)));
        }
        assert_eq!(stand_in_order("cs_dev_nobody_1"), None);
    }
}
