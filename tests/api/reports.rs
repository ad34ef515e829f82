//! `GET /admin/dashboard`, `/admin/link-audit` and `/admin/data-quality`: every figure against a
//! recount of the raw table.

use std::collections::{BTreeMap, BTreeSet};

use functions::jobs::backfill::run;
use functions::reports::read;
use harness::app::START;
use harness::rng::Rng;
use harness::world::text;
use harness::{Actor, TestApp, World};
use serde_json::{Value, json};
use shared::contact::EmailAddress;
use shared::domain::customer::{Customer, Origin, Status};
use shared::domain::matching::Review;
use shared::domain::message::{Message, MessageKind};
use shared::domain::user::{Role, TemporaryPassword, User};
use shared::ids::{Crn, CustomerId, CustomerNumber, UserId};
use shared::store::members::MemberLists;

/// Rows that are made of either kind; half as many pairs come on top.
const ROWS: usize = 60;

fn email(name: &str, n: usize) -> EmailAddress {
    EmailAddress::parse(&format!("{name}-{n}@x.io")).unwrap()
}

fn a_user(rng: &mut Rng, n: usize, customers: &[CustomerId]) -> User {
    let role = [Role::Customer, Role::Customer, Role::Customer, Role::DeliveryBoy, Role::Admin][rng.place(5)];
    let mut user = User::new(UserId(START.new_id()), email("user", n), role, START);
    user.enabled = rng.place(4) > 0;
    user.password_hash = (rng.place(3) > 0).then(|| "no hash at all".to_owned());
    let expires_at = [None, Some(START), Some(START.plus_seconds(60))][rng.place(3)];
    user.temporary = (rng.place(2) > 0).then_some(TemporaryPassword { expires_at, kid: None });
    user.credential_epoch = 1 + u64::from(rng.place(2) > 0);
    user.customer_number = (rng.place(3) > 0).then(|| CustomerNumber::issue("PL", 1_000 + n as u64));
    // Few of those that exist, so that several point to one; else nobody's.
    user.customer_v2_id = match rng.place(4) {
        0 => None,
        1 => Some(CustomerId(START.new_id())),
        _ => Some(customers[rng.place(customers.len())]),
    };
    user.review = (rng.place(5) == 0).then_some(Review::Ambiguous);
    user
}

fn a_customer(rng: &mut Rng, n: usize, id: CustomerId, users: &[UserId]) -> Customer {
    let status =
        [Status::PendingPayment, Status::PaymentFailed, Status::Trial, Status::Active, Status::Inactive][rng.place(5)];
    let origin = [Origin::Intake, Origin::Import, Origin::Intake][rng.place(3)];
    let mut customer = Customer::new(id, status, origin, START);
    customer.customer_reference =
        (rng.place(4) > 0).then(|| Crn::issue("PLE-CVP", 2020, 900_000 + u64::try_from(n).unwrap()));
    customer.contact.email = match rng.place(3) {
        0 => None,
        1 => Some(EmailAddress::placeholder(&format!("customer-{n}"), "earlybird.local")),
        _ => Some(email("customer", n)),
    };
    customer.user_id = match rng.place(4) {
        0 | 1 => None,
        2 => Some(UserId(START.new_id())),
        _ => Some(users[rng.place(users.len())]),
    };
    customer
}

async fn store(app: &TestApp, users: &[User], customers: &[Customer], messages: &[Message]) {
    let store = app.raw_store();
    for user in users {
        let mut transaction = store.transaction();
        transaction.save_user(None, user);
        transaction.commit(&store).await.unwrap();
    }
    for customer in customers {
        let mut transaction = store.transaction();
        transaction.save_customer(None, customer, &MemberLists::default());
        transaction.commit(&store).await.unwrap();
    }
    for message in messages {
        let mut transaction = store.transaction();
        transaction.save_message(None, message);
        transaction.commit(&store).await.unwrap();
    }
}

