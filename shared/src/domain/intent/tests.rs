//! What is done with an intent, whatever Stripe answers.

use super::*;
use crate::contact::EmailAddress;
use crate::domain::customer::{Origin, Status};
use crate::domain::product::tests::plain;
use crate::domain::product::{Currency, Interval, Price, Terms};

const NOW: Time = Time::from_unix_seconds(1_795_176_000);

fn intent() -> StripeIntent {
    let customer = Customer::new(CustomerId(NOW.new_id()), Status::Active, Origin::Api, NOW);
    StripeIntent::new(&customer, "earlybird.local", NOW)
}

fn begun() -> StripeIntent {
    intent().begin(false, NOW).expect("nobody has it").0
}

fn refused(status: u16, code: &str) -> StripeError {
    StripeError::Refused { status, code: code.to_owned() }
}

#[test]
fn one_works_on_it_at_a_time() {
    let begun = begun();
    assert_eq!(begun.clone().begin(false, NOW), None);
    let (later, step) = begun.begin(false, NOW.plus_seconds(LEASE_SECONDS)).expect("the lease is over");
    assert_eq!((later.attempt, step), (1, Step::Create));
}

#[test]
fn an_unknown_outcome_is_asked_for_under_the_same_key() {
    for error in [StripeError::Timeout, StripeError::Conflict, refused(429, "rate_limit"), refused(401, "unknown")] {
        let begun = begun();
        let key = begun.idempotency_key();
        let (waiting, next) = begun.failed(Step::Create, &error, NOW);
        assert_eq!(next, None);
        let (again, step) = waiting.begin(false, NOW.plus_seconds(FIRST_WAIT_SECONDS)).expect("the wait is over");
        assert_eq!((again.idempotency_key(), step), (key, Step::Create));
    }
}

#[test]
fn each_wait_is_twice_the_last_until_it_is_six_hours() {
    let mut intent = begun();
    for minutes in [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360] {
        (intent, _) = intent.failed(Step::Create, &StripeError::Timeout, NOW);
        assert_eq!(intent.due_at, NOW.plus_seconds(minutes * 60));
    }
}

#[test]
fn stripe_is_told_an_address_that_somebody_reads() {
    let mut customer = Customer::new(CustomerId(NOW.new_id()), Status::Active, Origin::Api, NOW);
    for (address, told) in [
        (EmailAddress::parse("a@x.io").unwrap(), Some("a@x.io")),
        (EmailAddress::placeholder("customer-1", "earlybird.local"), None),
    ] {
        customer.contact.email = Some(address);
        assert_eq!(StripeIntent::new(&customer, "earlybird.local", NOW).email(), told);
    }
}

#[test]
fn after_a_failure_it_is_looked_for_and_then_tried_under_the_next_key() {
    for error in [StripeError::Server(500), refused(400, "idempotency_error")] {
        let (failed, next) = begun().failed(Step::Create, &error, NOW);
        assert_eq!(next, Some(Step::LookUp));
        let (dead, step) = failed.clone().begin(false, NOW.plus_seconds(LEASE_SECONDS)).expect("the lease is over");
        assert_eq!((dead.attempt, step), (1, Step::LookUp));
        let (next, step) = failed.not_found(false, NOW);
        assert_eq!((next.attempt, next.look_up, step), (2, false, Step::Create));
    }
}

#[test]
fn a_key_that_stripe_may_have_forgotten_is_looked_up_first() {
    let after = |seconds| begun().begin(false, NOW.plus_seconds(seconds)).expect("the lease is over").1;
    assert_eq!((after(23 * 3_600 - 1), after(23 * 3_600)), (Step::Create, Step::LookUp));
}

#[test]
fn what_is_refused_for_good_is_closed_without_its_parameters() {
    let (closed, next) = begun().failed(Step::Create, &refused(400, "email_invalid"), NOW);
    assert_eq!((closed.state, next, closed.parameters.len()), (IntentState::Refused, None, 0));
    assert_eq!(closed.begin(false, NOW.plus_seconds(LEASE_SECONDS)), None);
}

