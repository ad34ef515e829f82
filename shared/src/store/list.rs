//! Lists by kind, in order of creation. A list is an index: what was written this very moment may
//! not be in it yet, so nothing is decided on it.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use super::item::{Entity, Item};
use super::key::Key;
use super::{Store, StoreError, work};
use crate::domain::customer::Customer;
use crate::domain::user::User;
use crate::ids::{CustomerId, UserId};
use crate::text::Name;

/// The partition of all names.
pub(super) const NAMES: &str = "NAME";

/// The partition of the names of whoever works here.
pub(super) const STAFF_NAMES: &str = "NAME#staff";

/// A name as it stands in an index: in small letters, told from every other by the id of its owner.
pub(super) fn name_entry(name: &Name, owner: Uuid) -> String {
    format!("{}#{owner}", name.as_str().to_lowercase())
}

/// The partition of the list of a kind.
pub(super) fn partition(kind: &str) -> String {
    format!("LIST#{kind}")
}

/// A page of a list: every row with its position, and the position after which the next page begins.
pub type Page<E> = (Vec<(String, E)>, Option<String>);

/// The position of `entity` in the list of its kind, if it is in one.
pub fn position<E: Entity>(entity: &E) -> Option<String> {
    entity.indexes().list.map(|(_, position)| position)
}

impl Store {
    /// A page of the entities of a kind that come after `position`, oldest first. Rows that were
    /// deleted drop out, so that a page may be short, or empty, before the list ends.
    pub async fn list_after<E: Entity>(&self, position: Option<&str>, limit: i32) -> Result<Page<E>, StoreError> {
        let request = self
            .client()
            .query()
            .table_name(self.table())
            .index_name("gsi1")
            // A space sorts before every position.
            .key_condition_expression("gsi1pk = :list AND gsi1sk > :position")
            .expression_attribute_values(":list", AttributeValue::S(partition(E::KIND)))
            .expression_attribute_values(":position", AttributeValue::S(position.unwrap_or(" ").into()))
            .limit(limit);
        let answer = request.send().await.map_err(StoreError::of)?;
        let keyed = |item: &Item| Some((item.get("gsi1sk")?.as_s().ok()?.clone(), Key::of(item)?));
        let keys: Vec<(String, Key)> = answer.items().iter().filter_map(keyed).collect();
        let next = keys.last().map(|(position, _)| position.clone()).filter(|_| answer.last_evaluated_key.is_some());
        if keys.is_empty() {
            return Ok((Vec::new(), None));
        }
        let batch = self.batch_get(keys.iter().map(|(_, key)| key.clone())).await?;
        let found = keys.into_iter().map(|(position, key)| batch.get(&key).map(|row| row.map(|row| (position, row))));
        Ok((found.filter_map(Result::transpose).collect::<Result<_, StoreError>>()?, next))
    }

    /// How many entities of a kind there are.
    pub async fn count_list<E: Entity>(&self) -> Result<u64, StoreError> {
        work::count(|| self.list_query(E::KIND)).await
    }

    /// The customers whose names begin with `beginning`, ignoring case; `None` when they are more
    /// than `most`. An index: who was named this very moment may be missing.
    pub async fn customers_named(&self, beginning: &str, most: usize) -> Result<Option<Vec<CustomerId>>, StoreError> {
        let (mut ids, mut start) = (Vec::new(), None);
        loop {
            let request = self
                .client()
                .query()
                .table_name(self.table())
                .index_name("gsi3")
                .key_condition_expression("gsi3pk = :names AND begins_with(gsi3sk, :beginning)")
                .expression_attribute_values(":names", AttributeValue::S(NAMES.into()))
                .expression_attribute_values(":beginning", AttributeValue::S(beginning.to_lowercase()))
                .limit(i32::try_from(most).unwrap_or(i32::MAX).saturating_add(1))
                .set_exclusive_start_key(start);
            let answer = request.send().await.map_err(StoreError::of)?;
            let pks = answer.items().iter().filter_map(|item| item.get("pk")?.as_s().ok()?.split_once('#'));
            ids.extend(pks.filter_map(|(_, id)| id.parse().map(CustomerId).ok()));
            if ids.len() > most {
                return Ok(None);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(Some(ids));
            }
        }
    }

