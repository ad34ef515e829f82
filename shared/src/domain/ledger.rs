//! What a run of the backfill or of a migration wrote, kept so that it can be undone.
//!
//! Every transaction of a run adds an [`Entry`] with the records as they were before. Undoing an
//! entry restores them, unless somebody wrote to one since: then both stay as they are, because
//! half a link is worse than either state. What was issued stays issued; a [`Reservation`] keeps it
//! for the record, so that doing it all again gives the same.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::clock::Time;
use crate::domain::customer::Customer;
use crate::domain::user::User;
use crate::ids::{Crn, CustomerId, CustomerNumber, UserId};

/// How long a run can be undone, in seconds: 90 days. Before-images are personal data.
pub const KEEP_SECONDS: i64 = 90 * 86_400;

/// Who ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// `migrate up`, over imported rows.
    Migration,
    /// The schedule, over rows under review.
    Backfill,
}

/// How far a run got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It works, or was broken off.
    Running,
    /// It came to its end.
    Finished,
    /// It is being undone, or that was broken off.
    Undoing,
    /// It was undone, but for what was spared.
    Undone,
}

/// What became of the rows of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tally {
    /// Rows that got a new counterpart.
    pub created: u64,
    /// Rows that were linked with a counterpart that was there.
    pub linked: u64,
    /// Customer numbers given.
    pub numbered: u64,
    /// References given.
    pub crns: u64,
    /// Rows that needed no counterpart, and the counterparts of those that were linked.
    pub skipped: u64,
    /// Rows with several matches.
    pub ambiguous: u64,
    /// Rows that failed.
    pub errors: u64,
    /// Rows in all.
    pub total: u64,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            created: self.created + other.created,
            linked: self.linked + other.linked,
            numbered: self.numbered + other.numbered,
            crns: self.crns + other.crns,
            skipped: self.skipped + other.skipped,
            ambiguous: self.ambiguous + other.ambiguous,
            errors: self.errors + other.errors,
            total: self.total + other.total,
        }
    }
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub run_id: Uuid,
    /// Who ran.
    pub run_kind: RunKind,
    /// How far it got.
    pub state: RunState,
    /// What it did.
    #[serde(flatten)]
    pub tally: Tally,
    /// Since when.
    pub started_at: Time,
    /// Raised by every write.
    pub version: u64,
    /// When it may be forgotten, in Unix seconds.
    pub expires_at: i64,
}

impl Run {
    /// A run that begins at `now`.
    #[must_use]
    pub fn new(run_id: Uuid, run_kind: RunKind, now: Time) -> Self {
        Self {
            run_id,
            run_kind,
            state: RunState::Running,
            tally: Tally::default(),
            started_at: now,
            version: 0,
            expires_at: now.unix_seconds() + KEEP_SECONDS,
        }
    }
}

/// A record as it was before a run wrote it, and the version it has since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change<I, R> {
    /// Whose record.
    pub id: I,
    /// As it was; absent if the run made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<R>,
    /// The version that the run wrote.
    pub version: u64,
}

impl Change<UserId, User> {
    /// The change of the user `id`, who was `before`, by the run that wrote `version`. No ledger holds a
    /// password: a run leaves it alone, so that it is in the record until somebody else writes to that.
    #[must_use]
    pub fn of_user(id: UserId, before: Option<User>, version: u64) -> Self {
        let before = before.map(|user| User { password_hash: None, ..user });
        Self { id, before, version }
    }

    /// The user as it was, with the password of the record as it is `now`.
    #[must_use]
    pub fn image(&self, now: &User) -> Option<User> {
        let before = self.before.clone()?;
        Some(User { password_hash: now.password_hash.clone(), ..before })
    }
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryState {
    /// It stands.
    Written,
    /// It was undone.
    Undone,
}

/// One transaction of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The run.
    pub run_id: Uuid,
    /// Its own id; later ones sort later.
    pub entry_id: Uuid,
    /// The customer it wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<Change<CustomerId, Customer>>,
    /// The user it wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Change<UserId, User>>,
    /// The reference it gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crn: Option<Crn>,
    /// The number it gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<CustomerNumber>,
    /// The invitation it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Uuid>,
    /// What became of it.
    pub state: EntryState,
    /// Raised by every write.
    pub version: u64,
    /// When it may be forgotten, in Unix seconds.
    pub expires_at: i64,
}

/// Why an entry is not undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spared {
    /// Somebody changed the customer since.
    CustomerChanged,
    /// Somebody changed the user since.
    UserChanged,
    /// The customer is gone.
    CustomerGone,
    /// The user is gone.
    UserGone,
    /// The customer, whom the run made, has used or bought something since.
    CustomerUsed,
}

