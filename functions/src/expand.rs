//! What a caller asks for beside a customer: `?expand=invoices,trials_used,entities`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use shared::app::App;
use shared::http::ApiError;
use shared::ids::CustomerId;
use shared::store::StoreError;
use shared::store::children::ChildKind;
use utoipa::ToSchema;

const INVOICE: [&str; 7] =
    ["stripe_id", "status", "currency", "total", "amount_refunded", "hosted_invoice_url", "created_at"];
const TRIAL: [&str; 3] = ["product_id", "customer_id", "fingerprint"];
const ENTITY: [&str; 4] = ["id", "name", "feature_id", "created_at"];

/// What was asked for; what was not is left out.
#[derive(Serialize, ToSchema)]
pub struct Expanded {
    /// With `?expand=invoices`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    invoices: Option<Vec<Value>>,
    /// With `?expand=trials_used`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    trials_used: Option<Vec<Value>>,
    /// With `?expand=entities`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    entities: Option<Vec<Value>>,
}

/// What was asked for beside the customer.
#[derive(Clone, Copy, Default)]
pub(crate) struct Expand {
    invoices: bool,
    trials_used: bool,
    entities: bool,
}

impl Expand {
    /// Reads the words of the query.
    pub(crate) fn parse(query: &BTreeMap<String, String>) -> Result<Self, ApiError> {
        let text = query.get("expand").map(String::as_str).unwrap_or_default();
        let mut expand = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "invoices" => expand.invoices = true,
                "trials_used" => expand.trials_used = true,
                "entities" => expand.entities = true,
                _ => return Err(ApiError::field("expand", "takes `invoices`, `trials_used` and `entities`")),
            }
        }
        Ok(expand)
    }

    /// Reads what was asked for of the customer `id`, all at once.
    pub(crate) async fn read(self, app: &App, id: CustomerId) -> Result<Expanded, StoreError> {
        let (invoices, trials_used, entities) = tokio::join!(
            children(app, id, self.invoices, ChildKind::Invoice, &INVOICE),
            children(app, id, self.trials_used, ChildKind::Trial, &TRIAL),
            children(app, id, self.entities, ChildKind::Entity, &ENTITY),
        );
        Ok(Expanded { invoices: invoices?, trials_used: trials_used?, entities: entities? })
    }
}

async fn children(
    app: &App,
    id: CustomerId,
    asked: bool,
    kind: ChildKind,
    fields: &[&str],
) -> Result<Option<Vec<Value>>, StoreError> {
    if !asked {
        return Ok(None);
    }
    let found = app.store.children(id, kind).await?;
    Ok(Some(found.into_iter().map(|child| pick(child, fields)).collect()))
}

/// `fields` of a stored child and nothing else; one without a value is null.
fn pick(mut child: Map<String, Value>, fields: &[&str]) -> Value {
    let field = |name: &&str| ((*name).to_owned(), child.remove(*name).unwrap_or(Value::Null));
    Value::Object(fields.iter().map(field).collect())
}
