//! The schedule, over rows of a legacy system.

use functions::jobs::backfill::{Summary, run};
use futures::future::join_all;
use harness::app::START;
use harness::connector::run_until_killed;
use harness::faults::{Fault, Kind, When};
use harness::world::text;
use harness::{TestApp, World};
use serde_json::json;
use shared::clock::Time;
use shared::contact::{Country, EmailAddress, Phone};
use shared::domain::customer::{Customer, Origin, Status};
use shared::domain::matching::Review;
use shared::domain::user::{Role, User};
use shared::ids::{Crn, CustomerId, UserId};
use shared::store::key::Key;
use shared::store::members::MemberLists;
use shared::store::pointer::{From, Pointer};
use shared::store::{Conflict, StoreError, Transaction};

/// The gaps that rows of a legacy system have; each makes one or more rows.
const GAPS: usize = 10;

/// Rows with the gap `n % GAPS`, made at second `n`.
struct Legacy {
    n: usize,
    at: Time,
    customers: Vec<Customer>,
    users: Vec<User>,
}

impl Legacy {
    fn new(n: usize) -> Self {
        let at = START.plus_seconds(i64::try_from(n).unwrap() - 100_000);
        let mut rows = Self { n, at, customers: Vec::new(), users: Vec::new() };
        rows.make();
        rows
    }

    fn make(&mut self) {
        let phone = Phone::parse(&format!("9{:09}", self.n), Country::INDIA).unwrap();
        match self.n % GAPS {
            0 => self.customer(|_| {}),
            1 => self.customer(|c| {
                c.customer_reference =
                    Some(Crn::issue("PLE-CVP", 2020, 900_000 + c.created_at.unix_seconds().unsigned_abs() % 99_999));
            }),
            2 => self.user(|_| {}),
            3 => {
                // One phone, and nothing else in common.
                self.customer(|c| c.contact.phone = Some(phone.clone()));
                self.user(|u| u.phone = Some(phone.clone()));
                self.users[0].email = email(self.n, "other");
            }
            4 => {
                self.user(|_| {});
                let user = self.users[0].user_id;
                self.customer(|c| c.user_id = Some(user));
            }
            5 => {
                self.customer(|_| {});
                let customer = self.customers[0].internal_id;
                self.user(|u| u.customer_v2_id = Some(customer));
            }
            6 => self.customer(|c| c.user_id = Some(UserId(c.internal_id.0))),
            7 => self.customer(|c| {
                c.origin = Origin::Intake;
                c.status = Status::PendingPayment;
            }),
            8 => {
                self.user(|_| {});
                let user = self.users[0].user_id;
                self.customer(|c| c.user_id = Some(user));
                self.users[0].customer_v2_id = Some(self.customers[0].internal_id);
            }
            _ => {
                // A family: two customers and one login on one phone.
                self.customer(|c| c.contact.phone = Some(phone.clone()));
                self.customer(|c| c.contact.phone = Some(phone.clone()));
                self.customers[1].contact.email = Some(email(self.n, "second"));
                self.user(|u| u.phone = Some(phone.clone()));
                self.users[0].email = email(self.n, "login");
            }
        }
    }

    fn customer(&mut self, change: impl FnOnce(&mut Customer)) {
        let mut customer = Customer::new(CustomerId(self.at.new_id()), Status::Active, Origin::Import, self.at);
        customer.contact.email = Some(email(self.n, "row"));
        customer.review = Some(Review::Due);
        change(&mut customer);
        self.customers.push(customer);
    }

    fn user(&mut self, change: impl FnOnce(&mut User)) {
        let mut user = User::new(UserId(self.at.new_id()), email(self.n, "row"), Role::Customer, self.at);
        user.review = Some(Review::Due);
        change(&mut user);
        self.users.push(user);
    }

    /// Writes the rows, with an item for every pointer, as the import does.
    fn save(&self, transaction: &mut Transaction) {
        for customer in &self.customers {
            transaction.save_customer(None, customer, &MemberLists::default());
            if let Some(user) = customer.user_id {
                let pointer = Pointer { target: user.0, from: From::Customer(customer.internal_id) };
                transaction.put_anyway(&pointer, Conflict::Changed);
            }
        }
        for user in &self.users {
            transaction.save_user(None, user);
            if let Some(customer) = user.customer_v2_id {
                let pointer = Pointer { target: customer.0, from: From::User(user.user_id) };
                transaction.put_anyway(&pointer, Conflict::Changed);
            }
        }
    }

    fn rows(&self) -> u64 {
        (self.customers.len() + self.users.len()) as u64
    }
}

