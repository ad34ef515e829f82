//! The lengths and numbers that are promised, at their edge and one beyond it, and the settings of a deployment
//! that shape what is issued.

use harness::TestApp;
use harness::world::text;
use serde_json::{Value, json};

const METADATA_BYTES: usize = 16 * 1_024;

/// A well-formed address of so many characters, all in its domain but 65.
fn email(chars: usize) -> String {
    let rest = chars - 64 - 1 - 2 * 64 - ".com".len();
    let [a, b, c, d] = [("a", 64), ("b", 63), ("c", 63), ("d", rest)].map(|(letter, times)| letter.repeat(times));
    format!("{a}@{b}.{c}.{d}.com")
}

/// Metadata that takes so many bytes as JSON.
fn metadata(bytes: usize) -> Value {
    json!({ "k": "x".repeat(bytes - r#"{"k":""}"#.len()) })
}

/// Metadata of so many keys.
fn keys(count: usize) -> Value {
    (0..count).map(|n| (n.to_string(), json!(n))).collect()
}

#[tokio::test]
async fn what_is_as_long_as_it_may_be_is_kept_and_what_is_longer_is_refused_by_name() {
    let (app, _, admin) = TestApp::start().await;
    // Of what people write, characters count, and not bytes.
    let fields = [
        ("id", json!("i".repeat(128)), json!("i".repeat(129))),
        ("name", json!("é".repeat(200)), json!("é".repeat(201))),
        ("email", json!(email(254)), json!(email(255))),
        ("address", json!("é".repeat(500)), json!("é".repeat(501))),
        ("area", json!("é".repeat(100)), json!("é".repeat(101))),
        ("fingerprint", json!("f".repeat(255)), json!("f".repeat(256))),
        ("stripe_id", json!("s".repeat(255)), json!("s".repeat(256))),
        ("metadata", metadata(METADATA_BYTES), metadata(METADATA_BYTES + 1)),
        ("metadata", keys(50), keys(51)),
    ];
    for (n, (field, longest, too_long)) in fields.into_iter().enumerate() {
        let with = |value: &Value| {
            let mut body = json!({ "id": format!("c{n}") });
            body[field] = value.clone();
            body
        };
        let refusal = admin.post("/v1/customers", with(&too_long)).await;
        refusal.refused(400, "invalid_request");
        assert_eq!(refusal.fields(), [field]);
        let made = admin.post("/v1/customers", with(&longest)).await.expect(201);
        assert_eq!(made.json[field], longest, "{field}");
        let read = admin.get(&format!("/v1/customers/{}", made.str("internal_id"))).await.expect(200);
        assert_eq!(read.json[field], longest, "{field}");
    }
    app.world().await.assert_straight();
}

#[tokio::test]
async fn an_idempotency_key_has_at_most_255_characters() {
    let (_app, nobody, admin) = TestApp::start().await;
    let (longest, too_long) = ("k".repeat(255), "k".repeat(256));
    let form = json!({ "name": "Ana Ruiz", "email": "a@x.io" });
    for (actor, path, body) in [(&nobody, "/api/intake/submit", form), (&admin, "/v1/customers", json!({ "id": "c" }))]
    {
        let refusal = actor.post_with(path, body.clone(), &[("idempotency-key", &too_long)]).await;
        refusal.refused(400, "invalid_request");
        assert_eq!(refusal.fields(), ["Idempotency-Key"]);
        let first = actor.post_with(path, body.clone(), &[("idempotency-key", &longest)]).await.expect(201);
        let again = actor.post_with(path, body, &[("idempotency-key", &longest)]).await.expect(201);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.json, first.json);
    }
}

#[tokio::test]
async fn an_address_is_that_of_a_hundred_customers_at_most() {
    let (app, _, admin) = TestApp::start().await;
    let create = async |n: usize, email: &str| {
        admin.post("/v1/customers", json!({ "id": format!("c{n}"), "email": email })).await
    };
    for n in 0..100 {
        create(n, "a@x.io").await.expect(201);
    }
    let one_more = create(100, "a@x.io").await;
    create(100, "b@x.io").await.expect(201);
    let joined = admin.patch("/v1/customers/c100", json!({ "email": "a@x.io" })).await;
    for refusal in [one_more, joined] {
        refusal.refused(400, "invalid_request");
        assert_eq!(refusal.fields(), ["email"]);
    }
    admin.delete("/v1/customers/c50").await.expect(200);
    admin.patch("/v1/customers/c100", json!({ "email": "a@x.io" })).await.expect(200);
    app.world().await.assert_straight();
}

#[tokio::test]
async fn what_is_issued_has_the_prefixes_of_the_deployment_and_is_found_by_them() {
    let (_app, _, admin) = TestApp::start_with(|settings| {
        settings.crn_prefix = "DAIRY".into();
        settings.customer_number_prefix = "MILK".into();
    })
    .await;
    let made = admin.post("/v1/customers", json!({ "id": "shop" })).await.expect(201);
    assert_eq!((made.str("customer_reference"), made.str("customerId")), ("DAIRY-2026-000001", "MILK1"));
    for name in ["DAIRY-2026-000001", "MILK1"] {
        let found = admin.get(&format!("/v1/customers/{name}")).await.expect(200);
        assert_eq!(found.str("internal_id"), made.str("internal_id"), "{name}");
        admin.post("/v1/customers", json!({ "id": name })).await.refused(400, "invalid_request");
    }
    // Elsewhere these are issued; here they are somebody's own.
    for id in ["PL1", "PLE-CVP-2026-000001"] {
        admin.post("/v1/customers", json!({ "id": id })).await.expect(201);
    }
}

#[tokio::test]
async fn logins_without_an_address_are_in_the_domain_of_the_deployment_and_nobody_else_is() {
    let (app, _, admin) =
        TestApp::start_with(|settings| settings.placeholder_email_domain = "nobody.example".into()).await;
    let made = admin.post("/v1/customers", json!({ "id": "shop" })).await.expect(201);
    let world = app.world().await;
    let login = world.at(&format!("USER#{}", made.str("user_id"))).unwrap();
    assert_eq!(text(login, "email"), format!("customer-{}@nobody.example", made.str("internal_id")));
    let refusal = admin.post("/v1/customers", json!({ "email": "ana@nobody.example" })).await;
    refusal.refused(400, "invalid_request");
    assert_eq!(refusal.fields(), ["email"]);
    admin.post("/v1/customers", json!({ "email": "ana@earlybird.local" })).await.expect(201);
}

#[tokio::test]
async fn a_session_lasts_as_long_as_the_deployment_says() {
    let (app, nobody, _) = TestApp::start_with(|settings| settings.jwt_ttl_seconds = 600).await;
    let body = json!({ "name": "Ana Ruiz", "email": "a@x.io", "password": "walnut ladder quiet" });
    let session = nobody.post("/auth/register", body).await.expect(201);
    assert_eq!(session.json["expires_in"], 600);
    let ana = nobody.with_token(session.str("token"));
    app.clock.advance_seconds(599);
    ana.get("/auth/me").await.expect(200);
    app.clock.advance_seconds(1);
    ana.get("/auth/me").await.refused(401, "unauthorized");
}
