//! Everybody with one phone number. These are items of the table, not of an index, and read
//! strongly consistently, because who a person is depends on them.

use super::key::Key;
use super::{Store, StoreError};
use crate::contact::Phone;
use crate::domain::customer::Customer;
use crate::domain::user::User;
use crate::ids::{CustomerId, UserId};

/// Users and customers that share something.
#[derive(Clone, Debug, Default)]
pub struct People {
    /// The users.
    pub users: Vec<User>,
    /// The customers.
    pub customers: Vec<Customer>,
}

impl Store {
    /// Everybody with the number `phone`.
    pub async fn people_by_phone(&self, phone: &Phone) -> Result<People, StoreError> {
        let (mut user_ids, mut customer_ids) = (Vec::new(), Vec::new());
        for item in self.partition(&Key::phone_partition(phone), None).await? {
            let member = item.get("sk").and_then(|value| value.as_s().ok()).and_then(|sk| sk.split_once('#'));
            match member {
                Some(("USER", id)) => user_ids.extend(id.parse().map(UserId)),
                Some(("CUSTOMER", id)) => customer_ids.extend(id.parse().map(CustomerId)),
                _ => {}
            }
        }
        self.people(&user_ids, &customer_ids).await
    }

    /// The users and customers of these ids.
    pub(super) async fn people(&self, users: &[UserId], customers: &[CustomerId]) -> Result<People, StoreError> {
        if users.is_empty() && customers.is_empty() {
            return Ok(People::default());
        }
        let keys = users.iter().map(|id| Key::user(*id)).chain(customers.iter().map(|id| Key::customer(*id)));
        let batch = self.batch_get(keys).await?;
        let users = users.iter().filter_map(|id| batch.get(&Key::user(*id)).transpose());
        let customers = customers.iter().filter_map(|id| batch.get(&Key::customer(*id)).transpose());
        Ok(People { users: users.collect::<Result<_, _>>()?, customers: customers.collect::<Result<_, _>>()? })
    }
}
