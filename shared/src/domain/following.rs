//! How a login follows its customer: what it signs in with, its name and phone, and the invitation
//! of somebody who can be reached for the first time.
//!
//! Only a login that points back at the customer follows: half a link is no link.

use crate::clock::Time;
use crate::domain::credential::without_password;
use crate::domain::customer::Customer;
use crate::domain::linking::Pair;
use crate::domain::message::{Message, MessageKind};
use crate::domain::user::User;

/// A login that has followed its customer.
#[derive(Clone, Debug)]
pub struct Followed {
    /// The login as it is to be.
    pub user: User,
    /// The invitation, if nobody could send one before.
    pub invitation: Option<Message>,
}

/// The login of a customer whose blanks were filled; none if nothing of it changes. `email_free` says
/// that nobody signs in with the address that the customer has now.
///
/// Somebody who has no password and could not be told one is invited, as a new customer would be.
/// What was sent in vain while they had an address before is void.
#[must_use]
pub fn follow(
    before: &Customer,
    after: &Customer,
    user: &User,
    email_free: bool,
    placeholder_domain: &str,
    now: Time,
) -> Option<Followed> {
    Pair::of(before, user)?;
    let mut followed = user.clone();
    move_login(before, after, &mut followed, email_free, placeholder_domain);
    move_details(before, after, &mut followed);
    let reached_first =
        !is_reachable(before, user, placeholder_domain) && is_reachable(after, &followed, placeholder_domain);
    let invited = reached_first && user.enabled && user.password_hash.is_none();
    if invited {
        followed = without_password(followed, now);
    }
    if followed == *user {
        return None;
    }
    followed.updated_at = now;
    let invitation = invited.then(|| Message::to_user(MessageKind::Invitation, &followed, now));
    Some(Followed { user: followed, invitation })
}

/// The login follows a new e-mail address if it was the old one or a placeholder, and if the new
/// one is free. It does not follow a customer that leaves it.
pub(super) fn move_login(
    before: &Customer,
    after: &Customer,
    user: &mut User,
    email_free: bool,
    placeholder_domain: &str,
) {
    let Some(email) = after.real_email(placeholder_domain) else { return };
    let changed = after.contact.email != before.contact.email;
    let follows = user.email.is_placeholder(placeholder_domain) || before.contact.email.as_ref() == Some(&user.email);
    if changed && follows && email_free && after.user_id.is_some() {
        user.email = email.clone();
    }
}

/// The login's own name and phone follow as long as they are the customer's.
pub(super) fn move_details(before: &Customer, after: &Customer, user: &mut User) {
    if after.user_id.is_none() {
        return;
    }
    if user.name == before.contact.name {
        user.name.clone_from(&after.contact.name);
    }
    if user.phone == before.contact.phone {
        user.phone.clone_from(&after.contact.phone);
    }
}

/// Whether a message finds its way to the owner of the two.
fn is_reachable(customer: &Customer, user: &User, placeholder_domain: &str) -> bool {
    let by_customer = customer.real_email(placeholder_domain).is_some() || customer.contact.phone.is_some();
    by_customer || !user.email.is_placeholder(placeholder_domain) || user.phone.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::{Country, EmailAddress, Phone};
    use crate::domain::customer::{Origin, Status};
    use crate::domain::onboarding::customer_placeholder;
    use crate::domain::user::Role;
    use crate::ids::{CustomerId, UserId};
    use crate::text::Name;

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);
    const DOMAIN: &str = "earlybird.local";

    /// A customer of whom only the id is known, and its login.
    fn unreachable() -> (Customer, User) {
        let mut customer = Customer::new(CustomerId(NOW.new_id()), Status::Active, Origin::Api, NOW);
        let login = customer_placeholder(customer.internal_id, DOMAIN);
        let mut user = User::new(UserId(NOW.new_id()), login, Role::Customer, NOW);
        (customer.user_id, user.customer_v2_id) = (Some(user.user_id), Some(customer.internal_id));
        (customer, user)
    }

    fn with_address(before: &Customer) -> Customer {
        let mut after = before.clone();
        after.contact.email = EmailAddress::parse("a@x.io").ok();
        after.contact.name = Name::parse("Ana").ok();
        after
    }

    #[test]
    fn a_filled_address_is_the_login_and_its_owner_is_invited_for_the_epoch_that_is_then() {
        let (before, user) = unreachable();
        let after = with_address(&before);
        let followed = follow(&before, &after, &user, true, DOMAIN, NOW).unwrap();
        assert_eq!(Some(&followed.user.email), after.contact.email.as_ref());
        assert_eq!(followed.user.name, after.contact.name);
        assert_eq!(followed.invitation.unwrap().epoch, followed.user.credential_epoch);
        assert!(followed.user.credential_epoch > user.credential_epoch, "what was sent in vain is void");
    }

    #[test]
    fn an_address_of_another_is_no_login_and_still_reaches_its_owner() {
        let (before, user) = unreachable();
        let followed = follow(&before, &with_address(&before), &user, false, DOMAIN, NOW).unwrap();
        assert_eq!(followed.user.email, user.email);
        assert!(followed.invitation.is_some());
    }

    #[test]
    fn half_a_link_does_not_follow() {
        let (before, user) = unreachable();
        let stranger = User { customer_v2_id: None, ..user.clone() };
        assert!(follow(&before, &with_address(&before), &stranger, true, DOMAIN, NOW).is_none());
        let other = User { customer_v2_id: Some(CustomerId(NOW.new_id())), ..user };
        assert!(follow(&before, &with_address(&before), &other, true, DOMAIN, NOW).is_none());
    }

    #[test]
    fn only_somebody_without_a_password_who_may_sign_in_is_invited_and_once() {
        let (before, user) = unreachable();
        let after = with_address(&before);
        let invited = |before: &Customer, user: &User| {
            follow(before, &after, user, true, DOMAIN, NOW).and_then(|followed| followed.invitation).is_some()
        };
        assert!(invited(&before, &user));
        assert!(!invited(&before, &User { password_hash: Some("$argon2id$".into()), ..user.clone() }), "handed over");
        assert!(!invited(&before, &User { enabled: false, ..user.clone() }));
        let mut nameless = after.clone();
        nameless.contact.name = None;
        assert!(!invited(&nameless, &user), "they could be reached before");
    }

    #[test]
    fn a_phone_follows_as_a_name_does_and_whom_their_own_login_reached_is_not_invited() {
        let (before, user) = unreachable();
        let mut after = with_address(&before);
        after.contact.phone = Phone::parse("+919876543210", Country::INDIA).ok();
        let followed = follow(&before, &after, &user, true, DOMAIN, NOW).unwrap();
        assert!(followed.user.phone.is_some() && followed.user.phone == after.contact.phone);
        let by_phone = User { phone: after.contact.phone.clone(), ..user.clone() };
        let by_email = User { email: EmailAddress::parse("own@x.io").unwrap(), ..user };
        for reached in [by_phone, by_email] {
            let followed = follow(&before, &after, &reached, true, DOMAIN, NOW).unwrap();
            assert!(followed.invitation.is_none());
        }
    }
}
