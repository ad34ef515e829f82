//! Passwords, temporary or chosen, and what each of them ends.
//!
//! A temporary password is derived on delivery, bound to a credential epoch, and nowhere at rest.

use crate::clock::Time;
use crate::domain::message::Message;
use crate::domain::user::{TemporaryPassword, User};
use crate::secret::{Secret, readable};
use crate::token::KeyRing;

/// How long a temporary password works, in seconds.
pub const TEMPORARY_PASSWORD_SECONDS: i64 = 7 * 86_400;

/// The characters of a temporary password.
pub const TEMPORARY_PASSWORD_CHARS: usize = 16;

/// The temporary password that `message` carries under the key `kid`: the same at every delivery.
/// `None` when the key has been retired.
#[must_use]
pub fn temporary_password(keys: &KeyRing, kid: &str, message: &Message) -> Option<Secret> {
    let block = |n: u8| {
        let parts = [message.message_id.as_bytes().as_slice(), message.nonce.as_bytes(), &[n]];
        keys.mac_with(kid, "temporary-password", &parts)
    };
    // Every block gives about 28 characters; 256 of them are enough for any luck.
    block(0).map(|_| readable((0..=u8::MAX).filter_map(block).flatten(), TEMPORARY_PASSWORD_CHARS))
}

/// `user` without any password, for a new invitation or hand-over: what was sent or handed over before
/// is void, and so are the sessions opened with it.
#[must_use]
pub fn without_password(mut user: User, now: Time) -> User {
    user.password_hash = None;
    user.temporary = None;
    user.credential_epoch += 1;
    user.token_version += 1;
    user.updated_at = now;
    user
}

/// `user` with the hash of a temporary password that a person hands over, good for seven days from
/// `now`. No message derives it again.
#[must_use]
pub fn with_handed_over_password(user: User, hash: String, now: Time) -> User {
    let mut user = without_password(user, now);
    user.password_hash = Some(hash);
    let expires_at = Some(now.plus_seconds(TEMPORARY_PASSWORD_SECONDS));
    user.temporary = Some(TemporaryPassword { expires_at, kid: None });
    user
}

/// `user` with the temporary password whose hash is `hash`, good for seven days from `now`.
#[must_use]
pub fn with_temporary_password(mut user: User, hash: String, kid: &str, now: Time) -> User {
    user.password_hash = Some(hash);
    user.temporary = Some(TemporaryPassword {
        expires_at: Some(now.plus_seconds(TEMPORARY_PASSWORD_SECONDS)),
        kid: Some(kid.to_owned()),
    });
    user.updated_at = now;
    user
}

/// `user` with the password of their own whose hash is `hash`. It ends every session, temporary
/// password, invitation and link that was there before.
#[must_use]
pub fn with_own_password(mut user: User, hash: String, now: Time) -> User {
    user.password_hash = Some(hash);
    user.temporary = None;
    user.credential_epoch += 1;
    user.token_version += 1;
    user.updated_at = now;
    user
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contact::EmailAddress;
    use crate::domain::message::MessageKind;
    use crate::domain::user::Role;
    use crate::ids::UserId;

    const NOW: Time = Time::from_unix_seconds(1_795_176_000);

    fn user() -> User {
        User::new(UserId(NOW.new_id()), EmailAddress::parse("a@x.io").unwrap(), Role::Customer, NOW)
    }

    #[test]
    fn a_temporary_password_is_the_same_at_every_delivery_until_its_key_is_retired() {
        let (keys, _) = KeyRing::generate();
        let message = Message::to_user(MessageKind::Invitation, &user(), NOW);
        let first = temporary_password(&keys, keys.signing_kid(), &message).unwrap();
        assert_eq!(first.expose().len(), TEMPORARY_PASSWORD_CHARS);
        assert_eq!(temporary_password(&keys, keys.signing_kid(), &message), Some(first));
        assert_eq!(temporary_password(&keys, "retired", &message), None);
    }

    #[test]
    fn a_temporary_password_works_for_seven_days_and_their_own_for_good() {
        let end = NOW.plus_seconds(604_800);
        for user in [
            with_temporary_password(user(), "lent".into(), "k1", NOW),
            with_handed_over_password(user(), "lent".into(), NOW),
        ] {
            assert_eq!(user.usable_hash(end.plus_seconds(-1)), Some("lent"));
            assert_eq!(user.usable_hash(end), None);
            assert_eq!(with_own_password(user, "own".into(), NOW).usable_hash(end), Some("own"));
        }
    }

    #[test]
    fn what_ends_a_password_ends_the_sessions_and_the_links_that_were_there_before() {
        let before = user();
        for after in [
            without_password(before.clone(), NOW),
            with_handed_over_password(before.clone(), "lent".into(), NOW),
            with_own_password(before.clone(), "own".into(), NOW),
        ] {
            assert_eq!(after.credential_epoch, before.credential_epoch + 1);
            assert_eq!(after.token_version, before.token_version + 1);
        }
    }
}
