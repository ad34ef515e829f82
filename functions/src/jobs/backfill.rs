//! The schedule: gives every row under review what it lacks, and re-drives what was not sent.
//!
//! It walks the work queue in order of time and repairs one row in one transaction, on versions it
//! has read. It can die anywhere, run twice at once, and run again: a row that is done is no
//! longer in the queue, and a row that somebody else changed is read anew.

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use shared::app::App;
use shared::clock::Time;
use shared::domain::customer::{Contact, Customer, Origin, Status};
use shared::domain::matching::{Candidates, Match, Review};
use shared::domain::message::{Message, MessageState};
use shared::domain::onboarding::{Frozen, Linked, Login, link};
use shared::domain::user::{Role, User};
use shared::http::ApiError;
use shared::ids::{CustomerId, UserId};
use shared::store::counter::{Drawn, Want};
use shared::store::key::Key;
use shared::store::members::{EmailMembers, MemberLists};
use shared::store::retry::Backoff;
use shared::store::work::Due;
use shared::store::{Refused, Transaction};
use shared::telemetry::{Metric, count};
use utoipa::ToSchema;
use uuid::Uuid;

/// Entries of the queue read at once.
const PAGE: i32 = 100;

/// The time left at which a run stops and leaves the rest to the next, in seconds.
const STOP_BEFORE_SECONDS: i64 = 15;

/// How long a run may take where nobody sets a deadline, in seconds.
const DEFAULT_SECONDS: i64 = 240;

/// What a run did. Each row of its work list is counted once, in the first that fits of `errors`,
/// `ambiguous`, `created`, `linked`, `skipped`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Summary {
    /// The run.
    pub run_id: Uuid,
    /// Rows that got a new counterpart: a customer its login, or a login its customer.
    pub created: u64,
    /// Rows that were linked with a counterpart that was there.
    pub linked: u64,
    /// Customer numbers given.
    pub numbered: u64,
    /// References given.
    pub crns: u64,
    /// Rows that had nothing to do with logins, or that somebody else had done.
    pub skipped: u64,
    /// Rows with several matches: reported, never guessed.
    pub ambiguous: u64,
    /// Rows that failed; the next run tries them again.
    pub errors: u64,
    /// Rows of the work list.
    pub total: u64,
    /// Rows still in the queue.
    pub remaining: u64,
}

/// Runs on the schedule, until shortly before the function's deadline.
pub async fn on_schedule(app: &App, event: LambdaEvent<EventBridgeEvent>) -> Result<Summary, ApiError> {
    let deadline = i64::try_from(event.context.deadline).ok().filter(|ms| *ms > 0).map(Time::from_unix_ms);
    run(app, deadline).await
}

/// Runs until the queue is empty or the deadline is near.
pub async fn run(app: &App, deadline: Option<Time>) -> Result<Summary, ApiError> {
    let now = app.clock.now();
    let stop_at = deadline.map_or(now.plus_seconds(DEFAULT_SECONDS), |at| at.plus_seconds(-STOP_BEFORE_SECONDS));
    let mut summary = Summary { run_id: now.new_id(), ..Summary::default() };
    let (mut overdue, mut start, mut stopped) = (0, None, false);
    'pages: loop {
        let page = app.store.due_work(now, start, PAGE).await?;
        for due in page.due {
            if app.clock.now() >= stop_at {
                stopped = true;
                break 'pages;
            }
            match due {
                Due::Message(id) => {
                    overdue += 1;
                    redrive(app, id, now).await?;
                }
                Due::Customer(id) => summary.add(Row::Customer(id).repair(app).await),
                Due::User(id) => summary.add(Row::User(id).repair(app).await),
            }
        }
        start = page.next;
        if start.is_none() {
            break;
        }
    }
    summary.remaining = if stopped { app.store.count_due_work(now).await? } else { summary.errors };
    count(Metric::MessagesOverdue, overdue, now.unix_ms());
    count(Metric::BackfillAmbiguous, summary.ambiguous, now.unix_ms());
    count(Metric::BackfillErrors, summary.errors, now.unix_ms());
    tracing::info!(
        run_id = %summary.run_id, created = summary.created, linked = summary.linked, numbered = summary.numbered,
        crns = summary.crns, skipped = summary.skipped, ambiguous = summary.ambiguous, errors = summary.errors,
        total = summary.total, remaining = summary.remaining, overdue, "backfill"
    );
    Ok(summary)
}

