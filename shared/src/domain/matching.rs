//! Which login belongs to which customer, when neither says so.
//!
//! Rows of a legacy system are matched by phone, then by e-mail, and only when there is exactly
//! one on either side. Several are reported, never guessed; a name matches nothing.

use serde::{Deserialize, Serialize};

/// Why the backfill looks at a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Review {
    /// It was imported, and waits for a `migrate up`.
    Staged,
    /// It has yet to look.
    Due,
    /// It found several matches; it looks again when one of them changes.
    Ambiguous,
}

impl Review {
    /// The same of a row that is to be reached differently: what it was ambiguous about may be gone.
    #[must_use]
    pub fn reached_differently(self) -> Self {
        if self == Self::Ambiguous { Self::Due } else { self }
    }
}

/// The unlinked rows that share one phone number or one e-mail address.
#[derive(Clone, Debug)]
pub struct Candidates<U, C> {
    /// Logins of customers that no customer holds.
    pub users: Vec<U>,
    /// Customers, no leads, that have no login.
    pub customers: Vec<C>,
}

/// What candidates amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match<T> {
    /// Nobody on the other side.
    None,
    /// Exactly one, and it is nobody else's match.
    One(T),
    /// More than one could be meant.
    Several,
}

impl<U, C> Candidates<U, C> {
    /// The login for the one customer among the candidates.
    #[must_use]
    pub fn user(mut self) -> Match<U> {
        match (self.users.len(), self.customers.len()) {
            (0, _) => Match::None,
            (1, 0 | 1) => self.users.pop().map_or(Match::None, Match::One),
            _ => Match::Several,
        }
    }

    /// The customer for the one login among the candidates.
    #[must_use]
    pub fn customer(self) -> Match<C> {
        Candidates { users: self.customers, customers: self.users }.user()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(users: usize, customers: usize) -> Candidates<usize, usize> {
        Candidates { users: (0..users).collect(), customers: (0..customers).collect() }
    }

    #[test]
    fn only_one_on_either_side_is_a_match() {
        assert_eq!(candidates(1, 1).user(), Match::One(0));
        assert_eq!(candidates(1, 1).customer(), Match::One(0));
    }

    #[test]
    fn a_family_on_one_phone_is_ambiguous() {
        assert_eq!(candidates(1, 2).user(), Match::Several);
        assert_eq!(candidates(2, 1).user(), Match::Several);
        assert_eq!(candidates(2, 1).customer(), Match::Several);
    }

    #[test]
    fn nobody_on_the_other_side_is_no_match() {
        assert_eq!(candidates(0, 3).user(), Match::None);
        assert_eq!(candidates(3, 0).customer(), Match::None);
    }

    #[test]
    fn only_what_was_ambiguous_is_due_when_it_is_reached_differently() {
        assert_eq!(Review::Ambiguous.reached_differently(), Review::Due);
        for waiting in [Review::Staged, Review::Due] {
            assert_eq!(waiting.reached_differently(), waiting);
        }
    }
}