/// Rows with every defect, as `seed` has it.
async fn chaos(app: &TestApp, seed: u64) {
    let mut rng = Rng::new(seed);
    let ids: Vec<CustomerId> = (0..ROWS).map(|_| CustomerId(START.new_id())).collect();
    let mut users: Vec<User> = (0..ROWS).map(|n| a_user(&mut rng, n, &ids[..ROWS / 3])).collect();
    let own: Vec<UserId> = users.iter().map(|user| user.user_id).collect();
    let mut customers: Vec<Customer> =
        ids.iter().enumerate().map(|(n, id)| a_customer(&mut rng, n, *id, &own[..ROWS / 3])).collect();
    for n in ROWS..ROWS * 3 / 2 {
        let mut user = a_user(&mut rng, n, &ids);
        let mut customer = a_customer(&mut rng, n, CustomerId(START.new_id()), &own);
        user.customer_v2_id = Some(customer.internal_id);
        customer.user_id = Some(user.user_id);
        users.push(user);
        customers.push(customer);
    }
    let mut messages = Vec::new();
    for user in &users {
        if rng.place(3) == 0 {
            let mut message = Message::to_user(MessageKind::Invitation, user, START);
            message.epoch = 1;
            messages.push(message);
        }
    }
    store(app, &users, &customers, &messages).await;
}

/// The table, looked at as API.md words it.
struct Recount<'a> {
    users: BTreeMap<&'a str, &'a Value>,
    customers: BTreeMap<&'a str, &'a Value>,
    invited: BTreeSet<(&'a str, u64)>,
    now: String,
}

impl<'a> Recount<'a> {
    fn of(world: &'a World, now: String) -> Self {
        let users = world.of("user").into_iter().map(|user| (text(user, "user_id"), user)).collect();
        let customers = world.of("customer").into_iter().map(|it| (text(it, "internal_id"), it)).collect();
        let pending = world.messages("invitation").into_iter().filter(|message| message["state"] == "pending");
        let invited = pending.map(|it| (text(it, "user_id"), it["epoch"].as_u64().unwrap())).collect();
        Self { users, customers, invited, now }
    }

    fn u(&self) -> Vec<&'a Value> {
        self.users.values().copied().filter(|user| user["role"] == "customer").collect()
    }

    fn v(&self) -> Vec<&'a Value> {
        self.customers.values().copied().filter(|customer| !is_lead(customer)).collect()
    }

    fn in_u(&self, id: &str) -> Option<&'a Value> {
        self.users.get(id).copied().filter(|user| user["role"] == "customer")
    }

    fn signs_in(&self, user: &Value) -> bool {
        let end = text(&user["temporary"], "expires_at");
        let works = user["password_hash"].is_string() && (end.is_empty() || end > self.now.as_str());
        let invited = self.invited.contains(&(text(user, "user_id"), user["credential_epoch"].as_u64().unwrap()));
        user["enabled"] == true && (works || invited)
    }

    /// Pointers to nobody, and pointers to somebody that are no half of a pair.
    fn broken_pointers(&self) -> (usize, usize) {
        let (mut dangling, mut one_way) = (0, 0);
        for user in self.u().into_iter().filter(|user| user["customer_v2_id"].is_string()) {
            match self.customers.get(text(user, "customer_v2_id")) {
                None => dangling += 1,
                Some(customer) => one_way += usize::from(!is_pair(user, customer)),
            }
        }
        for customer in self.v().into_iter().filter(|customer| customer["user_id"].is_string()) {
            match self.users.get(text(customer, "user_id")) {
                None => dangling += 1,
                Some(user) => one_way += usize::from(!is_pair(user, customer)),
            }
        }
        (dangling, one_way)
    }

    fn duplicates(rows: &[&Value], field: &str) -> usize {
        let mut pointing: BTreeMap<&str, usize> = BTreeMap::new();
        for row in rows.iter().filter(|row| row[field].is_string()) {
            *pointing.entry(text(row, field)).or_default() += 1;
        }
        pointing.values().filter(|n| **n > 1).count()
    }

    /// Every figure of the three reports, by its name.
    fn figures(&self) -> BTreeMap<&'static str, Value> {
        let (u, v) = (self.u(), self.v());
        let linked = u.iter().filter(|user| user["customer_v2_id"].is_string()).count();
        let pairs = u.iter().flat_map(|user| v.iter().map(move |customer| (user, customer)));
        let mutual = pairs.filter(|(user, customer)| is_pair(user, customer)).count();
        let orphans = v.iter().filter(|customer| customer["user_id"].is_null()).count();
        let (dangling, one_way) = self.broken_pointers();
        let has_login = |customer: &Value| self.in_u(text(customer, "user_id")).is_some_and(|it| self.signs_in(it));
        let real = |it: &Value| it["email"].is_string() && !text(it, "email").ends_with("@earlybird.local");
        let most = u.len().max(v.len());
        let number = |n: usize| f64::from(u32::try_from(n).unwrap());
        let share = if most == 0 { 100.0 } else { 100.0 * number(mutual) / number(most) };
        let healthy = mutual == u.len() && mutual == v.len();
        BTreeMap::from([
            ("legacy_customers", json!(u.len())),
            ("v2_customers", json!(v.len())),
            ("linked_customers", json!(mutual)),
            ("total_unique_customers", json!(u.len() + v.len() - mutual)),
            ("leads", json!(self.customers.len() - v.len())),
            ("users_linked", json!(linked)),
            ("users_orphaned", json!(u.len() - linked)),
            ("customers_orphaned", json!(orphans)),
            ("total_sync_issues", json!(u.len() - linked + orphans)),
            ("can_login", json!(u.iter().filter(|user| self.signs_in(user)).count())),
            ("cannot_login", json!(v.iter().filter(|customer| !has_login(customer)).count())),
            ("missing_email", json!(v.iter().filter(|customer| !real(customer)).count())),
            ("verified_linked", json!(mutual)),
            ("one_way_links", json!(one_way)),
            ("dangling_links", json!(dangling)),
            ("duplicate_links", json!(Self::duplicates(&u, "customer_v2_id") + Self::duplicates(&v, "user_id"))),
            (
                "missing_customer_reference",
                json!(self.customers.values().filter(|customer| customer["customer_reference"].is_null()).count()),
            ),
            ("missing_customer_number", json!(u.iter().filter(|user| user["customer_number"].is_null()).count())),
            ("total_users", json!(u.len())),
            ("total_v2_customers", json!(v.len())),
            ("linked_records", json!(linked)),
            ("orphaned_users", json!(u.len() - linked)),
            ("orphaned_v2", json!(orphans)),
            ("linkage_completeness", json!(format!("{share:.1}%"))),
            ("status", json!(if healthy { "HEALTHY" } else { "NEEDS ATTENTION" })),
        ])
    }
}

