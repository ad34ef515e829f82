//! Why the local server did not start or could not go on, and what to do next.

use std::io;
use std::path::{Path, PathBuf};

use aws_sdk_dynamodbstreams::error::{ProvideErrorMetadata, SdkError};
use shared::config::ConfigError;
use shared::password::HashError;
use shared::sdk::describe;
use shared::store::StoreError;
use shared::token::KeyRingError;
use thiserror::Error;

/// Why the local server did not start or could not go on.
#[derive(Debug, Error)]
pub enum LocalError {
    /// Somebody else listens on the port.
    #[error("port {port} is taken; stop what listens there, or use `{flag} 0` to have a free one picked")]
    PortTaken {
        /// The port.
        port: u16,
        /// The flag that names it.
        flag: &'static str,
    },
    /// The port cannot be listened on.
    #[error("port {port} cannot be listened on: {source}; use `{flag} 0` to have a free one picked")]
    Listen {
        /// The port.
        port: u16,
        /// The flag that names it.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file or directory of the server's state cannot be used.
    #[error("`{path}` cannot be used: {source}; name another directory with `--data`, or use `--memory`")]
    Data {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another server runs on the same state.
    #[error("`{path}` is in use by another local server; stop it, or use `--data` or `--memory`")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The keys that were kept cannot be read.
    #[error("`{path}` holds no keys: {source}; move it away and new ones are made, which ends every session")]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyRingError,
    },
    /// The embedded `DynamoDB` failed.
    #[error("the embedded DynamoDB failed: {0}; move `dynamodb.sqlite` away, or use `--memory`")]
    Dynamo(String),
    /// The stream of the table cannot be read.
    #[error("the stream of the table cannot be read: {0}")]
    Stream(String),
    /// An environment variable is malformed.
    #[error("{0}; correct it or unset it")]
    Config(#[from] ConfigError),
    /// The table cannot be used.
    #[error("{0}; is it the endpoint you mean?")]
    Store(#[from] StoreError),
    /// The administrator's password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The address of the administrator belongs to somebody else.
    #[error("`--admin-email` names a user who is no administrator; use another address")]
    NotAnAdmin,
    /// Somebody else keeps changing the administrator.
    #[error("the administrator kept being changed by somebody else; start again")]
    AdminRace,
    /// Signals cannot be listened for.
    #[error("signals cannot be listened for: {0}")]
    Signals(io::Error),
    /// The HTTP server failed.
    #[error("the HTTP server failed: {0}")]
    Serve(io::Error),
    /// A request to the server got no answer.
    #[error("the request was not answered: {0}")]
    Unanswered(String),
}

impl LocalError {
    /// A failure to use `path`.
    pub(crate) fn data(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Data { path, source }
    }

    /// A failure of the stream.
    pub(crate) fn stream<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Self {
        Self::Stream(describe(error))
    }
}
