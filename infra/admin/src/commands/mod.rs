//! The commands: one file each, with its `Opts` and its `run`.

pub(crate) mod audit;
pub(crate) mod backfill;
pub(crate) mod create_admin;
pub(crate) mod create_api_key;
pub(crate) mod create_table;
pub(crate) mod create_user;
pub(crate) mod disable_user;
pub(crate) mod enable_user;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod init_counter;
pub(crate) mod link;
pub(crate) mod list_api_keys;
pub(crate) mod migrate;
pub(crate) mod revoke_api_key;
pub(crate) mod set_password;
pub(crate) mod unlink;