/// Puts a message on its way once more: the write itself wakes the stream.
async fn redrive(app: &App, id: Uuid, now: Time) -> Result<(), ApiError> {
    let message: Option<Message> = app.store.get(&Key::message(id)).await?;
    let Some(message) = message.filter(|message| message.state == MessageState::Pending && message.due_at <= now)
    else {
        return Ok(());
    };
    let mut transaction = app.store.transaction();
    transaction.save_message(Some(&message), &message.clone().redriven(now));
    match transaction.commit(&app.store).await {
        Ok(()) | Err(Refused::Conflict(_)) => Ok(()),
        Err(Refused::Store(error)) => Err(error.into()),
    }
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Created,
    Linked,
    Skipped,
    Ambiguous,
}

#[derive(Clone, Copy, Debug)]
struct Repair {
    outcome: Outcome,
    numbered: bool,
    crn: bool,
}

impl Repair {
    const fn of(outcome: Outcome) -> Self {
        Self { outcome, numbered: false, crn: false }
    }
}

impl Summary {
    fn add(&mut self, repair: Result<Repair, ApiError>) {
        self.total += 1;
        let repair = match repair {
            Ok(repair) => repair,
            Err(error) => {
                tracing::error!(?error, "a row could not be repaired");
                self.errors += 1;
                return;
            }
        };
        self.numbered += u64::from(repair.numbered);
        self.crns += u64::from(repair.crn);
        match repair.outcome {
            Outcome::Created => self.created += 1,
            Outcome::Linked => self.linked += 1,
            Outcome::Skipped => self.skipped += 1,
            Outcome::Ambiguous => self.ambiguous += 1,
        }
    }
}

/// A row under review.
#[derive(Clone, Copy)]
enum Row {
    Customer(CustomerId),
    User(UserId),
}

/// What one row needs, on the picture that was read.
enum Plan {
    /// Link these two; the flag says that one of them is new.
    Link { before: Option<Box<Customer>>, customer: Box<Customer>, login: Login, created: bool },
    /// Only complete the customer itself.
    Complete { before: Box<Customer> },
    /// Only complete the user itself.
    CompleteUser { before: Box<User> },
    /// Leave it to a person.
    AmbiguousCustomer(Box<Customer>),
    /// Leave it to a person.
    AmbiguousUser(Box<User>),
    /// Nothing: it is done, or gone.
    Nothing,
}

impl Row {
    async fn repair(self, app: &App) -> Result<Repair, ApiError> {
        let now = app.clock.now();
        let (new_user, new_customer) = (UserId(now.new_id()), CustomerId(now.new_id()));
        let mut drawn = Drawn::default();
        let mut races = Backoff::new();
        loop {
            let plan = match self {
                Self::Customer(id) => plan_customer(app, id).await?,
                Self::User(id) => plan_user(app, id, new_customer, now).await?,
            };
            let mut transaction = app.store.transaction();
            let repair = write(app, plan, &mut transaction, &mut drawn, new_user, now).await?;
            let Some(repair) = repair else { return Ok(Repair::of(Outcome::Skipped)) };
            match transaction.commit(&app.store).await {
                Ok(()) => return Ok(repair),
                Err(Refused::Store(error)) => return Err(error.into()),
                Err(Refused::Conflict(conflict)) => drawn.discard(conflict),
            }
            if !races.wait().await {
                return Err(ApiError::Unavailable("the row lost every race it ran".into()));
            }
        }
    }
}

