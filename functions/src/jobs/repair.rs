//! One row under review: the one transaction that gives it what it lacks, and notes how it was.
//!
//! What it makes may be taken back, and be made once more under the same id: so it never begins at a
//! version that it had before, nor a login at a credential epoch.

use shared::app::App;
use shared::clock::Time;
use shared::domain::customer::Customer;
use shared::domain::ledger::{Change, Entry, EntryState, KEEP_SECONDS};
use shared::domain::matching::Review;
use shared::domain::onboarding::{Frozen, Terms, link};
use shared::domain::user::{Role, User};
use shared::http::ApiError;
use shared::ids::{CustomerId, UserId};
use shared::store::counter::{Drawn, Want};
use shared::store::item::first_version;
use shared::store::members::MemberLists;
use shared::store::retry::Backoff;
use shared::store::{Refused, Transaction};
use uuid::Uuid;

use super::plan::{Need, Plan, Row};
use super::second_look;
use crate::account::unheld;

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Created,
    Linked,
    Skipped,
    Ambiguous,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Repair {
    /// The rows of the work queue that are done with it.
    pub(super) rows: u64,
    pub(super) outcome: Outcome,
    pub(super) numbered: bool,
    pub(super) crn: bool,
}

/// For what run a row is repaired, and which rows are that run's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    pub(super) run_id: Uuid,
    pub(super) review: Review,
    pub(super) invite: bool,
}

impl Scope {
    /// Repairs `row`, by `plan` as long as that holds. Answers the records that it wrote, too.
    pub(super) async fn repair(self, app: &App, row: Row, plan: Plan) -> Result<(Repair, [Option<Uuid>; 2]), ApiError> {
        let now = app.clock.now();
        let new_user = UserId(now.new_id());
        let mut drawn = Drawn::default();
        let mut races = Backoff::new();
        let mut plan = plan;
        loop {
            let (records, rows) = (plan.need.records(), plan.need.rows(self.review));
            let mut transaction = app.store.transaction();
            let Some((repair, entry)) = self.write(app, plan, &mut transaction, &mut drawn, new_user, now).await?
            else {
                let nothing = Repair { rows, outcome: Outcome::Skipped, numbered: false, crn: false };
                return Ok((nothing, records));
            };
            transaction.save_entry(&entry);
            match transaction.commit(&app.store).await {
                Ok(()) => {
                    // What is committed is done, whether or not it can be looked at once more.
                    if repair.outcome == Outcome::Ambiguous
                        && let Err(error) = second_look::look_again(app, row, now).await
                    {
                        tracing::warn!(?error, "an ambiguous row was not looked at once more");
                    }
                    return Ok((repair, records));
                }
                Err(Refused::Store(error)) => return Err(error.into()),
                Err(Refused::Conflict(conflict)) => drawn.discard(conflict),
            }
            if !races.wait().await {
                return Err(ApiError::Unavailable("the row lost every race it ran".into()));
            }
            plan = row.plan(app, self.review, now).await?;
        }
    }

