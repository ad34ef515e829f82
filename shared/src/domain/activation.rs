//! What a checkout event does to a customer.

use crate::clock::Time;
use crate::domain::customer::{Customer, Status};
use crate::domain::product::{Product, ProductId};

/// What a checkout event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The money is there, or none was due.
    Paid,
    /// The session was completed and the money is still on its way.
    Unpaid,
    /// The payment failed or the session expired.
    Failed,
}

/// A checkout session, as the event names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// The Stripe customer that paid; never overwrites a known one with nothing.
    pub stripe_customer: Option<String>,
    /// The product it was made for, if it says.
    pub product_id: Option<ProductId>,
}

impl Session {
    /// The product that its payment is for: the one that it was made for, else the one that
    /// `customer` came for last. A lead may come back for another product while an earlier session
    /// can still be paid. Whoever is no lead and waits for no product has none to get.
    #[must_use]
    pub fn product_for(&self, customer: &Customer, catalogue: &[Product]) -> Option<ProductId> {
        let waiting = customer.product_id.as_ref();
        let known = |id: &&ProductId| catalogue.iter().any(|product| product.id == **id);
        let own = self.product_id.as_ref().filter(|_| customer.is_lead() || waiting.is_some());
        own.filter(known).or(waiting).cloned()
    }
}

/// What is to change.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Nothing; the event is recorded.
    None,
    /// The customer pays or has paid: this is the record, still without what has to be drawn.
    Activate(Box<Customer>),
    /// The lead's payment failed.
    Fail(Box<Customer>),
}

/// Decides what `outcome` of `session` does to `customer`.
///
/// A failure counts only for a lead that waits, and only for its latest session: Stripe delivers
/// out of order, and an abandoned session expires long after a newer one was paid.
#[must_use]
pub fn decide(customer: &Customer, outcome: Outcome, session: &Session, now: Time) -> Effect {
    match outcome {
        Outcome::Unpaid => Effect::None,
        Outcome::Paid => activate(customer, session, now),
        Outcome::Failed => fail(customer, session, now),
    }
}

fn activate(customer: &Customer, session: &Session, now: Time) -> Effect {
    let mut after = customer.clone();
    after.status = Status::Active;
    after.stripe_id = after.stripe_id.or_else(|| session.stripe_customer.clone());
    // A product that waits for its payment is attached with it.
    let complete = after.customer_reference.is_some() && after.user_id.is_some() && after.product_id.is_none();
    if complete && after == *customer {
        return Effect::None;
    }
    after.updated_at = now;
    Effect::Activate(Box::new(after))
}

fn fail(customer: &Customer, session: &Session, now: Time) -> Effect {
    let latest = customer.checkout_session_id.as_ref().is_none_or(|id| *id == session.id);
    if !customer.is_lead() || customer.status != Status::PendingPayment || !latest {
        return Effect::None;
    }
    let mut after = customer.clone();
    after.status = Status::PaymentFailed;
    after.updated_at = now;
    Effect::Fail(Box::new(after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::customer::Origin;
    use crate::domain::product::tests::plain;
    use crate::ids::{Crn, CustomerId, UserId};

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);

    fn lead() -> Customer {
        let mut lead = Customer::new(CustomerId(NOW.new_id()), Status::PendingPayment, Origin::Intake, NOW);
        lead.customer_reference = Some(Crn::issue("PLE-CVP", 2026, 1));
        lead.checkout_session_id = Some("cs_2".into());
        lead
    }

    fn session(id: &str, stripe_customer: Option<&str>) -> Session {
        Session { id: id.into(), stripe_customer: stripe_customer.map(Into::into), product_id: None }
    }

    #[test]
    fn an_unpaid_session_changes_nothing() {
        assert!(matches!(decide(&lead(), Outcome::Unpaid, &session("cs_2", None), NOW), Effect::None));
    }

    #[test]
    fn a_failure_counts_only_for_the_latest_session_of_a_waiting_lead() {
        assert!(matches!(decide(&lead(), Outcome::Failed, &session("cs_1", None), NOW), Effect::None));
        let Effect::Fail(failed) = decide(&lead(), Outcome::Failed, &session("cs_2", None), NOW) else {
            panic!("the latest session failed");
        };
        assert_eq!(failed.status, Status::PaymentFailed);
        assert!(matches!(decide(&failed, Outcome::Failed, &session("cs_2", None), NOW), Effect::None));
        let customer = Customer { status: Status::Active, user_id: Some(UserId(NOW.new_id())), ..lead() };
        assert!(matches!(decide(&customer, Outcome::Failed, &session("cs_2", None), NOW), Effect::None));
    }

    #[test]
    fn a_success_after_a_failure_still_activates() {
        let failed = Customer { status: Status::PaymentFailed, ..lead() };
        let Effect::Activate(after) = decide(&failed, Outcome::Paid, &session("cs_1", Some("cus_1")), NOW) else {
            panic!("a late success activates");
        };
        assert_eq!((after.status, after.stripe_id.as_deref()), (Status::Active, Some("cus_1")));
    }

    #[test]
    fn a_second_payment_changes_nothing_and_forgets_no_stripe_customer() {
        let user_id = Some(UserId(NOW.new_id()));
        let customer = Customer { status: Status::Active, user_id, stripe_id: Some("cus_1".into()), ..lead() };
        for stripe_customer in [None, Some("cus_1"), Some("cus_2")] {
            assert!(matches!(decide(&customer, Outcome::Paid, &session("cs_3", stripe_customer), NOW), Effect::None));
        }
    }

    #[test]
    fn a_payment_is_for_what_its_session_was_made_for_else_for_what_the_customer_came_for_last() {
        let catalogue = [plain("first", NOW), plain("last", NOW)];
        let id = |text: &str| ProductId::parse(text).ok();
        let own = |text: &str| Session { product_id: id(text), ..session("cs_1", None) };
        let came_back = Customer { product_id: id("last"), ..lead() };
        assert_eq!(own("first").product_for(&came_back, &catalogue), id("first"));
        assert_eq!(own("gone").product_for(&came_back, &catalogue), id("last"), "the catalogue has it no more");
        assert_eq!(session("cs_1", None).product_for(&came_back, &catalogue), id("last"));
        assert_eq!(own("first").product_for(&lead(), &catalogue), id("first"));
        let customer = Customer { status: Status::Active, user_id: Some(UserId(NOW.new_id())), ..lead() };
        assert_eq!(own("first").product_for(&customer, &catalogue), None, "who waits for nothing gets nothing");
    }

    #[test]
    fn a_payment_completes_whoever_lacks_a_reference_a_login_a_product_or_their_stripe_customer() {
        let user_id = Some(UserId(NOW.new_id()));
        let whole = Customer { status: Status::Active, user_id, stripe_id: Some("cus_1".into()), ..lead() };
        let again = |customer: &Customer| decide(customer, Outcome::Paid, &session("cs_2", Some("cus_1")), NOW);
        assert!(matches!(again(&whole), Effect::None));
        for lacking in [
            Customer { customer_reference: None, ..whole.clone() },
            Customer { user_id: None, ..whole.clone() },
            Customer { product_id: ProductId::parse("first").ok(), ..whole.clone() },
            Customer { stripe_id: None, ..whole.clone() },
        ] {
            assert!(matches!(again(&lacking), Effect::Activate(_)));
        }
    }
}
