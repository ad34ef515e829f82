//! Refunds and the invoices they belong to, which may not name each other: they meet at the payment
//! that both name, whichever comes first.

use shared::app::App;
use shared::clock::Time;
use shared::domain::billing::{Bill, Invoice, PaidBy, Payment, Refund};
use shared::http::ApiError;
use shared::ids::CustomerId;
use shared::store::Transaction;
use shared::store::key::Key;

/// What comes of what paid an invoice, for an operator.
const LINKED: &str = "payments of an invoice";

/// Adds to `transaction` the invoice that `bill` makes, its payments, and what was given back of
/// them before.
pub(crate) async fn bill(
    app: &App,
    transaction: &mut Transaction,
    id: CustomerId,
    bill: &Bill,
    now: Time,
) -> Result<&'static str, ApiError> {
    let (known, payments) = tokio::join!(known_invoice(app, id, &bill.invoice_id), known_payments(app, &bill.payments));
    let (known, payments) = (known?, payments?);
    let mut after = Invoice::billed(known.as_ref(), id, bill);
    for (owner, refund) in link(transaction, &bill.invoice_id, payments, now) {
        if owner == id {
            let so_far = after.as_ref().or(known.as_ref());
            after = Invoice::refunded(so_far, id, &bill.invoice_id, &refund).or(after);
        }
    }
    Ok(save(transaction, after))
}

/// Adds to `transaction` what `refund` gives back: to the invoice that its charge or its payment
/// names, or else to its payments, where it waits for that.
pub(crate) async fn give_back(
    app: &App,
    transaction: &mut Transaction,
    id: CustomerId,
    refund: &Refund,
    now: Time,
) -> Result<&'static str, ApiError> {
    let payments = known_payments(app, &refund.payments).await?;
    let paid = payments.iter().find_map(|(_, payment)| payment.as_ref()?.invoice_id.clone());
    if let Some(invoice_id) = refund.invoice_id.clone().or(paid) {
        let known = known_invoice(app, id, &invoice_id).await?;
        return Ok(save(transaction, Invoice::refunded(known.as_ref(), id, &invoice_id, refund)));
    }
    for (payment_id, known) in &payments {
        if let Some(payment) = Payment::given_back(known.as_ref(), payment_id, id, refund) {
            transaction.save_payment(&payment, now);
        }
    }
    tracing::warn!(customer_id = %id, payments = ?refund.payments, "a refund waits for its invoice");
    Ok("a refund that waits for its invoice")
}

/// Adds to `transaction` what paid an invoice, and to the invoice what was given back before.
pub(crate) async fn paid(
    app: &App,
    transaction: &mut Transaction,
    paid: &PaidBy,
    now: Time,
) -> Result<&'static str, ApiError> {
    let payments = known_payments(app, &paid.payments).await?;
    let waiting = link(transaction, &paid.invoice_id, payments, now);
    // Both names of one payment have the same refund: the highest counts once.
    let Some((id, refund)) = waiting.into_iter().max_by_key(|(_, refund)| refund.amount_refunded) else {
        return Ok(LINKED);
    };
    if app.store.customer(id).await?.is_none() {
        return Ok(LINKED);
    }
    let known = known_invoice(app, id, &paid.invoice_id).await?;
    Ok(save(transaction, Invoice::refunded(known.as_ref(), id, &paid.invoice_id, &refund)))
}

/// Adds to `transaction` that `payments` paid the invoice. Answers the refunds that waited for it.
fn link(
    transaction: &mut Transaction,
    invoice_id: &str,
    payments: Vec<(String, Option<Payment>)>,
    now: Time,
) -> Vec<(CustomerId, Refund)> {
    let mut waiting = Vec::new();
    for (payment_id, known) in payments {
        let Some(payment) = Payment::paid(known.as_ref(), &payment_id, invoice_id) else { continue };
        transaction.save_payment(&payment, now);
        waiting.extend(payment.customer_id.zip(payment.refund));
    }
    waiting
}

async fn known_invoice(app: &App, id: CustomerId, invoice_id: &str) -> Result<Option<Invoice>, ApiError> {
    Ok(app.store.get(&Key::invoice(id, invoice_id)).await?)
}

/// The payments `ids`, each once.
async fn known_payments(app: &App, ids: &[String]) -> Result<Vec<(String, Option<Payment>)>, ApiError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let batch = app.store.batch_get(ids.iter().map(|id| Key::stripe_payment(id))).await?;
    let mut known = Vec::new();
    for id in ids {
        let payment = batch.get(&Key::stripe_payment(&id))?;
        known.push((id, payment));
    }
    Ok(known)
}

fn save(transaction: &mut Transaction, invoice: Option<Invoice>) -> &'static str {
    let Some(invoice) = invoice else { return "no change" };
    transaction.save_invoice(&invoice);
    "invoice"
}
