//! The directory that the server's state is kept in, for its owner's eyes only.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use shared::token::KeyRing;

use crate::LocalError;

/// The directory, held for as long as this value lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// The system lets go of it when the process ends, however that comes.
    _lock: File,
}

impl DataDir {
    /// Opens the directory `path`, made if it is missing.
    pub fn open(path: &Path) -> Result<Self, LocalError> {
        make(path).map_err(LocalError::data(path))?;
        let lock_path = path.join("lock");
        let lock = private().create(true).truncate(false).open(&lock_path).map_err(LocalError::data(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(LocalError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(LocalError::data(&lock_path)(error)),
        }
    }

    /// The file of the embedded `DynamoDB`.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join("dynamodb.sqlite")
    }

    /// The file of the mailbox.
    #[must_use]
    pub fn mailbox(&self) -> PathBuf {
        self.path.join("mailbox.jsonl")
    }

    /// The file of how far the stream has been read.
    #[must_use]
    pub fn stream_position(&self) -> PathBuf {
        self.path.join("stream-position.json")
    }

    /// The server's keys, made once.
    pub fn keys(&self) -> Result<KeyRing, LocalError> {
        let path = self.path.join("keys");
        match std::fs::read_to_string(&path) {
            Ok(text) => KeyRing::parse(text.trim()).map_err(|source| LocalError::Keys { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (keys, text) = KeyRing::generate();
                write_private(&path, text.as_bytes(), true).map_err(LocalError::data(&path))?;
                Ok(keys)
            }
            Err(error) => Err(LocalError::data(&path)(error)),
        }
    }
}

/// Writes `file` as a whole or not at all, readable by its owner only; `durable` outlives a loss of
/// power.
pub(crate) fn write_private(file: &Path, contents: &[u8], durable: bool) -> io::Result<()> {
    let new = file.with_extension("new");
    let mut written = private().create(true).truncate(true).open(&new)?;
    written.write_all(contents)?;
    if durable {
        written.sync_all()?;
    }
    std::fs::rename(&new, file)
}

fn make(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_for_their_owner_only() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        let mac = |data: &DataDir| data.keys().unwrap().mac("test", &[b"x"]);
        let first = DataDir::open(&path).unwrap();
        let before = mac(&first);
        drop(first);
        assert_eq!(mac(&DataDir::open(&path).unwrap()), before);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&path), mode(&path.join("keys"))), (0o700, 0o600));
        }
    }

    #[test]
    fn two_servers_do_not_share_a_directory() {
        let parent = tempfile::tempdir().unwrap();
        let _first = DataDir::open(parent.path()).unwrap();
        assert!(matches!(DataDir::open(parent.path()), Err(LocalError::InUse { .. })));
    }
}
