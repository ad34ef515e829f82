//! The API keys, read to the end of their list.

use shared::store::Store;
use shared::store::api_key::ApiKey;

use crate::error::AdminError;

/// Keys read at once.
const PAGE: i32 = 100;

/// Every key, revoked ones too, oldest first. One made this very moment may be missing.
pub(crate) async fn all(store: &Store) -> Result<Vec<ApiKey>, AdminError> {
    let (mut all, mut start) = (Vec::new(), None);
    loop {
        let (keys, next) = store.list::<ApiKey>(start, PAGE).await?;
        all.extend(keys);
        start = next;
        if start.is_none() {
            return Ok(all);
        }
    }
}