    /// Customers whose whole name is `name`, ignoring case: the first `most`.
    pub async fn customers_of_name(&self, name: &Name, most: usize) -> Result<Vec<Customer>, StoreError> {
        let ids = self.owners_of_name(NAMES, name, most).await?;
        let found = self.batch_get(ids.iter().map(|id| Key::customer(CustomerId(*id)))).await?;
        let found = ids.iter().filter_map(|id| found.get(&Key::customer(CustomerId(*id))).transpose());
        let customers: Vec<Customer> = found.collect::<Result<_, _>>()?;
        Ok(customers.into_iter().filter(|customer| same(customer.contact.name.as_ref(), name)).collect())
    }

    /// Users other than customers whose whole name is `name`, ignoring case: the first `most`.
    pub async fn staff_of_name(&self, name: &Name, most: usize) -> Result<Vec<User>, StoreError> {
        let ids = self.owners_of_name(STAFF_NAMES, name, most).await?;
        let found = self.batch_get(ids.iter().map(|id| Key::user(UserId(*id)))).await?;
        let found = ids.iter().filter_map(|id| found.get(&Key::user(UserId(*id))).transpose());
        let users: Vec<User> = found.collect::<Result<_, _>>()?;
        Ok(users.into_iter().filter(|user| same(user.name.as_ref(), name)).collect())
    }

    /// Who is in the index of names `partition` under `name`. An index: it only finds.
    async fn owners_of_name(&self, partition: &str, name: &Name, most: usize) -> Result<Vec<Uuid>, StoreError> {
        let request = self
            .client()
            .query()
            .table_name(self.table())
            .index_name("gsi3")
            .key_condition_expression("gsi3pk = :names AND begins_with(gsi3sk, :name)")
            .expression_attribute_values(":names", AttributeValue::S(partition.into()))
            .expression_attribute_values(":name", AttributeValue::S(format!("{}#", name.as_str().to_lowercase())))
            .limit(i32::try_from(most).unwrap_or(i32::MAX));
        let answer = request.send().await.map_err(StoreError::of)?;
        let pks = answer.items().iter().filter_map(|item| item.get("pk")?.as_s().ok()?.split_once('#'));
        Ok(pks.filter_map(|(_, id)| id.parse().ok()).collect())
    }

    /// A page of the entities of a kind, oldest first, and where the next begins.
    pub async fn list<E: Entity>(&self, start: Option<Item>, limit: i32) -> Result<(Vec<E>, Option<Item>), StoreError> {
        self.listed(self.list_query(E::KIND).limit(limit).set_exclusive_start_key(start)).await
    }

    /// The same, newest first.
    pub(super) async fn list_newest<E: Entity>(
        &self,
        start: Option<Item>,
        limit: i32,
    ) -> Result<(Vec<E>, Option<Item>), StoreError> {
        let request = self.list_query(E::KIND).scan_index_forward(false);
        self.listed(request.limit(limit).set_exclusive_start_key(start)).await
    }

    fn list_query(&self, kind: &str) -> QueryFluentBuilder {
        self.client()
            .query()
            .table_name(self.table())
            .index_name("gsi1")
            .key_condition_expression("gsi1pk = :list")
            .expression_attribute_values(":list", AttributeValue::S(partition(kind)))
    }

    /// The rows that `request` finds, as they are, and where the next page begins.
    async fn listed<E: Entity>(&self, request: QueryFluentBuilder) -> Result<(Vec<E>, Option<Item>), StoreError> {
        let answer = request.send().await.map_err(StoreError::of)?;
        let keys: Vec<Key> = answer.items().iter().filter_map(Key::of).collect();
        let batch = self.batch_get(keys.iter().cloned()).await?;
        let found = keys.iter().filter_map(|key| batch.get(key).transpose());
        Ok((found.collect::<Result<_, _>>()?, answer.last_evaluated_key))
    }
}

fn same(own: Option<&Name>, name: &Name) -> bool {
    own.is_some_and(|own| own.as_str().to_lowercase() == name.as_str().to_lowercase())
}
