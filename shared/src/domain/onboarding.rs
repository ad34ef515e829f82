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
