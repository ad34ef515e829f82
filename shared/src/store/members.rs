//! The customers of one e-mail address, oldest first: what an address means.
//!
//! Every create, claim, change and delete writes the list by compare-and-set, so that two
//! requests can never both believe that they were first.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::item::{Entity, next_version};
use super::key::Key;
use super::transaction::{Conflict, Transaction};
use super::{Store, StoreError};
use crate::contact::EmailAddress;
use crate::ids::CustomerId;

/// The list of one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailMembers {
    /// The address.
    pub email: EmailAddress,
    /// Its customers, oldest first.
    pub members: Vec<CustomerId>,
    /// Raised by every write.
    pub version: u64,
}

/// The most customers of one address; more is a mistake or an attack.
pub const MAX_MEMBERS: usize = 100;

impl Entity for EmailMembers {
    const KIND: &'static str = "email_members";

    fn key(&self) -> Key {
        Key::email_members(&self.email)
    }
}

/// The lists that a transaction may have to write, as they were read. An address that is absent
/// had no list.
#[derive(Clone, Debug, Default)]
pub struct MemberLists(HashMap<EmailAddress, EmailMembers>);

impl MemberLists {
    /// Lists as they were read.
    #[must_use]
    pub fn of(lists: impl IntoIterator<Item = EmailMembers>) -> Self {
        Self(lists.into_iter().map(|list| (list.email.clone(), list)).collect())
    }

    /// How many customers `email` has.
    #[must_use]
    pub fn count(&self, email: &EmailAddress) -> usize {
        self.0.get(email).map_or(0, |list| list.members.len())
    }

    fn read(&self, email: &EmailAddress) -> EmailMembers {
        let empty = || EmailMembers { email: email.clone(), members: Vec::new(), version: 0 };
        self.0.get(email).cloned().unwrap_or_else(empty)
    }

    /// Moves `customer` from the list of `from` to the end of the list of `to`.
    pub(super) fn move_member(
        &self,
        transaction: &mut Transaction,
        customer: CustomerId,
        from: Option<&EmailAddress>,
        to: Option<&EmailAddress>,
    ) {
        if from == to {
            return;
        }
        if let Some(email) = from {
            let mut list = self.read(email);
            list.members.retain(|member| *member != customer);
            write(transaction, list);
        }
        if let Some(email) = to {
            let mut list = self.read(email);
            list.members.push(customer);
            write(transaction, list);
        }
    }
}

impl Store {
    /// The list of `email`, for a transaction that writes it; none where there is no address.
    pub async fn member_lists(&self, email: Option<&EmailAddress>) -> Result<MemberLists, StoreError> {
        match email {
            Some(email) => Ok(MemberLists::of(self.get::<EmailMembers>(&Key::email_members(email)).await?)),
            None => Ok(MemberLists::default()),
        }
    }
}

fn write(transaction: &mut Transaction, mut list: EmailMembers) {
    let read = list.version;
    list.version = next_version(read);
    if list.members.is_empty() && read > 0 {
        transaction.delete_version(&list.key(), read, Conflict::EmailMembersChanged);
    } else if !list.members.is_empty() {
        transaction.replace(&list, read, Conflict::EmailMembersChanged);
    }
}
