//! Customers whose login has a password from the start.
//!
//! The record, reference, number, login and both links are those that `POST /v1/customers` makes,
//! in one transaction. There is no invitation: delivering one would replace the password.

use std::process::ExitCode;

use shared::app::App;
use shared::contact::EmailAddress;
use shared::domain::customer::{Contact, Customer, Origin, Status};
use shared::domain::onboarding::{Frozen, Linked, Login, Terms, link};
use shared::domain::user::User;
use shared::ids::{Crn, CustomerId, CustomerNumber, UserId};
use shared::store::Refused;
use shared::store::counter::{Drawn, Want};
use shared::store::key::Key;
use shared::store::members::{EmailMembers, MemberLists};
use shared::store::retry::Backoff;

use crate::account::{NewAccount, already_there, described};
use crate::context::Context;
use crate::error::AdminError;
use crate::output::{note, result};
use crate::password::NewPassword;

/// Creates the customer, unless its address is the login of a customer already. An address that is
/// known otherwise is refused.
pub(crate) async fn create(context: &Context, wanted: NewAccount) -> Result<ExitCode, AdminError> {
    let (app, now) = (&context.app, context.app.clock.now());
    let NewAccount { email, role, name, phone, password } = wanted;
    if email.is_placeholder(&app.settings.placeholder_email_domain) {
        return Err(AdminError::PlaceholderEmail(email.as_str().to_owned()));
    }
    if let Some(holder) = find_holder(app, &email).await? {
        return already_there(&holder, role);
    }
    let password = password.obtain(app.settings.password_min_length, &email, name.as_ref())?;
    if context.dry_run {
        result(format_args!("would create the customer `{}`", email.as_str()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let hash = app.passwords.hash(password.secret()).await?;
    let mut customer = Customer::new(CustomerId(now.new_id()), Status::Active, Origin::Api, now);
    customer.contact = Contact { name, email: Some(email.clone()), phone, ..Contact::default() };
    let user_id = UserId(now.new_id());
    let mut drawn = Drawn::default();
    let mut races = Backoff::new();
    loop {
        drawn.draw(&app.store, &app.settings, now, Want { crn: true, number: true }).await?;
        let frozen = Frozen { user_id, crn: drawn.crn.clone(), number: drawn.number.clone(), now };
        let mut linked = link(customer.clone(), Login::New(email.clone()), &frozen, Terms::Uninvited);
        linked.user.password_hash = Some(hash.clone());
        linked.user.temporary = password.temporary();
        let mut transaction = app.store.transaction();
        // The address has no customers, or it would have been refused.
        transaction.save_linked(None, &linked, &MemberLists::default());
        let conflict = match transaction.commit(&app.store).await {
            Ok(()) => return created(&linked, &password),
            Err(Refused::Store(error)) => return Err(error.into()),
            Err(Refused::Conflict(conflict)) => conflict,
        };
        if let Some(holder) = find_holder(app, &email).await? {
            return already_there(&holder, role);
        }
        drawn.discard(conflict);
        if !races.wait().await {
            return Err(AdminError::Conflict(conflict));
        }
    }
}

/// The account that signs in with `email`, if there is one. A login without a customer, and a
/// customer without this login, are refused: making them one is for `POST /v1/customers`.
async fn find_holder(app: &App, email: &EmailAddress) -> Result<Option<User>, AdminError> {
    if let Some(user) = app.store.user_by_login(email).await? {
        if user.is_free_for_customer() {
            return Err(AdminError::LoginWithoutCustomer(email.as_str().to_owned()));
        }
        return Ok(Some(user));
    }
    let list: Option<EmailMembers> = app.store.get(&Key::email_members(email)).await?;
    match list {
        Some(list) if !list.members.is_empty() => Err(AdminError::EmailOfCustomer(email.as_str().to_owned())),
        _ => Ok(None),
    }
}

fn created(linked: &Linked, password: &NewPassword) -> Result<ExitCode, AdminError> {
    let Linked { customer, user, .. } = linked;
    result(format_args!("created {}", described(user)))?;
    result(format_args!("internal_id: {}", customer.internal_id))?;
    let reference = customer.customer_reference.as_ref().map_or("none", Crn::as_str);
    result(format_args!("customer_reference: {reference}"))?;
    let number = customer.customer_number.as_ref().map_or("none", CustomerNumber::as_str);
    result(format_args!("customerId: {number}"))?;
    password.show()?;
    note(format_args!("The customer is active, and no invitation is sent."));
    Ok(ExitCode::SUCCESS)
}
