//! A mailbox on this machine: what the local server and the tests deliver to.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{DeliveryError, Letter, Recipient};
use crate::clock::{Clock, Time};
use crate::domain::message::MessageKind;

/// A message that was delivered, as `GET /dev/outbox` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// Its id in the mailbox.
    pub id: Uuid,
    /// An e-mail address or a phone number.
    pub to: String,
    /// `email` or `sms`.
    pub channel: String,
    /// What it is about.
    pub kind: MessageKind,
    /// The subject; SMS has none.
    pub subject: Option<String>,
    /// The plain text.
    pub body: String,
    /// When it was delivered.
    pub created_at: Time,
}

/// Delivered messages, in memory and, if it was opened on one, in a file.
#[derive(Clone, Debug)]
pub struct Mailbox {
    contents: Arc<Mutex<Contents>>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Contents {
    delivered: Vec<Delivered>,
    file: Option<PathBuf>,
}

impl Mailbox {
    /// An empty mailbox in memory.
    #[must_use]
    pub fn in_memory(clock: Clock) -> Self {
        Self { contents: Arc::default(), clock }
    }

    /// The mailbox kept in `file`, one JSON line per message. A line that a crash cut short is
    /// skipped: its message is still in the outbox.
    pub fn open(file: &Path, clock: Clock) -> std::io::Result<Self> {
        let delivered = match File::open(file) {
            Ok(found) => {
                let lines = BufReader::new(found).lines().collect::<Result<Vec<_>, _>>()?;
                lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let contents = Contents { delivered, file: Some(file.to_owned()) };
        Ok(Self { contents: Arc::new(Mutex::new(contents)), clock })
    }

    /// What was delivered, newest first.
    #[must_use]
    pub fn delivered(&self) -> Vec<Delivered> {
        let contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        contents.delivered.iter().rev().cloned().collect()
    }

    pub(super) fn put(&self, letter: Letter) -> Result<(), DeliveryError> {
        let now = self.clock.now();
        let (channel, to) = match &letter.to {
            Recipient::Email(address) => ("email", address.as_str().to_owned()),
            Recipient::Sms(phone) => ("sms", phone.as_str().to_owned()),
        };
        let delivered = Delivered {
            id: now.new_id(),
            to,
            channel: channel.to_owned(),
            kind: letter.kind,
            subject: matches!(letter.to, Recipient::Email(_)).then_some(letter.subject),
            body: letter.text,
            created_at: now,
        };
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &contents.file {
            append(file, &delivered).map_err(|error| DeliveryError(error.to_string()))?;
        }
        contents.delivered.push(delivered);
        Ok(())
    }
}

fn append(file: &Path, delivered: &Delivered) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    // A development mailbox still holds temporary passwords.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut line = serde_json::to_vec(delivered)?;
    line.push(b'\n');
    options.open(file)?.write_all(&line)
}
