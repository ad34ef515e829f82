//! The census: what every user and every customer together amount to.
//!
//! Rows are fed one after the other, in any order, each once; every figure of the reports is then
//! answered from what was kept of them. U are the users of role customer, V the customers that are
//! no leads. A pointer from one to the other is mutual, one-way (it leads to somebody who does not
//! point back, or is neither in U nor in V), or dangling (it leads to nobody); so the pointers of U
//! and V are two for each mutual pair, and one for each that is one-way or dangling.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Time;
use crate::contact::EmailAddress;
use crate::domain::customer::{Origin, Status, is_lead};
pub use crate::domain::figures::{ByStatus, Figures, MAX_SAMPLES, Samples};
use crate::domain::matching::Review;
use crate::domain::user::{Role, TemporaryPassword};
use crate::ids::{Crn, CustomerId, CustomerNumber, UserId};

/// What is read of a user.
#[derive(Clone, Debug, Deserialize)]
pub struct UserRow {
    /// Its id.
    pub user_id: UserId,
    /// What it may do.
    pub role: Role,
    /// Whether it may sign in at all.
    pub enabled: bool,
    /// Whether there is a password: nothing else of its hash is wanted here.
    pub password_hash: Option<IgnoredAny>,
    /// Present while the password is a temporary one.
    pub temporary: Option<TemporaryPassword>,
    /// What an invitation must have been made for.
    pub credential_epoch: u64,
    /// The customer it points to.
    pub customer_v2_id: Option<CustomerId>,
    /// Its customer number.
    pub customer_number: Option<CustomerNumber>,
    /// Whether the backfill could not decide about it.
    pub review: Option<Review>,
}

/// What is read of a customer.
#[derive(Clone, Debug, Deserialize)]
pub struct CustomerRow {
    /// Its own id.
    pub internal_id: CustomerId,
    /// How it came to be.
    pub origin: Origin,
    /// Where it stands.
    pub status: Status,
    /// The user it points to.
    pub user_id: Option<UserId>,
    /// Its reference.
    pub customer_reference: Option<Crn>,
    /// Where e-mail reaches it.
    pub email: Option<EmailAddress>,
    /// Whether the backfill could not decide about it.
    pub review: Option<Review>,
}

/// What is read of an invitation that has not been delivered yet.
#[derive(Clone, Debug, Deserialize)]
pub struct InvitationRow {
    /// Whom it is for.
    pub user_id: Option<UserId>,
    /// The credential epoch it was made for.
    pub epoch: u64,
}

/// Something that is not as it should be with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A user of U that points to no customer.
    UserOrphaned,
    /// A customer of V that points to no user.
    CustomerOrphaned,
    /// A customer of V whose user, if any, cannot sign in.
    CannotLogin,
    /// A customer of V without an address that somebody reads.
    MissingEmail,
    /// A record whose pointer leads to somebody who does not point back.
    OneWay,
    /// A record whose pointer leads to nobody.
    Dangling,
    /// A record that points where another does, too.
    Duplicate,
    /// A customer, be it a lead, without a reference.
    MissingReference,
    /// A user of U without a customer number.
    MissingNumber,
    /// A record for which there are several matches, which a person must decide.
    Ambiguous,
}

/// On which side a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// It is a user.
    User,
    /// It is a customer.
    Customer,
}

/// A record about which there is a [`Finding`], and what it points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditCase)]
pub struct Case {
    /// Which of the two the finding is about.
    pub record: Side,
    /// The user, or the user that the customer points to.
    pub user_id: Option<UserId>,
    /// The customer, or the customer that the user points to.
    pub internal_id: Option<CustomerId>,
}

/// Whether a user can sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// They have a password that works.
    Works,
    /// They can once the invitation of this credential epoch is delivered, if there is one.
    IfInvited(u64),
    /// They are shut out.
    Shut,
}

/// What is kept of a user.
#[derive(Clone, Copy, Debug)]
struct UserFacts {
    in_u: bool,
    access: Access,
    customer: Option<CustomerId>,
    numbered: bool,
    review: Option<Review>,
}

/// What is kept of a customer.
#[derive(Clone, Copy, Debug)]
struct CustomerFacts {
    in_v: bool,
    status: Status,
    user: Option<UserId>,
    referenced: bool,
    reachable: bool,
    review: Option<Review>,
}

