//! What every handler is given.

use std::ops::Deref;
use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Settings;
use crate::notify::Mailer;
use crate::password::Passwords;
use crate::secret::Secret;
use crate::store::Store;
use crate::stripe::checkout::Checkout;
use crate::stripe::client::StripeClient;
use crate::token::KeyRing;

/// The parts of a running function, cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts themselves.
pub struct Parts {
    /// The rules of this deployment.
    pub settings: Settings,
    /// The table.
    pub store: Store,
    /// Where the time comes from.
    pub clock: Clock,
    /// The server's keys.
    pub keys: KeyRing,
    /// The bounded password hasher.
    pub passwords: Passwords,
    /// Secrets of the webhook endpoint; any may match.
    pub webhook_secrets: Vec<Secret>,
    /// Where a lead pays.
    pub checkout: Checkout,
    /// Stripe's API; `None` means that no call is ever made from here.
    pub stripe: Option<StripeClient>,
    /// How messages leave.
    pub mailer: Mailer,
}

impl App {
    /// An app of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Parts {
    /// Whether Stripe is called at all, from here or by a function that has the key: whoever only
    /// writes down what is to be made needs none.
    #[must_use]
    pub fn stripe_configured(&self) -> bool {
        self.settings.stripe_configured || self.stripe.is_some()
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