fn email(n: usize, name: &str) -> EmailAddress {
    EmailAddress::parse(&format!("{name}-{n}@x.io")).unwrap()
}

/// Stores rows with every gap; answers how many there are.
async fn legacy(app: &TestApp, gaps: usize) -> u64 {
    let store = app.raw_store();
    let all: Vec<_> = (0..gaps).map(Legacy::new).collect();
    for chunk in all.chunks(16) {
        join_all(chunk.iter().map(|rows| async {
            let mut transaction = store.transaction();
            rows.save(&mut transaction);
            transaction.commit(&store).await.unwrap();
        }))
        .await;
    }
    all.iter().map(Legacy::rows).sum()
}

fn counted(summary: &Summary) -> u64 {
    summary.tally.errors
        + summary.tally.ambiguous
        + summary.tally.created
        + summary.tally.linked
        + summary.tally.skipped
}

/// Everything is straight but for the families, whom only a person can tell apart.
fn assert_repaired(world: &World) {
    let broken = world.broken();
    let unexplained: Vec<_> = broken.iter().filter(|line| !of_a_family(world, line)).collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    assert!(world.items.values().all(|item| item["review"] != "due"));
}

fn of_a_family(world: &World, line: &str) -> bool {
    let rows = world.of("customer").into_iter().chain(world.of("user"));
    let ids = rows.filter(|row| row["review"] == "ambiguous").map(|row| row["pk"].as_str().unwrap());
    ids.map(|pk| pk.split_once('#').unwrap().1).any(|id| line.contains(id))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_rows_with_every_gap_are_repaired_though_it_dies_half_way_and_runs_twice_at_once() {
    let (app, _, _) = TestApp::start().await;
    let total = legacy(&app, 1_420).await;
    assert!(total >= 2_000, "{total}");
    app.connector.inject(Fault { at: When::Call(2_500), kind: Kind::Kill { after: true } });
    assert!(run_until_killed(&app.connector, run(&app.app, None)).await.is_none(), "it dies half-way");
    app.connector.reset();
    let (other, _) = app.another();
    let (one, two) = tokio::join!(run(&app.app, None), run(&other, None));
    let (one, two) = (one.unwrap(), two.unwrap());
    for summary in [&one, &two] {
        assert_eq!(
            (counted(summary), summary.tally.errors, summary.remaining),
            (summary.tally.total, 0, 0),
            "{summary:?}"
        );
    }
    let world = app.world().await;
    assert_repaired(&world);
    assert!(world.of("outbox").is_empty(), "nobody is invited unasked");
    let leads = world.of("customer").into_iter().filter(|c| c["origin"] == "intake");
    assert!(leads.into_iter().all(|lead| lead["user_id"].is_null() && lead["customer_reference"].is_string()));
    let again = run(&app.app, None).await.unwrap();
    assert_eq!((again.tally.total, again.remaining), (0, 0), "{again:?}");
    let after = app.world().await;
    assert_eq!(world.items, after.items, "a further run changes nothing");
}

#[tokio::test]
async fn each_gap_is_counted_as_what_it_took_to_close_it() {
    let (app, _, _) = TestApp::start().await;
    let total = legacy(&app, GAPS).await;
    let summary = run(&app.app, None).await.unwrap();
    assert_eq!((summary.tally.total, counted(&summary), summary.tally.errors), (total, total, 0), "{summary:?}");
    // Created: two customers without login, one login without customer, one dangling pointer.
    // Linked: by phone, two half-links, and a pair that lacked its number; their other rows are
    // skipped, as is the lead. The family is three ambiguous rows, with a
    // reference each and a number.
    assert_eq!((summary.tally.created, summary.tally.linked, summary.tally.ambiguous), (4, 4, 3), "{summary:?}");
    assert_eq!(summary.tally.numbered, 9, "{summary:?}");
    assert_repaired(&app.world().await);
}

#[tokio::test]
async fn numbers_are_given_in_order_of_creation() {
    let (app, _, _) = TestApp::start().await;
    legacy(&app, 60).await;
    run(&app.app, None).await.unwrap();
    let world = app.world().await;
    let mut users: Vec<_> = world.of("user").into_iter().filter(|user| user["customer_v2_id"].is_string()).collect();
    users.sort_by_key(|user| text(user, "customer_number")[2..].parse::<u64>().unwrap());
    let customer_time = |user: &serde_json::Value| {
        text(world.at(&format!("CUSTOMER#{}", text(user, "customer_v2_id"))).unwrap(), "created_at").to_owned()
    };
    let times: Vec<_> =
        users.iter().map(|user| text(user, "created_at").min(&customer_time(user)).to_owned()).collect();
    assert!(times.is_sorted() || times.iter().all(|time| time.as_str() >= "2026-11-20"), "{times:?}");
}

#[tokio::test]
async fn an_idle_run_reads_the_same_however_many_customers_there_are() {
    let (app, _, admin) = TestApp::start().await;
    let idle = async || {
        app.connector.start_recording();
        run(&app.app, None).await.unwrap();
        app.connector.take_recording().calls.len()
    };
    assert_eq!(idle().await, 1);
    for n in 0..20 {
        admin.post("/v1/customers", json!({ "id": format!("c{n}") })).await.expect(201);
    }
    assert_eq!(idle().await, 1);
}

#[tokio::test]
async fn a_run_stops_before_its_deadline_and_the_next_goes_on() {
    let (app, _, _) = TestApp::start().await;
    let total = legacy(&app, 30).await;
    let stopped = run(&app.app, Some(START)).await.unwrap();
    assert_eq!((stopped.tally.total, stopped.remaining), (0, total));
    let rest = run(&app.app, Some(START.plus_seconds(300))).await.unwrap();
    assert_eq!((rest.tally.total, rest.remaining), (total, 0));
}

#[tokio::test]
async fn a_message_that_was_not_delivered_is_put_on_its_way_again() {
    let (app, _, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "email": "a@x.io" })).await.expect(201);
    run(&app.app, None).await.unwrap();
    assert_eq!(app.world().await.messages("invitation")[0]["redrives"], 0, "it is not late yet");
    app.clock.advance_seconds(301);
    run(&app.app, None).await.unwrap();
    assert_eq!(app.world().await.messages("invitation")[0]["redrives"], 1);
    app.deliver_mail().await;
    assert_eq!(app.delivered().len(), 1);
    app.clock.advance_seconds(100_000);
    app.connector.start_recording();
    run(&app.app, None).await.unwrap();
    assert_eq!(app.connector.take_recording().calls.len(), 1, "what is sent has left the queue");
}

