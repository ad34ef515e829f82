//! What the operator is told about a row: why it was refused, or what of it was not taken over.
//!
//! **Invariant:** no finding holds a value of the row. It names file, line, field and reason.

use std::fmt;

use shared::domain::legacy::Source;

/// Where a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The collection, and with it the file.
    pub source: Source,
    /// The line of the file, counted from 1.
    pub line: u64,
}

/// What is to be said about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It was not imported.
    Refused(Refusal),
    /// It was imported, and differs from what the file says.
    Reported(Remark),
}

impl Finding {
    /// `refused` or `reported`.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Reported(_) => "reported",
        }
    }

    /// The field that it is about; empty if it is about the whole line.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Refused(_) => "",
            Self::Reported(remark) => remark.field,
        }
    }

    /// A short name of the reason, which stays the same.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.words().0,
            Self::Reported(remark) => remark.what.words().0,
        }
    }

    /// The reason in words.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.words().1,
            Self::Reported(remark) => remark.what.words().1,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(_) => write!(f, "{} ({})", self.reason(), self.code()),
            Self::Reported(remark) => write!(f, "`{}` {} ({})", remark.field, self.reason(), self.code()),
        }
    }
}

/// Why a line is not imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Longer than any person.
    TooLong,
    /// Not text.
    NotUtf8,
    /// Not JSON.
    NotJson,
    /// JSON, and no object.
    NotObject,
    /// An object without id.
    NoId,
    /// A user whose role is unknown or missing.
    NoRole,
    /// Another row has its id.
    IdTaken,
    /// Somebody else kept writing what it needs.
    Busy,
}

impl Refusal {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::TooLong,
        Self::NotUtf8,
        Self::NotJson,
        Self::NotObject,
        Self::NoId,
        Self::NoRole,
        Self::IdTaken,
        Self::Busy,
    ];

    /// Its short name and its words.
    #[must_use]
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::TooLong => ("too-long", "the line is longer than 1 MiB"),
            Self::NotUtf8 => ("not-utf8", "the line is not UTF-8"),
            Self::NotJson => ("not-json", "the line is not JSON"),
            Self::NotObject => ("not-object", "the line is not a JSON object"),
            Self::NoId => ("no-id", "the row has no id, or one of more than 512 bytes"),
            Self::NoRole => ("no-role", "the role is missing, or none of `admin`, `delivery_boy`, `customer`"),
            Self::IdTaken => ("id-taken", "another row has this id"),
            Self::Busy => ("busy", "the row lost every race it ran; import again"),
        }
    }
}

/// What of a row was not taken over as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The field.
    pub field: &'static str,
    /// What is the matter with it.
    pub what: What,
}

/// What is the matter with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A text that is none of what the field holds.
    Unread,
    /// A user without e-mail address.
    NoLogin,
    /// A user's address that cannot be read.
    BadLogin,
    /// A user's address that is another's login.
    LoginTaken,
    /// A customer's address that other customers have.
    Shared,
    /// A customer's address that too many have.
    Crowded,
    /// A status that is none.
    Status,
    /// A flag that is none.
    Flag,
    /// A password that cannot be verified.
    Password,
    /// A number or reference that cannot be read.
    BadNumber,
    /// A number or reference that another row has.
    NumberTaken,
    /// A number of somebody who is no customer.
    NotCustomer,
    /// A time that cannot be read.
    Time,
    /// A second id that leads to another row.
    Alias,
    /// An id whose row was deleted here after it had been imported.
    DeletedSince,
}

impl What {
    /// Everything that can be the matter.
    pub const ALL: [Self; 15] = [
        Self::Unread,
        Self::NoLogin,
        Self::BadLogin,
        Self::LoginTaken,
        Self::Shared,
        Self::Crowded,
        Self::Status,
        Self::Flag,
        Self::Password,
        Self::BadNumber,
        Self::NumberTaken,
        Self::NotCustomer,
        Self::Time,
        Self::Alias,
        Self::DeletedSince,
    ];

    /// Its short name and its words.
    #[must_use]
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Unread => ("unread", "cannot be read; it is kept as text"),
            Self::NoLogin => ("no-login", "is missing; the user has a placeholder"),
            Self::BadLogin => ("bad-login", "is no e-mail address; it is kept as text, and the user has a placeholder"),
            Self::LoginTaken => ("login-taken", "is an older user's login; this one has a placeholder"),
            Self::Shared => ("shared", "is an older customer's too; they stay two customers"),
            Self::Crowded => ("crowded", "has 100 customers already; it is kept as text"),
            Self::Status => ("status", "is none that is known; the customer is inactive"),
            Self::Flag => ("flag", "is neither true nor false; the user is disabled"),
            Self::Password => ("password", "is no hash that can be verified, and is left out; it has to be reset"),
            Self::BadNumber => ("bad-number", "does not have its form; it is kept as text, and a new one is drawn"),
            Self::NumberTaken => ("number-taken", "is an older row's; it is kept as text, and a new one is drawn"),
            Self::NotCustomer => ("not-customer", "is for customers only; it is kept as text"),
            Self::Time => ("time", "is no time; it is kept as text, and the row counts as older or newer by its id"),
            Self::Alias => ("alias", "leads to another row already; pointers at it lead there"),
            Self::DeletedSince => ("deleted-since", "is of a row that was deleted here since; it is not brought back"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_has_a_name_of_its_own() {
        let names = Refusal::ALL.map(|refusal| refusal.words().0).into_iter();
        let names: BTreeSet<_> = names.chain(What::ALL.map(|what| what.words().0)).collect();
        assert_eq!(names.len(), Refusal::ALL.len() + What::ALL.len());
    }

    #[test]
    fn a_finding_reads_as_a_sentence() {
        let remark = Remark { field: "phone", what: What::Unread };
        assert_eq!(Finding::Reported(remark).to_string(), "`phone` cannot be read; it is kept as text (unread)");
    }
}
