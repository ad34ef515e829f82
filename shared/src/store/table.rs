//! The table itself, for the local server, the tests and the admin's `create-table`. On AWS
//! `template.yaml` declares the same; a test holds one against the other.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, StreamSpecification, StreamViewType, TableStatus, TimeToLiveSpecification,
};

use super::StoreError;
use super::retry::Backoff;

const INDEXES: [&str; 3] = ["gsi1", "gsi2", "gsi3"];

/// Creates `table` unless it exists, and waits until it can be used. Answers whether it was made.
pub async fn create(client: &Client, table: &str) -> Result<bool, StoreError> {
    let keys = std::iter::once(("pk".to_owned(), "sk".to_owned())).chain(INDEXES.map(index_keys));
    let attributes = keys.flat_map(|(pk, sk)| [pk, sk]).map(|name| attribute(&name));
    let indexes = INDEXES.map(index).into_iter().collect::<Result<Vec<_>, _>>()?;
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewImage);
    let request = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(attributes.collect::<Result<Vec<_>, _>>()?))
        .set_key_schema(Some(key_schema("pk", "sk")?))
        .set_global_secondary_indexes(Some(indexes))
        .stream_specification(stream.build().map_err(built)?);
    match request.send().await {
        Ok(_) => {}
        Err(error)
            if error.as_service_error().is_some_and(
                aws_sdk_dynamodb::operation::create_table::CreateTableError::is_resource_in_use_exception,
            ) =>
        {
            return Ok(false);
        }
        Err(error) => return Err(StoreError::of(error)),
    }
    wait_until_active(client, table).await?;
    let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires_at");
    let ttl = ttl.build().map_err(built)?;
    let request = client.update_time_to_live().table_name(table).time_to_live_specification(ttl);
    request.send().await.map_err(StoreError::of)?;
    Ok(true)
}

async fn wait_until_active(client: &Client, table: &str) -> Result<(), StoreError> {
    let mut backoff = Backoff::new();
    loop {
        let answer = client.describe_table().table_name(table).send().await.map_err(StoreError::of)?;
        if answer.table().and_then(|table| table.table_status()) == Some(&TableStatus::Active) {
            return Ok(());
        }
        if !backoff.wait().await {
            return Err(StoreError::Unavailable("the table is still being created".into()));
        }
    }
}

fn index_keys(index: &str) -> (String, String) {
    (format!("{index}pk"), format!("{index}sk"))
}

fn index(name: &str) -> Result<GlobalSecondaryIndex, StoreError> {
    let (pk, sk) = index_keys(name);
    let projection = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
    let index = GlobalSecondaryIndex::builder().index_name(name).set_key_schema(Some(key_schema(&pk, &sk)?));
    index.projection(projection).build().map_err(built)
}

fn key_schema(pk: &str, sk: &str) -> Result<Vec<KeySchemaElement>, StoreError> {
    let element = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    Ok(vec![element(pk, KeyType::Hash).map_err(built)?, element(sk, KeyType::Range).map_err(built)?])
}

fn attribute(name: &str) -> Result<AttributeDefinition, StoreError> {
    let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
    attribute.build().map_err(built)
}

fn built(error: impl std::error::Error) -> StoreError {
    StoreError::Request(error.to_string())
}
