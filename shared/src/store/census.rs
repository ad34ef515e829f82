//! Reading every user and every customer for a [`Census`], and keeping what it counted.
//!
//! The table itself is read, strongly consistently and a page at a time: an index could be behind,
//! and a report has to be equal to a recount. What is written while it is read may be seen or not.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::item::{Entity, Indexes, Item, row_of};
use super::key::Key;
use super::transaction::Conflict;
use super::{Store, StoreError, work};
use crate::clock::Time;
use crate::domain::census::{Census, CustomerRow, Figures, InvitationRow, UserRow};
use crate::domain::customer::Customer;
use crate::domain::message::Message;
use crate::domain::user::User;

/// What is read of the items, and no more.
const ATTRIBUTES: [&str; 19] = [
    "pk",
    "kind",
    "user_id",
    "role",
    "enabled",
    "password_hash",
    "temporary",
    "credential_epoch",
    "customer_v2_id",
    "customer_number",
    "review",
    "internal_id",
    "origin",
    "status",
    "customer_reference",
    "email",
    "message_kind",
    "state",
    "epoch",
];

/// Users, customers, and invitations that have not been delivered yet.
const FILTER: &str =
    "#kind IN (:user, :customer) OR (#kind = :message AND #message_kind = :invitation AND #state = :pending)";

/// What was counted last, for a table that is too large to be counted while somebody waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// What was counted; nothing yet where it was only asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counted>,
    /// When it is to be counted again: set when somebody asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Time>,
    /// Raised by every write; a write made from an older picture fails.
    pub version: u64,
}

/// Figures, and as of when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// What there was.
    pub figures: Figures,
    /// When the counting began.
    pub as_of: Time,
}

impl Entity for Snapshot {
    const KIND: &'static str = "report";

    fn key(&self) -> Key {
        Key::report()
    }

    fn indexes(&self) -> Indexes {
        Indexes { work: self.due_at.map(|at| work::entry(at, &self.key())), ..Indexes::default() }
    }
}

impl Store {
    /// Reads a page of the table into `census`; answers where the next begins.
    pub async fn read_census(&self, census: &mut Census, start: Option<Item>) -> Result<Option<Item>, StoreError> {
        let name = |attribute: &str| format!("#{attribute}");
        let names: HashMap<_, _> = ATTRIBUTES.map(|attribute| (name(attribute), attribute.to_owned())).into();
        let request = self
            .client()
            .scan()
            .table_name(self.table())
            .consistent_read(true)
            .projection_expression(ATTRIBUTES.map(name).join(", "))
            .filter_expression(FILTER)
            .set_expression_attribute_names(Some(names))
            .expression_attribute_values(":user", AttributeValue::S(User::KIND.into()))
            .expression_attribute_values(":customer", AttributeValue::S(Customer::KIND.into()))
            .expression_attribute_values(":message", AttributeValue::S(Message::KIND.into()))
            .expression_attribute_values(":invitation", AttributeValue::S("invitation".into()))
            .expression_attribute_values(":pending", AttributeValue::S("pending".into()))
            .set_exclusive_start_key(start);
        let answer = request.send().await.map_err(StoreError::of)?;
        for item in answer.items.unwrap_or_default() {
            take(census, item)?;
        }
        Ok(answer.last_evaluated_key)
    }

    /// What was counted last, or asked for.
    pub async fn snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        self.get(&Key::report()).await
    }

    /// Stores `snapshot`, whose version is the one that was read; `false` if somebody else was faster.
    pub async fn save_snapshot(&self, snapshot: &Snapshot) -> Result<bool, StoreError> {
        let stored = Snapshot { version: snapshot.version + 1, ..snapshot.clone() };
        let mut transaction = self.transaction();
        transaction.replace(&stored, snapshot.version, Conflict::Changed);
        transaction.commit_unless_refused(self).await
    }
}

fn take(census: &mut Census, item: Item) -> Result<(), StoreError> {
    let kind = item.get("kind").and_then(|value| value.as_s().ok()).map(String::as_str);
    if kind == Some(User::KIND) {
        census.user(&row_of::<UserRow>(User::KIND, item)?);
    } else if kind == Some(Customer::KIND) {
        census.customer(&row_of::<CustomerRow>(Customer::KIND, item)?);
    } else {
        census.invitation(&row_of::<InvitationRow>(Message::KIND, item)?);
    }
    Ok(())
}
