//! The message that somebody who has forgotten a password gets, if there is anybody.

use shared::app::App;
use shared::clock::Time;
use shared::domain::message::Message;
use shared::domain::recovery::{RecoveryLog, ResetTicket, token};
use shared::http::ApiError;
use shared::notify::{Letter, template};
use shared::store::key::Key;
use shared::store::retry::Backoff;
use shared::store::{Conflict, Refused};

use super::notify::{base_url, recovery_recipient};
use crate::account::LoginName;

/// The letter, and the ticket of its link; none if nobody signs in so, if nobody can be reached,
/// or if they have had enough for now.
pub(super) async fn letter(app: &App, message: &Message, now: Time) -> Result<Option<Letter>, ApiError> {
    let Some(entered) = &message.identifier else { return Ok(None) };
    let user = LoginName::read(app, entered).await?.user(app).await?.filter(|user| user.enabled);
    let Some(user) = user else { return Ok(None) };
    let customer = app.store.customer_of(&user).await?;
    let Some(to) = recovery_recipient(app, customer.as_ref(), &user) else { return Ok(None) };
    let token = token(&app.keys, message, &user);
    let ticket = ResetTicket::new(&token, &user, now);
    if !issue(app, message, &ticket, now).await? {
        return Ok(None);
    }
    Ok(Some(template::password_reset(to, user.name.as_ref(), &token, base_url(app))))
}

/// Stores the ticket of the message's link; `false` if its user has had enough for now.
async fn issue(app: &App, message: &Message, ticket: &ResetTicket, now: Time) -> Result<bool, ApiError> {
    let mut races = Backoff::new();
    loop {
        let log: Option<RecoveryLog> = app.store.get(&Key::recovery_log(ticket.user_id)).await?;
        let log = log.unwrap_or_else(|| RecoveryLog::empty(ticket.user_id));
        let read = log.version;
        let Some(mut log) = log.admit(message.message_id, now) else { return Ok(false) };
        log.version = read + 1;
        let mut transaction = app.store.transaction();
        transaction.replace(&log, read, Conflict::Changed);
        transaction.create_over_expired(ticket, now.unix_seconds(), Conflict::HandledBefore);
        match transaction.commit(&app.store).await {
            // The ticket is there: this message is being delivered once more.
            Ok(()) | Err(Refused::Conflict(Conflict::HandledBefore)) => return Ok(true),
            Err(Refused::Conflict(_)) if races.wait().await => {}
            Err(refused) => return Err(refused.into()),
        }
    }
}
