//! How a customer gets its login: chosen, linked both ways, numbered, invited.
//!
//! Create-customer, the webhook and the backfill all come through here, so that there is one
//! answer to the question which login belongs to a customer.

use crate::clock::Time;
use crate::contact::EmailAddress;
use crate::domain::customer::{Customer, Status};
use crate::domain::message::{Message, MessageKind};
use crate::domain::user::{Role, User};
use crate::ids::{Crn, CustomerId, CustomerNumber, UserId};

/// The login a customer is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// An account that exists and that no customer holds.
    Existing(Box<User>),
    /// A new account that signs in with this address.
    New(EmailAddress),
}

impl Login {
    /// The login for `customer`, given the account (if any) that signs in with its e-mail address.
    ///
    /// An unlinked customer's account of that address is taken. A free address becomes the login.
    /// An address that is someone else's, or none, gives a placeholder made of the customer's id.
    #[must_use]
    pub fn choose(customer: &Customer, holder: Option<User>, placeholder_domain: &str) -> Self {
        match (customer.real_email(placeholder_domain), holder) {
            (Some(_), Some(user)) if user.is_free_for_customer() => Self::Existing(Box::new(user)),
            (Some(email), None) => Self::New(email.clone()),
            _ => Self::placeholder(customer, placeholder_domain),
        }
    }

    /// A login of its own for a customer without a free address.
    #[must_use]
    pub fn placeholder(customer: &Customer, placeholder_domain: &str) -> Self {
        Self::New(customer_placeholder(customer.internal_id, placeholder_domain))
    }

    /// Whether a customer number has to be drawn before the two can be linked.
    #[must_use]
    pub fn needs_number(&self) -> bool {
        match self {
            Self::Existing(user) => user.customer_number.is_none(),
            Self::New(_) => true,
        }
    }
}

/// What the login of the customer `id` signs in with where no address is free.
#[must_use]
pub fn customer_placeholder(id: CustomerId, placeholder_domain: &str) -> EmailAddress {
    EmailAddress::placeholder(&format!("customer-{id}"), placeholder_domain)
}

/// What the login `id` signs in with that has no address and no customer to name it after.
#[must_use]
pub fn user_placeholder(id: UserId, placeholder_domain: &str) -> EmailAddress {
    EmailAddress::placeholder(&format!("user-{id}"), placeholder_domain)
}

/// A customer and its login, linked in both directions.
#[derive(Clone, Debug)]
pub struct Linked {
    /// The customer, pointing to the user.
    pub customer: Customer,
    /// The user as it was, if it existed.
    pub user_before: Option<User>,
    /// The user, pointing to the customer.
    pub user: User,
    /// The invitation, if the account is new and can be invited.
    pub invitation: Option<Message>,
}

impl Linked {
    /// Lets the login, if it is new, go on from `version` and from a credential epoch of that number, and
    /// its invitation with it: what was made for another of the same id is void.
    pub fn begin_login_at(&mut self, version: u64) {
        if self.user_before.is_some() {
            return;
        }
        (self.user.version, self.user.credential_epoch) = (version, version);
        if let Some(invitation) = &mut self.invitation {
            invitation.epoch = version;
        }
    }
}

/// What was drawn and made up front, and stays the same however often a plan is made anew.
#[derive(Clone, Debug)]
pub struct Frozen {
    /// The id of a new user.
    pub user_id: UserId,
    /// The reference, if one was drawn.
    pub crn: Option<Crn>,
    /// The number, if one was drawn.
    pub number: Option<CustomerNumber>,
    /// The one reading of the clock.
    pub now: Time,
}

/// On what terms a customer and a login are linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// Somebody decided it: the status of the customer enables or disables the login, and a new
    /// account is invited.
    Decided,
    /// Somebody decided it, and the account needs no invitation.
    Uninvited,
    /// It was found out: a login that somebody shut out stays shut out, and a new account is
    /// invited only if `invite` says so.
    Found {
        /// Whether to invite.
        invite: bool,
    },
}

/// Links `customer` with `login`. An invitation is made only if anybody can be reached.
#[must_use]
pub fn link(mut customer: Customer, login: Login, frozen: &Frozen, terms: Terms) -> Linked {
    let now = frozen.now;
    let (user_before, mut user) = match login {
        Login::Existing(user) => (Some((*user).clone()), *user),
        Login::New(email) => (None, new_account(&customer, email, frozen)),
    };
    user.customer_v2_id = Some(customer.internal_id);
    user.customer_number = user.customer_number.take().or_else(|| frozen.number.clone());
    let shut_out = matches!(terms, Terms::Found { .. }) && !user.enabled;
    user.enabled = customer.status != Status::Inactive && !shut_out;
    user.review = None;
    user.updated_at = now;
    customer.user_id = Some(user.user_id);
    customer.customer_reference = customer.customer_reference.take().or_else(|| frozen.crn.clone());
    customer.customer_number.clone_from(&user.customer_number);
    customer.review = None;
    customer.updated_at = now;
    let reachable = customer.contact.email.is_some() || customer.contact.phone.is_some();
    let invite = matches!(terms, Terms::Decided | Terms::Found { invite: true });
    let invited = user_before.is_none() && user.enabled && invite && reachable;
    let invitation = invited.then(|| Message::to_user(MessageKind::Invitation, &user, now));
    Linked { customer, user_before, user, invitation }
}

