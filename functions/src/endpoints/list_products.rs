//! The catalogue, by id.

use axum::Json;
use axum::extract::State;
use shared::app::App;
use shared::domain::product::ProductId;
use shared::http::ApiError;
use shared::http::caller::Admin;
use shared::http::page::{Page, PageQuery};
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
    page: PageQuery,
) -> Result<Json<Page<ProductView>>, ApiError> {
    let after = page.after.map(|text| ProductId::parse(&text)).transpose().map_err(|_| ApiError::InvalidCursor)?;
    let products = app.store.products_after(after.as_ref(), page.limit + 1).await?;
    let rows = products.into_iter().map(ProductView::from).collect();
    Ok(Json(Page::of(rows, page.limit, |product: &ProductView| product.id.to_string())))
}