impl Spared {
    /// For the operator.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::CustomerChanged => "the customer was changed since",
            Self::UserChanged => "the user was changed since",
            Self::CustomerGone => "the customer was deleted since",
            Self::UserGone => "the user was deleted since",
            Self::CustomerUsed => "the customer, made by the run, has a history since",
        }
    }
}

impl Entry {
    /// Whether the records are as the run left them, and so can be restored.
    pub fn untouched(&self, customer: Option<&Customer>, user: Option<&User>) -> Result<(), Spared> {
        if let Some(change) = &self.customer {
            let now = customer.ok_or(Spared::CustomerGone)?;
            if !stands_at(change.version, now.version, now.restored) {
                return Err(Spared::CustomerChanged);
            }
        }
        if let Some(change) = &self.user {
            let now = user.ok_or(Spared::UserGone)?;
            if !stands_at(change.version, now.version, now.restored) {
                return Err(Spared::UserChanged);
            }
        }
        Ok(())
    }

    /// What the records that stay are to have again when the same is done once more.
    #[must_use]
    pub fn reservations(&self) -> Vec<Reservation> {
        let stays = |reservation: Reservation| {
            let Reservation { crn, number, counterpart, .. } = &reservation;
            let given = crn.is_some() || number.is_some() || counterpart.is_some();
            given.then_some(reservation)
        };
        let made_customer = self.customer.as_ref().filter(|change| change.before.is_none()).map(|change| change.id.0);
        let made_user = self.user.as_ref().filter(|change| change.before.is_none()).map(|change| change.id.0);
        let (crn, number) = (self.crn.clone(), self.number.clone());
        let customer = self.customer.as_ref().filter(|change| change.before.is_some()).and_then(|change| {
            // A number belongs to the user; that one goes, so the customer keeps it for the next.
            let number = number.clone().filter(|_| made_user.is_some());
            let (owner, crn) = (change.id.0, crn.clone());
            stays(Reservation { owner, side: Side::Customer, crn, number, counterpart: made_user })
        });
        let user = self.user.as_ref().filter(|change| change.before.is_some()).and_then(|change| {
            let crn = crn.clone().filter(|_| made_customer.is_some());
            let (owner, number) = (change.id.0, number.clone());
            stays(Reservation { owner, side: Side::User, crn, number, counterpart: made_customer })
        });
        customer.into_iter().chain(user).collect()
    }
}

/// Whether a record still is as version `written` left it: it has that version, or is the restored
/// copy of it, or has only been put back into review since.
fn stands_at(written: u64, version: u64, restored: Option<u64>) -> bool {
    version == written || restored == Some(written)
}

/// Which of the two a record is: a customer and a user of legacy systems may have one id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// A customer.
    #[default]
    Customer,
    /// A user.
    User,
}

/// What was issued to a record by a run that was undone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The record.
    pub owner: Uuid,
    /// Which of the two it is.
    pub side: Side,
    /// Its reference, or that of the customer made for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crn: Option<Crn>,
    /// Its number, or that of the user made for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<CustomerNumber>,
    /// The counterpart that was made for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counterpart: Option<Uuid>,
}

