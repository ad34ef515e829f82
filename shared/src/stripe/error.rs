//! How a call to Stripe can fail, told apart by what may be done next.

use thiserror::Error;

/// A call to Stripe that gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StripeError {
    /// A request with this idempotency key is still running, or a record is locked (409).
    #[error("Stripe is busy with the same request")]
    Conflict,
    /// There was no usable answer: whether anything was done is unknown.
    #[error("Stripe did not answer")]
    Timeout,
    /// Stripe failed, and keeps that answer for the key; something may have been done.
    #[error("Stripe failed with status {0}")]
    Server(u16),
    /// Stripe refused the request, and did nothing.
    #[error("Stripe refused with status {status}, code `{code}`")]
    Refused {
        /// The status.
        status: u16,
        /// What a program decides on: the error's code, else its type.
        code: String,
    },
}
