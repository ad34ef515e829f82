//! Who pointed at whom in a legacy system.
//!
//! An imported row may name a counterpart that does not name it back. Whoever repairs the
//! counterpart has to know, and a table has no way back from a pointer: so the import writes one
//! item per pointer under what it points at. An item says what the row said then; whether it still
//! says so is for the row itself to tell.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::item::Entity;
use super::key::Key;
use super::{Store, StoreError};
use crate::domain::user::{Role, User};
use crate::ids::{CustomerId, UserId};

/// The row that points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// A user, at a customer.
    User(UserId),
    /// A customer, at a user.
    Customer(CustomerId),
}

/// A pointer, as it was imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// The id it points at.
    pub target: Uuid,
    /// Whose pointer it is.
    pub from: From,
}

impl Entity for Pointer {
    const KIND: &'static str = "pointer";

    fn key(&self) -> Key {
        Key::pointer(self.target, self.from)
    }
}

impl Store {
    /// `user` without a pointer that cannot come true: at a customer who is gone, or who is linked with
    /// somebody else from both sides. Whoever decides whose they are need not take that apart first.
    pub async fn without_stray_pointer(&self, user: User) -> Result<User, StoreError> {
        let Some(id) = user.customer_v2_id else { return Ok(user) };
        let stray = match self.customer(id).await? {
            None => true,
            Some(customer) => match customer.user_id.filter(|own| *own != user.user_id) {
                Some(_) => self.login_of(&customer).await?.is_some(),
                None => false,
            },
        };
        Ok(if stray { User { customer_v2_id: None, ..user } } else { user })
    }

    /// `user` as it is shown: without a pointer that its customer does not return. Only a row under
    /// review, or one of staff, may have such a pointer: for all others nothing is read.
    pub async fn without_half_link(&self, user: User) -> Result<User, StoreError> {
        let whole = user.customer_v2_id.is_none() || (user.role == Role::Customer && user.review.is_none());
        let whole = whole || self.customer_of(&user).await?.is_some();
        Ok(if whole { user } else { User { customer_v2_id: None, ..user } })
    }

    /// The rows that were imported with a pointer at `target`.
    pub async fn pointers_at(&self, target: Uuid) -> Result<Vec<From>, StoreError> {
        let items = self.partition(&Key::pointer_partition(target), None).await?;
        items.into_iter().map(|item| super::item::from_item::<Pointer>(item).map(|pointer| pointer.from)).collect()
    }
}
