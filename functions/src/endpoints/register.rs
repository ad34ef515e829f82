//! A customer registers: user, number, customer, reference and links in one transaction.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use shared::app::App;
use shared::clock::Time;
use shared::contact::{EmailAddress, Phone};
use shared::domain::credential::without_password;
use shared::domain::customer::{Contact, Customer, Origin, Status};
use shared::domain::message::{Message, MessageKind};
use shared::domain::onboarding::{Frozen, Linked, Login, Terms, link};
use shared::domain::product::Product;
use shared::domain::start::Offer;
use shared::domain::user::User;
use shared::http::fields::{Fields, FromFields};
use shared::http::idempotency::{Answer, Idempotency, IdempotencyKey, earlier, replayed};
use shared::http::problem::Problem;
use shared::http::{ApiError, JsonBody};
use shared::ids::{CustomerId, UserId};
use shared::secret::Secret;
use shared::store::counter::{Drawn, Want};
use shared::store::key::Key;
use shared::store::marker::{IdempotencyMarker, NoticeMarker};
use shared::store::members::{EmailMembers, MemberLists};
use shared::store::records::Guard;
use shared::store::retry::Backoff;
use shared::store::{Batch, Conflict, Refused};
use shared::text::Name;
use utoipa::ToSchema;

use super::{Client, limit_rate, no_store};
use crate::stripe_customer::intend;
use crate::view::{RegisteredView, TokenView};

/// Registrations per client address and window.
const RATE_LIMIT: u64 = 20;

/// Who registers. A `role` is ignored: whoever registers is a customer.
#[derive(ToSchema)]
pub struct RegisterRequest {
    name: Name,
    email: EmailAddress,
    #[schema(value_type = String)]
    password: Secret,
    phone: Option<Phone>,
}

impl FromFields for RegisterRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (name, email) = (fields.required("name"), fields.required("email"));
        let (password, phone) = (fields.required("password"), fields.optional("phone"));
        fields.check_password("password", password.as_ref(), email.as_ref(), name.as_ref());
        Some(Self { name: name?, email: email?, password: password?, phone: phone? })
    }
}

/// Registers a customer.
#[utoipa::path(
    post, path = "/auth/register", tag = "account", operation_id = "register",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a retry safe, for 24 hours.")),
    request_body = RegisterRequest,
    responses(
        (status = 201, description = "A new account and its first session.", body = RegisteredView),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    client: Client,
    key: IdempotencyKey,
    body: JsonBody<RegisterRequest>,
) -> Result<Response, ApiError> {
    let now = app.clock.now();
    let registration = Registration {
        key: key.used(&app, "register", "public", &body.raw),
        request: body.request,
        customer_id: CustomerId(now.new_id()),
        user_id: UserId(now.new_id()),
        now,
        app,
    };
    let limited = limit_rate(&registration.app, "register", &client, RATE_LIMIT, now);
    let (limited, first) = tokio::join!(limited, registration.read());
    limited?;
    let first = first?;
    registration.run(first).await
}

/// One registration and what stays the same however often it is tried.
struct Registration {
    app: App,
    request: RegisterRequest,
    key: Option<Idempotency>,
    customer_id: CustomerId,
    user_id: UserId,
    now: Time,
}

impl Registration {
    /// The guards of the address, and the catalogue.
    async fn read(&self) -> Result<(Batch, Vec<Product>), ApiError> {
        let (login, members) = (Key::login(&self.request.email), Key::email_members(&self.request.email));
        let marker = self.key.as_ref().map(Idempotency::key);
        let guards = self.app.store.batch_get([login, members].into_iter().chain(marker));
        let (guards, catalogue) = tokio::join!(guards, self.app.store.products());
        Ok((guards?, catalogue?))
    }

    async fn run(&self, (mut batch, mut catalogue): (Batch, Vec<Product>)) -> Result<Response, ApiError> {
        let (mut drawn, mut hash) = (Drawn::default(), None);
        let mut races = Backoff::new();
        loop {
            if let Some(marker) = self.marker(&batch)? {
                return self.replay(&marker).await;
            }
            if let Some((user, customer)) = self.holder(&batch).await? {
                return self.refuse_taken(user, customer).await;
            }
            let hashed = match hash.take() {
                Some(hash) => hash,
                None => self.app.passwords.hash(&self.request.password).await?,
            };
            let (settings, store) = (&self.app.settings, &self.app.store);
            drawn.draw(store, settings, self.now, Want { crn: true, number: true }).await?;
            match self.commit(self.linked(&hashed, &drawn, &catalogue), &catalogue).await? {
                Ok(answer) => return Ok(answer),
                Err(conflict) => drawn.discard(conflict),
            }
            hash = Some(hashed);
            if !races.wait().await {
                return Err(ApiError::Unavailable("the registration lost every race it ran".into()));
            }
            (batch, catalogue) = self.read().await?;
        }
    }

