//! How far the stream has been read. It only saves time: without it, reading begins at the
//! beginning and `notify` skips what it has sent.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::data_dir::write_private;

/// How far each shard of a stream has been read.
#[derive(Debug, Default)]
pub(super) struct Position {
    file: Option<PathBuf>,
    reached: Reached,
    kept: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Reached {
    stream: String,
    shards: BTreeMap<String, String>,
}

impl Position {
    /// The position that `file` holds, or the beginning.
    pub(super) fn kept_in(file: PathBuf) -> Self {
        let text = std::fs::read(&file).ok();
        let reached = text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Self { file: Some(file), reached, kept: true }
    }

    /// Makes this a position in `stream`: in another one, it is the beginning.
    pub(super) fn enter(&mut self, stream: &str) {
        if self.reached.stream != stream {
            self.reached = Reached { stream: stream.to_owned(), shards: BTreeMap::new() };
            self.kept = false;
        }
    }

    /// The last record of `shard` that was handed over.
    pub(super) fn of(&self, shard: &str) -> Option<&str> {
        self.reached.shards.get(shard).map(String::as_str)
    }

    /// `shard` has been handed over up to and including `sequence_number`.
    pub(super) fn reached(&mut self, shard: String, sequence_number: String) {
        self.reached.shards.insert(shard, sequence_number);
        self.kept = false;
    }

    /// `shard` is read from its beginning.
    pub(super) fn rewind(&mut self, shard: &str) {
        self.reached.shards.remove(shard);
        self.kept = false;
    }

    /// Writes the position to its file if it has changed.
    pub(super) fn keep(&mut self) {
        let Some(file) = self.file.as_ref().filter(|_| !self.kept) else { return };
        let text = serde_json::to_vec(&self.reached).unwrap_or_default();
        let written = write_private(file, &text, false);
        match written {
            Ok(()) => self.kept = true,
            Err(error) => tracing::warn!(%error, "the stream will be read from an older position next time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_kept_for_its_own_stream_only() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("stream-position.json");
        let mut position = Position::kept_in(file.clone());
        position.enter("one");
        position.reached("shard".into(), "7".into());
        position.keep();
        let mut again = Position::kept_in(file);
        again.enter("one");
        assert_eq!(again.of("shard"), Some("7"));
        again.enter("two");
        assert_eq!(again.of("shard"), None);
    }

    #[test]
    fn a_file_that_does_not_parse_is_the_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("stream-position.json");
        std::fs::write(&file, "{").unwrap();
        assert_eq!(Position::kept_in(file).of("shard"), None);
    }
}
