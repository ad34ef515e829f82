//! Every figure, on rows with every defect.

use uuid::Uuid;

use super::*;

const NOW: Time = Time::from_unix_seconds(1_795_176_000);

fn user_id(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

fn customer_id(n: u128) -> CustomerId {
    CustomerId(Uuid::from_u128(1_000 + n))
}

/// A user of role customer with a password and a number.
fn user(n: u128, customer: Option<u128>) -> UserRow {
    UserRow {
        user_id: user_id(n),
        role: Role::Customer,
        enabled: true,
        password_hash: Some(IgnoredAny),
        temporary: None,
        credential_epoch: 1,
        customer_v2_id: customer.map(customer_id),
        customer_number: Some(CustomerNumber::issue("PL", 1)),
        review: None,
    }
}

/// A customer with reference and address.
fn customer(n: u128, user: Option<u128>) -> CustomerRow {
    CustomerRow {
        internal_id: customer_id(n),
        origin: Origin::Import,
        status: Status::Active,
        user_id: user.map(user_id),
        customer_reference: Some(Crn::issue("PLE-CVP", 2026, 1)),
        email: EmailAddress::parse("a@x.io").ok(),
        review: None,
    }
}

fn lead(n: u128) -> CustomerRow {
    CustomerRow { origin: Origin::Intake, status: Status::PendingPayment, ..customer(n, None) }
}

fn census(users: &[UserRow], customers: &[CustomerRow]) -> Census {
    let mut census = Census::new(NOW, "earlybird.local");
    for row in users {
        census.user(row);
    }
    for row in customers {
        census.customer(row);
    }
    census
}

fn figures(users: &[UserRow], customers: &[CustomerRow]) -> Figures {
    census(users, customers).figures()
}

#[test]
fn no_rows_at_all_are_healthy_and_complete() {
    let figures = figures(&[], &[]);
    assert_eq!(figures, Figures::default());
    assert_eq!((figures.completeness().as_str(), figures.is_healthy()), ("100.0%", true));
    assert!(figures.systems_in_use().is_empty());
}

#[test]
fn a_pair_is_one_person_and_healthy() {
    let figures = figures(&[user(1, Some(1))], &[customer(1, Some(1))]);
    assert_eq!((figures.users, figures.customers, figures.linked_users, figures.mutual), (1, 1, 1, 1));
    assert_eq!((figures.unique(), figures.sync_issues(), figures.is_healthy()), (1, 0, true));
    assert_eq!((figures.one_way_links, figures.dangling_links, figures.duplicate_links), (0, 0, 0));
    assert_eq!(figures.leads, 0);
    assert_eq!((figures.can_login, figures.cannot_login), (1, 0));
    assert_eq!(figures.systems_in_use(), ["users", "customers_v2"]);
    assert_eq!(figures.samples, Samples::default());
}

#[test]
fn orphans_are_counted_on_both_sides() {
    let figures =
        figures(&[user(1, None), user(2, None), user(3, Some(3))], &[customer(3, Some(3)), customer(4, None)]);
    assert_eq!((figures.users_orphaned(), figures.customers_orphaned, figures.sync_issues()), (2, 1, 3));
    assert_eq!((figures.unique(), figures.completeness().as_str()), (4, "33.3%"));
    assert!(!figures.is_healthy());
}

#[test]
fn two_users_on_one_customer_are_a_pair_a_one_way_link_and_a_duplicate() {
    let figures = figures(&[user(1, Some(1)), user(2, Some(1))], &[customer(1, Some(1))]);
    assert_eq!((figures.linked_users, figures.mutual, figures.one_way_links, figures.duplicate_links), (2, 1, 1, 1));
    assert_eq!((figures.users_orphaned(), figures.unique()), (0, 2));
    let records: Vec<_> = figures.samples.duplicate_links.iter().map(|case| case.user_id).collect();
    assert_eq!(records, [Some(user_id(1)), Some(user_id(2))]);
    assert!(figures.samples.duplicate_links.iter().all(|case| case.internal_id == Some(customer_id(1))));
}

#[test]
fn two_customers_on_one_user_are_a_duplicate_too() {
    let figures = figures(&[user(1, Some(1))], &[customer(1, Some(1)), customer(2, Some(1))]);
    assert_eq!((figures.mutual, figures.one_way_links, figures.duplicate_links), (1, 1, 1));
    let records: Vec<_> = figures.samples.duplicate_links.iter().map(|case| case.internal_id).collect();
    assert_eq!(records, [Some(customer_id(1)), Some(customer_id(2))]);
    assert_eq!(figures.cannot_login, 0, "the second one has a user who can sign in");
    assert!(!figures.is_healthy(), "not every customer has its user");
}

#[test]
fn a_pointer_to_nobody_dangles() {
    let figures = figures(&[user(1, Some(9)), user(2, Some(9))], &[customer(1, Some(8))]);
    assert_eq!((figures.dangling_links, figures.one_way_links, figures.duplicate_links), (3, 0, 1));
    assert_eq!((figures.linked_users, figures.mutual, figures.customers_orphaned), (2, 0, 0));
    assert_eq!(figures.cannot_login, 1);
}

#[test]
fn a_half_link_is_one_way_whichever_half_it_is() {
    let of_the_user = figures(&[user(1, Some(1))], &[customer(1, None)]);
    assert_eq!((of_the_user.one_way_links, of_the_user.customers_orphaned, of_the_user.cannot_login), (1, 1, 1));
    let of_the_customer = figures(&[user(1, None)], &[customer(1, Some(1))]);
    assert_eq!((of_the_customer.one_way_links, of_the_customer.users_orphaned()), (1, 1));
    assert_eq!(of_the_customer.samples.one_way_links[0].record, Side::Customer);
}

#[test]
fn other_roles_are_nowhere_though_they_carry_the_field() {
    let staff = UserRow { role: Role::DeliveryBoy, customer_number: None, ..user(1, Some(1)) };
    let figures = figures(&[staff], &[customer(1, Some(1))]);
    assert_eq!((figures.users, figures.linked_users, figures.mutual, figures.can_login), (0, 0, 0, 0));
    assert_eq!((figures.one_way_links, figures.cannot_login, figures.customers_orphaned), (1, 1, 0));
    assert_eq!((figures.missing_customer_number, figures.rows), (0, 2));
    assert_eq!(figures.systems_in_use(), ["customers_v2"]);
}

#[test]
fn leads_are_in_no_figure_of_the_links() {
    let nameless = CustomerRow { customer_reference: None, email: None, ..lead(2) };
    let figures = figures(&[user(1, Some(1))], &[lead(1), nameless]);
    assert_eq!((figures.leads, figures.customers, figures.customers_orphaned), (2, 0, 0));
    assert_eq!((figures.mutual, figures.one_way_links, figures.dangling_links), (0, 1, 0));
    assert_eq!((figures.cannot_login, figures.missing_email), (0, 0));
    assert_eq!(figures.missing_customer_reference, 1, "a reference is what a lead has, too");
    assert_eq!(figures.by_status, ByStatus { pending_payment: 2, ..ByStatus::default() });
}

#[test]
fn who_can_sign_in_has_a_password_that_works_or_an_invitation_under_way() {
    let temporary = |at: i64| Some(TemporaryPassword { expires_at: Some(NOW.plus_seconds(at)), kid: None });
    let rows = [
        user(1, None),
        UserRow { enabled: false, ..user(2, None) },
        UserRow { temporary: temporary(1), ..user(3, None) },
        UserRow { temporary: temporary(0), ..user(4, None) },
        UserRow { password_hash: None, ..user(5, None) },
        UserRow { password_hash: None, ..user(6, None) },
        UserRow { password_hash: None, credential_epoch: 2, ..user(7, None) },
        UserRow { password_hash: None, enabled: false, ..user(8, None) },
    ];
    let mut census = census(&rows, &[]);
    for n in 6..=8 {
        census.invitation(&InvitationRow { user_id: Some(user_id(n)), epoch: 1 });
    }
    assert_eq!(census.figures().can_login, 3, "the first, the third and the sixth");
}

#[test]
fn what_is_missing_is_counted() {
    let placeholder = EmailAddress::placeholder("customer-1", "earlybird.local");
    let users = [UserRow { customer_number: None, ..user(1, Some(1)) }];
    let customers = [
        CustomerRow { email: Some(placeholder), ..customer(1, Some(1)) },
        CustomerRow { email: None, customer_reference: None, ..customer(2, None) },
    ];
    let figures = figures(&users, &customers);
    assert_eq!((figures.missing_email, figures.missing_customer_reference), (2, 1));
    assert_eq!((figures.missing_customer_number, figures.cannot_login), (1, 1));
}

#[test]
fn what_a_person_must_decide_is_named() {
    let undecided = CustomerRow { review: Some(Review::Ambiguous), ..customer(1, None) };
    let census =
        census(&[UserRow { review: Some(Review::Ambiguous), ..user(1, None) }], &[undecided, customer(2, None)]);
    let sides: Vec<_> = census.cases(Finding::Ambiguous).map(|case| case.record).collect();
    assert_eq!(sides, [Side::User, Side::Customer]);
}

#[test]
fn the_order_of_the_rows_makes_no_difference_and_samples_are_few() {
    let users: Vec<_> = (0..40).map(|n| user(n, (n % 3 > 0).then_some(n / 2))).collect();
    let customers: Vec<_> = (0..40).map(|n| customer(n, (n % 4 > 0).then_some(n * 2))).collect();
    let one = figures(&users, &customers);
    let backwards =
        figures(&users.iter().rev().cloned().collect::<Vec<_>>(), &customers.iter().rev().cloned().collect::<Vec<_>>());
    assert_eq!(one, backwards);
    assert_eq!(one.samples.users_orphaned.len(), MAX_SAMPLES);
    assert_eq!(one.users_orphaned(), 14);
    let pointers = one.linked_users + one.customers - one.customers_orphaned;
    assert_eq!(pointers, 2 * one.mutual + one.one_way_links + one.dangling_links);
}