#[tokio::test]
async fn a_death_after_any_call_leaves_nothing_half_made() {
    for gap in 0..GAPS {
        let mut n = 0;
        loop {
            n += 1;
            let (app, _, _) = TestApp::start().await;
            let store = app.raw_store();
            let rows = Legacy::new(gap);
            let mut transaction = store.transaction();
            rows.save(&mut transaction);
            transaction.commit(&store).await.unwrap();
            app.connector.inject(Fault { at: When::Call(n), kind: Kind::Kill { after: true } });
            let died = run_until_killed(&app.connector, run(&app.app, None)).await.is_none();
            app.connector.reset();
            run(&app.app, None).await.unwrap();
            assert_repaired(&app.world().await);
            if !died {
                break;
            }
        }
        assert!(n > 2, "gap {gap} took {n} calls");
    }
}

#[tokio::test]
async fn a_counter_never_goes_back() {
    let (app, _, admin) = TestApp::start().await;
    let store = app.raw_store();
    assert!(store.advance_counter(&Key::number_counter(), 23).await.unwrap());
    let customer = admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    assert_eq!(customer.str("customerId"), "PL24");
    assert!(!store.advance_counter(&Key::number_counter(), 23).await.unwrap());
    assert_eq!(store.last_drawn(&Key::number_counter()).await.unwrap(), 24);
}

#[tokio::test]
async fn a_counter_that_fails_is_not_taken_for_one_that_stands_higher() {
    let (app, ..) = TestApp::start().await;
    app.connector.inject_with(|_| Some(Kind::InternalError));
    let moved = app.app.store.advance_counter(&Key::number_counter(), 23).await;
    assert!(matches!(moved, Err(StoreError::Unavailable(_))), "{moved:?}");
}

#[tokio::test]
async fn what_was_issued_is_drawn_past_where_the_counters_are_behind() {
    let (app, _, admin) = TestApp::start().await;
    admin.post("/v1/customers", json!({ "id": "a" })).await.expect(201);
    let store = app.raw_store();
    for counter in [Key::crn_counter(2026), Key::number_counter()] {
        let delete = store.client().delete_item().table_name(store.table());
        delete.set_key(Some(counter.attributes())).send().await.unwrap();
    }
    let next = admin.post("/v1/customers", json!({ "id": "b" })).await.expect(201);
    assert_eq!((next.str("customer_reference"), next.str("customerId")), ("PLE-CVP-2026-000002", "PL2"));
    let world = app.world().await;
    world.assert_straight();
    assert_eq!(world.ahead_of_counters(), Vec::<String>::new());
}
