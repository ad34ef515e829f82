//! Which account, and which customer, a command is about.

use clap::Args;
use shared::app::App;
use shared::contact::EmailAddress;
use shared::domain::customer::Customer;
use shared::domain::user::User;
use shared::ids::{Identifier, UserId};
use shared::store::Store;
use shared::store::key::Key;
use shared::store::records::Guard;

use crate::error::AdminError;

/// The account, by one of the two.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Who {
    /// What the user signs in with
    #[arg(long, value_parser = EmailAddress::parse)]
    email: Option<EmailAddress>,
    /// The user, by id or e-mail address
    #[arg(long, value_name = "ID", value_parser = Account::parse)]
    user: Option<Account>,
}

impl Who {
    /// The account, which must be there.
    pub(crate) async fn find(&self, store: &Store) -> Result<User, AdminError> {
        let found = match (&self.email, &self.user) {
            (Some(email), _) => store.user_by_login(email).await?,
            (None, Some(account)) => return account.find(store).await,
            (None, None) => None,
        };
        found.ok_or(AdminError::UnknownUser)
    }
}

/// A user, named by one word.
#[derive(Clone, Debug)]
pub(crate) enum Account {
    /// By its id.
    Id(UserId),
    /// By what it signs in with.
    Login(EmailAddress),
}

impl Account {
    /// Tells by its form what `text` is.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        EmailAddress::parse(text).map(Self::Login).map_err(|_| "must be a user id or an e-mail address".into())
    }

    /// The user, who must be there.
    pub(crate) async fn find(&self, store: &Store) -> Result<User, AdminError> {
        let found = match self {
            Self::Id(id) => store.user(*id).await?,
            Self::Login(email) => store.user_by_login(email).await?,
        };
        found.ok_or(AdminError::UnknownUser)
    }
}

/// The customer whom `text` names: id, internal id, reference or number.
pub(crate) async fn find_customer(app: &App, text: &str) -> Result<Customer, AdminError> {
    let identifier = Identifier::parse(text, &app.settings).ok_or(AdminError::UnknownCustomer)?;
    app.store.find_customer(&identifier).await?.ok_or(AdminError::UnknownCustomer)
}

/// Whom the customer number `text` was issued to, if that login has no customer. A number names its
/// customer by the link of its login, and nobody once that is gone.
pub(crate) async fn unlinked_holder(app: &App, text: &str) -> Result<Option<User>, AdminError> {
    let Some(Identifier::Number(number)) = Identifier::parse(text, &app.settings) else { return Ok(None) };
    let Some(guard) = app.store.get::<Guard>(&Key::number(&number)).await? else { return Ok(None) };
    let user = app.store.user(UserId(guard.owner)).await?;
    Ok(user.filter(|user| user.customer_v2_id.is_none()))
}
