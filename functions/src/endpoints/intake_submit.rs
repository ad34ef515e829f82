//! First contact: the public form makes a lead with a reference and somewhere to pay.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use shared::app::App;
use shared::clock::Time;
use shared::contact::{EmailAddress, Phone};
use shared::domain::customer::{Contact, Customer, Metadata, Status};
use shared::domain::intake::{self, Plan, Submission};
use shared::domain::message::{Message, MessageKind};
use shared::domain::product::ProductId;
use shared::http::fields::{Fields, FromFields};
use shared::http::idempotency::{Answer, Idempotency, IdempotencyKey, earlier, replayed};
use shared::http::problem::Problem;
use shared::http::{ApiError, JsonBody};
use shared::ids::{Crn, CustomerId};
use shared::store::counter::{Drawn, Want};
use shared::store::key::Key;
use shared::store::marker::{IdempotencyMarker, NoticeMarker};
use shared::store::members::{EmailMembers, MemberLists};
use shared::store::retry::Backoff;
use shared::store::{Batch, Conflict, Refused};
use shared::stripe::checkout::{CheckoutSession, dead_session};
use shared::text::{Address, Area, Name};
use utoipa::ToSchema;

use super::{Client, limit_rate};
use crate::lead_checkout::session;

/// Submissions per client address and window.
const RATE_LIMIT: u64 = 30;

/// The form.
#[derive(Clone, ToSchema)]
pub struct IntakeRequest {
    name: Name,
    email: EmailAddress,
    phone: Option<Phone>,
    address: Option<Address>,
    area: Option<Area>,
    /// The product to pay for.
    product_id: Option<ProductId>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Metadata>,
}

impl FromFields for IntakeRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (name, email) = (fields.required("name"), fields.required("email"));
        let (phone, address, area) = (fields.optional("phone"), fields.optional("address"), fields.optional("area"));
        let (product_id, metadata) = (fields.optional("product_id"), fields.optional("metadata"));
        Some(Self {
            name: name?,
            email: email?,
            phone: phone?,
            address: address?,
            area: area?,
            product_id: product_id?,
            metadata: metadata?,
        })
    }
}

/// The lead.
#[derive(Serialize, ToSchema)]
pub struct IntakeResponse {
    /// Rollcall's id of the lead, which stays the customer's.
    client_id: CustomerId,
    /// Its reference.
    customer_reference: Option<Crn>,
    /// Where it stands.
    status: Status,
    /// Where to pay, if a checkout is configured.
    checkout_url: Option<String>,
    /// When it first came.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

/// Makes a lead, or takes up the one of this address.
#[utoipa::path(
    post, path = "/api/intake/submit", tag = "public", operation_id = "intakeSubmit",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a retry safe, for 24 hours.")),
    request_body = IntakeRequest,
    responses(
        (status = 201, description = "A new lead.", body = IntakeResponse),
        (status = 200, description = "The lead of this address, with the latest details.", body = IntakeResponse),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    client: Client,
    key: IdempotencyKey,
    body: JsonBody<IntakeRequest>,
) -> Result<Response, ApiError> {
    let now = app.clock.now();
    let intake = Intake {
        new_id: CustomerId(now.new_id()),
        key: key.used(&app, "intake", "public", &body.raw),
        request: body.request,
        now,
        app,
    };
    let (limited, first) = tokio::join!(limit_rate(&intake.app, "intake", &client, RATE_LIMIT, now), intake.read());
    limited?;
    intake.run(first?).await
}

/// One submission and what stays the same however often it is planned anew.
struct Intake {
    app: App,
    request: IntakeRequest,
    key: Option<Idempotency>,
    new_id: CustomerId,
    now: Time,
}

impl Intake {
    async fn read(&self) -> Result<Batch, ApiError> {
        let members = Key::email_members(&self.request.email);
        let product = self.request.product_id.as_ref().map(Key::product);
        let marker = self.key.as_ref().map(Idempotency::key);
        Ok(self.app.store.batch_get([Some(members), product, marker].into_iter().flatten()).await?)
    }

    async fn run(&self, mut batch: Batch) -> Result<Response, ApiError> {
        let mut drawn = Drawn::default();
        let mut races = Backoff::new();
        loop {
            if let Some(answer) = self.replay(&batch).await? {
                return Ok(answer);
            }
            if self.request.product_id.as_ref().is_some_and(|id| !batch.has(&Key::product(id))) {
                return Err(ApiError::ProductNotFound);
            }
            match self.attempt(&batch, &mut drawn).await? {
                Ok(stored) => return Ok(stored.answer(&self.app, self.key.as_ref(), self.now).await),
                Err(conflict) => drawn.discard(conflict),
            }
            if !races.wait().await {
                return Err(ApiError::Unavailable("the submission lost every race it ran".into()));
            }
            batch = self.read().await?;
        }
    }

    async fn replay(&self, batch: &Batch) -> Result<Option<Response>, ApiError> {
        let Some(key) = &self.key else { return Ok(None) };
        let found: Option<IdempotencyMarker> = batch.get(&key.key())?;
        let Some(marker) = key.replay(found, self.now)? else { return Ok(None) };
        let lead = self.app.store.customer(marker.customer_id).await?.ok_or(ApiError::CustomerNotFound)?;
        let status = StatusCode::from_u16(marker.status).unwrap_or(StatusCode::OK);
        let stored = Stored { status, lead, checkout_url: marker.checkout_url, dead_session: None };
        Ok(Some(replayed(stored.answer(&self.app, Some(key), self.now).await)))
    }

