//! How a binary starts, and how it does not.

use functions::routes::ALL;
use shared::config::Need;

use crate::emulator::{Output, binary};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn every_function_has_a_binary_that_starts() {
    let world = World::start().await;
    for function in ALL {
        assert!(binary(function.name).is_some(), "`{}` has a binary", function.name);
        world.launch(function.name).await.ready().await;
    }
    let manifest = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    assert_eq!(manifest.matches("[[bin]]").count(), ALL.len(), "every binary is a function of the table");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_without_a_variable_that_it_needs_stops_and_names_it() {
    for function in ALL {
        for variable in function.needs.iter().copied().map(variable).chain(["TABLE_NAME"]) {
            // Where people come back to is needed only by whoever sends them to Stripe.
            let world = World::start().await.with("STRIPE_API_KEY", "sk_test_1").without(variable);
            assert_stops(&world, function.name, &format!("`{variable}` is not set")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_with_a_malformed_variable_stops_and_names_it_but_not_its_value() {
    let malformed = [
        ("login", "JWT_KEYS", "k1:c2hvcnQ="),
        ("me", "JWT_KEYS", "no-colon-in-here"),
        ("register", "PASSWORD_MIN_LENGTH", "fifteen"),
        ("change-password", "JWT_TTL_SECONDS", "half-a-day"),
        ("check", "AUTO_CREATE_CUSTOMERS", "if-it-must-be"),
        ("stripe-webhook", "RATE_LIMITS", "perhaps-not"),
        ("notify", "PUBLIC_BASE_URL", "app.example.org"),
        ("notify", "MAIL_FROM", "nobody-in-particular"),
        ("me", "CORS_ORIGINS", "https://shop.example.org/"),
        ("backfill", "BACKFILL_INVITES", "on-sundays"),
        ("me", "AWS_ENDPOINT_URL_DYNAMODB", "nowhere-at-all"),
    ];
    for (function, variable, value) in malformed {
        let world = World::start().await.with(variable, value);
        let output = assert_stops(&world, function, &format!("`{variable}` is malformed")).await;
        assert!(!format!("{output:?}").contains(value), "{output:?}");
    }
}

async fn assert_stops(world: &World, function: &str, why: &str) -> Output {
    let (status, output) = world.launch(function).await.exit().await;
    assert!(!status.success(), "`{function}`, {why}: {status}");
    assert!(output.stdout.contains(why), "`{function}` says that {why}: {output:?}");
    output
}

fn variable(need: Need) -> &'static str {
    match need {
        Need::JwtKeys => "JWT_KEYS",
        Need::WebhookSecrets => "STRIPE_WEBHOOK_SECRETS",
        Need::PublicBaseUrl | Need::CheckoutBaseUrl => "PUBLIC_BASE_URL",
        Need::MailFrom => "MAIL_FROM",
    }
}
