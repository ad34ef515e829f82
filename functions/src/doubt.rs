//! Refusals that are looked at twice.
//!
//! The same request, sent twice at once, is often what it would be refused for: the login or the Stripe
//! customer that it names is taken, by the customer that it means. Guards come in one `BatchGetItem`, which
//! is no snapshot, as AWS documents: a transaction may commit between two of its items, so that the login is
//! seen as it left it, and the marker or the id as they were before. And a transaction names the first
//! condition that fails, which need not be that of the marker. What must stay true: such a refusal rests on two
//! looks. Whatever the first has seen a part of, the second sees whole.
//! Where only a key tells that two requests are one, as for a registration, its marker alone is read again
//! (`shared::http::idempotency::earlier`).

use shared::http::ApiError;

/// Whether one look has led to a refusal.
#[derive(Default)]
pub(crate) struct Doubt {
    had: bool,
}

impl Doubt {
    /// Passes over `refusal` the first time: everything has to be read again. The second is the last word.
    pub(crate) fn once(&mut self, refusal: ApiError) -> Result<(), ApiError> {
        if std::mem::replace(&mut self.had, true) { Err(refusal) } else { Ok(()) }
    }
}