    /// Plans on what was read and commits; the inner error is the race that was lost.
    async fn attempt(&self, batch: &Batch, drawn: &mut Drawn) -> Result<Result<Stored, Conflict>, ApiError> {
        let list: Option<EmailMembers> = batch.get(&Key::email_members(&self.request.email))?;
        let members = match &list {
            Some(list) => self.app.store.members(list).await?,
            None => Vec::new(),
        };
        let holder = intake::holder(members);
        let id = holder.as_ref().map_or(self.new_id, |holder| holder.internal_id);
        let chosen = self.request.product_id.as_ref().or_else(|| holder.as_ref()?.product_id.as_ref());
        let session = self.app.checkout.session_at_once(id, chosen);
        let lists = MemberLists::of(list);
        match intake::plan(self.submission(session.as_ref()), holder, self.new_id, self.now) {
            Plan::NewLead(lead) => {
                let lead = self.referenced(lead, drawn).await?;
                self.commit(StatusCode::CREATED, None, lead, &lists, session).await
            }
            Plan::ReturningLead { before, after } => {
                let after = self.referenced(*after, drawn).await?;
                self.commit(StatusCode::OK, Some(*before), after, &lists, session).await
            }
            Plan::AlreadyCustomer(customer) => {
                // A lead of this very submission may have paid meanwhile.
                if earlier(self.key.as_ref(), &self.app, self.now).await?.is_some() {
                    return Ok(Err(Conflict::HandledBefore));
                }
                self.notice(&customer).await?;
                Err(ApiError::CustomerExists)
            }
        }
    }

    /// The lead with a reference, drawn unless it has one.
    async fn referenced(&self, mut lead: Customer, drawn: &mut Drawn) -> Result<Customer, ApiError> {
        if lead.customer_reference.is_none() {
            let want = Want { crn: true, number: false };
            drawn.draw(&self.app.store, &self.app.settings, self.now, want).await?;
            lead.customer_reference.clone_from(&drawn.crn);
        }
        Ok(lead)
    }

    fn submission(&self, session: Option<&CheckoutSession>) -> Submission {
        let request = self.request.clone();
        Submission {
            contact: Contact {
                name: Some(request.name),
                email: Some(request.email),
                phone: request.phone,
                address: request.address,
                area: request.area,
            },
            metadata: request.metadata.unwrap_or_default(),
            product_id: request.product_id,
            checkout_session_id: session.map(|session| session.id.clone()),
        }
    }

    async fn commit(
        &self,
        status: StatusCode,
        before: Option<Customer>,
        lead: Customer,
        lists: &MemberLists,
        session: Option<CheckoutSession>,
    ) -> Result<Result<Stored, Conflict>, ApiError> {
        let dead_session = dead_session(before.as_ref());
        let checkout_url = session.map(|session| session.url);
        let mut transaction = self.app.store.transaction();
        transaction.save_customer(before.as_ref(), &lead, lists);
        if let Some(key) = &self.key {
            let marker = key.marker(kept(status, &lead, checkout_url.clone()), self.now);
            transaction.create_over_expired(&marker, self.now.unix_seconds(), Conflict::HandledBefore);
        }
        match transaction.commit(&self.app.store).await {
            Ok(()) => Ok(Ok(Stored { status, lead, checkout_url, dead_session })),
            Err(Refused::Conflict(conflict)) => Ok(Err(conflict)),
            Err(Refused::Store(error)) => Err(error.into()),
        }
    }

    /// Tells a customer, at most once a day, that somebody entered their address.
    async fn notice(&self, customer: &Customer) -> Result<(), ApiError> {
        let message = Message::to_customer(MessageKind::AlreadyCustomer, customer.internal_id, self.now);
        let mut transaction = self.app.store.transaction();
        let marker = NoticeMarker::new("already_customer", customer.internal_id.0, self.now);
        transaction.create(&marker, Conflict::HandledBefore).save_message(None, &message);
        transaction.commit_unless_refused(&self.app.store).await?;
        Ok(())
    }
}

/// A lead as it was stored, and what the caller is to be told.
struct Stored {
    status: StatusCode,
    lead: Customer,
    checkout_url: Option<String>,
    /// The session that can be paid no more, if the lead comes back after one.
    dead_session: Option<String>,
}

impl Stored {
    /// The answer, with a checkout if Stripe makes one: the lead is stored, so that nothing is lost
    /// if it does not.
    async fn answer(mut self, app: &App, key: Option<&Idempotency>, now: Time) -> Response {
        if self.checkout_url.is_none() && self.lead.is_lead() && app.checkout.takes_a_call() {
            let marker = |url: &str| key.map(|key| key.marker(kept(self.status, &self.lead, Some(url.into())), now));
            self.checkout_url = session(app, &self.lead, self.dead_session.as_deref(), marker, now).await;
        }
        answer(self.status, &self.lead, self.checkout_url)
    }
}

fn kept(status: StatusCode, lead: &Customer, checkout_url: Option<String>) -> Answer {
    Answer { checkout_url, ..Answer::about(status.as_u16(), lead.internal_id) }
}

fn answer(status: StatusCode, lead: &Customer, checkout_url: Option<String>) -> Response {
    let body = IntakeResponse {
        client_id: lead.internal_id,
        customer_reference: lead.customer_reference.clone(),
        status: Status::PendingPayment,
        checkout_url,
        created_at: lead.created_at,
    };
    (status, Json(body)).into_response()
}
