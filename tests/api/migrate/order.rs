//! Whom a row is linked with does not depend on which row is looked at first.
//!
//! Small worlds of users and customers who share phones and addresses and point at each other at
//! random, all in one table, are brought over in several orders, by the migration and by the schedule.

use std::collections::BTreeMap;

use functions::jobs::backfill;
use functions::jobs::undo::down;
use futures::future::join_all;
use harness::app::START;
use harness::rng::{Rng, seed_to_replay};
use harness::{TestApp, World};
use shared::clock::Time;
use shared::contact::{Country, EmailAddress, Phone};
use shared::domain::customer::{Customer, Origin, Status};
use shared::domain::legacy::{Legacy, Source};
use shared::domain::matching::Review;
use shared::domain::user::{Role, User};
use shared::ids::{CustomerId, UserId};
use shared::store::key::Key;
use shared::store::members::{EmailMembers, MemberLists};
use shared::store::pointer::{From, Pointer};
use shared::store::{Conflict, Store};
use uuid::Uuid;

use super::undo::assert_restored;
use super::{assert_same, assert_settled, migrate, picture};

/// How many worlds.
const WORLDS: u64 = 300;

/// A user or a customer.
enum Row {
    User(Box<User>),
    Customer(Box<Customer>),
}

/// The rows of world `seed`, in no order.
struct Graph {
    seed: u64,
    rng: Rng,
    users: Vec<UserId>,
    customers: Vec<CustomerId>,
}

impl Graph {
    fn rows(seed: u64) -> Vec<Row> {
        let mut rng = Rng::new(seed);
        let id = |kind: u128, n: u64| Uuid::from_u128((u128::from(seed) << 64) | (kind << 32) | u128::from(n));
        let (users, customers) = (1 + rng.below(4), 1 + rng.below(5));
        let users = (0..users).map(|n| UserId(id(1, n))).collect();
        let customers = (0..customers).map(|n| CustomerId(id(2, n))).collect();
        let mut graph = Self { seed, rng, users, customers };
        let users: Vec<Row> = (0..graph.users.len()).map(|n| Row::User(Box::new(graph.user(n)))).collect();
        let customers = (0..graph.customers.len()).map(|n| Row::Customer(Box::new(graph.customer(n))));
        users.into_iter().chain(customers).collect()
    }

    fn user(&mut self, n: usize) -> User {
        let role = if self.rng.percent(10) { Role::DeliveryBoy } else { Role::Customer };
        // A login has an address of its own, of which there are three.
        let email = if n < 3 && self.rng.percent(75) { self.email(n as u64) } else { self.placeholder(n) };
        let mut user = User::new(self.users[n], email, role, START);
        user.phone = self.phone();
        user.customer_v2_id = match self.rng.below(10) {
            0 => Some(CustomerId(Uuid::from_u128(u128::from(self.seed) << 64))),
            1..=3 => Some(self.rng.pick(&self.customers)),
            _ => None,
        };
        user.legacy = Some(Legacy { source: Source::Users, id: n.to_string(), unread: BTreeMap::new() });
        user
    }

    fn customer(&mut self, n: usize) -> Customer {
        let lead = self.rng.percent(10);
        let (status, origin) =
            if lead { (Status::PendingPayment, Origin::Intake) } else { (Status::Active, Origin::Import) };
        let mut customer = Customer::new(self.customers[n], status, origin, START);
        let email = self.rng.below(3);
        customer.contact.email = self.rng.percent(70).then(|| self.email(email));
        customer.contact.phone = self.phone();
        customer.user_id = match self.rng.below(10) {
            0 => Some(UserId(Uuid::from_u128(u128::from(self.seed) << 64))),
            1..=3 if !lead => Some(self.rng.pick(&self.users)),
            _ => None,
        };
        customer.user_id = customer.user_id.filter(|_| !lead);
        customer.legacy = Some(Legacy { source: Source::CustomersV2, id: n.to_string(), unread: BTreeMap::new() });
        customer
    }

    fn email(&self, n: u64) -> EmailAddress {
        EmailAddress::parse(&format!("w{}-{n}@x.io", self.seed)).unwrap()
    }

    fn placeholder(&self, n: usize) -> EmailAddress {
        EmailAddress::placeholder(&format!("w{}-u{n}", self.seed), "earlybird.local")
    }

    /// One of three numbers, or none.
    fn phone(&mut self) -> Option<Phone> {
        let n = self.rng.below(5);
        let text = format!("9{:08}{n}", self.seed % 100_000_000);
        (n < 3).then(|| Phone::parse(&text, Country::INDIA).unwrap())
    }
}

/// Writes one world as the import does, its rows in the order in which they are given. Rows of one
/// world share lists, and so come one after the other.
async fn save(store: &Store, rows: Vec<Row>, review: Review, begin: Time) {
    for (n, row) in rows.into_iter().enumerate() {
        let at = begin.plus_seconds(i64::try_from(n).unwrap());
        let mut transaction = store.transaction();
        let pointer = match row {
            Row::User(user) => {
                let user = User { created_at: at, review: Some(review), ..*user };
                transaction.save_user(None, &user);
                user.customer_v2_id.map(|target| Pointer { target: target.0, from: From::User(user.user_id) })
            }
            Row::Customer(customer) => {
                let customer = Customer { created_at: at, review: Some(review), ..*customer };
                let list = match &customer.contact.email {
                    Some(email) => store.get::<EmailMembers>(&Key::email_members(email)).await.unwrap(),
                    None => None,
                };
                transaction.save_customer(None, &customer, &MemberLists::of(list));
                customer.user_id.map(|target| Pointer { target: target.0, from: From::Customer(customer.internal_id) })
            }
        };
        if let Some(pointer) = pointer {
            transaction.put_anyway(&pointer, Conflict::Changed);
        }
        transaction.commit(store).await.unwrap();
    }
}

