//! The figures of the reports, and what follows from them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::census::Case;
use crate::domain::customer::Status;

/// The most records of a finding that are named.
pub const MAX_SAMPLES: usize = 10;

/// What a census counted. U are the users of role customer, V the customers that are no leads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Users and customers that were counted, whatever they are.
    pub rows: u64,
    /// Users of U.
    pub users: u64,
    /// Customers of V.
    pub customers: u64,
    /// Users of U that point to a customer.
    pub linked_users: u64,
    /// Pairs of U and V that point to each other.
    pub mutual: u64,
    /// Customers that are leads.
    pub leads: u64,
    /// Customers, leads among them, by where they stand.
    pub by_status: ByStatus,
    /// Customers of V that point to no user.
    pub customers_orphaned: u64,
    /// Users of U who can sign in, or can once an invitation that is under way arrives.
    pub can_login: u64,
    /// Customers of V that point to no such user.
    pub cannot_login: u64,
    /// Customers of V without an address that somebody reads.
    pub missing_email: u64,
    /// Pointers to somebody who does not point back.
    pub one_way_links: u64,
    /// Pointers to nobody.
    pub dangling_links: u64,
    /// Records that several point to.
    pub duplicate_links: u64,
    /// Customers, leads among them, without a reference.
    pub missing_customer_reference: u64,
    /// Users of U without a customer number.
    pub missing_customer_number: u64,
    /// Some of the records that are not as they should be.
    pub samples: Samples,
}

impl Figures {
    /// Users of U that point to no customer.
    #[must_use]
    pub const fn users_orphaned(&self) -> u64 {
        self.users - self.linked_users
    }

    /// Orphans on both sides.
    #[must_use]
    pub const fn sync_issues(&self) -> u64 {
        self.users_orphaned() + self.customers_orphaned
    }

    /// People: a pair that points to each other is one.
    #[must_use]
    pub const fn unique(&self) -> u64 {
        self.users + self.customers - self.mutual
    }

    /// Which of the two collections hold anybody.
    #[must_use]
    pub fn systems_in_use(&self) -> Vec<&'static str> {
        let systems = [("users", self.users), ("customers_v2", self.customers)];
        systems.into_iter().filter(|(_, held)| *held > 0).map(|(name, _)| name).collect()
    }

    /// The pairs out of those that could be, in percent; nobody at all is complete.
    #[must_use]
    pub fn completeness(&self) -> String {
        let number = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        let share = match self.users.max(self.customers) {
            0 => 100.0,
            possible => 100.0 * number(self.mutual) / number(possible),
        };
        format!("{share:.1}%")
    }

    /// Whether every user has their customer and every customer its user.
    #[must_use]
    pub const fn is_healthy(&self) -> bool {
        self.mutual == self.users && self.mutual == self.customers
    }
}

/// Customers by where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ByStatus {
    /// Have not paid yet.
    pub pending_payment: u64,
    /// Tried to pay and failed.
    pub payment_failed: u64,
    /// Are trying the product.
    pub trial: u64,
    /// Are customers.
    pub active: u64,
    /// Are customers no longer.
    pub inactive: u64,
}

impl ByStatus {
    pub(super) fn add(&mut self, status: Status) {
        let counted = match status {
            Status::PendingPayment => &mut self.pending_payment,
            Status::PaymentFailed => &mut self.payment_failed,
            Status::Trial => &mut self.trial,
            Status::Active => &mut self.active,
            Status::Inactive => &mut self.inactive,
        };
        *counted += 1;
    }
}

/// Records that are not as they should be: of each kind the ten with the lowest ids, users first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditSamples)]
pub struct Samples {
    /// Users that point to no customer.
    pub users_orphaned: Vec<Case>,
    /// Customers that point to no user.
    pub customers_orphaned: Vec<Case>,
    /// Customers without a user who can sign in.
    pub cannot_login: Vec<Case>,
    /// Customers without an address that somebody reads.
    pub missing_email: Vec<Case>,
    /// Records whose pointer leads to somebody who does not point back.
    pub one_way_links: Vec<Case>,
    /// Records whose pointer leads to nobody.
    pub dangling_links: Vec<Case>,
    /// Records that point where another does, too.
    pub duplicate_links: Vec<Case>,
    /// Customers without a reference.
    pub missing_customer_reference: Vec<Case>,
    /// Users without a customer number.
    pub missing_customer_number: Vec<Case>,
    /// Records for which there are several matches, which a person must decide.
    pub ambiguous: Vec<Case>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completeness_is_the_share_of_the_pairs_that_could_be() {
        let of = |users, customers, mutual| Figures { users, customers, mutual, ..Figures::default() }.completeness();
        assert_eq!((of(3, 2, 2), of(2, 8, 2), of(0, 0, 0)), ("66.7%".into(), "25.0%".into(), "100.0%".into()));
    }
}