fn new_account(customer: &Customer, email: EmailAddress, frozen: &Frozen) -> User {
    let mut user = User::new(frozen.user_id, email, Role::Customer, frozen.now);
    user.name.clone_from(&customer.contact.name);
    user.phone.clone_from(&customer.contact.phone);
    user
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::{Country, Phone};
    use crate::domain::customer::{Contact, Origin};

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);
    const DOMAIN: &str = "earlybird.local";

    fn customer(status: Status) -> Customer {
        let mut customer = Customer::new(CustomerId(NOW.new_id()), status, Origin::Api, NOW);
        customer.contact.email = EmailAddress::parse("a@x.io").ok();
        customer
    }

    fn account() -> User {
        User::new(UserId(NOW.new_id()), EmailAddress::parse("a@x.io").unwrap(), Role::Customer, NOW)
    }

    fn existing() -> Login {
        Login::Existing(Box::new(account()))
    }

    fn new() -> Login {
        Login::New(account().email)
    }

    fn linked(customer: &Customer, login: Login, terms: Terms) -> Linked {
        let (crn, number) = (Crn::issue("PLE-CVP", 2026, 1), CustomerNumber::issue("PL", 7));
        let frozen = Frozen { user_id: UserId(NOW.new_id()), crn: Some(crn), number: Some(number), now: NOW };
        link(customer.clone(), login, &frozen, terms)
    }

    #[test]
    fn a_free_account_of_the_address_is_the_login_else_a_free_address_else_a_placeholder() {
        let (customer, free) = (customer(Status::Active), account());
        let placeholder = Login::New(customer_placeholder(customer.internal_id, DOMAIN));
        let choose = |holder: Option<&User>| Login::choose(&customer, holder.cloned(), DOMAIN);
        assert_eq!(choose(Some(&free)), Login::Existing(Box::new(free.clone())));
        assert_eq!(choose(None), Login::New(free.email.clone()));
        let taken = User { customer_v2_id: Some(CustomerId(NOW.new_id())), ..free };
        assert_eq!(choose(Some(&taken)), placeholder);
    }

    #[test]
    fn a_number_is_drawn_for_whoever_has_none() {
        let numbered = User { customer_number: Some(CustomerNumber::issue("PL", 1)), ..account() };
        assert!(existing().needs_number() && new().needs_number());
        assert!(!Login::Existing(Box::new(numbered)).needs_number());
    }

    #[test]
    fn a_status_lets_the_login_in_or_shuts_it_out_and_what_was_found_out_opens_nothing() {
        let enabled = |status, before: bool, terms| {
            let user = User { enabled: before, ..account() };
            linked(&customer(status), Login::Existing(Box::new(user)), terms).user.enabled
        };
        let found = Terms::Found { invite: true };
        assert!(enabled(Status::Active, false, Terms::Decided));
        assert!(enabled(Status::Active, true, found) && !enabled(Status::Active, false, found));
        assert!(!enabled(Status::Inactive, true, Terms::Decided) && !enabled(Status::Inactive, true, found));
    }

    #[test]
    fn whoever_is_new_may_sign_in_and_can_be_reached_is_invited_on_such_terms() {
        let invited = |customer: &Customer, login, terms| linked(customer, login, terms).invitation.is_some();
        let by_email = customer(Status::Active);
        let phone = Phone::parse("+919876543210", Country::INDIA).ok();
        let by_phone = Customer { contact: Contact { phone, ..Contact::default() }, ..by_email.clone() };
        let nowhere = Customer { contact: Contact::default(), ..by_email.clone() };
        for terms in [Terms::Decided, Terms::Found { invite: true }] {
            assert!(invited(&by_email, new(), terms) && invited(&by_phone, new(), terms));
            assert!(!invited(&nowhere, new(), terms));
            assert!(!invited(&by_email, existing(), terms));
            assert!(!invited(&customer(Status::Inactive), new(), terms));
        }
        for terms in [Terms::Uninvited, Terms::Found { invite: false }] {
            assert!(!invited(&by_email, new(), terms));
        }
    }

    #[test]
    fn a_new_login_goes_on_where_another_of_its_id_ended_and_one_that_exists_stays() {
        let mut made = linked(&customer(Status::Active), new(), Terms::Decided);
        made.begin_login_at(5);
        assert_eq!((made.user.version, made.user.credential_epoch), (5, 5));
        assert_eq!(made.invitation.unwrap().epoch, 5);
        let mut taken = linked(&customer(Status::Active), existing(), Terms::Decided);
        taken.begin_login_at(5);
        assert_eq!((taken.user.version, taken.user.credential_epoch), (0, 1));
    }
}