/// A table with the worlds of `seeds`, the rows of each in an order that `order` draws.
async fn worlds(seeds: &[u64], review: Review, order: u64) -> TestApp {
    let (app, _, _) = TestApp::start().await;
    app.stop_stream().await;
    let store = app.raw_store();
    for chunk in seeds.chunks(16) {
        join_all(chunk.iter().map(|seed| {
            let mut rng = Rng::new(order.wrapping_mul(0x9e37_79b9).wrapping_add(*seed));
            let rows = Graph::rows(*seed);
            let shuffled = if order == 0 { rows } else { rng.sample(rows, usize::MAX) };
            // Worlds overlap in time, so that a page has rows of several.
            let begin = START.plus_seconds(i64::try_from(rng.below(1_000)).unwrap() - 100_000);
            save(&store, shuffled, review, begin)
        }))
        .await;
    }
    app
}

/// The seeds of this run: all, or the one to replay.
fn seeds() -> Vec<u64> {
    seed_to_replay().map_or_else(|| (1..=WORLDS).collect(), |seed| vec![seed])
}

/// Checks that two worlds came to the same, and names those that did not.
#[track_caller]
fn assert_same_end(one: &World, two: &World, which: &str) {
    assert_same(&picture(one), &picture(two), &format!("{which} (the first half of an id is its SEED, in hex)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_worlds_end_the_same_in_whatever_order_they_are_walked() {
    let seeds = seeds();
    let first = worlds(&seeds, Review::Staged, 0).await;
    migrate(&first.app).await;
    let first = first.world().await;
    assert_settled(&first);
    for order in [1, 2] {
        let app = worlds(&seeds, Review::Staged, order).await;
        migrate(&app.app).await;
        let world = app.world().await;
        assert_settled(&world);
        assert_same_end(&first, &world, &format!("order {order}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_comes_to_the_same_end_and_is_undone_the_same_way() {
    let seeds: Vec<u64> = seeds().into_iter().take(60).collect();
    let by_hand = worlds(&seeds, Review::Staged, 0).await;
    migrate(&by_hand.app).await;
    let app = worlds(&seeds, Review::Due, 3).await;
    let before = app.world().await;
    let summary = backfill::run(&app.app, None).await.unwrap();
    assert_eq!((summary.tally.errors, summary.remaining), (0, 0), "{summary:?}");
    let after = app.world().await;
    assert_settled(&after);
    assert_same_end(&by_hand.world().await, &after, "the schedule");

    let undone = down(&app.app, summary.run_id, false, |entry, why| panic!("{entry:?} {why:?}")).await.unwrap();
    assert!(undone.unwrap().restored > 0);
    assert_restored(&before, &app.world().await);
    backfill::run(&app.app, None).await.unwrap();
    assert_same_end(&after, &app.world().await, "done again");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_at_once_come_to_the_same_end() {
    let seeds: Vec<u64> = seeds().into_iter().take(100).collect();
    let alone = worlds(&seeds, Review::Staged, 0).await;
    migrate(&alone.app).await;
    let app = worlds(&seeds, Review::Staged, 4).await;
    let (other, _) = app.another();
    tokio::join!(migrate(&app.app), migrate(&other));
    let world = app.world().await;
    assert_settled(&world);
    assert_same_end(&alone.world().await, &world, "two at once");
}

/// The two defects that three hundred worlds are to find if they come back, told by hand.
#[tokio::test]
async fn who_goes_by_phone_stands_in_nobodys_way_by_address() {
    for reversed in [false, true] {
        let (app, _, _) = TestApp::start().await;
        let graph = || Graph { seed: 1, rng: Rng::new(1), users: Vec::new(), customers: Vec::new() };
        let phone = Phone::parse("9876543210", Country::INDIA).unwrap();
        let legacy = || Some(Legacy { source: Source::CustomersV2, id: "x".into(), unread: BTreeMap::new() });
        let mut user = User::new(UserId(Uuid::from_u128(1)), graph().email(0), Role::Customer, START);
        (user.phone, user.legacy) = (Some(phone.clone()), legacy());
        let mut rows = vec![Row::User(Box::new(user))];
        // One goes with the user by phone; two share the user's address, and are nobody's.
        for n in 2..=4 {
            let id = CustomerId(Uuid::from_u128(n));
            let mut customer = Customer::new(id, Status::Active, Origin::Import, START);
            customer.legacy = legacy();
            customer.contact.phone = (n == 2).then(|| phone.clone());
            customer.contact.email = (n > 2).then(|| graph().email(0));
            rows.push(Row::Customer(Box::new(customer)));
        }
        if reversed {
            rows.reverse();
        }
        save(&app.raw_store(), rows, Review::Staged, START.plus_seconds(-100)).await;
        let tally = migrate(&app.app).await.tally;
        assert_eq!((tally.linked, tally.created, tally.ambiguous), (1, 2, 0), "reversed: {reversed}");
        app.world().await.assert_straight();
    }
}
