//! Where an imported row came from, and what of it fits nowhere else.
//!
//! A row keeps its own UUID. Any other id becomes a name-based UUID (RFC 9562, version 5) of source
//! and id, so that importing it again finds it again, and so that a pointer to it can be followed
//! without looking anything up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The name space of ids that are made of legacy ids. Never to be changed: every such id would be
/// another.
const NAMESPACE: Uuid = Uuid::from_u128(0x6b1f_5c0e_8f0a_5f6e_9d7b_3a52_c1e4_7d90);

/// A collection of a legacy system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// `users`: the logins.
    Users,
    /// `customers_v2`: the customers of the newer system.
    CustomersV2,
    /// `clients`: those who came by the public form.
    Clients,
}

impl Source {
    /// Every collection.
    pub const ALL: [Self; 3] = [Self::Users, Self::CustomersV2, Self::Clients];

    /// The collection's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::CustomersV2 => "customers_v2",
            Self::Clients => "clients",
        }
    }

    /// The id here of the row that has `id` there.
    #[must_use]
    pub fn id_of(self, id: &str) -> Uuid {
        match uuid_of(id) {
            Some(own) => own,
            None => Uuid::new_v5(&NAMESPACE, format!("{}/{id}", self.name()).as_bytes()),
        }
    }
}

/// `id` as a UUID, if it is written as one, hyphens included.
fn uuid_of(id: &str) -> Option<Uuid> {
    if id.len() == 36 { Uuid::try_parse(id).ok() } else { None }
}

/// Where a row came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Legacy {
    /// The collection.
    pub source: Source,
    /// The id it had there.
    pub id: String,
    /// What could not be read, by field, as it was found: a phone number that is none, for example.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unread: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_stays_what_it_is_and_anything_else_becomes_one_of_its_source() {
        let own = "0190a1c2-0000-7000-8000-000000000000";
        assert_eq!(Source::Users.id_of(own).to_string(), own);
        let (user, client) = (Source::Users.id_of("cust-550e8400"), Source::Clients.id_of("cust-550e8400"));
        assert_ne!(user, client);
        assert_eq!(user, Source::Users.id_of("cust-550e8400"));
        assert_eq!(user.get_version_num(), 5);
    }
}