/// Where a pointer leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pointer {
    None,
    Mutual,
    OneWay,
    Dangling,
}

/// The rows so far.
#[derive(Clone, Debug)]
pub struct Census {
    now: Time,
    placeholder_domain: String,
    users: BTreeMap<UserId, UserFacts>,
    customers: BTreeMap<CustomerId, CustomerFacts>,
    invited: BTreeSet<(UserId, u64)>,
    /// How many of U point to a customer.
    pointing_users: BTreeMap<CustomerId, u64>,
    /// How many of V point to a user.
    pointing_customers: BTreeMap<UserId, u64>,
}

impl Census {
    /// A census as of `now`, without any rows yet.
    #[must_use]
    pub fn new(now: Time, placeholder_domain: &str) -> Self {
        Self {
            now,
            placeholder_domain: placeholder_domain.to_owned(),
            users: BTreeMap::new(),
            customers: BTreeMap::new(),
            invited: BTreeSet::new(),
            pointing_users: BTreeMap::new(),
            pointing_customers: BTreeMap::new(),
        }
    }

    /// Takes a user.
    pub fn user(&mut self, row: &UserRow) {
        let over = row.temporary.as_ref().is_some_and(|temporary| temporary.has_expired(self.now));
        let access = match row.password_hash {
            _ if !row.enabled => Access::Shut,
            Some(_) if !over => Access::Works,
            _ => Access::IfInvited(row.credential_epoch),
        };
        let facts = UserFacts {
            in_u: row.role == Role::Customer,
            access,
            customer: row.customer_v2_id,
            numbered: row.customer_number.is_some(),
            review: row.review,
        };
        if let Some(customer) = facts.customer.filter(|_| facts.in_u) {
            *self.pointing_users.entry(customer).or_default() += 1;
        }
        self.users.insert(row.user_id, facts);
    }

    /// Takes a customer.
    pub fn customer(&mut self, row: &CustomerRow) {
        let facts = CustomerFacts {
            in_v: !is_lead(row.origin, row.status, row.user_id),
            status: row.status,
            user: row.user_id,
            referenced: row.customer_reference.is_some(),
            reachable: row.email.as_ref().is_some_and(|email| !email.is_placeholder(&self.placeholder_domain)),
            review: row.review,
        };
        if let Some(user) = facts.user.filter(|_| facts.in_v) {
            *self.pointing_customers.entry(user).or_default() += 1;
        }
        self.customers.insert(row.internal_id, facts);
    }

    /// Takes an invitation that has not been delivered yet.
    pub fn invitation(&mut self, row: &InvitationRow) {
        self.invited.extend(row.user_id.map(|user| (user, row.epoch)));
    }

    /// How many users and customers were taken.
    #[must_use]
    pub fn rows(&self) -> u64 {
        count(self.users.len()) + count(self.customers.len())
    }

    /// Every record about which there is `finding`, users first, in order of their ids.
    pub fn cases(&self, finding: Finding) -> impl Iterator<Item = Case> {
        let users = self.users.iter().filter(move |(id, user)| self.is_user(finding, **id, user));
        let customers = self.customers.iter().filter(move |(id, customer)| self.is_customer(finding, **id, customer));
        let users = users.map(|(id, user)| Case { record: Side::User, user_id: Some(*id), internal_id: user.customer });
        let customers = customers.map(|(id, customer)| Case {
            record: Side::Customer,
            user_id: customer.user,
            internal_id: Some(*id),
        });
        users.chain(customers)
    }

