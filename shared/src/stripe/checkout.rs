//! Where a lead pays.

use crate::ids::CustomerId;
use crate::secret::random_bytes;

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
    /// A new session for `customer`, if there is anywhere to pay.
    #[must_use]
    pub fn session_for(&self, customer: CustomerId) -> Option<CheckoutSession> {
        match self {
            Self::None => None,
            Self::StandIn { .. } => {
                let id = format!("{STAND_IN_PREFIX}{}_{}", customer.0.simple(), hex::encode(random_bytes::<8>()));
                self.url_of(&id).map(|url| CheckoutSession { id, url })
            }
        }
    }

    /// Where the session `id` is paid, if its id alone tells.
    #[must_use]
    pub fn url_of(&self, id: &str) -> Option<String> {
        match self {
            Self::StandIn { base_url } if id.starts_with(STAND_IN_PREFIX) => {
                Some(format!("{base_url}/dev/checkout/{id}"))
            }
            Self::None | Self::StandIn { .. } => None,
        }
    }
}

/// The customer that a stand-in session was made for: its id says so.
#[must_use]
pub fn stand_in_customer(session_id: &str) -> Option<CustomerId> {
    let (customer, _) = session_id.strip_prefix(STAND_IN_PREFIX)?.split_once('_')?;
    customer.parse().ok()
}
