//! The catalogue, by id.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Query, State};
use shared::app::App;
use shared::domain::product::ProductId;
use shared::http::ApiError;
use shared::http::caller::Admin;
use shared::http::page::{Page, PageRequest};
use shared::http::problem::Problem;

use crate::view::ProductView;

/// Lists the products.
#[utoipa::path(
    get, path = "/v1/products", tag = "products", operation_id = "listProducts", security(("bearer" = [])),
    params(
        ("limit" = Option<u32>, Query, description = "The most rows, 1 to 100 (20)."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses(
        (status = 200, description = "A page, by id.", body = Page<ProductView>),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    _caller: Admin,
    query: Query<BTreeMap<String, String>>,
) -> Result<Json<Page<ProductView>>, ApiError> {
    let page = PageRequest::parse(&query, &["products"])?;
    let after = page.after.as_deref().map(ProductId::parse).transpose().map_err(|_| ApiError::InvalidCursor)?;
    let mut products = app.store.products_after(after.as_ref(), page.limit + 1).await?;
    let more = products.len() > page.limit;
    products.truncate(page.limit);
    let next = products.last().filter(|_| more).map(|last| page.cursor(last.id.as_str()));
    Ok(Json(Page::new(products.into_iter().map(ProductView::from).collect(), next)))
}
