//! Who is whose, once a person has decided it.
//!
//! A pointer counts where it is returned; one that is not says what a legacy system believed, and
//! gives way. A link that holds on both sides never gives way: it has to be taken apart first.

use thiserror::Error;

use crate::clock::Time;
use crate::domain::customer::Customer;
use crate::domain::matching::Review;
use crate::domain::onboarding::Login;
use crate::domain::user::{Role, User};
use crate::ids::{CustomerId, UserId};

/// A customer and a user that point to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The customer.
    pub customer: CustomerId,
    /// The user.
    pub user: UserId,
}

impl Pair {
    /// The two, if they point to each other.
    #[must_use]
    pub fn of(customer: &Customer, user: &User) -> Option<Self> {
        let mutual = user.role == Role::Customer
            && customer.user_id == Some(user.user_id)
            && user.customer_v2_id == Some(customer.internal_id);
        mutual.then_some(Self { customer: customer.internal_id, user: user.user_id })
    }

    /// Whether `customer` points at the user of the two, who is another's.
    #[must_use]
    pub fn is_claimed_by_customer(self, customer: &Customer) -> bool {
        customer.user_id == Some(self.user) && customer.internal_id != self.customer
    }

    /// Whether `user` points at the customer of the two, who is another's.
    #[must_use]
    pub fn is_claimed_by_user(self, user: &User) -> bool {
        let points = user.role == Role::Customer && user.customer_v2_id == Some(self.customer);
        points && user.user_id != self.user
    }
}

/// Why two cannot be linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The customer has another login.
    #[error("the customer is linked with the user {0}: `unlink` it first")]
    CustomerLinked(UserId),
    /// The user is another customer's login.
    #[error("the user is linked with the customer {0}: `unlink` that one first")]
    UserLinked(CustomerId),
}

/// The login for `customer` by a person's decision, whatever the two point to without being pointed
/// back at; none when they are linked already. `pointed` is the user that the customer points to,
/// `back` the customer that the user does.
pub fn overrule(
    customer: &Customer,
    pointed: Option<&User>,
    user: User,
    back: Option<&Customer>,
) -> Result<Option<Login>, Refusal> {
    if Pair::of(customer, &user).is_some() {
        return Ok(None);
    }
    if let Some(pair) = pointed.and_then(|pointed| Pair::of(customer, pointed)) {
        return Err(Refusal::CustomerLinked(pair.user));
    }
    if let Some(pair) = back.and_then(|back| Pair::of(back, &user)) {
        return Err(Refusal::UserLinked(pair.customer));
    }
    Ok(Some(Login::Existing(Box::new(user))))
}

/// A customer who is to be looked at again, as it is to be; none if it does not wait for that. A
/// pointer at the user of `pair`, who is another's, goes: that much is decided.
#[must_use]
pub fn customer_again(customer: &Customer, pair: Option<Pair>, now: Time) -> Option<Customer> {
    let astray = pair.is_some_and(|pair| pair.is_claimed_by_customer(customer));
    let review = again(customer.review, astray)?;
    let mut after = Customer { review: Some(review), updated_at: now, ..customer.clone() };
    if astray {
        (after.user_id, after.customer_number) = (None, None);
    }
    Some(after)
}

/// The same of a user, and of the customer of `pair`.
#[must_use]
pub fn user_again(user: &User, pair: Option<Pair>, now: Time) -> Option<User> {
    let astray = pair.is_some_and(|pair| pair.is_claimed_by_user(user));
    let review = again(user.review, astray)?;
    let mut after = User { review: Some(review), updated_at: now, ..user.clone() };
    if astray {
        after.customer_v2_id = None;
    }
    Some(after)
}

/// Why a row is to be looked at again, if it is: one that waits for a migration waits on.
fn again(review: Option<Review>, astray: bool) -> Option<Review> {
    match review {
        Some(Review::Ambiguous) => Some(Review::Due),
        Some(Review::Staged) if astray => Some(Review::Staged),
        _ => astray.then_some(Review::Due),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::EmailAddress;
    use crate::domain::customer::{Origin, Status};

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);

    fn customer() -> Customer {
        Customer::new(CustomerId(NOW.new_id()), Status::Active, Origin::Import, NOW)
    }

    fn user() -> User {
        User::new(UserId(NOW.new_id()), EmailAddress::parse("u@x.io").unwrap(), Role::Customer, NOW)
    }

    fn pair() -> (Customer, User) {
        let (mut customer, mut user) = (customer(), user());
        (customer.user_id, user.customer_v2_id) = (Some(user.user_id), Some(customer.internal_id));
        (customer, user)
    }

    #[test]
    fn a_pointer_that_nobody_returns_gives_way() {
        let (mut one, mut login) = (customer(), user());
        let (stranger, other) = (user(), customer());
        (one.user_id, login.customer_v2_id) = (Some(stranger.user_id), Some(other.internal_id));
        let linked = overrule(&one, Some(&stranger), login.clone(), Some(&other)).unwrap();
        assert!(matches!(linked, Some(Login::Existing(_))));
        let dangling = overrule(&one, None, login, None).unwrap();
        assert!(matches!(dangling, Some(Login::Existing(_))));
    }

    #[test]
    fn a_link_that_holds_on_both_sides_does_not() {
        let (one, login) = pair();
        assert_eq!(overrule(&one, Some(&login), login.clone(), Some(&one)), Ok(None));
        assert_eq!(overrule(&one, Some(&login), user(), None), Err(Refusal::CustomerLinked(login.user_id)));
        let refused = overrule(&customer(), None, login.clone(), Some(&one));
        assert_eq!(refused, Err(Refusal::UserLinked(one.internal_id)));
    }

    #[test]
    fn whoever_points_at_somebody_elses_counterpart_is_looked_at_again_without_that_pointer() {
        let (one, login) = pair();
        let decided = Pair::of(&one, &login);
        let mut stray = user();
        stray.customer_v2_id = Some(one.internal_id);
        for (review, after) in [
            (None, Some(Review::Due)),
            (Some(Review::Ambiguous), Some(Review::Due)),
            (Some(Review::Staged), Some(Review::Staged)),
        ] {
            stray.review = review;
            let again = user_again(&stray, decided, NOW).unwrap();
            assert_eq!((again.customer_v2_id, again.review), (None, after));
        }
        let mut other = customer();
        other.user_id = Some(login.user_id);
        let again = customer_again(&other, decided, NOW).unwrap();
        assert_eq!((again.user_id, again.review), (None, Some(Review::Due)));
        assert_eq!(customer_again(&one, decided, NOW), None, "the pair itself stays");
        assert_eq!(user_again(&login, decided, NOW), None);
        let elsewhere = User { customer_v2_id: Some(customer().internal_id), ..user() };
        assert_eq!(user_again(&elsewhere, decided, NOW), None);
    }

    #[test]
    fn a_row_that_does_not_wait_is_left_alone() {
        assert_eq!(customer_again(&customer(), None, NOW), None);
        let staged = Customer { review: Some(Review::Staged), ..customer() };
        assert_eq!(customer_again(&staged, None, NOW), None, "a migration comes by");
        let later = NOW.plus_seconds(1);
        let again = customer_again(&Customer { review: Some(Review::Ambiguous), ..customer() }, None, later).unwrap();
        assert_eq!((again.review, again.updated_at), (Some(Review::Due), later));
        let again = user_again(&User { review: Some(Review::Ambiguous), ..user() }, None, later).unwrap();
        assert_eq!((again.review, again.updated_at), (Some(Review::Due), later));
    }
}
