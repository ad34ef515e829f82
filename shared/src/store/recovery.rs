//! Recovery at rest: tickets by the hash of their token, and how often a user was sent one.

use super::item::Entity;
use super::key::Key;
use crate::domain::recovery::{RecoveryLog, ResetTicket};

impl Entity for ResetTicket {
    const KIND: &'static str = "reset_ticket";

    fn key(&self) -> Key {
        Key::reset_ticket(&self.sha256)
    }
}

impl Entity for RecoveryLog {
    const KIND: &'static str = "recovery_log";

    fn key(&self) -> Key {
        Key::recovery_log(self.user_id)
    }
}
