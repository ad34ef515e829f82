//! Delivers the outbox. The stream of the table wakes it; the item itself says what is to do.
//!
//! A temporary password is made here and only here: derived, hashed into the user if the
//! credential epoch is still the message's, then sent. Dying at any point and running again sends
//! the same password, and never replaces one that its owner has set.

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use lambda_runtime::LambdaEvent;
use shared::app::App;
use shared::clock::Time;
use shared::domain::credential::{temporary_password, with_temporary_password};
use shared::domain::customer::{Contact, Customer};
use shared::domain::message::{Message, MessageKind, MessageState};
use shared::domain::user::User;
use shared::http::ApiError;
use shared::notify::template::Login;
use shared::notify::{Letter, Recipient, template};
use shared::secret::Secret;
use shared::store::key::Key;
use shared::store::retry::Backoff;
use shared::store::{Conflict, Refused};
use shared::telemetry::{Metric, count};
use uuid::Uuid;

use super::recovery;

/// Delivers every message of a batch; one that fails is reported, and the stream brings it and
/// what follows it again.
pub async fn on_stream(app: &App, event: LambdaEvent<Event>) -> DynamoDbEventResponse {
    let request_id = &event.context.request_id;
    let mut failures = Vec::new();
    for record in &event.payload.records {
        let Some(id) = message_id(record) else { continue };
        if let Err(error) = deliver(app, id).await {
            tracing::warn!(request_id, message_id = %id, ?error, "a message was not delivered");
            count(Metric::MessagesFailed, 1, app.clock.now().unix_ms());
            failures.push(record.change.sequence_number.clone());
        }
    }
    // One line per invocation, by the id that Lambda's own lines carry.
    let (records, failed) = (event.payload.records.len(), failures.len());
    tracing::info!(request_id, records, failed, "request");
    let mut response = DynamoDbEventResponse::default();
    response.batch_item_failures = failures.into_iter().map(failure).collect();
    response
}

fn failure(sequence_number: Option<String>) -> DynamoDbBatchItemFailure {
    let mut failure = DynamoDbBatchItemFailure::default();
    failure.item_identifier = sequence_number;
    failure
}

/// The message that a record tells of; everything else in the table is none of our business.
fn message_id(record: &EventRecord) -> Option<Uuid> {
    let keys: std::collections::HashMap<String, String> = serde_dynamo::from_item(record.change.keys.clone()).ok()?;
    keys.get("pk")?.strip_prefix("OUTBOX#")?.parse().ok()
}

/// Delivers the message `id`, unless it is done.
async fn deliver(app: &App, id: Uuid) -> Result<(), ApiError> {
    let message: Option<Message> = app.store.get(&Key::message(id)).await?;
    let Some(message) = message.filter(|message| message.state == MessageState::Pending) else { return Ok(()) };
    let now = app.clock.now();
    let letter = match message.kind {
        MessageKind::Invitation => invitation(app, &message, now).await?,
        MessageKind::AlreadyCustomer => notice(app, &message).await?,
        MessageKind::CheckoutLink => checkout_link(app, &message).await?,
        MessageKind::PasswordReset => recovery::letter(app, &message, now).await?,
    };
    let (state, metric) = match letter {
        Some(letter) => {
            app.mailer.send(letter).await.map_err(|error| ApiError::Unavailable(error.to_string()))?;
            (MessageState::Sent, Metric::MessagesSent)
        }
        None => (MessageState::Void, Metric::MessagesVoided),
    };
    count(metric, 1, now.unix_ms());
    let mut transaction = app.store.transaction();
    transaction.save_message(Some(&message), &message.clone().done(state, now));
    // Changed meanwhile: it was put on its way once more, and will be found again.
    transaction.commit_unless_refused(&app.store).await?;
    Ok(())
}

/// The invitation, if it is still meant: the epoch must be the message's.
async fn invitation(app: &App, message: &Message, now: Time) -> Result<Option<Letter>, ApiError> {
    let mut races = Backoff::new();
    loop {
        let Some(user) = user_of(app, message).await? else { return Ok(None) };
        // Whose login it is now: what lets somebody in goes to no other.
        let customer = app.store.customer_of(&user).await?;
        let Some(to) = recipient(app, customer.as_ref(), &user) else { return Ok(None) };
        match mint(app, message, &user, now).await? {
            Ok(password) => {
                let (name, login) = (user.name.as_ref(), login(app, &user, &to));
                return Ok(Some(template::invitation(to, name, &login, &password, base_url(app))));
            }
            Err(_) if races.wait().await => {}
            Err(conflict) => return Err(Refused::Conflict(conflict).into()),
        }
    }
}

async fn notice(app: &App, message: &Message) -> Result<Option<Letter>, ApiError> {
    let user = match message.user_id {
        Some(id) => app.store.user(id).await?,
        None => None,
    };
    let customer = match (&user, message.user_id) {
        (Some(user), _) => app.store.customer_of(user).await?,
        (None, Some(_)) => None,
        (None, None) => customer_of(app, message).await?,
    };
    let contact = match (customer, user) {
        (Some(customer), _) => customer.contact,
        (None, Some(user)) => {
            Contact { name: user.name, email: Some(user.email), phone: user.phone, ..Contact::default() }
        }
        (None, None) => return Ok(None),
    };
    let Some(to) = reach(app, &contact) else { return Ok(None) };
    Ok(Some(template::already_customer(to, contact.name.as_ref(), base_url(app))))
}