    async fn write(
        self,
        app: &App,
        plan: Plan,
        transaction: &mut Transaction,
        drawn: &mut Drawn,
        new_user: UserId,
        now: Time,
    ) -> Result<Option<(Repair, Entry)>, ApiError> {
        let Plan { need, of_customer, of_user } = plan;
        let (want, rows) = (wanted(&need), need.rows(self.review));
        // What one of the two brings along for a counterpart that it had made is for such a one only.
        let [customer, user] = need.records();
        drawn.crn = drawn.crn.take().or(if customer.is_some() { of_customer.crn } else { of_user.crn });
        drawn.number = drawn.number.take().or(if user.is_some() { of_user.number } else { of_customer.number });
        drawn.draw(&app.store, &app.settings, now, want).await?;
        let (crn, number) = (drawn.crn.clone().filter(|_| want.crn), drawn.number.clone().filter(|_| want.number));
        let mut entry = self.entry(now);
        (entry.crn, entry.number) = (crn.clone(), number.clone());
        let outcome = match need {
            Need::Wait | Need::Nothing => return Ok(None),
            Need::Link { before, mut customer, login, created } => {
                let user_id = of_customer.counterpart.map_or(new_user, UserId);
                let login = unheld(app, login, user_id).await?;
                if before.is_none() {
                    customer.internal_id = of_user.counterpart.map_or(customer.internal_id, CustomerId);
                    customer.version = first_version();
                }
                let frozen = Frozen { user_id, crn, number, now };
                let mut linked = link(*customer, login, &frozen, Terms::Found { invite: self.invite });
                linked.begin_login_at(first_version());
                // A customer that is there stays in its list.
                let joined = linked.customer.contact.email.as_ref().filter(|_| before.is_none());
                let lists = app.store.member_lists(joined).await?;
                transaction.save_found(before.as_deref(), &linked, &lists);
                entry.customer = Some(customer_change(&linked.customer, before.map(|before| *before)));
                entry.user = Some(user_change(&linked.user, linked.user_before));
                entry.message_id = linked.invitation.map(|message| message.message_id);
                if created { Outcome::Created } else { Outcome::Linked }
            }
            Need::Complete { before } => {
                complete_customer(transaction, &mut entry, *before, None, now);
                Outcome::Skipped
            }
            Need::AmbiguousCustomer(before) => {
                complete_customer(transaction, &mut entry, *before, Some(Review::Ambiguous), now);
                Outcome::Ambiguous
            }
            Need::CompleteUser { before } => {
                complete_user(transaction, &mut entry, *before, None, now);
                Outcome::Skipped
            }
            Need::AmbiguousUser(before) => {
                complete_user(transaction, &mut entry, *before, Some(Review::Ambiguous), now);
                Outcome::Ambiguous
            }
        };
        Ok(Some((Repair { rows, outcome, numbered: want.number, crn: want.crn }, entry)))
    }

    fn entry(self, now: Time) -> Entry {
        Entry {
            run_id: self.run_id,
            entry_id: now.new_id(),
            customer: None,
            user: None,
            crn: None,
            number: None,
            message_id: None,
            state: EntryState::Written,
            version: 0,
            expires_at: now.unix_seconds() + KEEP_SECONDS,
        }
    }
}

fn complete_customer(
    transaction: &mut Transaction,
    entry: &mut Entry,
    before: Customer,
    review: Option<Review>,
    now: Time,
) {
    let mut after = Customer { review, updated_at: now, ..before.clone() };
    after.customer_reference = after.customer_reference.or_else(|| entry.crn.clone());
    transaction.save_customer(Some(&before), &after, &MemberLists::default());
    entry.customer = Some(customer_change(&after, Some(before)));
}

fn complete_user(transaction: &mut Transaction, entry: &mut Entry, before: User, review: Option<Review>, now: Time) {
    let mut after = User { review, updated_at: now, ..before.clone() };
    after.customer_number = after.customer_number.or_else(|| entry.number.clone());
    transaction.save_user(Some(&before), &after);
    entry.user = Some(user_change(&after, Some(before)));
}

fn customer_change(after: &Customer, before: Option<Customer>) -> Change<CustomerId, Customer> {
    let version = before.as_ref().map_or(after.version, |customer| customer.version) + 1;
    Change { id: after.internal_id, before, version }
}

fn user_change(after: &User, before: Option<User>) -> Change<UserId, User> {
    let version = before.as_ref().map_or(after.version, |user| user.version) + 1;
    Change::of_user(after.user_id, before, version)
}

fn wanted(need: &Need) -> Want {
    match need {
        Need::Link { customer, login, .. } => {
            Want { crn: customer.customer_reference.is_none(), number: login.needs_number() }
        }
        Need::Complete { before } | Need::AmbiguousCustomer(before) => {
            Want { crn: before.customer_reference.is_none(), number: false }
        }
        Need::CompleteUser { before } | Need::AmbiguousUser(before) => {
            Want { crn: false, number: before.role == Role::Customer && before.customer_number.is_none() }
        }
        Need::Wait | Need::Nothing => Want::default(),
    }
}
