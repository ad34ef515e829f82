//! `rollcall demo`: the walk from first contact to a signed-in page, with a verdict on each step.
//!
//! The server is the real one, in memory and on a port of its own; every request goes to it over
//! the loopback address.

pub mod http;
mod story;
mod teller;

use std::path::PathBuf;

use shared::contact::EmailAddress;
use shared::secret::Secret;
use tokio::sync::oneshot;

use crate::LocalError;
use crate::options::Options;
use crate::setup::build;
use crate::terminal::say;
use http::Http;
use teller::Teller;

const ADMIN_EMAIL: &str = "admin@example.com";
const ADMIN_PASSWORD: &str = "correct horse battery staple";
const WEBHOOK_SECRET: &str = "whsec_demo";

/// Runs the demo; answers whether everything held.
pub async fn run() -> Result<bool, LocalError> {
    let local = build(options()).await?;
    say(format_args!("A throw-away server listens on {}.", local.base_url));
    let mut teller = Teller::new(Http::new(&local.base_url));
    let (telling, told) = oneshot::channel::<()>();
    let story = async {
        let end = story::tell(&mut teller).await;
        drop(telling);
        end
    };
    let shutdown = async {
        let _ = told.await;
    };
    let (served, end) = tokio::join!(local.run(shutdown), story);
    if let Err(error) = end {
        teller.fail(&format!("the walk ended early: {error}"));
    }
    served?;
    Ok(teller.conclude())
}

fn options() -> Options {
    Options {
        port: 0,
        dynamodb_port: None,
        data: PathBuf::new(),
        memory: true,
        admin_email: EmailAddress::placeholder("admin", "example.com"),
        admin_password: Some(Secret::new(ADMIN_PASSWORD)),
        stripe_webhook_secret: Secret::new(WEBHOOK_SECRET),
        rate_limits: false,
        dynamodb_endpoint: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_administrator_signs_in_with_the_address_that_was_made() {
        assert_eq!(options().admin_email.as_str(), ADMIN_EMAIL);
    }

    #[tokio::test]
    async fn everything_holds() {
        assert!(run().await.unwrap());
    }
}
