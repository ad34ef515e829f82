//! Makes a product, or puts another in its place. Nobody who holds it notices.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use shared::app::App;
use shared::clock::Time;
use shared::domain::product::{FreeTrial, Group, Item, MAX_ITEMS, Price, Product, ProductId};
use shared::domain::start::{MAX_DEFAULT_GROUPS, has_room};
use shared::http::caller::Admin;
use shared::http::fields::{Fields, FromFields};
use shared::http::problem::Problem;
use shared::http::{ApiError, JsonBody};
use shared::store::Refused;
use shared::store::retry::Backoff;
use shared::text::Name;
use utoipa::ToSchema;

use crate::view::ProductView;

/// A product as it is to be.
#[derive(Clone, ToSchema)]
pub struct PutProductRequest {
    name: Name,
    /// Of the products of a group a customer gets one by default.
    group: Option<Group>,
    /// Whether new customers get it (`false`).
    is_default: Option<bool>,
    /// Whether they get it although it costs something (`false`).
    force_paid_default: Option<bool>,
    price: Option<Price>,
    free_trial: Option<FreeTrial>,
    /// What it lets its holder use; each feature once.
    #[schema(max_items = 50)]
    items: Vec<Item>,
}

impl FromFields for PutProductRequest {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let (name, group) = (fields.required("name"), fields.optional("group"));
        let (is_default, force_paid_default) = (fields.optional("is_default"), fields.optional("force_paid_default"));
        let (price, free_trial) = (fields.optional_object("price"), fields.optional_object("free_trial"));
        let items: Option<Vec<Item>> = fields.required_list("items", MAX_ITEMS);
        let mut seen = BTreeSet::new();
        for (n, item) in items.iter().flatten().enumerate() {
            if !seen.insert(&item.feature_id) {
                fields.refuse::<()>(&format!("items[{n}].feature_id"), "is in the list already");
            }
        }
        Some(Self {
            name: name?,
            group: group?,
            is_default: is_default?,
            force_paid_default: force_paid_default?,
            price: price?,
            free_trial: free_trial?,
            items: items?,
        })
    }
}

/// Makes or replaces a product.
#[utoipa::path(
    put, path = "/v1/products/{id}", tag = "products", operation_id = "putProduct", security(("bearer" = [])),
    params(("id" = String, Path, description = "The product.")),
    request_body = PutProductRequest,
    responses(
        (status = 201, description = "A new product.", body = ProductView),
        (status = 200, description = "The product as it is now.", body = ProductView),
        (status = "default", description = "Refused.", body = Problem, content_type = "application/problem+json"),
    )
)]
pub async fn handle(
    State(app): State<App>,
    _caller: Admin,
    path: Result<Path<String>, PathRejection>,
    body: JsonBody<PutProductRequest>,
) -> Result<Response, ApiError> {
    let Path(text) = path.map_err(|_| ApiError::field("id", "cannot be read"))?;
    let id = ProductId::parse(&text).map_err(|message| ApiError::field("id", message))?;
    let now = app.clock.now();
    let mut races = Backoff::new();
    loop {
        let before = app.store.product(&id).await?;
        let after = product(id.clone(), body.request.clone(), before.as_ref(), now);
        if after.is_default && !has_room(&app.store.products().await?, &after) {
            let full = format!("cannot be `true`: {MAX_DEFAULT_GROUPS} other groups have a default already");
            return Err(ApiError::field("is_default", full));
        }
        let mut transaction = app.store.transaction();
        transaction.save_product(before.as_ref(), &after);
        match transaction.commit(&app.store).await {
            Ok(()) => {
                let status = if before.is_some() { StatusCode::OK } else { StatusCode::CREATED };
                return Ok((status, Json(ProductView::from(after))).into_response());
            }
            Err(Refused::Store(error)) => return Err(error.into()),
            Err(Refused::Conflict(_)) if races.wait().await => {}
            Err(lost @ Refused::Conflict(_)) => return Err(lost.into()),
        }
    }
}

fn product(id: ProductId, request: PutProductRequest, before: Option<&Product>, now: Time) -> Product {
    Product {
        id,
        name: request.name,
        group: request.group,
        is_default: request.is_default.unwrap_or_default(),
        force_paid_default: request.force_paid_default.unwrap_or_default(),
        price: request.price,
        free_trial: request.free_trial,
        items: request.items,
        created_at: before.map_or(now, |product| product.created_at),
        updated_at: now,
        version: before.map_or(0, |product| product.version),
    }
}