fn is_lead(customer: &Value) -> bool {
    let unpaid = ["pending_payment", "payment_failed"].contains(&text(customer, "status"));
    customer["origin"] == "intake" && unpaid && customer["user_id"].is_null()
}

/// The three reports as one.
async fn reports(admin: &Actor) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for name in ["dashboard", "link-audit", "data-quality"] {
        let answer = admin.get(&format!("/admin/{name}")).await.expect(200);
        assert!(answer.json["as_of"].is_string(), "{}", answer.text);
        all.extend(answer.json.as_object().unwrap().clone());
    }
    all
}

/// Every figure of the reports is that of a recount.
pub(crate) async fn assert_true(app: &TestApp, admin: &Actor) -> BTreeMap<String, Value> {
    let reports = reports(admin).await;
    let world = app.world().await;
    let recount = Recount::of(&world, app.clock.now().to_string()).figures();
    for (name, figure) in &recount {
        assert_eq!(reports[*name], *figure, "{name}");
    }
    let beside = ["as_of", "by_status", "systems_in_use", "samples"];
    assert!(reports.keys().all(|name| beside.contains(&name.as_str()) || recount.contains_key(name.as_str())));
    let mut by_status = BTreeMap::from(
        ["pending_payment", "payment_failed", "trial", "active", "inactive"].map(|status| (status.to_owned(), 0)),
    );
    for customer in world.of("customer") {
        *by_status.entry(text(customer, "status").to_owned()).or_default() += 1;
    }
    assert_eq!(reports["by_status"], json!(by_status));
    reports
}

#[tokio::test(flavor = "multi_thread")]
async fn every_figure_is_that_of_a_recount_of_the_raw_table() {
    for seed in [1, 20_261_120, 7_777_777] {
        println!("seed {seed}");
        let (app, _, admin) = TestApp::start().await;
        chaos(&app, seed).await;
        let reports = assert_true(&app, &admin).await;
        for name in ["one_way_links", "dangling_links", "duplicate_links", "leads", "users_orphaned", "verified_linked"]
        {
            assert!(reports[name].as_u64().unwrap() > 0, "{name}: the rows have every defect");
        }
        assert_eq!(reports["systems_in_use"], json!(["users", "customers_v2"]));
        for (name, cases) in reports["samples"].as_object().unwrap() {
            let figure = reports.get(name).and_then(Value::as_u64);
            let shown = cases.as_array().unwrap().len() as u64;
            assert!(shown <= 10 && (figure.is_none_or(|n| n == 0) || shown > 0), "{name}");
        }
    }
}

