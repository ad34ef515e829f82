//! What a row means by the id of another row.
//!
//! A second id is looked up where the import noted it; a UUID is what it is; any other id is that
//! of a name-based UUID, which needs no looking up.

use shared::domain::legacy::Source;
use shared::ids::{CustomerId, UserId};
use shared::store::key::Key;
use shared::store::records::Guard;
use shared::store::{Batch, StoreError};

/// What has to be read to know which customer `text` means.
pub(super) fn keys_of_customer(text: &str) -> Vec<Key> {
    let sources = [Source::CustomersV2, Source::Clients];
    let aliases = sources.map(|source| Key::legacy_id(source, text));
    let heads = sources.map(|source| Key::customer(CustomerId(source.id_of(text))));
    let named = heads[0] != heads[1];
    aliases.into_iter().chain(heads.into_iter().filter(|_| named)).collect()
}

/// The customer that `text` means: of `customers_v2`, unless only `clients` has it.
pub(super) fn customer(text: &str, seen: &Batch) -> Result<CustomerId, StoreError> {
    for source in [Source::CustomersV2, Source::Clients] {
        if let Some(alias) = seen.get::<Guard>(&Key::legacy_id(source, text))? {
            return Ok(CustomerId(alias.owner));
        }
    }
    let newer = CustomerId(Source::CustomersV2.id_of(text));
    let client = CustomerId(Source::Clients.id_of(text));
    let only_client = seen.has(&Key::customer(client)) && !seen.has(&Key::customer(newer));
    Ok(if only_client { client } else { newer })
}

/// What has to be read to know which user `text` means.
pub(super) fn key_of_user(text: &str) -> Key {
    Key::legacy_id(Source::Users, text)
}

/// The user that `text` means.
pub(super) fn user(text: &str, seen: &Batch) -> Result<UserId, StoreError> {
    let alias = seen.get::<Guard>(&key_of_user(text))?;
    Ok(UserId(alias.map_or_else(|| Source::Users.id_of(text), |alias| alias.owner)))
}