impl Reservation {
    /// The same, with what an `earlier` one has that it has not: the record may have been given one
    /// thing by one run and another by the next, and both are undone.
    #[must_use]
    pub fn or(self, earlier: Self) -> Self {
        Self {
            owner: self.owner,
            side: self.side,
            crn: self.crn.or(earlier.crn),
            number: self.number.or(earlier.number),
            counterpart: self.counterpart.or(earlier.counterpart),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::contact::EmailAddress;
    use crate::domain::customer::{Origin, Status};
    use crate::domain::user::Role;

    fn customer(version: u64, restored: Option<u64>) -> Customer {
        let now = Time::from_unix_seconds(1_795_176_000);
        Customer { version, restored, ..Customer::new(CustomerId(Uuid::nil()), Status::Active, Origin::Import, now) }
    }

    fn entry(before: Option<Customer>) -> Entry {
        Entry {
            run_id: Uuid::nil(),
            entry_id: Uuid::nil(),
            customer: Some(Change { id: CustomerId(Uuid::nil()), before, version: 2 }),
            user: Some(Change { id: UserId(Uuid::max()), before: None, version: 1 }),
            crn: Some(Crn::issue("PLE-CVP", 2026, 1)),
            number: Some(CustomerNumber::issue("PL", 7)),
            message_id: None,
            state: EntryState::Written,
            version: 1,
            expires_at: 0,
        }
    }

    #[test]
    fn no_ledger_holds_a_password_and_nobody_loses_theirs() {
        let now = Time::from_unix_seconds(1_795_176_000);
        let mut user = User::new(UserId(Uuid::max()), EmailAddress::parse("u@x.io").unwrap(), Role::Customer, now);
        user.password_hash = Some("$2b$04$hash".into());
        let change = Change::of_user(user.user_id, Some(user.clone()), 2);
        assert!(!serde_json::to_string(&change).unwrap().contains("$2b$"));
        let written = User { customer_v2_id: Some(CustomerId(Uuid::nil())), version: 2, ..user.clone() };
        assert_eq!(change.image(&written), Some(user));
        assert_eq!(Change::of_user(UserId(Uuid::max()), None, 1).image(&written), None, "the run had made them");
    }

    #[test]
    fn what_nobody_wrote_to_since_can_be_restored() {
        let entry = Entry { user: None, ..entry(Some(customer(1, None))) };
        assert_eq!(entry.untouched(Some(&customer(2, None)), None), Ok(()));
        let kept = "a later run was undone, or somebody else's change brought it back";
        assert_eq!(entry.untouched(Some(&customer(5, Some(2))), None), Ok(()), "{kept}");
        assert_eq!(entry.untouched(Some(&customer(3, None)), None), Err(Spared::CustomerChanged));
        assert_eq!(entry.untouched(None, None), Err(Spared::CustomerGone));
    }

    #[test]
    fn a_login_that_somebody_wrote_to_since_is_spared_too() {
        let entry = Entry { customer: None, ..entry(None) };
        let now = Time::from_unix_seconds(1_795_176_000);
        let user = User::new(UserId(Uuid::max()), EmailAddress::parse("u@x.io").unwrap(), Role::Customer, now);
        assert_eq!(entry.untouched(None, Some(&User { version: 1, ..user.clone() })), Ok(()));
        assert_eq!(entry.untouched(None, Some(&User { version: 2, ..user })), Err(Spared::UserChanged));
        assert_eq!(entry.untouched(None, None), Err(Spared::UserGone));
    }

    #[test]
    fn no_two_reasons_to_spare_an_entry_read_the_same() {
        use Spared::{CustomerChanged, CustomerGone, CustomerUsed, UserChanged, UserGone};
        let all = [CustomerChanged, UserChanged, CustomerGone, UserGone, CustomerUsed];
        assert_eq!(all.map(Spared::reason).into_iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn a_tally_adds_up_each_by_itself_and_a_run_can_be_undone_for_ninety_days() {
        let tally = |n: u64| Tally {
            created: n,
            linked: 2 * n,
            numbered: 3 * n,
            crns: 4 * n,
            skipped: 5 * n,
            ambiguous: 6 * n,
            errors: 7 * n,
            total: 28 * n,
        };
        assert_eq!(tally(3).plus(tally(10)), tally(13));
        let run = Run::new(Uuid::nil(), RunKind::Backfill, Time::from_unix_seconds(0));
        assert_eq!(run.expires_at, 7_776_000);
    }

    #[test]
    fn what_was_issued_is_reserved_for_the_record_that_stays() {
        let reserved = entry(Some(customer(1, None))).reservations();
        let [only] = reserved.as_slice() else { panic!("{reserved:?}") };
        assert_eq!((only.owner, only.counterpart), (Uuid::nil(), Some(Uuid::max())));
        assert!(only.crn.is_some() && only.number.is_some());
    }

    #[test]
    fn what_is_reserved_for_a_customer_and_a_user_of_one_id_is_kept_apart() {
        let now = Time::from_unix_seconds(1_795_176_000);
        let user = User::new(UserId(Uuid::nil()), EmailAddress::parse("u@x.io").unwrap(), Role::Customer, now);
        let change = Change { id: user.user_id, before: Some(user), version: 2 };
        let reserved = Entry { user: Some(change), ..entry(Some(customer(1, None))) }.reservations();
        let [of_customer, of_user] = reserved.as_slice() else { panic!("{reserved:?}") };
        assert_eq!((of_customer.side, of_user.side), (Side::Customer, Side::User));
        assert!(of_customer.crn.is_some() && of_customer.number.is_none());
        assert!(of_user.crn.is_none() && of_user.number.is_some());
    }

    #[test]
    fn what_an_earlier_undo_reserved_stays_reserved() {
        let [later]: [Reservation; 1] = entry(Some(customer(1, None))).reservations().try_into().unwrap();
        let crn_alone = Entry { user: None, number: None, ..entry(Some(customer(1, None))) };
        let [crn_alone]: [Reservation; 1] = crn_alone.reservations().try_into().unwrap();
        assert_eq!((&crn_alone.number, crn_alone.counterpart), (&None, None));
        assert_eq!(crn_alone.or(later.clone()), later);
    }
}