#[tokio::test]
async fn nobody_at_all_is_healthy() {
    let (app, _, admin) = TestApp::start().await;
    let reports = assert_true(&app, &admin).await;
    assert_eq!((&reports["linkage_completeness"], &reports["status"]), (&json!("100.0%"), &json!("HEALTHY")));
    assert_eq!((&reports["legacy_customers"], &reports["systems_in_use"]), (&json!(0), &json!([])));
}

#[tokio::test]
async fn whoever_came_by_the_api_is_linked_and_can_sign_in_until_the_invitation_is_over() {
    let (app, nobody, admin) = TestApp::start().await;
    for n in 0..3 {
        admin.post("/v1/customers", json!({ "email": format!("c{n}@x.io") })).await.expect(201);
    }
    nobody.intake("lead@x.io").await.expect(201);
    let before = assert_true(&app, &admin).await;
    assert_eq!((&before["can_login"], &before["status"], &before["leads"]), (&json!(3), &json!("HEALTHY"), &json!(1)));
    app.deliver_mail().await;
    assert_eq!(assert_true(&app, &admin).await["can_login"], 3);
    app.clock.advance_seconds(7 * 86_400);
    let admin = nobody.with_token(crate::accounts::api_key(&app).await);
    let after = assert_true(&app, &admin).await;
    assert_eq!((&after["can_login"], &after["cannot_login"]), (&json!(0), &json!(3)));
}

#[tokio::test]
async fn a_table_that_is_too_large_is_answered_as_the_backfill_counted_it_last() {
    let (app, _, admin) = TestApp::start().await;
    let create = async |n: usize| {
        admin.post("/v1/customers", json!({ "email": format!("c{n}@x.io") })).await.expect(201);
        app.deliver_mail().await;
    };
    let shown = async || {
        let report = read(&app.app, 2).await.unwrap();
        (report.figures.customers, report.as_of)
    };
    create(0).await;
    create(1).await;
    assert_eq!(shown().await, (2, START), "it was never counted: it is, now");
    assert_eq!(app.world().await.of("report").len(), 1, "and the backfill is asked to");
    create(2).await;
    run(&app.app, None).await.unwrap();
    create(3).await;
    assert_eq!(shown().await, (3, START));
    run(&app.app, None).await.unwrap();
    assert_eq!(shown().await, (3, START), "what was counted is fresh for a while");
    app.clock.advance_seconds(15 * 60);
    run(&app.app, None).await.unwrap();
    app.connector.start_recording();
    run(&app.app, None).await.unwrap();
    assert_eq!(app.connector.take_recording().calls.len(), 1, "nobody has asked since");
    assert_eq!(shown().await, (4, START.plus_seconds(15 * 60)));
    let live = admin.get("/admin/dashboard").await.expect(200);
    assert_eq!(live.json["v2_customers"], 4, "few rows are counted while the caller waits");
}

#[tokio::test]
async fn a_count_that_takes_too_long_gives_way_to_the_last_one_however_few_rows_there_are() {
    let (app, _, admin) = TestApp::start().await;
    let slow = || {
        let clock = app.clock.clone();
        app.connector.rewrite(Box::new(move |operation: &str, body: &mut Value| {
            if operation == "Scan" {
                body["Limit"] = json!(1);
                clock.advance_seconds(21);
            }
        }));
    };
    admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    slow();
    admin.get("/admin/dashboard").await.refused(503, "unavailable");
    assert_eq!(app.world().await.of("report").len(), 1, "the backfill is asked to count");
    app.connector.stop_rewriting();
    let counted_at = app.clock.now();
    run(&app.app, None).await.unwrap();
    admin.post("/v1/customers", json!({ "id": "b" })).await.expect(201);
    slow();
    let shown = admin.get("/admin/dashboard").await.expect(200);
    assert_eq!((&shown.json["v2_customers"], shown.str("as_of")), (&json!(1), counted_at.to_string().as_str()));
}

fn is_pair(user: &Value, customer: &Value) -> bool {
    !is_lead(customer)
        && user["role"] == "customer"
        && text(user, "customer_v2_id") == text(customer, "internal_id")
        && text(customer, "user_id") == text(user, "user_id")
}
