//! How messages leave: through the SDKs of SES and SNS, until they were taken, with the password
//! that they had at first.

use serde_json::{Value, json};

use crate::events::{Request, sequence_number};
use crate::mail::Mood;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_not_taken_is_reported_and_comes_again_with_the_same_password() {
    let mut world = World::start().await;
    create(&mut world, &json!({ "name": "Ravi Iyer", "email": "ravi@example.com" })).await;
    world.mail.be(Mood::Failing);
    assert_eq!(world.deliver().await, [json!({ "itemIdentifier": sequence_number(0) })]);
    let refused = world.mail.refused();
    let password = refused.last().expect("an attempt").password();
    assert!(world.mail.accepted().is_empty());

    world.mail.be(Mood::Accepting);
    assert_eq!(world.deliver().await, Vec::<Value>::new());
    let delivered = world.mail.accepted();
    assert_eq!(delivered.len(), 1, "{delivered:?}");
    assert_eq!(delivered[0].password(), password);
    assert_eq!(world.login("ravi@example.com", &password).await.status(), 200);

    assert_eq!(world.deliver().await, Vec::<Value>::new());
    assert_eq!(world.mail.accepted().len(), 1, "a message that was sent is not sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_message_keeps_no_other_from_leaving() {
    let mut world = World::start().await;
    create(&mut world, &json!({ "name": "Ravi Iyer", "email": "ravi@example.com" })).await;
    create(&mut world, &json!({ "name": "Mira Sen", "email": "mira@example.com" })).await;
    world.mail.be(Mood::Failing);
    let failures = world.deliver().await;
    let expected = [0, 1].map(|n| json!({ "itemIdentifier": sequence_number(n) }));
    assert_eq!(failures, expected);
    world.mail.be(Mood::Accepting);
    assert_eq!(world.deliver().await, Vec::<Value>::new());
    let mut reached: Vec<String> = world.mail.accepted().into_iter().map(|letter| letter.to).collect();
    reached.sort();
    assert_eq!(reached, ["mira@example.com", "ravi@example.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_without_email_is_invited_by_sms_and_signs_in_with_the_number() {
    let mut world = World::start().await;
    create(&mut world, &json!({ "name": "Mira Sen", "phone": "98765 43210" })).await;
    assert_eq!(world.deliver().await, Vec::<Value>::new());
    let delivered = world.mail.accepted();
    assert_eq!(delivered.iter().map(|letter| letter.to.as_str()).collect::<Vec<_>>(), ["+919876543210"]);
    assert!(delivered[0].text.contains("PL1"), "{}", delivered[0].text);
    assert_eq!(world.login("PL1", &delivered[0].password()).await.status(), 200);
}

async fn create(world: &mut World, body: &Value) {
    let key = world.api_key().await;
    let created = world.send("create-customer", &Request::post("/v1/customers", body).bearer(&key)).await;
    assert_eq!(created.status(), 201, "{created:?}");
}
