//! The payment page that stands in for Stripe's.

use std::future::pending;
use std::path::PathBuf;

use local::demo::http::{Ask, Http};
use local::options::Options;
use local::setup::build;
use serde_json::json;
use shared::contact::EmailAddress;
use shared::secret::Secret;

const PASSWORD: &str = "correct horse battery staple";

#[tokio::test]
async fn a_stand_in_session_pays_for_what_it_was_made_for() {
    let options = Options {
        port: 0,
        dynamodb_port: None,
        data: PathBuf::new(),
        memory: true,
        admin_email: EmailAddress::parse("admin@example.com").unwrap(),
        admin_password: Some(Secret::new(PASSWORD)),
        stripe_webhook_secret: Secret::new("whsec_test"),
        rate_limits: false,
        dynamodb_endpoint: None,
    };
    let local = build(options).await.unwrap();
    let base_url = local.base_url.clone();
    let http = Http::new(&base_url);
    let story = async {
        let admin = json!({ "email": "admin@example.com", "password": PASSWORD });
        let token = http.send(&Ask::post("/auth/login", admin)).await.unwrap().text("/token");
        for product in ["cheap", "lux"] {
            let body = Some(json!({ "name": product, "items": [] }));
            let path = format!("/v1/products/{product}");
            let put = Ask { method: "PUT", path, body, ..Ask::default() }.with_token(&token);
            assert_eq!(http.send(&put).await.unwrap().status, 201, "{product}");
        }
        // What they come for, each time, and which of the sessions they pay.
        let leads =
            [("a@x.io", Some("lux"), 0, "cheap"), ("b@x.io", Some("lux"), 1, "lux"), ("c@x.io", None, 1, "cheap")];
        for (email, later, paid, held) in leads {
            let mut checkouts = Vec::new();
            let mut client_id = String::new();
            for product in [Some("cheap"), later] {
                let form = json!({ "name": "Ana", "email": email, "product_id": product });
                let lead = http.send(&Ask::post("/api/intake/submit", form)).await.unwrap();
                client_id = lead.text("/client_id");
                checkouts.push(lead.text("/checkout_url"));
            }
            let path = checkouts[paid].strip_prefix(&base_url).unwrap().to_owned();
            let pay = Ask { method: "POST", path, ..Ask::default() };
            assert_eq!(http.send(&pay).await.unwrap().status, 200, "{email}");
            let customer = Ask::get(&format!("/v1/customers/{client_id}")).with_token(&token);
            let customer = http.send(&customer).await.unwrap();
            let products = customer.body["products"].as_array().unwrap();
            let ids: Vec<_> = products.iter().map(|product| product["id"].as_str().unwrap()).collect();
            assert_eq!(ids, [held], "{email}");
        }
    };
    tokio::select! {
        ended = local.run(pending()) => panic!("the server ended: {ended:?}"),
        () = story => {}
    }
}
