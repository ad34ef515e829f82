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