async fn write(
    app: &App,
    plan: Plan,
    transaction: &mut Transaction,
    drawn: &mut Drawn,
    new_user: UserId,
    now: Time,
) -> Result<Option<Repair>, ApiError> {
    let (crn_needed, number_needed) = match &plan {
        Plan::Link { customer, login, .. } => (customer.customer_reference.is_none(), login.needs_number()),
        Plan::Complete { before } => (before.customer_reference.is_none(), false),
        Plan::CompleteUser { before } => (false, before.role == Role::Customer && before.customer_number.is_none()),
        _ => (false, false),
    };
    let want = Want { crn: crn_needed, number: number_needed };
    drawn.draw(&app.store, &app.settings, now, want).await?;
    let repair = |outcome| Some(Repair { outcome, numbered: number_needed, crn: crn_needed });
    Ok(match plan {
        Plan::Nothing => None,
        Plan::Link { before, customer, login, created } => {
            let (crn, number) = (drawn.crn.clone(), drawn.number.clone());
            let frozen = Frozen { user_id: new_user, crn, number, now };
            let linked = link(*customer, login, &frozen, app.settings.backfill_invites);
            let lists = new_member_list(app, before.as_deref(), &linked).await?;
            transaction.save_linked(before.as_deref(), &linked, &lists);
            repair(if created { Outcome::Created } else { Outcome::Linked })
        }
        Plan::Complete { before } => {
            let mut after = Customer { review: None, updated_at: now, ..(*before).clone() };
            after.customer_reference = after.customer_reference.or_else(|| drawn.crn.clone());
            transaction.save_customer(Some(&before), &after, &MemberLists::default());
            repair(Outcome::Skipped)
        }
        Plan::CompleteUser { before } => {
            let mut after = User { review: None, updated_at: now, ..(*before).clone() };
            after.customer_number = after.customer_number.or_else(|| drawn.number.clone());
            transaction.save_user(Some(&before), &after);
            repair(Outcome::Skipped)
        }
        Plan::AmbiguousCustomer(before) => {
            let after = Customer { review: Some(Review::Ambiguous), ..(*before).clone() };
            transaction.save_customer(Some(&before), &after, &MemberLists::default());
            repair(Outcome::Ambiguous)
        }
        Plan::AmbiguousUser(before) => {
            let after = User { review: Some(Review::Ambiguous), ..(*before).clone() };
            transaction.save_user(Some(&before), &after);
            repair(Outcome::Ambiguous)
        }
    })
}

/// The member list that a new customer joins.
async fn new_member_list(app: &App, before: Option<&Customer>, linked: &Linked) -> Result<MemberLists, ApiError> {
    match (before, &linked.customer.contact.email) {
        (None, Some(email)) => {
            let list: Option<EmailMembers> = app.store.get(&Key::email_members(email)).await?;
            Ok(MemberLists::of(list))
        }
        _ => Ok(MemberLists::default()),
    }
}

async fn plan_customer(app: &App, id: CustomerId) -> Result<Plan, ApiError> {
    let found = app.store.customer(id).await?;
    let Some(before) = found.filter(|customer| customer.review == Some(Review::Due)) else { return Ok(Plan::Nothing) };
    if before.is_lead() {
        return Ok(Plan::Complete { before: Box::new(before) });
    }
    let pointed = match before.user_id {
        Some(user) => app.store.user(user).await?,
        None => None,
    };
    let link = |before: Customer, login, created| Plan::Link {
        customer: Box::new(Customer { user_id: None, ..before.clone() }),
        before: Some(Box::new(before)),
        login,
        created,
    };
    match pointed {
        Some(user) if user.customer_v2_id == Some(id) && user.customer_number.is_some() => {
            Ok(Plan::Complete { before: Box::new(before) })
        }
        // A half-link, or a mutual one that lacks its number.
        Some(user) if user.role == Role::Customer && user.customer_v2_id.is_none_or(|back| back == id) => {
            Ok(link(before, Login::Existing(Box::new(user)), false))
        }
        Some(_) => Ok(Plan::AmbiguousCustomer(Box::new(before))),
        // No login, or one that does not exist any more.
        None => Ok(match find_user(app, &before).await? {
            Match::One(user) => link(before, Login::Existing(Box::new(user)), false),
            Match::Several => Plan::AmbiguousCustomer(Box::new(before)),
            Match::None => {
                let login = new_login(app, &before).await?;
                link(before, login, true)
            }
        }),
    }
}