    /// Every figure.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let mut by_status = ByStatus::default();
        for customer in self.customers.values() {
            by_status.add(customer.status);
        }
        let u = || self.users.iter().filter(|(_, user)| user.in_u);
        let customers = count(self.customers.values().filter(|customer| customer.in_v).count());
        let of = |finding| count(self.cases(finding).count());
        let duplicates = |n: &&u64| **n > 1;
        Figures {
            rows: self.rows(),
            users: count(u().count()),
            customers,
            linked_users: count(u().filter(|(_, user)| user.customer.is_some()).count()),
            mutual: count(u().filter(|(id, user)| self.of_user(**id, user) == Pointer::Mutual).count()),
            leads: count(self.customers.len()) - customers,
            by_status,
            customers_orphaned: of(Finding::CustomerOrphaned),
            can_login: count(u().filter(|(id, user)| self.can_login(**id, user)).count()),
            cannot_login: of(Finding::CannotLogin),
            missing_email: of(Finding::MissingEmail),
            one_way_links: of(Finding::OneWay),
            dangling_links: of(Finding::Dangling),
            duplicate_links: count(self.pointing_users.values().filter(duplicates).count())
                + count(self.pointing_customers.values().filter(duplicates).count()),
            missing_customer_reference: of(Finding::MissingReference),
            missing_customer_number: of(Finding::MissingNumber),
            samples: self.samples(),
        }
    }

    fn samples(&self) -> Samples {
        let of = |finding| self.cases(finding).take(MAX_SAMPLES).collect();
        Samples {
            users_orphaned: of(Finding::UserOrphaned),
            customers_orphaned: of(Finding::CustomerOrphaned),
            cannot_login: of(Finding::CannotLogin),
            missing_email: of(Finding::MissingEmail),
            one_way_links: of(Finding::OneWay),
            dangling_links: of(Finding::Dangling),
            duplicate_links: of(Finding::Duplicate),
            missing_customer_reference: of(Finding::MissingReference),
            missing_customer_number: of(Finding::MissingNumber),
            ambiguous: of(Finding::Ambiguous),
        }
    }

    fn is_user(&self, finding: Finding, id: UserId, user: &UserFacts) -> bool {
        let shared = || user.customer.and_then(|customer| self.pointing_users.get(&customer));
        user.in_u
            && match finding {
                Finding::UserOrphaned => user.customer.is_none(),
                Finding::OneWay => self.of_user(id, user) == Pointer::OneWay,
                Finding::Dangling => self.of_user(id, user) == Pointer::Dangling,
                Finding::Duplicate => shared().is_some_and(|n| *n > 1),
                Finding::MissingNumber => !user.numbered,
                Finding::Ambiguous => user.review == Some(Review::Ambiguous),
                Finding::CustomerOrphaned
                | Finding::CannotLogin
                | Finding::MissingEmail
                | Finding::MissingReference => false,
            }
    }

    fn is_customer(&self, finding: Finding, id: CustomerId, customer: &CustomerFacts) -> bool {
        let shared = || customer.user.and_then(|user| self.pointing_customers.get(&user));
        let in_v = customer.in_v;
        match finding {
            Finding::MissingReference => !customer.referenced,
            Finding::CustomerOrphaned => in_v && customer.user.is_none(),
            Finding::CannotLogin => in_v && !self.has_login(customer),
            Finding::MissingEmail => in_v && !customer.reachable,
            Finding::OneWay => in_v && self.of_customer(id, customer) == Pointer::OneWay,
            Finding::Dangling => in_v && self.of_customer(id, customer) == Pointer::Dangling,
            Finding::Duplicate => in_v && shared().is_some_and(|n| *n > 1),
            Finding::Ambiguous => in_v && customer.review == Some(Review::Ambiguous),
            Finding::UserOrphaned | Finding::MissingNumber => false,
        }
    }

    /// Where the pointer of a user of U leads.
    fn of_user(&self, id: UserId, user: &UserFacts) -> Pointer {
        let Some(customer) = user.customer else { return Pointer::None };
        match self.customers.get(&customer) {
            None => Pointer::Dangling,
            Some(customer) if customer.in_v && customer.user == Some(id) => Pointer::Mutual,
            Some(_) => Pointer::OneWay,
        }
    }

    /// Where the pointer of a customer of V leads.
    fn of_customer(&self, id: CustomerId, customer: &CustomerFacts) -> Pointer {
        let Some(user) = customer.user else { return Pointer::None };
        match self.users.get(&user) {
            None => Pointer::Dangling,
            Some(user) if user.in_u && user.customer == Some(id) => Pointer::Mutual,
            Some(_) => Pointer::OneWay,
        }
    }

    fn can_login(&self, id: UserId, user: &UserFacts) -> bool {
        user.in_u
            && match user.access {
                Access::Works => true,
                Access::IfInvited(epoch) => self.invited.contains(&(id, epoch)),
                Access::Shut => false,
            }
    }

    /// Whether a customer points to a user who can sign in.
    fn has_login(&self, customer: &CustomerFacts) -> bool {
        customer.user.is_some_and(|id| self.users.get(&id).is_some_and(|user| self.can_login(id, user)))
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