/// A way to pay, if the lead is still one: the latest checkout, else the form itself.
async fn checkout_link(app: &App, message: &Message) -> Result<Option<Letter>, ApiError> {
    let Some(lead) = customer_of(app, message).await?.filter(Customer::is_lead) else { return Ok(None) };
    let Some(to) = reach(app, &lead.contact) else { return Ok(None) };
    let url = lead.checkout_session_id.as_deref().and_then(|id| app.checkout.url_of(id));
    let url = url.unwrap_or_else(|| base_url(app).to_owned());
    Ok(Some(template::checkout_link(to, lead.contact.name.as_ref(), &url)))
}

async fn user_of(app: &App, message: &Message) -> Result<Option<User>, ApiError> {
    let Some(id) = message.user_id else { return Ok(None) };
    let user = app.store.user(id).await?;
    Ok(user.filter(|user| user.enabled && user.credential_epoch == message.epoch))
}

async fn customer_of(app: &App, message: &Message) -> Result<Option<Customer>, ApiError> {
    match message.customer_id {
        Some(id) => Ok(app.store.customer(id).await?),
        None => Ok(None),
    }
}

/// The password that this message carries, hashed into the user. A message that comes again finds
/// its hash there and sends the same password, for another seven days if those are over; the
/// inner error is a race that was lost.
async fn mint(app: &App, message: &Message, user: &User, now: Time) -> Result<Result<Secret, Conflict>, ApiError> {
    let minted = user.temporary.as_ref().filter(|temporary| temporary.expires_at.is_none_or(|at| at > now));
    let minted_with = minted.and_then(|temporary| temporary.kid.as_deref());
    if let Some(password) = minted_with.and_then(|kid| temporary_password(&app.keys, kid, message)) {
        return Ok(Ok(password));
    }
    let kid = app.keys.signing_kid();
    let password = temporary_password(&app.keys, kid, message);
    let password = password.ok_or_else(|| ApiError::Internal("the signing key derives nothing".into()))?;
    let hash = app.passwords.hash(&password).await?;
    let mut transaction = app.store.transaction();
    transaction.save_user(Some(user), &with_temporary_password(user.clone(), hash, kid, now));
    match transaction.commit(&app.store).await {
        Ok(()) => Ok(Ok(password)),
        Err(Refused::Conflict(conflict)) => Ok(Err(conflict)),
        Err(Refused::Store(error)) => Err(error.into()),
    }
}

/// Where an invitation goes: to the customer's contact, else to the user's own.
pub(crate) fn recipient(app: &App, customer: Option<&Customer>, user: &User) -> Option<Recipient> {
    let own = Contact { email: Some(user.email.clone()), phone: user.phone.clone(), ..Contact::default() };
    customer.and_then(|customer| reach(app, &customer.contact)).or_else(|| reach(app, &own))
}

/// Where a link to set a new password goes: to an address, the customer's before the user's, and by
/// SMS only where there is none.
pub(super) fn recovery_recipient(app: &App, customer: Option<&Customer>, user: &User) -> Option<Recipient> {
    let contact = customer.map(|customer| &customer.contact);
    let emails = [contact.and_then(|contact| contact.email.as_ref()), Some(&user.email)];
    let domain = &app.settings.placeholder_email_domain;
    let email = emails.into_iter().flatten().find(|email| !email.is_placeholder(domain));
    let phone = contact.and_then(|contact| contact.phone.as_ref()).or(user.phone.as_ref());
    email.cloned().map(Recipient::Email).or_else(|| phone.cloned().map(Recipient::Sms))
}

/// E-mail before SMS; a placeholder reaches nobody.
fn reach(app: &App, contact: &Contact) -> Option<Recipient> {
    let domain = &app.settings.placeholder_email_domain;
    let email = contact.email.clone().filter(|email| !email.is_placeholder(domain)).map(Recipient::Email);
    email.or_else(|| contact.phone.clone().map(Recipient::Sms))
}

/// What to sign in with: the login, and by SMS, where a placeholder would be long and odd, the
/// customer number.
pub(crate) fn login_name(user: &User, to: &Recipient) -> String {
    match (&user.customer_number, to) {
        (Some(number), Recipient::Sms(_)) => number.to_string(),
        _ => user.email.as_str().to_owned(),
    }
}

/// The same as a message says it: beside a placeholder it names the number, which can be typed.
fn login(app: &App, user: &User, to: &Recipient) -> Login {
    let is_placeholder = user.email.is_placeholder(&app.settings.placeholder_email_domain);
    let number = user.customer_number.as_ref().filter(|_| is_placeholder);
    Login { name: login_name(user, to), number: number.map(ToString::to_string) }
}

pub(super) fn base_url(app: &App) -> &str {
    app.settings.public_base_url.as_deref().unwrap_or_default()
}