async fn plan_user(app: &App, id: UserId, new_customer: CustomerId, now: Time) -> Result<Plan, ApiError> {
    let found = app.store.user(id).await?;
    let Some(user) = found.filter(|user| user.review == Some(Review::Due)) else { return Ok(Plan::Nothing) };
    if user.role != Role::Customer {
        return Ok(Plan::CompleteUser { before: Box::new(user) });
    }
    let pointed = match user.customer_v2_id {
        Some(customer) => app.store.customer(customer).await?,
        None => None,
    };
    let link = |before: Customer, user| Plan::Link {
        customer: Box::new(before.clone()),
        before: Some(Box::new(before)),
        login: Login::Existing(Box::new(user)),
        created: false,
    };
    match pointed {
        Some(customer) if customer.user_id == Some(id) => Ok(Plan::CompleteUser { before: Box::new(user) }),
        Some(customer) if customer.user_id.is_none() && !customer.is_lead() => Ok(link(customer, user)),
        Some(_) => Ok(Plan::AmbiguousUser(Box::new(user))),
        None => Ok(match find_customer(app, &user).await? {
            Match::One(customer) => link(customer, user),
            Match::Several => Plan::AmbiguousUser(Box::new(user)),
            Match::None => Plan::Link {
                before: None,
                customer: Box::new(customer_for(app, &user, new_customer, now)),
                login: Login::Existing(Box::new(user)),
                created: true,
            },
        }),
    }
}

/// The customer of a login that has none.
fn customer_for(app: &App, user: &User, id: CustomerId, now: Time) -> Customer {
    let status = if user.enabled { Status::Active } else { Status::Inactive };
    let mut customer = Customer::new(id, status, Origin::Import, now);
    let email = Some(user.email.clone()).filter(|e| !e.is_placeholder(&app.settings.placeholder_email_domain));
    customer.contact = Contact { name: user.name.clone(), email, phone: user.phone.clone(), ..Contact::default() };
    customer
}

/// The new login of a customer whom no account matches.
async fn new_login(app: &App, customer: &Customer) -> Result<Login, ApiError> {
    let domain = &app.settings.placeholder_email_domain;
    let holder = match customer.real_email(domain) {
        Some(email) => app.store.user_by_login(email).await?,
        None => None,
    };
    Ok(Login::choose(customer, holder, domain))
}

async fn find_user(app: &App, customer: &Customer) -> Result<Match<User>, ApiError> {
    let by_phone = by_phone(app, customer.contact.phone.as_ref()).await?.user();
    if by_phone != Match::None {
        return Ok(by_phone);
    }
    let email = customer.real_email(&app.settings.placeholder_email_domain);
    Ok(by_email(app, email).await?.user())
}

async fn find_customer(app: &App, user: &User) -> Result<Match<Customer>, ApiError> {
    let candidates = by_phone(app, user.phone.as_ref()).await?;
    if !candidates.customers.is_empty() {
        return Ok(candidates.customer());
    }
    let email = Some(&user.email).filter(|email| !email.is_placeholder(&app.settings.placeholder_email_domain));
    Ok(by_email(app, email).await?.customer())
}

type Unlinked = Candidates<User, Customer>;

async fn by_phone(app: &App, phone: Option<&shared::contact::Phone>) -> Result<Unlinked, ApiError> {
    let people = match phone {
        Some(phone) => app.store.people_by_phone(phone).await?,
        None => return Ok(Candidates { users: Vec::new(), customers: Vec::new() }),
    };
    Ok(unlinked(people.users, people.customers))
}

async fn by_email(app: &App, email: Option<&shared::contact::EmailAddress>) -> Result<Unlinked, ApiError> {
    let Some(email) = email else { return Ok(unlinked(Vec::new(), Vec::new())) };
    let user = app.store.user_by_login(email).await?;
    let customers = match app.store.get::<EmailMembers>(&Key::email_members(email)).await? {
        Some(list) => app.store.members(&list).await?,
        None => Vec::new(),
    };
    Ok(unlinked(user.into_iter().collect(), customers))
}

fn unlinked(mut users: Vec<User>, mut customers: Vec<Customer>) -> Unlinked {
    users.retain(User::is_free_for_customer);
    customers.retain(|customer| customer.user_id.is_none() && !customer.is_lead());
    Candidates { users, customers }
}
