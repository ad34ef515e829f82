//! How messages leave: by e-mail through SES, by SMS through SNS, or into a local mailbox.

pub mod aws;
pub mod mailbox;
pub mod template;

use thiserror::Error;

use crate::contact::{EmailAddress, Phone};
use crate::domain::message::MessageKind;
use aws::AwsMailer;
use mailbox::Mailbox;

/// Whom a message reaches, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// By e-mail.
    Email(EmailAddress),
    /// By SMS.
    Sms(Phone),
}

/// A message, written out.
#[derive(Clone)]
pub struct Letter {
    /// What it is about.
    pub kind: MessageKind,
    /// Whom it reaches.
    pub to: Recipient,
    /// The subject; SMS has none.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same as HTML, for e-mail.
    pub html: String,
}

/// The message could not be handed over; it stays in the outbox.
#[derive(Debug, Error)]
#[error("the message could not be handed over: {0}")]
pub struct DeliveryError(pub String);

/// How messages leave.
#[derive(Clone, Debug)]
pub enum Mailer {
    /// This function sends nothing.
    None,
    /// Amazon SES and SNS.
    Aws(AwsMailer),
    /// A mailbox on this machine.
    Mailbox(Mailbox),
}

impl Mailer {
    /// Hands `letter` over.
    pub async fn send(&self, letter: Letter) -> Result<(), DeliveryError> {
        match self {
            Self::None => Err(DeliveryError("no mailer is configured".into())),
            Self::Aws(mailer) => mailer.send(letter).await,
            Self::Mailbox(mailbox) => mailbox.put(letter),
        }
    }
}
