//! How long what is not kept for good is kept.

use harness::TestApp;
use harness::app::START;
use harness::stripe::{checkout, subscription};
use harness::{Actor, Answer};
use serde_json::json;

use crate::accounts::{forgot, register};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// From when every test begins, which is at noon in UTC and with a window of the rate limits. The table
/// deletes by itself what is over: too early, and it is done twice; too late, and it piles up.
const KEPT: [(&str, i64); 10] = [
    ("stripe_event", 90 * DAY),
    ("parked_event", 90 * DAY),
    ("parking", 90 * DAY),
    ("notice", 36 * HOUR),
    ("idempotency", DAY),
    ("usage", DAY),
    ("login_attempts", 75 * MINUTE),
    ("reset_ticket", HOUR),
    ("recovery_log", HOUR),
    ("rate", 20 * MINUTE),
];

/// A lead that comes under a key.
async fn lead(nobody: &Actor) -> Answer {
    let form = json!({ "name": "Ana Ruiz", "email": "lead@x.io" });
    nobody.post_with("/api/intake/submit", form, &[("idempotency-key", "k")]).await
}

/// A use under a key.
async fn track(admin: &Actor) -> Answer {
    let items = json!([{ "feature_id": "f", "included_usage": 100 }]);
    let product = json!({ "name": "P", "is_default": true, "items": items });
    admin.put("/v1/products/p", product).await.expect(201);
    admin.post("/v1/customers", json!({ "id": "shop" })).await.expect(201);
    let body = json!({ "customer_id": "shop", "feature_id": "f", "value": 1, "idempotency_key": "k" });
    admin.post("/v1/track", body).await
}

#[tokio::test]
async fn what_is_kept_for_a_time_says_until_when() {
    let (app, nobody, admin) = TestApp::start_with(|settings| settings.rate_limits = true).await;
    register(&nobody, "a@x.io").await.expect(201);
    nobody.intake("a@x.io").await.refused(409, "customer_exists");
    nobody.login("a@x.io", "wrong").await.refused(401, "invalid_credentials");
    forgot(&nobody, "a@x.io").await.expect(200);
    app.deliver_mail().await;
    let lead = lead(&nobody).await.expect(201);
    nobody.stripe(&checkout("completed", "evt_1", "cs_1", lead.str("client_id"))).await.expect(200);
    nobody.stripe(&subscription("created", "evt_2", 0, "active")).await.expect(200);
    track(&admin).await.expect(200);
    let world = app.world().await;
    for (kind, seconds) in KEPT {
        let items = world.of(kind);
        assert!(!items.is_empty(), "there is no {kind}");
        for item in items {
            assert_eq!(item["expires_at"], START.plus_seconds(seconds).unix_seconds(), "{kind}");
        }
    }
}
