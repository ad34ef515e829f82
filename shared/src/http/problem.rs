//! Refusals, as problem details (RFC 9457). Every code of the API is here, and nothing else
//! makes an error answer.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::client::request_id;
use crate::domain::customer::Customer;
use crate::domain::get_or_create::Refusal;
use crate::domain::update;
use crate::domain::user::User;
use crate::ids::{Crn, CustomerId, UserId};
use crate::password::HashError;
use crate::store::{Refused, StoreError};
use crate::text::Name;

/// A field that does not hold what it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The field; nested ones as `parent.child`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// Somebody whom a field could mean: a customer or a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Candidate {
    /// The customer.
    pub internal_id: Option<CustomerId>,
    /// Its reference.
    pub customer_reference: Option<Crn>,
    /// The user, or the customer's login.
    pub user_id: Option<UserId>,
    /// Who it is.
    pub name: Option<Name>,
}

impl From<Customer> for Candidate {
    fn from(customer: Customer) -> Self {
        Self {
            internal_id: Some(customer.internal_id),
            customer_reference: customer.customer_reference,
            user_id: customer.user_id,
            name: customer.contact.name,
        }
    }
}

impl From<User> for Candidate {
    fn from(user: User) -> Self {
        Self { internal_id: None, customer_reference: None, user_id: Some(user.user_id), name: user.name }
    }
}

/// Why a request was refused.
#[derive(Debug)]
pub enum ApiError {
    /// The body is not JSON.
    InvalidJson(String),
    /// Fields of the body, path or query are wrong.
    InvalidRequest(Vec<FieldError>),
    /// The request as a whole asks for something impossible; the text says what.
    Impossible(&'static str),
    /// Nobody is signed in.
    Unauthorized,
    /// E-mail and password do not belong together; nothing more is told.
    InvalidCredentials,
    /// The user must choose a password first.
    PasswordChangeRequired,
    /// Whoever is signed in may not do this.
    Forbidden,
    /// There is no such route.
    NotFound,
    /// The route takes other methods.
    MethodNotAllowed,
    /// The body is not declared as JSON.
    UnsupportedMediaType,
    /// The body is too large.
    PayloadTooLarge,
    /// Too many requests from this address; try again after so many seconds.
    RateLimited(i64),
    /// The idempotency key was used with another body.
    IdempotencyMismatch,
    /// There is no such customer.
    CustomerNotFound,
    /// There is no such user.
    UserNotFound,
    /// There is no such product.
    ProductNotFound,
    /// No product has ever had this feature.
    FeatureNotFound,
    /// The address belongs to a customer.
    CustomerExists,
    /// Somebody has this e-mail address.
    EmailTaken,
    /// The link was used, has expired, or never was.
    InvalidToken,
    /// The user or the customer is linked to another.
    AlreadyLinked,
    /// The user is no customer's account.
    NotACustomer,
    /// The Stripe customer is another customer's.
    StripeIdTaken,
    /// Another customer has this id.
    IdTaken,
    /// The user has chosen a password already.
    AlreadyActive,
    /// What a field says fits several.
    Ambiguous {
        /// The field.
        field: &'static str,
        /// Those whom it fits.
        candidates: Vec<Candidate>,
    },
    /// The user does not deliver.
    NotADeliveryBoy,
    /// The customer holds a live Stripe subscription.
    HasSubscription,
    /// The cursor is none of ours, or of another list.
    InvalidCursor,
    /// The event was not signed by Stripe.
    InvalidSignature,
    /// The store is unavailable.
    Unavailable(String),
    /// Something failed that should not.
    Internal(String),
}

/// The body of a refusal.
#[derive(Serialize, ToSchema)]
pub struct Problem {
    /// `/problems/<code>`.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What a program decides on.
    code: &'static str,
    /// What a person reads.
    detail: String,
    /// The fields that are wrong, with `invalid_request` only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// Those who could be meant, with `ambiguous` only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates: Vec<Candidate>,
}

impl ApiError {
    /// One wrong field.
    #[must_use]
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::InvalidRequest(vec![FieldError { field: field.into(), message: message.into() }])
    }

