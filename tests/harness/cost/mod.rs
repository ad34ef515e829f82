//! What every route and job costs: sequential round trips and capacity units, measured below the
//! SDK on the real router over a table with so many customers.
//!
//! What must stay true: every route of `routes::ALL` but the reports, and every job, has a row; no request scans
//! the table; a row that has a budget keeps it.

pub mod card;
pub mod crowd;
pub mod price;

mod customers;
mod jobs;
mod metering;
mod people;
mod webhook;

use axum::body::Body;
use dynoxide::Database;
use functions::routes::{ALL, Function};
use serde_json::{Value, json};

use crate::actor::{Actor, Answer};
use crate::app::TestApp;

/// The reports count every row: what they cost is the size of the table and nothing else.
const REPORTS: [&str; 3] = ["GET /admin/dashboard", "GET /admin/link-audit", "GET /admin/data-quality"];

/// The product that every new customer gets.
const PLAN: &str = "/v1/products/plan";

/// Something that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// `METHOD /path` of a route, or the name of a job.
    pub what: &'static str,
    /// Which of its ways.
    pub way: &'static str,
    /// The round trips it may take.
    pub budget: Option<usize>,
    /// The passwords it compares with a hash.
    pub verifies: u32,
    /// The passwords it hashes.
    pub hashes: u32,
}

/// What it took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Calls that had to wait for one another.
    pub round_trips: usize,
    /// Calls in all.
    pub calls: u32,
    /// Read capacity units.
    pub read_units: f64,
    /// Write capacity units.
    pub write_units: f64,
}

/// A row of the card.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// What was measured.
    pub case: Case,
    /// What it took.
    pub cost: Cost,
}

/// Measures everything over a table with `customers` customers and a few more. It wants a runtime of
/// one thread: on several, a call may be answered before the next, made at the same time, begins.
pub async fn measure(customers: u32) -> Vec<Row> {
    let database = Database::memory().unwrap();
    let (app, nobody, admin) = TestApp::start_over(database.clone(), |settings| settings.rate_limits = true).await;
    let items = json!([{ "feature_id": "litres", "included_usage": 1_000, "interval": "month" }]);
    admin.put(PLAN, json!({ "name": "Plan", "is_default": true, "items": items })).await.expect(201);
    admin.put("/v1/products/pro", json!({ "name": "Pro", "items": items })).await.expect(201);
    crowd::settle(&app, &database, &admin, customers).await;
    let mut meter = Meter { app, nobody, admin, rows: Vec::new() };
    // First, while nothing is due.
    jobs::measure(&mut meter).await;
    people::measure(&mut meter).await;
    customers::measure(&mut meter).await;
    metering::measure(&mut meter).await;
    webhook::measure(&mut meter).await;
    meter.rows
}

/// The routes and jobs that have no row, by name.
pub fn unmeasured(rows: &[Row]) -> Vec<String> {
    let names = |function: &&Function| match function.routes {
        [] => vec![function.name.to_owned()],
        routes => routes.iter().map(|route| format!("{} {}", route.method, route.path)).collect(),
    };
    let missing = |name: &String| !REPORTS.contains(&name.as_str()) && rows.iter().all(|row| row.case.what != name);
    ALL.iter().flat_map(names).filter(missing).collect()
}

/// The rows that take more round trips than they may, in words.
pub fn over_budget(rows: &[Row]) -> Vec<String> {
    let over = |row: &&Row| row.case.budget.is_some_and(|budget| !(1..=budget).contains(&row.cost.round_trips));
    rows.iter().filter(over).map(|row| format!("{} ({}): {:?}", row.case.what, row.case.way, row.cost)).collect()
}

impl Case {
    const fn new(what: &'static str, way: &'static str) -> Self {
        Self { what, way, budget: None, verifies: 0, hashes: 0 }
    }

    const fn within(self, round_trips: usize) -> Self {
        Self { budget: Some(round_trips), ..self }
    }

    const fn verifying(self, verifies: u32) -> Self {
        Self { verifies, ..self }
    }

    const fn hashing(self, hashes: u32) -> Self {
        Self { hashes, ..self }
    }

    /// The function that does it.
    pub fn function(&self) -> &'static Function {
        let does = |function: &&&Function| match function.routes {
            [] => function.name == self.what,
            routes => routes.iter().any(|route| self.what == format!("{} {}", route.method, route.path)),
        };
        ALL.iter().find(does).unwrap_or_else(|| panic!("nothing does {}", self.what))
    }
}

/// Measures one thing after another.
struct Meter {
    app: TestApp,
    nobody: Actor,
    admin: Actor,
    rows: Vec<Row>,
}

impl Meter {
    /// Measures a request, which must be answered with `status`.
    async fn request(&mut self, case: Case, status: u16, request: impl Future<Output = Answer>) -> Answer {
        self.work(case, request).await.expect(status)
    }

    /// Measures `work`.
    async fn work<T>(&mut self, case: Case, work: impl Future<Output = T>) -> T {
        self.app.connector.start_metering();
        let done = work.await;
        let recording = self.app.connector.take_recording();
        let silent = recording.calls.iter().find(|call| call.units <= 0.0);
        assert!(silent.is_none(), "{case:?} consumed nothing by {silent:?}");
        assert!(!recording.operations().contains(&"Scan"), "{case:?} scans the table");
        let cost = Cost {
            round_trips: recording.sequential_round_trips(),
            calls: u32::try_from(recording.calls.len()).unwrap(),
            read_units: recording.read_units(),
            write_units: recording.write_units(),
        };
        self.rows.push(Row { case, cost });
        done
    }

    /// The caller with a session of its own.
    fn signed_in(&self, session: &Answer) -> Actor {
        self.nobody.with_token(session.str("token"))
    }
}

/// A `POST` without a body.
async fn post_nothing(actor: &Actor, path: &str) -> Answer {
    actor.send(actor.request("POST", path), Body::empty()).await
}

/// A customer to be made.
fn customer(id: &str) -> Value {
    json!({ "id": id, "name": "Ana Ruiz", "email": format!("{id}@x.io") })
}
