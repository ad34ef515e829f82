//! `backfill`, one run, and `notify`, one message.

use functions::jobs::backfill::run;
use local::stream::{StreamLoop, streams_client};
use serde_json::json;
use shared::contact::EmailAddress;
use shared::domain::customer::{Customer, Origin, Status};
use shared::domain::matching::Review;
use shared::domain::user::{Role, User};
use shared::ids::{CustomerId, UserId};
use shared::store::members::MemberLists;

use super::{Case, Meter, customer};
use crate::app::{START, TABLE};

pub(super) async fn measure(meter: &mut Meter) {
    backfill(meter).await;
    notify(meter).await;
}

async fn backfill(meter: &mut Meter) {
    let app = meter.app.app.clone();
    meter.work(Case::new("backfill", "a run, idle").within(1), run(&app, None)).await.unwrap();

    let mut lonely = Customer::new(CustomerId(START.new_id()), Status::Active, Origin::Import, START);
    lonely.contact.email = Some(EmailAddress::parse("lonely@x.io").unwrap());
    lonely.review = Some(Review::Due);
    let store = meter.app.raw_store();
    let mut transaction = store.transaction();
    transaction.save_customer(None, &lonely, &MemberLists::default());
    transaction.commit(&store).await.unwrap();
    let case = Case::new("backfill", "a run that gives one customer a reference, a login and a number");
    let summary = meter.work(case, run(&app, None)).await.unwrap();
    assert_eq!((summary.tally.total, summary.tally.created), (1, 1), "{summary:?}");

    let email = EmailAddress::parse("orphan@x.io").unwrap();
    let mut orphan = User::new(UserId(START.new_id()), email, Role::Customer, START);
    orphan.review = Some(Review::Due);
    meter.app.save(&orphan).await;
    let case = Case::new("backfill", "a run that gives one login a number and a customer");
    let summary = meter.work(case, run(&app, None)).await.unwrap();
    assert_eq!((summary.tally.total, summary.tally.created), (1, 1), "{summary:?}");
}

async fn notify(meter: &mut Meter) {
    let (app, nobody, admin) = (meter.app.app.clone(), meter.nobody.clone(), meter.admin.clone());
    let mut stream = StreamLoop::new(streams_client(meter.app.endpoint()), TABLE.into());
    // What came before is not what is measured.
    stream.deliver(&app).await.unwrap();
    admin.post("/v1/customers", customer("invited")).await.expect(201);
    meter.work(Case::new("notify", "an invitation").hashing(1), stream.deliver(&app)).await.unwrap();
    nobody.post("/auth/forgot-password", json!({ "email": "invited@x.io" })).await.expect(200);
    meter.work(Case::new("notify", "a reset link"), stream.deliver(&app)).await.unwrap();
    nobody.post("/auth/forgot-password", json!({ "email": "unknown@x.io" })).await.expect(200);
    meter.work(Case::new("notify", "a reset link for nobody"), stream.deliver(&app)).await.unwrap();
    nobody.intake("invited@x.io").await.refused(409, "customer_exists");
    meter.work(Case::new("notify", "a notice"), stream.deliver(&app)).await.unwrap();
    assert_eq!(meter.app.delivered().iter().filter(|letter| letter.to == "invited@x.io").count(), 3);
}
