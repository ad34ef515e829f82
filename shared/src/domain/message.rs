//! A message that is to leave: an item in the transaction that caused it (the outbox).
//!
//! It holds no text and no secret. What it says, to whom, and the temporary password in it are
//! worked out on delivery, from the live records. Only a request for a new password holds what
//! somebody entered as their login, until it is delivered.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Time;
use crate::domain::user::User;
use crate::ids::{CustomerId, UserId};
use crate::secret::random_bytes;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// A new account and its temporary password.
    Invitation,
    /// Somebody entered the address of a customer, or of a user, where only new ones belong.
    AlreadyCustomer,
    /// Somebody registered with the address of a lead, who has somewhere to pay.
    CheckoutLink,
    /// Somebody asked for a way to set a new password.
    PasswordReset,
}

/// Where a message is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// Not yet handed over.
    Pending,
    /// Handed over.
    Sent,
    /// Overtaken by a later change of credentials, or addressed to nobody who can be reached.
    Void,
}

/// How long after a message was written, or last tried, the backfill takes it up, in seconds.
const REDRIVE_AFTER_SECONDS: i64 = 300;

/// How long a message stays on record once it is done, in seconds.
const KEEP_SECONDS: i64 = 7 * 86_400;

/// A message in the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub message_id: Uuid,
    /// What it is about.
    #[serde(rename = "message_kind")]
    pub kind: MessageKind,
    /// Where it is on its way.
    pub state: MessageState,
    /// The user it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The customer it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// Whom it is for, as somebody entered it, while nobody has looked who that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
    /// The credential epoch it was made for.
    pub epoch: u64,
    /// What the temporary password is derived from, together with a server key.
    pub nonce: String,
    /// How often the backfill has taken it up.
    pub redrives: u32,
    /// When it was made.
    pub created_at: Time,
    /// When the backfill takes it up next.
    pub due_at: Time,
    /// When it may be forgotten, in Unix seconds, once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// Raised by every write.
    pub version: u64,
}

impl Message {
    /// A message to `user`, bound to its present credential epoch.
    #[must_use]
    pub fn to_user(kind: MessageKind, user: &User, now: Time) -> Self {
        let customer_id = user.customer_v2_id;
        Self { user_id: Some(user.user_id), customer_id, epoch: user.credential_epoch, ..Self::new(kind, now) }
    }

    /// A message to the contact address of a customer.
    #[must_use]
    pub fn to_customer(kind: MessageKind, customer_id: CustomerId, now: Time) -> Self {
        Self { customer_id: Some(customer_id), ..Self::new(kind, now) }
    }

    /// A message to whoever `identifier` turns out to be on delivery. Its id is given, so that the
    /// same request within its period is the same message.
    #[must_use]
    pub fn to_whom_it_concerns(kind: MessageKind, identifier: String, message_id: Uuid, now: Time) -> Self {
        Self { identifier: Some(identifier), message_id, ..Self::new(kind, now) }
    }

    fn new(kind: MessageKind, now: Time) -> Self {
        Self {
            message_id: now.new_id(),
            kind,
            state: MessageState::Pending,
            user_id: None,
            customer_id: None,
            identifier: None,
            epoch: 0,
            nonce: hex::encode(random_bytes::<16>()),
            redrives: 0,
            created_at: now,
            due_at: now.plus_seconds(REDRIVE_AFTER_SECONDS),
            expires_at: None,
            version: 0,
        }
    }

    /// The message, done with at `now`.
    #[must_use]
    pub fn done(mut self, state: MessageState, now: Time) -> Self {
        self.state = state;
        self.identifier = None;
        self.expires_at = Some(now.unix_seconds() + KEEP_SECONDS);
        self
    }

    /// The message, put on its way once more; each time it waits twice as long as before.
    #[must_use]
    pub fn redriven(mut self, now: Time) -> Self {
        self.redrives += 1;
        let wait = REDRIVE_AFTER_SECONDS << self.redrives.min(8);
        self.due_at = now.plus_seconds(wait);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::EmailAddress;
    use crate::domain::user::Role;

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);

    #[test]
    fn a_message_says_whom_it_is_for() {
        let (email, customer_id) = (EmailAddress::parse("a@x.io").unwrap(), CustomerId(NOW.new_id()));
        let mut user = User::new(UserId(NOW.new_id()), email, Role::Customer, NOW);
        (user.customer_v2_id, user.credential_epoch) = (Some(customer_id), 3);
        let message = Message::to_user(MessageKind::Invitation, &user, NOW);
        assert_eq!((message.user_id, message.customer_id, message.epoch), (Some(user.user_id), Some(customer_id), 3));
        let message = Message::to_customer(MessageKind::AlreadyCustomer, customer_id, NOW);
        assert_eq!((message.user_id, message.customer_id), (None, Some(customer_id)));
        let id = NOW.new_id();
        let message = Message::to_whom_it_concerns(MessageKind::PasswordReset, "a@x.io".into(), id, NOW);
        assert_eq!((message.message_id, message.identifier.as_deref()), (id, Some("a@x.io")));
    }

    #[test]
    fn what_is_done_names_nobody_and_is_kept_for_a_week() {
        let message = Message::to_whom_it_concerns(MessageKind::PasswordReset, "a@x.io".into(), NOW.new_id(), NOW);
        let done = message.done(MessageState::Sent, NOW);
        assert_eq!((done.state, done.identifier), (MessageState::Sent, None));
        assert_eq!(done.expires_at, Some(NOW.unix_seconds() + 604_800));
    }

    #[test]
    fn each_time_it_waits_twice_as_long_as_before_until_that_is_most_of_a_day() {
        let mut message = Message::to_customer(MessageKind::AlreadyCustomer, CustomerId(NOW.new_id()), NOW);
        assert_eq!(message.due_at, NOW.plus_seconds(300));
        for minutes in [10, 20, 40, 80, 160, 320, 640, 1_280, 1_280] {
            message = message.redriven(NOW);
            assert_eq!(message.due_at, NOW.plus_seconds(minutes * 60));
        }
        assert_eq!(message.redrives, 9);
    }
}
