//! How many there are, of what.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::app::App;
use shared::clock::Time;
use shared::domain::figures::ByStatus;
use shared::http::ApiError;
use shared::http::caller::Admin;
use shared::http::problem::Problem;
use utoipa::ToSchema;

use crate::reports::{MAX_LIVE_ROWS, Report, read};

/// How many there are.
#[derive(Serialize, ToSchema)]
pub struct DashboardResponse {
    /// As of when.
    #[schema(value_type = String, format = DateTime)]
    as_of: Time,
    /// Users of role customer.
    legacy_customers: u64,
    /// Customers that are no leads.
    v2_customers: u64,
    /// Pairs of the two that point to each other.
    linked_customers: u64,
    /// People: a pair is one.
    total_unique_customers: u64,
    /// Customers that are leads.
    leads: u64,
    /// Customers, leads among them, by where they stand.
    by_status: ByStatus,
    /// Which of `users` and `customers_v2` hold anybody.
    systems_in_use: Vec<&'static str>,
}

impl From<Report> for DashboardResponse {
    fn from(Report { figures, as_of }: Report) -> Self {
        Self {
            as_of,
            legacy_customers: figures.users,
            v2_customers: figures.customers,
            linked_customers: figures.mutual,
            total_unique_customers: figures.unique(),
            leads: figures.leads,
            by_status: figures.by_status,
            systems_in_use: figures.systems_in_use(),
        }
    }
}

/// Counts users and customers.
#[utoipa::path(
    get, path = "/admin/dashboard", tag = "operations", operation_id = "dashboard", security(("bearer" = [])),
    responses(
        (status = 200, description = "How many there are.", body = DashboardResponse),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(State(app): State<App>, _caller: Admin) -> Result<Json<DashboardResponse>, ApiError> {
    Ok(Json(read(&app, MAX_LIVE_ROWS).await?.into()))
}
