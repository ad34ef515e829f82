//! How complete the links are, in one word.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::app::App;
use shared::clock::Time;
use shared::http::ApiError;
use shared::http::caller::Admin;
use shared::http::problem::Problem;
use utoipa::ToSchema;

use crate::reports::{MAX_LIVE_ROWS, Report, read};

/// How complete the links are.
#[derive(Serialize, ToSchema)]
pub struct DataQualityResponse {
    /// As of when.
    #[schema(value_type = String, format = DateTime)]
    as_of: Time,
    /// Users of role customer.
    total_users: u64,
    /// Customers that are no leads.
    total_v2_customers: u64,
    /// Users of role customer that point to a customer.
    linked_records: u64,
    /// Users of role customer that point to none.
    orphaned_users: u64,
    /// Customers, no leads, that point to no user.
    orphaned_v2: u64,
    /// The pairs that point to each other, out of those that could be: `100.0%`.
    linkage_completeness: String,
    /// `HEALTHY` if every user has their customer and every customer its user, else `NEEDS
    /// ATTENTION`.
    status: &'static str,
}

impl From<Report> for DataQualityResponse {
    fn from(Report { figures, as_of }: Report) -> Self {
        Self {
            as_of,
            total_users: figures.users,
            total_v2_customers: figures.customers,
            linked_records: figures.linked_users,
            orphaned_users: figures.users_orphaned(),
            orphaned_v2: figures.customers_orphaned,
            linkage_completeness: figures.completeness(),
            status: if figures.is_healthy() { "HEALTHY" } else { "NEEDS ATTENTION" },
        }
    }
}

/// Judges the links.
#[utoipa::path(
    get, path = "/admin/data-quality", tag = "operations", operation_id = "dataQuality", security(("bearer" = [])),
    responses(
        (status = 200, description = "How complete the links are.", body = DataQualityResponse),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(State(app): State<App>, _caller: Admin) -> Result<Json<DataQualityResponse>, ApiError> {
    Ok(Json(read(&app, MAX_LIVE_ROWS).await?.into()))
}
