//! What the functions are for, from the first form to the signed-in page.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::events::Request;
use crate::world::{Answer, World, payment, signed};

#[tokio::test(flavor = "multi_thread")]
async fn a_form_a_payment_and_the_mailed_password_lead_to_the_signed_in_page() {
    let mut world = World::start().await;
    let lead = world.submit(" Asha@Example.com ").await;
    assert_eq!(lead.status(), 201, "{lead:?}");
    assert_eq!(lead.text("status"), "pending_payment");
    let crn = lead.text("customer_reference");
    assert!(crn.starts_with("PLE-CVP-") && crn.ends_with("-000001"), "{crn}");

    let event = payment(&lead);
    let paid = world.send("stripe-webhook", &signed(&event, "stripe-signature")).await;
    assert_eq!((paid.status(), paid.json()), (200, json!({ "received": true })));
    let again = world.send("stripe-webhook", &signed(&event, "stripe-signature")).await;
    assert_eq!((again.status(), again.json()), (200, json!({ "received": true, "duplicate": true })));

    assert_eq!(world.deliver().await, Vec::<Value>::new());
    let letters = world.mail.accepted();
    assert_eq!(letters.iter().map(|letter| letter.to.as_str()).collect::<Vec<_>>(), ["asha@example.com"]);
    assert!(letters[0].text.contains("https://app.example.com"), "{}", letters[0].text);

    let session = world.login("ASHA@example.com", &letters[0].password()).await;
    assert_eq!(session.status(), 200, "{session:?}");
    assert_eq!(session.header("cache-control"), Some("no-store"));
    assert_eq!(session.json()["must_change_password"], true);

    let me = world.send("me", &Request::get("/auth/me").bearer(&session.text("token"))).await;
    assert_eq!(me.status(), 200, "{me:?}");
    let (user, customer) = (me.json(), me.json()["customer"].clone());
    assert_eq!((&user["email"], &user["role"]), (&json!("asha@example.com"), &json!("customer")));
    assert_eq!((&user["customerId"], &user["customer_v2_id"]), (&json!("PL1"), &lead.json()["client_id"]));
    assert_eq!((&customer["customer_reference"], &customer["status"]), (&json!(crn), &json!("active")));
    assert_eq!((&customer["internal_id"], &customer["user_id"]), (&lead.json()["client_id"], &user["user_id"]));
    assert_eq!((&customer["stripe_id"], &customer["customerId"]), (&json!("cus_runtime"), &json!("PL1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_registered_recovered_by_mail_changed_and_left() {
    let [first, second, third] = ["lantern harbour teal", "gravel orchid summit", "walnut meadow prism"];
    let mut world = World::start().await;
    let form = json!({ "name": "Asha Rao", "email": "asha@example.com", "password": first });
    let registered = world.send("register", &Request::post("/auth/register", &form)).await;
    assert_eq!(registered.status(), 201, "{registered:?}");
    let session = world.login("Asha@example.com", first).await;
    assert_eq!(session.status(), 200, "{session:?}");
    assert_eq!(session.json()["must_change_password"], false);

    let forgot = Request::post("/auth/forgot-password", &json!({ "email": "ASHA@example.com" }));
    assert_eq!(world.send("forgot-password", &forgot).await.status(), 200);
    assert_eq!(world.deliver().await, Vec::<Value>::new());
    let letters = world.mail.accepted();
    assert_eq!(letters.iter().map(|letter| letter.to.as_str()).collect::<Vec<_>>(), ["asha@example.com"]);
    assert!(letters[0].text.contains("https://app.example.com/reset-password"), "{}", letters[0].text);

    let reset = json!({ "token": letters[0].reset_token(), "new_password": second });
    let reset = Request::post("/auth/reset-password", &reset);
    assert_eq!(world.send("reset-password", &reset).await.status(), 200);
    world.send("reset-password", &reset).await.problem(400, "invalid_token");
    for dead in [registered.text("token"), session.text("token")] {
        world.me(&dead).await.problem(401, "unauthorized");
    }
    world.login("asha@example.com", first).await.problem(401, "invalid_credentials");
    let session = world.login("asha@example.com", second).await;
    assert_eq!(session.status(), 200, "{session:?}");

    let change = json!({ "current_password": second, "new_password": third });
    let change = Request::post("/auth/change-password", &change).bearer(&session.text("token"));
    let changed = world.send("change-password", &change).await;
    assert_eq!(changed.status(), 200, "{changed:?}");
    world.me(&session.text("token")).await.problem(401, "unauthorized");
    let token = changed.text("token");
    assert_eq!(world.me(&token).await.json()["customer"]["customerId"], "PL1");

    let left = world.send("logout", &Request::new("POST", "/auth/logout").bearer(&token)).await;
    assert_eq!((left.status(), left.body()), (204, String::new()));
    world.me(&token).await.problem(401, "unauthorized");
    assert_eq!(world.login("asha@example.com", third).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_created_once_and_found_by_every_identifier() {
    let mut world = World::start().await;
    let key = world.api_key().await;
    let body = json!({ "id": "shop-1", "name": "Ravi Iyer", "email": "ravi@example.com" });
    let request = Request::post("/v1/customers", &body).bearer(&key);
    let created = world.send("create-customer", &request).await;
    assert_eq!(created.status(), 201, "{created:?}");
    assert!(created.json()["customer_id"].is_null(), "only the aliases have it: {created:?}");
    let existing = world.send("create-customer", &request).await;
    assert_eq!(existing.status(), 200, "{existing:?}");
    assert_eq!(existing.text("internal_id"), created.text("internal_id"));

    for field in ["id", "internal_id", "customer_reference", "customerId"] {
        let path = format!("/v1/customers/{}", created.text(field));
        let found = world.send("get-customer", &Request::get(path).bearer(&key)).await;
        assert_eq!(found.status(), 200, "by {field}: {found:?}");
        assert_eq!(found.text("internal_id"), created.text("internal_id"), "by {field}");
    }
    let nobody = world.send("get-customer", &Request::get("/v1/customers/PL999").bearer(&key)).await;
    nobody.problem(404, "customer_not_found");
    let stranger = world.send("get-customer", &Request::get("/v1/customers/PL1")).await;
    stranger.problem(401, "unauthorized");
    assert_eq!(stranger.header("www-authenticate"), Some("Bearer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_routes_create_the_same_customers() {
    let mut world = World::start().await;
    let key = world.api_key().await;
    for (n, path) in ["/phase0-v2/customers", "/phase0-v2/customers-with-subscription"].into_iter().enumerate() {
        let request = Request::post(path, &json!({ "name": "Mira", "email": format!("mira{n}@example.com") }));
        let request = request.bearer(&key);
        let created = world.send("create-customer", &request).await;
        assert_eq!(created.status(), 201, "{path}: {created:?}");
        let customer = created.json();
        assert_eq!((&customer["customer_id"], &customer["id"]), (&customer["internal_id"], &customer["internal_id"]));
        let existing = world.send("create-customer", &request).await;
        assert_eq!((existing.status(), existing.text("customer_id")), (200, created.text("customer_id")), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_with_nothing_to_do_answers_an_empty_summary() {
    let mut world = World::start().await;
    let mut summary = world.backfill().await;
    let run_id = summary["run_id"].take();
    assert!(run_id.as_str().is_some_and(|id| id.len() == 36), "{run_id}");
    let counts = ["created", "linked", "numbered", "crns", "skipped", "ambiguous", "errors", "total", "remaining"];
    for count in counts {
        assert_eq!(summary[count], 0, "{count} of {summary}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_holds_over_the_bytes_behind_base64_whatever_the_letters_of_its_header() {
    let mut world = World::start().await;
    let lead = world.submit("asha@example.com").await;
    let mut event = payment(&lead);
    event["data"]["object"]["customer_details"] = json!({ "name": "Ása 🥛" });
    let request = signed(&event, "STRIPE-SIGNATURE").in_base64();
    let paid = world.send("stripe-webhook", &request).await;
    assert_eq!((paid.status(), paid.json()), (200, json!({ "received": true })));
    assert_eq!(world.database.outbox().await.len(), 1);

    let other = Request::post_text("/api/webhooks/stripe", event.to_string()).header("stripe-signature", "t=1,v1=00");
    world.send("stripe-webhook", &other.in_base64()).await.problem(400, "invalid_signature");
}

/// Two hundred forms, fifty through each of four processes at once.
#[tokio::test(flavor = "multi_thread")]
async fn four_processes_at_once_never_give_a_reference_twice() {
    let world = World::start().await.with("RATE_LIMITS", "off");
    let mut processes = JoinSet::new();
    for process in 0..4 {
        let environment = world.launch("intake-submit").await;
        processes.spawn(async move {
            let mut references = Vec::new();
            for n in 0..50 {
                let form = json!({ "name": "Asha Rao", "email": format!("lead-{process}-{n}@example.com") });
                let event = Request::post("/api/intake/submit", &form).event();
                let answer = Answer::of("intake-submit", environment.invoke(&event).await);
                assert_eq!(answer.status(), 201, "{answer:?}");
                references.push(answer.text("customer_reference"));
            }
            references
        });
    }
    let references: BTreeSet<String> = processes.join_all().await.into_iter().flatten().collect();
    assert_eq!(references.len(), 200);
    assert!(references.iter().all(|crn| crn.starts_with("PLE-CVP-") && crn.len() == 19), "{references:?}");
}