    /// The status and the code.
    #[must_use]
    pub fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidJson(_) => (StatusCode::BAD_REQUEST, "invalid_json"),
            Self::InvalidRequest(_) | Self::Impossible(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::InvalidCredentials => (StatusCode::UNAUTHORIZED, "invalid_credentials"),
            Self::PasswordChangeRequired => (StatusCode::FORBIDDEN, "password_change_required"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
            Self::RateLimited(_) => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            Self::IdempotencyMismatch => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_mismatch"),
            Self::CustomerNotFound => (StatusCode::NOT_FOUND, "customer_not_found"),
            Self::UserNotFound => (StatusCode::NOT_FOUND, "user_not_found"),
            Self::ProductNotFound => (StatusCode::NOT_FOUND, "product_not_found"),
            Self::CustomerExists | Self::IdTaken => (StatusCode::CONFLICT, "customer_exists"),
            Self::EmailTaken => (StatusCode::CONFLICT, "email_taken"),
            Self::InvalidToken => (StatusCode::BAD_REQUEST, "invalid_token"),
            Self::FeatureNotFound => (StatusCode::NOT_FOUND, "feature_not_found"),
            Self::AlreadyLinked => (StatusCode::CONFLICT, "already_linked"),
            Self::NotACustomer => (StatusCode::CONFLICT, "not_a_customer"),
            Self::StripeIdTaken => (StatusCode::CONFLICT, "stripe_id_taken"),
            Self::AlreadyActive => (StatusCode::CONFLICT, "already_active"),
            Self::Ambiguous { .. } => (StatusCode::CONFLICT, "ambiguous"),
            Self::NotADeliveryBoy => (StatusCode::CONFLICT, "not_a_delivery_boy"),
            Self::HasSubscription => (StatusCode::CONFLICT, "has_subscription"),
            Self::InvalidCursor => (StatusCode::BAD_REQUEST, "invalid_cursor"),
            Self::InvalidSignature => (StatusCode::BAD_REQUEST, "invalid_signature"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::InvalidJson(detail) => detail.clone(),
            Self::InvalidRequest(errors) => match errors.as_slice() {
                [one] => format!("`{}` {}", one.field, one.message),
                _ => "Some fields do not hold what they should; `errors` names each.".into(),
            },
            Self::Impossible(detail) => (*detail).into(),
            Self::Unauthorized => "Sign in, or send an API key, as `Authorization: Bearer …`.".into(),
            Self::InvalidCredentials => "The login or the password is wrong.".into(),
            Self::PasswordChangeRequired => "Change the temporary password first.".into(),
            Self::Forbidden => "Your account may not do this.".into(),
            Self::NotFound => "There is no such route.".into(),
            Self::MethodNotAllowed => "The route takes other methods; `Allow` lists them.".into(),
            Self::UnsupportedMediaType => "Send JSON, as `Content-Type: application/json`.".into(),
            Self::PayloadTooLarge => "The body is larger than this route takes.".into(),
            Self::RateLimited(seconds) => format!("Too many requests from this address; try again in {seconds} s."),
            Self::IdempotencyMismatch => "This `Idempotency-Key` was used with another body.".into(),
            Self::CustomerNotFound => "There is no such customer.".into(),
            Self::UserNotFound => "There is no such user.".into(),
            Self::ProductNotFound => "There is no such product.".into(),
            Self::FeatureNotFound => "No product has this feature.".into(),
            Self::CustomerExists => "This cannot be submitted again. If you are a customer, sign in.".into(),
            Self::EmailTaken => "This e-mail address cannot be registered. If it is yours, look into your mail.".into(),
            Self::InvalidToken => "The link was used, has expired, or never was; ask for a new one.".into(),
            Self::AlreadyLinked => "The user or the customer is linked to another.".into(),
            Self::NotACustomer => "The user is no customer's account.".into(),
            Self::StripeIdTaken => "Another customer has this `stripe_id`.".into(),
            Self::IdTaken => "Another customer has this `id`.".into(),
            Self::AlreadyActive => "The user has chosen a password; they can reset it themselves.".into(),
            Self::Ambiguous { field, .. } => format!("`{field}` fits several; `candidates` names them. Send an id."),
            Self::NotADeliveryBoy => "The user is no delivery boy.".into(),
            Self::HasSubscription => "The customer has a subscription; send `?cancel_subscriptions=true`.".into(),
            Self::InvalidCursor => "The `cursor` is not one of this list; begin again without it.".into(),
            Self::InvalidSignature => "The `Stripe-Signature` header does not verify.".into(),
            Self::Unavailable(_) | Self::Internal(_) => failure(),
        }
    }
}

/// All that a caller learns of a failure.
fn failure() -> String {
    match request_id() {
        Some(id) => format!("The request failed. Its id is {id}."),
        None => "The request failed.".into(),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.code();
        if let Self::Unavailable(cause) | Self::Internal(cause) = &self {
            tracing::error!(request_id = request_id().as_deref().unwrap_or("-"), code, cause, "request failed");
        }
        let (errors, candidates) = match &self {
            Self::InvalidRequest(errors) => (errors.clone(), Vec::new()),
            Self::Ambiguous { candidates, .. } => (Vec::new(), candidates.clone()),
            _ => (Vec::new(), Vec::new()),
        };
        let problem = Problem {
            kind: format!("/problems/{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: self.detail(),
            errors,
            candidates,
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Self::RateLimited(seconds) = self {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Unavailable(error.to_string()),
            StoreError::Request(_) | StoreError::NoTable(_) | StoreError::Inconsistent { .. } => {
                Self::Internal(error.to_string())
            }
        }
    }
}

impl From<Refused> for ApiError {
    /// For a conflict that no decision expects: the request lost every race it ran.
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Store(error) => error.into(),
            Refused::Conflict(conflict) => Self::Unavailable(format!("the write kept meeting {conflict:?}")),
        }
    }
}

impl From<HashError> for ApiError {
    fn from(error: HashError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UserNotFound => Self::UserNotFound,
            Refusal::AlreadyLinked => Self::AlreadyLinked,
            Refusal::NotACustomer => Self::NotACustomer,
        }
    }
}

impl From<update::Refusal> for ApiError {
    fn from(refusal: update::Refusal) -> Self {
        match refusal {
            update::Refusal::Login(refusal) => refusal.into(),
            update::Refusal::Linked(_) => Self::AlreadyLinked,
            update::Refusal::LeadHasNoLogin => {
                Self::field("user_id", "cannot be linked to a lead: set its `status` to `active` as well")
            }
            update::Refusal::NoLeadAgain => Self::field("status", "cannot be that of a lead: the customer has a login"),
        }
    }
}
