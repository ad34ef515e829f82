//! Recovery: a link by which its holder sets a new password, once, within an hour.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::domain::message::Message;
use crate::domain::user::User;
use crate::ids::UserId;
use crate::secret::Secret;
use crate::token::{KeyRing, sha256_hex};

/// How long a link works, in seconds.
pub const LINK_SECONDS: i64 = 3_600;

/// The shortest time between two messages to one user, in seconds.
const PAUSE_SECONDS: i64 = 300;

/// Messages to one user within [`HOUR_SECONDS`].
const MAX_PER_HOUR: usize = 5;
const HOUR_SECONDS: i64 = 3_600;

/// A link at rest: the hash of its token, and what it is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetTicket {
    /// SHA-256 of the token, which has 256 random bits: a plain hash gives nothing away.
    pub sha256: String,
    /// Whose password it sets.
    pub user_id: UserId,
    /// The credential epoch it was made for; any later one voids it.
    pub epoch: u64,
    /// When it stops working, in Unix seconds.
    pub expires_at: i64,
    /// Always 1: it is written once and used once.
    pub version: u64,
}

impl ResetTicket {
    /// The ticket of `token` for `user`.
    #[must_use]
    pub fn new(token: &Secret, user: &User, now: Time) -> Self {
        let expires_at = now.unix_seconds() + LINK_SECONDS;
        let sha256 = sha256_hex(token.expose());
        Self { sha256, user_id: user.user_id, epoch: user.credential_epoch, expires_at, version: 1 }
    }

    /// Whether it still sets the password of `user` at `now`.
    #[must_use]
    pub fn opens(&self, user: &User, now: Time) -> bool {
        self.user_id == user.user_id
            && self.epoch == user.credential_epoch
            && self.expires_at > now.unix_seconds()
            && user.enabled
    }
}

/// The token that `message` carries to `user`: the same at every delivery until their credentials
/// change. Were it the same afterwards, too, a second delivery would revive the link that changed them.
#[must_use]
pub fn token(keys: &KeyRing, message: &Message, user: &User) -> Secret {
    let epoch = user.credential_epoch.to_be_bytes();
    let mac = keys.mac("password-reset", &[message.message_id.as_bytes(), message.nonce.as_bytes(), &epoch]);
    Secret::new(hex::encode(mac))
}

/// When a user was last sent a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryLog {
    /// The user.
    pub user_id: UserId,
    /// When, in Unix seconds, oldest first, and by which message.
    pub sent: Vec<(i64, uuid::Uuid)>,
    /// When it may be forgotten, in Unix seconds.
    pub expires_at: i64,
    /// Raised by every write.
    pub version: u64,
}

impl RecoveryLog {
    /// The log of a user who was never sent one.
    #[must_use]
    pub fn empty(user_id: UserId) -> Self {
        Self { user_id, sent: Vec::new(), expires_at: 0, version: 0 }
    }

    /// The log with `message` in it; `None` if the user has had enough for now. A message that is
    /// in it already is being delivered again, and may go.
    #[must_use]
    pub fn admit(mut self, message: uuid::Uuid, now: Time) -> Option<Self> {
        if self.sent.iter().any(|(_, id)| *id == message) {
            return Some(self);
        }
        self.sent.retain(|(at, _)| *at > now.unix_seconds() - HOUR_SECONDS);
        let paused = self.sent.last().is_some_and(|(at, _)| *at > now.unix_seconds() - PAUSE_SECONDS);
        if paused || self.sent.len() >= MAX_PER_HOUR {
            return None;
        }
        self.sent.push((now.unix_seconds(), message));
        self.expires_at = now.unix_seconds() + HOUR_SECONDS;
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::EmailAddress;
    use crate::domain::user::Role;

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);

    #[test]
    fn a_link_ends_with_its_hour_its_epoch_and_its_user() {
        let user = User::new(UserId(NOW.new_id()), EmailAddress::parse("a@x.io").unwrap(), Role::Customer, NOW);
        let ticket = ResetTicket::new(&Secret::new("token"), &user, NOW);
        assert!(ticket.opens(&user, NOW.plus_seconds(LINK_SECONDS - 1)));
        assert!(!ticket.opens(&user, NOW.plus_seconds(LINK_SECONDS)));
        assert!(!ticket.opens(&User { credential_epoch: 2, ..user.clone() }, NOW));
        assert!(!ticket.opens(&User { enabled: false, ..user }, NOW));
    }

    #[test]
    fn one_message_in_five_minutes_and_five_in_an_hour() {
        let mut log = RecoveryLog::empty(UserId(NOW.new_id()));
        for n in 0..5 {
            let now = NOW.plus_seconds(n * 300);
            log = log.admit(now.new_id(), now).expect("one in five minutes");
            assert_eq!(log.clone().admit(now.new_id(), now.plus_seconds(299)), None);
            assert_eq!(log.expires_at, now.unix_seconds() + 3_600);
        }
        assert_eq!(log.clone().admit(NOW.new_id(), NOW.plus_seconds(1_800)), None);
        assert!(log.admit(NOW.new_id(), NOW.plus_seconds(3_600)).is_some());
    }
}
