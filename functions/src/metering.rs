//! Whom a check or a track is about: found by any identifier, or created as create-customer would.

use shared::app::App;
use shared::clock::Time;
use shared::contact::{EmailAddress, Phone};
use shared::domain::customer::{Contact, Metadata};
use shared::domain::get_or_create::Request;
use shared::http::ApiError;
use shared::http::fields::{Fields, FromFields, Opaque, PlainId, StripeId};
use shared::ids::{CustomerId, ExternalId, Identifier, UserId};
use shared::store::key::Key;
use shared::store::records::Guard;
use shared::store::{Batch, StoreError};
use shared::text::{Address, Area, Name};
use utoipa::ToSchema;

use crate::billing::catch_up;
use crate::creation::{Creation, Products};

/// What a customer begins with who is not known yet.
#[derive(Clone, Default, ToSchema)]
pub struct CustomerData {
    name: Option<Name>,
    email: Option<EmailAddress>,
    phone: Option<Phone>,
    address: Option<Address>,
    area: Option<Area>,
    #[schema(value_type = Option<String>)]
    fingerprint: Option<Opaque>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
    #[schema(value_type = Option<String>)]
    stripe_id: Option<StripeId>,
}

impl FromFields for CustomerData {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (name, email, phone) = (fields.optional("name"), fields.optional("email"), fields.optional("phone"));
        let (address, area) = (fields.optional("address"), fields.optional("area"));
        let (fingerprint, metadata) = (fields.optional("fingerprint"), fields.optional("metadata"));
        let stripe_id = fields.optional("stripe_id");
        Some(Self {
            name: name?,
            email: email?,
            phone: phone?,
            address: address?,
            area: area?,
            fingerprint: fingerprint?,
            metadata: metadata?,
            stripe_id: stripe_id?,
        })
    }
}

/// Whom a request is about.
pub struct Subject {
    app: App,
    identifier: Identifier,
    data: CustomerData,
    now: Time,
}

impl Subject {
    /// The customer that `text` names, in any of the four forms; `data` is for a new one.
    pub fn new(app: &App, text: &PlainId, data: Option<CustomerData>, now: Time) -> Result<Self, ApiError> {
        let identifier = Identifier::parse(&text.0, &app.settings).ok_or(ApiError::CustomerNotFound)?;
        Ok(Self { app: app.clone(), identifier, data: data.unwrap_or_default(), now })
    }

    /// Reads what points to the customer, and `more` with it.
    pub async fn read(&self, more: impl IntoIterator<Item = Key>) -> Result<Batch, StoreError> {
        self.app.store.batch_get(more.into_iter().chain(self.guard())).await
    }

    /// The customer, given what was read; a new one if the caller's own id is not known yet.
    pub async fn resolve(&self, batch: &Batch) -> Result<CustomerId, ApiError> {
        match self.known(batch).await? {
            Some(id) => Ok(id),
            None => self.create().await,
        }
    }

    /// The customer, given what was read, if it is known.
    pub async fn known(&self, batch: &Batch) -> Result<Option<CustomerId>, StoreError> {
        let guard: Option<Guard> = self.guard().map(|key| batch.get(&key)).transpose()?.flatten();
        Ok(match (&self.identifier, guard) {
            (Identifier::Internal(id), _) => Some(*id),
            (Identifier::Number(_), Some(guard)) => {
                let Some(user) = self.app.store.user(UserId(guard.owner)).await? else { return Ok(None) };
                self.app.store.customer_of(&user).await?.map(|customer| customer.internal_id)
            }
            (_, guard) => guard.map(|guard| CustomerId(guard.owner)),
        })
    }

    /// A new customer, if the caller named them by an id of their own.
    pub async fn create(&self) -> Result<CustomerId, ApiError> {
        match &self.identifier {
            Identifier::External(id) if self.app.settings.auto_create_customers => self.begin(id.clone()).await,
            _ => Err(ApiError::CustomerNotFound),
        }
    }

    fn guard(&self) -> Option<Key> {
        match &self.identifier {
            Identifier::Internal(_) => None,
            Identifier::Crn(crn) => Some(Key::crn(crn)),
            Identifier::Number(number) => Some(Key::number(number)),
            Identifier::External(id) => Some(Key::external_id(id)),
        }
    }

    async fn begin(&self, id: ExternalId) -> Result<CustomerId, ApiError> {
        let data = self.data.clone();
        let contact =
            Contact { name: data.name, email: data.email, phone: data.phone, address: data.address, area: data.area };
        let request = Request {
            id: Some(id),
            contact,
            fingerprint: data.fingerprint.map(|text| text.0),
            metadata: data.metadata.unwrap_or_default(),
            stripe_id: data.stripe_id.map(|text| text.0),
            ..Request::default()
        };
        let products = Products { defaults: true, choice: None };
        let created = Creation::new(self.app.clone(), request, products, None, self.now).run().await?;
        let id = created.customer.internal_id;
        if created.takes_stripe_customer {
            catch_up(&self.app, created.customer, self.now).await;
        }
        Ok(id)
    }
}
