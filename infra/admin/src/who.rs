//! Which account a command is about.

use clap::Args;
use shared::contact::EmailAddress;
use shared::domain::user::User;
use shared::ids::UserId;
use shared::store::Store;

use crate::error::AdminError;

/// The account, by one of the two.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Who {
    /// What the user signs in with
    #[arg(long, value_parser = EmailAddress::parse)]
    email: Option<EmailAddress>,
    /// The user's id
    #[arg(long, value_name = "ID")]
    user: Option<UserId>,
}

impl Who {
    /// The account, which must be there.
    pub(crate) async fn find(&self, store: &Store) -> Result<User, AdminError> {
        let found = match (&self.email, self.user) {
            (Some(email), _) => store.user_by_login(email).await?,
            (None, Some(id)) => store.user(id).await?,
            (None, None) => None,
        };
        found.ok_or(AdminError::UnknownUser)
    }
}