    fn linked(&self, hash: &str, drawn: &Drawn, catalogue: &[Product]) -> Linked {
        let request = &self.request;
        let mut customer = Customer::new(self.customer_id, Status::Active, Origin::Registration, self.now);
        customer.contact = Contact {
            name: Some(request.name.clone()),
            email: Some(request.email.clone()),
            phone: request.phone.clone(),
            ..Contact::default()
        };
        // Nobody who is new has tried anything before, as far as anybody can tell.
        let trials_used = &BTreeSet::new();
        let offer = Offer { catalogue, defaults: true, trials_used, stripe_configured: self.app.stripe_configured() };
        offer.start(&mut customer.products, None, self.now);
        let (crn, number) = (drawn.crn.clone(), drawn.number.clone());
        let frozen = Frozen { user_id: self.user_id, crn, number, now: self.now };
        let mut linked = link(customer, Login::New(request.email.clone()), &frozen, Terms::Uninvited);
        linked.user.password_hash = Some(hash.to_owned());
        linked
    }

    async fn commit(&self, linked: Linked, catalogue: &[Product]) -> Result<Result<Response, Conflict>, ApiError> {
        let mut transaction = self.app.store.transaction();
        transaction.save_linked(None, &linked, &MemberLists::default());
        transaction.use_trials(None, &linked.customer);
        intend(&self.app, &mut transaction, None, &linked.customer, catalogue, self.now).await?;
        if let Some(key) = &self.key {
            let customer_id = self.customer_id;
            let kept = Answer::about(StatusCode::CREATED.as_u16(), customer_id);
            let marker = key.marker(kept, self.now);
            transaction.create_over_expired(&marker, self.now.unix_seconds(), Conflict::HandledBefore);
        }
        match transaction.commit(&self.app.store).await {
            Ok(()) => Ok(Ok(self.answer(linked.user))),
            Err(Refused::Conflict(conflict)) => Ok(Err(conflict)),
            Err(Refused::Store(error)) => Err(error.into()),
        }
    }

    fn marker(&self, batch: &Batch) -> Result<Option<IdempotencyMarker>, ApiError> {
        let Some(key) = &self.key else { return Ok(None) };
        key.replay(batch.get(&key.key())?, self.now)
    }

    /// The same account again, with a session of its own.
    async fn replay(&self, marker: &IdempotencyMarker) -> Result<Response, ApiError> {
        let customer = self.app.store.customer(marker.customer_id).await?;
        let user = match &customer {
            Some(customer) => self.app.store.login_of(customer).await?,
            None => None,
        };
        // Once its owner has changed the password or signed out everywhere, the old request is no
        // way in any more.
        let untouched = |user: &User| user.enabled && user.token_version == 1 && user.credential_epoch == 1;
        let user = user.filter(untouched).ok_or(ApiError::EmailTaken)?;
        Ok(replayed(self.answer(user)))
    }

    fn answer(&self, user: User) -> Response {
        let session = TokenView::sign(&self.app, &user, self.now);
        no_store(StatusCode::CREATED, RegisteredView { account: user.into(), session })
    }

    /// Whoever has the address: a login, a customer, or both.
    async fn holder(&self, batch: &Batch) -> Result<Option<(Option<User>, Option<Customer>)>, ApiError> {
        let guard: Option<Guard> = batch.get(&Key::login(&self.request.email))?;
        let list: Option<EmailMembers> = batch.get(&Key::email_members(&self.request.email))?;
        let member = list.and_then(|list| list.members.first().copied());
        let customer = match member {
            Some(id) => self.app.store.customer(id).await?,
            None => None,
        };
        let user = match (guard, &customer) {
            (Some(guard), _) => self.app.store.user(UserId(guard.owner)).await?,
            (None, Some(customer)) => self.app.store.login_of(customer).await?,
            (None, None) => None,
        };
        Ok((user.is_some() || customer.is_some()).then_some((user, customer)))
    }

    /// Refuses an address that somebody has, and tells whoever that is, at most once a day; unless it is
    /// this very registration that made them meanwhile.
    async fn refuse_taken(&self, user: Option<User>, customer: Option<Customer>) -> Result<Response, ApiError> {
        if let Some(marker) = earlier(self.key.as_ref(), &self.app, self.now).await? {
            return self.replay(&marker).await;
        }
        self.tell(user, customer).await?;
        Err(ApiError::EmailTaken)
    }

    async fn tell(&self, user: Option<User>, customer: Option<Customer>) -> Result<(), ApiError> {
        let mut transaction = self.app.store.transaction();
        let subject = match (&user, &customer) {
            (Some(user), _) => user.user_id.0,
            (None, Some(customer)) => customer.internal_id.0,
            (None, None) => return Ok(()),
        };
        transaction.create(&NoticeMarker::new("register", subject, self.now), Conflict::HandledBefore);
        match (user, customer) {
            // Never activated: another invitation, which voids the last.
            (Some(before), _)
                if before.enabled && (before.password_hash.is_none() || before.must_change_password()) =>
            {
                let after = without_password(before.clone(), self.now);
                transaction.save_user(Some(&before), &after);
                transaction.save_message(None, &Message::to_user(MessageKind::Invitation, &after, self.now));
            }
            (Some(user), _) => {
                transaction.save_message(None, &Message::to_user(MessageKind::AlreadyCustomer, &user, self.now));
            }
            (None, Some(customer)) => {
                let kind = if customer.is_lead() { MessageKind::CheckoutLink } else { MessageKind::AlreadyCustomer };
                transaction.save_message(None, &Message::to_customer(kind, customer.internal_id, self.now));
            }
            (None, None) => {}
        }
        transaction.commit_unless_refused(&self.app.store).await?;
        Ok(())
    }
}
