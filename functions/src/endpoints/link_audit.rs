//! Whether users and customers point to each other, and who cannot sign in.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::app::App;
use shared::clock::Time;
use shared::domain::figures::Samples;
use shared::http::ApiError;
use shared::http::caller::Admin;
use shared::http::problem::Problem;
use utoipa::ToSchema;

use crate::reports::{MAX_LIVE_ROWS, Report, read};

/// What is linked, and what is not.
#[derive(Serialize, ToSchema)]
pub struct LinkAuditResponse {
    /// As of when.
    #[schema(value_type = String, format = DateTime)]
    as_of: Time,
    /// Users of role customer that point to a customer.
    users_linked: u64,
    /// Users of role customer that point to none.
    users_orphaned: u64,
    /// Customers, no leads, that point to no user.
    customers_orphaned: u64,
    /// Both of them.
    total_sync_issues: u64,
    /// Users of role customer who can sign in, or can once an invitation that is under way arrives.
    can_login: u64,
    /// Customers, no leads, that point to no such user.
    cannot_login: u64,
    /// Customers, no leads, without an address that somebody reads.
    missing_email: u64,
    /// Pairs that point to each other.
    verified_linked: u64,
    /// Pointers to somebody who does not point back.
    one_way_links: u64,
    /// Pointers to nobody.
    dangling_links: u64,
    /// Records that several point to.
    duplicate_links: u64,
    /// Customers, leads among them, without a reference.
    missing_customer_reference: u64,
    /// Users of role customer without a number.
    missing_customer_number: u64,
    /// Some of the records.
    samples: Samples,
}

impl From<Report> for LinkAuditResponse {
    fn from(Report { figures, as_of }: Report) -> Self {
        Self {
            as_of,
            users_linked: figures.linked_users,
            users_orphaned: figures.users_orphaned(),
            customers_orphaned: figures.customers_orphaned,
            total_sync_issues: figures.sync_issues(),
            can_login: figures.can_login,
            cannot_login: figures.cannot_login,
            missing_email: figures.missing_email,
            verified_linked: figures.mutual,
            one_way_links: figures.one_way_links,
            dangling_links: figures.dangling_links,
            duplicate_links: figures.duplicate_links,
            missing_customer_reference: figures.missing_customer_reference,
            missing_customer_number: figures.missing_customer_number,
            samples: figures.samples,
        }
    }
}

/// Audits the links.
#[utoipa::path(
    get, path = "/admin/link-audit", tag = "operations", operation_id = "linkAudit", security(("bearer" = [])),
    responses(
        (status = 200, description = "What is linked, and what is not.", body = LinkAuditResponse),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(State(app): State<App>, _caller: Admin) -> Result<Json<LinkAuditResponse>, ApiError> {
    Ok(Json(read(&app, MAX_LIVE_ROWS).await?.into()))
}
