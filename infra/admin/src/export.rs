//! The customers as a file of comma-separated values, leads among them.
//!
//! Pages of the list are written as they come, so that memory does not grow with the file. A customer
//! who was there when it began is in it once; who comes or goes meanwhile may be.

use std::io::{self, Write};

use shared::app::App;
use shared::contact::{EmailAddress, Phone};
use shared::domain::customer::{Customer, Status};
use shared::domain::linking::Pair;
use shared::domain::user::User;
use shared::ids::ExternalId;
use shared::store::StoreError;
use shared::store::key::Key;
use shared::text::{Address, Area, Name};
use thiserror::Error;

use crate::csv::{cell, free_text};

/// The columns, in order.
pub const COLUMNS: [&str; 18] = [
    "internal_id",
    "id",
    "customer_reference",
    "customerId",
    "user_id",
    "login",
    "name",
    "email",
    "phone",
    "address",
    "area",
    "status",
    "stripe_id",
    "delivery_boy_id",
    "legacy_source",
    "legacy_id",
    "created_at",
    "updated_at",
];

/// Customers read at once.
const PAGE: i32 = 100;

/// Why an export stopped.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The table failed.
    #[error("the export stopped: {0}; run it again")]
    Store(#[from] StoreError),
    /// The file cannot be written.
    #[error("the export cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// Writes every customer to `out`; answers how many. Tells `progress` how many it is through.
pub async fn write(app: &App, out: &mut impl Write, progress: impl Fn(u64)) -> Result<u64, ExportError> {
    let (mut written, mut position) = (0, None::<String>);
    put(out, &COLUMNS.map(str::to_owned))?;
    loop {
        let (rows, next) = app.store.list_after::<Customer>(position.as_deref(), PAGE).await?;
        let logins = rows.iter().filter_map(|(_, customer)| customer.user_id).map(Key::user);
        let logins = app.store.batch_get(logins).await?;
        for (_, customer) in &rows {
            let login = customer.user_id.map(|id| logins.get::<User>(&Key::user(id))).transpose()?.flatten();
            let login = login.filter(|user| Pair::of(customer, user).is_some());
            put(out, &record(customer, login.as_ref()))?;
            written += 1;
        }
        progress(written);
        position = next;
        if position.is_none() {
            out.flush()?;
            return Ok(written);
        }
    }
}

/// Writes a line, whose cells are escaped already.
fn put(out: &mut impl Write, cells: &[String; COLUMNS.len()]) -> io::Result<()> {
    write!(out, "{}\r\n", cells.join(","))
}

/// The cells of `customer`, who signs in as `login`. What a person or another system chose is made
/// harmless; what has a form of its own (ids, numbers, times, a phone of `+` and digits) stays as it
/// is, to be read by machines.
fn record(customer: &Customer, login: Option<&User>) -> [String; COLUMNS.len()] {
    let (contact, legacy) = (&customer.contact, customer.legacy.as_ref());
    [
        customer.internal_id.to_string(),
        chosen(customer.id.as_ref().map(ExternalId::as_str)),
        formed(customer.customer_reference.as_ref()),
        formed(customer.customer_number.as_ref()),
        formed(customer.user_id),
        chosen(login.map(|user| user.email.as_str())),
        chosen(contact.name.as_ref().map(Name::as_str)),
        chosen(contact.email.as_ref().map(EmailAddress::as_str)),
        formed(contact.phone.as_ref().map(Phone::as_str)),
        chosen(contact.address.as_ref().map(Address::as_str)),
        chosen(contact.area.as_ref().map(Area::as_str)),
        status_name(customer.status).to_owned(),
        chosen(customer.stripe_id.as_deref()),
        formed(customer.delivery_boy_id),
        formed(legacy.map(|legacy| legacy.source.name())),
        chosen(legacy.map(|legacy| legacy.id.as_str())),
        customer.created_at.to_string(),
        customer.updated_at.to_string(),
    ]
}

fn chosen(text: Option<&str>) -> String {
    text.map(free_text).unwrap_or_default()
}

fn formed(value: Option<impl ToString>) -> String {
    value.map(|value| cell(&value.to_string())).unwrap_or_default()
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::PendingPayment => "pending_payment",
        Status::PaymentFailed => "payment_failed",
        Status::Trial => "trial",
        Status::Active => "active",
        Status::Inactive => "inactive",
    }
}