#[test]
fn what_is_closed_is_taken_up_again_with_a_look_up_and_then_a_key_of_its_own() {
    assert_eq!(StripeIntent::asked_for(Some(begun()), intent()), None, "it is under way");
    for state in [IntentState::Done, IntentState::Orphaned, IntentState::Refused, IntentState::Void] {
        let made = Some("cus_1".to_owned());
        let closed = StripeIntent { version: 3, attempt: 4, ..begun().closed(state, made.clone()) };
        let again = StripeIntent::asked_for(Some(closed), intent()).expect("it is closed");
        assert_eq!((&again.stripe_id, again.version, again.state), (&made, 3, IntentState::Pending));
        let (looking, step) = again.begin(false, NOW).expect("it is due");
        assert_eq!(step, Step::LookUp);
        let (next, step) = looking.not_found(false, NOW);
        assert_eq!((next.attempt, step, next.parameters.is_empty()), (5, Step::Create, false));
    }
}

#[test]
fn for_a_customer_that_is_gone_nothing_is_made() {
    let (_, step) = intent().begin(true, NOW).expect("nobody has it");
    assert_eq!(step, Step::Close);
    let (used, step) = begun().begin(true, NOW.plus_seconds(LEASE_SECONDS)).expect("the lease is over");
    assert_eq!(step, Step::LookUp);
    assert_eq!(used.not_found(true, NOW).0.state, IntentState::Void);
}

fn product(interval: Option<Interval>, stripe_price_id: Option<&str>) -> Product {
    let currency = Currency::parse("inr").unwrap();
    let stripe_price_id = stripe_price_id.map(str::to_owned);
    Product {
        is_default: true,
        force_paid_default: true,
        price: Some(Price { amount: 5, currency, interval, stripe_price_id }),
        ..plain("pro", NOW)
    }
}

fn to_subscribe(product: &Product) -> Option<StripeIntent> {
    let customer = Customer::new(CustomerId(NOW.new_id()), Status::Active, Origin::Api, NOW);
    StripeIntent::to_subscribe(&customer, &product.attach(3, Terms::Paid, NOW), product, NOW)
}

#[test]
fn only_a_price_that_comes_round_at_stripe_is_subscribed_to() {
    assert_eq!(to_subscribe(&product(None, Some("price_1"))), None);
    assert_eq!(to_subscribe(&product(Some(Interval::Month), None)), None);
    let intent = to_subscribe(&product(Some(Interval::Month), Some("price_1"))).unwrap();
    let expected = format!("sub:{}:pro:1", intent.customer_id);
    assert_eq!(intent.idempotency_key(), expected);
    let told = |name: &str| intent.parameter(name).map(str::to_owned);
    assert_eq!(told("items[0][price]").as_deref(), Some("price_1"));
    assert_eq!(told("items[0][quantity]").as_deref(), Some("3"));
    assert_eq!(told("metadata[product_id]").as_deref(), Some("pro"));
}

#[test]
fn a_subscription_waits_for_who_pays_and_uses_no_key_meanwhile() {
    let intent = to_subscribe(&product(Some(Interval::Month), Some("price_1"))).unwrap();
    let (waiting, step) = intent.begin(false, NOW).expect("nobody has it");
    assert_eq!((step, waiting.key_used_at, waiting.payer()), (Step::Wait, None, None));
    assert_eq!(waiting.clone().begin(false, NOW), None);
    let later = NOW.plus_seconds(FIRST_WAIT_SECONDS);
    assert_eq!(waiting.clone().begin(true, later).expect("it is due").1, Step::Close);
    let paid = waiting.paid_by(Some("cus_1"));
    assert_eq!(paid.clone().paid_by(Some("cus_2")), paid);
    let (begun, step) = paid.begin(false, later).expect("it is due");
    assert_eq!((begun.payer(), step), (Some("cus_1"), Step::Create));
}

#[test]
fn nobody_pays_for_a_stripe_customer() {
    assert_eq!(intent().paid_by(Some("cus_1")).payer(), None);
}

#[test]
fn only_what_was_not_held_before_waits_newly() {
    let pro = product(Some(Interval::Month), Some("price_1"));
    let free = Product { id: ProductId::parse("free").unwrap(), ..pro.clone() };
    let mut before = Customer::new(CustomerId(NOW.new_id()), Status::Active, Origin::Api, NOW);
    before.products = vec![free.attach(1, Terms::Free, NOW)];
    let mut after = before.clone();
    after.products.push(pro.attach(1, Terms::Paid, NOW));
    assert!(waits_for_stripe(&after) && !waits_for_stripe(&before));
    assert!(newly_waiting(None, &after).eq([&after.products[1]]));
    assert!(newly_waiting(Some(&before), &after).eq([&after.products[1]]));
    assert_eq!(newly_waiting(Some(&after), &after).count(), 0);
}
