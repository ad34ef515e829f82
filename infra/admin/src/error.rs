//! Why a command did not do what it was asked.

use std::io;

use functions::linking::NotUpdated;
use shared::config::ConfigError;
use shared::domain::update;
use shared::http::ApiError;
use shared::ids::UserId;
use shared::password::HashError;
use shared::store::{Conflict, StoreError};
use thiserror::Error;
use uuid::Uuid;

use crate::export::ExportError;
use crate::import::ImportError;

/// A command was refused or failed. The text is for the operator, and says what to do next.
#[derive(Debug, Error)]
pub(crate) enum AdminError {
    /// A variable of the environment is malformed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nobody says who asks.
    #[error(
        "there are no AWS credentials: set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` \
         (for a profile or SSO: `eval \"$(aws configure export-credentials --format env)\"`), \
         or name a local DynamoDB with `--endpoint`"
    )]
    NoCredentials,
    /// Nobody says where the table is.
    #[error("there is no AWS region: set `AWS_REGION`, or name a DynamoDB with `--endpoint`")]
    NoRegion,
    /// The table failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A request failed that the store does not make.
    #[error("the request to DynamoDB failed: {0}")]
    Aws(String),
    /// The password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// Standard output is closed.
    #[error("the result could not be written: {0}")]
    Output(#[source] io::Error),
    /// Standard input holds no text.
    #[error("the password could not be read from standard input: {0}")]
    Input(#[source] io::Error),
    /// The password is none that the policy allows.
    #[error("the password {0}")]
    Password(String),
    /// The phone number is none.
    #[error("`--phone` {0}")]
    Phone(String),
    /// The e-mail address is one of ours, which nobody reads.
    #[error("`{0}` is in the domain of placeholders, which reach nobody; choose another address")]
    PlaceholderEmail(String),
    /// The e-mail address leads to a customer, or to a lead.
    #[error(
        "`{0}` is the address of a customer or a lead already: `POST /v1/customers`, signed in as an admin or with an \
         API key, answers which, and with `\"status\":\"active\"` makes a lead a customer"
    )]
    EmailOfCustomer(String),
    /// The e-mail address is the login of a customer who has no record.
    #[error(
        "`{0}` is a login already, and no customer is linked to it: `POST /v1/customers`, signed in as an admin or \
         with an API key, creates the customer and links the two"
    )]
    LoginWithoutCustomer(String),
    /// Nobody has this e-mail address or id.
    #[error("there is no such user")]
    UnknownUser,
    /// No customer has this id, reference or number.
    #[error("there is no such customer")]
    UnknownCustomer,
    /// No run has this id, or it is forgotten.
    #[error("there is no run `{0}`; `migrate status` lists those that can be undone")]
    UnknownRun(Uuid),
    /// The two cannot be linked, or taken apart.
    #[error("{0}; nothing was changed")]
    Refused(update::Refusal),
    /// A change failed.
    #[error("the change failed: {0}; run the command again")]
    Failed(String),
    /// No key has this id, label or text.
    #[error(
        "there is no API key with this id, label or text; `list-api-keys --all` shows what there is, and a key made this very moment \
         a little later"
    )]
    UnknownApiKey,
    /// The e-mail address is the login of somebody else.
    #[error("`{email}` is the login of a user with the role `{role}` (user_id {user_id}); choose another address")]
    OtherRole {
        /// The address.
        email: String,
        /// What its holder is.
        role: &'static str,
        /// Its holder.
        user_id: UserId,
    },
    /// Somebody else was writing the same.
    #[error("the write met `{0:?}`, and nothing was changed; run the command again")]
    Conflict(Conflict),
    /// The counter would issue a number twice.
    #[error(
        "the counter stands at {present}, and {next} would be next: going back to {last} could issue a number twice; \
         give {present} or more"
    )]
    CounterBelow {
        /// What was asked for.
        last: u64,
        /// Where it stands.
        present: u64,
        /// What it gives next.
        next: String,
    },
    /// The import stopped before it was through.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// `DynamoDB` takes longer than anybody waits.
    #[error("the table `{0}` is still being created; run the command again later")]
    TableNotActive(String),
    /// The backfill stopped before it was through.
    #[error("the backfill stopped: {0}; what it did is stored, and running it again continues")]
    Backfill(String),
    /// The migration stopped before it was through.
    #[error("the migration stopped: {0}; what it did is stored, and running it again continues")]
    Migration(String),
    /// An undo stopped before it was through.
    #[error("the undo stopped: {0}; what it did is stored, and running it again continues")]
    Undo(String),
    /// The figures are no JSON.
    #[error("the figures cannot be shown: {0}")]
    Figures(#[from] serde_json::Error),
    /// The export stopped before it was through.
    #[error(transparent)]
    Export(#[from] ExportError),
}

impl From<NotUpdated> for AdminError {
    fn from(error: NotUpdated) -> Self {
        match error {
            NotUpdated::Refused(refusal) => Self::Refused(refusal),
            NotUpdated::Failed(error) => Self::Failed(cause(error)),
        }
    }
}

/// The API tells its callers less than the operator may know.
pub(crate) fn cause(error: ApiError) -> String {
    match error {
        ApiError::Unavailable(cause) | ApiError::Internal(cause) => cause,
        other => other.code().1.to_owned(),
    }
}

impl AdminError {
    /// The failure of a request made here and not by the store, with its causes.
    pub(crate) fn aws(error: &(impl std::error::Error + 'static)) -> Self {
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        Self::Aws(causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")))
    }
}
